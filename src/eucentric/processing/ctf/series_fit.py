"""The defocus of all tilts, and the astigmatism that they share, found together."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from eucentric.processing.ctf.series_evidence import SeriesEvidence
from eucentric.processing.ctf.series_prior import DefocusPrior

Array = NDArray[np.float64]

_ROUNDS = 8
_MORE_ROUNDS = 3  # where the depth of the rings is given
_LOW_TILT_DEG = 32.0  # where rings are strongest, and the field too narrow for the hand to matter
_HATS = 8  # of the rings' depth over frequency
_ALIKE_DEG = 8.0  # tilts between which the rings' depth is alike
_ASTIGMATISM_A = 700.0  # expected size of each component
_COARSE_BANDS = 4
_OFFSET_A = 3000.0  # how far a microscope's defocus may be off what it says
_ROUGH = 0.25  # of the rings' depth, how much the specimen's structure adds or takes away,
_ROUGH_PER_A = 0.007  # over so much of frequency: structures of some 150 Å
_COARSE_RAD = 0.3  # how far coarse detail's phase is expected to be off: .2 to .3 with gold beads in 2000 Å of ice
_PHASES = np.arange(0, 180, 7.5)
_SIGN_KNOWN_A = 9.0  # detail whose rings have the sign that chi says: the first node of 2000 Å of ice, seen at 60°


@dataclass(frozen=True, eq=False)
class SeriesState:
    """A whole series, as far as it is known.

    Attributes
    ----------
    hand
        For which it was found.
    mean_A, sigma_A
        Defocus of each tilt, its posterior's mean and standard deviation.
    astigmatism_A
        Difference of the principal values times cos and sin of twice their direction, (2,).
    shift_rad, coarse_rad
        Of a phase plate, beyond the lens's own; and that of coarse detail alone: gold and thick ice are no weak phase
        objects, and would displace the defocus by hundreds of Å.
    phase_rad
        Both, at each bin.
    depth
        Of the rings, (tilts, bins).
    prior
        For defocus.
    log_evidence
        Of all tilts, over that of no rings.
    grid_A, posterior
        Values of defocus, (grid,), and how likely each is, (tilts, grid).
    """

    hand: int
    mean_A: Array
    sigma_A: Array
    astigmatism_A: Array
    shift_rad: float
    coarse_rad: float
    phase_rad: Array
    depth: Array
    prior: DefocusPrior
    log_evidence: float
    grid_A: Array
    posterior: Array

    def near_trend(self, at: int) -> tuple[float, float]:
        """Return mean and standard deviation of a tilt's defocus, if it is one that follows the trend."""
        likely = self.posterior[at] * self.prior.near_share(self.grid_A)[at]
        total = float(likely.sum())
        if total < 1e-9:
            return float(self.prior.centre_A[at]), self.prior.width_A
        mean = float(likely @ self.grid_A) / total
        return mean, float(np.sqrt(max(float(likely @ (self.grid_A - mean) ** 2) / total, 1.0)))


