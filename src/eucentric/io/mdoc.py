"""SerialEM's .mdoc of a tilt series, read with every known trap caught by name before any processing."""

import math
import re
import warnings
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path, PureWindowsPath
from typing import Annotated

from pydantic import Field, ValidationError

from eucentric.core import Degrees, ElectronsPerA2, FormatError, FormatWarning, Record
from eucentric.io import mdoc_findings as traps
from eucentric.io._text import decode_text
from eucentric.io.mdoc_findings import Entry, Finding, FindingName

_HEADING = re.compile(r"\[(ZValue|MontSection|FrameSet)\s*=\s*(.*?)\]?\s*$")
_NUMBERS = (
    "TiltAngle",
    "ExposureDose",
    "PriorRecordDose",
    "RotationAngle",
    "PixelSpacing",
    "TargetDefocus",
    "NumSubFrames",
)
_A_PER_UM = 1e4
_PIXEL_RANGE_A = (0.01, 1e6)


class MdocSection(Record):
    """One image: `z_value` is its section in the stack, `order` its place in the acquisition, from 0.

    `frame_path` is as written, `movie` its file name alone; `target_defocus_A` is positive for underfocus.
    """

    z_value: Annotated[int, Field(ge=0)]
    order: Annotated[int, Field(ge=0)]
    tilt_deg: Annotated[Degrees, Field(ge=-180, le=180)]
    exposure_e_A2: ElectronsPerA2 | None = None
    pre_exposure_e_A2: ElectronsPerA2 | None = None
    target_defocus_A: Annotated[float, Field(allow_inf_nan=False)] | None = None
    recorded: datetime | None = None
    frame_path: str | None = None
    movie: str | None = None
    n_frames: Annotated[int, Field(ge=1)] | None = None


class MdocSeries(Record):
    """A series: its images by section, what the file says of all of them, and the traps met.

    `tilt_axis_deg` has IMOD's sign (from the image's y axis, counter-clockwise). `order_known` is false where
    neither times nor exposures tell the order; it is then that of the sections.
    """

    pixel_A: Annotated[float, Field(gt=0)] | None = None
    voltage_kV: Annotated[float, Field(gt=0)] | None = None
    tilt_axis_deg: Degrees | None = None
    image_file: str | None = None
    order_known: bool
    sections: Annotated[tuple[MdocSection, ...], Field(min_length=1)]
    findings: tuple[Finding, ...] = ()


def read_mdoc(path: Path) -> MdocSeries:
    """Read the .mdoc of a tilt series.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is empty, or of a frame set or montage, or a section cannot be read; `FindingName` has the names.

    Warns
    -----
    FormatWarning
        Once for each finding of severity "warning"; those and the mere notes are in `findings`.
    """
    path = Path(path)
    text, foreign = decode_text(path, "an .mdoc")
    header, sections = _split(text)
    _refuse_other_kinds(path, header, sections)
    findings = list(traps.file_findings(path, foreign, sections))
    if traps.half_written_fate(sections) == "left out":
        sections = sections[:-1]
    by_z: dict[int, Entry] = {}
    for section in sections:
        entry = _entry(path, section)
        if entry.z_value in by_z:
            findings.append(traps.duplicate(entry.z_value))
        by_z[entry.z_value] = entry
    entries = [by_z[z] for z in sorted(by_z)]
    orders, order_known, order_findings = traps.acquisition_order(entries)
    axis_deg, axis_findings = traps.tilt_axis(header, entries)
    findings += [*traps.dose_findings(entries), *traps.movie_findings(entries), *traps.time_findings(entries)]
    findings += [*order_findings, *axis_findings]
    for finding in findings:
        if finding.severity == "warning":
            warnings.warn(f"{path}, {finding.where}: {finding.message} [{finding.name}]", FormatWarning, stacklevel=2)
    pairs = dict(_pairs(header))
    pixels = [_number(pairs.get("PixelSpacing"), *_PIXEL_RANGE_A), *(entry.pixel_A for entry in entries)]
    return MdocSeries(
        pixel_A=next((pixel for pixel in pixels if pixel is not None), None),
        voltage_kV=_number(pairs.get("Voltage"), 1, 1e4),
        tilt_axis_deg=axis_deg,
        image_file=PureWindowsPath(pairs.get("ImageFile", "")).name or None,
        order_known=order_known,
        sections=tuple(
            MdocSection(
                z_value=entry.z_value,
                order=order,
                tilt_deg=entry.tilt_deg,
                exposure_e_A2=entry.exposure_e_A2,
                pre_exposure_e_A2=entry.pre_exposure_e_A2,
                target_defocus_A=entry.target_defocus_A,
                recorded=entry.recorded,
                frame_path=entry.frame_path,
                movie=entry.movie,
                n_frames=entry.n_frames,
            )
            for entry, order in zip(entries, orders, strict=True)
        ),
        findings=tuple(findings),
    )


