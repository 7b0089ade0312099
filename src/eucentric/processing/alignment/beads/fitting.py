"""Fits tracks: a first solution, views of a wrong angle put right, then all that may vary, then the tight loss."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eucentric.core import InputError
from eucentric.processing.alignment.beads.initial import Doubt, doubtful_views, fit, start
from eucentric.processing.alignment.beads.model import AXIS, LOG_MAG, PARAMETERS, TILT, X_TILT, Freedom, basis
from eucentric.processing.alignment.beads.records import BundleSettings
from eucentric.processing.alignment.beads.solving import Problem, Solution, solve
from eucentric.processing.alignment.beads.tracks import Tracks

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

FEWEST_BEADS = 3
_FEW_BEADS = 6  # fewer in a view do not hold tilt, x-tilt, axis, magnification and shift together
# How far a view's own parameters wander from the mean of its neighbours': radians, and for magnification a share.
# Twice what the solution of IMOD's tutorial series has, so that data rule where there are any.
_WANDERS = {TILT: np.deg2rad(0.3), X_TILT: np.deg2rad(0.3), AXIS: np.deg2rad(0.15), LOG_MAG: 0.002}
_LOOKS = 3
_QUICK_ROUNDS, _QUICK_STEPS = 2, 4


@dataclass(frozen=True)
class Fitted:
    """A solution for the views that have observations and the beads that were given, before anything is said of it.

    `reference` (n, 8) holds the tilts as given or put right, and else zeros: what parameters of views wander from.
    """

    problem: Problem
    solution: Solution
    reference: Array
    freedom: Freedom
    order: Ints
    loose: tuple[int, ...]
    doubts: tuple[Doubt, ...]


def fit_tracks(
    tracks: Tracks, tilts_deg: Sequence[float], shape_yx: tuple[int, int], settings: BundleSettings
) -> tuple[Fitted, Ints, Ints]:
    """Fit observations that are all to be used; return that, the sections it has views of, and the beads' numbers."""
    active, view = np.unique(tracks.view, return_inverse=True)
    chosen, bead = np.unique(tracks.bead, return_inverse=True)
    check_left(len(chosen))
    centre = np.array([size // 2 for size in shape_yx], dtype=float)
    problem = Problem(view, bead, tracks.yx_px - centre, len(active), len(chosen))
    tilts = np.deg2rad(np.asarray(tilts_deg, dtype=float)[active])
    axis = None if settings.axis_deg is None else float(np.deg2rad(settings.axis_deg))
    order = np.argsort(tilts, kind="stable")
    first = start(problem, tilts, axis, order)
    doubts: dict[int, Doubt] = {}
    for _ in range(_LOOKS):
        found = {doubt.view: doubt for doubt in doubtful_views(problem, first) if doubt.view not in doubts}
        if not found:
            break
        doubts |= found
        views = first.views.copy()
        for doubt in found.values():
            views[doubt.view, TILT] = doubt.tilt
        order = np.argsort(views[:, TILT], kind="stable")
        first = fit(problem, replace(first, views=views), Freedom(), order, tuple(doubts))
    loose = tuple(sorted(doubts))
    reference = np.zeros_like(first.views)
    reference[:, TILT] = first.views[:, TILT] if doubts else tilts
    fitted = Fitted(problem, first, reference, settings.freedom, order, loose, tuple(doubts[view] for view in loose))
    return _finished(fitted), active, chosen


def refit(fitted: Fitted, active: Ints, chosen: Ints, keep: Flags) -> tuple[Fitted, Ints, Ints]:
    """Fit again without some beads, from where the solution is; views that lose all their beads are dropped."""
    problem, solution = fitted.problem, fitted.solution
    of_kept = keep[problem.bead]
    views, view = np.unique(problem.view[of_kept], return_inverse=True)
    bead = (np.cumsum(keep) - 1)[problem.bead[of_kept]]
    left = Problem(view, bead, problem.yx_px[of_kept], len(views), int(keep.sum()))
    place = {int(old): new for new, old in enumerate(views)}
    begin = Solution(solution.views[views], solution.zyx_px[keep], solution.sigma_px, solution.weights[of_kept])
    doubts = tuple(Doubt(place[d.view], d.tilt) for d in fitted.doubts if d.view in place)
    order = np.argsort(begin.views[:, TILT], kind="stable")
    loose = tuple(d.view for d in doubts)
    again = Fitted(left, begin, fitted.reference[views], fitted.freedom, order, loose, doubts)
    return _finished(again), active[views], chosen[keep]


def with_freedom(fitted: Fitted, freedom: Freedom) -> Fitted:
    """Fit again with another freedom, from where the solution is, under the forgiving loss and not to the last digit.

    Raises
    ------
    InputError
        If there are too few observations for it.
    """
    problem, solution = fitted.problem, fitted.solution
    moves = _moves(replace(fitted, freedom=freedom))
    prior = prior_for(problem, freedom, fitted.order, fitted.loose)
    solution = solve(
        problem,
        solution.views,
        solution.zyx_px,
        moves,
        tight=False,
        prior=prior,
        reference=fitted.reference,
        rounds=_QUICK_ROUNDS,
        steps=_QUICK_STEPS,
    )
    return replace(fitted, solution=solution, freedom=freedom)


def prior_for(problem: Problem, freedom: Freedom, order: Ints, loose: Sequence[int]) -> Array | None:
    """Return what ties the parameters of a view with few beads to its neighbours in tilt, (8 n, 8 n), or nothing."""
    seen = np.bincount(problem.view, minlength=problem.n)
    rows = []
    for place, view in enumerate(order):
        if seen[view] >= _FEW_BEADS:
            continue
        near = [order[at] for at in (place - 1, place + 1) if 0 <= at < problem.n]
        for column, level in freedom.levels().items():
            if column not in _WANDERS or (level != "free" and not (column == TILT and view in loose)):
                continue
            if column == TILT and view in loose:
                continue  # its own angle was wrong: it says nothing of where it ought to be
            row = np.zeros((problem.n, PARAMETERS))
            row[view, column] = 1 / _WANDERS[column]
            row[near, column] = -1 / _WANDERS[column] / len(near)
            rows.append(row.reshape(-1))
    if not rows:
        return None
    stacked = np.stack(rows)
    return np.asarray(stacked.T @ stacked)


def _finished(fitted: Fitted) -> Fitted:
    """Bring in the freedom asked for, and then the tight loss."""
    problem, solution = fitted.problem, fitted.solution
    moves = _moves(fitted)
    prior = prior_for(problem, fitted.freedom, fitted.order, fitted.loose)
    for tight in (False, True):
        solution = solve(
            problem, solution.views, solution.zyx_px, moves, tight=tight, prior=prior, reference=fitted.reference
        )
    return replace(fitted, solution=solution)


def _moves(fitted: Fitted) -> Array:
    """Return what may vary, and refuse more than there are observations for."""
    problem = fitted.problem
    moves = basis(fitted.freedom, fitted.solution.views, fitted.order, fitted.loose)
    if 2 * len(problem.view) <= moves.shape[1] + 3 * problem.beads:
        raise InputError(
            f"{len(problem.view)} observations of {problem.beads} beads in {problem.n} views cannot tell "
            f"{moves.shape[1] + 3 * problem.beads} unknowns.",
            "Track more beads, or let less vary.",
        )
    return moves


def check_left(beads: int) -> None:
    """Refuse fewer beads than can tell anything.

    Raises
    ------
    InputError
        If there are fewer than 3.
    """
    if beads < FEWEST_BEADS:
        raise InputError(
            f"Only {beads} beads can be used, and {FEWEST_BEADS} are the fewest that tell how views lie.",
            "Track more beads.",
        )
