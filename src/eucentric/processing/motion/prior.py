"""How specimens move in time before any frame has been seen: learned from the tilts of a series together."""

from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.optimize import minimize

from eucentric.core import Angstrom, Record

Array = NDArray[np.float64]
Size = Annotated[Angstrom, Field(gt=0)]

_WIDTH = 1.5  # of the belief in each size before any data, in powers of e
_SETTLING = (0.125, 0.25, 0.5)  # time constants, as shares of the exposure
_FEWEST = 5  # tracks, below which what is learned is worse than what is believed
_SCALES = np.array([0.35, 0.6, 1.0, 1.7, 2.8])  # of one exposure's movement against the series' own


class TemporalPrior(Record):
    """Standard deviations, along each axis, of what a track is made of.

    Attributes
    ----------
    linear_A
        Of an even drift, a frame.
    settle_A
        Of movements that begin at once and die away, over the exposure.
    walk_A
        Of what each frame adds to the one before.
    jitter_A
        Of each frame by itself.
    """

    linear_A: Size = 1.5
    settle_A: Size = 0.5
    walk_A: Size = 0.75
    jitter_A: Size = 0.1

    def covariance(self, frames: int) -> Array:
        """Return the covariance (n, n) of the shifts of n frames along one axis, Å²."""
        sizes = np.square([self.linear_A, self.settle_A, self.walk_A, self.jitter_A])
        return np.asarray(np.tensordot(sizes, _parts(frames), axes=1))

    @classmethod
    def learned(cls, observed: "Sequence[tuple[Array, float]]") -> Self:
        """Return the sizes that make the tracks of a series likeliest.

        Parameters
        ----------
        observed
            For each exposure, the shifts (n, 2) that the frames alone ask for, in Å, and their information, 1/Å²: the
            precision matrix of one axis is ``information (n I - 1 1')``.
        """
        believed = cls()
        usable = [(shifts, information) for shifts, information in observed if len(shifts) > 2 and information > 0]
        if len(usable) < _FEWEST:
            return believed
        start = np.log([believed.linear_A, believed.settle_A, believed.walk_A, believed.jitter_A])

        def unlikely(sizes: Array) -> float:
            squared = np.exp(2 * sizes)
            cost = 0.5 * float(np.sum(np.square((sizes - start) / _WIDTH)))
            for n, (steps, noise) in groups.items():
                covariance = np.tensordot(squared, differences[n], axes=1)
                per_scale = [_unlikely(steps, scale**2 * covariance + noise) for scale in _SCALES]
                cost -= float(np.sum(np.logaddexp.reduce(-np.array(per_scale), axis=0)))
            return cost

        groups: dict[int, tuple[Array, Array]] = {}
        differences: dict[int, Array] = {}
        for n in {len(shifts) for shifts, _ in usable}:
            steps = np.array([np.diff(shifts, axis=0).T for shifts, _ in usable if len(shifts) == n])
            weak = np.array([1 / (n * information) for shifts, information in usable if len(shifts) == n])
            unit = np.diff(np.eye(n), axis=0)
            groups[n] = (steps, weak[:, None, None] * (unit @ unit.T))
            differences[n] = np.einsum("ij,pjk,lk->pil", unit, _parts(n), unit)
        best = minimize(unlikely, start, method="Nelder-Mead", options={"maxiter": 300, "xatol": 0.02, "fatol": 0.05})
        linear, settle, walk, jitter = np.exp(best.x)
        return cls(linear_A=linear, settle_A=settle, walk_A=walk, jitter_A=jitter)

    def estimate(self, observed_yx_A: Array, information: float) -> tuple[Array, Array]:
        """Return the shifts (n, 2), mean 0, and their standard deviations (n), with frames and prior weighed.

        How lively this exposure is against the series is left open and averaged over.
        """
        n = len(observed_yx_A)
        unit = np.diff(np.eye(n), axis=0)
        steps = np.diff(observed_yx_A, axis=0).T[None]
        noise = (unit @ unit.T)[None] / (n * information)
        covariance = self.covariance(n)
        own = unit @ covariance @ unit.T
        log_weights = -np.array([_unlikely(steps, scale**2 * own + noise)[0] for scale in _SCALES])
        weights = np.exp(log_weights - log_weights.max())
        weights /= weights.sum()
        mean, second = np.zeros((n, 2)), np.zeros(n)
        centred = np.eye(n) - 1 / n
        for weight, scale in zip(weights, _SCALES, strict=True):
            gain = scale**2 * covariance @ unit.T @ np.linalg.inv(scale**2 * own + noise[0])
            shifts = centred @ gain @ np.diff(observed_yx_A, axis=0)
            left = centred @ (scale**2 * covariance - gain @ unit @ (scale**2 * covariance)) @ centred
            mean += weight * shifts
            second += weight * (np.diag(left) + np.mean(np.square(shifts), axis=1))
        spread = second - np.mean(np.square(mean), axis=1)
        return mean, np.sqrt(np.maximum(spread, 0.0))


def _parts(n: int) -> Array:
    """Return the covariance (4, n, n) of each part at unit size."""
    at = np.arange(n, dtype=float)
    even = at - (n - 1) / 2
    settling = [np.exp(-at / (share * n)) for share in _SETTLING]
    settle = sum(np.outer(one, one) for one in settling) / len(settling)
    return np.stack([np.outer(even, even), np.asarray(settle), np.minimum.outer(at, at), np.eye(n)])


def _unlikely(steps: Array, covariance: Array) -> Array:
    """Return the negative logarithm of the likelihood of each exposure's steps (e, 2, n - 1), covariance (e, ...)."""
    lower = np.linalg.cholesky(covariance)
    white = np.linalg.solve(lower, np.swapaxes(steps, 1, 2))
    logarithms = np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
    return np.asarray(2 * logarithms + 0.5 * np.sum(np.square(white), axis=(1, 2)))
