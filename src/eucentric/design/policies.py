"""How a design divides exposure among tilts, each tilt into frames, and defocus over a session."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from eucentric.core import Angstrom, ElectronsPerA2
from eucentric.design.geometry import TiltedSlab
from eucentric.design.refusal import DesignRecord, impossible

MOST_FRAMES = 10_000

Exposure = Annotated[ElectronsPerA2, Field(gt=0, le=1e4)]
Array = NDArray[np.float64]


class _Shaped(DesignRecord):
    """What policies with a shape over tilt share: either the total, or the exposure of an untilted image."""

    kind: str = ""  # each policy's own; declared here to stand first in a file
    total_e_A2: Exposure | None = None
    untilted_e_A2: Exposure | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.total_e_A2 is None) == (self.untilted_e_A2 is None):
            given = "absent" if self.total_e_A2 is None else "given beside exposure.untilted_e_A2"
            raise impossible("exposure.total_e_A2", given, "a value for it or for exposure.untilted_e_A2, not both")
        return self

    def exposures_e_A2(self, slab: TiltedSlab, spent_e_A2: float = 0.0) -> Array:
        """Return the exposure of each tilt, in order, where `spent_e_A2` of the total went elsewhere."""
        shape = self._shape(slab)
        if self.untilted_e_A2 is not None:
            return shape * self.untilted_e_A2
        left = (self.total_e_A2 or 0.0) - spent_e_A2
        if left <= 0:
            raise impossible("scheme.untilted_e_A2", spent_e_A2, f"below the total, {self.total_e_A2:g} e/Å²")
        with np.errstate(invalid="ignore"):  # what has no end is refused with the design
            return np.asarray(shape * (left / shape.sum()))

    def _shape(self, slab: TiltedSlab) -> Array:
        """Return the exposure of each tilt relative to an untilted one."""
        raise NotImplementedError


class ConstantExposure(_Shaped):
    """The same exposure at every tilt."""

    kind: Literal["constant"] = "constant"

    def _shape(self, slab: TiltedSlab) -> Array:
        return np.ones_like(slab.stage_deg)


class InverseCosineExposure(_Shaped):
    """Exposure as ``1 / cos(stage tilt)^(1/y)``, SerialEM's law; `times_at_60` is ``2^(1/y)``, its value at 60°."""

    kind: Literal["inverse-cosine"] = "inverse-cosine"
    times_at_60: Annotated[float, Field(ge=1, le=8)] = 2.0

    def _shape(self, slab: TiltedSlab) -> Array:
        return np.asarray(np.cos(np.deg2rad(slab.stage_deg)) ** -math.log2(self.times_at_60))


class ThicknessExposure(_Shaped):
    """Exposure in proportion to the path through the slab: ``1 / cos`` of the slab's own tilt."""

    kind: Literal["thickness"] = "thickness"

    def _shape(self, slab: TiltedSlab) -> Array:
        return slab.path_A / slab.thickness_A


class EqualCountsExposure(_Shaped):
    """Exposure that makes up for what the ice takes: the same counts in every image."""

    kind: Literal["equal-counts"] = "equal-counts"

    def _shape(self, slab: TiltedSlab) -> Array:
        with np.errstate(over="ignore"):  # what has no end is refused with the design
            return np.exp((slab.path_A - slab.thickness_A) / slab.mean_free_path_A)


class ExplicitExposure(DesignRecord):
    """Exposures given one by one, in the order of acquisition."""

    kind: Literal["explicit"] = "explicit"
    each_e_A2: Annotated[tuple[Exposure, ...], Field(min_length=1, max_length=2000)]

    def exposures_e_A2(self, slab: TiltedSlab, spent_e_A2: float = 0.0) -> Array:
        """Return the exposure of each tilt, in order; `spent_e_A2` does not matter, as there is no total to divide."""
        tilts = len(slab.stage_deg)
        if len(self.each_e_A2) != tilts:
            given = f"{len(self.each_e_A2)} exposures"
            beside = " but the first of the hybrid" if spent_e_A2 else " of the scheme"
            raise impossible("exposure.each_e_A2", given, f"{tilts}, one for each tilt{beside}")
        return np.array(self.each_e_A2)


