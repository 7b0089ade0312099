"""Tilt schemes: which angles, in which order.

Angles of a scheme are those of the slab: the design adds the pre-tilt of a lamella to have those of the stage.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from eucentric.core import Degrees, ElectronsPerA2
from eucentric.design.increments import ConstantIncrement, Increment, angles_between
from eucentric.design.refusal import DesignRecord, impossible

Angle = Annotated[Degrees, Field(gt=-90, lt=90)]
Side = Literal["negative", "positive"]

SMALLEST_STEP_DEG = 0.01
"""Angles closer than this are one angle to any stage."""


class _Ranged(DesignRecord):
    """What schemes with a range share: its two ends and the increment."""

    kind: str = ""  # each scheme's own; declared here to stand first in a file
    min_deg: Angle = -60.0
    max_deg: Angle = 60.0
    increment: Increment = ConstantIncrement()

    @model_validator(mode="after")
    def _the_range_holds_a_step(self) -> Self:
        if self.max_deg <= self.min_deg:
            raise impossible("scheme.max_deg", self.max_deg, f"above scheme.min_deg, which is {self.min_deg:g}")
        extent = self.max_deg - self.min_deg
        if self.increment.step_deg > extent + 1e-9:
            raise impossible(
                "scheme.increment.step_deg", self.increment.step_deg, f"up to {extent:g}, the extent of the range"
            )
        return self

    def _sides(self, start_deg: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return the angles below and above a start, each outwards from it."""
        if not self.min_deg <= start_deg <= self.max_deg:
            raise impossible("scheme.start_deg", start_deg, f"{self.min_deg:g} to {self.max_deg:g}, within the range")
        below, above = (angles_between(start_deg, end, self.increment) for end in (self.min_deg, self.max_deg))
        return below, above


class Unidirectional(_Ranged):
    """From one end of the range to the other.

    Constant steps count from the first end; steps that change with the angle from 0°, so that both sides are alike.
    """

    kind: Literal["unidirectional"] = "unidirectional"
    first: Side = "negative"

    def angles_deg(self) -> tuple[float, ...]:
        """Return the angles in the order of acquisition."""
        ends = (self.min_deg, self.max_deg)
        start, end = ends if self.first == "negative" else ends[::-1]
        if isinstance(self.increment, ConstantIncrement):
            return (start, *angles_between(start, end, self.increment))
        middle = min(max(0.0, self.min_deg), self.max_deg)
        before, after = (angles_between(middle, side, self.increment) for side in (start, end))
        return (*before[::-1], middle, *after)


class Bidirectional(_Ranged):
    """From a start to one end, then from the start to the other; by default through 0° first, as SerialEM does.

    A start of -21° goes up to the positive end, comes back, and goes on from -24° to the negative end.
    """

    kind: Literal["bidirectional"] = "bidirectional"
    start_deg: Angle = 0.0
    first: Side | None = None

    @model_validator(mode="after")
    def _the_start_is_in_the_range(self) -> Self:
        self._sides(self.start_deg)
        return self

    def angles_deg(self) -> tuple[float, ...]:
        """Return the angles in the order of acquisition."""
        below, above = self._sides(self.start_deg)
        first = self.first or ("negative" if self.start_deg > 0 else "positive")
        return (self.start_deg, *below, *above) if first == "negative" else (self.start_deg, *above, *below)


