"""The tables of a RELION-5 project that hold a row for every series: optics, hand, and tomograms."""

import math
from collections.abc import Sequence
from pathlib import Path

from eucentric.core import InputError
from eucentric.io.exchange.placing import place
from eucentric.io.exchange.records import ProcessedSeries
from eucentric.io.exchange.relion_labels import SIZES, VOLUMES
from eucentric.optics import Lens

Row = dict[str, object]

# Labels without which RELION refuses a series, and what its own importer offers where nobody knows better.
_DEFAULT_kV, _DEFAULT_CS_mm, _DEFAULT_CONTRAST = 300.0, 2.7, 0.1

_ENDINGS = {"tomogram": "", "tomogram_even": "_half1", "tomogram_odd": "_half2"}


def global_rows(series: Sequence[ProcessedSeries]) -> tuple[list[Row], list[str]]:
    """Return the rows of data_global that every stage of a project has, and what they cannot hold."""
    rows: list[Row] = []
    dropped: list[str] = []
    groups: dict[tuple[float, ...], int] = {}
    # Before motion correction RELION has no such column; a stack, an alignment or another pixel is of after it.
    corrected = any(
        one.alignment or one.ctf or one.files.stack or one.original_pixel_A != one.series.pixel_A for one in series
    )
    for one in series:
        name, pixel_A = one.series.name, one.series.pixel_A
        kV, cs_mm, contrast = _optics(one, dropped)
        group = groups.setdefault((kV, cs_mm, contrast, pixel_A), len(groups) + 1)
        row: Row = {
            "rlnTomoName": name,
            "rlnTomoTiltSeriesStarFile": f"tilt_series/{name}.star",
            "rlnVoltage": kV,
            "rlnSphericalAberration": cs_mm,
            "rlnAmplitudeContrast": contrast,
            "rlnMicrographOriginalPixelSize": one.original_pixel_A,
            "rlnTomoHand": _hand(one, dropped),
            "rlnOpticsGroupName": f"opticsGroup{group}",
        }
        if corrected:
            row["rlnTomoTiltSeriesPixelSize"] = pixel_A
        # RELION looks at the images themselves; where there are none, whoever reads this finds their size here.
        row["rlnImageSizeX"], row["rlnImageSizeY"] = reversed(one.series.shape_yx)
        rows.append(row)
    doses = [_exposure_e_A2(one) for one in series]
    for one, row, dose in zip(series, rows, doses, strict=True):
        if all(doses):
            row["rlnTomoImportFractionalDose"] = dose
        elif any(tilt.exposure_e_A2 is not None for tilt in one.series.tilts):
            dropped.append(
                f"{one.series.name}: the exposure of each tilt has no column; RELION takes the difference of the first"
                " two pre-exposures."
            )
    return rows, dropped


def optics_of(row: Row) -> tuple[int, dict[str, object]]:
    """Return the number of a row's optics group, and what the optics table of particles says of it."""
    labels = ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast", "rlnTomoTiltSeriesPixelSize")
    values = {label: row.get(label, row["rlnMicrographOriginalPixelSize"]) for label in labels}
    name = str(row["rlnOpticsGroupName"])
    return int(name.removeprefix("opticsGroup")), {"rlnOpticsGroupName": name, **values}


def tomogram_rows(
    folder: Path, series: Sequence[ProcessedSeries], rows: Sequence[Row], *, copy: bool
) -> tuple[list[Row], list[Path], list[str]]:
    """Return the rows of tomograms.star: of those series that have a volume, or particles and so need a middle.

    Raises
    ------
    InputError
        If a tomogram is not where it should be.
    OutputError
        If a file cannot be placed.
    """
    found: list[Row] = []
    placed: list[Path] = []
    dropped: list[str] = []
    chosen = [(one, row) for one, row in zip(series, rows, strict=True) if one.volume or one.particles]
    for one, row in chosen:
        sizes, binning = _sizes_xyz(one)
        new: Row = {**row, "rlnTomoTomogramBinning": binning}
        new |= dict(zip(SIZES, sizes, strict=True))
        for kind, label in VOLUMES.items():
            path: Path | None = getattr(one.files, kind)
            if path is None:
                continue
            if path.suffix not in (".mrc", ".rec"):
                dropped.append(f"{one.series.name}: RELION reads tomograms as .mrc files, so {path} was left out.")
                continue
            placed.append(place(path, folder / "tomograms" / f"{one.series.name}{_ENDINGS[kind]}.mrc", copy=copy))
            new[label] = f"tomograms/{placed[-1].name}"
        found.append(new)
    for label in VOLUMES.values():  # a table has all columns for all rows
        if any(label in row for row in found):
            found = [{**row, label: row.get(label)} for row in found]
    return found, placed, dropped


