"""`Design`, the choices; `Plan`, the exposures that they come to."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any, Self, overload

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PrivateAttr, model_validator

from eucentric.core import Angstrom, Degrees, ElectronsPerA2, Record
from eucentric.design.acquisition import Acquisition
from eucentric.design.geometry import TiltedSlab
from eucentric.design.instrument import Alignability, Camera, Routine, Specimen, Stage
from eucentric.design.policies import (
    ConstantDefocus,
    ConstantExposure,
    DefocusPolicy,
    ExposurePolicy,
    FrameCount,
    FramePolicy,
)
from eucentric.design.refusal import DesignRecord, impossible
from eucentric.design.schemes import DoseSymmetric, Explicit, Hybrid, Scheme
from eucentric.optics import Lens, mean_free_path_A

EXPOSURES_E_A2 = (1e-3, 1e4)
"""No image is taken with less, or with more."""

STEEPEST_SLAB_DEG = 85.0
"""Beyond this a slab is seen edge on: its path is over eleven thicknesses and no image is left."""


class Exposure(Record):
    """One image of a plan.

    `tilt_deg` is the stage's; `order` counts from 0; `pre_exposure_e_A2` is what the plan's images before this one
    gave the specimen, 0 for the first (what tracking in place adds to it, `Routine.moves_e_A2`, is in no image).
    """

    order: Annotated[int, Field(ge=0)]
    tilt_deg: Annotated[Degrees, Field(ge=-90, le=90)]
    exposure_e_A2: Annotated[ElectronsPerA2, Field(gt=0)]
    pre_exposure_e_A2: ElectronsPerA2
    frames: Annotated[int, Field(ge=1)]
    defocus_A: Angstrom


class Design(DesignRecord):
    """Everything that is chosen about a tilt series, and what it is chosen for.

    Impossible combinations are refused when it is made: its exposures are worked out then.
    """

    scheme: Scheme = DoseSymmetric()
    exposure: ExposurePolicy = ConstantExposure(total_e_A2=120.0)
    frames: FramePolicy = FrameCount()
    defocus: DefocusPolicy = ConstantDefocus()
    specimen: Specimen = Specimen()
    lens: Lens = Lens()
    camera: Camera = Camera()
    stage: Stage = Stage()
    routine: Routine = Routine()
    alignability: Alignability = Alignability()

    _exposures: tuple[Exposure, ...] = PrivateAttr()

    @model_validator(mode="after")
    def _it_can_be_done(self) -> Self:
        if getattr(self, "_exposures", None) is not None:
            return self  # pydantic asks again in each record that holds this one
        slab = self.slab
        self._check_reach(slab)
        exposures = self._divided(slab)
        for tilt_deg, exposure in zip(slab.stage_deg, exposures, strict=True):
            if not EXPOSURES_E_A2[0] <= exposure <= EXPOSURES_E_A2[1]:
                permitted = f"one that gives every tilt {EXPOSURES_E_A2[0]:g} to {EXPOSURES_E_A2[1]:g} e/Å²"
                got = f"{self.exposure.kind!r}, which gives the tilt of {tilt_deg:g}° {exposure:.3g} e/Å²"
                raise impossible("exposure", got, permitted)
        frames = self.frames.frames_of([float(exposure) for exposure in exposures])
        before = np.concatenate([[0.0], np.cumsum(exposures)[:-1]])
        defocus_A = self.defocus.this_A()
        self._exposures = tuple(
            Exposure.model_construct(  # checked above, and a slider makes thousands of them a second
                order=order,
                tilt_deg=float(slab.stage_deg[order]),
                exposure_e_A2=float(exposures[order]),
                pre_exposure_e_A2=float(before[order]),
                frames=frames[order],
                defocus_A=defocus_A,
            )
            for order in range(len(exposures))
        )
        return self

    @cached_property
    def slab(self) -> TiltedSlab:
        """The slab at each tilt, in the order of acquisition."""
        slab_deg = np.array(self.scheme.angles_deg())
        return TiltedSlab(
            stage_deg=slab_deg + self.specimen.pre_tilt_deg,
            slab_deg=slab_deg,
            thickness_A=self.specimen.thickness_A,
            mean_free_path_A=mean_free_path_A(self.lens.voltage_kV, self.specimen.mean_free_path_A),
        )

    def _check_reach(self, slab: TiltedSlab) -> None:
        """Refuse tilts that the stage does not reach, or where the slab is seen edge on."""
        limits, pre_tilt = (self.stage.min_deg, self.stage.max_deg), self.specimen.pre_tilt_deg
        place, scheme = "scheme", self.scheme
        if isinstance(scheme, Hybrid):
            place, scheme = "scheme.rest", scheme.rest
        for name, end in (("max_deg", float(slab.slab_deg.max())), ("min_deg", float(slab.slab_deg.min()))):
            field = f"{place}.{'tilts_deg' if isinstance(scheme, Explicit) else name}"
            given = float(getattr(scheme, name, end))  # the steps may end before it
            if not limits[0] - 1e-6 <= end + pre_tilt <= limits[1] + 1e-6:
                less = f", less the pre-tilt of {pre_tilt:g}" if pre_tilt else ""
                reach = f"{limits[0] - pre_tilt:g} to {limits[1] - pre_tilt:g}"
                by = f"by the limits of the stage ({limits[0]:g} to {limits[1]:g}{less})"
                raise impossible(field, given, f"{reach}, {by}")
            if abs(end) > STEEPEST_SLAB_DEG + 1e-6:
                reach = f"-{STEEPEST_SLAB_DEG:g} to {STEEPEST_SLAB_DEG:g}"
                raise impossible(field, given, f"{reach}, beyond which the slab is seen edge on")

    def _divided(self, slab: TiltedSlab) -> NDArray[np.float64]:
        """Return the exposure of each tilt."""
        if not isinstance(self.scheme, Hybrid):
            return self.exposure.exposures_e_A2(slab)
        if len(slab.slab_deg) == 1:
            raise impossible("scheme.rest", "a single tilt", "a scheme of at least two")
        first = self.scheme.untilted_e_A2
        rest = replace(slab, stage_deg=slab.stage_deg[1:], slab_deg=slab.slab_deg[1:])
        return np.concatenate([[first], self.exposure.exposures_e_A2(rest, first)])

    def plan(self) -> "Plan":
        """Return the plan of this design."""
        return Plan(design=self)


class Plan(DesignRecord):
    """A design and its exposures, in the order of acquisition: ``for exposure in plan``; and how they are acquired.

    Exposures that are given, as in a file, must be those of the design to 0.001 of their unit.
    """

    design: Design
    acquisition: Acquisition = Acquisition()
    exposures: tuple[Exposure, ...] = ()

    @model_validator(mode="after")
    def _the_exposures_are_those_of_the_design(self) -> Self:
        worked_out = self.design._exposures
        if self.exposures is not worked_out and self.exposures:
            if len(self.exposures) != len(worked_out):
                raise impossible("exposures", f"{len(self.exposures)} of them", f"the design's {len(worked_out)}")
            for given, own in zip(self.exposures, worked_out, strict=True):
                for name in type(own).model_fields:
                    if not abs(getattr(given, name) - getattr(own, name)) <= 1e-3:
                        permitted = f"{getattr(own, name):g}, as the design has it; or a scheme of kind explicit"
                        raise impossible(f"exposures[{own.order}].{name}", getattr(given, name), permitted)
        object.__setattr__(self, "exposures", worked_out)
        return self

    def replace(self, **changes: Any) -> Self:
        """Return a copy with `changes`; the exposures of another design are worked out anew."""
        return type(self)(**{"design": self.design, "acquisition": self.acquisition, **changes})

    def __iter__(self) -> Iterator[Exposure]:  # type: ignore[override]  # a plan is its exposures
        return iter(self.exposures)

    def __len__(self) -> int:
        return len(self.exposures)

    @overload
    def __getitem__(self, at: int) -> Exposure: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Exposure, ...]: ...
    def __getitem__(self, at: int | slice) -> Exposure | tuple[Exposure, ...]:
        return self.exposures[at]