class DoseSymmetric(_Ranged):
    """From a start outwards on both sides in turn, `group` tilts at a time.

    Parameters
    ----------
    order
        `serialem` takes the negative side first in every turn: 0, -2, -4, +2, +4, -6, -8, +6, +8 for groups of 2;
        `pacetomo` the positive side first; `hagen` stays on the side where it is: 0, +3, -3, -6, +6, +9, -9 for
        groups of 1, with half the reversals (Hagen 2017, 10.1016/j.jsb.2016.06.007). By default `hagen` for groups
        of 1 and `serialem` for larger ones.
    first
        The side of the first group, if not the one that the order begins with.
    grow_by, grow_beyond_deg, grow_every_deg
        Groups grow by so many tilts once the next one begins this far from the start, and again every so many
        degrees; 0 to grow once.
    run_out_beyond_deg
        Beyond this distance from the start, the rest of one side is taken, then the rest of the other.
    """

    kind: Literal["dose-symmetric"] = "dose-symmetric"
    start_deg: Angle = 0.0
    group: Annotated[int, Field(ge=1, le=1000)] = 1
    order: Literal["serialem", "pacetomo", "hagen"] | None = None
    first: Side | None = None
    grow_by: Annotated[int, Field(ge=0, le=1000)] = 0
    grow_beyond_deg: Annotated[Degrees, Field(ge=0, le=180)] = 0.0
    grow_every_deg: Annotated[Degrees, Field(ge=0, le=180)] = 0.0
    run_out_beyond_deg: Annotated[Degrees, Field(ge=0, le=180)] | None = None

    @model_validator(mode="after")
    def _the_start_is_in_the_range(self) -> Self:
        self._sides(self.start_deg)
        return self

    @property
    def order_taken(self) -> Literal["serialem", "pacetomo", "hagen"]:
        """The order: the one that was chosen, or that goes with the group."""
        return self.order or ("hagen" if self.group == 1 else "serialem")

    def angles_deg(self) -> tuple[float, ...]:
        """Return the angles in the order of acquisition."""
        below, above = self._sides(self.start_deg)
        begin = self.first or ("negative" if self.order_taken == "serialem" else "positive")
        near, far = (below, above) if begin == "negative" else (above, below)
        angles = [self.start_deg]
        for turn, (begin_at, end_at) in enumerate(self._groups(len(near), len(far))):
            swapped = self.order_taken == "hagen" and turn % 2 == 1
            for side in (far, near) if swapped else (near, far):
                angles += side[begin_at:end_at]
        return tuple(angles)

    def _groups(self, *lengths: int) -> Iterator[tuple[int, int]]:
        """Give the group of each turn, as a range of each side's places outwards from the start."""
        longest = max(lengths)
        sides = sorted(self._sides(self.start_deg), key=len)
        place, size, grow_at = 0, self.group, self.grow_beyond_deg if self.grow_by else None
        while place < longest:
            yield place, place + size
            place += size
            if place >= longest:
                return
            beyond = abs(sides[1][place] - self.start_deg) + 0.1  # a stage's tolerance, as SerialEM's
            run_out = self.run_out_beyond_deg is not None and beyond >= self.run_out_beyond_deg
            if run_out:
                size = longest
            elif grow_at is not None and beyond >= grow_at:
                size += self.grow_by
                grow_at = grow_at + self.grow_every_deg if self.grow_every_deg else None


class Explicit(DesignRecord):
    """Angles given one by one, in the order of acquisition."""

    kind: Literal["explicit"] = "explicit"
    tilts_deg: Annotated[tuple[Angle, ...], Field(min_length=1, max_length=2000)]

    @model_validator(mode="after")
    def _every_angle_once(self) -> Self:
        rising = sorted(self.tilts_deg)
        for one, next_one in pairwise(rising):
            if next_one - one < SMALLEST_STEP_DEG - 1e-9:
                raise impossible("scheme.tilts_deg", next_one, f"each angle once, at least {SMALLEST_STEP_DEG}° apart")
        return self

    def angles_deg(self) -> tuple[float, ...]:
        """Return the angles in the order of acquisition."""
        return self.tilts_deg


Plain = Annotated[Unidirectional | Bidirectional | DoseSymmetric | Explicit, Field(discriminator="kind")]


class Hybrid(DesignRecord):
    """One image of high exposure at the tilt nearest 0°, taken first, then the rest of another scheme.

    `untilted_e_A2` is part of the total; the exposure policy divides what is left among the rest.
    """

    kind: Literal["hybrid"] = "hybrid"
    untilted_e_A2: Annotated[ElectronsPerA2, Field(gt=0)] = 20.0
    rest: Plain = DoseSymmetric()

    def angles_deg(self) -> tuple[float, ...]:
        """Return the angles in the order of acquisition."""
        angles = self.rest.angles_deg()
        nearest = min(angles, key=abs)
        return (nearest, *(angle for angle in angles if angle != nearest))


Scheme = Annotated[Unidirectional | Bidirectional | DoseSymmetric | Explicit | Hybrid, Field(discriminator="kind")]
"""Any scheme; its `kind` says which."""
