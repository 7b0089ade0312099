"""Power spectra of specimen and noise, from the halves themselves, and the filters that follow from them.

Halves share the specimen and not the noise: where both measured, their cross-spectrum is ``T U s S``, and their own
power ``T² s S + g N`` and ``U² s S + h N``, with the transfers T and U, the specimen's power S, the share s of it that
can be told from what lies beyond the field, the power N of a half's noise (as a mean over a shell of spatial frequency)
and its grain g and h. What an estimate needs, and what is known of a frequency, are written with these.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from eucentric.processing.restoration.sights import Sight, Sights

TICKS = 65
"""Curves are given at so many frequencies, evenly from 0 to Nyquist; corners of the cube have the last one's."""

_SEEN = 0.5  # of the coverage that a frequency must have to count as measured
_FLOOR = 1e-6  # of the strongest power: what a spectrum is taken to be at least
_LEAST_TRANSFER = 1e-2
_FEW = 6  # ticks each way, over which steep directions are compared with all
_LEAST_SHARE = 0.1  # of the specimen's power, that there is at least where no tilt measured
_NOT_SEEN = 1e-3  # transfer below which a coefficient says nothing


@dataclass(frozen=True)
class Spectra:
    """Mean power of the specimen and of a half's noise in a coefficient, over the voxels of the block; (`TICKS`,).

    `unseen` is that of the specimen where no tilt measured, as it is next to it: flat things have less power there.
    """

    specimen: Tensor
    noise: Tensor
    unseen: Tensor

    def on(self, side: int) -> tuple[Tensor, Tensor]:
        """Return both on the frequencies of a cube's `torch.fft.rfftn`."""
        return _read_off(self.specimen, side), _read_off(self.noise, side)

    def unseen_on(self, side: int) -> Tensor:
        """Return the power of what no tilt measured, on these frequencies."""
        return _read_off(self.unseen, side)

    def noise_of(self, sight: Sight, halves: int = 1) -> Tensor:
        """Return the power of the noise in each coefficient of one half, or of the mean of two."""
        return self.on(sight.transfer.shape[0])[1] * sight.grain / halves

    def told(self, sight: Sight) -> Tensor:
        """Return the power of the specimen in the field that could be told if there were no noise."""
        return sight.share * self.on(sight.transfer.shape[0])[0]

    def wiener(self, sight: Sight, halves: int = 1) -> Tensor:
        """Return the filter that makes the best linear estimate of the specimen from one half, or the mean of two."""
        told = self.told(sight)
        return sight.transfer * told / (sight.transfer**2 * told + self.noise_of(sight, halves))

    def error_filter(self, sight: Sight) -> Tensor:
        """Return what residuals are multiplied by: the error they mean in the specimen, where not noise alone."""
        told = self.told(sight)
        wanted = torch.sqrt(told / (sight.transfer**2 * told + self.noise_of(sight)))
        return torch.where(sight.transfer > _NOT_SEEN, wanted, torch.zeros_like(wanted))


def _read_off(curve: Tensor, side: int) -> Tensor:
    place = radius(side, curve.device) * (2 * (TICKS - 1))
    below = torch.clamp(place.long(), max=TICKS - 2)
    return torch.lerp(curve[below], curve[below + 1], torch.clamp(place - below, max=1))


def radius(side: int, device: torch.device | None = None) -> Tensor:
    """Return the spatial frequency of each cell of a cube's half spectrum, in cycles per voxel."""
    k, half = torch.fft.fftfreq(side, device=device), torch.fft.rfftfreq(side, device=device)
    return torch.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + half**2)


def shells(side: int, device: torch.device | None = None) -> Tensor:
    """Return the shell, of `TICKS`, that each cell of a cube's half spectrum belongs to."""
    return torch.clamp((radius(side, device) * (2 * (TICKS - 1))).round().long(), max=TICKS - 1)


def whole_mean(half: Tensor) -> Tensor:
    """Return the mean over a cube's whole spectrum of what is the same at k and -k."""
    n = half.shape[0]
    twice = torch.full((n // 2 + 1,), 2.0, device=half.device)
    twice[0] = twice[-1] = 1
    return (half * twice).sum() / n**3


def measure(halves: Sequence[tuple[Tensor, Tensor]], sights: Sights) -> Spectra:
    """Measure the spectra of blocks.

    Parameters
    ----------
    halves
        Spectra (`torch.fft.rfftn`) of even and odd halves of blocks of one size.
    sights
        How these blocks saw the specimen.
    """
    even, odd = sights.even, sights.odd
    side = even.transfer.shape[0]
    shell = shells(side, even.transfer.device).flatten()
    voxels = len(halves) * side**3
    shared = ((even.coverage > _SEEN) & (odd.coverage > _SEEN)).float()

    def summed(values: Tensor, ticks: int = math.ceil(2 * (TICKS - 1) / side)) -> Tensor:
        sums = _sums(shell, values.flatten())
        sums[0] = 0  # means were taken off
        return _blurred(sums, ticks)

    crossed = shared * _added((a * b.conj()).real for a, b in halves) / voxels
    through = sights.both.share * even.transfer * odd.transfer
    cross, passed, cells = summed(crossed), summed(shared * through), summed(shared)
    specimen = _positive(cross / torch.maximum(passed, _LEAST_TRANSFER**2 * cells).clamp(min=1e-9))
    noise, grain = torch.zeros_like(cells), torch.zeros_like(cells)
    for sight, own in zip((even, odd), zip(*halves, strict=True), strict=True):
        seen = (sight.coverage > _SEEN).float()
        power = summed(seen * _added(one.abs() ** 2 for one in own)) / voxels
        noise += power - specimen * summed(seen * sight.share * sight.transfer**2)
        grain += summed(seen * sight.grain)
    expected = specimen[shell].reshape(through.shape) * shared * through
    found, usual = (summed(sights.steep * cells, _FEW) for cells in (crossed, expected))
    unseen = specimen * (found / usual.clamp(min=1e-9)).clamp(_LEAST_SHARE, 1)
    return Spectra(specimen, _positive(noise / grain.clamp(min=1e-3)), unseen)


def _added(cubes: Iterable[Tensor]) -> Tensor:
    return reduce(torch.add, cubes)


def _sums(shell: Tensor, values: Tensor) -> Tensor:
    return torch.zeros(TICKS, device=values.device).index_add_(0, shell, values)


def _blurred(sums: Tensor, reach: int) -> Tensor:
    """Return sums over shells with those of so many neighbours; one cell of the block's spectrum reaches some."""
    weights = 1 - torch.arange(-reach, reach + 1, device=sums.device).abs() / (reach + 1)
    blurred: Tensor = torch.nn.functional.conv1d(sums[None, None], weights[None, None], padding=reach)[0, 0]
    return blurred


def _positive(curve: Tensor) -> Tensor:
    return curve.clamp(min=_FLOOR * float(curve.max()))
