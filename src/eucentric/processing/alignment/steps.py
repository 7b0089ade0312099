"""The steps of an alignment at one level: the first pass outwards from the untilted view, and the refining rounds."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from eucentric.processing.alignment.faster import Anderson
from eucentric.processing.alignment.matcher import Match, Matcher, turn_matrix

_NEIGHBOURS = 8  # aligned views that predict the next one: more add views too far in angle to overlap
_LOCAL_MOVE = 0.1  # share of the field that a view may move in one refining round
_TRUSTED = 0.3  # a view predicted this much worse than those before it says nothing about its neighbours
_LEARNING_ROUNDS = 2  # rounds after which the coherence, and with it the weights, no longer change
_STILL_PX = 0.001  # rms of a round after which no other follows: the next ones only add what predictions are wrong by


@dataclass(frozen=True)
class Refined:
    """Shifts (n, 2) in pixels of the level, and the rms change of each round in pixels."""

    shifts: Tensor
    rounds_rms: tuple[float, ...]


def align_outwards(matcher: Matcher, axis_deg: float, views: Tensor, max_move: float) -> Tensor:
    """Align view after view, from the untilted one outwards, each against the volume of those already aligned.

    Starting each view at its nearest neighbour's shift and predicting it through a volume carries every
    stretch along; with a dose-symmetric scheme this is also the order of acquisition. A view that its
    neighbours predict far worse than usual does not serve as anyone's neighbour.

    Parameters
    ----------
    matcher
        The level's images.
    axis_deg
        Tilt-axis angle.
    views
        Indices of the views to align, in any order.
    max_move
        Largest shift in pixels from one view to the next.

    Returns
    -------
    Tensor
        Shifts (n, 2) in pixels; zero for the least tilted view and for views not asked for.
    """
    tilts = matcher.tilts_rad
    order = views[tilts[views].abs().argsort(stable=True)]
    shifts = torch.zeros((matcher.n, 2), dtype=torch.float64)
    turn = turn_matrix(axis_deg)
    filtered = torch.empty((matcher.n, *matcher.shape(axis_deg)), device=matcher.coefficients.device)
    trusted: list[int] = []
    correlations: list[float] = []
    for view in order:
        this = view[None]
        if trusted:
            known = torch.tensor(trusted)
            nearest = known[(tilts[known] - tilts[view]).abs().argsort(stable=True)][:_NEIGHBOURS]
            shifts[view] = shifts[nearest[0]]
            predicted = matcher.predict(filtered[nearest], nearest, this)
            # Twice: what two images far apart have in common lies off the windows' middle, which draws the match to it.
            for farthest in (max_move, _LOCAL_MOVE * matcher.field):
                match = matcher.match(predicted, matcher.aligned(axis_deg, shifts[this], this), farthest)
                shifts[view] += turn @ match.move_vu[0].cpu()
            correlation = float(match.correlation[0])
            if correlations and correlation < _TRUSTED * median(correlations[-_NEIGHBOURS:]):
                continue
            correlations.append(correlation)
        filtered[view] = matcher.filtered(matcher.aligned(axis_deg, shifts[this], this))[0]
        trusted.append(int(view))
    return shifts


def refine(
    matcher: Matcher,
    axis_deg: float,
    shifts: Tensor,
    views: Tensor,
    *,
    rounds: int,
    learn: bool = True,
    each_round: Callable[[], None] = lambda: None,
) -> Refined:
    """Move every view onto its prediction from all the others, round after round until they stay where they are.

    Parameters
    ----------
    matcher
        The level's images.
    axis_deg
        Tilt-axis angle.
    shifts
        (n, 2) to start from, in pixels.
    views
        Indices of the views to use.
    rounds
        How many at most.
    learn
        Learn the weights of frequencies in the first rounds; off, scores at different axes stay comparable.
    each_round
        Called after each round, for progress.
    """
    shifts = shifts.clone()
    turn = turn_matrix(axis_deg)
    changes = []
    faster = Anderson(largest=_LOCAL_MOVE * matcher.field / 2)
    for number in range(rounds):
        learning = learn and number < _LEARNING_ROUNDS
        match = _match(matcher, axis_deg, shifts, views, matcher.predict_from_others, learning)
        if match.coherence is not None:
            matcher.learn_weights(match.coherence)
            faster.forget()
        moves = match.move_vu.cpu() @ turn.T
        shifts[views] += faster.step(shifts[views], moves)
        changes.append(float(moves.square().sum(1).mean().sqrt()))
        each_round()
        if changes[-1] < _STILL_PX and not learning:
            break
    return Refined(shifts, tuple(changes))


def match_others(matcher: Matcher, axis_deg: float, shifts: Tensor, views: Tensor) -> Match:
    """Match each view with its prediction from all the others."""
    return _match(matcher, axis_deg, shifts, views, matcher.predict_from_others)


def judge(matcher: Matcher, axis_deg: float, shifts: Tensor, views: Tensor, block_views: int) -> Tensor:
    """Return the correlation (len(views),) of each view, moved to where it fits best, with its prediction from afar.

    That is from views beyond a block of `block_views` neighbours, which tell a wrong axis whatever it has done to the
    shifts.
    """

    def predict(filtered: Tensor, views: Tensor) -> Tensor:
        return matcher.predict_from_afar(filtered, views, block_views)

    return _match(matcher, axis_deg, shifts, views, predict).correlation.cpu()


def _match(
    matcher: Matcher,
    axis_deg: float,
    shifts: Tensor,
    views: Tensor,
    predict: Callable[[Tensor, Tensor], Tensor],
    learn: bool = False,
) -> Match:
    images = matcher.aligned(axis_deg, shifts[views], views)
    return matcher.match(predict(matcher.filtered(images), views), images, _LOCAL_MOVE * matcher.field, learn=learn)
