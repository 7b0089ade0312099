"""Places in a specimen as a table: comma-separated columns z_A, y_A and x_A, in Å from the specimen's origin.

The table may be one of particles (`io.exchange.particle_table`), whose other columns say nothing of the place.
"""

import csv
import math
from pathlib import Path

from eucentric.core import FormatError
from eucentric.io._text import read_text, warn_format

_COLUMNS = ("z_A", "y_A", "x_A")
_OF_PARTICLES = ("rot_deg", "tilt_deg", "psi_deg", "label", "half")

Zyx = tuple[float, float, float]


def read_places(path: Path) -> list[Zyx]:
    """Read the places of a table, in its order; the other columns of a table of particles are left alone.

    Raises
    ------
    InputError
        If there is no such file.
    FormatError
        If a column is missing, a number cannot be read, or there is no place.

    Warns
    -----
    FormatWarning
        `unknown-columns`: these were not read.
    """
    path = Path(path)
    rows = list(csv.DictReader(read_text(path, "a table of places").splitlines(), skipinitialspace=True))
    places = []
    for line, row in enumerate(rows, 2):
        try:
            z, y, x = (float(row[column]) for column in _COLUMNS)
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(
                f"{path}, line {line}: a place needs numbers under z_A, y_A and x_A.",
                "Give the table a first line `z_A,y_A,x_A` and a place in Å on each line after it.",
            ) from error
        if None in row:  # what `csv` calls cells without a column
            raise FormatError(f"{path}, line {line}: more cells than the first line names.", "Mend the line.")
        if not all(map(math.isfinite, (z, y, x))):
            raise FormatError(f"{path}, line {line}: {(z, y, x)} is no place.", "Mend the line or leave it out.")
        places.append((z, y, x))
    if not places:
        raise FormatError(f"{path}: no place is in this table.", "Give a first line `z_A,y_A,x_A`, then places in Å.")
    if unknown := [name for name in rows[0] if name not in (*_COLUMNS, *_OF_PARTICLES)]:
        warn_format(path, "unknown-columns", f"these columns were not read: {', '.join(unknown)[:200]}.")
    return places
