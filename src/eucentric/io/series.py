"""A tilt series from its stack and whatever lies beside it: angles, an .mdoc, a table, an extended header."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from eucentric.core import InputError, Tilt, TiltSeries
from eucentric.io._text import warn_data
from eucentric.io.angles import read_angles
from eucentric.io.mdoc import MdocSeries, read_mdoc
from eucentric.io.mrc import MrcImage, open_mrc
from eucentric.io.tables import TiltRow, read_tilt_table

_DISAGREE_DEG = 1.0  # stages read back within some 0.1°; more means other sections or another order
_SAME_DEG = 0.01  # angle lists have two decimals


@dataclass(frozen=True)
class LoadedSeries:
    """A series and its images.

    Attributes
    ----------
    series
        What is known of it.
    images
        Memory-mapped and read-only, shape (n, y, x); nothing of them has been read.
    sources
        Every file that was read, the stack first.
    notes
        What was found beside the stack, and where each fact comes from; for the user to read.
    unread
        What the .mdoc holds beside it, as in `MdocSeries`.
    """

    series: TiltSeries
    images: NDArray[Any]
    sources: tuple[Path, ...]
    notes: tuple[str, ...]
    unread: tuple[str, ...] = ()


@dataclass
class _Facts:
    """What the files say, as they are read."""

    stack: Path
    image: MrcImage
    sources: list[Path]
    notes: list[str]
    angles: dict[str, tuple[float, ...]] = field(default_factory=dict)  # by the file that gives them, the best first

    def check_count(self, where: Path, what: str, n: int) -> None:
        if n != len(self.image.data):
            raise InputError(
                f"{self.stack} has {len(self.image.data)} sections, {where} has {n} {what}.",
                "Give files of the same series, or take out the lines of sections that were removed.",
            )


def load_series(
    stack: Path,
    *,
    angles: Path | None = None,
    tilts: Path | None = None,
    mdoc: Path | None = None,
    pixel_A: float | None = None,
    name: str | None = None,
) -> LoadedSeries:
    """Load a tilt series, reading no pixels.

    Parameters
    ----------
    stack
        MRC stack, one section a tilt.
    angles, tilts, mdoc
        A list of angles (.rawtlt, .tlt), a table (.csv) and an .mdoc. Where none of the three is given, they are
        looked for beside the stack under its name.
    pixel_A
        Pixel size (Å), in place of what the files say.
    name
        Name of the series; by default that of the stack.

    Notes
    -----
    Angles are taken from the list, else the .mdoc, else the table, else the extended header; order and exposures
    from the table, else the .mdoc; the pixel size from the stack, else the .mdoc.

    Raises
    ------
    InputError
        If the files do not belong together, give no angles or no pixel size, or angles that are no tilt series.
    FormatError
        If one of them cannot be read.

    Warns
    -----
    DataWarning
        `angles-disagree`, `same-angle` or `pixel-size`: the data may not be what they seem.
    """
    stack = Path(stack)
    facts = _Facts(stack, open_mrc(stack), [stack], [])
    if angles is tilts is mdoc is None:
        angles, tilts, mdoc = _look_beside(stack, facts.notes)
    if angles is not None:
        listed = read_angles(angles)
        facts.check_count(angles, "angles", len(listed))
        facts.sources.append(Path(angles))
        facts.angles[str(angles)] = listed
    series = _read_mdoc(facts, mdoc)
    rows = _read_table(facts, tilts)
    if facts.image.tilts_deg is not None:
        facts.angles["the extended header"] = facts.image.tilts_deg
    chosen = _choose_angles(facts)
    tilt_list, order_known = _tilts(facts, chosen, series, rows)
    try:
        loaded = TiltSeries(
            name=stack.stem if name is None else name,
            pixel_A=_choose_pixel(facts, pixel_A, series),
            shape_yx=facts.image.data.shape[1:],
            tilts=tilt_list,
            order_known=order_known,
            tilt_axis_deg=series.tilt_axis_deg if series else None,
            voltage_kV=series.voltage_kV if series else None,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"{stack}: {'.'.join(map(str, first['loc']))}: {first['msg']}.", "Mend that setting."
        ) from error
    unread = series.unread if series else ()
    return LoadedSeries(loaded, facts.image.data, tuple(facts.sources), tuple(facts.notes), unread)


def _look_beside(stack: Path, notes: list[str]) -> tuple[Path | None, Path | None, Path | None]:
    """Return the list of angles, the table and the .mdoc that go by the name of the stack."""
    found = []
    for suffixes in ((".rawtlt", ".tlt"), (".csv",), (".mdoc",)):
        names = [stack.with_suffix(suffix) for suffix in suffixes]
        if suffixes == (".mdoc",):
            names.insert(0, stack.with_name(f"{stack.name}.mdoc"))
        present = [path for path in names if path.is_file()]
        found.append(present[0] if present else None)
        if present:
            also = f" (and not {', '.join(path.name for path in present[1:])})" if present[1:] else ""
            notes.append(f"{present[0].name} was found beside the stack and read{also}.")
    return found[0], found[1], found[2]


def _read_mdoc(facts: _Facts, mdoc: Path | None) -> MdocSeries | None:
    if mdoc is None:
        return None
    series = read_mdoc(mdoc)
    facts.check_count(mdoc, "sections", len(series.sections))
    facts.sources.append(Path(mdoc))
    facts.notes += [f"{Path(mdoc).name}: {f.message} [{f.name}]" for f in series.findings if f.severity == "note"]
    if [section.z_value for section in series.sections] != list(range(len(series.sections))):
        facts.notes.append(f"{Path(mdoc).name}: its ZValues skip numbers; its sections were matched in their order.")
    facts.angles[str(mdoc)] = tuple(section.tilt_deg for section in series.sections)
    return series


def _read_table(facts: _Facts, table: Path | None) -> tuple[TiltRow, ...] | None:
    if table is None:
        return None
    rows = read_tilt_table(table)
    facts.check_count(table, "rows", len(rows))
    facts.sources.append(Path(table))
    given = tuple(row.stage_tilt_deg for row in rows if row.stage_tilt_deg is not None)
    if given:
        facts.check_count(table, "tilt angles", len(given))
        facts.angles[str(table)] = given
    return rows


def _choose_angles(facts: _Facts) -> tuple[float, ...]:
    if not facts.angles:
        raise InputError(
            f"{facts.stack}: no tilt angles were given, nor found beside the stack or in its header.",
            "Give them with --angles, a file with one angle for each section.",
        )
    (source, chosen), *others = facts.angles.items()
    facts.notes.append(f"Tilt angles are from {Path(source).name}.")
    for other, angles in others:
        apart = np.abs(np.subtract(chosen, angles))
        if apart.max() > _DISAGREE_DEG:
            worst = int(apart.argmax())
            warn_data(
                facts.stack,
                "angles-disagree",
                f"section {worst} is at {chosen[worst]:g}° in {source}, at {angles[worst]:g}° in {other}; "
                "the first was believed.",
            )
    n = len(chosen)
    if n > 1 and max(chosen) - min(chosen) <= _SAME_DEG:
        raise InputError(
            f"{facts.stack}: all {n} sections are at {chosen[0]:g}° in {source}; this is no tilt series.",
            "Give the right angles with --angles.",
        )
    by_angle = sorted(range(n), key=chosen.__getitem__)
    same = [sorted((a, b)) for a, b in pairwise(by_angle) if chosen[b] - chosen[a] <= _SAME_DEG]
    if same:
        pairs = ", ".join(f"{a} and {b} at {chosen[a]:g}°" for a, b in same[:5])
        warn_data(facts.stack, "same-angle", f"sections {pairs} have the same tilt; both were kept.")
    return chosen


def _choose_pixel(facts: _Facts, given: float | None, series: MdocSeries | None) -> float:
    in_mdoc, in_stack = series.pixel_A if series else None, facts.image.pixel_A
    if given is not None:
        return given
    if in_stack is not None:
        if in_mdoc is not None and abs(in_mdoc / in_stack - 1) > 0.05:  # more than any recalibration
            message = f"the pixel is {in_stack:g} Å in the stack, {in_mdoc:g} Å in the .mdoc; the stack was believed."
            warn_data(facts.stack, "pixel-size", message)
        return in_stack
    if in_mdoc is None:
        raise InputError(f"{facts.stack}: no file gives its pixel size.", "Give it in Å with --pixel.")
    facts.notes.append("The pixel size is from the .mdoc.")
    return in_mdoc


def _tilts(
    facts: _Facts, angles: Sequence[float], series: MdocSeries | None, rows: Sequence[TiltRow] | None
) -> tuple[tuple[Tilt, ...], bool]:
    """Join the facts of each section; the order of the sections stands where no order is known."""
    n = len(angles)
    orders, known = list(range(n)), False
    exposures: list[float | None] = [None] * n
    priors: list[float | None] = [None] * n
    movies: list[str | None] = [None] * n
    if series:
        orders, known = [section.order for section in series.sections], series.order_known
        exposures = [section.exposure_e_A2 for section in series.sections]
        priors = [section.pre_exposure_e_A2 for section in series.sections]
        movies = [section.movie for section in series.sections]
    elif facts.image.sections:
        exposures = [section.exposure_e_A2 for section in facts.image.sections]
    if rows:
        orders, known = [row.acquisition_order for row in rows], True
        exposures = [
            e if row.exposure_e_A2 is None else row.exposure_e_A2 for e, row in zip(exposures, rows, strict=True)
        ]
        priors = [
            p if row.pre_exposure_e_A2 is None else row.pre_exposure_e_A2 for p, row in zip(priors, rows, strict=True)
        ]
        movies = [row.movie or movie for movie, row in zip(movies, rows, strict=True)]
    if known and None in priors and None not in exposures:
        doses = np.array(exposures, dtype=float)
        placed = np.empty(n)
        placed[orders] = doses
        priors = (np.cumsum(placed) - placed)[orders].tolist()
        facts.notes.append("Exposures received before each tilt were summed from those of the earlier tilts.")
    if not known:
        facts.notes.append("The order of acquisition is not known; that of the sections is assumed.")
    tilts = tuple(
        Tilt(section=i, tilt_deg=tilt, order=order, exposure_e_A2=exposure, pre_exposure_e_A2=prior, movie=movie)
        for i, (tilt, order, exposure, prior, movie) in enumerate(
            zip(angles, orders, exposures, priors, movies, strict=True)
        )
    )
    return tilts, known
