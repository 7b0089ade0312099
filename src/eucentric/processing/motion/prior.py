"""How specimens move in time before any frame has been seen: learned from the tilts of a series together."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.fft import dct
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

    The defaults are what is believed before any frame is seen: specimens move by some Å as the beam first meets them,
    and ever less from then on (Brilot et al. 2012, 10.1016/j.jsb.2012.02.003).

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
    settle_A: Size = 3.0
    walk_A: Size = 0.5
    jitter_A: Size = 0.2

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
            for n, (seen, noise) in groups.items():
                size, modes = np.linalg.eigh(np.tensordot(squared, _parts_without_mean(n), axes=1))
                per_scale = _unlikely(np.square(modes.T @ seen), size, noise)
                cost -= float(np.sum(np.logaddexp.reduce(-per_scale, axis=0)))
            return cost

        groups = {}
        for n in {len(shifts) for shifts, _ in usable}:
            alike = [(shifts, information) for shifts, information in usable if len(shifts) == n]
            seen = np.array([_without_mean(n) @ shifts for shifts, _ in alike])
            groups[n] = seen, np.array([1 / (n * information) for _, information in alike])
        best = minimize(unlikely, start, method="L-BFGS-B", options={"ftol": 1e-5})
        linear, settle, walk, jitter = np.exp(best.x)
        return cls(linear_A=linear, settle_A=settle, walk_A=walk, jitter_A=jitter)

    def estimate(self, observed_yx_A: Array, information: float) -> tuple[Array, Array]:
        """Return the shifts (n, 2), mean 0, and their standard deviations (n), with frames and prior weighed.

        How lively this exposure is against the series is left open and averaged over.
        """
        n = len(observed_yx_A)
        noise = np.array([1 / (n * information)])
        size, into_shifts = _modes(self, n)
        seen = into_shifts.T @ observed_yx_A  # how much of each mode
        log_weights = -_unlikely(np.square(seen)[None], size, noise)[:, 0]
        weights = np.exp(log_weights - log_weights.max())
        weights /= weights.sum()
        scaled = np.square(_SCALES)[:, None] * size
        kept = scaled / (scaled + noise)  # (scales, modes)
        shifts = into_shifts @ (kept[:, :, None] * seen)  # (scales, n, 2)
        mean = np.tensordot(weights, shifts, axes=1)
        second = np.square(into_shifts) @ (weights @ kept * noise) + weights @ np.mean(np.square(shifts), axis=2)
        spread = second - np.mean(np.square(mean), axis=1)
        return mean, np.sqrt(np.maximum(spread, 0.0))


@lru_cache(maxsize=16)
def _modes(prior: TemporalPrior, n: int) -> tuple[Array, Array]:
    """Return the variance of each mode of a track of mean 0, and these modes, (n, n - 1)."""
    basis = _without_mean(n)
    size, modes = np.linalg.eigh(basis @ prior.covariance(n) @ basis.T)
    return size, basis.T @ modes


@lru_cache(maxsize=16)
def _without_mean(n: int) -> Array:
    """Return an orthonormal basis (n - 1, n) of tracks of mean 0: in it what frames say has the same noise throughout.

    Their precision, ``information (n I - 1 1')``, is ``n information`` for all of it.
    """
    return np.asarray(dct(np.eye(n), axis=0, norm="ortho")[1:])


@lru_cache(maxsize=16)
def _parts_without_mean(n: int) -> Array:
    return np.asarray(_without_mean(n) @ _parts(n) @ _without_mean(n).T)


@lru_cache(maxsize=16)
def _parts(n: int) -> Array:
    """Return the covariance (4, n, n) of each part at unit size."""
    at = np.arange(n, dtype=float)
    even = at - (n - 1) / 2
    settling = [np.exp(-at / (share * n)) for share in _SETTLING]
    settle = sum(np.outer(one, one) for one in settling) / len(settling)
    return np.stack([np.outer(even, even), np.asarray(settle), np.minimum.outer(at, at), np.eye(n)])


def _unlikely(squares: Array, size: Array, noise: Array) -> Array:
    """Return the negative logarithm of the likelihood of exposures (e) at each scale (s) of movement, (s, e).

    Parameters
    ----------
    squares
        Of what is seen of each mode, (e, modes, 2).
    size
        Variance of each mode in the series.
    noise
        Variance of what the frames of each exposure say of any mode, (e).
    """
    variance = np.square(_SCALES)[:, None, None] * np.maximum(size, 0.0) + noise[:, None]
    return np.asarray(np.sum(np.log(variance) + 0.5 * squares.sum(axis=2) / variance, axis=2))
