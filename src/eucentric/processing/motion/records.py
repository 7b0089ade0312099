"""What is known of the movement within one exposure, and how it is looked for."""

from typing import Annotated, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from eucentric.core import Angstrom, Record
from eucentric.processing.motion.splines import spline_weights

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Pair = tuple[Angstrom, Angstrom]
PATTERN = 0.02
"""Share of the noise's power that frames may have in common: a pattern of 14 % rms in frames of 1 e/px reaches it.

Specimens that lie still have some .005 at 6 Å (the twin's); with finer pixels it is less."""


class MotionSettings(Record):
    """How movement is looked for.

    Attributes
    ----------
    local
        Whether places may move against each other, where the exposure supports it.
    max_shift_A
        Largest movement between the first and the last frame that is looked for.
    resolution_A
        Finest detail that is used; beyond it the frames of one tilt hold no signal worth its noise.
    """

    local: bool = True
    max_shift_A: Positive = 120.0
    resolution_A: Positive = 4.0


class LocalField(Record):
    """How places move against the whole field: a grid of control points, in time a polynomial.

    A place p (yx in Å from the image's centre) is displaced in frame f by ``sum_t time[f][t] sum_c w_c(p) c[t][c]``;
    the weights of the nearest control points are those of quadratic B-splines over the field.

    Attributes
    ----------
    shape_yx
        Control points along each axis.
    field_yx_A
        Size of the field over which they lie.
    time
        Basis functions at each frame, (frames, times).
    control_yx_A
        Displacements, (times, rows * columns), each yx.
    """

    shape_yx: tuple[Annotated[int, Field(ge=3)], Annotated[int, Field(ge=3)]]
    field_yx_A: tuple[Positive, Positive]
    time: tuple[tuple[float, ...], ...]
    control_yx_A: tuple[tuple[Pair, ...], ...]

    def displacement_yx_A(self, places_yx_A: ArrayLike, frame: int) -> NDArray[np.float64]:
        """Return how far places (..., 2) are displaced in a frame, beyond the frame's own shift, (..., 2)."""
        places = np.asarray(places_yx_A, dtype=float)
        control = np.einsum("t,tcd->cd", np.array(self.time[frame]), np.array(self.control_yx_A))
        weights = spline_weights(places.reshape(-1, 2), self.shape_yx, self.field_yx_A)
        return np.asarray((weights @ control).reshape(places.shape))


class MotionTrack(Record):
    """How the frames of one exposure lie against each other.

    Attributes
    ----------
    frames
        Which frames of the movie these are: all of them, unless some could not be read.
    shifts_yx_A
        Where, in each frame, the specimen is seen, from its mean place over the frames: along rows and columns of the
        recorded image. To undo the movement, a frame is moved by the negative.
    sigma_A
        Standard deviation of each along one axis, as noise and prior leave it.
    local
        How places move against the whole field; absent where the exposure does not support it.
    """

    frames: Annotated[tuple[int, ...], Field(min_length=1)]
    shifts_yx_A: tuple[Pair, ...]
    sigma_A: tuple[Annotated[Angstrom, Field(ge=0)], ...]
    local: LocalField | None = None

    @model_validator(mode="after")
    def _one_for_each_frame(self) -> Self:
        if not len(self.frames) == len(self.shifts_yx_A) == len(self.sigma_A):
            raise ValueError("each frame needs one shift and one uncertainty")
        return self

    @property
    def total_A(self) -> float:
        """Length of the way that the specimen went, from frame to frame."""
        shifts = np.array(self.shifts_yx_A)
        return float(np.linalg.norm(np.diff(shifts, axis=0), axis=1).sum())

    @classmethod
    def still(cls, frames: int) -> Self:
        """Return the track of a specimen that did not move."""
        return cls(frames=tuple(range(frames)), shifts_yx_A=((0.0, 0.0),) * frames, sigma_A=(0.0,) * frames)


class SeriesMotion(Record):
    """The movement within every exposure of a series.

    Attributes
    ----------
    pixel_A
        Of the movies.
    tracks
        In section order; None where a movie could not be used.
    reasons
        Why not, by section.
    fixed_pattern
        What frames share where they lie, of their noise's power, at the finest details: of gain and defects that were
        not corrected. From `PATTERN` on it pulls shifts towards 0, and should be seen to. Absent where pixels are too
        coarse to tell it from the specimen.
    """

    pixel_A: Positive
    tracks: tuple[MotionTrack | None, ...]
    reasons: dict[int, str] = Field(default_factory=dict)
    fixed_pattern: float | None = None

    @property
    def gain_is_wrong(self) -> bool:
        """Whether frames share a pattern of the camera's own that matters."""
        return self.fixed_pattern is not None and self.fixed_pattern >= PATTERN
