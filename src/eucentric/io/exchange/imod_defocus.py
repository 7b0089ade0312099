"""IMOD's .defocus of ctfplotter, version 3, both ways, and what ctfcorrection.com tells of the lens and the hand.

A first line holds the sum of flags (1: astigmatism, 2: its angle in radians, 4: phase shift, 8: that in radians, 16:
tilt angles inverted, 32: cut-on frequency) and ends in the version; each other line has the first and last view,
counted from 1, the lowest and highest tilt, and defocus in nm, underfocus positive; with astigmatism a second defocus
and the direction of the first one, from x towards y as rows are stored, in the images before alignment
(`ctfphaseflip` turns it by the .xf that TransformFile names).

`ctfphaseflip` takes a place at +x of a vertical axis, tilted by a positive angle, for farther under focus: our hand -1.
InvertTiltAngles is for the other one.
"""

import math
from pathlib import Path

from eucentric.core import Alignment, FormatError
from eucentric.io._text import read_text
from eucentric.io.exchange.imod_com import Options
from eucentric.optics import HandVerdict, Lens, SeriesCTF, TiltCTF

_ASTIGMATISM, _ASTIGMATISM_RAD, _PHASE, _PHASE_RAD, _INVERTED, _CUT_ON = (1 << bit for bit in range(6))
# As sure as what may just be relied on: IMOD does not say how its user knew.
_TOLD_LOG_ODDS = 3.0
_SAME_DEG = 0.02  # both have two decimals
_MAX_COVERED = 200_000  # views, by all lines together


def format_defocus(ctf: SeriesCTF) -> str:
    """Return the text of a file, a line for each section."""
    phase = any(tilt.phase_shift_deg for tilt in ctf.tilts)
    lines = [f"{_ASTIGMATISM + (_PHASE if phase else 0)}  0  0.0  0.0  0.0  3"]
    for tilt in ctf.tilts:
        view = tilt.section + 1
        lines.append(
            f"{view:4d} {view:4d} {tilt.tilt_deg:8.2f} {tilt.tilt_deg:8.2f}"
            f" {tilt.defocus_u_A / 10:10.3f} {tilt.defocus_v_A / 10:10.3f} {tilt.azimuth_deg:8.2f}"
            + (f" {tilt.phase_shift_deg:8.2f}" if phase else "")
        )
    return "\n".join(lines) + "\n"


def ctf_options(ctf: SeriesCTF, name: str, binning: int) -> dict[str, str]:
    """Return the options of ctfphaseflip, for aligned images binned so often."""
    return {
        "InputStack": f"{name}_ali.mrc",
        "AngleFile": f"{name}.tlt",
        "InvertTiltAngles": "1" if ctf.hand and ctf.hand.hand > 0 else "0",
        "OutputFileName": f"{name}_ctfcorr.mrc",
        "DefocusFile": f"{name}.defocus",
        "TransformFile": f"{name}.xf",
        "Voltage": f"{round(ctf.lens.voltage_kV)}",
        "SphericalAberration": f"{ctf.lens.cs_mm:g}",
        "DefocusTol": "200",
        "PixelSize": f"{ctf.pixel_A * binning / 10:.6g}",
        "AmplitudeContrast": f"{ctf.lens.amplitude_contrast:g}",
        "InterpolationWidth": "20",
    }


def read_defocus(path: Path, alignment: Alignment, com: Options | None) -> tuple[SeriesCTF, tuple[str, ...]]:
    """Read the defocus of each view of an alignment, and say what was left out.

    A view has the mean of the lines that cover it, and where none does, the nearest line's, marked as not used.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is not such a file, or a number cannot be.
    """
    rows = [line.split() for line in read_text(path, "a defocus file").split("\n") if line.strip()]
    try:
        numbers = [[float(word) for word in row] for row in rows[:100_000]]
    except ValueError:
        raise FormatError(f"{path}: holds words where numbers were expected.", "Save it again.") from None
    if not numbers or not all(math.isfinite(value) and abs(value) < 1e6 for row in numbers for value in row):
        raise FormatError(f"{path}: is not a list of defoci.", "Save it again.")
    flags = 0
    # Version 2 has its number as a sixth one of the first line of data; version 3 has a line for itself.
    if len(numbers[0]) == 6 and numbers[0][5] >= 3:
        flags = int(numbers.pop(0)[0])
    offset = 0
    if numbers and len(numbers[0]) == 5 and numbers[0][0] == 0:
        offset = 1  # before version 2, views were counted from 0
    by_view: dict[int, list[tuple[float, ...]]] = {}
    covered = 0
    for row in numbers:
        line = _line(path, row, flags)
        for view in range(max(int(row[0]) + offset, 1), min(int(row[1]) + offset, len(alignment.tilts)) + 1):
            by_view.setdefault(view - 1, []).append(line)
            covered += 1
        if covered > _MAX_COVERED:
            raise FormatError(f"{path}: its lines cover the views too often.", "Save it again.")
    if not by_view:
        raise FormatError(f"{path}: none of its lines is of a view of this series.", "Name the right file.")
    dropped = _unread(path, numbers, flags, offset, alignment)
    tilts = tuple(_tilt(alignment, section, by_view) for section in range(len(alignment.tilts)))
    lens, hand = Lens(voltage_kV=300, cs_mm=2.7, amplitude_contrast=0.07), None
    if com is None:
        dropped.append(
            f"{path}: does not tell voltage, Cs and amplitude contrast, and there is no ctfcorrection.com: 300 kV,"
            " 2.7 mm and 0.07 were taken."
        )
        if flags & _INVERTED:
            dropped.append(f"{path}: that its tilts are inverted was not read; the hand is not known.")
    else:
        lens = Lens(
            voltage_kV=com.number("Voltage", 300),
            cs_mm=com.number("SphericalAberration", 2.7),
            amplitude_contrast=com.number("AmplitudeContrast", 0.07),
        )
        inverted = com.text("InvertTiltAngles").lower() in ("1", "t", "true", "yes", "on") or (
            "InvertTiltAngles" in com and not com.text("InvertTiltAngles")
        )
        if flags & _INVERTED and not inverted:
            dropped.append(f"{path}: that its tilts are inverted was not read; {com.path} has no InvertTiltAngles.")
        hand = HandVerdict(hand=1 if inverted else -1, log_odds=_TOLD_LOG_ODDS)
    axis = sum(view.axis_deg for view in alignment.tilts) / len(alignment.tilts)
    ctf = SeriesCTF(lens=lens, pixel_A=alignment.pixel_A, axis_deg=axis, tilts=tilts, hand=hand)
    return ctf, tuple(dropped)


