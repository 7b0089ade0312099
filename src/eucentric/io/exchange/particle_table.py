"""Particles as a table: places in Å from the specimen's origin, and orientations as RELION has them (CSV).

The columns z_A, y_A and x_A are those of `io.places`, so that one table serves both.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from eucentric.core import FormatError, write_text
from eucentric.io._text import read_text, warn_format
from eucentric.io.exchange.records import Particle

_PLACE = ("z_A", "y_A", "x_A")
_ANGLES = ("rot_deg", "tilt_deg", "psi_deg")
_COLUMNS = (*_PLACE, *_ANGLES, "label", "half")


def write_particles(path: Path, particles: Sequence[Particle]) -> None:
    """Write a table of particles, nothing rounded.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for one in particles:
        writer.writerow([*one.position_zyx_A, one.rot_deg, one.tilt_deg, one.psi_deg, one.label, one.half])
    write_text(Path(path), text.getvalue())


def read_particles(path: Path) -> tuple[Particle, ...]:
    """Read a table of particles: z_A, y_A and x_A are needed; angles are 0 where absent, and the rest may be too.

    Raises
    ------
    InputError
        If there is no such file.
    FormatError
        If a column is missing, a value cannot be read, or there is no particle.

    Warns
    -----
    FormatWarning
        `unknown-columns`: these were not read.
    """
    path = Path(path)
    lines = read_text(path, "a table of particles").split("\n")
    try:
        rows = list(csv.DictReader(lines, skipinitialspace=True))
    except csv.Error as error:
        raise FormatError(f"{path}: not a table of particles ({error}).", "Name another file.") from error
    names = [name for name in (rows[0] if rows else {}) if name]
    if unknown := [name for name in names if name not in _COLUMNS]:
        warn_format(path, "unknown-columns", f"the columns {', '.join(unknown)[:200]} were not read.")
    particles = []
    for line, row in enumerate(rows, start=2):
        if None in row:  # what `csv` calls cells without a column
            raise FormatError(f"{path}, line {line}: more cells than the first line names.", "Mend the line.")
        cells = {name: row[name] for name in _COLUMNS if row.get(name)}
        try:
            particles.append(
                Particle.model_validate(
                    {
                        "position_zyx_A": tuple(float(cells.pop(name)) for name in _PLACE),
                        **{name: float(cells.pop(name)) for name in _ANGLES if name in cells},
                        **({"half": int(cells.pop("half"))} if "half" in cells else {}),
                        **cells,
                    }
                )
            )
        except (KeyError, ValueError) as error:  # ValidationError is a ValueError
            why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            raise FormatError(
                f"{path}, line {line}: no particle can be read ({why[:120]}).",
                f"Give the table a first line such as `{','.join(_COLUMNS)}`, and numbers under it.",
            ) from error
    if not particles:
        raise FormatError(f"{path}: no particle is in this table.", f"Its first line is `{','.join(_COLUMNS)}`.")
    return tuple(particles)
