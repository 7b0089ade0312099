"""Where an adjustment starts: the tilt axis when nobody knows it, and views whose tilt angle cannot be right."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eucentric.processing.alignment.beads.model import AXIS, TILT, Freedom, X, Y, basis, see
from eucentric.processing.alignment.beads.solving import SCALE_FLOOR_PX, Problem, Solution, solve

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_SCAN_DEG = 15.0  # a step along the axis finds its way from half of it
_CLOSER = 3  # of the axes tried, how many are looked at closer
_TRIED_DEG = np.arange(-89.0, 89.5, 1.0)
_FINE_DEG = np.arange(-1.0, 1.05, 0.1)
_DIFFERS_DEG = 2.0  # a stage misses by tenths of a degree
_MISFIT = 5.0  # noise units, of the median residual of a view whose angle is doubted
_BETTER = 0.5  # of that residual, what is left with the right angle
_FEWEST = 3  # beads that tell a tilt angle


@dataclass(frozen=True)
class Doubt:
    """A view whose given tilt angle does not fit, and the angle that does (rad)."""

    view: int
    tilt: float


def start(problem: Problem, tilts: Array, axis: float | None, order: Ints) -> Solution:
    """Return a first solution with tilts (rad) as given and one axis, searched for within ±90° where it is not given.

    Beads begin at the origin and shifts at zero: with angles given, the model is linear in both.
    """
    views = np.zeros((problem.n, 8))
    views[:, TILT] = tilts
    beads = np.zeros((problem.beads, 3))
    axes = np.deg2rad(np.arange(-90.0, 90.0, _SCAN_DEG)) if axis is None else np.array([axis])
    tried = []
    for one in axes:
        views[:, AXIS] = one
        moves = basis(Freedom(axis="fixed"), views, order)
        tried.append(solve(problem, views.copy(), beads, moves, tight=False, rounds=2, steps=3))
    tried.sort(key=lambda solution: solution.sigma_px)
    closer = [fit(problem, solution, Freedom(), order) for solution in tried[:_CLOSER]]
    best = min(closer, key=lambda solution: solution.sigma_px)
    if axis is not None:
        return best
    # The opposite axis sees the mirrored specimen just so: of the two, the one within ±90°.
    middle = float(np.median(best.views[:, AXIS]))
    halves = round(middle / np.pi)
    turned = best.views.copy()
    turned[:, AXIS] -= halves * np.pi
    return replace(best, views=turned, zyx_px=best.zyx_px * (-1.0) ** halves)


def fit(problem: Problem, solution: Solution, freedom: Freedom, order: Ints, loose: tuple[int, ...] = ()) -> Solution:
    """Return a solution with more freedom, under the forgiving loss."""
    moves = basis(freedom, solution.views, order, loose)
    return solve(problem, solution.views, solution.zyx_px, moves, tight=False)


def doubtful_views(problem: Problem, solution: Solution) -> list[Doubt]:
    """Find views whose beads lie where another tilt angle puts them, and not where their own does.

    Each is tried at every angle with the beads as the others have them; its shift is the median that is left.
    """
    doubts = []
    sigma = max(solution.sigma_px, SCALE_FLOOR_PX)
    for view in range(problem.n):
        mine = problem.view == view
        if mine.sum() < _FEWEST:
            continue
        places, beads = problem.yx_px[mine], solution.zyx_px[problem.bead[mine]]
        given = solution.views[view, TILT]
        here = _misfits(solution.views[view], np.array([given]), places, beads)[0]
        if here <= _MISFIT * sigma:
            continue
        tried = np.deg2rad(_TRIED_DEG)
        coarse = tried[int(np.argmin(_misfits(solution.views[view], tried, places, beads)))]
        fine = coarse + np.deg2rad(_FINE_DEG)
        misfits = _misfits(solution.views[view], fine, places, beads)
        best = float(fine[int(np.argmin(misfits))])
        if misfits.min() < _BETTER * here and abs(best - given) > np.deg2rad(_DIFFERS_DEG):
            doubts.append(Doubt(view, best))
    return doubts


def _misfits(view: Array, tilts: Array, places: Array, beads: Array) -> Array:
    """Return the median distance that is left at each of `tilts`."""
    left = []
    for tilt in tilts:
        tried = view.copy()
        tried[TILT], tried[[Y, X]] = tilt, 0.0
        apart = places - see(np.broadcast_to(tried, (len(beads), len(tried))), beads)
        left.append(np.median(np.hypot(*(apart - np.median(apart, axis=0)).T)))
    return np.array(left)