def _n_numbers(flags: int) -> int:
    return 5 + (2 if flags & _ASTIGMATISM else 0) + (1 if flags & _PHASE else 0) + (1 if flags & _CUT_ON else 0)


def _unread(path: Path, rows: list[list[float]], flags: int, offset: int, alignment: Alignment) -> list[str]:
    """Return sentences on what is passed over in the lines."""
    told = []
    if flags & _CUT_ON:
        told.append(f"{path}: the cut-on frequencies were not read.")
    if flags >> 6:
        told.append(f"{path}: its flags {flags} tell of something that is not known here; it was not read.")
    # The version of a file of version 2 is a sixth number of its first line.
    longer = [row for i, row in enumerate(rows) if len(row) > _n_numbers(flags) + (i == 0 and flags == 0)]
    if longer:
        told.append(f"{path}: {len(longer)} lines go on, such as with {longer[0][-1]:g}; that was not read.")
    n, tilts = len(alignment.tilts), [view.tilt_deg for view in alignment.tilts]
    sign = -1 if flags & _INVERTED else 1
    beyond, off_deg = 0, 0.0
    for row in rows:
        first, last = int(row[0]) + offset, int(row[1]) + offset
        beyond += not 1 <= first <= last <= n
        seen = [sign * tilt for tilt in tilts[max(first, 1) - 1 : max(last, 0)]]
        if seen:
            off_deg = max(off_deg, abs(min(row[2:4]) - min(seen)), abs(max(row[2:4]) - max(seen)))
    if beyond:
        told.append(f"{path}: {beyond} lines are of views that the .xf does not have.")
    if off_deg > _SAME_DEG:
        told.append(f"{path}: its tilts, up to {off_deg:.2f}° off the alignment's, were not read; its views were.")
    return told


def _line(path: Path, row: list[float], flags: int) -> tuple[float, ...]:
    """Return the defoci u and v (Å), the azimuth and the phase shift (°) of a line."""
    needed = _n_numbers(flags)
    if len(row) < needed:
        raise FormatError(f"{path}: a line has {len(row)} numbers where {needed} were expected.", "Save it again.")
    u = v = row[4] * 10
    azimuth = phase = 0.0
    at = 5
    if flags & _ASTIGMATISM:
        v = row[5] * 10
        azimuth = math.degrees(row[6]) if flags & _ASTIGMATISM_RAD else row[6]
        at = 7
    if flags & _PHASE:
        phase = math.degrees(row[at]) if flags & _PHASE_RAD else row[at]
    if u < v:
        u, v, azimuth = v, u, azimuth + 90
    return u, v, azimuth, phase


def _tilt(alignment: Alignment, section: int, by_view: dict[int, list[tuple[float, ...]]]) -> TiltCTF:
    known = section in by_view
    lines = by_view[section if known else min(by_view, key=lambda other: abs(other - section))]
    n = len(lines)
    mean = sum(line[0] + line[1] for line in lines) / (2 * n)
    # Astigmatism is a vector of twice the angle: so are lines of several angles averaged.
    cosine = sum((line[0] - line[1]) / 2 * math.cos(math.radians(2 * line[2])) for line in lines) / n
    sine = sum((line[0] - line[1]) / 2 * math.sin(math.radians(2 * line[2])) for line in lines) / n
    half = math.hypot(cosine, sine)
    view = alignment.tilts[section]
    return TiltCTF(
        section=section,
        tilt_deg=view.tilt_deg,
        defocus_u_A=mean + half,
        defocus_v_A=mean - half,
        azimuth_deg=math.degrees(math.atan2(sine, cosine)) / 2,
        phase_shift_deg=sum(line[3] for line in lines) / n,
        score=0.0,  # not in the file
        used=view.used and known,
        reason=view.reason or ("" if known else "no line of the .defocus is of this view"),
    )
