"""Thickness of a slab from how the counts fall with tilt."""

from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from scipy.optimize import least_squares

from eucentric.core import Angstrom, Degrees, InputError, Record
from eucentric.optics import MEAN_FREE_PATH_A, MEAN_FREE_PATH_RANGE_A

LARGEST_PRE_TILT_DEG = 20.0
"""A lamella is milled at 8 to 15°; a slab beyond 20° would rather be a fold."""

STEEPEST_DEG = 75.0
"""Views beyond look along the slab, where it fills the field no more and 1 / cos runs away."""

SCATTER = 0.02
"""Scatter of ln(counts) that the beam current and the grid explain; larger residuals weigh less."""


class ThicknessFit(Record):
    """A slab fitted to the counts over tilt: ln(counts) = ln(I0) - thickness / (L cos(tilt - pre-tilt)).

    All figures are absent where the fit is not `plausible`, and `reason` says why. `thickness_range_A` is
    what the published mean free paths make of the same counts: the counts only know `mean_free_paths`.
    `residual` is the robust scatter of ln(counts) about it, `error` the standard error of `mean_free_paths`.
    """

    plausible: bool
    reason: str = ""
    mean_free_path_A: Annotated[float, Field(gt=0)]
    thickness_A: Angstrom | None = None
    thickness_range_A: tuple[Angstrom, Angstrom] | None = None
    mean_free_paths: float | None = None
    error: float | None = None
    pre_tilt_deg: Degrees | None = None
    incident_counts: float | None = None
    residual: float | None = None

    def counts(self, tilts_deg: ArrayLike) -> NDArray[np.float64]:
        """Return the fitted counts at the angles `tilts_deg`.

        Raises
        ------
        InputError
            If there is no plausible fit.
        """
        if self.incident_counts is None or self.mean_free_paths is None or self.pre_tilt_deg is None:
            raise InputError(f"There is no thickness fit: {self.reason}")
        slab_deg = np.asarray(tilts_deg, dtype=float) - self.pre_tilt_deg
        fitted: NDArray[np.float64] = self.incident_counts * np.exp(
            -self.mean_free_paths / np.cos(np.deg2rad(slab_deg))
        )
        return fitted


def thickness_from_counts(
    tilts_deg: ArrayLike,
    mean_counts: ArrayLike,
    used: ArrayLike | None = None,
    mean_free_path_A: float = MEAN_FREE_PATH_A,
) -> ThicknessFit:
    """Fit the slab's thickness, its pre-tilt and the incident counts to the mean counts of the views.

    Parameters
    ----------
    tilts_deg
        Stage tilts, (n,).
    mean_counts
        Mean counts of each view in any linear unit, (n,); they must be comparable (same exposure).
    used
        Which views to use, (n,); all where absent.
    mean_free_path_A
        Inelastic mean free path that turns the fall into Å.

    Returns
    -------
    ThicknessFit
        With `plausible` false and a reason where the counts are not those of a slab in transmission: too few
        views, counts that are not positive, do not fall with tilt (dark field) or fall by another law.

    Raises
    ------
    InputError
        If the lengths differ.

    Notes
    -----
    Beer-Lambert law of zero-loss transmission; the view's own mean stands for its ice, so a field with holes
    or a carbon edge gives the mean of both. A soft-l1 loss keeps a blocked view from pulling the fit.
    """
    tilts = np.asarray(tilts_deg, dtype=float)
    counts = np.asarray(mean_counts, dtype=float)
    keep = np.ones(tilts.shape, dtype=bool) if used is None else np.array(used, dtype=bool)
    if tilts.ndim != 1 or not tilts.shape == counts.shape == keep.shape:
        raise InputError(f"{tilts.size} tilts, {counts.size} counts and {keep.size} marks do not belong together.")
    keep &= np.abs(tilts) <= STEEPEST_DEG
    tilts, counts = tilts[keep], counts[keep]

    def no(reason: str) -> ThicknessFit:
        return ThicknessFit(plausible=False, reason=reason, mean_free_path_A=mean_free_path_A)

    if tilts.size < 5:
        return no(f"only {tilts.size} views within ±{STEEPEST_DEG:.0f}° are used; a fit needs five")
    if not (np.isfinite(counts).all() and (counts > 0).all()):
        return no("some counts are not positive: the images carry an offset or were normalised")
    path = 1 / np.cos(np.deg2rad(tilts))
    if np.ptp(path) < 0.15:  # ±30°
        return no(f"the tilts span only {np.ptp(tilts):.0f}°: the path through the slab hardly changes")
    fit = _fit(tilts, np.log(counts))
    log_incident, depth, pre_tilt = fit.x
    residual = 1.4826 * float(np.median(np.abs(fit.fun)))
    # The cost's curvature gives the error; its scale is the scatter that was found, not the one assumed.
    covariance = np.linalg.pinv(fit.jac.T @ fit.jac) * max(residual**2, 1e-12) * tilts.size / (tilts.size - 3)
    error = float(np.sqrt(covariance[1, 1]))
    if depth < -3 * error:
        return no("the counts rise with tilt, as in a dark-field (HAADF) image; transmission falls")
    if depth < 3 * error:
        return no("the counts do not fall with tilt by more than they scatter")
    if abs(pre_tilt) > LARGEST_PRE_TILT_DEG - 0.01:
        return no(f"the counts are highest beyond {LARGEST_PRE_TILT_DEG:.0f}° of tilt: not a flat slab")
    spread = float(np.std(np.log(counts)))
    if residual > 0.5 * spread:
        return no(f"the counts scatter by {residual:.0%} about the law of a slab: the field or the exposure changes")
    return ThicknessFit(
        plausible=True,
        mean_free_path_A=mean_free_path_A,
        thickness_A=float(depth * mean_free_path_A),
        thickness_range_A=(float(depth * MEAN_FREE_PATH_RANGE_A[0]), float(depth * MEAN_FREE_PATH_RANGE_A[1])),
        mean_free_paths=float(depth),
        error=error,
        pre_tilt_deg=float(pre_tilt),
        incident_counts=float(np.exp(log_incident)),
        residual=residual,
    )


def _fit(tilts_deg: NDArray[np.float64], log_counts: NDArray[np.float64]) -> Any:
    """Fit (ln I0, thickness in mean free paths, pre-tilt in degrees); `fun` of the result is the residual."""

    def misfit(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        log_incident, depth, pre_tilt = parameters
        path = 1 / np.cos(np.deg2rad(tilts_deg - pre_tilt))
        difference: NDArray[np.float64] = log_incident - depth * path - log_counts
        return difference

    most = min(LARGEST_PRE_TILT_DEG, 85 - float(np.abs(tilts_deg).max()))
    start = (float(log_counts.max()) + 0.5, 0.5, 0.0)
    bounds = ([-np.inf, -np.inf, -most], [np.inf, np.inf, most])
    return least_squares(misfit, start, bounds=bounds, loss="soft_l1", f_scale=SCATTER, x_scale=(1, 1, 5))
