"""Frames of counts as one movie."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_BYTE = int(np.iinfo(np.uint8).max)
_BRIGHT = 1.6  # no feature is brighter than this over the mean: the fringe of a gold bead is 1.2
_SIGMAS = 8.0


def as_movie(frames: Sequence[NDArray[np.uint16]], mean_e_px: float) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Return frames (y, x) as one movie (n, y, x): uint8 if the brightest pixel stays below 256, else uint16.

    What is expected decides, not what was counted, so that all movies of a series are of one type. A hot pixel may
    count more than a byte holds: it saturates.

    Parameters
    ----------
    frames
        Counts, (y, x) each.
    mean_e_px
        Electrons that a pixel may expect in a frame where nothing is in the way.

    Raises
    ------
    ValueError
        If there is no frame, or their shapes differ.
    """
    movie = np.stack(frames)
    brightest = _BRIGHT * mean_e_px + _SIGMAS * math.sqrt(_BRIGHT * mean_e_px)
    return np.minimum(movie, _BYTE).astype(np.uint8) if brightest <= _BYTE else movie
