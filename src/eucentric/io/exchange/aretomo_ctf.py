"""AreTomo's _CTF.txt: a row for each view of the stack, dark ones too.

Defocus is in Å, underfocus positive, the larger first; its azimuth goes from x towards y, as rows are stored; the phase
shift is in radians. The eighth column, of AreTomo3 alone, is the defocus hand: -1 where a place towards +x of a tilt
axis along y, tilted by a positive angle, is farther under focus (`CTiltInducedZ`): ours.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from eucentric.core import Alignment, FormatError
from eucentric.io._text import read_text
from eucentric.optics import HandVerdict, Lens, SeriesCTF, TiltCTF

NOT_RESOLVED_A = 999.0
_HEADING = (
    "# Columns: #1 micrograph number; #2 - defocus 1 [A]; #3 - defocus 2; #4 - azimuth of astigmatism; "
    "#5 - additional phase shift [radian]; #6 - cross correlation; "
    "#7 - spacing (in Angstroms) up to which CTF rings were fit successfully"
)
# As sure as what may just be relied on: AreTomo3 does not say how sure it was. A -1 is not relied on: AreTomo3 writes
# it before it turns the axis of the .aln by 180°, after which the hand is +1 (`CAreTomoMain::mFindCtf`).
_TOLD_LOG_ODDS = {1: 3.0, -1: 0.0}
# Not in the file: AreTomo's own values where its user gives none.
_LENS = Lens(voltage_kV=300, cs_mm=2.7, amplitude_contrast=0.07)


def format_ctf(ctf: SeriesCTF, sections: Sequence[int]) -> str:
    """Return the text of a file, for a stack of these sections in this order.

    Without a hand there are seven columns, as CTFFIND's have: AreTomo3 then takes +1 itself.
    """
    lines = [_HEADING + ("; #8 - dfHand" if ctf.hand else "")]
    for number, section in enumerate(sections, start=1):
        tilt = ctf.tilts[section]
        lines.append(
            f"{number:4d}   {tilt.defocus_u_A:8.2f}  {tilt.defocus_v_A:8.2f}  {tilt.azimuth_deg:8.2f}"
            f"  {math.radians(tilt.phase_shift_deg):9.4f}  {tilt.score:8.4f}"
            f"  {tilt.fit_resolution_A or NOT_RESOLVED_A:8.4f}" + (f"  {ctf.hand.hand:3d}" if ctf.hand else "")
        )
    return "\n".join(lines) + "\n"


def read_ctf(path: Path, alignment: Alignment) -> tuple[SeriesCTF, tuple[str, ...]]:
    """Read the CTF of a series, in the order of its sections, and say what was left out.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is not such a file, or of another series.
    """
    views = alignment.tilts
    rows: dict[int, list[float]] = {}
    for number, line in enumerate(read_text(path, "a table of CTFs").split("\n"), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            values = [float(word) for word in line.split()]
        except ValueError:
            values = []
        if len(values) not in (7, 8) or not all(abs(value) < 1e7 for value in values):
            raise FormatError(f"{path}, line {number}: 7 or 8 numbers were expected.", "Estimate the CTF again.")
        rows[int(values[0])] = values
        if len(rows) > len(views):
            break
    in_order = [rows[key] for key in sorted(rows)]
    keys = sorted(rows)
    if len(rows) != len(views) or keys[-1] - keys[0] != len(views) - 1:
        raise FormatError(
            f"{path}: has no row for each of the {len(views)} views of the stack.", "Estimate the CTF again."
        )
    tilts = []
    for view, row in zip(views, in_order, strict=True):
        u, v, azimuth, resolution = row[1], row[2], row[3], row[6]
        if u < v:
            u, v, azimuth = v, u, azimuth + 90
        tilts.append(
            TiltCTF(
                section=view.section,
                tilt_deg=view.tilt_deg,
                defocus_u_A=u,
                defocus_v_A=v,
                azimuth_deg=azimuth,
                phase_shift_deg=math.degrees(row[4]),
                score=row[5],
                fit_resolution_A=resolution if 0 < resolution < NOT_RESOLVED_A else None,
                used=view.used,
                reason=view.reason,
            )
        )
    dropped = [
        f"{path}: does not tell {_LENS.voltage_kV:g} kV, Cs {_LENS.cs_mm:g} mm and amplitude contrast"
        f" {_LENS.amplitude_contrast:g}: these are what AreTomo3 takes where it is not told."
    ]
    ctf = SeriesCTF(
        lens=_LENS,
        pixel_A=alignment.pixel_A,
        axis_deg=sum(view.axis_deg for view in views) / len(views),
        tilts=tuple(tilts),
        hand=_hand(path, in_order, dropped),
    )
    return ctf, tuple(dropped)


def _hand(path: Path, rows: Sequence[Sequence[float]], dropped: list[str]) -> HandVerdict | None:
    """Return the defocus hand of the eighth column, and add to `dropped` what speaks against it."""
    hands = {row[7] for row in rows if len(row) == 8}
    if not hands:
        return None
    if len(hands) > 1 or not hands <= {1, -1} or any(len(row) == 7 for row in rows):
        shown = ", ".join(f"{hand:g}" for hand in sorted(hands)[:8])
        dropped.append(
            f"{path}: the eighth column, the defocus hand, was not read; it is not 1 or -1 for all: {shown}."
        )
        return None
    if hands == {-1}:
        dropped.append(
            f"{path}: says that the defocus hand is -1. AreTomo3 may have turned the axis by 180° in the .aln after"
            " it wrote this, which would make it +1: check the hand."
        )
        return HandVerdict(hand=-1, log_odds=_TOLD_LOG_ODDS[-1])
    return HandVerdict(hand=1, log_odds=_TOLD_LOG_ODDS[1])
