"""What is asked of a microscope, and what it says that it did.

Positions are in the microscope's frame: y along the tilt axis, x across it, z along the beam.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from eucentric.core import Angstrom, Degrees, ElectronsPerA2, Record
from eucentric.microscope.errors import MicroscopeError, MoveRefusedError

ShiftYX = tuple[Angstrom, Angstrom]
"""A shift along the tilt axis and across it."""

Range = tuple[float, float]

Purpose = Literal["record", "view", "track", "focus", "search", "preview"]
"""What an exposure is for; all of them reach a specimen, and all are booked."""


class StagePosition(Record):
    """Where the stage says it is.

    `y_A` and `x_A` are the place of the specimen that lies on the optical axis at 0° tilt, so that stage and image
    shift count the same way; `z_A` is how far the specimen has been raised; `tilt_deg` has the stage's own sign.
    """

    y_A: Angstrom = 0.0
    x_A: Angstrom = 0.0
    z_A: Angstrom = 0.0
    tilt_deg: Degrees = 0.0


class StageLimits(Record):
    """How far stage and image shift can go.

    The defaults for tilt are those of `design.Stage`. A millimetre each way along the grid, 0.3 mm of height and
    20 µm of image shift, and 20 mrad of beam tilt, are chosen as what stages and lenses of 200 and 300 kV microscopes
    roughly reach: a driver gives its own.
    """

    tilt_deg: Range = (-70.0, 70.0)
    y_A: Range = (-1e7, 1e7)
    x_A: Range = (-1e7, 1e7)
    z_A: Range = (-3e6, 3e6)
    shift_A: Annotated[float, Field(gt=0)] = 2e5
    beam_tilt_mrad: Annotated[float, Field(gt=0)] = 20.0

    @model_validator(mode="after")
    def _every_range_goes_up(self) -> Self:
        for name in ("tilt_deg", "y_A", "x_A", "z_A"):
            low, high = getattr(self, name)
            if not low < high:
                raise ValueError(f"{name}: a range goes from the lower limit to the higher, not {low:g} to {high:g}")
        return self

    def check(
        self,
        *,
        tilt_deg: float | None = None,
        y_A: float | None = None,
        x_A: float | None = None,
        z_A: float | None = None,
    ) -> None:
        """Return if the stage can go there; None leaves an axis where it is.

        Raises
        ------
        MoveRefusedError
            If any of the axes cannot, or is not a number.
        """
        wanted = {"tilt_deg": tilt_deg, "y_A": y_A, "x_A": x_A, "z_A": z_A}
        for name, value in wanted.items():
            low, high = getattr(self, name)
            if value is not None and not low <= value <= high:  # written so that NaN is refused too
                raise MoveRefusedError(
                    f"The stage cannot go to {name} = {value:g}: its limits are {low:g} and {high:g}; nothing moved.",
                    "Ask for a place between them.",
                )

    def check_shift(self, yx_A: ShiftYX, what: str = "image shift") -> None:
        """Return if image or beam can be shifted so far.

        Raises
        ------
        MoveRefusedError
            If it is further than `shift_A` from the optical axis, or not a number.
        """
        length = math.hypot(*yx_A)
        if not length <= self.shift_A:
            raise MoveRefusedError(
                f"The {what} cannot be {length:g} Å: its limit is {self.shift_A:g} Å; nothing moved.",
                "Move the stage instead.",
            )

    def check_beam_tilt(self, yx_mrad: ShiftYX) -> None:
        """Return if the illumination can be tilted so far.

        Raises
        ------
        MoveRefusedError
            If it is further than `beam_tilt_mrad`, or not a number.
        """
        length = math.hypot(*yx_mrad)
        if not length <= self.beam_tilt_mrad:
            raise MoveRefusedError(
                f"The beam cannot be tilted by {length:g} mrad: its limit is {self.beam_tilt_mrad:g}; nothing moved.",
                "Tilt it less.",
            )


class ExposureRequest(Record):
    """One exposure that is asked for.

    `exposure_e_A2` is on the specimen, divided evenly into `frames`. `target` and `order` say which image of which
    series it is meant for, for whoever keeps a log; the microscope does nothing with them.
    """

    exposure_e_A2: Annotated[ElectronsPerA2, Field(gt=0)]
    frames: Annotated[int, Field(ge=1)] = 1
    purpose: Purpose = "record"
    target: str = ""
    order: Annotated[int, Field(ge=0)] | None = None


class Readback(Record):
    """What the microscope says of one exposure.

    Parameters
    ----------
    purpose
        What it was for.
    stage
        Where the stage was.
    axis_deg
        Direction of the tilt axis in the images (IMOD's: from their y axis, counter-clockwise), which turns shifts
        seen in an image into those along and across the axis.
    image_shift_yx_A, beam_shift_yx_A
        Which place, from the optical axis, was in the image's centre, and in the beam's.
    defocus_A
        Of the objective lens, underfocus positive; what the specimen's height adds is not in it.
    exposure_e_A2
        What the specimen received.
    dose_rate_e_px_s
        What the camera saw: electrons per pixel and second, behind the specimen.
    began, seconds
        When the shutter opened, by the microscope's own clock, and for how long.
    counts_min, counts_max, counts_mean
        Of the sum of all frames.
    """

    purpose: Purpose
    stage: StagePosition
    axis_deg: Degrees = 0.0
    image_shift_yx_A: ShiftYX = (0.0, 0.0)
    beam_shift_yx_A: ShiftYX = (0.0, 0.0)
    defocus_A: Angstrom
    exposure_e_A2: ElectronsPerA2
    dose_rate_e_px_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    began: datetime
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    counts_min: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    counts_max: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    counts_mean: Annotated[float, Field(allow_inf_nan=False)] = 0.0

    @property
    def tilt_deg(self) -> float:
        """The stage's tilt."""
        return self.stage.tilt_deg


@dataclass(frozen=True, eq=False)
class Movie:
    """The frames of one exposure.

    Parameters
    ----------
    frames
        Counts of shape (frame, y, x), unsigned integers, row 0 at the bottom; (frame, 0, 0) where no pixels are made.
    pixel_A
        Pixel size.
    readback
        What the microscope says of the exposure.

    Raises
    ------
    MicroscopeError
        If the frames are not such counts.
    """

    frames: NDArray[Any]
    pixel_A: float
    readback: Readback

    def __post_init__(self) -> None:
        if self.frames.ndim != 3 or self.frames.dtype.kind != "u":
            raise MicroscopeError(
                f"A movie is unsigned counts of (frame, y, x), not {self.frames.dtype} of {self.frames.shape}; "
                "the specimen has been exposed.",
                "This is a fault of the microscope's driver: report it.",
                delivered_e_A2=self.readback.exposure_e_A2,
            )


@dataclass(frozen=True, eq=False)
class Image:
    """One image of shape (y, x), row 0 at the bottom, such as a view at low magnification."""

    pixels: NDArray[np.float32]
    pixel_A: float
    readback: Readback
