"""SerialEM's images as ours: the one in its buffer, upright, in whole counts or averaged to the pixels of a view."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucentric.core import DataWarning
from eucentric.microscope._serialem_commands import Array, Commands
from eucentric.microscope.errors import MicroscopeError, MicroscopeTimeoutError
from eucentric.microscope.records import Readback


def buffer_image(commands: Commands) -> NDArray[Any]:
    """Return the image in SerialEM's buffer A, row 0 at the bottom.

    Raises
    ------
    MicroscopeError, MicroscopeTimeoutError
        If there is none of counts, or it does not come; what was exposed is not known.
    """
    try:
        found = commands.get("bufferImage", "A", delivered=None)
    except MicroscopeTimeoutError:
        found = commands.get("bufferImage", "A", delivered=None)  # a transfer may hang; again costs no electrons
    image = np.asarray(found)
    if image.ndim != 2 or image.size == 0 or image.dtype.kind not in "uif":
        raise MicroscopeError(
            f"SerialEM's buffer A holds {image.dtype} of shape {image.shape}, which is no image of counts.",
            "Do not let SerialEM return early or convert its images; what was exposed is not known.",
            delivered_e_A2=None,
        )
    return image[::-1].copy()  # SerialEM has row 0 at the top; the copy outlives its buffer


def with_counts(readback: Readback, pixels: NDArray[Any]) -> Readback:
    """Return the readback with the least, greatest and mean count of these pixels."""
    told = {"counts_min": pixels.min(), "counts_max": pixels.max(), "counts_mean": pixels.mean(dtype=np.float64)}
    return readback.replace(**{name: float(value) for name, value in told.items()})


def whole_counts(image: NDArray[Any]) -> NDArray[Any]:
    """Return whole counts, none below 0."""
    if image.dtype.kind == "u":
        return image
    if not np.all(image >= 0):  # written so that NaN is found too
        warnings.warn(
            "SerialEM's image has pixels below 0 or that are no numbers; they count as 0 in the movie.",
            DataWarning,
            stacklevel=3,
        )
    whole = np.rint(np.nan_to_num(image.astype(np.float64), nan=0.0)).clip(0, np.iinfo(np.uint32).max)
    return whole.astype(np.uint16 if whole.max() <= np.iinfo(np.uint16).max else np.uint32)


def averaged(image: NDArray[Any], pixel_A: float, field_A: float, pixels: int) -> NDArray[np.float32]:
    """Return the mean of what lies in each of `pixels` cells a side, over a field about the image's centre."""
    down, across = (_shares(size, pixel_A, field_A / pixels, pixels) for size in image.shape)
    return (down @ image.astype(np.float64) @ across.T).astype(np.float32)


def _shares(size: int, pixel_A: float, cell_A: float, cells: int) -> Array:
    """Return how much of each cell every one of `size` pixels covers, (cells, size); the centres are at n // 2."""
    pixel_edges = (np.arange(size + 1) - size // 2 - 0.5) * pixel_A
    cell_edges = (np.arange(cells + 1)[:, None] - cells // 2 - 0.5) * cell_A
    upper, lower = np.minimum(cell_edges[1:], pixel_edges[1:]), np.maximum(cell_edges[:-1], pixel_edges[:-1])
    overlap = np.clip(upper - lower, 0.0, None)
    return np.asarray(overlap / overlap.sum(axis=1, keepdims=True))
