"""A first idea of the tilt axis, from pairs of views of neighbouring tilt alone: no volume, and so within a second.

The specimen looks narrower, across the axis, the more it is tilted. Widened again by the ratio of the cosines, about
the right axis and no other, the more tilted of two views looks like the less tilted one.
"""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.core import Reporter
from eucentric.processing.alignment.matcher import Matcher
from eucentric.processing.alignment.search import local_peaks

_APART = (1, 2)  # places in the order of tilts between the views of a pair: farther ones differ by parallax
_STEP_DEG = 10.0  # half of what the score's peak is wide
_MOST = 4  # candidates that are looked at closer
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
    axes = [float(axis) for axis in np.arange(-90.0, 90.0, _STEP_DEG)]

    @cache
    def score(axis_deg: float) -> float:
        return _score(matcher, views, axis_deg, max_move)

    scores = [score(axis) for axis in reporter.each(axes, "Scanning for the tilt axis")]
    floor = float(np.median(scores))
    peaks = []
    for coarse in local_peaks(axes, scores, 180.0)[:_MOST]:
        axis, height = coarse, 0.0
        for step in (_STEP_DEG, _CLOSER_DEG):
            three = np.array([score(within_90(axis + away)) for away in (-step, 0.0, step)])
            axis, height = axis + step * _vertex(three), float(three.max()) - floor
        peaks.append((within_90(axis), height))
    peaks.sort(key=lambda peak: -peak[1])
    best = max(peaks[0][1], 1e-12)
    return [(axis, height / best) for axis, height in peaks]


def within_90(axis_deg: float) -> float:
    """Return the angle of an axis, or between two, that lies within ±90°."""
    return (axis_deg + 90) % 180 - 90


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
    spectra = matcher.spectrum(plain)[places[less]], matcher.spectrum(widened)
    return float(matcher.match_spectra(*spectra, plain.shape[2], max_move).correlation.mean())


def _vertex(three: NDArray[np.float64]) -> float:
    """Return where the parabola through three values, at -1, 0 and 1, has its peak, within these."""
    low, middle, high = three
    curvature = 2 * middle - low - high
    return float(np.clip((high - low) / (2 * curvature), -1, 1)) if curvature > 1e-12 else 0.0
