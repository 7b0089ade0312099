"""How likely a power spectrum is under a CTF, and the most likely background, envelope and CTF together.

A power spectrum of noise is exponentially distributed about its expectation (Whittle 1953; Brillinger, Time Series,
5.2), so the mean P over n coefficients has the log-likelihood ``-n (log M + P / M)``. The expectation is

    M = exp(B(k) + B_c(k) cos 2t + B_s(k) sin 2t) (1 - q(k) cos 2 chi),

a smooth background and a smooth depth of the rings: with noise N and signal S CTF², ``q = S / (2 N + S)``. All are
B-splines in k under a prior on their second differences, found with the CTF by Fisher scoring.
"""

import itertools
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy import ndimage
from scipy.interpolate import BSpline

from eucentric.processing.ctf.derivatives import accumulate
from eucentric.processing.ctf.polar import Array, Phases

_KNOT_SPACING = 0.022  # 1/Å: wider than a ring in all but the first of low defocus, fine enough for an image's envelope
_LEAST_SPLINES = 5
_TURNED_SPLINES = 4  # of what differs with direction: drift and charging are smoother than the background
_DEEPEST = 0.98  # of q: at 1 the expectation would touch zero
_DEPTH_PRIOR = (-4.0, 3.0)  # mean and deviation of logit q: from rings as clear as can be down to none
_BEND_DEPTH, _BEND_BACKGROUND, _BEND_TURNED = 1.0, 1.5, 0.3  # deviations of second differences of the coefficients
_TURNED_SIZE = 0.3  # deviation of the coefficients of what differs with direction
_CELL, _CELL_SECTORS = 0.006, 2  # 1/Å and sectors: what a part of some 150 Å makes its own of
_CELLS_SMOOTHED = 1.5


