"""Tables of a series: which section was recorded when, at what tilt, and with what exposure (CSV)."""

import csv
import io
import math
from pathlib import Path
from typing import Annotated

from pydantic import Field

from eucentric.core import Degrees, ElectronsPerA2, FormatError, Record, TiltSeries, write_text
from eucentric.io._text import read_text, warn_format

_NEEDED = ("section", "acquisition_order")
_NUMBERS = ("stage_tilt_deg", "pre_exposure_e_per_A2", "exposure_e_per_A2")
_KNOWN = (*_NEEDED, *_NUMBERS, "movie")


class TiltRow(Record):
    """One row: a section, its place in the acquisition (both from 0), and what else the table says of it."""

    section: Annotated[int, Field(ge=0)]
    acquisition_order: Annotated[int, Field(ge=0)]
    stage_tilt_deg: Annotated[Degrees, Field(ge=-180, le=180)] | None = None
    pre_exposure_e_A2: ElectronsPerA2 | None = None
    exposure_e_A2: ElectronsPerA2 | None = None
    movie: str | None = None


def read_tilt_table(path: Path) -> tuple[TiltRow, ...]:
    """Read a table with the columns `section` and `acquisition_order`, and any of the optional ones.

    Optional are `stage_tilt_deg`, `pre_exposure_e_per_A2`, `exposure_e_per_A2` and `movie`; cells may be empty.
    Separators are commas, semicolons (then with decimal points or commas) or tabs. Sections and orders may
    count from 0 or from 1.

    Returns
    -------
    tuple of TiltRow
        In section order, both counts from 0.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If a needed column is missing, a cell is not its kind of value, or the counts skip or repeat a number.

    Warns
    -----
    FormatWarning
        `unknown-columns`: these were not read.
    """
    path = Path(path)
    lines = read_text(path, "a table of tilts").split("\n")
    separator = max(",;\t", key=lines[0].count)
    try:
        table = [(number, row) for number, row in enumerate(csv.reader(lines, delimiter=separator), 1) if any(row)]
    except csv.Error as error:
        raise FormatError(f"{path}: not a table of tilts ({error}).", "Name another file.") from error
    names = [name.strip() for name in table[0][1]] if table else []
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise FormatError(
            f"{path}: the column {' and '.join(missing)} is missing; there are {', '.join(names)[:200]}.",
            f"Name the columns in the first line; needed are {' and '.join(_NEEDED)}.",
        )
    if len(set(names)) < len(names):
        raise FormatError(f"{path}: a column name stands twice in {', '.join(names)[:200]}.", "Rename one of them.")
    if unknown := [name for name in names if name not in _KNOWN]:
        warn_format(path, "unknown-columns", f"the columns {', '.join(unknown)[:200]} were not read.")
    rows = []
    for number, cells in table[1:]:
        if len(cells) != len(names):
            raise FormatError(
                f"{path}, line {number}: {len(cells)} cells under {len(names)} columns.", "Mend the line."
            )
        rows.append(_row(path, number, dict(zip(names, (cell.strip() for cell in cells), strict=True)), separator))
    return _counted_from_zero(path, rows)


def _row(path: Path, number: int, cells: dict[str, str], separator: str) -> TiltRow:
    def fail(name: str) -> FormatError:
        return FormatError(f"{path}, line {number}: {name} is {cells[name][:40]!r}.", "Mend that cell.")

    counts = []
    for name in _NEEDED:
        if not (cells[name].isascii() and cells[name].isdigit() and len(cells[name]) < 9):
            raise fail(name)
        counts.append(int(cells[name]))
    values: list[float | None] = []
    for name in _NUMBERS:
        cell = cells.get(name, "")
        try:
            value = float(cell.replace(",", ".") if separator == ";" else cell) if cell else None
        except ValueError:
            value = math.nan
        low, high = (-180.0, 180.0) if name == "stage_tilt_deg" else (0.0, 1e6)
        if value is not None and not low <= value <= high:
            raise fail(name)
        values.append(value)
    return TiltRow(
        section=counts[0],
        acquisition_order=counts[1],
        stage_tilt_deg=values[0],
        pre_exposure_e_A2=values[1],
        exposure_e_A2=values[2],
        movie=cells.get("movie") or None,
    )


def _counted_from_zero(path: Path, rows: list[TiltRow]) -> tuple[TiltRow, ...]:
    if not rows:
        raise FormatError(f"{path}: the table has no rows.", "Give one row for each section.")
    first = {}
    for name in _NEEDED:
        counts = sorted(getattr(row, name) for row in rows)
        if counts[0] > 1 or counts != list(range(counts[0], counts[0] + len(rows))):
            raise FormatError(
                f"{path}: the {len(rows)} values of {name} skip or repeat a number.", "Count from 0 or 1, each once."
            )
        first[name] = counts[0]
    shifted = [row.replace(**{name: getattr(row, name) - first[name] for name in _NEEDED}) for row in rows]
    return tuple(sorted(shifted, key=lambda row: row.section))


def write_tilt_table(path: Path, series: TiltSeries) -> None:
    """Write the table of a series, as `read_tilt_table` reads it: commas, counts from 0, unknown cells empty.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_KNOWN)
    for tilt in series.tilts:
        exposures = (tilt.pre_exposure_e_A2, tilt.exposure_e_A2)
        writer.writerow([tilt.section, tilt.order, f"{tilt.tilt_deg:.2f}", *exposures, tilt.movie])
    write_text(path, text.getvalue())
