"""Frames of counts as one movie."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def as_movie(frames: Sequence[NDArray[np.uint16]]) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Return frames (y, x) as one movie (n, y, x) of one type: uint8 if every count fits, else uint16.

    Raises
    ------
    ValueError
        If there is no frame, or their shapes differ.
    """
    movie = np.stack(frames)
    return movie.astype(np.uint8) if movie.max() <= np.iinfo(np.uint8).max else movie
