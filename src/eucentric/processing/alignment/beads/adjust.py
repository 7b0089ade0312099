"""`adjust_bundle`: from tracks of beads and tilt angles to views and beads that explain them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eucentric.core import InputError
from eucentric.processing.alignment.beads.fitting import FEWEST_BEADS, Fitted, check_left, fit_tracks, refit
from eucentric.processing.alignment.beads.records import BundleAdjustment, BundleSettings
from eucentric.processing.alignment.beads.telling import tell_all
from eucentric.processing.alignment.beads.tracks import Tracks

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_UNFIT = 5.0  # noise units, where the tight loss gives an observation no weight
_UNFIT_SHARE = 0.5  # of a bead's observations: more, and it is something else than one bead
_UNLIKE = 3.5  # times the others' median residual: a bead that moves in the specimen


def adjust_bundle(
    tracks: Tracks, tilts_deg: Sequence[float], shape_yx: tuple[int, int], settings: BundleSettings | None = None
) -> BundleAdjustment:
    """Find the views and the beads that explain the tracks, robustly.

    Observations, beads and views that do not fit are left out, each with its reason. A view whose tilt angle is
    plainly wrong is found by its beads: it is refined freely from the angle that fits, and named in `doubts`.

    Parameters
    ----------
    tracks
        Where beads were seen.
    tilts_deg
        Tilt angle of each section. The sign of all together makes no difference to what is seen.
    shape_yx
        Rows and columns of the images.
    settings
        See `BundleSettings`.

    Raises
    ------
    InputError
        If a view has no angle, or fewer than 3 beads are left, or too few observations for what is to be found.
    """
    settings = settings or BundleSettings()
    _check(tracks, tilts_deg)
    numbers, reasons, usable = _usable_beads(tracks, shape_yx, settings.fewest_views)
    fitted, active, chosen = fit_tracks(tracks.only(usable), tilts_deg, shape_yx, settings)
    while True:
        unfit = _unfit_beads(fitted)
        if not unfit:
            break
        for bead, reason in unfit.items():
            reasons[int(chosen[bead])] = reason
        keep = np.array([bead not in unfit for bead in range(len(chosen))])
        usable &= ~np.isin(tracks.bead, chosen[~keep])
        check_left(int(keep.sum()))
        fitted, active, chosen = refit(fitted, active, chosen, keep)
    return tell_all(tracks, shape_yx, tilts_deg, fitted, active, chosen, numbers, reasons, usable)


def _usable_beads(tracks: Tracks, shape_yx: tuple[int, int], fewest_views: int) -> tuple[Ints, dict[int, str], Flags]:
    """Return the beads' numbers, why some cannot be used, and which observations can."""
    inside = ((tracks.yx_px >= -0.5) & (tracks.yx_px <= np.array(shape_yx) - 0.5)).all(axis=1)
    numbers = np.unique(tracks.bead)
    reasons = {}
    for number in numbers:
        seen = int((inside & (tracks.bead == number)).sum())
        if seen < fewest_views:
            times = "one view" if seen == 1 else f"{seen} views"
            reasons[int(number)] = f"seen in {times}, and {fewest_views} are needed"
    return numbers, reasons, inside & ~np.isin(tracks.bead, list(reasons))


def _unfit_beads(fitted: Fitted) -> dict[int, str]:
    """Return the beads that do not belong, the worst only, as the others are judged anew without it."""
    problem, solution = fitted.problem, fitted.solution
    lengths = np.hypot(*problem.residuals(solution.views, solution.zyx_px).T)
    unfit = lengths > _UNFIT * solution.sigma_px
    total = np.bincount(problem.bead, minlength=problem.beads)
    share = np.bincount(problem.bead, weights=unfit, minlength=problem.beads) / total
    worst = int(np.argmax(share))
    if share[worst] > _UNFIT_SHARE:
        return {worst: f"{share[worst]:.0%} of its {total[worst]} observations do not fit"}
    medians = np.array([np.median(lengths[problem.bead == bead]) for bead in range(problem.beads)])
    usual = float(np.median(medians))
    worst = int(np.argmax(medians))
    if problem.beads > FEWEST_BEADS and medians[worst] > max(_UNLIKE * usual, 2 * solution.sigma_px):
        return {worst: f"its median residual is {medians[worst]:.2f} px, and the others' {usual:.2f} px"}
    return {}


def _check(tracks: Tracks, tilts_deg: Sequence[float]) -> None:
    if len(tracks) and tracks.view.max() >= len(tilts_deg):
        raise InputError(
            f"A bead was seen in view {tracks.view.max()}, and angles are given of views 0 to {len(tilts_deg) - 1}.",
            "Views are counted from 0; give the angles of this series.",
        )
    if not np.isfinite(np.asarray(tilts_deg, dtype=float)).all():
        raise InputError("A tilt angle is no number.")


def usable_tracks(found: BundleAdjustment) -> Flags:
    """Return which observations are of beads that were not rejected, inside the image, in a view that is used."""
    bead = np.array(found.bead_reasons, dtype=object)[np.searchsorted(found.bead_numbers, found.tracks.bead)]
    inside = ((found.tracks.yx_px >= -0.5) & (found.tracks.yx_px <= np.array(found.shape_yx) - 0.5)).all(axis=1)
    return np.asarray((bead == "") & inside & ~np.isin(found.tracks.view, list(found.left_out)))
