"""Sums of movies as the sections of a stack; a movie that cannot be had costs its own section and no other."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric.core import SILENT, DataWarning, EucentricError, InputError, Reporter
from eucentric.io.movies import open_movie

_LARGEST = np.iinfo(np.int16).max
_STACK_SCALE = 100.0  # counts of the stack for each electron, as cameras' programs have it, if 16 bits allow
_STACK_MOST = 20_000.0  # counts of a pixel that saw the mean; brighter ones have room up to 32,767


@dataclass(frozen=True, eq=False)
class MovieSums:
    """The sums of those movies that could be read.

    Attributes
    ----------
    sums
        Counts of shape (n, y, x), rounded, from 0 to 32,767.
    kept
        Which movies they are of, as indices into those given.
    """

    sums: NDArray[np.int16]
    kept: tuple[int, ...]


def sum_movies(
    movies: Sequence[tuple[Path, int]],
    shape_yx: tuple[int, int],
    *,
    scale: float,
    gain: NDArray[np.float32] | None = None,
    reporter: Reporter = SILENT,
) -> MovieSums:
    """Sum the frames of each movie, with the gain corrected.

    Parameters
    ----------
    movies
        Each with the number of frames that were recorded.
    shape_yx
        Of their frames.
    scale
        Counts of a sum for each count of a frame.
    gain
        Gain reference (y, x), by which the counts are multiplied; none where the frames are corrected already.
    reporter
        Where progress goes.

    Raises
    ------
    InputError
        If the gain reference is of another shape.

    Warns
    -----
    DataWarning
        `movie-left-out`: a movie is missing, unreadable, or not of the frames that were recorded.
    """
    if gain is not None and gain.shape != shape_yx:
        raise InputError(
            f"The gain reference has {gain.shape} pixels, the images have {shape_yx}; nothing was written.",
            "Give the gain reference of this camera and binning.",
        )
    factor = np.float32(scale) if gain is None else gain * np.float32(scale)
    sums = np.empty((len(movies), *shape_yx), np.int16)
    kept: list[int] = []
    with reporter.task("Writing the stack", len(movies)) as step:
        for index, (path, frames) in enumerate(movies):
            try:
                total = _sum(path, (frames, *shape_yx))
            except EucentricError as error:
                message = f"{error.what} Its tilt was left out of stack and .mdoc. [movie-left-out]"
                warnings.warn(message, DataWarning, stacklevel=3)
            else:
                sums[len(kept)] = np.clip(np.rint(total * factor), 0, _LARGEST)
                kept.append(index)
            step()
    return MovieSums(sums[: len(kept)], tuple(kept))


def stack_scale(exposures_e_A2: Iterable[float], pixel_A: float) -> float:
    """Return how many counts of a stack an electron is worth, so that the longest exposure fits into 16 bits."""
    most = max(exposures_e_A2) * pixel_A**2
    return float(max(1.0, min(_STACK_SCALE, np.floor(_STACK_MOST / most))))


def _sum(path: Path, recorded: tuple[int, int, int]) -> NDArray[np.float32]:
    movie = open_movie(path)
    if movie.shape != recorded:
        raise InputError(f"{path}: its frames are {movie.shape}, and {recorded} were recorded.")
    total = np.zeros(recorded[1:], np.float32)
    for frame in movie.frames():
        total += frame
    return total
