"""The median of the 3 x 3 pixels around each, in compiled code: some forty times as fast as a general median filter."""

import numpy as np
from numpy.typing import NDArray

from eucentric.core.jit import compiled, parallel_range

Floats = NDArray[np.float32]


@compiled()
def _low_high(a: float, b: float) -> tuple[float, float]:
    return (a, b) if a <= b else (b, a)


@compiled()
def _sorted3(a: float, b: float, c: float) -> tuple[float, float, float]:
    a, b = _low_high(a, b)
    b, c = _low_high(b, c)
    a, b = _low_high(a, b)
    return a, b, c


@compiled(parallel=True)
def _median3(image: Floats, out: Floats) -> None:
    rows, columns = image.shape
    for y in parallel_range(rows):
        above = y - 1 if y > 0 else min(1, rows - 1)
        below = y + 1 if y < rows - 1 else max(rows - 2, 0)
        for x in range(columns):
            left = x - 1 if x > 0 else min(1, columns - 1)
            right = x + 1 if x < columns - 1 else max(columns - 2, 0)
            a0, a1, a2 = _sorted3(image[above, left], image[y, left], image[below, left])
            b0, b1, b2 = _sorted3(image[above, x], image[y, x], image[below, x])
            c0, c1, c2 = _sorted3(image[above, right], image[y, right], image[below, right])
            # The median is that of: the largest of the lows, the median of the middles, the smallest of the highs.
            low = max(a0, b0, c0)
            _, middle, _ = _sorted3(a1, b1, c1)
            high = min(a2, b2, c2)
            _, median, _ = _sorted3(low, middle, high)
            out[y, x] = median


def median_3x3(image: Floats) -> Floats:
    """Return the median around each pixel of (y, x), mirrored about its border's pixels; numbers must be finite."""
    out = np.empty_like(image)
    _median3(np.ascontiguousarray(image), out)
    return out
