"""Puts points into slices along the beam: each spreads over 6 x 6 pixels as a quintic B-spline.

What a B-spline takes from a frequency is known and given back in Fourier space (`spline_transfer`); what it folds back
from beyond Nyquist is 1.4e-3 of a point's amplitude at half the Nyquist frequency, 1.6e-2 at 2/3 of it. A point costs
the same however large a pixel is.
"""

from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucentric.core.jit import compiled, parallel_range

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]
Complex = NDArray[np.complex64]

SUPPORT = 6
_BANDS = 8  # of rows, one thread each; every pixel adds up its points in the same order however many there are


@compiled()
def spline_weights(u: Any) -> tuple[Any, Any, Any, Any, Any, Any]:
    """Return the quintic B-spline at 2 + u, 1 + u, u, 1 - u, 2 - u and 3 - u, in the precision of `u`."""
    u2 = u * u
    u3 = u2 * u
    u4 = u3 * u
    u5 = u4 * u
    return (
        (1 - 5 * u + 10 * u2 - 10 * u3 + 5 * u4 - u5) / 120,
        (26 - 50 * u + 20 * u2 + 20 * u3 - 20 * u4 + 5 * u5) / 120,
        (66 - 60 * u2 + 30 * u4 - 10 * u5) / 120,
        (26 + 50 * u + 20 * u2 - 20 * u3 - 20 * u4 + 10 * u5) / 120,
        (1 + 5 * u + 10 * u2 + 10 * u3 + 5 * u4 - 5 * u5) / 120,
        u5 / 120,
    )


def deposit(points: Floats, weights: Floats, centres: Doubles, turns: Doubles, radius: float, grid: Complex) -> None:
    """Add copies of a cloud of points to `grid`.

    Parameters
    ----------
    points, weights
        The cloud: (n, 3) zyx in its own frame, and (n, 2): what goes to the real and to the imaginary part.
    centres
        Of the copies, (m, 3), in grid units: slices (an edge is a whole number), rows, columns.
    turns
        (m, 3, 3): from the cloud's frame to grid units.
    radius
        No point of a copy is farther from its centre than this many rows.
    grid
        (slices, rows, columns); what falls outside is left out.
    """
    _deposit(points, weights, centres, turns, radius, grid.view(np.float32))


@compiled(parallel=True)
def _deposit(points: Floats, weights: Floats, centres: Doubles, turns: Doubles, radius: float, grid: Floats) -> None:
    slices, rows, columns = grid.shape[0], grid.shape[1], grid.shape[2] // 2
    for band in parallel_range(_BANDS):
        top = band * rows // _BANDS
        bottom = (band + 1) * rows // _BANDS
        wy = np.zeros(6, np.float32)
        for m in range(centres.shape[0]):
            cz, cy, cx = centres[m, 0], centres[m, 1], centres[m, 2]
            if cy + radius + 3 < top or cy - radius - 3 > bottom or cx + radius + 3 < 0 or cx - radius - 3 > columns:
                continue
            tzz, tzy, tzx = turns[m, 0, 0], turns[m, 0, 1], turns[m, 0, 2]
            tyz, tyy, tyx = turns[m, 1, 0], turns[m, 1, 1], turns[m, 1, 2]
            txz, txy, txx = turns[m, 2, 0], turns[m, 2, 1], turns[m, 2, 2]
            for n in range(points.shape[0]):
                pz, py, px = points[n, 0], points[n, 1], points[n, 2]
                y = cy + tyz * pz + tyy * py + tyx * px
                j = floor(y)
                if j + 3 < top or j - 2 >= bottom:
                    continue
                x = cx + txz * pz + txy * py + txx * px
                i = floor(x)
                z = floor(cz + tzz * pz + tzy * py + tzx * px)
                if i < 2 or i + 4 > columns or z < 0 or z >= slices:
                    continue
                x0, x1, x2, x3, x4, x5 = spline_weights(np.float32(x - i))
                wy[0], wy[1], wy[2], wy[3], wy[4], wy[5] = spline_weights(np.float32(y - j))
                re, im = weights[n, 0], weights[n, 1]
                # Written out, so that the compiler keeps all twelve in one or two registers.
                a0, a1, a2, a3, a4, a5 = re * x0, im * x0, re * x1, im * x1, re * x2, im * x2
                a6, a7, a8, a9, a10, a11 = re * x3, im * x3, re * x4, im * x4, re * x5, im * x5
                at = 2 * (i - 2)
                for a in range(max(0, top - j + 2), min(6, bottom - j + 2)):
                    w = wy[a]
                    row = j - 2 + a
                    grid[z, row, at] += w * a0
                    grid[z, row, at + 1] += w * a1
                    grid[z, row, at + 2] += w * a2
                    grid[z, row, at + 3] += w * a3
                    grid[z, row, at + 4] += w * a4
                    grid[z, row, at + 5] += w * a5
                    grid[z, row, at + 6] += w * a6
                    grid[z, row, at + 7] += w * a7
                    grid[z, row, at + 8] += w * a8
                    grid[z, row, at + 9] += w * a9
                    grid[z, row, at + 10] += w * a10
                    grid[z, row, at + 11] += w * a11


def spline_transfer(cycles_per_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what the spline leaves of a frequency along one axis: ``sinc^6``, of the shape of `cycles_per_px`."""
    transfer: NDArray[np.float64] = np.sinc(cycles_per_px) ** SUPPORT
    return transfer
