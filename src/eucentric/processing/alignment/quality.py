"""Name the views that do not belong: those that all the others fail to predict, or predict in another's place."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_NEIGHBOURS = 8
_SHARE = 0.35  # of the median correlation of its neighbours in angle
_DEVIATIONS = 6.0  # robust standard deviations below that median: both must be met
_DOUBTED_SHARE, _DOUBTED_DEVIATIONS = 0.9, 3.0  # the same of views that are worth a second look
_MOST_DOUBTED = 6  # views looked at again: each two of them cost a projection


def poorly_predicted(correlation: NDArray[np.float64], tilts_deg: Sequence[float]) -> dict[int, str]:
    """Return, by place in the arguments, why views are to be left out.

    A view is compared with its neighbours in angle, since views at high tilt are always predicted less well. At the
    ends of a series all neighbours lie on one side: there the line through them is followed down, but never up.

    Parameters
    ----------
    correlation
        Held-out correlation of each view, (n,).
    tilts_deg
        Its tilt.
    """
    expected = _expected_of_all(correlation, tilts_deg)
    return {
        int(place): f"the other views do not predict it: correlation {correlation[place]:.2f}"
        f" where its neighbours in angle have {expected[place]:.2f}"
        for place in _below(correlation, expected, _SHARE, _DEVIATIONS)
    }


def doubted(correlation: NDArray[np.float64], tilts_deg: Sequence[float]) -> list[int]:
    """Return the places of views that are predicted a little worse than their neighbours, the worst first.

    Parameters are those of `poorly_predicted`.
    """
    expected = _expected_of_all(correlation, tilts_deg)
    places = _below(correlation, expected, _DOUBTED_SHARE, _DOUBTED_DEVIATIONS)
    worst_first = places[np.argsort((correlation / expected)[places], kind="stable")]
    return [int(place) for place in worst_first[:_MOST_DOUBTED]]


def said_of_swapped(other: int, tilt_deg: float) -> str:
    """Return the reason to leave a view out that stands in the place of the section `other`, which has that tilt."""
    return f"swapped with section {other}: the other views predict it at {tilt_deg:.1f}°, and that one at its tilt"


def _below(
    correlation: NDArray[np.float64], expected: NDArray[np.float64], share: float, deviations: float
) -> NDArray[np.intp]:
    shortfall = expected - correlation
    spread = 1.4826 * np.median(np.abs(shortfall - np.median(shortfall)))
    return np.flatnonzero((correlation < share * expected) & (shortfall > deviations * spread))


def _expected_of_all(correlation: NDArray[np.float64], tilts_deg: Sequence[float]) -> NDArray[np.float64]:
    tilts = np.asarray(tilts_deg, dtype=float)
    expected = np.empty_like(correlation)
    for place in range(len(correlation)):
        distance = np.abs(tilts - tilts[place])
        distance[place] = np.inf
        near = np.argsort(distance, kind="stable")[: min(_NEIGHBOURS, len(tilts) - 1)]
        expected[place] = _expected(tilts[near] - tilts[place], correlation[near])
    return expected


def _expected(away_deg: NDArray[np.float64], correlation: NDArray[np.float64]) -> float:
    """Return the neighbours' median, or what the line through them (Theil-Sen) says at 0 if that is less."""
    middle = float(np.median(correlation))
    first, second = np.triu_indices(len(away_deg), 1)
    run, rise = away_deg[second] - away_deg[first], correlation[second] - correlation[first]
    apart = np.abs(run) > 1e-6
    if not apart.any():
        return middle
    slope = np.median(rise[apart] / run[apart])
    return min(middle, float(np.median(correlation - slope * away_deg)))
