"""The floor: the least time that a task can take on this machine, measured beside it."""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from eucentric.core.jit import compiled, parallel_range
from eucentric.workflow.bench.records import Floor

Floats = NDArray[np.float32]

_TRIES = 3
_COPIED = 1 << 26  # bytes: larger than a cache
_STEPS = 8  # places that a ray may begin at: any address but an aligned one
_AT_ONCE = 8  # rows that stay in registers' reach, so that a sum is stored once for so many


@compiled(parallel=True)
def _interpolate(rays: Floats, depth: int, sums: Floats) -> None:
    """Do for each place of a volume (depth, y, x) as many interpolations as there are rays, and no more than that.

    `rays` (y, n, x + `_STEPS` + 1) with n a multiple of `_AT_ONCE`: a strip stays in the cache, as in a projector.
    """
    rows, n, _ = rays.shape
    across = sums.shape[1]
    for y in parallel_range(rows):
        line = sums[y]
        for z in range(depth):
            for i in range(0, n, _AT_ONCE):
                s = (z + i) % _STEPS
                a, b, c, d = (rays[y, i, s:], rays[y, i + 1, s:], rays[y, i + 2, s:], rays[y, i + 3, s:])
                e, f, g, h = (rays[y, i + 4, s:], rays[y, i + 5, s:], rays[y, i + 6, s:], rays[y, i + 7, s:])
                p = np.float32(0.25)
                q = np.float32(0.75)
                for x in range(across):
                    first = p * a[x] + q * a[x + 1] + p * b[x] + q * b[x + 1]
                    second = p * c[x] + q * c[x + 1] + p * d[x] + q * d[x + 1]
                    third = p * e[x] + q * e[x + 1] + p * f[x] + q * f[x + 1]
                    fourth = p * g[x] + q * g[x + 1] + p * h[x] + q * h[x + 1]
                    line[x] += (first + second) + (third + fourth)


@compiled(parallel=True)
def _copy(source: Floats, target: Floats) -> None:
    for i in parallel_range(source.size):
        target[i] = source[i]


class FloorMeter:
    """Measures the floor of one task, anew in every round; the best of each part counts.

    Parameters
    ----------
    images
        The views (n, y, x).
    depth
        Planes of the volume.
    passes
        Times that the volume is projected or back-projected, by all views.
    bytes_moved
        What must be read and written once, at the least.
    transforms
        The Fourier transforms that are needed, there and back; None where there are none.
    """

    def __init__(
        self,
        images: Floats,
        depth: int,
        passes: int,
        bytes_moved: int,
        transforms: Callable[[Floats], object] | None,
    ) -> None:
        n, rows, columns = images.shape
        self._images, self._depth, self._passes = images, depth, passes
        self._bytes, self._transforms = bytes_moved, transforms
        self._whole = max(1, round(n / _AT_ONCE)) * _AT_ONCE  # views that the kernel does; the time is scaled to n
        self._rays = np.ones((rows, self._whole, columns + _STEPS + 1), np.float32)
        self._sums = np.zeros((rows, columns), np.float32)
        self._parts = [np.inf, np.inf, np.inf if transforms else 0.0]
        self._source, self._target = (np.ones(_COPIED // 4, np.float32) for _ in range(2))
        _interpolate(self._rays, 1, self._sums)  # compiled before it is timed
        _copy(self._source[:1], self._target[:1])

    def measure(self) -> None:
        """Time each part once more."""
        timed: list[Callable[[], object]] = [
            lambda: _interpolate(self._rays, self._depth, self._sums),
            lambda: _copy(self._source, self._target),
        ]
        if self._transforms is not None:
            transforms = self._transforms
            timed.append(lambda: transforms(self._images))
        for _ in range(_TRIES):
            for part, work in enumerate(timed):
                begun = time.perf_counter()
                work()
                self._parts[part] = min(self._parts[part], time.perf_counter() - begun)

    @property
    def copy_B_s(self) -> float:
        """Bytes read and written in a second by a copy."""
        return 2 * _COPIED / self._parts[1]

    def floor(self) -> Floor:
        """Return the best that was measured."""
        n, rows, columns = self._images.shape
        return Floor(
            interpolations=self._passes * n * self._depth * rows * columns,
            interpolations_s=self._passes * self._parts[0] * n / self._whole,
            bytes_moved=self._bytes,
            bytes_s=self._bytes / self.copy_B_s,
            transforms_s=self._parts[2],
        )


def rows_there_and_back(images: Floats) -> object:
    """Transform along rows, padded to twice their length, as a ramp filter does."""
    width = images.shape[2]
    return fft.irfft(fft.rfft(images, 2 * width, axis=-1, workers=-1), axis=-1, workers=-1)


def images_there_and_back(images: Floats) -> object:
    """Transform each image, as a correlation does."""
    return fft.irfft2(fft.rfft2(images, workers=-1), workers=-1)