def table(rows: Sequence[Row]) -> dict[str, list[object]]:
    """Return rows as columns.

    Raises
    ------
    InputError
        If a row lacks a column of the first.
    """
    labels = list(rows[0])
    if any(set(row) != set(labels) for row in rows):
        raise InputError("Rows of one table have other columns.")
    return {label: [row[label] for row in rows] for label in labels}


def _optics(one: ProcessedSeries, dropped: list[str]) -> tuple[float, float, float]:
    name, lens = one.series.name, one.ctf.lens if one.ctf else None
    if lens is None:
        kV = one.series.voltage_kV
        said = f"Cs {_DEFAULT_CS_mm} mm and amplitude contrast {_DEFAULT_CONTRAST}"
        if kV is None:
            said = f"{_DEFAULT_kV:.0f} kV, {said}"
        dropped.append(f"{name}: {said} were written, RELION's defaults, as nobody said; set what is true.")
        return kV or _DEFAULT_kV, _DEFAULT_CS_mm, _DEFAULT_CONTRAST
    plain = Lens()
    if (lens.cc_mm, lens.energy_spread_eV) != (plain.cc_mm, plain.energy_spread_eV):
        dropped.append(f"{name}: chromatic aberration and energy spread have no column.")
    return lens.voltage_kV, lens.cs_mm, lens.amplitude_contrast


def _hand(one: ProcessedSeries, dropped: list[str]) -> float:
    """Return rlnTomoHand, which is our hand.

    RELION's `Tomogram::getCtf` adds hand times the z that a place has beyond the middle of the tomogram, in the same
    projected frame as our `sample2image`, to an underfocus that is positive, as ours is.
    """
    name, hand = one.series.name, one.ctf.hand if one.ctf else None
    if hand is None:
        dropped.append(f"{name}: the defocus hand is not known; rlnTomoHand is 1, RELION's default: check it.")
        return 1.0
    if not hand.sure:
        dropped.append(f"{name}: the defocus hand {hand.hand:+d} is not sure (log odds {hand.log_odds:.1f}): check it.")
    return float(hand.hand)


def _exposure_e_A2(one: ProcessedSeries) -> float | None:
    """Return what every tilt received, where it was the same."""
    each = [tilt.exposure_e_A2 for tilt in one.series.tilts]
    first = each[0]
    if first is None or any(value is None or abs(value - first) > 1e-6 for value in each):
        return None
    return first


def _sizes_xyz(one: ProcessedSeries) -> tuple[tuple[int, ...], float]:
    """Return the tomogram's size in unbinned pixels, and its binning.

    Sizes are even: RELION projects from the middle `int(n / 2)` and places particles from `n / 2`, which differ
    otherwise. It cuts `n / binning` to whole voxels, which are ours again from a binning of 2 on.
    """
    pixel_A = one.series.pixel_A
    if one.volume is not None:
        binning = one.volume.voxel_A / pixel_A
        return tuple(2 * math.ceil(n * binning / 2 - 1e-6) for n in reversed(one.volume.shape_zyx)), binning
    rows, columns = one.series.shape_yx
    deep = max(abs(particle.position_zyx_A[0]) for particle in one.particles) / pixel_A
    return (columns + columns % 2, rows + rows % 2, 2 * math.ceil(deep + 1)), 1.0
