"""Find the two unknowns that all views share: where the tilt axis lies and how thick the specimen is.

Both are chosen by the same judge: how well each view is predicted from the others after an alignment with that
axis and that depth. A volume made with the wrong axis, or too thin to hold the specimen, or thicker than it (so
that views overlap less and predict each other less well), predicts worse.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Peak:
    """The highest point of a score: its place, its standard error, and all that was tried, sorted by place."""

    best: float
    uncertainty: float
    tried: tuple[tuple[float, float], ...]


def climb(score: Callable[[float], Scores], start: float, step: float, smallest: float) -> Peak:
    """Climb from `start` to the nearest peak of the mean score with parabolas through three places.

    Parameters
    ----------
    score
        Gives one score per view at a place.
    start, step, smallest
        Where to begin, the first distance between places, and the distance at which to stop.
    """
    known: dict[float, Scores] = {}

    def at(place: float) -> Scores:
        place = round(place, 4)
        if place not in known:
            known[place] = score(place)
        return known[place]

    centre = start
    moves = 0
    while True:
        low, middle, high = at(centre - step), at(centre), at(centre + step)
        if max(low.mean(), high.mean()) > middle.mean() and moves < 12:
            centre += step if high.mean() > low.mean() else -step
            moves += 1
            continue
        vertex, error = _vertex(low, middle, high, step)
        if step / 2 < smallest:
            tried = tuple((place, float(known[place].mean())) for place in sorted(known))
            return Peak(centre + vertex, error, tried)
        centre, step = centre + vertex, step / 2


def _vertex(low: Scores, middle: Scores, high: Scores, step: float) -> tuple[float, float]:
    """Return the parabola's peak about the middle, and its jackknife standard error over views."""

    def peak(keep: NDArray[np.bool_]) -> float:
        a, b, c = low[keep].mean(), middle[keep].mean(), high[keep].mean()
        curvature = 2 * b - a - c
        return float(np.clip(step * (c - a) / (2 * curvature), -step, step)) if curvature > 1e-12 else 0.0

    n = len(middle)
    everything = np.ones(n, dtype=bool)
    without = np.array([peak(np.arange(n) != i) for i in range(n)])
    error = float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))
    return peak(everything), error


def local_peaks(places: Iterable[float], scores: Iterable[float], period: float) -> list[float]:
    """Return the places of a periodic, evenly sampled score that are higher than both neighbours, best first."""
    x, s = np.array(list(places)), np.array(list(scores))
    order = np.argsort(x % period)
    x, s = x[order], s[order]
    higher = (s >= np.roll(s, 1)) & (s > np.roll(s, -1))
    return [float(place) for place in x[higher][np.argsort(-s[higher], kind="stable")]] or [float(x[s.argmax()])]
