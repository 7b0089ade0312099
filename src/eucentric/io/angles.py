"""Lists of tilt angles: .rawtlt and .tlt, one angle a line, one line a section."""

import math
from collections.abc import Sequence
from pathlib import Path

from eucentric.core import FormatError, write_text
from eucentric.io._text import read_text


def read_angles(path: Path) -> tuple[float, ...]:
    """Read the tilt angles (°) of a .rawtlt or .tlt file; blank lines and comments (`#`) are skipped.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If a line is not one angle between -180° and 180°, or there is none.
    """
    angles = []
    for number, line in enumerate(read_text(Path(path), "a list of tilt angles").split("\n"), start=1):
        content = line.split("#")[0].strip()
        if not content:
            continue
        try:
            angle = float(content)
        except ValueError:
            angle = math.nan
        if not -180 <= angle <= 180:
            raise FormatError(
                f"{path}, line {number}: {content[:40]!r} is not a tilt angle.", "Give one angle (°) on each line."
            )
        angles.append(angle)
    if not angles:
        raise FormatError(f"{path}: there is no angle in it.", "Give one angle (°) on each line.")
    return tuple(angles)


def write_angles(path: Path, tilts_deg: Sequence[float], *, decimals: int = 2) -> None:
    """Write tilt angles (°), one line a section, with two decimals as IMOD does.

    Those of an alignment need more: half a hundredth of a degree is 0.15 px at the edge of an image of 4096.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_text(Path(path), "".join(f"{angle:{decimals + 6}.{decimals}f}\n" for angle in tilts_deg))
