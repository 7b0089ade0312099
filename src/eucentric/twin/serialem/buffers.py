"""An image in one of SerialEM's buffers, with what is known of it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucentric.microscope import Readback
from eucentric.twin.serialem.setting_up import Letter
from eucentric.twin.truth import ExposureTruth

Pixels = NDArray[np.int16] | NDArray[np.float32]
Array = NDArray[np.float64]

LETTERS = "ABCDEFGHIJKLMNOPQRST"
ROLLED = 5
"""How many buffers an image goes through as new ones arrive in A."""


@dataclass(frozen=True, eq=False)
class TruePlace:
    """What is true of an image, and the place of its site that lies in its centre, (3,) zyx Å."""

    exposure: ExposureTruth
    centre_zyx_A: Array


@dataclass(frozen=True, eq=False)
class Buffer:
    """An image and its conditions.

    Attributes
    ----------
    pixels
        (y, x), row 0 at the bottom; a few equal ones where the twin makes none.
    pixel_A, binning
        Of these pixels, and how many of the camera's lie along each side of one.
    shown_xy
        How many pixels SerialEM says that it has, in X and Y.
    camera_set, exposure_s, exposure_e_A2, tilt_deg, axis_deg, magnification, readback
        How it was taken; of an image from a file without its .mdoc, what can be known.
    truth
        Where it really was, for a twin without pixels; None where nobody knows.
    shift_yx_A
        By how much the image shift was changed to align it, along and across the tilt axis.
    counts
        Least, greatest and mean count.
    movie, frames
        Its movie, where one was saved.
    taken
        Number of its exposure, where it is one of this rehearsal's.
    prior_e_A2
        What the script says that the place had received before; None where it does not count.
    off_yx_A
        Where its centre lies from that of the image that was taken, along and across the tilt axis: of a part of it.
    centre_um
        Where the Navigator has its centre, of a map that was not taken here.
    map_id
        The Navigator's number for the map that it is; 0 if it is none.
    saved_in
        File and section that it was saved in.
    """

    pixels: Pixels
    pixel_A: float
    shown_xy: tuple[int, int]
    camera_set: Letter = "R"
    binning: int = 1
    exposure_s: float = 0.0
    exposure_e_A2: float = 0.0
    tilt_deg: float = 0.0
    axis_deg: float = 0.0
    magnification: int = 0
    readback: Readback | None = None
    truth: TruePlace | None = None
    shift_yx_A: tuple[float, float] = (0.0, 0.0)
    counts: tuple[float, float, float] = (0.0, 0.0, 0.0)
    movie: Path | None = None
    frames: int = 0
    taken: int | None = None
    prior_e_A2: float | None = None
    off_yx_A: tuple[float, float] = (0.0, 0.0)
    centre_um: tuple[float, float, float] | None = None
    map_id: int = 0
    saved_in: tuple[Path, int] | None = None

    def shifted(self, yx_A: tuple[float, float]) -> "Buffer":
        """Return the image with more of a shift."""
        y, x = self.shift_yx_A
        return replace(self, shift_yx_A=(y + yx_A[0], x + yx_A[1]))

    def cropped(self, columns: int, rows: int) -> "Buffer":
        """Return the middle of the image, of so many pixels in X and Y, or of all that it has."""
        columns, rows = min(columns, self.shown_xy[0]), min(rows, self.shown_xy[1])
        pixels = self.pixels
        if pixels.shape == self.shown_xy[::-1]:
            down, right = (n // 2 - wanted // 2 for n, wanted in zip(pixels.shape, (rows, columns), strict=True))
            pixels = pixels[down : down + rows, right : right + columns]
        return replace(self, pixels=pixels, shown_xy=(columns, rows), saved_in=None)

    def at_shown_size(self) -> Pixels:
        """Return pixels of the size that SerialEM says, (y, x): where the twin makes none, all are equal."""
        if self.pixels.shape == self.shown_xy[::-1]:
            return self.pixels
        return np.full(self.shown_xy[::-1], self.pixels.ravel()[0] if self.pixels.size else 0, self.pixels.dtype)

    def with_pixels(self, pixels: Pixels, **changes: Any) -> "Buffer":
        """Return an image that was made of this one: it has its place and conditions, and is in no file."""
        low, high, mean = float(pixels.min()), float(pixels.max()), float(pixels.mean())
        return replace(self, pixels=pixels, counts=(low, high, mean), saved_in=None, **changes)
