"""What an alignment gives besides the alignment itself: its evidence."""

from typing import Annotated, Literal

from pydantic import Field

from eucentric.core import Alignment, Degrees, Record

Correlation = Annotated[float, Field(ge=-1.0001, le=1.0001)]
"""A normalised correlation coefficient."""


class AxisSearch(Record):
    """The search for the tilt axis.

    `scores` are the mean held-out correlations of the series aligned with the axis at each of `axes_deg`
    (sorted); `best_deg` is where their fitted peak lies, and `uncertainty_deg` the standard error of that, from
    leaving out each view in turn (a jackknife).
    """

    axes_deg: tuple[Degrees, ...]
    scores: tuple[Correlation, ...]
    best_deg: Degrees
    uncertainty_deg: Annotated[float, Field(ge=0)]


class TiltResidual(Record):
    """How well one view agrees with the volume made of all the others.

    `correlation` is between the image and the projection of the volume that has not seen it; `residual_A`
    is the shift that was still found against that projection in the last round or, where beads have the last word, the
    mean distance of the view's beads from where they are predicted; `coarse_shift_yx_A` is
    where the coarse alignment had put the view, in the same sense as `TiltAlignment.shift_yx_A`.
    """

    section: int
    correlation: Correlation
    residual_A: Annotated[float, Field(ge=0)]
    coarse_shift_yx_A: tuple[float, float]


class AlignmentResult(Record):
    """An alignment with its evidence.

    `axis_search` is absent where the axis was given; `specimen_depth_A` is the depth of the volume that predicts
    views best, from whose middle z is counted; `tilt_offset_deg` what was added to the stage tilts so that the specimen
    lies flat at 0°; `rounds_rms_A` is the rms change of the shifts in each round of the last refinement; `tilts` follow
    the sections. `method` says whether images or beads had the last word, and `why`; there are `beads` of them, met to
    `bead_residual_A` in the mean. `local_motion` says what became of the search for it.
    """

    alignment: Alignment
    axis_search: AxisSearch | None
    specimen_depth_A: Annotated[float, Field(gt=0)]
    tilts: tuple[TiltResidual, ...]
    rounds_rms_A: tuple[float, ...]
    tilt_offset_deg: Degrees = 0.0
    method: Literal["images", "beads"] = "images"
    why: str = ""
    beads: Annotated[int, Field(ge=0)] = 0
    bead_residual_A: Annotated[float, Field(ge=0)] | None = None
    local_motion: str = ""
