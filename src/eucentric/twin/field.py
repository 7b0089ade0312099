"""`Field`: the grid on which an image is worked out, wider than the image so that nothing wraps around into it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len

from eucentric.optics import plane_frequencies

Array = NDArray[np.float64]

_LEAST_MARGIN_PX = 32


@dataclass(frozen=True)
class Field:
    """An image of `shape_yx` with pixels of `pixel_A`, in the middle of a grid with a margin of at least `margin_A`."""

    shape_yx: tuple[int, int]
    pixel_A: float
    margin_A: float = 0.0

    @cached_property
    def padded_yx(self) -> tuple[int, int]:
        """Rows and columns of the grid: even, and products of 2, 3 and 5, which are quick to transform."""
        margin = max(_LEAST_MARGIN_PX, int(np.ceil(self.margin_A / self.pixel_A)))
        rows, columns = (2 * int(next_fast_len(-(-n // 2) + margin, real=True)) for n in self.shape_yx)
        return rows, columns

    @property
    def half_size_A(self) -> tuple[float, float]:
        """Half the sides of the grid, y and x."""
        rows, columns = self.padded_yx
        return rows * self.pixel_A / 2, columns * self.pixel_A / 2

    @cached_property
    def crop(self) -> tuple[slice, slice]:
        """Where the image lies in the grid: centre on centre."""
        (rows, columns), (height, width) = self.padded_yx, self.shape_yx
        top, left = rows // 2 - height // 2, columns // 2 - width // 2
        return slice(top, top + height), slice(left, left + width)

    def frequencies(self, *, half: bool) -> tuple[Array, Array]:
        """Return ky (rows, 1) and kx (1, columns) of the grid in 1/Å."""
        return plane_frequencies(self.padded_yx, self.pixel_A, half=half)

    @cached_property
    def k(self) -> Array:
        """Frequency (1/Å) at each place of the half transform."""
        ky, kx = self.frequencies(half=True)
        return np.asarray(np.hypot(ky, kx))
