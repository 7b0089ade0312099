"""`Delivered`: what has hit the specimen, where, so that every place knows its exposure."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from eucentric.core import Angstrom, ElectronsPerA2, Record

Array = NDArray[np.float64]


class Spot(Record):
    """A beam that went through the specimen: a cylinder.

    Attributes
    ----------
    centre_zyx_A
        A place of the sample frame in its middle.
    along_zyx
        Its unit vector in that frame.
    radius_A, exposure_e_A2
        Its radius, and what it gave within.
    """

    centre_zyx_A: tuple[Angstrom, Angstrom, Angstrom]
    along_zyx: tuple[float, float, float]
    radius_A: Angstrom
    exposure_e_A2: ElectronsPerA2

    @classmethod
    def of(cls, centre_A: Array, along: Array, radius_A: float, exposure_e_A2: float) -> "Spot":
        """Make one from arrays (3,)."""
        (z, y, x), (az, ay, ax) = centre_A.tolist(), along.tolist()
        return cls(centre_zyx_A=(z, y, x), along_zyx=(az, ay, ax), radius_A=radius_A, exposure_e_A2=exposure_e_A2)


class Delivered:
    """The beams that the specimen has seen."""

    def __init__(self, spots: Iterable[Spot] = ()) -> None:
        self._table = np.zeros((64, 8))  # with room for more, so that booking costs the same however many there are
        self._booked = 0
        for spot in spots:
            self.book(spot)

    def book(self, spot: Spot) -> None:
        """Book an exposure."""
        if self._booked == len(self._table):
            self._table = np.concatenate([self._table, np.zeros_like(self._table)])
        self._table[self._booked] = (*spot.centre_zyx_A, *spot.along_zyx, spot.radius_A, spot.exposure_e_A2)
        self._booked += 1

    def at(self, place_A: Array) -> float:
        """Return what a place (3,) of the sample frame has received so far, in e/Å²."""
        table = self._table[: self._booked]
        away, along = place_A - table[:, :3], table[:, 3:6]
        aside = away - (away * along).sum(axis=1)[:, None] * along
        hit = (aside**2).sum(axis=1) <= table[:, 6] ** 2
        return float(table[hit, 7].sum())
