"""The least-squares engine: damped Gauss-Newton steps with the beads eliminated, under a robust loss."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eucentric.processing.alignment.beads.model import PARAMETERS, differentiate, see

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

SCALE_FLOOR_PX = 0.01  # no bead is found better; it keeps the loss defined on data without noise
_RAYLEIGH_MEDIAN = 1.1774  # of the length of a residual, in standard deviations along one axis
_CAUCHY, _TUKEY = 2.4, 5.0  # in such deviations; 95 % efficient on Gaussian noise
_STEPS, _ROUNDS = 25, 8
_CONVERGED = 1e-6  # relative change of the cost


@dataclass(frozen=True)
class Problem:
    """Observations of `beads` beads in `n` views: indices (m,), (m,), places (m, 2) from the images' centre, px."""

    view: Ints
    bead: Ints
    yx_px: Array
    n: int
    beads: int

    def only(self, kept: NDArray[np.bool_]) -> "Problem":
        """Return the problem with fewer observations of the same beads in the same views."""
        return replace(self, view=self.view[kept], bead=self.bead[kept], yx_px=self.yx_px[kept])

    def residuals(self, views: Array, zyx_px: Array) -> Array:
        """Return seen minus predicted, (m, 2)."""
        return self.yx_px - see(views[self.view], zyx_px[self.bead])


@dataclass(frozen=True)
class Solution:
    """Parameters of views (n, 8), beads (b, 3), the noise along one axis and each observation's weight (m,)."""

    views: Array
    zyx_px: Array
    sigma_px: float
    weights: Array


@dataclass(frozen=True)
class _Normal:
    """Normal equations with the beads eliminated, and what brings them back."""

    reduced: Array  # (q, q)
    gradient: Array  # (q,)
    bead_inverse: Array  # (b, 3, 3)
    bead_gradient: Array  # (b, 3)
    coupling: Array  # (q, b, 3)


def solve(
    problem: Problem,
    views: Array,
    zyx_px: Array,
    moves: Array,
    *,
    tight: bool,
    prior: Array | None = None,
    reference: Array | None = None,
    rounds: int = _ROUNDS,
    steps: int = _STEPS,
) -> Solution:
    """Find the parameters that explain the observations best, along `moves` (8 n, q) from `views`.

    The loss is Cauchy's, or with `tight` Tukey's, which gives no weight beyond five standard deviations; their unit
    is the median residual, found anew in each round. `prior` (8 n, 8 n) pulls their difference from
    `reference` (n, 8) towards zero, in units of the noise. At most `rounds` of `steps` steps are taken.
    """
    reference = np.zeros_like(views) if reference is None else reference
    sigma = noise(problem.residuals(views, zyx_px), problem, moves)
    damping = 1e-6
    for _ in range(rounds):
        pull = None if prior is None else prior * sigma**2
        cost = _cost(problem, views, zyx_px, sigma, tight, pull, reference)
        for _ in range(steps):
            weights = _weights(problem.residuals(views, zyx_px), sigma, tight)
            normal = _normal(problem, views, zyx_px, weights, moves, damping, pull, reference)
            new_views, new_beads = _step(normal, views, zyx_px, moves, damping)
            new_cost = _cost(problem, new_views, new_beads, sigma, tight, pull, reference)
            if new_cost > cost * (1 + 1e-12):
                damping *= 10
                if damping > 1e4:
                    break
                continue
            gained = cost - new_cost
            views, zyx_px, cost, damping = new_views, new_beads, new_cost, max(damping / 10, 1e-9)
            if gained <= _CONVERGED * cost:
                break
        damping = min(damping, 1e-3)
        before, sigma = sigma, noise(problem.residuals(views, zyx_px), problem, moves)
        if abs(sigma - before) <= 0.003 * before:
            break
    return Solution(views, zyx_px, sigma, _weights(problem.residuals(views, zyx_px), sigma, tight))


def noise(residuals: Array, problem: Problem, moves: Array) -> float:
    """Return the standard deviation along one axis, from the median length, for the freedom that there is left."""
    if not len(residuals):
        return SCALE_FLOOR_PX
    m = 2 * len(residuals)
    left = max(m - moves.shape[1] - 3 * problem.beads, 0.1 * m)
    median = float(np.median(np.hypot(*residuals.T)))
    return max(SCALE_FLOOR_PX, median / _RAYLEIGH_MEDIAN * float(np.sqrt(m / left)))


def variance(problem: Problem, solution: Solution, unknowns: int) -> float:
    """Return what the inverse normal matrix of the tight loss is to be multiplied with, px² (Huber 1981, eq. 7.6.5)."""
    squared = np.square(problem.residuals(solution.views, solution.zyx_px)).sum(axis=1)
    share = np.minimum(squared / (_TUKEY * solution.sigma_px) ** 2, 1.0)
    slope = np.square(1 - share) - 2 * share * (1 - share)
    left = max(1, 2 * len(squared) - unknowns)
    spread = float((solution.weights**2 * squared).sum()) / left
    return float(solution.weights.mean()) * spread / max(float(slope.mean()), 0.1) ** 2


