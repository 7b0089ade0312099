"""`gather`: what is known of the series of a session, or of an .mdoc, as one record for exchange."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from eucentric.core import DataWarning, EucentricError, FormatError, InputError, TiltSeries, is_file
from eucentric.io import MdocSeries, open_mrc, read_alignment, read_mdoc
from eucentric.io.exchange import ProcessedSeries, SeriesFiles, Volume
from eucentric.io.exchange.particle_table import read_particles
from eucentric.io.exchange.record_file import read_processed
from eucentric.io.movie_series import load_movie_series, series_name, series_of
from eucentric.optics import SeriesCTF
from eucentric.session import RunStatus, StageRecord, read_history
from eucentric.session.journal import JOURNAL
from eucentric.workflow.excluded import of_stack, read_excluded
from eucentric.workflow.records import AlignStage, CTFStage, Sums
from eucentric.workflow.session_series import find_acquired
from eucentric.workflow.stages import read_record

IMPORTED = "imported.json"
"""The file in a series' folder that says it was imported, and holds all that was."""

PARTICLES = "particles.csv"
"""The file in a series' folder with its particles."""

_DONE = RunStatus.FINISHED


def gather(
    source: Path, names: Sequence[str] = (), *, exposure_e_A2: float | None = None
) -> tuple[ProcessedSeries, ...]:
    """Return the series of a session, processed, imported or only acquired; of an .mdoc; or of a folder of .mdocs.

    Parameters
    ----------
    source
        The session, the .mdoc or the folder; it is only read, and no pixels are.
    names
        Of the series that are wanted; all if there are none.
    exposure_e_A2
        Of one tilt, for .mdocs that do not say.

    Raises
    ------
    InputError
        If there is no series, or not one of those that are wanted.
    FormatError
        If a file of the session cannot be read.

    Warns
    -----
    FormatWarning, DataWarning
        As `read_mdoc` and `load_movie_series` do; `series-left-out`: one cannot be read, the others were.
        `excluded-since`: other tilts are excluded now than when it was aligned.
    """
    found = {processed.series.name: processed for processed in _all(Path(source), exposure_e_A2)}
    if missing := [name for name in names if name not in found]:
        raise InputError(
            f"{source}: there is no series {missing[0]} in it; there are {', '.join(sorted(found))[:300]}.",
            "Name others with --series.",
        )
    return tuple(found[name] for name in sorted(names or found))


def _all(source: Path, exposure_e_A2: float | None) -> Iterator[ProcessedSeries]:
    if source.is_file():
        yield _of_mdoc(source, exposure_e_A2)
        return
    if not source.is_dir():
        raise InputError(f"{source}: no such session, folder or .mdoc.", "Check the path.")
    done: set[str] = set()
    if (source / JOURNAL).is_file():
        runs = [run for run in read_history(source) if run.status is _DONE]
        for name in sorted({run.series for run in runs if run.stage in ("align", "import")}):
            done.add(name)
            yield from _unless_bad(partial(_of_session, source, name, [run for run in runs if run.series == name]))
    for mdoc in _mdocs(source):
        if series_name(mdoc) not in done:
            done.add(series_name(mdoc))
            yield from _unless_bad(partial(_of_mdoc, mdoc, exposure_e_A2))
    if not done:
        raise InputError(
            f"{source}: no series was processed or acquired here, and there is no .mdoc.",
            "Name a session, an .mdoc, or a folder of .mdocs.",
        )


def _unless_bad(make: Callable[[], ProcessedSeries]) -> Iterator[ProcessedSeries]:
    """Give one series, or tell why there is none: the others go on."""
    try:
        yield make()
    except EucentricError as error:
        warnings.warn(f"{error.what} It was left out. [series-left-out]", DataWarning, stacklevel=3)


def _mdocs(source: Path) -> list[Path]:
    """Return the .mdocs of the series that a session acquired, or that a folder holds."""
    if not (source / "mdoc").is_dir():
        return sorted(source.glob("*.mdoc"))
    try:
        acquired = find_acquired(source)
    except InputError:  # it says that there is none, which is no error where some were processed
        return []
    return [one.path if one.from_movies else _mdoc_of(one.path) for one in acquired]


