"""`Alignment`: how each image of a series sees the specimen."""

from typing import Annotated

import numpy as np
from pydantic import Field

from eucentric.core.frames import Frame, Transform, rotation_about_x, rotation_about_y, rotation_about_z
from eucentric.core.record import Angstrom, Degrees, Record


class TiltAlignment(Record):
    """The view of one image.

    A specimen position is turned by `x_tilt_deg` about x, then by `tilt_deg` about y (the tilt axis), then
    in the image plane by `axis_deg` (the tilt-axis angle as IMOD gives it: from the image's y axis,
    counter-clockwise), scaled by `magnification`, and moved by `shift_yx_A`: the place, along the rows and
    columns of the recorded image, where the specimen's origin is seen, from the image's centre.
    `used` is false for a view left out, and `reason` says why.
    """

    section: Annotated[int, Field(ge=0)]
    tilt_deg: Degrees
    x_tilt_deg: Degrees = 0.0
    axis_deg: Degrees
    shift_yx_A: tuple[Angstrom, Angstrom] = (0.0, 0.0)
    magnification: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    used: bool = True
    reason: str = ""

    def sample2image(self) -> Transform:
        """Return the map from the specimen to this image (z along the beam)."""
        turned = rotation_about_z(self.axis_deg) @ rotation_about_y(self.tilt_deg) @ rotation_about_x(self.x_tilt_deg)
        matrix = np.eye(4)
        matrix[:3, :3] = self.magnification * turned
        matrix[1:3, 3] = self.shift_yx_A
        return Transform(Frame.SAMPLE, Frame.IMAGE, matrix)

    def image2sample(self) -> Transform:
        """Return the map from this image (z along the beam) to the specimen."""
        return self.sample2image().inverse()


class Alignment(Record):
    """The views of a whole series, in section order, for images of `shape_yx` with pixels of `pixel_A`."""

    pixel_A: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    shape_yx: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    tilts: Annotated[tuple[TiltAlignment, ...], Field(min_length=1)]

    @property
    def used(self) -> tuple[TiltAlignment, ...]:
        """The views that are not left out, in section order."""
        return tuple(tilt for tilt in self.tilts if tilt.used)

    def moved(self, by_zyx_A: tuple[float, float, float]) -> "Alignment":
        """Return the same alignment with the specimen's origin moved to the position `by_zyx_A`.

        This is the gauge freedom of every alignment: no image can tell the difference.
        """
        tilts = []
        for tilt in self.tilts:
            _, y, x = tilt.sample2image()(by_zyx_A)
            tilts.append(tilt.replace(shift_yx_A=(float(y), float(x))))
        return self.replace(tilts=tuple(tilts))
