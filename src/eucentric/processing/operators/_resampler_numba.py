"""CPU form of the cubic B-spline resampler."""

import math

import numpy as np
from numpy.typing import NDArray

from eucentric.core.jit import compiled, parallel_range

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]
Four = tuple[np.float32, np.float32, np.float32, np.float32]


@compiled()
def _mirrored(i: int, n: int) -> int:
    """Return the index within 0 .. n - 1 that mirroring about the outermost pixels leads to."""
    period = max(2 * (n - 1), 1)
    i = abs(i) % period
    return i if i < n else period - i


@compiled()
def _fade(position: float, n: int, margin: float) -> float:
    """Return 1 on the image, falling as a raised cosine to 0 at `margin` pixels beyond its border."""
    beyond = max(-0.5 - position, position - (n - 0.5), 0.0)
    if beyond == 0.0:
        return 1.0
    if beyond >= margin:
        return 0.0
    return 0.5 + 0.5 * math.cos(math.pi * beyond / margin)


@compiled()
def _weights(f: np.float32) -> Four:
    """Return the cubic B-spline weights of the four samples about a place `f` beyond the second (float32)."""
    sixth, half = np.float32(1 / 6), np.float32(0.5)
    g = np.float32(1) - f
    f2, g2 = f * f, g * g
    two_thirds = np.float32(2 / 3)
    return (
        g2 * g * sixth,
        two_thirds - f2 * (np.float32(1) - half * f),
        two_thirds - g2 * (np.float32(1) - half * g),
        f2 * f * sixth,
    )


@compiled()
def _across(coefficients: Floats, i: int, y: int, x: int, v: Four) -> np.float32:
    """Return the weighted sum of four coefficients of a row."""
    total: np.float32 = (
        v[0] * coefficients[i, y, x]
        + v[1] * coefficients[i, y, x + 1]
        + v[2] * coefficients[i, y, x + 2]
        + v[3] * coefficients[i, y, x + 3]
    )
    return total


@compiled(parallel=True)
def resample(coefficients: Floats, maps: Doubles, margin: float, out: Floats) -> None:
    """Fill `out` (n, y', x') from `coefficients` (n, y, x)."""
    n, rows, columns = coefficients.shape
    _, new_rows, new_columns = out.shape
    for job in parallel_range(n * new_rows):
        i, row = job // new_rows, job % new_rows
        m = maps[i]
        y_new = row - new_rows // 2
        for column in range(new_columns):
            x_new = column - new_columns // 2
            y = m[0, 0] * y_new + m[0, 1] * x_new + m[0, 2] + rows // 2
            x = m[1, 0] * y_new + m[1, 1] * x_new + m[1, 2] + columns // 2
            weight = _fade(y, rows, margin) * _fade(x, columns, margin)
            if weight == 0.0:
                out[i, row, column] = 0.0
                continue
            y0, x0 = int(np.floor(y)), int(np.floor(x))
            w, v = _weights(np.float32(y - y0)), _weights(np.float32(x - x0))
            total = np.float32(0)
            if 1 <= y0 < rows - 2 and 1 <= x0 < columns - 2:
                total = (
                    w[0] * _across(coefficients, i, y0 - 1, x0 - 1, v)
                    + w[1] * _across(coefficients, i, y0, x0 - 1, v)
                    + w[2] * _across(coefficients, i, y0 + 1, x0 - 1, v)
                    + w[3] * _across(coefficients, i, y0 + 2, x0 - 1, v)
                )
            else:
                for a in range(4):
                    line = np.float32(0)
                    for b in range(4):
                        line += v[b] * coefficients[i, _mirrored(y0 - 1 + a, rows), _mirrored(x0 - 1 + b, columns)]
                    total += w[a] * line
            out[i, row, column] = np.float32(weight) * total
