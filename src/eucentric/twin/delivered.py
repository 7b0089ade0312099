"""`Delivered`: what has hit the specimen, where, so that every place knows its exposure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Spot:
    centre_A: Array  # a place of the sample frame on the beam's middle
    along: Array  # unit vector of the beam in the sample frame
    radius_A: float
    exposure_e_A2: float


class Delivered:
    """The beams that the specimen has seen: each a cylinder through it."""

    def __init__(self) -> None:
        self._spots: list[_Spot] = []

    def book(self, centre_A: Array, along: Array, radius_A: float, exposure_e_A2: float) -> None:
        """Book an exposure.

        Parameters
        ----------
        centre_A
            A place of the sample frame (zyx) in the middle of the beam.
        along
            Unit vector of the beam in that frame.
        radius_A
            Of the beam.
        exposure_e_A2
            Within it.
        """
        self._spots.append(_Spot(np.array(centre_A, float), np.array(along, float), radius_A, exposure_e_A2))

    def at(self, place_A: Array) -> float:
        """Return what a place (3,) of the sample frame has received so far, in e/Å²."""
        total = 0.0
        for spot in self._spots:
            away = place_A - spot.centre_A
            aside = away - (away @ spot.along) * spot.along
            if aside @ aside <= spot.radius_A**2:
                total += spot.exposure_e_A2
        return total
