"""What became of every section, bead and observation, in words and numbers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eucentric.processing.alignment.beads.fitting import Fitted, prior_for
from eucentric.processing.alignment.beads.model import PARAMETERS, TILT, X, Y, basis, held, see
from eucentric.processing.alignment.beads.records import BundleAdjustment
from eucentric.processing.alignment.beads.solving import Solution, covariances, variance
from eucentric.processing.alignment.beads.tracks import Tracks

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_SAME_DEG = 1.0  # an angle found is that of another view, the two may have been swapped


def tell_all(
    tracks: Tracks,
    shape_yx: tuple[int, int],
    tilts_deg: Sequence[float],
    fitted: Fitted,
    active: Ints,
    chosen: Ints,
    numbers: Ints,
    reasons: dict[int, str],
    usable: Flags,
) -> BundleAdjustment:
    """Put the solution in terms of all sections, beads and observations."""
    problem, solution = fitted.problem, fitted.solution
    n, m = len(tilts_deg), len(tracks)
    moves = basis(fitted.freedom, solution.views, fitted.order, fitted.loose)
    kept = solution.weights > 0
    freedom = max(1, 2 * int(kept.sum()) - moves.shape[1] - 3 * problem.beads)
    prior = prior_for(problem, fitted.freedom, fitted.order, fitted.loose)
    scale = variance(problem, solution, moves.shape[1] + 3 * problem.beads)
    of_views, of_beads = covariances(problem, solution, moves, scale, prior)

    shown_views, zyx_px = _with_origin_in_least_tilted(solution.views, solution.zyx_px)
    fit_in_view = np.bincount(problem.view[kept], minlength=problem.n)
    views, left_out = _all_views(shown_views, fit_in_view, active, np.asarray(tilts_deg, dtype=float))
    errors = np.full((n, PARAMETERS), np.inf)
    standing = fit_in_view > 0
    errors[active[standing]] = np.sqrt(of_views[standing])

    place = np.full(len(numbers), -1)
    place[np.searchsorted(numbers, chosen)] = np.arange(len(chosen))
    known = place >= 0
    beads = np.full((len(numbers), 3), np.nan)
    beads[known] = zyx_px[place[known]]
    bead_errors = np.full((len(numbers), 3), np.nan)
    bead_errors[known] = np.sqrt(of_beads[place[known]])
    at = np.searchsorted(numbers, tracks.bead)
    centre = np.array([size // 2 for size in shape_yx], dtype=float)
    residuals = np.full((m, 2), np.nan)
    has_place = known[at]
    residuals[has_place] = (tracks.yx_px - centre - see(views[tracks.view], beads[at]))[has_place]
    all_lengths = np.hypot(*residuals.T)
    said = _observation_reasons(tracks, reasons, usable, left_out, all_lengths, solution, kept)
    used = np.array([not reason for reason in said], dtype=bool)
    mean = np.full(len(numbers), np.nan)
    for bead in np.flatnonzero(known):
        mine = used & (at == bead)
        mean[bead] = all_lengths[mine].mean() if mine.any() else np.nan
    return BundleAdjustment(
        tracks=tracks,
        shape_yx=shape_yx,
        freedom=fitted.freedom,
        views=views,
        view_errors=errors,
        bead_numbers=numbers,
        beads_zyx_px=beads,
        bead_errors_px=bead_errors,
        bead_residuals_px=mean,
        bead_reasons=tuple(reasons.get(int(number), "") for number in numbers),
        residuals_yx_px=residuals,
        observation_reasons=said,
        sigma_px=solution.sigma_px,
        mean_residual_px=float(all_lengths[used].mean()),
        mean_residual_all_px=float(all_lengths[has_place].mean()),
        degrees_of_freedom=freedom,
        left_out=left_out,
        doubts=_doubts(fitted, active, tilts_deg, views),
        held=held(fitted.freedom),
    )


def _with_origin_in_least_tilted(views: Array, zyx_px: Array) -> tuple[Array, Array]:
    """Put the specimen's origin at the beads' mean height, where the least tilted view sees it in the middle."""
    least = views[int(np.argmin(np.abs(views[:, TILT])))]
    still = least.copy()
    still[[Y, X]] = 0.0
    height = float(zyx_px[:, 0].mean())
    probes = np.array([[height, 0.0, 0.0], [height, 1.0, 0.0], [height, 0.0, 1.0]])
    seen = see(np.broadcast_to(still, (3, PARAMETERS)), probes)
    in_plane = (seen[1:] - seen[0]).T
    y, x = np.linalg.solve(in_plane, -(least[[Y, X]] + seen[0]))
    origin = np.array([height, float(y), float(x)])
    moved = views.copy()
    moved[:, [Y, X]] = see(views, np.broadcast_to(origin, (len(views), 3)))
    return moved, zyx_px - origin


def _all_views(found: Array, fit_in_view: Ints, active: Ints, tilts_deg: Array) -> tuple[Array, dict[int, str]]:
    """Return the parameters of all sections; those of sections without an observation stand between neighbours'."""
    standing = fit_in_view > 0
    views = np.empty((len(tilts_deg), PARAMETERS))
    views[active[standing]] = found[standing]
    gaps = np.setdiff1d(np.arange(len(tilts_deg)), active[standing])
    known = active[standing][np.argsort(tilts_deg[active[standing]], kind="stable")]
    left_out = {}
    for section in gaps:
        for column in range(PARAMETERS):
            values = views[known, column] - (np.deg2rad(tilts_deg[known]) if column == TILT else 0.0)
            views[section, column] = np.interp(tilts_deg[section], tilts_deg[known], values)
        views[section, TILT] += np.deg2rad(tilts_deg[section])
        left_out[int(section)] = (
            "none of its beads is where the others say" if section in active else "no bead was seen in it"
        )
    return views, left_out


def _doubts(fitted: Fitted, active: Ints, tilts_deg: Sequence[float], views: Array) -> dict[int, str]:
    said = {}
    for doubt in fitted.doubts:
        section = int(active[doubt.view])
        found = float(np.rad2deg(views[section, TILT]))
        words = f"its angle {tilts_deg[section]:.2f}° does not fit, its beads say {found:.2f}°"
        others = [other for other in range(len(tilts_deg)) if other != section]
        nearest = min(others, key=lambda other: abs(tilts_deg[other] - found))
        if abs(tilts_deg[section] + found) < _SAME_DEG:
            words += ": the sign is wrong"
        elif abs(tilts_deg[nearest] - found) < _SAME_DEG:
            words += f", which is what view {nearest} is given: they may be swapped"
        said[section] = words
    return said


def _observation_reasons(
    tracks: Tracks,
    bead_reasons: dict[int, str],
    usable: Flags,
    left_out: dict[int, str],
    lengths: Array,
    solution: Solution,
    kept: Flags,
) -> tuple[str, ...]:
    weighted = np.zeros(len(tracks), dtype=bool)
    weighted[usable] = kept
    said = []
    for i in range(len(tracks)):
        bead, view = int(tracks.bead[i]), int(tracks.view[i])
        if bead in bead_reasons:
            said.append("its bead is rejected")
        elif not usable[i]:
            said.append("outside of the image")
        elif view in left_out:
            said.append("its view is left out")
        elif not weighted[i]:
            said.append(
                f"{lengths[i]:.2f} px from where it should be, {lengths[i] / solution.sigma_px:.0f} times the noise"
            )
        else:
            said.append("")
    return tuple(said)
