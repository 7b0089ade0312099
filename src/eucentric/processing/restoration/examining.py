"""What a restoration did to a tomogram, and what of it the data support: sums over shells of spatial frequency.

Only a central box of large volumes is looked at, so that a few spectra of it fit into memory. Every spectrum is of a
box with soft edges, for its faces would lay a cross over the missing wedge.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eucentric.core import InputError
from eucentric.processing.restoration.records import Examination, HalfTomograms, Restored
from eucentric.processing.restoration.transfer import share_in_field, transfer

LARGEST_BOX_ZYX = (128, 384, 384)
"""The central part that is examined where the volumes are larger: 0.7 GB at work."""

MEASURED, MISSING = 0.5, 0.01
"""Coverage above which a coefficient was measured, and below which no tilt saw it."""

OFF_PLANE = 3.0
"""Cells from the nearest view's plane from which on a coefficient is missing: soft edges smear power over two."""

FEWEST_CELLS = 20
"""A correlation over fewer independent coefficients is uncertain by more than 0.2."""

THRESHOLD = 0.143
"""Correlation of halves at which their mean is right to 0.5 (Rosenthal & Henderson 2003, 10.1016/j.jmb.2003.07.013)."""

_EDGE = 0.2  # of each side, over which a raised cosine takes the box to nothing: at 0.1 a percent of power spreads far
_MOST_SHELLS = 96
_SIGMAS = 4.0  # above which correlation begins: of a hundred shells of noise alone one exceeds it in three hundred runs

Box = tuple[slice, slice, slice]
Spectrum = NDArray[np.complex64]
Term = Callable[[int], NDArray[np.floating]]
"""Real values of a spectrum's z plane, (y, x)."""


