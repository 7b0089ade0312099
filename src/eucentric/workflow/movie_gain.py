"""The stage `gain`: how the gain reference lies against the frames, and which pixels of the camera are defective."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric.core import SILENT, InputError, Reporter, whole_or_nothing, write_text
from eucentric.io.gain import read_gain
from eucentric.io.movie_series import MovieSeries
from eucentric.io.movies import MovieFile
from eucentric.processing.gain import FrameCorrector, GainOrientation, find_defects, find_orientation
from eucentric.session import StageRun
from eucentric.workflow.about import about_file
from eucentric.workflow.records import GainFound, GainSettings, GainStage
from eucentric.workflow.stages import Stages, read_record

_MOVIES = 12  # read for it: of a usual series a third, and some 30 electrons a pixel


def find_gain(
    stages: Stages, movies: MovieSeries, settings: GainSettings, reporter: Reporter = SILENT
) -> tuple[GainFound, Callable[[], FrameCorrector]]:
    """Find the gain's orientation, where it was not said, and the camera's defects, from the least tilted movies.

    Returns
    -------
    tuple
        What was found, and what makes the corrector of the frames when it is needed.

    Raises
    ------
    InputError
        If the gain reference is not of the frames' shape, whichever way it is turned; or no movie can be read.
    OutputError
        If a result cannot be written.
    """
    by_tilt = sorted(movies.series.tilts, key=lambda tilt: abs(tilt.tilt_deg))
    read = [tilt.section for tilt in by_tilt if movies.movies[tilt.section] is not None][:_MOVIES]
    paths = [movie.path for section in sorted(read) if (movie := movies.movies[section]) is not None]
    if movies.gain is not None:
        paths.insert(0, movies.gain)

    def work(run: StageRun) -> None:
        found, defects = _found(movies, sorted(read), settings, reporter)
        path, mask = run.folder / "gain.json", run.folder / "defects.npz"
        write_text(path, found.model_dump_json(indent=1))
        with whole_or_nothing(mask) as partial, partial.open("wb") as file:
            np.savez_compressed(file, defects=defects)
        for one in (path, mask):
            run.output(one)
        run.metric("gain", found.words())
        run.metric("defects", found.defects)

    stages.run("gain", GainStage(gain=settings), tuple(paths), work)
    found = read_record(stages.folder / "gain.json", GainFound)

    @cache
    def corrector() -> FrameCorrector:
        with np.load(stages.folder / "defects.npz") as file:
            defects = file["defects"]
        return FrameCorrector(_oriented(movies.gain, found), defects)

    return found, corrector


def corrector_of_one(movie: MovieFile, gain: Path | None, settings: GainSettings) -> FrameCorrector:
    """Return the corrector of a single movie's frames, by what that movie alone tells of gain and defects.

    Raises
    ------
    InputError
        If the gain reference is not of the frames' shape, whichever way it is turned; or no frame can be read.
    """
    total: NDArray[np.float32] = np.zeros(movie.shape[1:], dtype=np.float32)
    frames = 0
    for frame in movie.frames_or_none(tell=False):
        if frame is not None:
            total += frame
            frames += 1
    if not frames:
        raise InputError(f"{movie.path}: none of its frames can be read.", "Copy it again from its source.")
    found = GainFound(defects=0, movies=1)
    if gain is not None:
        found = _orientation(gain, total / np.float32(frames), settings, found)
    oriented = _oriented(gain, found)
    return FrameCorrector(oriented, find_defects(total, oriented))


def _found(
    movies: MovieSeries, sections: list[int], settings: GainSettings, reporter: Reporter
) -> tuple[GainFound, NDArray[np.bool_]]:
    total, frames, read = _raw_sum(movies, sections, reporter)
    found = GainFound(defects=0, movies=read)
    if movies.gain is not None:
        found = _orientation(movies.gain, total / np.float32(frames), settings, found)
    gain = _oriented(movies.gain, found)
    defects = find_defects(total, gain)
    return found.replace(defects=int(defects.sum())), defects


def _raw_sum(movies: MovieSeries, sections: list[int], reporter: Reporter) -> tuple[NDArray[np.float32], int, int]:
    """Return the sum of the raw frames of some movies, and how many frames and movies it is of."""
    total, frames, read = np.zeros(movies.series.shape_yx, dtype=np.float32), 0, 0
    for section in reporter.each(sections, "Reading movies for gain and defects"):
        movie = movies.movies[section]
        if movie is None:
            continue
        before = frames
        for frame in movie.frames_or_none(tell=False):
            if frame is not None:
                total += frame
                frames += 1
        read += frames > before
    if not frames:
        raise InputError(f"{movies.series.name}: not one frame of its movies can be read.", "Check the movies.")
    return total, frames, read


def _orientation(path: Path, mean_counts: NDArray[np.float32], settings: GainSettings, found: GainFound) -> GainFound:
    gain = read_gain(path)
    with about_file(path):
        verdict = find_orientation(mean_counts, gain)
    best = verdict.orientation
    if settings.quarter_turns is settings.flipped is None:
        return found.replace(lies=best, margin=verdict.margin, unsure=verdict.unsure, scores=verdict.scores)
    fitting = [name for name in verdict.scores if _agrees(name, settings)]
    if not fitting:
        raise InputError(
            f"{path}: turned as --gain-rotation and --gain-flip say, the gain reference has not the frames' shape, "
            f"{mean_counts.shape}.",
            "Leave these options out: how it lies is then found from the data.",
        )
    chosen = max(fitting, key=lambda name: verdict.scores[name])
    turns, flipped = int(chosen[0]), chosen.endswith("f")
    same = (turns, flipped) == (best.quarter_turns, best.flipped)
    doubt = ""
    if not same and not verdict.unsure:
        other = GainFound(lies=best, defects=0, movies=0).words()
        doubt = f"the frames say that the gain reference lies otherwise than was given: {other}"
    lies = GainOrientation.model_validate(
        {"quarter_turns": turns, "flipped": flipped, "divides": same and best.divides}
    )
    return found.replace(lies=lies, given=True, unsure=doubt, scores=verdict.scores)


def _agrees(name: str, settings: GainSettings) -> bool:
    turns, flipped = int(name[0]), name.endswith("f")
    return settings.quarter_turns in (None, turns) and settings.flipped in (None, flipped)


def _oriented(path: Path | None, found: GainFound) -> NDArray[np.float32] | None:
    """Return what counts are multiplied with."""
    return None if path is None or found.lies is None else found.lies.apply(read_gain(path))
