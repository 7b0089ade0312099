"""The moves of an alignment from coarse images to fine ones, each improving one shared `State`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.core import Alignment, LocalMotion, Reporter, TiltAlignment
from eucentric.core.threads import in_threads
from eucentric.processing.alignment.local import fit_local
from eucentric.processing.alignment.matcher import Match, Matcher, turn_matrix
from eucentric.processing.alignment.pairs import scan_pairs, within_90
from eucentric.processing.alignment.pieces import Pieces, measure_pieces
from eucentric.processing.alignment.prepare import standardise
from eucentric.processing.alignment.records import AxisSearch
from eucentric.processing.alignment.search import Scores, climb
from eucentric.processing.alignment.steps import (
    align_outwards,
    judge,
    match_others,
    refine,
)
from eucentric.processing.operators import bin_images
from eucentric.processing.stillness import still

COARSE_FIELD, MIDDLE_FIELD, FINE_FIELD = 80, 160, 320  # pixels along the shorter side of each level
_MOVES = ("height", "offset", "tilt", "depth")  # of the slab
_DEPTHS = (0.12, 0.35, 0.8)  # shares of the field that the search for the depth of the specimen begins with
_DOUBTFUL = 0.5  # share of the best candidate's height from which on another axis is looked at
# Views held out together where the axis is judged: far ones know it best, near ones from the beginning.
NEAR_BLOCK, FAR_BLOCK, FARTHEST_BLOCK = 5, 11, 21
_LOCAL_ROUNDS = 3  # of finding what is left of local motion and taking it out
_NEAR_DEG = 8.0  # from the nominal axis to what pairs find: their error


class Levels:
    """The images at each binning, made when asked for."""

    def __init__(self, images: Tensor, tilts_deg: Sequence[float], device: torch.device) -> None:
        self._images = images
        self.tilts_deg = torch.tensor(tilts_deg, dtype=torch.float64)
        self._device = device
        self._binned: dict[int, Tensor] = {}
        self._matchers: dict[int, Matcher] = {}
        self._alignment: Alignment | None = None
        rows, columns = images.shape[1:]
        self.shape_yx = rows, columns
        self.field = min(rows, columns)

    def take_out(self, alignment: Alignment) -> None:
        """From now on, let images be without the local motion of an alignment."""
        self._alignment = alignment
        self._matchers.clear()

    def matcher(
        self, field: int, depth_px: float, tilt_offset_deg: float, height_px: float = 0.0, across_px: float = 0.0
    ) -> tuple[Matcher, int]:
        """Return a matcher whose images have about `field` pixels along their shorter side, and its binning.

        It predicts views from a slab of `depth_px` that lies flat at the stage tilt ``-tilt_offset_deg``, at a height
        and `across_px` across the axis from where it is taken to be.
        """
        factor = max(1, round(self.field / field))
        if factor not in self._matchers:
            self._matchers[factor] = Matcher(self._level(factor))
        tilts_rad = torch.deg2rad(self.tilts_deg + tilt_offset_deg)
        depth = max(3, round(depth_px / factor))
        return self._matchers[factor].with_slab(tilts_rad, depth, height_px / factor, across_px / factor), factor

    def _level(self, factor: int) -> Tensor:
        if factor not in self._binned:
            small = torch.stack(in_threads(lambda image: bin_images(image, factor), list(self._images)))
            self._binned[factor] = standardise(small).to(self._device)
        images = self._binned[factor]
        if self._alignment is None:
            return images
        return torch.stack([still(image, self._alignment, section) for section, image in enumerate(images)])


@dataclass
class State:
    """What is known so far, in units that hold at every level: degrees and full-size pixels.

    `shifts_px` (n, 2) yx; `views` the indices of the views in use; `max_shift_fraction` as in the settings;
    `depth_fixed` where the depth was given; `tilt_offset_deg` what is added to every stage tilt so that the specimen
    lies flat at 0°.
    """

    axis_deg: float
    depth_px: float
    depth_fixed: bool
    tilt_offset_deg: float
    shifts_px: Tensor
    views: Tensor
    max_shift_fraction: float


@dataclass(frozen=True)
class Seen:
    """What the images are, besides their pixels; `reasons` why sections are left out."""

    pixel_A: float
    shape_yx: tuple[int, int]
    tilts_deg: tuple[float, ...]
    reasons: dict[int, str]

    def alignment(self, state: State, local: LocalMotion | None) -> Alignment:
        """Return what is known as an alignment."""
        return Alignment(
            pixel_A=self.pixel_A,
            shape_yx=self.shape_yx,
            tilts=tuple(
                TiltAlignment(
                    section=section,
                    tilt_deg=tilt_deg + state.tilt_offset_deg,
                    axis_deg=state.axis_deg,
                    shift_yx_A=(float(y) * self.pixel_A, float(x) * self.pixel_A),
                    used=section not in self.reasons,
                    reason=self.reasons.get(section, ""),
                )
                for section, (tilt_deg, (y, x)) in enumerate(zip(self.tilts_deg, state.shifts_px, strict=True))
            ),
            local=local,
        )


def find_axis(levels: Levels, state: State, nominal_deg: float | None, reporter: Reporter) -> None:
    """Look for the axis all around: pairs of views name candidates, and where they leave a doubt, volumes decide.

    The nominal axis is a candidate too, unless pairs have found the axis close to it.
    """
    matcher, _ = levels.matcher(COARSE_FIELD, state.depth_px, state.tilt_offset_deg)
    found = scan_pairs(matcher, state.views, state.max_shift_fraction * matcher.field, reporter)
    candidates = [axis for axis, height in found if height > _DOUBTFUL][:3]
    if nominal_deg is not None and not any(abs(within_90(axis - nominal_deg)) < _NEAR_DEG for axis in candidates[:1]):
        candidates.append(nominal_deg)
    if len(candidates) > 1:
        scores = [_axis_scores(levels, state, axis).mean() for axis in reporter.each(candidates, "Trying tilt axes")]
        candidates = [candidates[int(np.argmax(scores))]]
    if candidates:
        state.axis_deg = climb(lambda axis: _axis_scores(levels, state, axis), candidates[0], 4.0, 4.0).best


def first_pass(levels: Levels, state: State) -> None:
    """Find how the specimen lies on coarse images, and align outwards on images of middle size."""
    depths_px = [state.depth_px] if state.depth_fixed else [share * levels.field for share in _DEPTHS]
    trials = [_begun_with(levels, state, depth_px) for depth_px in depths_px]
    best = max(trials, key=lambda trial: float(_agreement(levels, trial, COARSE_FIELD, _Slab.of(trial)).mean()))
    state.depth_px, state.shifts_px = best.depth_px, best.shifts_px
    for step in (4.0, 2.0):
        settle_slab(levels, state, COARSE_FIELD, step)
        _refine_coarse(levels, state)
    matcher, factor = levels.matcher(MIDDLE_FIELD, state.depth_px, state.tilt_offset_deg)
    move = state.max_shift_fraction * matcher.field
    state.shifts_px = align_outwards(matcher, state.axis_deg, state.views, move) * factor
    settle_slab(levels, state, COARSE_FIELD, 4.0, 2.0)


def _begun_with(levels: Levels, state: State, depth_px: float) -> State:
    """Return what coarse images say if one begins with this depth.

    Shifts take up the parallax of what lies outside the slab, so that it looks as if nothing did: a depth that is too
    small cannot be thickened out of it, and each has to make shifts of its own before they compare.
    """
    trial = replace(state, depth_px=depth_px)
    matcher, factor = levels.matcher(COARSE_FIELD, depth_px, trial.tilt_offset_deg)
    move = trial.max_shift_fraction * matcher.field
    trial.shifts_px = align_outwards(matcher, trial.axis_deg, trial.views, move) * factor
    _refine_coarse(levels, trial)
    return trial


def _refine_coarse(levels: Levels, state: State) -> None:
    """Refine for two rounds, with the weights of frequencies as they were, so that scores compare."""
    matcher, factor = levels.matcher(COARSE_FIELD, state.depth_px, state.tilt_offset_deg)
    shifts = state.shifts_px / factor
    state.shifts_px = refine(matcher, state.axis_deg, shifts, state.views, rounds=2, learn=False).shifts * factor


@dataclass(frozen=True)
class _Slab:
    """Where the slab lies, and how, that views are predicted from: full-size pixels and degrees."""

    depth_px: float
    tilt_offset_deg: float
    height_px: float = 0.0
    across_px: float = 0.0

    @classmethod
    def of(cls, state: State) -> "_Slab":
        return cls(state.depth_px, state.tilt_offset_deg)


def _agreement(levels: Levels, state: State, field: int, slab: _Slab) -> Scores:
    """Return how well each view, where it is, agrees with its prediction from all others through a slab.

    Not from views far off only: through a slab as thick as the specimen these tell of each other little but membranes
    that are edge-on, and the thinner the slab, the more they seem to tell (measured: a lamella of 1100 Å in a field of
    1400 Å comes out 90 Å thick and 50 pixels wrong).
    """
    matcher, factor = levels.matcher(field, slab.depth_px, slab.tilt_offset_deg, slab.height_px, slab.across_px)
    aligned = matcher.aligned(state.axis_deg, state.shifts_px[state.views] / factor, state.views)
    predicted = matcher.predict_from_others(matcher.filtered(aligned), state.views)
    return matcher.agreement(predicted, aligned).cpu().numpy()


def settle_slab(levels: Levels, state: State, field: int, *steps: float, moves: Sequence[str] = _MOVES) -> None:
    """Move, turn and thicken the slab that views are predicted from to where views agree best without moving.

    Its height and tilt, and all views together across the axis, are what a view that moves to fit its neighbours cannot
    tell, and what rounds of refinement leave as the pass outwards has made them. A specimen that lies beside the
    slab's middle is predicted in part, and a curved membrane, seen where it is edge-on, slides along; from nearby tilts
    both look like a specimen that lies elsewhere. The thinner the slab, the more views tell of each other, until it no
    longer holds the specimen. While the slab is tried elsewhere, images stay: views are moved to it at the end.

    Parameters
    ----------
    levels, state
        Images, and what is known.
    field
        Of the level to judge on.
    steps
        Distances between places tried, in turn: hundredths of the field, degrees, and twentieths of the depth.
    moves
        Which of height, offset across the axis, tilt and depth are tried.
    """

    def moved(slab: _Slab, name: str, by: float) -> _Slab:
        if name == "height":
            return replace(slab, height_px=slab.height_px + by * levels.field / 100)
        if name == "offset":
            return replace(slab, across_px=slab.across_px + by * levels.field / 100)
        if name == "tilt":
            return replace(slab, tilt_offset_deg=slab.tilt_offset_deg + by)
        return replace(slab, depth_px=slab.depth_px * math.exp(by / 20))

    def score(slab: _Slab, name: str, by: float) -> Scores:
        return _agreement(levels, state, field, moved(slab, name, by))

    slab = _Slab.of(state)
    for step in steps:
        for name in moves:
            if name == "depth" and state.depth_fixed:
                continue
            slab = moved(slab, name, climb(partial(score, slab, name), 0.0, step, step).best)
    state.depth_px, state.tilt_offset_deg = slab.depth_px, slab.tilt_offset_deg
    sin = torch.sin(torch.deg2rad(levels.tilts_deg[state.views] + state.tilt_offset_deg))
    seen_px = slab.height_px * sin + slab.across_px
    state.shifts_px = state.shifts_px.clone()
    state.shifts_px[state.views] += seen_px[:, None] * turn_matrix(state.axis_deg)[:, 1]


def climb_axis(
    levels: Levels,
    state: State,
    field: int,
    step_deg: float,
    smallest_deg: float,
    block_views: int,
    reporter: Reporter,
) -> AxisSearch:
    """Move the axis to the nearest peak of the correlation with `block_views` held out, realigning at every place."""
    matcher, factor = levels.matcher(field, state.depth_px, state.tilt_offset_deg)
    learnt = refine(matcher, state.axis_deg, state.shifts_px / factor, state.views, rounds=2)

    with reporter.task(f"Refining the tilt axis ({field} px)", 5) as advance:

        def score(axis_deg: float) -> Scores:
            refined = refine(matcher, axis_deg, learnt.shifts, state.views, rounds=1, learn=False)
            advance()
            return judge(matcher, axis_deg, refined.shifts, state.views, block_views).numpy()

        peak = climb(score, state.axis_deg, step_deg, smallest_deg)
    state.axis_deg = peak.best
    state.shifts_px = learnt.shifts * factor
    return AxisSearch(
        axes_deg=tuple(place for place, _ in peak.tried),
        scores=tuple(value for _, value in peak.tried),
        best_deg=peak.best,
        uncertainty_deg=peak.uncertainty,
    )


def refine_level(levels: Levels, state: State, field: int, rounds: int, reporter: Reporter) -> tuple[float, ...]:
    """Refine all views on images of one size; return how far they moved in each round (rms), in full-size pixels."""
    matcher, factor = levels.matcher(field, state.depth_px, state.tilt_offset_deg)
    with reporter.task(f"Refining shifts ({field} px)", rounds) as advance:
        refined = refine(
            matcher, state.axis_deg, state.shifts_px / factor, state.views, rounds=rounds, each_round=advance
        )
    state.shifts_px = refined.shifts * factor
    return tuple(change * factor for change in refined.rounds_rms)


def match_level(levels: Levels, state: State, field: int) -> tuple[Match, int]:
    """Match all views with their predictions on images of one size; return that, and the level's binning."""
    matcher, factor = levels.matcher(field, state.depth_px, state.tilt_offset_deg)
    return match_others(matcher, state.axis_deg, state.shifts_px / factor, state.views), factor


