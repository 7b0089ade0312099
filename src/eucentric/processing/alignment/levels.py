"""The moves of an alignment from coarse images to fine ones, each improving one shared `State`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eucentric.core import Reporter
from eucentric.processing.alignment.matcher import Matcher
from eucentric.processing.alignment.prepare import standardise
from eucentric.processing.alignment.records import AxisSearch
from eucentric.processing.alignment.search import Scores, climb, local_peaks
from eucentric.processing.alignment.steps import Refined, align_outwards, judge, refine
from eucentric.processing.operators import bin_images

COARSE_FIELD, MIDDLE_FIELD, FINE_FIELD = 80, 160, 320  # pixels along the shorter side of each level
_SCAN_STEP_DEG = 10.0  # the score's peak is about 30° wide on coarse images
_DEPTHS = (0.06, 0.1, 0.15, 0.2, 0.25, 0.3, 0.37, 0.45, 0.55)  # shares of the field tried as the specimen's depth


class Levels:
    """The images at each binning, made when asked for."""

    def __init__(self, images: Tensor, tilts_deg: Sequence[float], device: torch.device) -> None:
        self._images = images
        self._tilts_rad = torch.deg2rad(torch.tensor(tilts_deg, dtype=torch.float64))
        self._device = device
        self._binned: dict[int, Tensor] = {}
        self.field = min(images.shape[1:])

    def matcher(self, field: int, depth_px: float) -> tuple[Matcher, int]:
        """Return a matcher whose images have about `field` pixels along their shorter side, and its binning."""
        factor = max(1, round(self.field / field))
        if factor not in self._binned:
            small = torch.stack([bin_images(image, factor) for image in self._images])
            self._binned[factor] = standardise(small).to(self._device)
        return Matcher(self._binned[factor], self._tilts_rad, max(3, round(depth_px / factor))), factor


@dataclass
class State:
    """What is known so far, in units that hold at every level: degrees and full-size pixels.

    `shifts_px` (n, 2) yx; `views` the indices of the views in use; `max_shift_fraction` as in the settings;
    `depth_fixed` where the depth was given.
    """

    axis_deg: float
    depth_px: float
    depth_fixed: bool
    shifts_px: Tensor
    views: Tensor
    max_shift_fraction: float


def scan_axis(levels: Levels, state: State, reporter: Reporter) -> None:
    """Try axes all around on coarse images, and take the best after a closer look at the best few."""
    axes = [float(axis) for axis in np.arange(-90.0, 90.0, _SCAN_STEP_DEG)]
    watched = reporter.each(axes, "Scanning for the tilt axis")
    scores = [_axis_score(levels, state, axis, state.depth_px) for axis in watched]
    closer = []
    for axis in local_peaks(axes, scores, 180.0)[:3]:
        depth_px = best_depth(levels, state, axis)
        for offset in (-0.75, -0.25, 0.25, 0.75):
            near = axis + offset * _SCAN_STEP_DEG
            closer.append((_axis_score(levels, state, near, depth_px), near))
    _, state.axis_deg = max(closer)


def best_depth(levels: Levels, state: State, axis_deg: float) -> float:
    """Return the depth in full-size pixels with which views predict each other best."""
    if state.depth_fixed:
        return state.depth_px
    depths = [share * levels.field for share in _DEPTHS]
    settled = [_settled(levels, state, axis_deg, depth)[1] for depth in depths]
    return max(
        (float(refined.match.correlation.mean()), depth) for refined, depth in zip(settled, depths, strict=True)
    )[1]


def first_pass(levels: Levels, state: State) -> None:
    """Find the depth, align outwards on images of middle size, and find the depth again with that alignment."""
    state.depth_px = best_depth(levels, state, state.axis_deg)
    matcher, factor = levels.matcher(MIDDLE_FIELD, state.depth_px)
    move = state.max_shift_fraction * matcher.field
    state.shifts_px = align_outwards(matcher, state.axis_deg, state.views, move) * factor
    if state.depth_fixed:
        return

    def score(log_depth: float) -> Scores:
        trial, _ = levels.matcher(MIDDLE_FIELD, math.exp(log_depth))
        start = state.shifts_px / factor
        return refine(trial, state.axis_deg, start, state.views, rounds=3, learn=False).match.correlation.cpu().numpy()

    state.depth_px = math.exp(climb(score, math.log(state.depth_px), 0.2, 0.1).best)


def climb_axis(
    levels: Levels, state: State, field: int, step_deg: float, smallest_deg: float, reporter: Reporter
) -> AxisSearch:
    """Move the axis to the nearest peak of the held-out correlation, realigning at every place tried."""
    matcher, factor = levels.matcher(field, state.depth_px)
    learnt = refine(matcher, state.axis_deg, state.shifts_px / factor, state.views, rounds=2)

    with reporter.task(f"Refining the tilt axis ({field} px)", 9) as advance:

        def score(axis_deg: float) -> Scores:
            refined = refine(matcher, axis_deg, learnt.shifts, state.views, rounds=2, learn=False)
            advance()
            return judge(matcher, axis_deg, refined.shifts, state.views).numpy()

        peak = climb(score, state.axis_deg, step_deg, smallest_deg)
    state.axis_deg = peak.best
    state.shifts_px = learnt.shifts * factor
    return AxisSearch(
        axes_deg=tuple(place for place, _ in peak.tried),
        scores=tuple(value for _, value in peak.tried),
        best_deg=peak.best,
        uncertainty_deg=peak.uncertainty,
    )


def refine_level(levels: Levels, state: State, field: int, rounds: int, reporter: Reporter) -> tuple[Refined, int]:
    """Refine all views on images of one size; return the evidence and the level's binning."""
    matcher, factor = levels.matcher(field, state.depth_px)
    with reporter.task(f"Refining shifts ({field} px)", rounds) as advance:
        refined = refine(
            matcher, state.axis_deg, state.shifts_px / factor, state.views, rounds=rounds, each_round=advance
        )
    state.shifts_px = refined.shifts * factor
    return refined, factor


def _settled(levels: Levels, state: State, axis_deg: float, depth_px: float) -> tuple[Matcher, Refined]:
    """Align outwards on coarse images and settle for two rounds.

    The weights of frequencies stay as they are at first, so that scores at all axes and depths compare.
    """
    matcher, _ = levels.matcher(COARSE_FIELD, depth_px)
    shifts = align_outwards(matcher, axis_deg, state.views, state.max_shift_fraction * matcher.field)
    return matcher, refine(matcher, axis_deg, shifts, state.views, rounds=2, learn=False)


def _axis_score(levels: Levels, state: State, axis_deg: float, depth_px: float) -> float:
    matcher, refined = _settled(levels, state, axis_deg, depth_px)
    return float(judge(matcher, axis_deg, refined.shifts, state.views).mean())
