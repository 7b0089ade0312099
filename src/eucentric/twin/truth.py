"""What is true of an exposure, which no estimator is shown."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from eucentric.core import Angstrom, Degrees, ElectronsPerA2, Record, TiltAlignment
from eucentric.microscope import Purpose


class FrameTruth(Record):
    """A frame: where, in its middle, the specimen is seen in the image frame, against the exposure's view."""

    exposure_e_A2: ElectronsPerA2
    shift_yx_A: tuple[Angstrom, Angstrom]


class ExposureTruth(Record):
    """An exposure as it was.

    Attributes
    ----------
    number
        Of all exposures of this twin, from 0.
    purpose, target, order
        As asked for.
    site
        Name of the part of the specimen that the image is of, whose frame the view is from; its only one has none.
    view
        How the image really sees the specimen, at the middle of the exposure and without what the frames do.
    height_A
        z of the specimen's origin in the image frame: what it adds to the defocus, times the hand.
    defocus_A
        Mean defocus at the image's centre, of the specimen's middle plane there, underfocus positive.
    astigmatism_A, astigmatism_deg
        Difference of the principal values; direction of the larger.
    beam_tilt_yx_mrad
        Of image shift.
    exposure_e_A2, pre_exposure_e_A2
        What the place in the image's centre received now, and had received before from all exposures.
    transmission
        Share of the electrons that pass, in the mean over the image.
    expected_e_px
        Electrons that arrive at a pixel, in the mean over the image, summed over the frames.
    frames
        One by one.
    began, seconds
        By the microscope's clock.
    """

    number: Annotated[int, Field(ge=0)]
    purpose: Purpose
    target: str = ""
    order: int | None = None
    site: str = ""
    view: TiltAlignment
    height_A: Angstrom
    defocus_A: Angstrom
    astigmatism_A: Angstrom
    astigmatism_deg: Degrees
    beam_tilt_yx_mrad: tuple[float, float]
    exposure_e_A2: ElectronsPerA2
    pre_exposure_e_A2: ElectronsPerA2
    transmission: float
    expected_e_px: float
    frames: tuple[FrameTruth, ...]
    began: datetime
    seconds: float
