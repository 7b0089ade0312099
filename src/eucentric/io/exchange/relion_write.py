"""A series as RELION-5 has it: the table of its tilts, its images one by one, and its row of the global table."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Literal
from urllib.parse import quote

import numpy as np

from eucentric.core import InputError, Tilt
from eucentric.io.exchange.placing import place
from eucentric.io.exchange.records import ProcessedSeries
from eucentric.io.exchange.relion_ctf import NOT_RESOLVED_A
from eucentric.io.exchange.relion_labels import IMAGES
from eucentric.io.exchange.star import write_star
from eucentric.io.mrc import open_mrc
from eucentric.io.mrc_writer import write_mrc

Table = dict[str, list[object]]

_IMAGES: tuple[tuple[Literal["stack", "even", "odd"], str, str], ...] = (
    ("stack", "", IMAGES["images"]),
    ("even", "_even", IMAGES["even_images"]),
    ("odd", "_odd", IMAGES["odd_images"]),
)


def movie_name(one: ProcessedSeries, section: int) -> str | None:
    """Return the name of a tilt's movie without its folder, which may be of the microscope's computer."""
    path = one.files.movies[section] if one.files.movies else None
    named = str(path) if path else one.series.tilts[section].movie
    return PureWindowsPath(named).name or None if named else None


def write_tilts(
    folder: Path, one: ProcessedSeries, movies: Mapping[tuple[str, int], str], *, copy: bool
) -> tuple[list[Path], list[str]]:
    """Write a series' tables and images, and return what was written, and what could not be.

    `movies` has the path of each movie in the project, by series and section. Rows are in the order of acquisition;
    views left out have a table of their own, which RELION does not know of and our own import reads.

    Raises
    ------
    InputError
        If the stack is not that of the series, or no view is used.
    OutputError
        If a file cannot be written.
    """
    name, files = one.series.name, one.files
    used = set(one.used_sections)
    if not used:
        raise InputError(f"{name}: every view is left out.", "Leave this series out of the export.")
    columns, dropped = _columns(one, movies)
    written: list[Path] = []
    for kind, ending, label in _IMAGES:
        stack = getattr(files, kind)
        if stack is not None:
            paths = _write_images(folder / "images", one, stack, ending)
            columns[label] = [f"images/{path.name}" for path in paths]
            written += paths
    if files.stack is None:
        dropped.append(
            f"{name}: there is no stack, so no image was written (rlnMicrographName); correct the movies for motion"
            " in RELION, which keeps all other columns."
        )
    there = {movies[name, i]: movie for i, movie in enumerate(files.movies) if movie is not None and movie.is_file()}
    written += [place(movie, folder / named, copy=copy) for named, movie in there.items()]
    order = [tilt.section for tilt in one.series.by_order()]
    tables = folder / "tilt_series"
    write_star(tables / f"{name}.star", {name: _rows(columns, [s for s in order if s in used])})
    written.insert(0, tables / f"{name}.star")
    left_out = tables / f"{name}_excluded.star"
    excluded = [section for section in order if section not in used]
    if excluded and one.alignment is not None:
        columns["eucentricReason"] = [quote(view.reason) for view in one.alignment.tilts]
        write_star(left_out, {name: _rows(columns, excluded)})
        written.insert(1, left_out)
    else:
        left_out.unlink(missing_ok=True)  # of an earlier export: it would be read with this one
    return written, dropped


def _rows(columns: Mapping[str, Sequence[object]], sections: Sequence[int]) -> Table:
    return {label: [values[section] for section in sections] for label, values in columns.items()}


def _columns(one: ProcessedSeries, movies: Mapping[tuple[str, int], str]) -> tuple[Table, list[str]]:
    """Return the columns, by section, and what they cannot hold."""
    series, name = one.series, one.series.name
    tilts, columns, dropped = series.tilts, Table(), list[str]()
    sections = range(len(tilts))
    if any((name, section) in movies for section in sections):
        columns["rlnMicrographMovieName"] = [movies.get((name, section)) for section in sections]
    if one.frames and all(one.frames):
        columns["rlnTomoTiltMovieFrameCount"] = list(one.frames)
    elif any(one.frames):
        dropped.append(f"{name}: the number of frames is not known of every movie, so none was written.")
    if series.order_known:
        columns["rlnTomoTiltMovieIndex"] = [tilt.order + 1 for tilt in tilts]  # "chronological", from 1
    columns["rlnMicrographId"] = [section + 1 for section in sections]  # where it lies in our stack
    columns["rlnTomoNominalStageTiltAngle"] = [tilt.tilt_deg for tilt in tilts]
    axis = series.tilt_axis_deg
    if axis is None and one.alignment is not None:
        axis = float(np.mean([view.axis_deg for view in one.alignment.used or one.alignment.tilts]))
    if axis is not None:
        columns["rlnTomoNominalTiltAxisAngle"] = [axis for _ in sections]
    else:
        dropped.append(f"{name}: nobody said where the tilt axis is; RELION needs rlnTomoNominalTiltAxisAngle.")
    known = [value for value in one.target_defocus_A if value is not None]
    if len(known) == len(tilts):
        columns["rlnTomoNominalDefocus"] = [-value / 1e4 for value in known]  # µm, negative under, as the .mdoc's
    elif known:
        dropped.append(f"{name}: the target defocus is not known of every tilt, so none was written.")
    columns["rlnMicrographPreExposure"] = list(_pre_exposures_e_A2(tilts))
    if any(tilt.pre_exposure_e_A2 is None for tilt in tilts):
        summed = all(tilt.exposure_e_A2 is not None for tilt in tilts)
        how = "the sum of earlier exposures" if summed else "0 for every tilt, as RELION's own importer does"
        dropped.append(f"{name}: what the specimen received before each tilt is not known; {how} was written.")
    _add_ctf(one, columns, dropped)
    _add_alignment(one, columns, dropped)
    if one.files.gain is not None:
        dropped.append(f"{name}: RELION's motion correction asks for the gain reference: {one.files.gain}.")
    return columns, dropped


def _pre_exposures_e_A2(tilts: Sequence[Tilt]) -> list[float]:
    given = [tilt.pre_exposure_e_A2 for tilt in tilts if tilt.pre_exposure_e_A2 is not None]
    if len(given) == len(tilts):
        return given
    each = [tilt.exposure_e_A2 for tilt in sorted(tilts, key=lambda tilt: tilt.order) if tilt.exposure_e_A2 is not None]
    if len(each) < len(tilts):
        return [0.0] * len(tilts)
    return [math.fsum(each[: tilt.order]) for tilt in tilts]


def _add_ctf(one: ProcessedSeries, columns: Table, dropped: list[str]) -> None:
    ctf, name = one.ctf, one.series.name
    if ctf is None:
        if one.alignment is not None:
            dropped.append(f"{name}: no CTF is known; RELION needs its own estimate before it takes out particles.")
        return
    # RELION's angle is that of U from x towards y, as array indices grow, in -90 to 90 or any other turn: ours.
    columns["rlnDefocusU"] = [tilt.defocus_u_A for tilt in ctf.tilts]
    columns["rlnDefocusV"] = [tilt.defocus_v_A for tilt in ctf.tilts]
    columns["rlnCtfAstigmatism"] = [tilt.astigmatism_A for tilt in ctf.tilts]
    columns["rlnDefocusAngle"] = [tilt.azimuth_deg for tilt in ctf.tilts]
    if any(tilt.phase_shift_deg for tilt in ctf.tilts):
        columns["rlnPhaseShift"] = [tilt.phase_shift_deg for tilt in ctf.tilts]
    columns["rlnCtfFigureOfMerit"] = [tilt.score for tilt in ctf.tilts]
    columns["rlnCtfMaxResolution"] = [tilt.fit_resolution_A or NOT_RESOLVED_A for tilt in ctf.tilts]
    if any(tilt.sigma_A is not None or tilt.evidence is not None for tilt in ctf.tilts) or ctf.thickness_A:
        dropped.append(f"{name}: the CTF's uncertainty and evidence, and the specimen's thickness, have no column.")
    used = set(one.used_sections)
    if unsure := [tilt.section for tilt in ctf.tilts if not tilt.used and tilt.section in used]:
        dropped.append(f"{name}: that the CTF of sections {unsure} is only what their neighbours say has no column.")


def _add_alignment(one: ProcessedSeries, columns: Table, dropped: list[str]) -> None:
    """Add the views: `Tomogram::setProjectionMatrix` turns about x, y and z and then shifts, as `sample2image` does."""
    if one.alignment is None:
        return
    views, name = one.alignment.tilts, one.series.name
    columns["rlnTomoXTilt"] = [view.x_tilt_deg for view in views]
    columns["rlnTomoYTilt"] = [view.tilt_deg for view in views]
    columns["rlnTomoZRot"] = [view.axis_deg for view in views]
    columns["rlnTomoXShiftAngst"] = [view.shift_yx_A[1] for view in views]
    columns["rlnTomoYShiftAngst"] = [view.shift_yx_A[0] for view in views]
    off = max(abs(view.magnification - 1) for view in views)
    if off > 1e-6:
        dropped.append(f"{name}: magnifications up to {off:.2%} from 1 were left out; RELION has none.")
    if one.alignment.local is not None:
        dropped.append(f"{name}: local motion was left out; RELION's own refinement of the frames finds it anew.")


def _write_images(folder: Path, one: ProcessedSeries, stack: Path, ending: str) -> list[Path]:
    """Write every section as a file of its own.

    RELION's library reads `index@stack.mrcs` too, but its Python programs, alignment among them, open
    rlnMicrographName as a plain MRC file.
    """
    series = one.series
    data = open_mrc(stack).data
    if data.shape != (len(series.tilts), *series.shape_yx):
        raise InputError(
            f"{stack}: {data.shape} pixels, but {series.name} has {len(series.tilts)} images of {series.shape_yx}.",
            "Export the session that this stack is of.",
        )
    paths = []
    for tilt in series.tilts:
        # RELION's own programs write no dots here: some of them take all after the first one for the extension.
        angle = f"{tilt.tilt_deg:.1f}".replace(".", "_")
        paths.append(folder / f"{series.name}_{tilt.order:03d}_{angle}{ending}.mrc")
        image = data[tilt.section : tilt.section + 1]
        if image.dtype == np.uint8:  # no mode of MRC2014
            image = image.astype(np.int16)
        write_mrc(paths[-1], image, series.pixel_A, kind="stack")
    return paths