@dataclass(frozen=True)
class CTFPrior:
    """What is believed of the CTF before the image is seen; nothing of the mean defocus.

    Attributes
    ----------
    astigmatism_A
        Scale of a and of b, each a half difference: a Student distribution of two degrees of freedom, so that where
        the image says little, it is small, and where it says much, it is as large as it is.
    shift_rad
        Deviation of the phase shift from 90°; None where there is no phase plate.
    """

    astigmatism_A: float = 250.0
    shift_rad: float | None = None

    def penalty(self, a: Array, b: Array) -> Array:
        """Return the negative log of the prior of an astigmatism, in nats."""
        return np.asarray(2 * np.log1p((np.square(a) + np.square(b)) / (2 * self.astigmatism_A**2)))

    def precision(self, a: float, b: float) -> float:
        """Return the precision of the Gaussian that touches the prior at an astigmatism: its pull is the prior's."""
        return 4 / (2 * self.astigmatism_A**2 + a * a + b * b)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A polar spectrum to be explained: mean power and coefficients of each bin, what their phase is made of."""

    k: Array
    angle: Array
    power: Array
    count: Array
    phases: Phases


@dataclass(frozen=True, eq=False)
class State:
    """Where a fit stands: the CTF, and coefficients of background (three parts) and depth."""

    ctf: Array  # mean, a, b in Å, phase shift in rad
    background: Array
    turned: Array  # (2, _TURNED_SPLINES)
    depth: Array
    log_posterior: float = -np.inf
    sigma: Array | None = None  # of ctf


@lru_cache(maxsize=16)
def _basis(first: float, last: float, n_k: int, splines: int) -> Array:
    """Return cubic B-splines, (n_k, splines), over evenly spaced frequencies."""
    inner = np.linspace(0.0, 1.0, splines - 2)
    h = inner[1] - inner[0]
    knots = np.concatenate([inner[0] - h * np.arange(3, 0, -1), inner, inner[-1] + h * np.arange(1, 4)])
    at = np.linspace(0, 1, n_k)
    basis: Array = BSpline.design_matrix(np.clip(at, 0, 1 - 1e-12), knots, 3).toarray()
    return basis


def _bending(splines: int, deviation: float) -> Array:
    second = np.diff(np.eye(splines), n=2, axis=0)
    return np.asarray(second.T @ second) / deviation**2


class Likelihood:
    """The log-posterior of one spectrum over a range of frequencies."""

    def __init__(self, spectrum: Spectrum, prior: CTFPrior) -> None:
        self.spectrum, self.prior = spectrum, prior
        k = spectrum.k
        splines = max(_LEAST_SPLINES, round((k[-1] - k[0]) / _KNOT_SPACING) + 3)
        self.basis = _basis(float(k[0]), float(k[-1]), len(k), splines)
        self.turned_basis = _basis(float(k[0]), float(k[-1]), len(k), _TURNED_SPLINES)
        self._cos, self._sin = np.cos(2 * spectrum.angle), np.sin(2 * spectrum.angle)
        self.ring_count = spectrum.count.sum(axis=1)
        self._precision, self._centre = self._priors(splines)

    def _priors(self, splines: int) -> tuple[Array, Array]:
        size = 2 * splines + 2 * _TURNED_SPLINES + 4
        precision, centre = np.zeros((size, size)), np.zeros(size)
        b, c, s, d, f = self._blocks(splines)
        precision[b, b] = _bending(splines, _BEND_BACKGROUND)
        for part in (c, s):
            precision[part, part] = _bending(_TURNED_SPLINES, _BEND_TURNED) + np.eye(_TURNED_SPLINES) / _TURNED_SIZE**2
        mean, deviation = _DEPTH_PRIOR
        precision[d, d] = _bending(splines, _BEND_DEPTH) + np.eye(splines) / (splines * deviation**2)
        centre[d] = mean
        shift = self.prior.shift_rad
        precision[f, f] = np.diag([1e-12, 0.0, 0.0, 1e12 if shift is None else shift**-2])  # astigmatism: see evaluate
        centre[f] = (0, 0, 0, 0.0 if shift is None else np.pi / 2)
        return precision, centre

    @staticmethod
    def _blocks(splines: int) -> tuple[slice, slice, slice, slice, slice]:
        ends = np.cumsum([0, splines, _TURNED_SPLINES, _TURNED_SPLINES, splines, 4])
        b, c, s, d, f = (slice(int(i), int(j)) for i, j in itertools.pairwise(ends))
        return b, c, s, d, f

    def start_background(self) -> Array:
        """Return the background alone that explains the spectrum best, as coefficients."""
        n = self.ring_count
        mean = (self.spectrum.power * self.spectrum.count).sum(axis=1) / np.maximum(n, 1)
        seen = (n > 0) & (mean > 0)
        floor = float(mean[seen].min()) if seen.any() else 1.0
        target = np.log(np.where(seen, mean, floor))
        weight = np.where(seen, n, 0.0)
        coefficients = np.zeros(self.basis.shape[1])
        prior = _bending(self.basis.shape[1], _BEND_BACKGROUND)
        normal = self.basis.T @ (weight[:, None] * self.basis) + prior
        coefficients = np.linalg.solve(normal, self.basis.T @ (weight * target))
        for _ in range(4):  # from the mean of logarithms to the logarithm of means
            residual = np.where(seen, mean * np.exp(-self.basis @ coefficients) - 1, 0.0)
            step = np.linalg.solve(normal, self.basis.T @ (weight * residual) - prior @ coefficients)
            coefficients = coefficients + np.clip(step, -1, 1)
        return np.asarray(coefficients)

    def background(self, state: State) -> Array:
        """Return exp(B) with its turned parts, (rings, sectors)."""
        turned = self.turned_basis @ state.turned.T
        log = (self.basis @ state.background)[:, None] + turned[:, :1] * self._cos + turned[:, 1:] * self._sin
        return np.asarray(np.exp(log))

    def depth(self, state: State) -> Array:
        """Return q, (rings,)."""
        return np.asarray(_DEEPEST / (1 + np.exp(-self.basis @ state.depth)))

    def depth_coefficients(self, depth: Array) -> Array:
        """Return the coefficients that come nearest to a curve of q, (rings,)."""
        inside = np.clip(depth / _DEEPEST, 1e-3, 0.95)
        prior = _bending(self.basis.shape[1], _BEND_DEPTH)
        weight = np.maximum(self.ring_count, 1) / self.ring_count.mean()
        normal = self.basis.T @ (weight[:, None] * self.basis) + 0.1 * prior
        return np.asarray(np.linalg.solve(normal, self.basis.T @ (weight * np.log(inside / (1 - inside)))))

    def dispersion(self, state: State) -> Array:
        """Return how many times more the power scatters about a state than noise would, at each ring, at least 1.

        A specimen of few large parts has a spectrum of its own that is not smooth: it differs between cells of the
        inverse of a part's size. Rings in it are worth less than their number of coefficients says.
        """
        spectrum = self.spectrum
        expected = self.background(state) * (1 - self.depth(state)[:, None] * np.cos(2 * self._chi(state)))
        off = spectrum.count * (spectrum.power / expected - 1)
        high = max(1, round(_CELL / (spectrum.k[1] - spectrum.k[0])))
        cells = max(1, len(spectrum.k) // high)
        edges = np.linspace(0, len(spectrum.k), cells + 1).astype(int)
        summed = np.add.reduceat(off, edges[:-1], axis=0).reshape(cells, -1, _CELL_SECTORS).sum(axis=2)
        number = np.add.reduceat(spectrum.count, edges[:-1], axis=0).reshape(cells, -1, _CELL_SECTORS).sum(axis=2)
        filled = number > 0
        ratio = np.where(filled, np.square(summed) / np.maximum(number, 1), 0.0).sum(axis=1)
        cells_filled = filled.sum(axis=1).astype(float)
        smooth = ndimage.gaussian_filter1d(ratio, _CELLS_SMOOTHED, mode="nearest")
        smooth /= np.maximum(ndimage.gaussian_filter1d(cells_filled, _CELLS_SMOOTHED, mode="nearest"), 1e-9)
        middles = 0.5 * (edges[:-1] + edges[1:] - 1)
        return np.maximum(np.interp(np.arange(len(spectrum.k)), middles, smooth), 1.0)

    def _chi(self, state: State) -> Array:
        mean, a, b, shift = (float(value) for value in state.ctf)
        return self.spectrum.phases.at((mean, a, b), shift)

    def _vector(self, state: State) -> Array:
        return np.concatenate([state.background, state.turned.ravel(), state.depth, state.ctf])

    def _state(self, vector: Array) -> State:
        b, c, s, d, f = self._blocks(self.basis.shape[1])
        return State(vector[f], vector[b], np.stack([vector[c], vector[s]]), vector[d])

    def evaluate(self, state: State) -> tuple[float, Array, Array]:
        """Return the log-posterior, its gradient, and the Fisher information with the prior's precision."""
        ring, turned = self.basis @ state.background, self.turned_basis @ state.turned.T
        depth = self.depth(state)
        value, gradient, fisher = accumulate(
            self.spectrum.power, self.spectrum.count, self._cos, self._sin,
            self.spectrum.phases.mean, self.spectrum.phases.cosine, self.spectrum.phases.sine,
            self.spectrum.phases.fixed, ring, turned, depth, depth * (1 - depth / _DEEPEST), state.ctf,
        )  # fmt: skip
        fields = (self.basis, self.turned_basis, self.turned_basis, self.basis)
        *places, f = self._blocks(self.basis.shape[1])
        offset = self._vector(state) - self._centre
        total = -self._precision @ offset
        information = self._precision.copy()
        a, b = float(state.ctf[1]), float(state.ctf[2])
        pull = self.prior.precision(a, b)
        penalty = 0.5 * float(offset @ self._precision @ offset) + float(self.prior.penalty(state.ctf[1], state.ctf[2]))
        for i, (here, field) in enumerate(zip(places, fields, strict=True)):
            total[here] += field.T @ gradient[:, i]
            for j in range(i, 4):
                block = field.T @ (fisher[:, i, j, None] * fields[j])
                information[here, places[j]] += block
                if j > i:
                    information[places[j], here] += block.T
            cross = field.T @ fisher[:, i, 4:]
            information[here, f] += cross
            information[f, here] += cross.T
        total[f] += gradient[:, 4:].sum(axis=0)
        total[f] -= (0.0, pull * a, pull * b, 0.0)
        information[f, f] += fisher[:, 4:, 4:].sum(axis=0) + np.diag([0.0, pull, pull, 0.0])
        return value - penalty, total, information

    def evidence(self, state: State) -> float:
        """Return how much likelier the spectrum is with a state's rings than with none, in nats."""
        none = np.full(len(state.depth), -40.0)
        flat = replace(state, depth=none)
        smooth = replace(flat, background=self.start_background(), turned=np.zeros_like(state.turned))
        return self._log_likelihood(state) - max(self._log_likelihood(flat), self._log_likelihood(smooth))

    def _log_likelihood(self, state: State) -> float:
        spectrum = self.spectrum
        expected = self.background(state) * (1 - self.depth(state)[:, None] * np.cos(2 * self._chi(state)))
        return -float((spectrum.count * (np.log(expected) + spectrum.power / expected)).sum())

    def refine(self, state: State, *, steps: int, enough: float = 1e-3) -> State:
        """Climb from a state by damped Fisher scoring, until a step gains less than `enough` or `steps` are done."""
        value, gradient, information = self.evaluate(state)
        vector, damping = self._vector(state), 1e-3
        for _ in range(steps):
            scale = np.diag(np.diag(information))
            step = np.linalg.solve(information + damping * scale, gradient)
            tried = self._state(vector + step)
            new_value, new_gradient, new_information = self.evaluate(tried)
            if not np.isfinite(new_value) or new_value < value:
                damping = max(10 * damping, 1e-2)
                if damping > 1e4:
                    break
                continue
            gain = new_value - value
            vector, value, gradient, information = vector + step, new_value, new_gradient, new_information
            damping = max(damping / 10, 1e-6)
            if gain < enough:
                break
        covariance = np.linalg.inv(information)
        sigma = np.sqrt(np.maximum(np.diag(covariance)[-4:], 0))
        return replace(self._state(vector), log_posterior=value, sigma=sigma)
