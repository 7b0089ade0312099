"""Where a specimen is in focus: defocus of its points, and how far one value of defocus reaches."""

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eucentric.optics.beam import wavelength_A


def defocus_of_point_A(
    defocus_A: ArrayLike, x_A: ArrayLike, z_A: ArrayLike, tilt_deg: ArrayLike, hand: Literal[1, -1] = 1
) -> NDArray[np.float64]:
    """Return the defocus of a point of a tilted specimen: ``defocus + hand (x sin a + z cos a)``.

    `x_A` is its distance from the tilt axis and `z_A` its height, both in the specimen's own frame (at 60° 1 µm
    from the axis is 0.866 µm of defocus; 1 µm in the image is 2 µm of specimen and 1.732 µm of defocus). `hand` is
    the defocus hand.
    """
    tilt = np.deg2rad(np.asarray(tilt_deg, dtype=float))
    height = np.asarray(x_A, dtype=float) * np.sin(tilt) + np.asarray(z_A, dtype=float) * np.cos(tilt)
    defocus: NDArray[np.float64] = np.asarray(defocus_A, dtype=float) + hand * height
    return defocus


def depth_of_field_A(resolution_A: float, voltage_kV: float = 300.0) -> float:
    """Return the depth over which one defocus holds to a phase error of pi/4: ``d² / (4 lambda)``."""
    return resolution_A**2 / (4 * wavelength_A(voltage_kV))


def strip_width_A(resolution_A: float, tilt_deg: float, voltage_kV: float = 300.0) -> float:
    """Return how wide a strip of the specimen, along its own plane, shares one defocus; infinite where untilted."""
    slope = abs(math.sin(math.radians(tilt_deg)))
    return depth_of_field_A(resolution_A, voltage_kV) / slope if slope > 0 else math.inf


def first_thick_node_A(thickness_A: float, voltage_kV: float = 300.0) -> float:
    """Return the resolution at which the depth of a slab first cancels its Thon rings: ``sqrt(lambda t)``.

    Tichelaar et al. 2020, 10.1016/j.ultramic.2020.113023.
    """
    return math.sqrt(wavelength_A(voltage_kV) * thickness_A)
