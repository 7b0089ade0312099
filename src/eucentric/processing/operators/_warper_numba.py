"""CPU form of the warper."""

import numpy as np
from numpy.typing import NDArray

from eucentric.core.jit import compiled, parallel_range

Floats = NDArray[np.float32]


@compiled()
def _within(i: int, n: int) -> int:
    """Return the index that mirroring about the outermost pixels leads to; far beyond them, the border's."""
    i = -i if i < 0 else i
    i = 2 * (n - 1) - i if i > n - 1 else i
    return min(max(i, 0), n - 1)


@compiled(parallel=True)
def warp(coefficients: Floats, grid: Floats, step: int, out: Floats) -> None:
    """Fill `out` (y, x) from `coefficients` (y, x) and the displacements (rows, columns, 2) of a grid."""
    rows, columns = coefficients.shape
    one, four, three, six = np.float32(1), np.float32(4), np.float32(3), np.float32(6)
    for row in parallel_range(rows):
        i, down = row // step, np.float32(row % step) / np.float32(step)
        i1 = min(i + 1, grid.shape[0] - 1)
        for column in range(columns):
            j, right = column // step, np.float32(column % step) / np.float32(step)
            j1 = min(j + 1, grid.shape[1] - 1)
            by_y = (one - down) * ((one - right) * grid[i, j, 0] + right * grid[i, j1, 0]) + down * (
                (one - right) * grid[i1, j, 0] + right * grid[i1, j1, 0]
            )
            by_x = (one - down) * ((one - right) * grid[i, j, 1] + right * grid[i, j1, 1]) + down * (
                (one - right) * grid[i1, j, 1] + right * grid[i1, j1, 1]
            )
            dy, dx = int(np.floor(by_y)), int(np.floor(by_x))
            f, g = by_y - np.float32(dy), by_x - np.float32(dx)
            y0, x0 = row + dy, column + dx
            f1, g1 = one - f, one - g
            wy = (
                f1 * f1 * f1 / six,
                (four - six * f * f + three * f * f * f) / six,
                (four - six * f1 * f1 + three * f1 * f1 * f1) / six,
                f * f * f / six,
            )
            wx = (
                g1 * g1 * g1 / six,
                (four - six * g * g + three * g * g * g) / six,
                (four - six * g1 * g1 + three * g1 * g1 * g1) / six,
                g * g * g / six,
            )
            total = np.float32(0)
            if 1 <= y0 < rows - 2 and 1 <= x0 < columns - 2:
                for a in range(4):
                    y = y0 - 1 + a
                    total += wy[a] * (
                        wx[0] * coefficients[y, x0 - 1]
                        + wx[1] * coefficients[y, x0]
                        + wx[2] * coefficients[y, x0 + 1]
                        + wx[3] * coefficients[y, x0 + 2]
                    )
            else:
                for a in range(4):
                    y = _within(y0 - 1 + a, rows)
                    for b in range(4):
                        total += wy[a] * wx[b] * coefficients[y, _within(x0 - 1 + b, columns)]
            out[row, column] = total
