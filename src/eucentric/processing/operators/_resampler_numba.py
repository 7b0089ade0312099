"""CPU form of the cubic B-spline resampler."""

import math

import numpy as np
from numpy.typing import NDArray

from eucentric.core.jit import compiled, parallel_range
from eucentric.processing.operators._splines import spline_at

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]
Four = tuple[np.float32, np.float32, np.float32, np.float32]


@compiled()
def _mirrored(i: int, n: int) -> int:
    """Return the index within 0 .. n - 1 that mirroring about the outermost pixels leads to."""
    i = abs(i)
    if i < n:
        return i
    period = max(2 * (n - 1), 1)
    if i >= period:  # rarely: a division costs more than all the rest
        i %= period
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
def _bordered(coefficients: Floats, i: int, y: float, x: float, margin: float) -> np.float32:
    """Return the spline of image `i` at a place on its border or beyond."""
    _, rows, columns = coefficients.shape
    total = np.float32(0)
    weight = _fade(y, rows, margin) * _fade(x, columns, margin)
    if weight == 0.0:
        return total
    y0, x0 = int(np.floor(y)), int(np.floor(x))
    w, v = _weights(np.float32(y - y0)), _weights(np.float32(x - x0))
    x1, x2, x3, x4 = (
        _mirrored(x0 - 1, columns),
        _mirrored(x0, columns),
        _mirrored(x0 + 1, columns),
        _mirrored(x0 + 2, columns),
    )
    for a in range(4):
        line = coefficients[i, _mirrored(y0 - 1 + a, rows)]
        total += w[a] * (v[0] * line[x1] + v[1] * line[x2] + v[2] * line[x3] + v[3] * line[x4])
    return np.float32(weight) * total


@compiled()
def _within(start: float, step: float, n: int, first: int, end: int) -> tuple[int, int]:
    """Return those of the columns `first` to `end` at which ``start + column * step`` has all its four samples."""
    low, high = 1.0, n - 2.0
    if low >= high:
        return first, first
    if abs(step) < 1e-9:
        return (first, end) if low + 1e-3 < start < high - 1e-3 else (first, first)
    a, b = (low - start) / step, (high - start) / step
    # One column less at either side: where rounding would matter, the border's way gives the same.
    return max(first, int(np.ceil(min(a, b))) + 1), min(end, int(np.floor(max(a, b))) - 1)


@compiled()
def _along(
    coefficients: Floats, i: int, start: tuple[float, float], step: tuple[float, float], margin: float, line: Floats
) -> None:
    """Fill a line with the spline of image `i`, from a place yx on and step by step."""
    _, rows, columns = coefficients.shape
    y_start, x_start = start
    y_step, x_step = step
    first, end = _within(y_start, y_step, rows, 0, len(line))
    first, end = _within(x_start, x_step, columns, first, end)
    first = min(first, len(line))
    end = max(first, end)
    for k in range(first):
        line[k] = _bordered(coefficients, i, y_start + k * y_step, x_start + k * x_step, margin)
    for k in range(first, end):
        y, x = y_start + k * y_step, x_start + k * x_step
        y0, x0 = int(y), int(x)
        place = (i * rows + y0 - 1) * columns + x0 - 1
        line[k] = spline_at(coefficients, place, columns, np.float32(y - y0), np.float32(x - x0))
    for k in range(end, len(line)):
        line[k] = _bordered(coefficients, i, y_start + k * y_step, x_start + k * x_step, margin)


@compiled(parallel=True)
def resample(coefficients: Floats, maps: Doubles, margin: float, out: Floats) -> None:
    """Fill `out` (n, y', x') from `coefficients` (n, y, x)."""
    n, rows, columns = coefficients.shape
    _, new_rows, new_columns = out.shape
    for job in parallel_range(n * new_rows):
        i, row = job // new_rows, job % new_rows
        m = maps[i]
        y_new, x_new = row - new_rows // 2, -(new_columns // 2)
        start = (
            m[0, 0] * y_new + m[0, 1] * x_new + m[0, 2] + rows // 2,
            m[1, 0] * y_new + m[1, 1] * x_new + m[1, 2] + columns // 2,
        )
        _along(coefficients, i, start, (m[0, 1], m[1, 1]), margin, out[i, row])
