"""What counts are to be expected of a tilt from the others of its series: the alarm of lost counts rests on it.

Through a slab, ln(counts / exposure) falls with the path, 1 / cos(tilt). The line is that of Theil and Sen: the median
of the slopes of all pairs, which nearly a third of blocked tilts leave where it is. A pre-tilt makes one side thicker;
the alarm's threshold leaves room for that.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEAST_TILTS = 3
"""Fewer tell no tilt from the others."""

_SHORTEST_STEP = 0.02  # of 1 / cos: pairs closer than 11° and 0° tell no slope


def expected_counts(
    tilts_deg: Sequence[float], counts: Sequence[float], exposures_e_A2: Sequence[float | None]
) -> tuple[float, ...] | None:
    """Return the counts that each tilt is expected to have, in the unit of `counts`; None where too few tell.

    Parameters
    ----------
    tilts_deg, counts
        Of the tilts whose counts are known; counts of 0 are counts, negative ones tell nothing.
    exposures_e_A2
        Of each; where one is not known, all are taken to be the same.
    """
    exposure = np.array([each or np.nan for each in exposures_e_A2], dtype=float)
    if not np.isfinite(exposure).all():
        exposure = np.ones(len(exposure))
    path = 1 / np.cos(np.deg2rad(np.asarray(tilts_deg, dtype=float)))
    seen = np.asarray(counts, dtype=float) > 0
    if seen.sum() < LEAST_TILTS:
        return None
    log = np.log(np.asarray(counts, dtype=float)[seen] / exposure[seen])
    slope = _slope(path[seen], log)
    level = float(np.median(log - slope * path[seen]))
    return tuple(float(each) for each in exposure * np.exp(level + slope * path))


def _slope(path: NDArray[np.float64], log: NDArray[np.float64]) -> float:
    """Return the median slope over pairs; counts do not rise with the path."""
    step = path[:, None] - path[None, :]
    far = step > _SHORTEST_STEP
    if not far.any():
        return 0.0
    rise = log[:, None] - log[None, :]
    return min(0.0, float(np.median(rise[far] / step[far])))
