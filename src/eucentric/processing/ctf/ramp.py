"""How large pixels are, from the ramp of defocus over tilted images: no object of known size is needed.

Let pixels be said to be s times as large as they are. Rings then fit a defocus s² too large, and places seem s times as
far away: over a plane tilted by a, defocus changes with the place by ``s hand tan a`` instead of ``hand tan a``. So the
ramp's sign is the hand, and its size how far the pixel size is off. Here the ramp is scaled until it fits.

The tilt angle stands in the ramp as well: a specimen that lies some degrees off its stage angle adds nothing to first
order where both directions of tilt are used, and spherical aberration, which scales otherwise, is small at the detail
used here. What remains, with the specimen's own unevenness, is some percent: `_FLOOR`.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.core import SILENT, Reporter
from eucentric.optics import Lens, wavelength_A
from eucentric.processing.ctf.field_tiles import without_fine_detail
from eucentric.processing.ctf.records import RampVerdict
from eucentric.processing.ctf.series_evidence import SeriesEvidence, tilt_evidence
from eucentric.processing.ctf.series_fit import SeriesFit, SeriesState
from eucentric.processing.ctf.tilted import RingGrid, field_rings

Array = NDArray[np.float64]

_TILTS = 10  # as many as keep the cost near that of the fit itself
_TELLING_DEG = (20.0, 61.0)  # below, the ramp is too shallow to be measured; beyond, rings are too weak
_FEWEST_TILTS = 4
_DETAIL_A = (30.0, 8.0)
_DEFOCUS_A = (2000.0, 160_000.0)  # pixels said twice too large make 4 µm of it four times that
_IMPOSSIBLE_A = (230_000.0, 330_000.0)
_STEP_A = 300.0
_NYQUIST_SHARE = 0.95
_LEAST_RANGE = 1.25  # of frequency, from the coarsest to the finest detail
_REACH, _STEPS = math.log(2.2), 3  # from .45 to 2.2: a binning forgotten, or done twice
_NEAR = 0.1  # steps of the logarithm about the best
_APART = 0.25  # of the logarithm: another answer
_SHRINK = 4.0  # of evidence, as for the hand: neighbouring frequencies and tilts are no independent witnesses
_FLOOR = 0.01  # what tilt angles and uneven specimens leave


def weigh_ramp(
    image: Callable[[int], Tensor],
    pixel_A: float,
    tilts_deg: Sequence[float],
    axis_deg: float,
    lens: Lens,
    *,
    device: torch.device | None = None,
    reporter: Reporter = SILENT,
) -> RampVerdict | None:
    """Return how large the ramp of defocus is, against that of pixels of this size; None where no image can tell.

    Parameters
    ----------
    image
        Gives that of a section, (y, x), as recorded: not weighted by exposure.
    pixel_A
        Pixel size as it is said to be.
    tilts_deg, axis_deg
        Of the specimen, by section; geometry as decision 0001 has it.
    lens
        Beam and lens.
    device
        Where spectra are computed; the images' own if absent.
    reporter
        Where progress goes.
    """
    tilts = np.asarray(tilts_deg, dtype=float)
    sections = _telling(tilts)
    finest = max(_DETAIL_A[1], 2 * pixel_A / _NYQUIST_SHARE)
    if len(sections) < _FEWEST_TILTS or finest * _LEAST_RANGE > _DETAIL_A[0]:
        return None
    grid = RingGrid.spanning(_DETAIL_A[0], finest, _DEFOCUS_A[1], wavelength_A(lens.voltage_kV))
    images = {at: image(at).to(device=device, dtype=torch.float32) for at in sections}
    images = {at: one for at, one in images.items() if bool(torch.isfinite(one).all()) and float(one.std()) > 0}
    if len(images) < _FEWEST_TILTS:
        return None
    small = [without_fine_detail(one, pixel_A, finest) for one in images.values()]
    ramp = _Ramp(small, tilts[list(images)], axis_deg, lens, grid)
    coarse = np.linspace(-_REACH, _REACH, 2 * _STEPS + 1)
    states = []
    with reporter.task("Ramp of defocus", len(coarse) + 5) as step:
        for log_factor in coarse:
            states.append(ramp.solved(float(log_factor)))
            step()
        heights = np.array([state.log_evidence for state in states])
        at = int(np.argmax(heights))
        near = coarse[at] + _NEAR * np.arange(-2, 3)
        found = []
        for log_factor in near:
            found.append(ramp.again(float(log_factor), states[at]))
            step()
    return _verdict(coarse, heights, near, np.array(found), states[at].hand)


def _telling(tilts_deg: Array) -> list[int]:
    """Return the sections that tell of the ramp, evenly over their tilts."""
    low, high = _TELLING_DEG
    some = [int(at) for at in np.argsort(tilts_deg) if low <= abs(tilts_deg[at]) <= high]
    if len(some) > _TILTS:
        some = [some[round(place)] for place in np.linspace(0, len(some) - 1, _TILTS)]
    return sorted(some)


class _Ramp:
    """Images whose rings are brought together along ramps of any size."""

    def __init__(
        self, images: Sequence[tuple[Tensor, float]], tilts_deg: Array, axis_deg: float, lens: Lens, grid: RingGrid
    ) -> None:
        self._images, self._tilts_deg, self._axis_deg, self._lens, self._grid = images, tilts_deg, axis_deg, lens, grid
        self._defocus_A = np.arange(*_DEFOCUS_A, _STEP_A)
        self._fits: dict[float, SeriesFit] = {}

    def _fit(self, log_factor: float) -> SeriesFit:
        if log_factor not in self._fits:
            self._fits[log_factor] = self._summed(log_factor)
        return self._fits[log_factor]

    def _summed(self, log_factor: float) -> SeriesFit:
        tilts = []
        for (image, pixel_A), tilt in zip(self._images, self._tilts_deg, strict=True):
            slope_deg = math.degrees(math.atan(math.exp(log_factor) * math.tan(math.radians(tilt))))
            rings = field_rings(image, pixel_A, slope_deg, self._axis_deg, self._lens.voltage_kV, self._grid)
            tilts.append(tilt_evidence(rings, self._grid))
        evidence = SeriesEvidence(tilts, self._grid, self._lens, impossible_A=_IMPOSSIBLE_A)
        return SeriesFit(evidence, self._tilts_deg, None, None, self._defocus_A)

    def solved(self, log_factor: float) -> SeriesState:
        """Return the likeliest state for a size of the ramp, and either hand."""
        fit = self._fit(log_factor)
        prior, phase_rad = fit.start()
        return max((fit.solve(hand, prior, phase_rad) for hand in (1, -1)), key=lambda state: state.log_evidence)

    def again(self, log_factor: float, state: SeriesState) -> float:
        """Return the log evidence for a size near one that was solved for, with rings as deep as there."""
        return self._fit(log_factor).solve(state.hand, state.prior, state.shift_rad, like=state).log_evidence


def _verdict(coarse: Array, heights: Array, near: Array, found: Array, hand: int) -> RampVerdict | None:
    """Return the top of the parabola through the evidence near the best; None where that is no top."""
    bend, slope, _ = np.polyfit(near - near[2], found / _SHRINK, 2)
    if bend >= 0 or abs(slope / (2 * bend)) > 3 * _NEAR:
        return None
    top = float(near[2] - slope / (2 * bend))
    others = heights[np.abs(coarse - top) > _APART]
    sigma = math.hypot(1 / math.sqrt(-2 * bend), _FLOOR)
    return RampVerdict(
        factor=math.exp(top),
        sigma=sigma,
        log_odds=float(heights.max() - others.max()) / _SHRINK,
        hand=1 if hand == 1 else -1,
    )
