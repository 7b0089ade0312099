"""Angles of one side of a series: constant steps, steps that shrink with the cosine, Saxton's equal overlap."""

import math
from typing import Annotated, Literal

from pydantic import Field

from eucentric.core import Degrees
from eucentric.design.refusal import DesignRecord

Step = Annotated[Degrees, Field(ge=0.05, le=60)]
"""No stage makes finer steps, and a slip would fill the memory with tilts."""

_TOUCH = 1e-6  # degrees: an end that a step reaches but for rounding is reached


class ConstantIncrement(DesignRecord):
    """The same step everywhere."""

    kind: Literal["constant"] = "constant"
    step_deg: Step = 3.0

    def after(self, angle_deg: float) -> float:
        """Return the step outwards from an angle."""
        return self.step_deg


class CosineIncrement(DesignRecord):
    """Steps of ``step cos(angle)``: finer where the path through a slab is longer."""

    kind: Literal["cosine"] = "cosine"
    step_deg: Step = 3.0

    def after(self, angle_deg: float) -> float:
        """Return the step outwards from an angle."""
        return self.step_deg * math.cos(math.radians(angle_deg))


class SaxtonIncrement(DesignRecord):
    """Steps of equal overlap for a slab: ``asin(sin(step) cos(angle))``.

    Saxton, Baumeister & Hahn 1984, 10.1016/0304-3991(84)90194-4.
    """

    kind: Literal["saxton"] = "saxton"
    step_deg: Step = 3.0

    def after(self, angle_deg: float) -> float:
        """Return the step outwards from an angle."""
        return math.degrees(math.asin(math.sin(math.radians(self.step_deg)) * math.cos(math.radians(angle_deg))))


Increment = Annotated[ConstantIncrement | CosineIncrement | SaxtonIncrement, Field(discriminator="kind")]


def angles_between(start_deg: float, end_deg: float, increment: Increment) -> tuple[float, ...]:
    """Return the angles from a start, exclusive, towards an end, inclusive if a step falls on it."""
    direction = 1.0 if end_deg > start_deg else -1.0
    reach = abs(end_deg - start_deg) + _TOUCH
    if isinstance(increment, ConstantIncrement):  # multiples, so that errors of rounding do not add up
        count = int(reach / increment.step_deg)
        return tuple(start_deg + direction * increment.step_deg * i for i in range(1, count + 1))
    angles, angle = [], start_deg
    while abs((angle := angle + direction * increment.after(angle)) - start_deg) <= reach:
        angles.append(angle)
    return tuple(angles)
