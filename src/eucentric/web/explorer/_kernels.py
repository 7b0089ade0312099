"""The loops of the explorer's pictures, compiled: shadows of balls and discs without a grid, and back-projection."""

import math

import numpy as np
from numpy.typing import NDArray

from eucentric.core.jit import compiled

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]


@compiled()
def _area(s: float, radius: float) -> float:
    """Return the area of a disc to the left of `s`."""
    if s >= radius:
        return 0.5 * math.pi * radius * radius
    if s <= -radius:
        return -0.5 * math.pi * radius * radius
    return s * math.sqrt(radius * radius - s * s) + radius * radius * math.asin(s / radius)


@compiled()
def add_discs(
    s_px: Doubles, layer: Doubles, outer_px: Doubles, inner_px: Doubles, contrast: Doubles, lines: Floats
) -> None:
    """Add what the beam meets of discs, averaged over each pixel, to lines in layers (n, layers, width).

    Discs (n, m) lie at `s_px` from the middle of their line and at `layer`, a number between 0 and the last layer:
    one between two layers is shared among both.
    """
    n, m = s_px.shape
    last, width = lines.shape[1] - 1, lines.shape[2]
    for i in range(n):
        for j in range(m):
            centre, outer, inner = s_px[i, j] + width // 2, outer_px[j], inner_px[j]
            first = max(0, math.floor(centre - outer + 0.5))
            end = min(width, math.ceil(centre + outer + 0.5))
            if first >= end:
                continue
            below = min(max(int(layer[i, j]), 0), last - 1)
            share = min(max(layer[i, j] - below, 0.0), 1.0)
            before = _area(first - 0.5 - centre, outer) - _area(first - 0.5 - centre, inner)
            for u in range(first, end):
                after = _area(u + 0.5 - centre, outer) - _area(u + 0.5 - centre, inner)
                value = contrast[j] * (after - before)
                lines[i, below, u] += value * (1 - share)
                lines[i, below + 1, u] += value * share
                before = after


@compiled()
def add_balls(
    place_px: Doubles, layer: Doubles, outer_px: Doubles, inner_px: Doubles, contrast: Doubles, images: Floats
) -> None:
    """Add what the beam meets of balls, at the middle of each pixel, to images in layers (layers, rows, columns).

    Balls (m,) lie at `place_px` (m, 2), x and y from the middle of the image.
    """
    last, rows, columns = images.shape[0] - 1, images.shape[1], images.shape[2]
    for j in range(len(outer_px)):
        x, y, outer = place_px[j, 0] + columns // 2, place_px[j, 1] + rows // 2, outer_px[j]
        below = min(max(int(layer[j]), 0), last - 1)
        share = min(max(layer[j] - below, 0.0), 1.0)
        for row in range(max(0, math.ceil(y - outer)), min(rows, math.floor(y + outer) + 1)):
            left = outer * outer - (row - y) ** 2
            if left <= 0:
                continue
            reach = math.sqrt(left)
            hollow = left - outer * outer + inner_px[j] * inner_px[j]
            for u in range(max(0, math.ceil(x - reach)), min(columns, math.floor(x + reach) + 1)):
                value = 2 * math.sqrt(max(left - (u - x) ** 2, 0.0))
                if hollow > (u - x) ** 2:
                    value -= 2 * math.sqrt(hollow - (u - x) ** 2)
                images[below, row, u] += contrast[j] * value * (1 - share)
                images[below + 1, row, u] += contrast[j] * value * share


@compiled()
def backproject(lines: Floats, cos: Doubles, sin: Doubles, finer: int, out: Floats) -> None:
    """Add lines (n, width), `finer` samples to a pixel, to a slice (z, x): each pixel takes the nearest sample.

    Geometry as in `processing.operators`: u = x cos + z sin. That one serves volumes of many rows, and takes fifteen
    times as long for one. Lines must be as wide as the slice's diagonal.
    """
    depth, across = out.shape
    one = 4096  # places in whole numbers, so that no step needs rounding
    for z in range(depth):
        row = out[z]
        for i in range(len(lines)):
            line = lines[i]
            start = lines.shape[1] // 2 + finer * ((z - depth // 2) * sin[i] - (across // 2) * cos[i]) + 0.5
            at, step = np.int32(one * start), np.int32(round(one * finer * cos[i]))
            for x in range(across):
                row[x] += line[np.uint32(at >> np.int32(12))]
                at += step


@compiled()
def add_sections(information: Doubles, tilt: Doubles, half: Doubles, out: Doubles) -> None:
    """Add what tilts (n,) know at m frequencies to directions that divide half a turn evenly, (directions, m).

    A section reaches `half` (n, m) to each side of its tilt; a direction has the share of it that lies within. In rad.
    """
    directions, frequencies = out.shape
    width = math.pi / directions
    for j in range(len(tilt)):
        for at in range(frequencies):
            low, high = (tilt[j] - half[j, at]) / width, (tilt[j] + half[j, at]) / width
            for place in range(math.floor(low), math.ceil(high)):
                share = min(place + 1.0, high) - max(float(place), low)
                out[place % directions, at] += share * information[j, at]
