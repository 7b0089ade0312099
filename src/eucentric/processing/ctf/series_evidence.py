"""What the images of a series say of their defocus: whitened rings with what their noise allows, tilt by tilt."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from eucentric.optics import Lens, wavelength_A
from eucentric.processing.ctf.tilted import FieldRings, RingGrid

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

_SMOOTH_TERMS = 8  # of what rings are taken out of, over all directions
_SECTOR_TERMS = 3  # and of what differs between directions
_NOISE_BINS = 41  # over which the noise is taken as even
_LEAST_VARIANCE = 1e-4  # of a channel against the other: below, rounding is all that it holds
_LEAST_COUNT = 2.0
_IMPOSSIBLE_A = (130_000.0, 190_000.0)
_NOISE_BANDS = 4
_COARSE_A = 10.0  # what of gold and thick ice is not weak-phase contrast is no finer


@dataclass(frozen=True, eq=False)
class TiltEvidence:
    """One tilt: what a matched filter sums over its bins.

    With depth E of the rings and phase ``2 chi``, the log-likelihood gained over no rings is
    ``-sum E Re((even + i hand odd) exp(-2 i chi)) / 2 - sum E² weight / 2``.

    Attributes
    ----------
    even, odd
        Parts of the rings that both hands share, and that differ by the hand's sign; over their noise; (bins, sectors).
    even_weight, odd_weight
        Information on E² in each, summed over sectors, (bins,).
    power
        Squared rings over their noise, summed over all bins: what a correlation is normalised by.
    """

    even: Array
    odd: Array
    even_weight: Array
    odd_weight: Array
    power: float


def tilt_evidence(rings: FieldRings, grid: RingGrid) -> TiltEvidence:
    """Return what a tilt's rings say: background taken out, each bin weighted by the noise that is seen there."""
    k = np.sqrt(grid.k2)
    place = 2 * (k - k[0]) / (k[-1] - k[0]) - 1
    terms = np.polynomial.chebyshev.chebvander(place, _SMOOTH_TERMS - 1)
    count = np.where(rings.count >= _LEAST_COUNT, rings.count, 0.0)
    even = _without_background(rings.mean.real, count, rings.flat, terms)
    # A specimen that is denser on one side has an odd background.
    odd = _without_background(rings.mean.imag, count, np.ones_like(count), terms)
    even_noise, odd_noise = _noise(even, count), _noise(odd, count)
    odd_gain = np.where(odd_noise > _LEAST_VARIANCE * even_noise, 1 / np.maximum(odd_noise, 1e-30), 0.0)[:, None]
    even_gain = (1 / np.maximum(even_noise, 1e-30))[:, None]
    up, down = rings.kept + rings.twice, rings.kept - rings.twice
    return TiltEvidence(
        even=even * up * count * even_gain,
        odd=odd * down * count * odd_gain,
        even_weight=(count * up**2 * even_gain).sum(1) / 8,
        odd_weight=(count * down**2 * odd_gain).sum(1) / 8,
        power=float((count * even**2 * even_gain).sum() + (count * odd**2 * odd_gain).sum()),
    )


def _without_background(values: Array, count: Array, response: Array, terms: Array) -> Array:
    """Return bins less what is smooth: over frequency in all directions, then more stiffly in each."""
    total = np.maximum(count.sum(1), 1e-9)
    mean, flat = (count * values).sum(1) / total, (count * response).sum(1) / total
    root = np.sqrt(total)
    smooth = terms @ np.linalg.lstsq(terms * (flat * root)[:, None], mean * root, rcond=None)[0]
    left = values - response * smooth[:, None]
    for sector in range(values.shape[1]):
        root = np.sqrt(count[:, sector])
        stiff = terms[:, :_SECTOR_TERMS] * response[:, sector, None]
        found = np.linalg.lstsq(stiff * root[:, None], left[:, sector] * root, rcond=None)[0]
        left[:, sector] -= stiff @ found
    return np.asarray(np.where(count > 0, left, 0.0))


def _noise(values: Array, count: Array) -> Array:
    """Return the variance of one product, from how bins of like frequency scatter, (bins,)."""
    squares, bins = (count * values**2).sum(1), (count > 0).sum(1).astype(float)
    width = min(_NOISE_BINS, len(squares) | 1)
    kernel = np.ones(width)
    return np.asarray(np.convolve(squares, kernel, mode="same") / np.maximum(np.convolve(bins, kernel, mode="same"), 1))


