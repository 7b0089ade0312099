"""What a design is made for: the specimen, the camera, the stage, the routine between exposures, the alignment."""

import math
from typing import Annotated, Self

from pydantic import Field, model_validator

from eucentric.core import Angstrom, Degrees, ElectronsPerA2
from eucentric.design.refusal import DesignRecord, impossible
from eucentric.optics import MEAN_FREE_PATH_A, MEAN_FREE_PATH_RANGE_A

Seconds = Annotated[float, Field(ge=0, le=36_000, allow_inf_nan=False)]

PROTEIN_DENSITY_Da_PER_A3 = 0.813
"""1.35 g/cm³, the usual density of protein; 1.37 follows from a partial specific volume of 0.73 mL/g."""


class Specimen(DesignRecord):
    """A slab of ice with particles in it.

    Parameters
    ----------
    thickness_A
        Thickness of the slab, across its own plane.
    pre_tilt_deg
        Stage tilt at which the slab lies flat: a lamella's milling angle.
    mean_free_path_A
        Inelastic mean free path at 300 kV (it is carried over to other voltages); published values run from 2110
        to 3950 Å, and predictions show what that range does.
    elastic_mean_free_path_A
        Elastic mean free path at 300 kV (5670 Å, `optics.elastic_mean_free_path_A`): of a contrast, ``exp(-path / it)``
        is left by plural scattering in thick ice. None counts no such loss, as the weak-phase picture has it.
    particle_kDa
        Mass of the protein complex whose signal is predicted.
    diameter_A
        What must be sampled finely enough: an object of this diameter; the whole slab where absent.
    """

    thickness_A: Annotated[Angstrom, Field(gt=0, le=50_000)] = 2000.0
    pre_tilt_deg: Annotated[Degrees, Field(ge=-60, le=60)] = 0.0
    mean_free_path_A: Annotated[Angstrom, Field(ge=100, le=20_000)] = MEAN_FREE_PATH_A
    mean_free_path_range_A: tuple[Annotated[Angstrom, Field(gt=0)], Annotated[Angstrom, Field(gt=0)]] = (
        MEAN_FREE_PATH_RANGE_A
    )
    elastic_mean_free_path_A: Annotated[Angstrom, Field(ge=100, le=100_000)] | None = None
    particle_kDa: Annotated[float, Field(gt=0, le=1e6)] = 1000.0
    diameter_A: Annotated[Angstrom, Field(gt=0, le=50_000)] | None = None

    @model_validator(mode="after")
    def _the_range_goes_up(self) -> Self:
        low, high = self.mean_free_path_range_A
        if low > high:
            raise impossible("specimen.mean_free_path_range_A", f"{low:g} to {high:g}", "the shorter one first")
        return self

    @property
    def particle_volume_A3(self) -> float:
        """Volume of the particle, at the density of protein."""
        return self.particle_kDa * 1e3 / PROTEIN_DENSITY_Da_PER_A3

    @property
    def particle_diameter_A(self) -> float:
        """Diameter of the particle as a ball."""
        return float((6 * self.particle_volume_A3 / math.pi) ** (1 / 3))


class Camera(DesignRecord):
    """A counting camera.

    `columns` lie across the tilt axis, where defocus changes; `rows` along it. The detective quantum efficiency falls
    in a line from `dqe_zero` to `dqe_nyquist`: a fair picture of counting cameras at 300 kV, whose makers print .8 to
    .9 at zero and .4 to .5 at Nyquist (recalled, not measured here). `readout_e` is noise that
    each pixel adds to each frame, in electrons rms: none for a counting camera, some for an integrating one.
    """

    pixel_A: Annotated[Angstrom, Field(ge=0.1, le=200)] = 1.35
    columns: Annotated[int, Field(ge=16, le=65_536)] = 5760
    rows: Annotated[int, Field(ge=16, le=65_536)] = 4092
    dqe_zero: Annotated[float, Field(gt=0, le=1)] = 0.8
    dqe_nyquist: Annotated[float, Field(ge=0, le=1)] = 0.39
    readout_e: Annotated[float, Field(ge=0, le=1000)] = 0.0


class Stage(DesignRecord):
    """Where the stage can go, and how fast."""

    min_deg: Annotated[Degrees, Field(ge=-90, lt=90)] = -70.0
    max_deg: Annotated[Degrees, Field(gt=-90, le=90)] = 70.0
    speed_deg_per_s: Annotated[float, Field(gt=0, le=1000)] = 10.0
    settle_s: Seconds = 1.0
    reversal_s: Seconds = 1.0

    @model_validator(mode="after")
    def _there_is_somewhere_to_go(self) -> Self:
        if self.max_deg <= self.min_deg:
            raise impossible("stage.max_deg", self.max_deg, f"above stage.min_deg, which is {self.min_deg:g}")
        return self


class Routine(DesignRecord):
    """What happens around each exposure, in seconds, and what of it the specimen pays.

    The defaults are those of one series at a time, tracked and focused aside at every tilt: 41 tilts take some 18
    minutes. `moves_e_A2` is exposure that falls on the specimen with every tilt and gives no image, such as
    tracking in place.
    """

    dose_rate_e_A2_per_s: Annotated[float, Field(gt=0, le=1e4)] = 3.0
    tracking_s: Seconds = 5.0
    focus_s: Seconds = 10.0
    focus_every: Annotated[int, Field(ge=1, le=1000)] = 1
    overhead_s: Seconds = 5.0
    moves_e_A2: ElectronsPerA2 = 0.0


class Alignability(DesignRecord):
    """How well one image can be placed.

    The defaults place the images of a usual series (41 tilts, 3 e/Å² each, 2000 Å of ice) to 2 to 5 Å.

    Parameters
    ----------
    error_A
        Error along each axis, rms, that the noise of an image of `REFERENCE_E_A2` of an untilted, unexposed and
        very thin specimen gives, with the particle, camera and lens of a default design; that of others grows as
        their own signal falls.
    floor_A
        What is left however strong the image: stage, deformation, motion.
    motion_A_per_e_A2
        How far the specimen still moves during one frame, for each e/Å² of it.
    """

    error_A: Annotated[Angstrom, Field(ge=0, le=1000)] = 1.2
    floor_A: Annotated[Angstrom, Field(ge=0, le=1000)] = 0.8
    motion_A_per_e_A2: Annotated[float, Field(ge=0, le=100)] = 2.0