def _split(text: str) -> tuple[list[str], list[dict[str, str]]]:
    """Split an .mdoc into the lines before the first section, and the entries of each section with its heading."""
    header: list[str] = []
    sections: list[dict[str, str]] = []
    for line in text.split("\n"):
        if heading := _HEADING.match(line.strip()):
            sections.append({heading[1]: heading[2]})
        elif sections:
            sections[-1].update(_pairs([line]))
        else:
            header.append(line.strip())
    return header, sections


def _pairs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        key, equals, value = line.partition("=")
        if equals and not key.lstrip().startswith("["):
            yield key.strip(), value.strip()


def _refuse_other_kinds(path: Path, header: list[str], sections: list[dict[str, str]]) -> None:
    if any("FrameSet" in section for section in sections):
        raise FormatError(
            f"{path}: this .mdoc belongs to the frames of one image [{FindingName.FRAME_SET}].",
            "Name the .mdoc of the series.",
        )
    is_montage = dict(_pairs(header)).get("Montage", "0") not in ("0", "False")
    if is_montage or any("MontSection" in section or "PieceCoordinates" in section for section in sections):
        raise FormatError(
            f"{path}: this .mdoc belongs to a montage [{FindingName.MONTAGE}].", "Name the .mdoc of the series."
        )
    if not sections:
        raise FormatError(f"{path}: there is no [ZValue] section in it [{FindingName.EMPTY}].", "Copy it again.")


def _entry(path: Path, section: dict[str, str]) -> Entry:
    # mdocfile loads pandas: half a second that reading a stack without an .mdoc need not spend.
    from mdocfile.data_models import MdocSectionData

    numbers = {key: section[key] for key in _NUMBERS if key in section}
    where = f"{path}, section {section['ZValue'][:20]}"
    fix = "Mend or remove that section."
    try:
        parsed = MdocSectionData.from_lines([f"{k} = {v}" for k, v in {"ZValue": section["ZValue"], **numbers}.items()])
    except ValidationError as error:
        wrong = ", ".join(f"{e['loc'][0]} = {str(e['input'])[:40]}" for e in error.errors())
        raise FormatError(f"{where}: {wrong} [{FindingName.UNREADABLE}].", fix) from error
    if parsed.ZValue is None or not 0 <= parsed.ZValue < 1 << 20:
        raise FormatError(f"{where}: no ZValue can be this [{FindingName.UNREADABLE}].", fix)
    if parsed.TiltAngle is None or not -180 <= parsed.TiltAngle <= 180:
        tilt = section.get("TiltAngle", "missing")[:40]
        raise FormatError(f"{where}: its TiltAngle is {tilt} [{FindingName.UNREADABLE}].", fix)
    defocus_um = _number(parsed.TargetDefocus, -1e3, 1e3)
    return Entry(
        z_value=parsed.ZValue,
        tilt_deg=parsed.TiltAngle,
        exposure_e_A2=_number(parsed.ExposureDose, 1e-9, 1e6),  # SerialEM writes 0 for unknown
        pre_exposure_e_A2=_number(parsed.PriorRecordDose, 0, 1e6),
        target_defocus_A=None if defocus_um is None else -defocus_um * _A_PER_UM,
        date_time=section.get("DateTime", ""),
        frame_path=section.get("SubFramePath") or None,
        n_frames=parsed.NumSubFrames if parsed.NumSubFrames and 0 < parsed.NumSubFrames < 1 << 31 else None,
        rotation_deg=_number(parsed.RotationAngle, -360, 360),
        pixel_A=_number(parsed.PixelSpacing, *_PIXEL_RANGE_A),
    )


def _number(value: str | float | None, low: float, high: float) -> float | None:
    """Return a number that can be, else None."""
    try:
        number = math.nan if value is None else float(value)
    except ValueError:
        return None
    return number if low <= number <= high else None