class SeriesEvidence:
    """All usable tilts of a series, and the sums that are taken over them.

    Parameters
    ----------
    tilts
        One by one.
    grid
        Bins of frequency.
    lens
        Its spherical aberration, amplitude contrast and phase shift are in the phase.
    """

    def __init__(self, tilts: Sequence[TiltEvidence], grid: RingGrid, lens: Lens) -> None:
        self.grid, self.lens = grid, lens
        self.even, self.odd = (np.stack([getattr(tilt, name) for tilt in tilts]) for name in ("even", "odd"))
        self.even_weight = np.stack([tilt.even_weight for tilt in tilts])
        self.odd_weight = np.stack([tilt.odd_weight for tilt in tilts])
        self.power = np.array([tilt.power for tilt in tilts])
        wavelength = wavelength_A(lens.voltage_kV)
        k2 = grid.k2
        self.per_A = 2 * math.pi * wavelength * k2
        """What one Å of defocus adds to ``2 chi``, (bins,)."""
        constant = 2 * (math.radians(lens.phase_shift_deg) + math.asin(lens.amplitude_contrast))
        self.rest = np.exp(-1j * (constant - math.pi * lens.cs_mm * 1e7 * wavelength**3 * k2**2))
        finest, coarsest = 1 / _COARSE_A, float(np.sqrt(k2[0]))
        self.coarse = np.clip((finest - np.sqrt(k2)) / max(finest - coarsest, 1e-9), 0, 1)
        """Share of a phase that only coarse detail has, (bins,)."""
        angle = grid.angle_rad
        self.directions = np.stack([np.cos(2 * angle), np.sin(2 * angle)]) / 2
        self._calibrate()
        self.weight = self.even_weight + self.odd_weight
        self._by_bin = np.ascontiguousarray(np.stack([self.even, self.odd]).transpose(0, 2, 1, 3))

    def _calibrate(self) -> None:
        """Weaken both channels by how much more they scatter than independent bins would.

        Neighbouring bins share coefficients. What a matched filter gives at defocus values that no image has, such as
        rings too fine for any, is noise alone, and tells how much that is.
        """
        turning = self.turning(np.linspace(*_IMPOSSIBLE_A, 64))
        edges = np.linspace(0, len(self.grid.k2), _NOISE_BANDS + 1).astype(int)
        for values, weight in ((self.even, self.even_weight), (self.odd, self.odd_weight)):
            rings = values.sum(2) * self.rest
            for first, last in pairwise(edges):
                seen = 0.25 * np.mean(((rings[:, first:last] @ turning[first:last]).real) ** 2, axis=1)
                excess = np.maximum(seen / np.maximum(weight[:, first:last].sum(1), 1e-9), 1.0)
                values[:, first:last] /= excess[:, None, None]
                weight[:, first:last] /= excess[:, None]

    def collapsed(self, astigmatism_A: Array, hand: int, phase_rad: Array | float = 0.0) -> Complex:
        """Return rings summed over directions along the ellipse, defocus left to be turned out, (tilts, bins)."""
        angle = self.per_A[:, None] * (astigmatism_A @ self.directions)
        turn = np.stack([np.cos(angle), -np.sin(angle)], axis=-1)
        even, odd = self._by_bin @ turn[None]
        summed = (even[..., 0] - hand * odd[..., 1]) + 1j * (even[..., 1] + hand * odd[..., 0])
        return np.asarray(summed.T * (self.rest * np.exp(-2j * phase_rad)))

    def demodulated(self, turns: Complex, hand: int) -> Complex:
        """Return rings summed over tilts, each turned by its own (tilts, bins), for each direction, (bins, sectors)."""
        turn = np.stack([turns.real.T, turns.imag.T], axis=1)
        even, odd = turn[None] @ self._by_bin
        return np.asarray((even[:, 0] - hand * odd[:, 1]) + 1j * (even[:, 1] + hand * odd[:, 0]))

    def weights(self, hand: int) -> Array:
        """Return the information on E², (tilts, bins); of what both hands share alone for hand 0."""
        return self.weight if hand else self.even_weight

    def turning(self, defocus_A: Array) -> Complex:
        """Return ``exp(-i 2 chi)`` of defocus alone, (bins, n)."""
        return np.asarray(np.exp(-1j * self.per_A[:, None] * defocus_A))
