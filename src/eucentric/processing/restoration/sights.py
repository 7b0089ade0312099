"""How a pair of half tomograms saw its specimen: of frames or counts alike, of tilts each half by its own."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eucentric.processing.restoration.records import HalfTomograms
from eucentric.processing.restoration.transfer import grain, share_in_field, transfer
from eucentric.processing.restoration.turns import Turn

_STEEP = 0.7  # of the largest tilt, from where on the specimen is taken to be as it is beyond it


@dataclass(frozen=True)
class Sight:
    """How a cube saw its specimen, on the frequencies of its `torch.fft.rfftn`.

    Attributes
    ----------
    transfer
        Amplitude that it holds, over that of the best guess at the specimen in the field that it lets one make.
    share
        Of the power that it holds of any specimen, that of the specimen in the field.
    coverage
        The same, up to one, without what tilts let through.
    grain
        Power of the noise, over that of its shell (see `spectra`).
    """

    transfer: Tensor
    share: Tensor
    coverage: Tensor
    grain: Tensor

    def turned(self, turn: Turn) -> "Sight":
        """Return that of the turned cube."""
        return Sight(*(turn.of_spectrum(one) for one in (self.transfer, self.share, self.coverage, self.grain)))


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
    if pair.even_views is None:
        even = odd = both = _sight(pair, side, None, device)
    else:
        even, odd = (_sight(pair, side, counts, device) for counts in pair.counts)
        both = Sight(
            transfer=(even.transfer + odd.transfer) / 2,
            share=share_in_field((side,) * 3, pair.tilts_deg, pair.field_zx, device=device),
            coverage=transfer((side,) * 3, pair.voxel_A, pair.tilts_deg, device=device).clamp(max=1),
            grain=(even.grain + odd.grain) / 2,
        )
    return Sights(even, odd, both, _steep(side, pair.tilts_deg, device) & (both.coverage > 0))


def _sight(pair: HalfTomograms, side: int, counts: Sequence[float] | None, device: torch.device) -> Sight:
    """Return how a half sees that has each view so often; the noise of one with all views is told by shells alone."""
    shape, tilts_deg = (side,) * 3, pair.tilts_deg
    share = share_in_field(shape, tilts_deg, pair.field_zx, counts=counts, device=device)
    alike = torch.ones((), device=device).expand(side, side, side // 2 + 1)
    return Sight(
        transfer=transfer(shape, pair.voxel_A, tilts_deg, pair.gain, counts=counts, device=device) / share,
        share=share,
        coverage=transfer(shape, pair.voxel_A, tilts_deg, counts=counts, device=device).clamp(max=1),
        grain=alike if counts is None else grain(shape, tilts_deg, counts=counts, device=device),
    )


def _steep(side: int, tilts_deg: Sequence[float], device: torch.device) -> Tensor:
    """Return which frequencies (z, y, x) lie among the steepest planes, or beyond them."""
    kz, kx = torch.fft.fftfreq(side, device=device)[:, None], torch.fft.rfftfreq(side, device=device)
    angle_deg = torch.rad2deg(torch.atan2(kz.abs(), kx))
    steep = angle_deg > _STEEP * max(abs(tilt) for tilt in tilts_deg)
    return steep[:, None].expand(-1, side, -1)
