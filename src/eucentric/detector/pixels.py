"""What each pixel of one camera is like: its sensitivity, and the few that are at fault."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eucentric.core import stream
from eucentric.detector.camera import Detector

Floats = NDArray[np.float32]

# Shares of the pattern's spread, which add up in squares to 1: pixels of their own, columns with an amplifier in
# common, and taps, blocks of columns on either half of the chip that are read out together. Chosen by the look of
# gain references.
_PIXEL, _COLUMN, _TAP = 0.8, 0.4, 0.2**0.5
_TAPS = 8
_LOWEST, _HIGHEST = 0.1, 1.9

# Counts a second of pixels at fault, evenly spread in their logarithm, and how often a flickering one is on: chosen
# so that some drown in a frame and some show in a whole movie only.
_RATES_PER_S = (2.0, 200.0)
FLICKERING_ON = 0.2


@dataclass(frozen=True, eq=False)
class Defects:
    """The pixels at fault.

    Parameters
    ----------
    hot_yx, dead_yx, flickering_yx
        Rows and columns, each of shape (n, 2). A pixel may be on two lists; one that is dead never counts.
    hot_per_s, flickering_per_s
        Counts a second without electrons; of a flickering pixel, while it is on.
    """

    hot_yx: NDArray[np.intp]
    hot_per_s: NDArray[np.float64]
    dead_yx: NDArray[np.intp]
    flickering_yx: NDArray[np.intp]
    flickering_per_s: NDArray[np.float64]


def pattern(shape_yx: tuple[int, int], rms: float, seed: int, what: str) -> Floats:
    """Return a pattern about 1 of spread `rms`: pixels, columns and taps, each with its own random numbers."""
    rows, columns = shape_yx
    if rms == 0:
        return np.ones(shape_yx, np.float32)
    values = np.float32(_PIXEL) * stream(seed, "detector", what, "pixels").standard_normal(shape_yx, dtype=np.float32)
    values += np.float32(_COLUMN) * stream(seed, "detector", what, "columns").standard_normal(columns, np.float32)
    taps = stream(seed, "detector", what, "taps").standard_normal((2, _TAPS), np.float32)
    half, tap = np.arange(rows) * 2 // rows, np.arange(columns) * _TAPS // columns
    values += np.float32(_TAP) * taps[half[:, None], tap[None, :]]
    gain: Floats = np.clip(1 + np.float32(rms) * values, _LOWEST, _HIGHEST).astype(np.float32, copy=False)
    return gain


def find_defects(detector: Detector, shape_yx: tuple[int, int], seed: int) -> Defects:
    """Return which pixels are at fault; how many of each kind is itself a Poisson number."""
    hot, hot_per_s = _some_pixels(detector.hot_per_Mpx, shape_yx, seed, "hot")
    dead, _ = _some_pixels(detector.dead_per_Mpx, shape_yx, seed, "dead")
    flickering, flickering_per_s = _some_pixels(detector.flickering_per_Mpx, shape_yx, seed, "flickering")
    return Defects(hot, hot_per_s, dead, flickering, flickering_per_s)


def _some_pixels(
    per_Mpx: float, shape_yx: tuple[int, int], seed: int, what: str
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    random = stream(seed, "detector", what)
    pixels = shape_yx[0] * shape_yx[1]
    number = min(int(random.poisson(per_Mpx * pixels / 1e6)), pixels)
    places = np.sort(random.choice(pixels, size=number, replace=False))
    low, high = np.log(_RATES_PER_S)
    return np.stack(np.unravel_index(places, shape_yx), axis=1), np.exp(random.uniform(low, high, number))