def _of_session(session: Path, name: str, runs: Sequence[StageRecord]) -> ProcessedSeries:
    folder = session / "series" / name
    last = {run.stage: run for run in runs}
    if (folder / IMPORTED).is_file() and "align" not in last:
        return _with_particles(read_processed(folder / IMPORTED), folder)
    aligned = last["align"]
    try:
        stage = AlignStage.model_validate(aligned.settings)
        asked = CTFStage.model_validate(last["ctf"].settings) if "ctf" in last else None
    except ValidationError as error:
        raise FormatError(
            f"{session / JOURNAL}: series {name} was processed by another version ({error.errors()[0]['msg']}).",
            "Process it again.",
        ) from error
    series, n = stage.series, len(stage.series.tilts)
    sums = read_record(folder / "sums.json", Sums) if (folder / "sums.json").is_file() else None
    if of_stack(read_excluded(folder), sums.sections if sums else range(n)) != stage.excluded:
        what = f"{name}: tilts were excluded or taken back since it was aligned, and what is written has them as before"
        warnings.warn(f"{what}. Process it again first. [excluded-since]", DataWarning, stacklevel=2)
    ctf = read_record(folder / "ctf.json", SeriesCTF) if asked else None
    tomogram = folder / "tomogram.mrc" if "reconstruct" in last else None
    volume = None
    if tomogram is not None:
        image = open_mrc(tomogram)
        depth, rows, columns = image.data.shape
        if image.pixel_A is not None:
            volume = Volume(shape_zyx=(depth, rows, columns), voxel_A=image.pixel_A)
    movies = {Path(one.path).name: session / one.path for one in last["motion"].inputs} if "motion" in last else {}
    processed = ProcessedSeries(
        series=series,
        frames=sums.frames if sums and len(sums.frames) == n else (),
        target_defocus_A=asked.target_defocus_A if asked and len(asked.target_defocus_A) == n else (),
        alignment=read_alignment(folder / "alignment.json"),
        ctf=ctf if ctf and any(tilt.used for tilt in ctf.tilts) else None,
        volume=volume,
        files=SeriesFiles(
            stack=session / aligned.inputs[0].path,
            even=_there(folder / f"{name}_even.mrc"),
            odd=_there(folder / f"{name}_odd.mrc"),
            movies=tuple(movies.get(tilt.movie or "") for tilt in series.tilts) if movies else (),
            tomogram=tomogram,
            tomogram_even=_there(folder / "tomogram_even.mrc"),
            tomogram_odd=_there(folder / "tomogram_odd.mrc"),
        ),
    )
    return _with_particles(processed, folder)


def _with_particles(processed: ProcessedSeries, folder: Path) -> ProcessedSeries:
    """Return the series with the particles of its folder, where there are any."""
    table = folder / PARTICLES
    return processed.replace(particles=read_particles(table)) if table.is_file() else processed


def _of_mdoc(mdoc: Path, exposure_e_A2: float | None) -> ProcessedSeries:
    """Return what an .mdoc says, and its movies where they are to be found."""
    facts = read_mdoc(mdoc)
    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always")
        try:
            loaded = load_movie_series(mdoc, exposure_e_A2=exposure_e_A2)
        except InputError:  # without movies: what the .mdoc says must do, and that they are missing is no news
            doubts.clear()
            loaded = None
    for doubt in doubts:
        warnings.warn_explicit(doubt.message, doubt.category, doubt.filename, doubt.lineno)
    series = loaded.series if loaded else _series_of(mdoc, facts, exposure_e_A2)
    movies = tuple(movie.path if movie else None for movie in loaded.movies) if loaded else ()
    return ProcessedSeries(
        series=series,
        frames=tuple(section.n_frames for section in facts.sections),
        target_defocus_A=tuple(section.target_defocus_A for section in facts.sections),
        files=SeriesFiles(stack=_there(mdoc.with_name(facts.image_file)) if facts.image_file else None, movies=movies),
    )


def _series_of(mdoc: Path, facts: MdocSeries, exposure_e_A2: float | None) -> TiltSeries:
    if facts.pixel_A is None or facts.shape_yx is None:
        raise InputError(
            f"{mdoc}: it gives no pixel size or no ImageSize, and its movies are not beside it.",
            "Put the movies beside it, or in a folder named frames.",
        )
    return series_of(mdoc, facts, facts.pixel_A, facts.shape_yx, exposure_e_A2)


def _mdoc_of(stack: Path) -> Path:
    whole = stack.with_name(f"{stack.name}.mdoc")
    return whole if whole.is_file() else stack.with_suffix(".mdoc")


def _there(path: Path) -> Path | None:
    return path if is_file(path) else None
