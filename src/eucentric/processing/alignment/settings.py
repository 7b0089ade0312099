"""What a user may choose about an alignment."""

from typing import Annotated, Literal

from pydantic import Field

from eucentric.core import Degrees, Record


class AlignSettings(Record):
    """Settings of an alignment.

    `axis_deg` is the tilt-axis angle (IMOD's: from the image's y axis, counter-clockwise), searched for if
    absent; `refine_axis` searches around a given one too; `specimen_depth_A` is the depth of the volume that
    predicts views, found from the data if absent; `max_shift_fraction` is the largest shift between views of
    neighbouring tilt, as a share of the field; `rounds` the most refining rounds at each level; `local_motion` whether
    the specimen's change of shape in the beam is looked for, where exposures are known; `beads` whether gold beads, if
    there are enough, have the last word.
    """

    axis_deg: Annotated[Degrees, Field(ge=-360, le=360)] | None = None
    refine_axis: bool = False
    specimen_depth_A: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    max_shift_fraction: Annotated[float, Field(gt=0, le=0.5)] = 0.3
    rounds: Annotated[int, Field(ge=1, le=50)] = 6
    local_motion: bool = True
    beads: Literal["auto", "never"] = "auto"
