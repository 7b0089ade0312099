"""The clock of a series: moves, settling, tracking, focus, exposures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eucentric.design.plan import Plan

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Clock:
    """When each exposure begins, in seconds from the arrival at the first tilt, (n,), and what the stage does."""

    start_s: Array
    duration_s: float
    reversals: int
    stage_travel_deg: float


def clock(plan: Plan) -> Clock:
    """Return the times of a plan.

    Before each exposure come the move (its length over the stage's speed, settling, and the cost of turning back),
    tracking and, as often as the routine says, focusing; after it the overhead of reading and writing.
    """
    stage, routine = plan.design.stage, plan.design.routine
    moves = np.diff([exposure.tilt_deg for exposure in plan])
    turns = np.concatenate([[False], moves[1:] * moves[:-1] < 0]) if len(moves) else np.zeros(0, dtype=bool)
    moving = np.abs(moves) / stage.speed_deg_per_s + stage.settle_s + turns * stage.reversal_s
    exposing = np.array([exposure.exposure_e_A2 for exposure in plan]) / routine.dose_rate_e_A2_per_s
    focusing = (np.arange(len(plan)) % routine.focus_every == 0) * routine.focus_s
    before = np.concatenate([[0.0], moving]) + routine.tracking_s + focusing
    ends = np.cumsum(before + exposing + routine.overhead_s)
    return Clock(
        start_s=ends - routine.overhead_s - exposing,
        duration_s=float(ends[-1]),
        reversals=int(turns.sum()),
        stage_travel_deg=float(np.abs(moves).sum()),
    )
