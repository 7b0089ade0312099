"""Find the views that do not belong, those among them that stand in each other's place as a wrong order leaves them."""

from itertools import combinations

import torch
from torch import Tensor

from eucentric.processing.alignment.levels import MIDDLE_FIELD, Levels, State
from eucentric.processing.alignment.matcher import Match, Matcher
from eucentric.processing.alignment.quality import doubted, poorly_predicted, said_of_swapped
from eucentric.processing.operators import backproject, project

_BETTER = 1.3  # times as well predicted in the other's place, both of them: neighbours in tilt are so by a few percent


def find_spoilt(levels: Levels, state: State, match: Match) -> dict[int, str]:
    """Return, by section, why views are to be left out, as a match of all on images of middle size has them."""
    correlation, tilts_deg = match.correlation.cpu().numpy(), levels.tilts_deg[state.views].tolist()
    poor = poorly_predicted(correlation, tilts_deg)
    reasons = {int(state.views[place]): reason for place, reason in poor.items()}
    matcher, factor = levels.matcher(MIDDLE_FIELD, state.depth_px, state.tilt_offset_deg)
    farthest_px = state.max_shift_fraction * matcher.field
    looked_at = doubted(correlation, tilts_deg)
    swapped = swapped_views(matcher, state.axis_deg, state.shifts_px / factor, state.views, looked_at, farthest_px)
    return reasons | {one: said_of_swapped(other, float(levels.tilts_deg[other])) for one, other in swapped.items()}


def swapped_views(
    matcher: Matcher, axis_deg: float, shifts: Tensor, views: Tensor, doubted: list[int], max_move: float
) -> dict[int, int]:
    """Return for each view that stands in another's place, and the other in its, which one that is.

    Each two are taken out of the volume; it has then to predict each of them much better at the other's tilt.

    Parameters
    ----------
    matcher, axis_deg, shifts, views
        As for `steps.refine`.
    doubted
        Places in `views` of those to be tried with each other.
    max_move
        How far in pixels the other's place may be from where the view was put.
    """
    if len(doubted) < 2:
        return {}
    aligned = matcher.aligned(axis_deg, shifts[views], views)
    filtered = matcher.filtered(aligned)
    tilts, width = matcher.tilts_rad[views], filtered.shape[2]
    size = matcher.size(width, tilts)
    volume = backproject(filtered, tilts, size)
    swapped: dict[int, int] = {}
    for pair in combinations(doubted, 2):
        both = torch.tensor(pair)
        predicted = project(volume - backproject(filtered[both], tilts[both], size), tilts[both], width)
        own, other = (
            matcher.match(expected, aligned[both], max_move).correlation.clamp(min=0)
            for expected in (predicted, predicted.flip(0))
        )
        if bool((other > _BETTER * own).all()):
            first, second = views[both].tolist()
            swapped |= {first: second, second: first}
    return swapped
