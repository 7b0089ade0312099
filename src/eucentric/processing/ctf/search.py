"""A wide search for defocus and astigmatism together, by matched filters along sectors of a spectrum.

Each sector's rings are correlated with those of every defocus once. An astigmatic CTF then costs only a sum over
sectors, each looked up at the defocus that it has there: all combinations are tried, and no ring is lost to a mean
along circles. The correlations are complex, and so hold every phase shift too.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eucentric.core.jit import compiled
from eucentric.processing.ctf.likelihood import CTFPrior
from eucentric.processing.ctf.polar import Array

_RADIANS = 1.0  # by which 2 chi may change between neighbouring trials at the finest detail
_ASTIGMATISM_STEPS = 1.5  # steps of the astigmatism, in steps of the defocus: it acts on half of the sectors


@dataclass(frozen=True)
class Start:
    """A place to refine from: (mean, a, b) in Å, phase shift in radians, and its score in nats."""

    defocus: tuple[float, float, float]
    shift_rad: float
    score: float


@dataclass(frozen=True, eq=False)
class SearchRange:
    """What is tried: mean defocus from and to, the largest astigmatism (difference), all in Å, and what is believed."""

    low_A: float
    high_A: float
    astigmatism_A: float
    prior: CTFPrior
    phase_plate: bool


def search(
    rings: Array, weight: Array, per_mean: Array, fixed: Array, angle: Array, wanted: SearchRange, number: int
) -> list[Start]:
    """Return the best starts, best first, no two within a ring's width of defocus of each other.

    Parameters
    ----------
    rings
        Relative excess of power over its background times the coefficients of each bin, (rings, sectors).
    weight
        Expected depth of the rings, (rings,).
    per_mean, fixed
        What the phase is made of at each ring: radians per Å of defocus, and radians, (rings,).
    angle
        Direction of each sector, radians, (sectors,).
    wanted
        What to try.
    number
        How many starts, at most.
    """
    step = _RADIANS / (2 * float(per_mean[-1]))
    room = wanted.astigmatism_A / 2
    low, high = max(wanted.low_A - room, 0.0), wanted.high_A + room
    trials = low + step * np.arange(math.ceil((high - low) / step) + 1)
    turn = np.exp(2j * (np.outer(trials, per_mean) + fixed)).astype(np.complex64)
    table = np.ascontiguousarray((turn @ (-weight[:, None] * rings).astype(np.complex64)).T)
    radii = np.arange(0.0, room + 1e-9, _ASTIGMATISM_STEPS * step)
    pairs = [(0.0, 0.0)]
    for radius in radii[1:]:
        directions = np.arange(0, 2 * math.pi, min(_ASTIGMATISM_STEPS * step / radius, math.pi / 3))
        pairs.extend((radius * math.cos(turned), radius * math.sin(turned)) for turned in directions)
    vectors = np.array(pairs)
    shifts = vectors @ np.stack([np.cos(2 * angle), np.sin(2 * angle)]) / step
    inside = np.flatnonzero((trials >= wanted.low_A) & (trials <= wanted.high_A))
    penalty = wanted.prior.penalty(vectors[:, 0], vectors[:, 1])
    score, which, phase = _best(table, np.rint(shifts).astype(np.int64), inside, penalty, wanted.phase_plate)
    apart = max(1, math.ceil(2 * math.pi / _RADIANS / 2))
    starts: list[Start] = []
    open_ = score.copy()
    for _ in range(number):
        top = int(np.argmax(open_))
        if not np.isfinite(open_[top]) or open_[top] <= 0:
            break
        a, b = vectors[which[top]]
        starts.append(Start((float(trials[inside[top]]), float(a), float(b)), float(phase[top]), float(score[top])))
        open_[max(0, top - apart) : top + apart + 1] = -np.inf
    return starts


@compiled()
def _best(
    table: NDArray[np.complex64],
    shifts: NDArray[np.int64],
    inside: NDArray[np.int64],
    penalty: NDArray[np.float64],
    any_phase: bool,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Return, for each mean defocus, the best score over astigmatism, which one it is, and its phase shift."""
    sectors, trials = table.shape
    n = inside.size
    score = np.full(n, -np.inf)
    which = np.zeros(n, dtype=np.int64)
    phase = np.zeros(n)
    for v in range(shifts.shape[0]):
        for i in range(n):
            real = 0.0
            imaginary = 0.0
            for j in range(sectors):
                at = min(max(inside[i] + shifts[v, j], 0), trials - 1)
                real += table[j, at].real
                imaginary += table[j, at].imag
            here = real
            best = 0.0
            if any_phase:
                # of shifts from 0 to 180°, those nearest 90° are what a phase plate is for: none is preferred here
                here = math.hypot(real, imaginary)
                best = -0.5 * math.atan2(imaginary, real)
                if best < 0.0:
                    best += math.pi
            here -= penalty[v]
            if here > score[i]:
                score[i] = here
                which[i] = v
                phase[i] = best
    return score, which, phase