ExposurePolicy = Annotated[
    ConstantExposure | InverseCosineExposure | ThicknessExposure | EqualCountsExposure | ExplicitExposure,
    Field(discriminator="kind"),
]


class FrameCount(DesignRecord):
    """So many frames for every tilt."""

    kind: Literal["count"] = "count"
    frames: Annotated[int, Field(ge=1, le=MOST_FRAMES)] = 8

    def frames_of(self, exposures_e_A2: Sequence[float]) -> tuple[int, ...]:
        """Return the number of frames of each tilt."""
        return (self.frames,) * len(exposures_e_A2)


class FrameExposure(DesignRecord):
    """So much exposure for every frame.

    With `rounding` exact, every tilt must be a whole number of frames, to 1 %; with nearest, a tilt has the number of
    frames that comes nearest, of equal exposure.
    """

    kind: Literal["equal-exposure"] = "equal-exposure"
    each_e_A2: Annotated[ElectronsPerA2, Field(ge=0.001, le=1e4)] = 0.4
    rounding: Literal["exact", "nearest"] = "exact"

    def frames_of(self, exposures_e_A2: Sequence[float]) -> tuple[int, ...]:
        """Return the number of frames of each tilt."""
        counts = [max(1, round(exposure / self.each_e_A2)) for exposure in exposures_e_A2]
        if max(counts) > MOST_FRAMES:
            least = f"from {max(exposures_e_A2) / MOST_FRAMES:.4g}, for up to {MOST_FRAMES} frames a tilt"
            raise impossible("frames.each_e_A2", self.each_e_A2, least)
        for exposure, count in zip(exposures_e_A2, counts, strict=True):
            if self.rounding == "exact" and abs(exposure / count - self.each_e_A2) > 0.01 * self.each_e_A2:
                fewer = max(1, math.floor(exposure / self.each_e_A2))
                near = " or ".join(f"{exposure / n:.4g} ({n} frame{'s' * (n > 1)})" for n in (fewer, fewer + 1))
                permitted = f"what divides a tilt's {exposure:.4g} e/Å², such as {near}; or frames.rounding nearest"
                raise impossible("frames.each_e_A2", self.each_e_A2, permitted)
        return tuple(counts)


FramePolicy = Annotated[FrameCount | FrameExposure, Field(discriminator="kind")]

Defocus = Annotated[Angstrom, Field(ge=-200_000, le=200_000)]


class ConstantDefocus(DesignRecord):
    """One defocus (underfocus positive) for every series."""

    kind: Literal["constant"] = "constant"
    defocus_A: Defocus = 30_000.0

    def session_A(self) -> tuple[float, ...]:
        """Return the defocus of every series of the session."""
        return (self.defocus_A,)

    def this_A(self) -> float:
        """Return the defocus of this series."""
        return self.defocus_A


class StaggeredDefocus(DesignRecord):
    """Another defocus for each series of a session, so that where one sees nothing the next one does.

    `series` values from `low_A` to `high_A` are taken in turn; this plan is that of number `index`, from 0. Even steps
    of 0.5 µm make all series blind at the same 10 Å, where ``lambda k² step`` is 1; `geometric` ones, which are the
    default where both ends are underfocus, have no such place.
    """

    kind: Literal["staggered"] = "staggered"
    low_A: Defocus = 20_000.0
    high_A: Defocus = 40_000.0
    spacing: Literal["geometric", "even"] = "geometric"
    series: Annotated[int, Field(ge=2, le=1000)] = 5
    index: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _there_is_a_range_and_the_index_is_in_it(self) -> Self:
        if self.high_A <= self.low_A:
            raise impossible("defocus.high_A", self.high_A, f"above defocus.low_A, which is {self.low_A:g}")
        if self.index >= self.series:
            raise impossible("defocus.index", self.index, f"0 to {self.series - 1}, for {self.series} series")
        return self

    def session_A(self) -> tuple[float, ...]:
        """Return the defocus of every series of the session."""
        between = np.geomspace if self.spacing == "geometric" and self.low_A > 0 else np.linspace
        return tuple(float(value) for value in between(self.low_A, self.high_A, self.series))

    def this_A(self) -> float:
        """Return the defocus of this series."""
        return self.session_A()[self.index]


DefocusPolicy = Annotated[ConstantDefocus | StaggeredDefocus, Field(discriminator="kind")]
