"""CPU form of the projector pair.

Both are bound by memory traffic, so each thread takes a strip of `STRIP` rows: the strip of all projections
fits the second-level cache, one row of voxels of all its `STRIP` rows fits the first, and the innermost loop
runs along y over contiguous, aligned-width numbers, whatever the tilt.
"""

import numpy as np
from numpy.typing import NDArray

from eucentric.core.jit import compiled, parallel_range

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

STRIP = 16  # rows a thread works on: one 512-bit or two 256-bit vectors of float32


@compiled()
def _columns_on_detector(start: float, step: float, width: int, columns: int) -> tuple[int, int]:
    """Return the range of x for which both neighbours of ``start + x * step`` are detector columns."""
    first, last = 0, columns
    if step > 1e-9:
        first = max(0, int(np.ceil(-start / step)))
        last = min(columns, int(np.floor((width - 1 - start) / step)) + 1)
    elif step < -1e-9:
        first = max(0, int(np.ceil((width - 1 - start) / step)))
        last = min(columns, int(np.floor(-start / step)) + 1)
    elif start < 0 or start > width - 1:
        last = 0
    # Rounding may put an end just off the detector: step inside.
    while first < last and (start + first * step < 0 or start + first * step >= width - 1):
        first += 1
    while last > first and (start + (last - 1) * step >= width - 1 or start + (last - 1) * step < 0):
        last -= 1
    return first, last


@compiled(parallel=True)
def backproject(projections: Floats, cos: Doubles, sin: Doubles, offset: Doubles, volume: Floats) -> None:
    """Add the rays of `projections` (n, y, u) to `volume` (z, y, x)."""
    n, rows, width = projections.shape
    depth, _, columns = volume.shape
    for strip in parallel_range((rows + STRIP - 1) // STRIP):
        top = strip * STRIP
        height = min(STRIP, rows - top)
        rays = np.zeros((n, width + 1, STRIP), np.float32)
        for i in range(n):
            for row in range(height):
                for u in range(width):
                    rays[i, u, row] = projections[i, top + row, u]
        line = np.empty((columns, STRIP), np.float32)
        for z in range(depth):
            line[:] = 0
            for i in range(n):
                step = cos[i]
                start = (z - depth // 2) * sin[i] + offset[i] - (columns // 2) * step
                first, last = _columns_on_detector(start, step, width, columns)
                for x in range(first, last):
                    u = start + x * step
                    k = np.int64(u)
                    f = np.float32(u - k)
                    for row in range(STRIP):
                        line[x, row] += rays[i, k, row] + f * (rays[i, k + 1, row] - rays[i, k, row])
            for row in range(height):
                for x in range(columns):
                    volume[z, top + row, x] += line[x, row]


@compiled(parallel=True)
def project(volume: Floats, cos: Doubles, sin: Doubles, offset: Doubles, projections: Floats) -> None:
    """Add the sums of `volume` (z, y, x) along the beam to `projections` (n, y, u)."""
    n, rows, width = projections.shape
    depth, _, columns = volume.shape
    for strip in parallel_range((rows + STRIP - 1) // STRIP):
        top = strip * STRIP
        height = min(STRIP, rows - top)
        rays = np.zeros((n, width + 1, STRIP), np.float32)
        line = np.zeros((columns, STRIP), np.float32)
        for z in range(depth):
            for row in range(height):
                for x in range(columns):
                    line[x, row] = volume[z, top + row, x]
            for i in range(n):
                step = cos[i]
                start = (z - depth // 2) * sin[i] + offset[i] - (columns // 2) * step
                first, last = _columns_on_detector(start, step, width, columns)
                for x in range(first, last):
                    u = start + x * step
                    k = np.int64(u)
                    f = np.float32(u - k)
                    for row in range(STRIP):
                        part = f * line[x, row]
                        rays[i, k + 1, row] += part
                        rays[i, k, row] += line[x, row] - part
        for i in range(n):
            for row in range(height):
                for u in range(width):
                    projections[i, top + row, u] += rays[i, u, row]