class SeriesFit:
    """Finds the state of a series that its evidence makes likeliest.

    Parameters
    ----------
    evidence
        What the images say.
    tilts_deg, order
        Of the tilts, and when each was recorded.
    nominal_A
        Defocus asked of the microscope; NaN where it is not known.
    grid_A
        Defocus values that are looked at.
    """

    def __init__(
        self, evidence: SeriesEvidence, tilts_deg: Array, order: Array | None, nominal_A: Array | None, grid_A: Array
    ) -> None:
        self.evidence, self.tilts_deg, self.grid_A = evidence, tilts_deg, grid_A
        self._turning = evidence.turning(grid_A)
        span = max(float(np.abs(tilts_deg).max()), 1.0)
        along = tilts_deg / span
        terms = [along, along**2 - np.mean(along**2)]
        if order is not None and len(order) > 1 and np.ptp(order) > 0:
            terms.append(2 * (order - order.min()) / np.ptp(order) - 1)
        self._regressors = np.column_stack(terms)
        known = nominal_A is not None and bool(np.isfinite(nominal_A).all())
        self._nominal = np.asarray(nominal_A) if known else np.zeros(len(tilts_deg))
        self._known = known
        k = np.sqrt(evidence.grid.k2)
        place = np.linspace(0, _HATS - 1, len(k))[
            np.searchsorted(np.linspace(k[0], k[-1], len(k)), k).clip(max=len(k) - 1)
        ]
        self._hats = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(_HATS)))
        self._together = np.maximum(2 * k * _ROUGH_PER_A / evidence.grid.step, 1.0)
        self._alike = np.exp(-0.5 * ((np.abs(tilts_deg)[:, None] - np.abs(tilts_deg)[None]) / _ALIKE_DEG) ** 2)

    def start(self, *, search_phase: bool = False) -> tuple[DefocusPrior, float]:
        """Return where defocus lies, from the low tilts together; and the phase shift in radians, where searched."""
        evidence = self.evidence
        low = np.abs(self.tilts_deg) <= max(
            _LOW_TILT_DEG, float(np.sort(np.abs(self.tilts_deg))[min(2, len(self.tilts_deg) - 1)])
        )
        edges = np.linspace(0, len(evidence.grid.k2), _COARSE_BANDS + 1).astype(int)
        rings = evidence.collapsed(np.zeros(2), 0)
        weights = evidence.even_weight
        sums = []
        for first, last in pairwise(edges):
            # The specimen's power falls with frequency, and with it the depth of its rings.
            depth = np.exp(-2.0 * np.arange(last - first) / (last - first))
            matched = -0.5 * (rings[low, first:last] * depth) @ self._turning[first:last]
            spread = np.sqrt((weights[low, first:last] * depth**2).sum(1))
            sums.append(matched / np.maximum(spread, 1e-9)[:, None])
        best = (-np.inf, 0.0, 0.0)
        offsets = self.grid_A if not self._known else np.arange(-4 * _OFFSET_A, 4 * _OFFSET_A, 100.0)
        for phase in np.radians(_PHASES) if search_phase else (0.0,):
            score = sum(np.maximum((one * np.exp(-2j * phase)).real, 0) ** 2 for one in sums)
            total = self._summed(np.asarray(score) / 2, low, offsets)
            at = int(np.argmax(total))
            if total[at] > best[0]:
                best = (float(total[at]), float(offsets[at]), float(phase))
        return DefocusPrior(self._nominal + best[1]), best[2]

    def _summed(self, score: Array, low: NDArray[np.bool_], offsets: Array) -> Array:
        """Return the log of the likelihood of a series' common offset: each tilt may stray from it a little."""
        step = float(self.grid_A[1] - self.grid_A[0])
        width = DefocusPrior(np.zeros(1)).width_A
        reach = int(4 * width / step)
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / width) ** 2)
        kernel /= kernel.sum()
        total = np.zeros(len(offsets))
        for one, nominal in zip(score, self._nominal[low], strict=True):
            top = one.max()
            spread = np.convolve(np.exp(one - top), kernel, mode="same")
            # A tilt that shows nothing, or something else, must not forbid what the others say.
            log = np.logaddexp(np.log(spread + 1e-300) + top, np.log(np.exp(one - top).mean()) + top - 3.0)
            total += np.interp(offsets + nominal, self.grid_A, log)
        if self._known:
            total -= np.log1p((offsets / _OFFSET_A) ** 2) * 1.5
        return total

    def depth_start(self) -> Array:
        """Return a first guess of the rings' depth: none where the specimen's thickness may have reversed them.

        Beyond the first node of a thick specimen a depth of the wrong sign is met by a defocus that is off by half a
        ring, and each upholds the other. What coarse detail tells of defocus shows which sign it is.
        """
        k2 = self.evidence.grid.k2[None]
        fading = np.exp(-60.0 * k2 / np.cos(np.radians(self.tilts_deg))[:, None])
        return np.asarray(0.15 * fading * np.exp(-((k2 * _SIGN_KNOWN_A**2) ** 2)))

    def solve(
        self,
        hand: int,
        prior: DefocusPrior,
        shift_rad: float,
        *,
        fit_phase: bool = False,
        like: SeriesState | None = None,
    ) -> SeriesState:
        """Return the likeliest state for one hand; with `like`, the depth of the rings is taken from it and kept."""
        astigmatism = np.zeros(2) if like is None else like.astigmatism_A
        depth = self.depth_start() if like is None else like.depth
        phases = (shift_rad, 0.0 if like is None else like.coarse_rad)
        state = self._given(hand, prior, astigmatism, phases, depth)
        for turn in range(_ROUNDS if like is None else _MORE_ROUNDS):
            turns = self._expected_turns(state)
            if like is None:
                depth = self._depths(state, turns)
            if turn:
                astigmatism, phases = self._shared(state, turns * depth * self._trust(depth, hand), fit_phase)
            learned = state.prior.learned(state.mean_A, state.sigma_A, self._regressors, self._nominal)
            state = self._given(hand, learned, astigmatism, phases, depth)
        return state

    def _given(
        self, hand: int, prior: DefocusPrior, astigmatism: Array, phases: tuple[float, float], depth: Array
    ) -> SeriesState:
        phase_rad = phases[0] + phases[1] * self.evidence.coarse
        rings = self.evidence.collapsed(astigmatism, hand, phase_rad)
        trust = self._trust(depth, hand)
        gain = -0.5 * ((trust * depth * rings) @ self._turning).real
        gain -= 0.5 * (trust * depth**2 * self.evidence.weights(hand)).sum(1)[:, None]
        log = gain + prior.log_density(self.grid_A)
        total = logsumexp(log, axis=1)
        posterior = np.exp(log - total[:, None])
        mean = posterior @ self.grid_A
        variance = np.maximum(posterior @ self.grid_A**2 - mean**2, (self.grid_A[1] - self.grid_A[0]) ** 2 / 12)
        evidence = float(total.sum()) - _unlikely(astigmatism, phases[1])
        return SeriesState(
            hand,
            mean,
            np.sqrt(variance),
            astigmatism,
            *phases,
            phase_rad,
            depth,
            prior,
            evidence,
            self.grid_A,
            posterior,
        )

    def _trust(self, depth: Array, hand: int) -> Array:
        """Return how far each bin's evidence can be trusted: a specimen's own power is rough, and no noise hides it."""
        return np.asarray(1 / (1 + _ROUGH**2 * depth**2 * self.evidence.weights(hand) * self._together))

    def _expected_turns(self, state: SeriesState) -> NDArray[np.complex128]:
        """Return ``exp(-i 2 chi)``, less astigmatism, as expected over the posterior of each tilt's defocus."""
        turned = state.posterior @ self._turning.T
        return np.asarray(turned * self.evidence.rest * np.exp(-2j * state.phase_rad))

    def _depths(self, state: SeriesState, turns: NDArray[np.complex128]) -> Array:
        """Return how deep the rings are, from tilts that are alike, no deeper than the data say for sure."""
        bare = self.evidence.collapsed(state.astigmatism_A, state.hand, state.phase_rad)
        seen = -0.5 * (bare * turns / (self.evidence.rest * np.exp(-2j * state.phase_rad))).real
        signal = self._alike @ (seen @ self._hats)
        weight = self._alike @ (self.evidence.weights(state.hand) @ self._hats)
        depth = signal / np.maximum(weight, 1e-9)
        # James-Stein: what does not stand out of its own error is taken for none.
        sure = np.maximum(0, 1 - 1 / np.maximum(signal**2 / np.maximum(weight, 1e-9), 1e-9))
        return np.asarray((depth * sure) @ self._hats.T)

    def _shared(
        self, state: SeriesState, turns: NDArray[np.complex128], fit_phase: bool
    ) -> tuple[Array, tuple[float, float]]:
        """Return astigmatism, and both phases, that suit all tilts at their defocus."""
        evidence = self.evidence
        rings = evidence.demodulated(turns, state.hand)

        def cost(parameters: Array) -> float:
            astigmatism = parameters[:2] * 100.0
            turn = np.exp(-1j * (evidence.per_A[:, None] * (astigmatism @ evidence.directions)))
            coarse_rad = float(parameters[2])
            shift = float(parameters[3]) if fit_phase else 0.0
            phase = np.exp(-2j * (shift + (coarse_rad - state.coarse_rad) * evidence.coarse))
            gain = -0.5 * float(((rings * turn).sum(1) * phase).real.sum())
            return _unlikely(astigmatism, coarse_rad) - gain

        start = np.append(state.astigmatism_A / 100.0, [state.coarse_rad, 0.0] if fit_phase else [state.coarse_rad])
        starts = [start]
        if not np.any(state.astigmatism_A):
            ring = np.linspace(0, 2 * np.pi, 8, endpoint=False)
            size = (4.0, 8.0)
            starts += [np.append([r * np.cos(a), r * np.sin(a)], start[2:]) for r in size for a in ring]
        best = min(starts, key=cost)
        # The simplex starts some 100 Å, and a tenth of a radian, wide.
        simplex = np.vstack([best, best + np.diag([1.0, 1.0, 0.1, 0.1][: len(best)])])
        found = minimize(
            cost,
            np.asarray(best, dtype=np.float64),
            method="Nelder-Mead",
            options={"xatol": 0.05, "fatol": 1e-3, "maxiter": 120, "initial_simplex": simplex},
        ).x
        shift_rad = state.shift_rad + (float(found[3]) if fit_phase else 0.0)
        return np.asarray(found[:2] * 100.0), (shift_rad, float(found[2]))

    def with_hand(self, state: SeriesState, hand: int) -> SeriesState:
        """Return the state for the other hand, with all else that the two do not differ in."""
        return self.solve(hand, state.prior, state.shift_rad, like=replace(state, hand=hand))


def _unlikely(astigmatism_A: Array, coarse_rad: float) -> float:
    """Return what the prior takes from the log-likelihood."""
    return 0.5 * float(astigmatism_A @ astigmatism_A) / _ASTIGMATISM_A**2 + 0.5 * (coarse_rad / _COARSE_RAD) ** 2
