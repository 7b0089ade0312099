"""What an image says of defocus and astigmatism where it does not single out one CTF.

Where the fine rings are lost in noise, the likelihood has many narrow peaks, and the highest is the right one only by
luck. The mean over all of them, weighted as the image does, errs least. Rings are weak in such images, and the
likelihood is then linear in them, so that a whole grid costs one table of sectors.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eucentric.core.jit import compiled
from eucentric.processing.ctf.likelihood import CTFPrior
from eucentric.processing.ctf.polar import Array

_RADIANS = 0.7  # by which 2 chi changes between neighbouring trials at the finest detail
_WIDEST = 5.0  # scales of the prior that are looked at
_REACH_A = 2500.0  # of mean defocus to either side of the likeliest: beyond lie other solutions, not its uncertainty
_NEAR_RADIANS = 2.0  # by which 2 chi may differ at the finest detail for two CTFs to be of one peak
_MOST_PAIRS = 600


@dataclass(frozen=True)
class Posterior:
    """Mean and deviation of (mean, a, b) in Å over what is away from the likeliest, and what share that has."""

    mean: tuple[float, float, float]
    sigma: tuple[float, float, float]
    elsewhere: float


def posterior(
    excess: Array,
    depth: Array,
    per_mean: Array,
    fixed: Array,
    angle: Array,
    likeliest: Array,
    prior: CTFPrior,
    largest_A: float,
) -> Posterior:
    """Return the posterior around a solution.

    Parameters
    ----------
    excess
        Relative excess of power over its background times the coefficients of each bin, (rings, sectors).
    depth
        Depth of the rings, (rings,).
    per_mean, fixed
        Radians per Å of defocus, and radians, at each ring, (rings,).
    angle
        Direction of each sector, radians, (sectors,).
    likeliest
        (mean, a, b) in Å.
    prior
        What is believed of a and b.
    largest_A
        Largest astigmatism, the difference of the principal values.
    """
    step = _RADIANS / (2 * float(per_mean[-1]))
    room = min(largest_A / 2, _WIDEST * prior.astigmatism_A)
    spacing = max(1.5 * step, room / math.sqrt(_MOST_PAIRS / math.pi))
    line = np.arange(-math.ceil(room / spacing), math.ceil(room / spacing) + 1) * spacing
    a, b = (part.ravel() for part in np.meshgrid(line, line, indexing="ij"))
    inside = a * a + b * b <= room * room
    vectors = np.stack([a[inside], b[inside]], axis=1)
    reach = math.ceil((_REACH_A + room) / step)
    trials = float(likeliest[0]) + step * np.arange(-reach, reach + 1)
    turn = np.cos(2 * (np.outer(trials, per_mean) + fixed))
    table = np.ascontiguousarray((turn @ (-depth[:, None] * excess)).T)
    shifts = np.rint(vectors @ np.stack([np.cos(2 * angle), np.sin(2 * angle)]) / step).astype(np.int64)
    kept = np.flatnonzero((np.abs(trials - likeliest[0]) <= _REACH_A) & (trials > 0))
    score = _scores(table, shifts, kept)
    score -= prior.penalty(vectors[:, 0], vectors[:, 1])[:, None]
    weight = np.exp(score - score.max())
    # Elsewhere is where the finest rings are out of step by more than a peak's width.
    near = _NEAR_RADIANS / (2 * float(per_mean[-1])) if per_mean[-1] > 0 else math.inf
    apart = np.sqrt(
        np.square(trials[kept] - likeliest[0])[None]
        + np.square(vectors - np.asarray(likeliest[1:3])).sum(axis=1)[:, None]
    )
    other = np.where(apart > max(near, 1.5 * spacing), weight, 0.0)
    share = float(other.sum() / weight.sum())
    total = max(float(other.sum()), 1e-300)
    values = (trials[kept][None], vectors[:, :1], vectors[:, 1:])
    means = [float((other * value).sum() / total) for value in values]
    sigmas = [
        math.sqrt(max(float((other * np.square(value - mean)).sum() / total), 0.0))
        for value, mean in zip(values, means, strict=True)
    ]
    return Posterior((means[0], means[1], means[2]), (sigmas[0], sigmas[1], sigmas[2]), share)


@compiled()
def _scores(table: NDArray[np.float64], shifts: NDArray[np.int64], kept: NDArray[np.int64]) -> NDArray[np.float64]:
    sectors, trials = table.shape
    score = np.zeros((shifts.shape[0], kept.size))
    for v in range(shifts.shape[0]):
        for i in range(kept.size):
            total = 0.0
            for j in range(sectors):
                at = min(max(kept[i] + shifts[v, j], 0), trials - 1)
                total += table[j, at]
            score[v, i] = total
    return score
