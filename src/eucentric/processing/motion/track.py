"""One exposure's track from its frames alone: shifts, how sure they are, and the signal that told."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from eucentric.processing.motion.likelihood import Evaluation, evaluate, phases
from eucentric.processing.motion.prior import TemporalPrior
from eucentric.processing.motion.spectra import FrameSpectra, FrequencyGrid

Array = NDArray[np.float64]

STILL = 0.3
"""Of what frames alone leave open, in standard deviations: a step below it is as good as none."""
_LEVELS_A = (60.0, 30.0, 12.0)  # from coarse to fine: each finds the way into the next one's maximum
_STEPS, _LAST_STEPS = 1, 4
_SMOOTH_PER_A = 0.002  # of spectra, standard deviation: Thon rings stay apart up to where the signal ends
_COARSE_WAVES = 60  # at most, across the field, in the search for an even drift
_BY_CHANCE = 4.0  # standard deviations of a score that the best of hundreds reaches in noise alone
_LEAST_NOISE = 0.05  # of a ring, in shares of the finest ones
_FREE = 1e-3  # share of the information that the finest level may leave out


@dataclass(frozen=True, eq=False)
class TrackEvidence:
    """What the frames of an exposure say of its track.

    Attributes
    ----------
    start_yx_A
        (n, 2), the track about which this holds.
    observed_yx_A
        (n, 2), the track that the frames alone ask for; free up to a constant.
    information
        1/Å²; the precision matrix of one axis is ``information (n I - 1 1')``.
    ring_k, powers
        Frequency (1/Å) of each ring; power of signal and noise in it.
    resolution_A
        Finest detail that was worth using.
    told
        Information in each ring, 1/Å².
    """

    start_yx_A: Array
    observed_yx_A: Array
    information: float
    ring_k: Array
    powers: "Powers"
    resolution_A: float
    told: Array

    def resolution_with_A(self, share: float) -> float:
        """Return the finest detail that a share of the information needs."""
        return _reached_A(self.ring_k, self.told, share)


def weigh_track(spectra: FrameSpectra, prior: TemporalPrior, max_shift_A: float) -> TrackEvidence:
    """Find the likeliest track of an exposure and what the frames say about it.

    Parameters
    ----------
    spectra
        Of two frames or more.
    prior
        What holds the track where frames say little.
    max_shift_A
        Largest movement between the first and the last frame that is looked for.
    """
    n = spectra.frames
    precision, spread = _precision(prior, n), n * np.eye(n) - 1
    parts = _parts(spectra)
    part = parts[0].cut(_field_A(spectra) / _COARSE_WAVES)
    shifts = _even_drift(part, Powers.at_first(part), prior.linear_A, max_shift_A)
    while parts:
        part, *parts = parts
        alone = _smoothing(part.grid)(part.power)
        powers = Powers.of(part, evaluate(part, None, shifts), alone)
        for _ in range(_STEPS if parts else _LAST_STEPS):
            evaluation, seen_at = evaluate(part, powers.weights(n), shifts), shifts
            information = powers.information(part.grid, n)
            stiff = information * spread + precision
            step = np.linalg.solve(stiff, evaluation.gradient - precision @ shifts)
            shifts = shifts + step
            powers = Powers.of(part, evaluation, alone)
            if np.square(step).mean() * information * n < STILL**2:
                break
        if parts and _enough_A(part, powers, n) > 1.5 / part.grid.ring_k[-1]:  # finer levels would only be slow
            break
    centred = evaluation.gradient - evaluation.gradient.mean(axis=0)
    observed = seen_at + centred / (n * information) if information > 0 else shifts
    return TrackEvidence(
        start_yx_A=shifts - shifts.mean(axis=0),
        observed_yx_A=observed - observed.mean(axis=0),
        information=information,
        ring_k=part.grid.ring_k,
        powers=powers,
        resolution_A=_enough_A(part, powers, n),
        told=powers.each(part.grid, n),
    )


def _parts(spectra: FrameSpectra) -> list[FrameSpectra]:
    """Return what is seen of spectra at each level of detail, from coarse to fine."""
    finest_A = 1 / spectra.grid.ring_k[-1]
    parts = [spectra]
    for level in reversed(_LEVELS_A):
        if level > 1.2 * finest_A:
            parts.insert(0, parts[0].cut(level))
    return parts


@lru_cache(maxsize=16)
def _precision(prior: TemporalPrior, n: int) -> Array:
    """Return how tightly a prior holds the shifts of n frames along one axis, (n, n), 1/Å²."""
    return np.asarray(np.linalg.inv(prior.covariance(n) + 1e-6 * np.eye(n)))


@dataclass(frozen=True, eq=False)
class Powers:
    """Power of signal and noise in each ring."""

    signal: Array
    noise: Array

    @classmethod
    def at_first(cls, part: FrameSpectra) -> "Powers":
        """Take what a frame has above white noise for signal."""
        noise = np.full(len(part.power), part.noise)
        return cls(np.maximum(_smoothing(part.grid)(part.power) / part.frames - noise, 0.0), noise)

    @classmethod
    def of(cls, part: FrameSpectra, evaluation: Evaluation, alone: Array) -> "Powers":
        """Take what frames share, laid on each other, for signal, and in what they differ for noise.

        `alone` is the smoothed power of the frames themselves, which no track changes.
        """
        n, smoothing = part.frames, _smoothing(part.grid)
        together = smoothing(evaluation.power)
        shared = (together - alone) / (n * (n - 1))
        noise = np.maximum((alone - together / n) / (n - 1), _LEAST_NOISE * part.noise)
        # What remains of rings without signal is chance, and alignment makes it look like signal: Stein's shrinkage.
        chance = noise / ((n - 1) * smoothing.root_pooled)
        kept = np.clip(1 - np.square(2 * chance / np.maximum(shared, 1e-12)), 0.0, 1.0)
        return cls(np.where(shared > 0, shared * kept, 0.0), noise)

    def weights(self, n: int) -> Array:
        """Return the weight of each ring; nothing for ring 0."""
        weights = self.signal / (self.noise * (self.noise + n * self.signal))
        weights[0] = 0.0
        return weights

    def each(self, grid: FrequencyGrid, n: int) -> Array:
        """Return how much each ring tells of a shift along one axis, 1/Å²."""
        each: Array = (2 * np.pi * grid.ring_k) ** 2 * grid.counts * self.weights(n) * self.signal
        return each

    def information(self, grid: FrequencyGrid, n: int) -> float:
        """Return how much all rings tell."""
        return float(np.sum(self.each(grid, n)))


def _enough_A(part: FrameSpectra, powers: Powers, n: int) -> float:
    """Return the resolution beyond which next to nothing can be learned."""
    return _reached_A(part.grid.ring_k, powers.each(part.grid, n), 1 - _FREE)


def _reached_A(ring_k: Array, each: Array, share: float) -> float:
    told = np.cumsum(each)
    last = int(np.searchsorted(told, share * told[-1])) if told[-1] > 0 else 1
    return float(1 / ring_k[max(1, min(last, len(told) - 1))])


def _even_drift(part: FrameSpectra, powers: Powers, usual_A: float, max_shift_A: float) -> Array:
    """Return the track of the likeliest even drift, from a search over all up to the largest.

    Among hundreds, some fit noise better than none does: those that are unusual must fit better by as much.
    """
    n, grid = part.frames, part.grid
    step = 0.2 / float(grid.ring_k[-1]) / max(n - 1, 1)
    reach = max(1, min(12, int(np.ceil(max_shift_A / max(n - 1, 1) / step))))
    speeds = np.arange(-reach, reach + 1, dtype=np.float64) * step
    k_y, k_x, rings = grid.arrays
    table = powers.weights(n)[rings].astype(np.float32)
    table[:, 0] *= 0.5
    frames = part.values.cpu().numpy()
    # An even drift moves all frames that are so many apart alike: what they have in common is summed first.
    total = np.zeros((len(speeds), len(speeds)))
    one_y, one_x = phases(k_y, speeds), phases(k_x, speeds).T
    turn_y, turn_x = np.ones_like(one_y), np.ones_like(one_x)
    for apart in range(1, n):
        turn_y, turn_x = turn_y * one_y, turn_x * one_x
        pairs = table * np.einsum("fyx,fyx->yx", frames[:-apart].conj(), frames[apart:])
        total += 2 * (turn_y @ pairs @ turn_x).real
    # No drift at all is what others must beat, by more than the best of so many does by chance.
    chance = n * float(np.sqrt(np.sum(grid.counts * np.square(powers.weights(n) * powers.noise))))
    unusual = 0.5 * (np.square(speeds)[:, None] + np.square(speeds)) / usual_A**2
    y, x = np.unravel_index(int((total - unusual).argmax()), total.shape)
    if total[y, x] - unusual[y, x] <= total[reach, reach] + _BY_CHANCE * chance:
        return np.zeros((n, 2))
    return np.outer(np.arange(n) - (n - 1) / 2, (speeds[y], speeds[x]))


def _field_A(spectra: FrameSpectra) -> float:
    """Return the longer side of the field."""
    return float(1 / spectra.grid.ring_k[1])


@dataclass(frozen=True)
class _Smoothing:
    """Smooths over frequency what is summed over rings, each ring counting by its coefficients.

    `root_pooled` is the square root of how many coefficients a smoothed ring is a mean over.
    """

    kernel: Array
    smooth_counts: Array
    root_pooled: Array

    def __call__(self, sums: Array) -> Array:
        """Return the smooth mean over coefficients, of sums over rings; ring 0 does not count."""
        counted = sums.copy()
        counted[0] = 0.0
        smoothed: Array = np.convolve(counted, self.kernel, mode="same") / self.smooth_counts
        return smoothed


@lru_cache(maxsize=64)
def _smoothing(grid: FrequencyGrid) -> _Smoothing:
    width = _SMOOTH_PER_A / grid.ring_k[1]
    reach = min(int(4 * max(0.7, width) + 0.5), (len(grid.ring_k) - 1) // 2)  # no longer than the rings are
    kernel = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / max(0.7, width)))
    counts = grid.counts.copy()
    counts[0] = 0.0
    pooled = grid.counts * max(1.0, 2 * np.sqrt(np.pi) * width)
    smooth_counts = np.maximum(np.convolve(counts, kernel, mode="same"), 1e-9)
    return _Smoothing(kernel, smooth_counts, np.sqrt(np.maximum(pooled, 1.0)))
