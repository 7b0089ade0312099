"""Which way defocus runs across a tilted image: the hand that the whole series makes likelier."""

import numpy as np
from numpy.typing import NDArray

from eucentric.optics import HandVerdict
from eucentric.processing.ctf.series_fit import SeriesFit, SeriesState
from eucentric.processing.ctf.series_prior import DefocusPrior

_TELLING_TAN = 0.05  # 3 degrees: below, no ramp is to be seen in any field
_SHRINK = 4.0  # see `judge_hand`


def solve_both(
    fit: SeriesFit, prior: DefocusPrior, phase_rad: float, tilts_deg: NDArray[np.float64], *, fit_phase: bool = False
) -> tuple[SeriesState, HandVerdict | None]:
    """Return the state of a series for its likelier hand, and how sure that is.

    Without a tilt of 3° or more there is no verdict, and the state is that for +1.
    """
    first = fit.solve(1, prior, phase_rad, fit_phase=fit_phase)
    if not np.any(np.abs(np.tan(np.radians(tilts_deg))) >= _TELLING_TAN):
        return first, None
    second = fit.solve(-1, prior, phase_rad, fit_phase=fit_phase)
    verdict = judge_hand(fit, first, second)
    return (first if verdict.hand == 1 else second), verdict


def judge_hand(fit: SeriesFit, first: SeriesState, second: SeriesState) -> HandVerdict:
    """Compare the hands, each at its own best, with rings as deep as either finds them.

    The depth of rings is learned under one hand and would favour it: so both hands are tried with the depths of both,
    and the evidence is the mean of the two comparisons. What is left of it is divided by four: neighbouring
    frequencies and tilts share the specimen's own structure and are not independent witnesses. With that factor,
    verdicts from three tilts of twin series are right at least as often as they say
    (`benchmarks/ctf_series.py --calibrate`).
    """
    gains = []
    for state in (first, second):
        same, other = fit.with_hand(state, state.hand), fit.with_hand(state, -state.hand)
        gains.append(state.hand * (same.log_evidence - other.log_evidence))
    gain = float(np.mean(gains)) / _SHRINK
    return HandVerdict(hand=1 if gain >= 0 else -1, log_odds=abs(gain))
