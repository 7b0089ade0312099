"""How long a run will take by the microscope's clock: the engine's own steps, with the times of the plan."""

import math
from itertools import pairwise

from eucentric.acquisition.program import Program
from eucentric.design import TRACKING

_EXPOSED_TWICE = 2  # images of a focus measurement


def tilt_seconds(program: Program, from_deg: float, to_deg: float, direction: int) -> tuple[float, int]:
    """Return how long the stage takes to a tilt, by the way the engine goes, and in which direction it ended."""
    stage = program.plan.design.stage
    by = program.backlash_from_deg(from_deg, to_deg)
    ways = [from_deg, to_deg] if by is None else [from_deg, by, to_deg]
    seconds = 0.0
    for start, end in pairwise(ways):
        if start == end:
            continue
        turned = 1 if end > start else -1
        seconds += abs(end - start) / stage.speed_deg_per_s + stage.settle_s
        seconds += stage.reversal_s if turned * direction < 0 else 0.0
        direction = turned
    return seconds + program.plan.acquisition.approach.settle_s, direction


def predicted_seconds(program: Program) -> list[float]:
    """Return how long each step will take, the way to the first tilt counted with it, for all targets."""
    plan = program.plan
    routine, acquisition = plan.design.routine, plan.acquisition

    def image(exposure_e_A2: float) -> float:
        return exposure_e_A2 / routine.dose_rate_e_A2_per_s + routine.overhead_s

    area = program.tracked == TRACKING
    # The first image of a tilt is off by the stage's error (Rayleigh distributed); if far off, another one follows.
    again = math.exp(-0.5 * (acquisition.tracking.close_A / acquisition.tracking.stage_error_A) ** 2)
    images = 1 + again if acquisition.tracking.rounds > 1 else 1.0
    track_s = images * image(acquisition.tracking.exposure_e_A2) if area else 0.0
    seconds, here, direction = [], program.targets.tilt_deg, 0
    pair_s = _EXPOSED_TWICE * image(acquisition.focusing.exposure_e_A2)
    focus_s = pair_s if area else 0.0
    ahead = track_s / images + pair_s * (1 + len(program.targets.to_measure)) if area else 0.0
    for tilt_deg in program.walk():
        moving, direction = tilt_seconds(program, here, tilt_deg, direction)
        ahead, here = ahead + moving + track_s, tilt_deg
    for step in program.steps:
        moving, direction = tilt_seconds(program, here, step.tilt_deg, direction)
        focusing = focus_s if step.order % routine.focus_every == 0 else 0.0
        exposing = len(program.names) * image(step.exposure.exposure_e_A2)
        seconds.append(ahead + moving + track_s + focusing + exposing)
        here, ahead = step.tilt_deg, 0.0
    return seconds