def examine(pair: HalfTomograms, restored: Restored) -> Examination:
    """Return what a restoration did to a tomogram.

    The restored tomogram is laid beside the data as the tilts would have shown it, times the one factor by which both
    agree best, for it may be in units of the specimen. Shells reach from the first that has enough measured
    coefficients to Nyquist; the power of the missing wedge is zero in a shell that has none of it.

    Parameters
    ----------
    pair
        The halves that were restored, y along the tilt axis.
    restored
        What was made of them, of their shape.

    Raises
    ------
    InputError
        If shapes differ, the halves are identical or constant, or no shell has enough measured coefficients.

    References
    ----------
    Harauz & van Heel 1986, Optik 73:146, for the correlation over shells.
    """
    if any(part.shape != pair.shape for part in (pair.odd, restored.full, restored.even, restored.odd)):
        raise InputError(f"{pair.name}: halves and restored volumes differ in shape.", "Restore these halves again.")
    box = _central((slice(None),) * 3, pair.shape)
    plan = _Shells(_shape(box), min(max(_shape(box)) // 2, _MOST_SHELLS), pair)
    even, odd = (plan.spectrum(half[box]) for half in (pair.even, pair.odd))
    of_even, of_odd, cross = plan.sums(plan.shared, _power(even), _power(odd), _cross(even, odd))
    noise = (of_even + of_odd - 2 * cross) / 4
    kept = np.flatnonzero((plan.shared_cells >= FEWEST_CELLS) & (noise > 0))
    if kept.size == 0:
        raise InputError(
            f"{pair.name}: no shell of frequency has enough measured coefficients that differ between the halves.",
            "Give two halves with noise of their own, of at least some 20 voxels a side.",
        )
    mean = (even + odd) / 2
    del even, odd
    full, seen = plan.spectrum(restored.full[box]), plan.spectrum(_as_seen(restored.full[box], pair))
    before, after = plan.sums(plan.measured, _power(mean), _power(full))
    of_mean, of_both, of_seen = plan.sums(plan.shared, _power(mean), _cross(mean, seen), _power(seen))
    missing_before, missing_after = plan.sums(plan.missing, _power(mean), _power(full))
    (everywhere,) = plan.sums(np.ones_like(plan.measured), _power(full))
    del mean, full, seen
    measured, missing = (np.maximum(plan.count(where), 1)[kept] for where in (plan.measured, plan.missing))
    fsc = _correlation(cross, of_even, of_odd, plan.shared_cells)[kept]
    frequency = np.asarray((kept + 0.5) / (2 * plan.number * pair.voxel_A), dtype=np.float64)
    return Examination(
        frequency_1_A=tuple(frequency.tolist()),
        power_before=tuple((before[kept] / measured).tolist()),
        power_after=tuple((after[kept] / measured).tolist()),
        missing_before=tuple((missing_before[kept] / missing).tolist()),
        missing_after=tuple((missing_after[kept] / missing).tolist()),
        misfit=tuple(_misfit(of_mean[kept], of_both[kept], of_seen[kept], noise[kept]).tolist()),
        fsc_before=_given(fsc),
        fsc_after=_given(_of_halves(restored, box, plan)[kept]),
        fsc_unseen=_given(_of_unseen(restored, pair, plan.number)[kept]),
        supported_A=_supported_A(frequency, fsc, plan.shared_cells[kept], pair.voxel_A),
        missing_share=float(missing_after.sum() / max(everywhere.sum(), 1e-30)),
    )


class _Shells:
    """The shells of a box, and which of its coefficients (z, x), for all y alike, were measured or are missing.

    Those that both halves measured (`shared`) are all that were measured, or of halves of tilts those where their
    planes still overlap: there alone they can agree.
    """

    def __init__(self, shape: tuple[int, int, int], number: int, pair: HalfTomograms) -> None:
        self.shape, self.number = shape, number
        coverage = transfer((shape[0], 1, shape[2]), 1.0, pair.tilts_deg)[:, 0].numpy()
        self.measured = coverage > MEASURED
        self.shared = self.measured if pair.even_views is None else _shared(shape, pair)
        self.missing = (coverage < MISSING) & (_off_planes(shape, pair.tilts_deg) >= OFF_PLANE)
        self.windows = [_soft_edge(n) for n in shape]
        share = math.prod(float(np.sum(w**2) ** 2 / (w.size * np.sum(w**4))) for w in self.windows)
        # Independent ones: soft edges tie neighbours together.
        self.cells, self.shared_cells = (self.count(which) * share for which in (self.measured, self.shared))

    def spectrum(self, part: NDArray[Any]) -> Spectrum:
        """Return the half spectrum of a box with its mean taken off and its edges made soft."""
        values = np.array(part, dtype=np.float32)
        values -= values.mean(dtype=np.float64)
        values *= self.windows[0][:, None, None]
        values *= self.windows[1][:, None] * self.windows[2]
        found: Spectrum = torch.fft.rfftn(torch.from_numpy(values)).numpy()
        return found

    def sums(self, where: NDArray[np.bool_], *terms: Term) -> NDArray[np.float64]:
        """Return the sum of each term over the coefficients `where` of each shell, one z plane at a time."""
        depth, rows, columns = self.shape
        kz, ky, kx = np.fft.fftfreq(depth), np.fft.fftfreq(rows), np.fft.rfftfreq(columns)
        mates = np.where((kx == 0) | (kx == 0.5), 1.0, 2.0)  # a real volume's other half
        total = np.zeros((len(terms), self.number + 1))  # the last is beyond Nyquist
        for z, seen in enumerate(where):
            radius = np.sqrt(kz[z] ** 2 + ky[:, None] ** 2 + kx[seen] ** 2)
            shell = np.minimum((radius * 2 * self.number).astype(np.intp), self.number).ravel()
            for one, term in zip(total, terms, strict=True):
                values = mates[seen] * term(z)[:, seen]
                one += np.bincount(shell, weights=values.ravel(), minlength=self.number + 1)
        return total[:, : self.number]

    def count(self, where: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return how many coefficients `where` each shell has."""
        ones = np.ones((self.shape[1], where.shape[1]))
        counted: NDArray[np.float64] = self.sums(where, lambda _: ones)[0]
        return counted


def _power(a: Spectrum) -> Term:
    return lambda z: np.square(a[z].real) + np.square(a[z].imag)


def _cross(a: Spectrum, b: Spectrum) -> Term:
    return lambda z: a[z].real * b[z].real + a[z].imag * b[z].imag


def _misfit(
    data: NDArray[np.float64], cross: NDArray[np.float64], model: NDArray[np.float64], noise: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return what the model leaves of the data, at the best scale, over the noise: all are sums over shells."""
    scale = float((cross / noise).sum() / max((model / noise).sum(), 1e-30))
    return np.asarray(np.maximum(data - 2 * scale * cross + scale**2 * model, 0) / noise)


def _as_seen(part: NDArray[Any], pair: HalfTomograms) -> NDArray[np.float32]:
    """Return a box of the restored tomogram as the tilts would have shown it."""
    volume = torch.from_numpy(np.array(part, dtype=np.float32))
    spectrum = torch.fft.rfftn(volume)
    spectrum *= transfer(volume.shape, pair.voxel_A, pair.tilts_deg, pair.gain)
    spectrum /= share_in_field(volume.shape, pair.tilts_deg, pair.field_zx)
    shown: NDArray[np.float32] = torch.fft.irfftn(spectrum, volume.shape).numpy()
    return shown


def _of_halves(restored: Restored, box: Box, plan: _Shells) -> NDArray[np.float64]:
    """Return the correlation of the halves that were restored apart, NaN in shells with too few coefficients."""
    even, odd = (plan.spectrum(half[box]) for half in (restored.even, restored.odd))
    of_even, of_odd, cross = plan.sums(plan.measured, _power(even), _power(odd), _cross(even, odd))
    return _correlation(cross, of_even, of_odd, plan.cells)


def _of_unseen(restored: Restored, pair: HalfTomograms, number: int) -> NDArray[np.float64]:
    """Return the same, of the part of the volume that the model was not trained on."""
    box = _central(restored.unseen, pair.shape)
    if min(_shape(box)) < 4:
        return np.full(number, np.nan)
    return _of_halves(restored, box, _Shells(_shape(box), number, pair))


def _correlation(
    cross: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64], cells: NDArray[np.float64]
) -> NDArray[np.float64]:
    enough = (cells >= FEWEST_CELLS) & (a > 0) & (b > 0)
    return np.where(enough, cross / np.sqrt(np.where(enough, a * b, 1.0)), np.nan)


def _given(values: NDArray[np.float64]) -> tuple[float | None, ...]:
    return tuple(None if math.isnan(value) else value for value in values.tolist())


def _supported_A(
    frequency: NDArray[np.float64], fsc: NDArray[np.float64], cells: NDArray[np.float64], voxel_A: float
) -> float | None:
    """Return where the correlation falls through the threshold after it has surely been above, interpolated.

    The coarsest shells are few coefficients, of which a CTF lets through little: they may be below before.
    """
    above = np.flatnonzero((fsc >= THRESHOLD) & (fsc > _SIGMAS / np.sqrt(cells)))
    if above.size == 0:
        return None
    below = above[0] + np.flatnonzero(fsc[above[0] :] < THRESHOLD)
    if below.size == 0:
        return 2 * voxel_A
    last, first = int(below[0]) - 1, int(below[0])
    part = (fsc[last] - THRESHOLD) / (fsc[last] - fsc[first])
    return float(1 / (frequency[last] + part * (frequency[first] - frequency[last])))


def _central(part: Box, shape: tuple[int, int, int]) -> Box:
    """Return the central box of a part of a volume, as large as may be examined."""
    sides = []
    for one, n, most in zip(part, shape, LARGEST_BOX_ZYX, strict=True):
        start, stop, _ = one.indices(n)
        size = min(max(stop - start, 0), most)
        first = start + (stop - start) // 2 - size // 2
        sides.append(slice(first, first + size))
    return sides[0], sides[1], sides[2]


def _shape(box: Box) -> tuple[int, int, int]:
    z, y, x = (side.stop - side.start for side in box)
    return z, y, x


def _soft_edge(n: int) -> NDArray[np.float32]:
    """Return a window of ones that falls to zero at either end."""
    depth = (np.minimum(np.arange(n), np.arange(n)[::-1]) + 0.5) / max(_EDGE * n, 0.5)
    return (0.5 - 0.5 * np.cos(np.pi * np.minimum(depth, 1))).astype(np.float32)


def _shared(shape: tuple[int, int, int], pair: HalfTomograms) -> NDArray[np.bool_]:
    """Return which coefficients (z, x) the views of either half measured."""
    found = np.ones((shape[0], shape[2] // 2 + 1), dtype=bool)
    for counts in pair.counts:
        found &= transfer((shape[0], 1, shape[2]), 1.0, pair.tilts_deg, counts=counts)[:, 0].numpy() > MEASURED
    return found


def _off_planes(shape: tuple[int, int, int], tilts_deg: Sequence[float]) -> NDArray[np.float64]:
    """Return how many cells a coefficient lies off the nearest view's plane: (z, x); a cell is one over the extent."""
    depth, _, width = shape
    kz, kx = np.fft.fftfreq(depth)[:, None], np.fft.rfftfreq(width)
    nearest = np.full((depth, kx.size), np.inf)
    for tilt in np.deg2rad(tilts_deg):
        cosine, sine = math.cos(tilt), math.sin(tilt)
        extent = 1 / math.hypot(cosine / depth, sine / width)
        np.minimum(nearest, np.abs(kz * cosine - kx * sine) * extent, out=nearest)
    return nearest
