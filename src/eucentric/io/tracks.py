"""Tracks of beads: CSV with the columns `bead, view, x_px, y_px`, and IMOD's fiducial models.

Places are array indices everywhere in here: the centre of the first pixel is at 0. IMOD's are half a pixel larger, and
are converted as they are read and written.
"""

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric.core import FormatError, write_text
from eucentric.io._text import read_text, warn_format
from eucentric.io.imod_model import ImodModel, ImodObject, is_imod_model, read_imod_model, write_imod_model

_KIND = "a table of tracks"
_COLUMNS = ("bead", "view", "x_px", "y_px")
_IMOD_HALF_PX = 0.5
_BETWEEN_SECTIONS = 0.25  # a point farther from a whole section is in none


@dataclass(frozen=True)
class TrackTable:
    """Observations: bead (m,), view (m,) from 0, and place yx (m, 2) as array indices.

    `shape_yx` and `pixel_A` are those of the images, where the file says them.
    """

    bead: NDArray[np.int64]
    view: NDArray[np.int64]
    yx_px: NDArray[np.float64]
    shape_yx: tuple[int, int] | None = None
    pixel_A: float | None = None


def read_tracks(path: Path) -> TrackTable:
    """Read tracks from an IMOD model, where the file is one, and else from CSV.

    Of a model each contour with points is a bead, numbered from 0 through all objects; z is the view.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is not what it should be, or holds no track.

    Warns
    -----
    FormatWarning
        `unknown-columns`: these were not read; `between-sections`: points that lie in no section were left out.
    """
    path = Path(path)
    return _from_model(path, read_imod_model(path)) if is_imod_model(path) else _from_csv(path)


def write_tracks(path: Path, table: TrackTable) -> None:
    """Write CSV, places to the thousandth of a pixel.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_COLUMNS)
    for bead, view, (y, x) in zip(table.bead, table.view, table.yx_px, strict=True):
        rows.writerow([int(bead), int(view), f"{x:.3f}", f"{y:.3f}"])
    write_text(Path(path), text.getvalue())


def write_fiducials(
    path: Path, table: TrackTable, views: int, shape_yx: tuple[int, int], pixel_A: float | None = None
) -> None:
    """Write a fiducial model as IMOD's `tiltalign` reads it: one object, a contour for each bead, z the view.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    contours = []
    for bead in np.unique(table.bead):
        mine = table.bead == bead
        x, y = table.yx_px[mine, 1] + _IMOD_HALF_PX, table.yx_px[mine, 0] + _IMOD_HALF_PX
        contours.append(np.stack((x, y, table.view[mine]), axis=1).astype(np.float32))
    model = ImodModel(
        objects=(ImodObject(contours=tuple(contours), name="beads"),),
        size_xyz=(shape_yx[1], shape_yx[0], views),
        name="tracks of beads",
        pixel_A=pixel_A,
    )
    write_imod_model(path, model)


def _from_model(path: Path, model: ImodModel) -> TrackTable:
    contours = [contour for one in model.objects for contour in one.contours if len(contour)]
    if not contours:
        raise FormatError(f"{path}: there is no contour with points in this model.", "Name the fiducial model.")
    bead = np.repeat(np.arange(len(contours)), [len(contour) for contour in contours])
    points = np.concatenate(contours).astype(np.float64)
    view = np.floor(points[:, 2] + 0.5)
    inside = (np.abs(points[:, 2] - view) <= _BETWEEN_SECTIONS) & (view >= 0)
    if not inside.all():
        warn_format(path, "between-sections", f"{(~inside).sum()} points lie in no section; they were left out.")
    if not inside.any():
        raise FormatError(f"{path}: no point of this model lies in a section.", "Name the fiducial model.")
    columns, rows, _ = model.size_xyz
    return TrackTable(
        bead=bead[inside],
        view=view[inside].astype(np.int64),
        yx_px=points[inside][:, 1::-1] - _IMOD_HALF_PX,
        shape_yx=(rows, columns) if rows > 0 and columns > 0 else None,
        pixel_A=model.pixel_A,
    )


def _from_csv(path: Path) -> TrackTable:
    lines = read_text(path, _KIND).split("\n")
    separator = max(",;\t", key=lines[0].count)
    try:
        table = [(number, row) for number, row in enumerate(csv.reader(lines, delimiter=separator), 1) if any(row)]
    except csv.Error as error:
        raise FormatError(f"{path}: not {_KIND} ({error}).", "Name another file.") from error
    if not table:
        raise FormatError(f"{path}: {_KIND} was expected, and there is nothing in it.", "Name another file.")
    header = [cell.strip().lower() for cell in table[0][1]]
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise FormatError(
            f"{path}: column {', '.join(missing)} is missing; there are {', '.join(header)}.",
            f"The first line names the columns: {','.join(_COLUMNS)}.",
        )
    unknown = [name for name in header if name and name not in _COLUMNS]
    if unknown:
        warn_format(path, "unknown-columns", f"columns {', '.join(unknown)} are not known and were not read.")
    at = [header.index(name) for name in _COLUMNS]
    for number, row in table[1:]:
        if any(row[len(header) :]):
            raise FormatError(f"{path}, line {number}: more cells than the first line names.", "Mend the line.")
    rows = [_row(path, number, row, at, separator) for number, row in table[1:]]
    if not rows:
        raise FormatError(f"{path}: there are no rows in it.", "Name another file.")
    values = np.array(rows, dtype=np.float64)
    return TrackTable(values[:, 0].astype(np.int64), values[:, 1].astype(np.int64), values[:, 3:1:-1].copy())


def _row(path: Path, number: int, row: list[str], at: list[int], separator: str) -> tuple[int, int, float, float]:
    cells = [row[place].strip() if place < len(row) else "" for place in at]
    if separator == ";":
        cells = [cell.replace(",", ".") for cell in cells]
    try:
        bead, view, x, y = int(cells[0]), int(cells[1]), float(cells[2]), float(cells[3])
    except ValueError:
        bead, view, x, y = -1, -1, math.nan, math.nan
    if not (0 <= bead < 1 << 31 and 0 <= view < 1 << 31 and abs(x) < 1e6 and abs(y) < 1e6):
        raise FormatError(
            f"{path}, line {number}: {separator.join(cells)[:60]!r} is no observation of a bead.",
            "Give the bead's number, the view from 0, and x and y in pixels.",
        )
    return bead, view, x, y
