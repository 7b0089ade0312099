"""`Site`: a place of the specimen that has been furnished, so that a twin can hold many targets far apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eucentric.core.frames import rotation_about_y
from eucentric.specimen.sample import Sample
from eucentric.twin.mechanics import Mechanics

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Site:
    """A part of the specimen, described in a frame of its own about its place.

    Attributes
    ----------
    name
        Of the target.
    place_zyx_A
        From the specimen's origin, (3,), as at 0° of the stage.
    sample
        What is there. Between sites there is its ice, and nothing else.
    """

    name: str
    place_zyx_A: Array
    sample: Sample


def nearest(sites: Sequence[Site], rotation: Array, centre_yx_A: Array) -> int:
    """Return which site lies nearest to a place of the field.

    Parameters
    ----------
    sites
        Of the specimen.
    rotation
        (3, 3), from the specimen to the microscope.
    centre_yx_A
        The place, from where the specimen's origin is seen.
    """
    if len(sites) == 1:
        return 0
    seen = np.array([site.place_zyx_A for site in sites]) @ rotation.T
    return int(np.linalg.norm(seen[:, 1:] - centre_yx_A, axis=1).argmin())


def picked_place(
    mechanics: Mechanics, yx_A: tuple[float, float], slopes_yx: tuple[float, float], above_A: float = 0.0
) -> Array:
    """Return the place of the specimen that is seen at a place of the field now, zyx as at 0°, (3,).

    Parameters
    ----------
    mechanics
        The stage, as it stands.
    yx_A
        Where it is seen, from the optical axis.
    slopes_yx
        How the specimen's plane rises along y and x, at 0°.
    above_A
        How far the place lies above that plane.
    """
    rotation = rotation_about_y(mechanics.true_tilt_deg)
    # Seen is rotation @ place + what the stage does; the place is in the plane: two equations for y and x.
    origin = mechanics.offset_zyx_A(0.0)
    plane = np.array([[slopes_yx[0], slopes_yx[1]], [1.0, 0.0], [0.0, 1.0]])
    seen = (rotation @ plane)[1:]
    wanted = np.array(yx_A) - origin[1:] - (rotation @ np.array([above_A, 0.0, 0.0]))[1:]
    y, x = np.linalg.solve(seen, wanted)
    return np.asarray(plane @ np.array([y, x]) + np.array([above_A, 0.0, 0.0]))
