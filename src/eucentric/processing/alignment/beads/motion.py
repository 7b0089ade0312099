"""Local motion of the specimen from what beads still miss their predicted places by."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eucentric.core import Alignment, LocalMotion
from eucentric.core.local_motion import powers, spatial_basis, temporal_basis
from eucentric.processing.alignment.beads.records import BundleAdjustment
from eucentric.processing.alignment.local import DEGREE, USUAL_A, motionless

Array = NDArray[np.float64]

_FEWEST = 6  # beads: fewer cannot tell a field from what each of them does alone
_FOLDS = 4
_SURE = 1.0  # standard errors, over beads, by which held-out ones must gain


@dataclass(frozen=True)
class _Observed:
    """Residuals (m, 2) in Å of beads (m,) in views (m,), and how each parameter moves them.

    `field` (m, 2, coefficients) in Å per Å; `seen` (m, 2, 3) by how much a bead's place moves in its view.
    """

    residual_A: Array
    bead: NDArray[np.int64]
    view: NDArray[np.int64]
    field: Array
    seen: Array


def motion_of_beads(bundle: BundleAdjustment, alignment: Alignment, exposures_e_A2: Array) -> Alignment | None:
    """Return the alignment with the local motion that its beads show, or nothing if held-out beads do not gain by it.

    Parameters
    ----------
    bundle
        Beads and what they miss their places by.
    alignment
        That of the bundle; the shifts of its views are mended too.
    exposures_e_A2
        What the specimen had received by the middle of each view, by section.
    """
    still = motionless(alignment, exposures_e_A2)
    observed = _observed(bundle, alignment, still)
    beads = np.unique(observed.bead)
    if len(beads) < _FEWEST:
        return None
    usual = np.array([USUAL_A[sum(power) - 1] for power in powers(DEGREE)])
    prior = np.tile(np.repeat(usual, len(still.decays_e_A2)), 3) ** -2.0
    noise = (bundle.sigma_px * alignment.pixel_A) ** 2
    gains = []
    for fold in range(_FOLDS):
        held = np.isin(observed.bead, beads[fold::_FOLDS])
        with_field = _fit(observed, ~held, len(alignment.tilts), prior, noise)
        without = _fit(observed, ~held, len(alignment.tilts), None, noise)
        for bead in beads[fold::_FOLDS]:
            its = observed.bead == bead
            gains.append(_missed(observed, its, without) - _missed(observed, its, with_field))
    if np.mean(gains) <= _SURE * np.std(gains) / np.sqrt(len(gains)):
        return None
    coefficients, shifts = _fit(observed, np.ones(len(observed.bead), dtype=bool), len(alignment.tilts), prior, noise)
    shape = (3, len(powers(DEGREE)), len(still.decays_e_A2))
    found = tuple(tuple(tuple(float(c) for c in power) for power in axis) for axis in coefficients.reshape(shape))
    tilts = []
    for view, (y, x) in zip(alignment.tilts, shifts, strict=True):
        tilts.append(view.replace(shift_yx_A=(view.shift_yx_A[0] + float(y), view.shift_yx_A[1] + float(x))))
    return alignment.replace(tilts=tuple(tilts), local=still.replace(coefficients_A=found))


def _observed(bundle: BundleAdjustment, alignment: Alignment, still: LocalMotion) -> _Observed:
    used = bundle.used & np.isin(bundle.tracks.view, [view.section for view in alignment.used])
    bead = np.searchsorted(bundle.bead_numbers, bundle.tracks.bead[used])
    view = bundle.tracks.view[used]
    places_A = bundle.beads_zyx_px[bead] * alignment.pixel_A
    linear = np.array([one.sample2image().linear[1:] for one in alignment.tilts])[view]
    centre = np.array([n // 2 for n in alignment.shape_yx])
    shifts = np.array([one.shift_yx_A for one in alignment.tilts])[view]
    seen_A = (bundle.tracks.yx_px[used] - centre) * alignment.pixel_A
    residual_A = seen_A - np.einsum("mij,mj->mi", linear, places_A) - shifts
    space = spatial_basis((places_A[:, 1:] - still.centre_yx_A) / still.radius_A, still.degree)
    time = temporal_basis(still.exposures_e_A2, still.decays_e_A2)[view]
    basis = np.einsum("mp,mk->mpk", space, time).reshape(len(space), -1)
    field = np.concatenate([linear[:, :, [axis]] * basis[:, None, :] for axis in range(3)], axis=2)
    return _Observed(residual_A, bead, view, field, linear)


def _fit(
    observed: _Observed, which: NDArray[np.bool_], views: int, prior: Array | None, noise: float
) -> tuple[Array, Array]:
    """Return the field's coefficients (zero without a prior, which means no field) and shifts (views, 2)."""
    beads, bead = np.unique(observed.bead[which], return_inverse=True)
    view, m = observed.view[which], int(which.sum())
    n_field = observed.field.shape[2] if prior is not None else 0
    rows = np.zeros((m, 2, n_field + 2 * views + 3 * len(beads)))
    at = np.arange(m)
    if prior is not None:
        rows[:, :, :n_field] = observed.field[which]
    for axis in range(2):
        rows[at, axis, n_field + 2 * view + axis] = 1.0
    for axis in range(3):
        rows[at, :, n_field + 2 * views + 3 * bead + axis] = observed.seen[which][:, :, axis]
    flat = rows.reshape(2 * m, -1)
    normal = flat.T @ flat / noise
    # What nothing holds (the specimen's origin, views without beads) stays where it is.
    normal[np.diag_indices_from(normal)] += 1e-6 / noise
    if prior is not None:
        normal[np.arange(n_field), np.arange(n_field)] += prior
    solution = np.asarray(np.linalg.solve(normal, flat.T @ observed.residual_A[which].reshape(-1) / noise), np.float64)
    coefficients = solution[:n_field] if prior is not None else np.zeros(observed.field.shape[2])
    return coefficients, solution[n_field : n_field + 2 * views].reshape(views, 2)


def _missed(observed: _Observed, its: NDArray[np.bool_], fitted: tuple[Array, Array]) -> float:
    """Return the rms (Å) by which a bead, at its best place, misses where a field and shifts have it."""
    coefficients, shifts = fitted
    left = observed.residual_A[its] - observed.field[its] @ coefficients - shifts[observed.view[its]]
    rows = observed.seen[its].reshape(-1, 3)
    left = left.reshape(-1) - rows @ np.linalg.lstsq(rows, left.reshape(-1), rcond=None)[0]
    return float(np.sqrt(2 * np.mean(np.square(left))))
