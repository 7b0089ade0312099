"""How a pair of half tomograms saw its specimen: alike if both are of frames, each by its own tilts if of tilts."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eucentric.processing.restoration.records import HalfTomograms
from eucentric.processing.restoration.transfer import grain, transfer
from eucentric.processing.restoration.turns import Turn

_STEEP = 0.7  # of the largest tilt, from where on the specimen is taken to be as it is beyond it


@dataclass(frozen=True)
class Sight:
    """How a cube saw its specimen, on the frequencies of its `torch.fft.rfftn`.

    Attributes
    ----------
    transfer
        Share of the specimen's amplitude that it holds.
    coverage
        The same, up to one, without what tilts let through.
    grain
        Power of the noise, over that of its shell (see `spectra`).
    """

    transfer: Tensor
    coverage: Tensor
    grain: Tensor

    def turned(self, turn: Turn) -> "Sight":
        """Return that of the turned cube."""
        return Sight(*(turn.of_spectrum(one) for one in (self.transfer, self.coverage, self.grain)))


@dataclass(frozen=True)
class Sights:
    """Those of both halves, and of their mean; `steep` is where tilts measured what lies next to what they did not."""

    even: Sight
    odd: Sight
    both: Sight
    steep: Tensor


def sights_of(pair: HalfTomograms, side: int, device: torch.device) -> Sights:
    """Return how cubes of a tomogram see the specimen.

    Halves of frames see it alike, and the power of their noise is told by shells alone. Halves of tilts have the planes
    of their own views, of which each counts twice: where these part, they share neither signal nor noise.
    """
    shape, tilts_deg, voxel_A = (side,) * 3, pair.tilts_deg, pair.voxel_A
    coverage = transfer(shape, voxel_A, tilts_deg, device=device).clamp(max=1)
    steep = _steep(side, tilts_deg, device) & (coverage > 0)
    if pair.even_views is None:
        through = transfer(shape, voxel_A, tilts_deg, pair.gain, device=device)
        alike = Sight(through, coverage, torch.ones((), device=device).expand(shape[0], shape[1], side // 2 + 1))
        return Sights(alike, alike, alike, steep)
    even, odd = (
        Sight(
            transfer(shape, voxel_A, tilts_deg, pair.gain, counts=counts, device=device),
            transfer(shape, voxel_A, tilts_deg, counts=counts, device=device).clamp(max=1),
            grain(shape, tilts_deg, counts=counts, device=device),
        )
        for counts in pair.counts
    )
    both = Sight((even.transfer + odd.transfer) / 2, coverage, (even.grain + odd.grain) / 2)
    return Sights(even, odd, both, steep)


def _steep(side: int, tilts_deg: Sequence[float], device: torch.device) -> Tensor:
    """Return which frequencies (z, y, x) lie among the steepest planes, or beyond them."""
    kz, kx = torch.fft.fftfreq(side, device=device)[:, None], torch.fft.rfftfreq(side, device=device)
    angle_deg = torch.rad2deg(torch.atan2(kz.abs(), kx))
    steep = angle_deg > _STEEP * max(abs(tilt) for tilt in tilts_deg)
    return steep[:, None].expand(-1, side, -1)