def covariances(
    problem: Problem, solution: Solution, moves: Array, variance_px2: float, prior: Array | None = None
) -> tuple[Array, Array]:
    """Return the variances of the views' parameters (n, 8) and of the beads' positions (b, 3)."""
    pull = None if prior is None else prior * solution.sigma_px**2
    normal = _normal(problem, solution.views, solution.zyx_px, solution.weights, moves, 1e-12, pull, solution.views)
    q = moves.shape[1]
    inverse = np.linalg.pinv(normal.reduced, rcond=1e-13, hermitian=True) if q else np.zeros((0, 0))
    of_views = np.einsum("pq,qr,pr->p", moves, inverse, moves, optimize=True).reshape(problem.n, PARAMETERS)
    carried = np.einsum("qbi,bij->qbj", normal.coupling, normal.bead_inverse)
    of_beads = np.einsum("bii->bi", normal.bead_inverse) + np.einsum(
        "qbi,qr,rbi->bi", carried, inverse, carried, optimize=True
    )
    return variance_px2 * np.maximum(of_views, 0), variance_px2 * np.maximum(of_beads, 0)


def _weights(residuals: Array, sigma: float, tight: bool) -> Array:
    squared = (residuals**2).sum(axis=1) / sigma**2
    if tight:
        return np.asarray(np.maximum(0.0, 1 - squared / _TUKEY**2) ** 2)
    return np.asarray(1 / (1 + squared / _CAUCHY**2))


def _cost(
    problem: Problem, views: Array, zyx_px: Array, sigma: float, tight: bool, pull: Array | None, reference: Array
) -> float:
    squared = (problem.residuals(views, zyx_px) ** 2).sum(axis=1) / sigma**2
    if tight:
        each = _TUKEY**2 / 3 * (1 - np.maximum(0.0, 1 - squared / _TUKEY**2) ** 3)
    else:
        each = _CAUCHY**2 * np.log1p(squared / _CAUCHY**2)
    total = float(each.sum())
    if pull is not None:
        moved = (views - reference).reshape(-1)
        total += float(moved @ pull @ moved) / sigma**2
    return total


def _normal(
    problem: Problem,
    views: Array,
    zyx_px: Array,
    weights: Array,
    moves: Array,
    damping: float,
    pull: Array | None,
    reference: Array,
) -> _Normal:
    n, b = problem.n, problem.beads
    seen, by_view, by_bead = differentiate(views[problem.view], zyx_px[problem.bead])
    residuals = problem.yx_px - seen
    by_moves = moves.reshape(n, PARAMETERS, -1)
    columns = np.flatnonzero(by_moves.any(axis=(0, 2)))
    k = len(columns)
    # On the grid of all views and beads sums are matrix products, even where half of the places are empty.
    root = np.sqrt(weights)[:, None, None]
    j_view = np.zeros((n, b, 2, k))
    j_view[problem.view, problem.bead] = root * by_view[:, :, columns]
    j_bead = np.zeros((n, b, 2, 3))
    j_bead[problem.view, problem.bead] = root * by_bead
    rest = np.zeros((n, b, 2, 1))
    rest[problem.view, problem.bead] = root * residuals[:, :, None]
    flat_view, flat_rest = j_view.reshape(n, 2 * b, k), rest.reshape(n, 2 * b, 1)
    of_views = flat_view.transpose(0, 2, 1) @ flat_view
    view_gradient = (flat_view.transpose(0, 2, 1) @ flat_rest)[:, :, 0]
    bead_rows = j_bead.transpose(1, 0, 2, 3).reshape(b, 2 * n, 3)
    of_beads = bead_rows.transpose(0, 2, 1) @ bead_rows
    bead_gradient = (bead_rows.transpose(0, 2, 1) @ rest.transpose(1, 0, 2, 3).reshape(b, 2 * n, 1))[:, :, 0]
    between = (j_view.transpose(0, 1, 3, 2) @ j_bead).transpose(0, 2, 1, 3)

    # A bead that hardly any view holds in place is held where it is.
    traces = np.trace(of_beads, axis1=1, axis2=2)
    of_beads += np.eye(3) * (damping * traces + 1e-9 * (1 + traces))[:, None, None]
    bead_inverse = np.linalg.inv(of_beads)
    narrow = by_moves[:, columns].reshape(n * k, -1)
    reduced = narrow.T @ (of_views @ narrow.reshape(n, k, -1)).reshape(n * k, -1)
    gradient = narrow.T @ view_gradient.reshape(-1)
    coupling = (narrow.T @ between.reshape(n * k, b * 3)).reshape(-1, b, 3)
    carried = (coupling.transpose(1, 0, 2) @ bead_inverse).transpose(1, 0, 2)
    flat = coupling.reshape(len(coupling), -1)
    if pull is not None:
        reduced += moves.T @ pull @ moves
        gradient -= moves.T @ (pull @ (views - reference).reshape(-1))
    diagonal = np.diag(reduced).copy()
    reduced = reduced - carried.reshape(len(coupling), -1) @ flat.T
    gradient = gradient - carried.reshape(len(coupling), -1) @ bead_gradient.reshape(-1)
    reduced[np.diag_indices_from(reduced)] += damping * (diagonal + 1e-12)
    return _Normal(reduced, gradient, np.asarray(bead_inverse, dtype=np.float64), bead_gradient, coupling)


def _step(normal: _Normal, views: Array, zyx_px: Array, moves: Array, damping: float) -> tuple[Array, Array]:
    # Moves have units as different as pixels and radians: to one length before the system is solved.
    scale = 1 / np.sqrt(np.maximum(np.diag(normal.reduced), 1e-300))
    system = normal.reduced * scale[:, None] * scale[None, :]
    system[np.diag_indices_from(system)] += 1e-12
    by = scale * np.linalg.solve(system, scale * normal.gradient)
    left = normal.bead_gradient - (by @ normal.coupling.reshape(len(by), -1)).reshape(-1, 3)
    moved = (normal.bead_inverse @ left[:, :, None])[:, :, 0]
    return views + (moves @ by).reshape(views.shape), zyx_px + moved
