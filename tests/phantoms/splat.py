"""Adds Gaussian blobs to images and volumes as averages over each cell.

Averages, not samples at the cell's centre: a detector pixel collects all that falls on it, sums along an axis
are then exact line integrals, and no mass is lost however small a blob is beside a pixel.
"""

from math import ceil, erf, floor, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from eucentric.core.jit import compiled

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

REACH = 4.0  # sigmas: 1.3e-4 of a blob's mass lies outside in two dimensions, 1.9e-4 in three


@compiled()
def _averages(centre: float, sigma: float, averages: Doubles) -> tuple[int, int]:
    """Fill `averages` of ``exp(-(i - centre)^2 / (2 sigma^2))`` over the unit cell about each i, near the centre.

    Returns the range of cells that were filled; the others are left as they are.
    """
    first = max(0, floor(centre - REACH * sigma + 0.5))
    last = min(averages.size, ceil(centre + REACH * sigma + 0.5))
    scale = 1 / (sqrt(2) * sigma)
    below = erf((first - 0.5 - centre) * scale)
    for i in range(first, last):
        above = erf((i + 0.5 - centre) * scale)
        averages[i] = sqrt(pi / 2) * sigma * (above - below)
        below = above
    return first, last


@compiled()
def splat2d(centres: Doubles, sigmas: Doubles, heights: Doubles, image: Floats) -> None:
    """Add blobs at `centres` (n, 2), yx in pixels, to `image` (y, x)."""
    rows, columns = np.empty(image.shape[0]), np.empty(image.shape[1])
    for k in range(sigmas.size):
        x0, x1 = _averages(centres[k, 1], sigmas[k], columns)
        if x0 >= x1:
            continue
        y0, y1 = _averages(centres[k, 0], sigmas[k], rows)
        for y in range(y0, y1):
            height = heights[k] * rows[y]
            for x in range(x0, x1):
                image[y, x] += height * columns[x]


@compiled()
def splat3d(centres: Doubles, sigmas: Doubles, heights: Doubles, volume: Floats) -> None:
    """Add blobs at `centres` (n, 3), zyx in voxels, to `volume` (z, y, x)."""
    depth, height, width = volume.shape
    planes, rows, columns = np.empty(depth), np.empty(height), np.empty(width)
    for k in range(sigmas.size):
        x0, x1 = _averages(centres[k, 2], sigmas[k], columns)
        if x0 >= x1:
            continue
        y0, y1 = _averages(centres[k, 1], sigmas[k], rows)
        z0, z1 = _averages(centres[k, 0], sigmas[k], planes)
        for z in range(z0, z1):
            for y in range(y0, y1):
                peak = heights[k] * planes[z] * rows[y]
                for x in range(x0, x1):
                    volume[z, y, x] += peak * columns[x]
