"""Electrons counted pixel by pixel, each pixel with random numbers of its own.

The numbers of a pixel depend on key, row and column alone: any number of threads, and any order, give the same counts.
Loops are compiled; arguments that count in random bits are uint64, as a mix with int64 would become floating point.
"""

import math

import numpy as np
from numpy.typing import NDArray

from eucentric.core.counter import random_bits, row_key, uniform
from eucentric.core.jit import compiled, parallel_range

Floats = NDArray[np.float32]
Counts = NDArray[np.uint16]
Bits = NDArray[np.uint64]

COUNTS_MAX = 65_535
MOST_INTERNAL_FRAMES = 65_536  # a bit of memory for each, pixel of a row, and task
ROWS_AT_ONCE = 32  # rows of one task; each task draws one row more, the one below its first

_SEARCH_BELOW = 25.0  # mean above which searching step by step takes longer than rejection
_SEARCH_MOST = 300  # ends a search when rounding leaves a rest of 1e-16 that no term covers; P(more) < 1e-200
_SMALLEST = 2.0**-54  # added to numbers of [0, 1) whose logarithm or reciprocal is taken
_APART = np.uint64(0x5851F42D4C957F2D)  # sets the keys of pixels apart from those of rows
_ONE = np.uint64(1)
_SIX = np.uint64(6)
_LAST_SIX = np.uint64(63)
_HALF = np.uint64(32)


@compiled()
def poisson(mean: float, key: np.uint64, counter: np.uint64) -> int:
    """Return an exact Poisson number; `counter` is the place in the sequence of `key`.

    Small means: the distribution is inverted by searching from 0 upwards, with one random number. Others: `_rejection`.
    A mean of 0 or below gives 0.
    """
    if mean <= 0.0:
        return 0
    if mean >= _SEARCH_BELOW:
        return _rejection(mean, random_bits(key ^ _APART, counter))
    left = uniform(key, counter)
    chance = math.exp(-mean)
    count = 0
    while left >= chance and count < _SEARCH_MOST:
        left -= chance
        count += 1
        chance *= mean / count
    return count


@compiled()
def _rejection(mean: float, key: np.uint64) -> int:
    """Return a Poisson number by transformed rejection (Hörmann's PTRS, 1993, 10.1016/0167-6687(93)90997-4)."""
    b = 0.931 + 2.53 * math.sqrt(mean)
    a = -0.059 + 0.02483 * b
    log_alpha = math.log(1.1239 + 1.1328 / (b - 3.4))
    squeeze = 0.9277 - 3.6224 / (b - 2.0)
    log_mean = math.log(mean)
    trial = np.uint64(0)
    while True:
        u = uniform(key, trial) + _SMALLEST - 0.5
        v = uniform(key, trial + _ONE) + _SMALLEST
        trial += _ONE + _ONE
        edge = 0.5 - abs(u)
        if edge <= 0.0:
            continue
        k = math.floor((2.0 * a / edge + b) * u + mean + 0.43)
        if edge >= 0.07 and v <= squeeze:
            return int(k)
        if k < 0 or (edge < 0.013 and v > edge):
            continue
        accepted = math.log(v) + log_alpha - math.log(a / (edge * edge) + b)
        if accepted <= k * log_mean - mean - math.lgamma(k + 1.0):
            return int(k)


@compiled(parallel=True)
def count(expected: Floats, sensitivity: Floats, detection: float, key: np.uint64, counts: Counts) -> None:
    """Fill `counts` (y, x) with Poisson numbers of mean ``expected * sensitivity * detection``."""
    for y in parallel_range(expected.shape[0]):
        row = row_key(key, y)
        for x in range(expected.shape[1]):
            mean = detection * expected[y, x] * sensitivity[y, x]
            counts[y, x] = min(poisson(mean, row, np.uint64(x)), COUNTS_MAX)


@compiled(parallel=True)
def count_merged(
    expected: Floats,
    sensitivity: Floats,
    detection: float,
    internal_frames: int,
    key: np.uint64,
    frames_key: np.uint64,
    counts: Counts,
) -> None:
    """Fill `counts` as `count` does, less the electrons that merge with another.

    Each electron falls into one of `internal_frames`, at random. It is lost if in that frame an electron that comes
    before it in a scan of the image fell into the same pixel, the one to the left or the one below: one that shares
    an edge. Lost ones merge with others too, so that a cluster counts as one, and the loss has no upper bound.
    """
    rows, columns = expected.shape
    words = (internal_frames + 63) // 64
    for task in parallel_range((rows + ROWS_AT_ONCE - 1) // ROWS_AT_ONCE):
        first = np.int64(task) * ROWS_AT_ONCE  # signed: numba's parallel index is not
        below = np.zeros((columns, words), np.uint64)
        here = np.zeros((columns, words), np.uint64)
        last: int = min(first + ROWS_AT_ONCE, rows)
        for y in range(max(int(first) - 1, 0), last):
            into = counts[y] if y >= first else np.empty(columns, np.uint16)
            _count_row(
                expected[y],
                sensitivity[y],
                detection,
                np.uint64(internal_frames),
                row_key(key, y),
                row_key(frames_key, y),
                below,
                here,
                into,
            )
            below, here = here, below


@compiled()
def _count_row(
    expected: Floats,
    sensitivity: Floats,
    detection: float,
    internal_frames: np.uint64,
    row: np.uint64,
    frames_row: np.uint64,
    below: Bits,
    here: Bits,
    counts: Counts,
) -> None:
    """Count one row; `here` and `below` (x, words) have a bit for each internal frame in which an electron fell."""
    for x in range(expected.size):
        here[x] = 0
        arrived = poisson(detection * expected[x] * sensitivity[x], row, np.uint64(x))
        counted = 0
        if arrived > 0:
            pixel = random_bits(frames_row ^ _APART, np.uint64(x))
            for i in range(arrived):
                frame = ((random_bits(pixel, np.uint64(i)) >> _HALF) * internal_frames) >> _HALF
                word, bit = np.int64(frame >> _SIX), _ONE << (frame & _LAST_SIX)
                near = here[x, word] | below[x, word]
                if x > 0:
                    near |= here[x - 1, word]
                if near & bit == 0:
                    counted += 1
                here[x, word] |= bit
        counts[x] = min(counted, COUNTS_MAX)
