"""SerialEM's coordinates, and how they lie to ours.

Its specimen coordinates (µm) have X along the tilt axis and Y across it, right-handed with the image upright: ours are
``y = X``, ``x = -Y``. All its other coordinates are tied to them by matrices, which scripts can ask for: image shift
units, stage, camera (unbinned pixels, X to the right and Y upward).
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eucentric.microscope import ShiftYX

Array = NDArray[np.float64]

UM = 1e4
"""Å in a µm."""


def specimen_um(yx_A: ShiftYX | Array) -> Array:
    """Return SerialEM's specimen coordinates (X, Y) of ours (y, x)."""
    return np.array([yx_A[0], -yx_A[1]]) / UM


def ours_A(specimen: tuple[float, float] | Array) -> ShiftYX:
    """Return our (y, x) of SerialEM's specimen coordinates (X, Y)."""
    return float(specimen[0]) * UM, -float(specimen[1]) * UM


def _turned(degrees: float, scale: float = 1.0) -> Array:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return scale * np.array([[cos, -sin], [sin, cos]])


@dataclass(frozen=True)
class Geometry:
    """How coordinates are tied to the specimen's on this microscope.

    Attributes
    ----------
    axis_deg
        Tilt-axis angle in the images as the microscope tells it (IMOD's).
    is2specimen, stage2specimen
        (2, 2). Chosen: image shift turned by 12° and a little off in scale; the stage turned by 180° and a little
        more, as stages usually are.
    """

    axis_deg: float
    is2specimen: Array = field(default_factory=lambda: _turned(12.0, 0.97))
    stage2specimen: Array = field(default_factory=lambda: _turned(181.5))

    def specimen2camera(self, pixel_A: float) -> Array:
        """Return the matrix from specimen coordinates (µm) to pixels of this size."""
        return _turned(self.axis_deg + 90.0, UM / pixel_A)