def settle_local(
    levels: Levels, state: State, seen: Seen, exposures_e_A2: NDArray[np.float64], reporter: Reporter
) -> LocalMotion | None:
    """Find the specimen's local motion, and take it out of the images, if held-out pieces of views gain by it."""
    local: LocalMotion | None = None
    still_ones: Pieces | None = None
    with reporter.task("Looking for local motion", _LOCAL_ROUNDS) as advance:
        for _ in range(_LOCAL_ROUNDS):
            matcher, factor = levels.matcher(FINE_FIELD, state.depth_px, state.tilt_offset_deg)
            refined = refine(matcher, state.axis_deg, state.shifts_px / factor, state.views, rounds=2)
            state.shifts_px = refined.shifts * factor
            aligned = matcher.aligned(state.axis_deg, refined.shifts[state.views], state.views)
            pieces = measure_pieces(matcher, aligned, state.views)
            # The specimen's shape decides what it says when still, and that hardly changes from round to round.
            still_ones = still_ones or measure_pieces(matcher, matcher.projected(aligned, state.views), state.views)
            known = seen.alignment(state, local)
            local = fit_local(
                pieces.less(still_ones), known, exposures_e_A2, state.views.numpy(), seen.pixel_A * factor
            )
            advance()
            if local is None:
                return None
            levels.take_out(known.replace(local=local))
    return local


def _axis_scores(levels: Levels, state: State, axis_deg: float) -> Scores:
    """Align outwards on coarse images with this axis, settle for two rounds, and judge.

    The weights of frequencies stay as they are at first, so that scores at all axes compare.
    """
    matcher, _ = levels.matcher(COARSE_FIELD, state.depth_px, state.tilt_offset_deg)
    shifts = align_outwards(matcher, axis_deg, state.views, state.max_shift_fraction * matcher.field)
    shifts = refine(matcher, axis_deg, shifts, state.views, rounds=2, learn=False).shifts
    return judge(matcher, axis_deg, shifts, state.views, NEAR_BLOCK).numpy()
