"""`Alignment`: how each image of a series sees the specimen."""

from typing import Annotated, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from eucentric.core.frames import Frame, Transform, rotation_about_x, rotation_about_y, rotation_about_z
from eucentric.core.local_motion import LocalMotion
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
    """The views of a whole series, in section order, for images of `shape_yx` with pixels of `pixel_A`.

    `local` is how the specimen changed its shape on the way, where that is known: what a view sees of a place is then
    where the place has moved to.
    """

    pixel_A: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    shape_yx: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    tilts: Annotated[tuple[TiltAlignment, ...], Field(min_length=1)]
    local: LocalMotion | None = None

    @model_validator(mode="after")
    def _local_is_of_these_views(self) -> Self:
        if self.local is not None and len(self.local.exposures_e_A2) != len(self.tilts):
            raise ValueError("local motion must have one exposure for each view")
        return self

    @property
    def used(self) -> tuple[TiltAlignment, ...]:
        """The views that are not left out, in section order."""
        return tuple(tilt for tilt in self.tilts if tilt.used)

    def local_shift_yx_A(self, section: int, yx_A: ArrayLike) -> NDArray[np.float64]:
        """Return how far what a view would see at its places (n, 2), yx in Å from its middle, has moved there: (n, 2).

        The places are taken to show the specimen's middle plane.
        """
        places = np.asarray(yx_A, dtype=float).reshape(-1, 2)
        if self.local is None:
            return np.zeros_like(places)
        view = self.tilts[section]
        linear = view.sample2image().linear[1:]
        on_specimen = np.linalg.solve(linear[:, 1:], (places - view.shift_yx_A).T).T
        shift: NDArray[np.float64] = self.local.displacement_zyx_A(on_specimen, section) @ linear.T
        return shift

    def moved(self, by_zyx_A: tuple[float, float, float]) -> "Alignment":
        """Return the same alignment with the specimen's origin moved to the position `by_zyx_A`.

        This is the gauge freedom of every alignment: no image can tell the difference.
        """
        tilts = []
        for tilt in self.tilts:
            _, y, x = tilt.sample2image()(by_zyx_A)
            tilts.append(tilt.replace(shift_yx_A=(float(y), float(x))))
        local = self.local.about((by_zyx_A[1], by_zyx_A[2])) if self.local else None
        return self.replace(tilts=tuple(tilts), local=local)
