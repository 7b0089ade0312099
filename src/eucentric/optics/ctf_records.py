"""What is known of the contrast transfer of an image and of a series, however it was found."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from eucentric.core import Angstrom, Degrees, Record
from eucentric.optics.ctf import Lens

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class CTFFit(Record):
    """The contrast transfer of one image.

    Attributes
    ----------
    defocus_u_A, defocus_v_A
        Principal values at the image's centre, underfocus positive, u the larger.
    azimuth_deg
        Direction of u, from the x axis (columns) towards the y axis (rows upward, as MRC has it), -90 to 90.
    phase_shift_deg
        Of a phase plate.
    fit_resolution_A
        Finest detail to which rings and model agree; absent where they nowhere do.
    score
        Correlation of the rings with the model over what was used, -1 to 1.
    sigma_A
        Standard deviation of the mean defocus, as the likelihood has it; errors are about twice that where rings are
        weak.
    evidence
        How much likelier the spectrum is with these rings than without any, in nats.
    """

    defocus_u_A: Angstrom
    defocus_v_A: Angstrom
    azimuth_deg: Degrees
    phase_shift_deg: Degrees = 0.0
    fit_resolution_A: Positive | None = None
    score: float
    sigma_A: Annotated[Angstrom, Field(ge=0)] | None = None
    evidence: float | None = None

    @model_validator(mode="after")
    def _u_is_the_larger(self) -> Self:
        if self.defocus_u_A < self.defocus_v_A:
            raise ValueError("defocus_u_A must be the larger of the two")
        return self

    @property
    def mean_A(self) -> float:
        """Mean of the principal values."""
        return (self.defocus_u_A + self.defocus_v_A) / 2

    @property
    def astigmatism_A(self) -> float:
        """Their difference."""
        return self.defocus_u_A - self.defocus_v_A


class TiltCTF(CTFFit):
    """The contrast transfer of one tilt of a series; defocus is that of the specimen's plane at the image's centre.

    `used` is false where nothing could be learned from the image: what is given is then what its neighbours say, and
    `reason` says why.
    """

    section: Annotated[int, Field(ge=0)]
    tilt_deg: Degrees
    used: bool = True
    reason: str = ""


class HandVerdict(Record):
    """The defocus hand: +1 where a greater z of the image frame (along the beam) is a greater underfocus.

    A place of the image at u from the tilt axis (``u = x cos(axis) + y sin(axis)``, Å from the centre) in a plane
    tilted by a is at ``z = -u tan a``, and has ``defocus + hand z``: see decision 0007. `log_odds` is the log of how
    much likelier `hand` is than its opposite; below 3 it should not be relied on.
    """

    hand: Literal[1, -1]
    log_odds: Annotated[float, Field(ge=0)]

    @property
    def sure(self) -> bool:
        """Whether the ramp was seen well enough to rely on it: twenty to one."""
        return self.log_odds >= 3.0


class SeriesCTF(Record):
    """The contrast transfer of a series, in section order.

    Attributes
    ----------
    lens
        As given, not fitted, but for the phase shift, which each tilt has.
    axis_deg
        Tilt-axis angle for which it was fitted (IMOD's).
    tilts
        One by one.
    hand
        Absent where no tilt is high enough to tell.
    thickness_A
        Of the specimen along its normal, from the rings' node; absent where none is seen.
    """

    lens: Lens
    pixel_A: Positive
    axis_deg: Degrees
    tilts: Annotated[tuple[TiltCTF, ...], Field(min_length=1)]
    hand: HandVerdict | None = None
    thickness_A: Positive | None = None
