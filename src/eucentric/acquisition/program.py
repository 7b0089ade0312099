"""`Program`: a plan and its targets as the steps of a run, checked before anything moves."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eucentric.acquisition.model import Side
from eucentric.core import InputError
from eucentric.design import TRACKING, Exposure, Place, Plan, Targets
from eucentric.microscope import StageLimits

Array = NDArray[np.float64]

_SAME_DEG = 1e-6
_BLIND_DEG = 10.0  # over which a specimen 2 µm off the axis moves by 0.35 µm: still within a usual field
_SPARE_A = 30_000.0  # what the stage's own errors may ask of image shift beyond the targets' places


@dataclass(frozen=True)
class Step:
    """A tilt of the plan; `side` is that of the start tilt on which it lies."""

    exposure: Exposure
    side: Side

    @property
    def order(self) -> int:
        """Its number in the plan."""
        return self.exposure.order

    @property
    def tilt_deg(self) -> float:
        """The stage's tilt."""
        return self.exposure.tilt_deg


@dataclass(frozen=True)
class Program:
    """What a run is to do.

    Parameters
    ----------
    plan
        The exposures of each target, and how they are acquired.
    targets
        Where they go.
    """

    plan: Plan
    targets: Targets
    _places: dict[str, Array] = field(init=False, default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        pre_tilt_deg = self.plan.design.specimen.pre_tilt_deg
        for name, place in self.picked.items():
            self._places[name] = self.targets.on_specimen_zyx_A(place, pre_tilt_deg)

    @property
    def names(self) -> tuple[str, ...]:
        """The targets, in the order in which they are exposed at each tilt."""
        return tuple(target.name for target in self.targets.targets)

    @property
    def picked(self) -> dict[str, Place]:
        """Every place as it was picked, by its name in the record: targets, tracking area, points to be measured."""
        places: dict[str, Place] = {target.name: target for target in self.targets.targets}
        if self.targets.tracking is not None:
            places[TRACKING] = self.targets.tracking
        return {**places, **self.targets.to_measure}

    def measured(self, heights_A: Mapping[str, float]) -> "Program":
        """Return the program with the heights of its focus points, by their names."""
        points = tuple(point.replace(height_A=heights_A[name]) for name, point in self.targets.to_measure.items())
        return Program(self.plan, self.targets.replace(focus_points=points))

    @property
    def places_zyx_A(self) -> dict[str, Array]:
        """Every place on the specimen, by its name, the tracking area's under `TRACKING`."""
        return self._places

    @property
    def tracked(self) -> str:
        """The place that is tracked: the tracking area, or the first target, on its own exposures."""
        area = self.plan.acquisition.tracking.by == "area" and TRACKING in self._places
        return TRACKING if area else self.names[0]

    @property
    def slab_deg(self) -> float:
        """Tilt of the specimen's plane across the axis, at 0° of the stage: minus its pre-tilt."""
        _, up_x = self.targets.slopes_yx(self.plan.design.specimen.pre_tilt_deg)
        return -math.degrees(math.atan(up_x))

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The tilts, in order."""
        start_deg = self.plan[0].tilt_deg
        return tuple(Step(exposure, _side(exposure.tilt_deg, start_deg)) for exposure in self.plan)

    def walk(self, start_deg: float | None = None) -> Iterator[float]:
        """Give the tilts on the way to the first one, that one left out, from another or where targets were picked."""
        start_deg = self.targets.tilt_deg if start_deg is None else start_deg
        end_deg = self.plan[0].tilt_deg
        steps = math.ceil(abs(end_deg - start_deg) / self.plan.acquisition.approach.walk_deg - _SAME_DEG)
        for step in range(1, steps):
            yield start_deg + (end_deg - start_deg) * step / steps

    def check(self, limits: StageLimits) -> None:
        """Return if a microscope can do all of this.

        Raises
        ------
        InputError
            If a tilt, or a target's image shift at some tilt, is beyond its limits; nothing has moved.
        """
        low, high = limits.tilt_deg
        away_deg = abs(self.plan[0].tilt_deg - self.targets.tilt_deg)
        if self.tracked != TRACKING and away_deg > _BLIND_DEG:
            raise InputError(
                f"The targets were picked at {self.targets.tilt_deg:g}°, the first tilt is {self.plan[0].tilt_deg:g}°: "
                "without a tracking area nothing shows where they are by then. Nothing was moved.",
                "Name a tracking area, or pick the targets at the first tilt.",
            )
        for step in self.steps:
            if not low <= step.tilt_deg <= high:
                raise InputError(
                    f"The plan goes to {step.tilt_deg:g}°, the stage from {low:g} to {high:g}°; nothing was moved.",
                    "Make a plan with a smaller --range.",
                )
            tilt = math.radians(step.tilt_deg)
            for name, (z, y, x) in self._places.items():
                far_A = math.hypot(y, x * math.cos(tilt) + z * math.sin(tilt))
                if far_A > limits.shift_A - _SPARE_A:
                    raise InputError(
                        f"{name} would need {far_A / 1e4:.1f} µm of image shift at {step.tilt_deg:g}°; with "
                        f"{_SPARE_A / 1e4:g} µm kept for the stage's errors, the limit is "
                        f"{(limits.shift_A - _SPARE_A) / 1e4:.1f}. Nothing was moved.",
                        "Leave the target out, or move the stage between the targets.",
                    )

    def backlash_from_deg(self, from_deg: float, to_deg: float, limits: StageLimits | None = None) -> float | None:
        """Return where a move goes first, so that it ends in the plan's direction; None where it does so anyway.

        It goes no further than the stage of the plan does, and that of the microscope.
        """
        approach = self.plan.acquisition.approach
        sign = 1.0 if approach.ends == "upward" else -1.0
        if approach.backlash_deg == 0 or abs(to_deg - from_deg) < _SAME_DEG or (to_deg - from_deg) * sign > 0:
            return None
        stage = self.plan.design.stage
        low, high = limits.tilt_deg if limits is not None else (stage.min_deg, stage.max_deg)
        beyond = to_deg - sign * approach.backlash_deg
        beyond = min(max(beyond, stage.min_deg, low), stage.max_deg, high)
        return None if abs(beyond - to_deg) < _SAME_DEG else beyond


def _side(tilt_deg: float, start_deg: float) -> Side:
    if abs(tilt_deg - start_deg) < _SAME_DEG:
        return "start"
    return "up" if tilt_deg > start_deg else "down"
