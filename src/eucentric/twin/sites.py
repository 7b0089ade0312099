"""`Site`: a place of the specimen that has been furnished, so that a twin can hold many targets far apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eucentric.specimen.sample import Sample

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
