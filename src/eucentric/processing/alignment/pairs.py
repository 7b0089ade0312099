"""A first idea of the tilt axis, from pairs of views of neighbouring tilt alone: no volume, and so within a second.

The specimen looks narrower, across the axis, the more it is tilted. Widened again by the ratio of the cosines, about
the right axis and no other, the more tilted of two views looks like the less tilted one.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.core import Reporter
from eucentric.processing.alignment.matcher import Matcher

_APART = (1, 2)  # places in the order of tilts between the views of a pair: farther ones differ by parallax
_STEP_DEG = 10.0  # half of what the score's peak is wide
_CLOSER_DEG = 4.0  # from the parabola through the highest values, both ways


def scan_pairs(matcher: Matcher, views: Tensor, max_move: float, reporter: Reporter) -> list[tuple[float, float]]:
    """Return the axes (degrees, within ±90°) at which pairs agree best, and how much better than at most axes.

    Parameters
    ----------
    matcher
        Coarse images: thickness does not matter.
    views
        Indices of the views to use.
    max_move
        Largest shift in pixels between two views.

    Returns
    -------
    list of (axis_deg, height)
        Local peaks, best first; the height is that above the median over all axes, in units of the best one's.
    """
    axes = np.arange(-90.0, 90.0, _STEP_DEG)
    known = {
        float(axis): _score(matcher, views, float(axis), max_move)
        for axis in reporter.each(list(axes), "Scanning for the tilt axis")
    }
    scores = np.array([known[float(axis)] for axis in axes])
    floor = float(np.median(scores))
    peaks = []
    for place in np.flatnonzero((scores >= np.roll(scores, 1)) & (scores > np.roll(scores, -1))):
        axis = float(axes[place] + _STEP_DEG * _vertex(scores[[place - 1, place, (place + 1) % len(axes)]]))
        near = np.array([_score(matcher, views, axis + step, max_move) for step in (-_CLOSER_DEG, 0.0, _CLOSER_DEG)])
        axis += _CLOSER_DEG * _vertex(near)
        peaks.append(((axis + 90) % 180 - 90, float(near.max()) - floor))
    peaks.sort(key=lambda peak: -peak[1])
    best = max(peaks[0][1], 1e-12) if peaks else 1.0
    return [(axis, height / best) for axis, height in peaks]


def _score(matcher: Matcher, views: Tensor, axis_deg: float, max_move: float) -> float:
    """Return the mean correlation of pairs of views, the more tilted of each widened to match the other."""
    by_tilt = views[matcher.tilts_rad[views].argsort(stable=True)]
    first = torch.cat([by_tilt[:-apart] for apart in _APART])
    second = torch.cat([by_tilt[apart:] for apart in _APART])
    cos = torch.cos(matcher.tilts_rad)
    swap = cos[first] < cos[second]
    less, more = torch.where(swap, second, first), torch.where(swap, first, second)
    plain = matcher.widened(axis_deg, views, torch.ones(len(views)))
    places = torch.empty(matcher.n, dtype=torch.long)
    places[views] = torch.arange(len(views))
    widened = matcher.widened(axis_deg, more, cos[more] / cos[less])
    return float(matcher.match(plain[places[less]], widened, max_move).correlation.mean())


def _vertex(three: NDArray[np.float64]) -> float:
    """Return where the parabola through three values, at -1, 0 and 1, has its peak, within these."""
    low, middle, high = three
    curvature = 2 * middle - low - high
    return float(np.clip((high - low) / (2 * curvature), -1, 1)) if curvature > 1e-12 else 0.0
