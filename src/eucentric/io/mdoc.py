"""SerialEM's .mdoc of a tilt series, read with every known trap caught by name before any processing."""

import math
import warnings
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PureWindowsPath
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from eucentric.core import Degrees, ElectronsPerA2, FormatError, FormatWarning, Record
from eucentric.io import mdoc_findings as traps
from eucentric.io._text import decode_text
from eucentric.io.mdoc_findings import Entry, Finding, FindingName
from eucentric.io.mdoc_text import RawMdoc, RawSection, split_mdoc, unread

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
    neither times nor exposures tell the order; it is then that of the sections. `unread` has the keys, titles and other
    lines that stand in the file and say nothing here.
    """

    pixel_A: Annotated[float, Field(gt=0)] | None = None
    voltage_kV: Annotated[float, Field(gt=0)] | None = None
    tilt_axis_deg: Degrees | None = None
    image_file: str | None = None
    shape_yx: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = None
    order_known: bool
    sections: Annotated[tuple[MdocSection, ...], Field(min_length=1)]
    findings: tuple[Finding, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class MdocExamination:
    """What is in an .mdoc, also in one that is no series or has sections that cannot be read.

    Attributes
    ----------
    raw
        Its text.
    foreign
        What stands in it that is not UTF-8, or "".
    refusals
        Why `read_mdoc` refuses it, of severity "error"; each with what to do, in the same order, in `fixes`.
    series
        What the sections that can be read say; None if there are none.
    """

    raw: RawMdoc
    foreign: str
    refusals: tuple[Finding, ...]
    fixes: tuple[str, ...]
    series: MdocSeries | None


class _Numbers(BaseModel):
    """The numbers that are read of a section, taken as mdocfile takes them; whatever cannot be one is refused.

    That package is not used here, because it loads pandas, half a second, and is slow on a folder of a thousand files.
    """

    ZValue: int | None = None
    TiltAngle: float | None = None
    ExposureDose: float | None = None
    PriorRecordDose: float | None = None
    RotationAngle: float | None = None
    PixelSpacing: float | None = None
    TargetDefocus: float | None = None
    NumSubFrames: int | None = None


_NUMBERS = tuple(_Numbers.model_fields)
_READ_OF_SECTIONS = (*_NUMBERS, "DateTime", "SubFramePath")
_READ_OF_HEADER = ("PixelSpacing", "Voltage", "ImageFile", "ImageSize", "Montage")


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
    examined = examine_mdoc(path)
    for refusal, fix in zip(examined.refusals, examined.fixes, strict=True):
        where = "" if refusal.where == "file" else f", {refusal.where}"
        raise FormatError(f"{path}{where}: {refusal.message} [{refusal.name}].", fix)
    if examined.series is None:  # which has a refusal
        raise FormatError(f"{path}: nothing in it can be read [{FindingName.EMPTY}].", "Copy it again.")
    for finding in examined.series.findings:
        if finding.severity == "warning":
            warnings.warn(f"{path}, {finding.where}: {finding.message} [{finding.name}]", FormatWarning, stacklevel=2)
    return examined.series


def examine_mdoc(path: Path, *, growing: bool = False) -> MdocExamination:
    """Look at an .mdoc without refusing it for what it says; it never warns.

    Parameters
    ----------
    path
        The file.
    growing
        Whether it is still being written: a half-written last section is then not there yet.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is empty, binary, or too large for an .mdoc.
    """
    path = Path(path)
    text, foreign = decode_text(path, "an .mdoc")
    raw = split_mdoc(text)
    if growing and traps.half_written_fate(raw.sections):
        raw = split_mdoc("\n".join(raw.lines[: raw.sections[-1].line - 1]))
    refused = _refusals(raw)
    if refused:
        return MdocExamination(raw, foreign, *_unzipped(refused), None)
    findings = list(traps.file_findings(path, foreign, raw.sections))
    sections = raw.sections
    if traps.half_written_fate(sections) == "left out":
        sections = sections[:-1]
    by_z: dict[int, Entry] = {}
    for section in sections:
        entry = _entry(section)
        if isinstance(entry, tuple):
            refused.append(entry)
            continue
        if entry.z_value in by_z:
            findings.append(traps.duplicate(entry.z_value, (by_z[entry.z_value].line, entry.line)))
        by_z[entry.z_value] = entry
    entries = [by_z[z] for z in sorted(by_z)]
    series = _series(raw, entries, findings) if entries else None
    return MdocExamination(raw, foreign, *_unzipped(refused), series)


def _series(raw: RawMdoc, entries: list[Entry], findings: list[Finding]) -> MdocSeries:
    orders, order_known, order_findings = traps.acquisition_order(entries)
    axis_deg, axis_findings = traps.tilt_axis(raw.header, entries)
    findings += [*traps.dose_findings(entries), *traps.movie_findings(entries), *traps.time_findings(entries)]
    findings += [*order_findings, *axis_findings]
    settings = raw.settings
    pixels = [_number(settings.get("PixelSpacing"), *_PIXEL_RANGE_A), *(entry.pixel_A for entry in entries)]
    return MdocSeries(
        pixel_A=next((pixel for pixel in pixels if pixel is not None), None),
        voltage_kV=_number(settings.get("Voltage"), 1, 1e4),
        tilt_axis_deg=axis_deg,
        image_file=PureWindowsPath(settings.get("ImageFile", "")).name or None,
        shape_yx=_shape(settings.get("ImageSize", "")),
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
        unread=unread(raw, _READ_OF_HEADER, _READ_OF_SECTIONS, traps.READ_TITLES),
    )


def _refusals(raw: RawMdoc) -> list[tuple[Finding, str]]:
    """Say why an .mdoc is not one of a tilt series."""
    fix = "Name the .mdoc of the series."
    for section in raw.sections:
        if "FrameSet" in section:
            message = "this .mdoc belongs to the frames of one image"
            return [(traps.refusal(FindingName.FRAME_SET, "file", message, section.line), fix)]
    pieces = [section.line for section in raw.sections if "MontSection" in section or "PieceCoordinates" in section]
    if raw.settings.get("Montage", "0") not in ("0", "False") or pieces:
        line = raw.header_line("Montage") or next(iter(pieces), None)
        return [(traps.refusal(FindingName.MONTAGE, "file", "this .mdoc belongs to a montage", line), fix)]
    if not raw.sections:
        message = "there is no [ZValue] section in it"
        return [(traps.refusal(FindingName.EMPTY, "file", message, None), "Copy it again.")]
    return []


def _entry(section: RawSection) -> Entry | tuple[Finding, str]:
    """Return what a section says, or why it cannot be read."""

    def refused(message: str, key: str) -> tuple[Finding, str]:
        where = f"section {section['ZValue'][:20]}"
        line = section.lines.get(key, section.line)
        return traps.refusal(FindingName.UNREADABLE, where, message, line), "Mend or remove that section."

    try:
        parsed = _Numbers(**{key: section[key].strip("[]").strip() for key in _NUMBERS if key in section})
    except ValidationError as error:
        wrong = ", ".join(f"{e['loc'][0]} = {str(e['input'])[:40]}" for e in error.errors())
        return refused(wrong, str(error.errors()[0]["loc"][0]))
    if parsed.ZValue is None or not 0 <= parsed.ZValue < 1 << 20:
        return refused("no ZValue can be this", "ZValue")
    if parsed.TiltAngle is None or not -180 <= parsed.TiltAngle <= 180:
        return refused(f"its TiltAngle is {section.get('TiltAngle', 'missing')[:40]}", "TiltAngle")
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
        line=section.line,
        lines=section.lines,
    )


def _unzipped(refused: list[tuple[Finding, str]]) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    return tuple(finding for finding, _ in refused), tuple(fix for _, fix in refused)


def _shape(size: str) -> tuple[int, int] | None:
    """Return rows and columns from an ImageSize, which has columns first."""
    words = size.split()
    if len(words) != 2 or not all(word.isascii() and word.isdigit() and 0 < len(word) < 7 for word in words):
        return None
    columns, rows = map(int, words)
    return (rows, columns) if rows and columns else None


def _number(value: str | float | None, low: float, high: float) -> float | None:
    """Return a number that can be, else None."""
    try:
        number = math.nan if value is None else float(value)
    except ValueError:
        return None
    return number if low <= number <= high else None
