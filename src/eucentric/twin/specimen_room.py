"""The room that a specimen file has for things: the ice, what is taken of it, and where an entry stands in the file."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eucentric.core import DataWarning, InputError
from eucentric.io.yaml_text import Place
from eucentric.specimen.matrix import Matrix
from eucentric.specimen.samples import THINNEST_A, slab_for
from eucentric.specimen.samples.filling import Slab, Space
from eucentric.specimen.samples.packing import Body, Packing
from eucentric.twin.specimen_records import Ice

Doubles = NDArray[np.float64]
Masks = NDArray[np.bool_]

# Share of a volume that nothing strewn one after the other fills: spheres get to 0.384 (Zhang & Torquato 2013,
# 10.1103/PhysRevE.88.053312), other shapes to a little more.
_FULL = 0.45
_MOST = 1_000_000  # of one entry: some 100 MB of places and rotations


@dataclass(frozen=True, eq=False)
class Room:
    """The ice of a specimen, lying flat, and what is taken of it.

    Attributes
    ----------
    slab
        What is to be made.
    matrix
        The ice.
    packing
        What is taken.
    at
        Names the place of an entry, for errors: its file, line and field.
    """

    slab: Slab
    matrix: Matrix
    packing: Packing
    at: Callable[[Place], str]

    @classmethod
    def of(cls, ice: Ice, at: Callable[[Place], str], *, seed: int, field_A: float, max_tilt_deg: float) -> "Room":
        """Return the empty room of a field.

        Raises
        ------
        InputError
            If the field or the tilts cannot be filled, or a wedge of ice ends within view.
        """
        thickness_A = ice.thickness_A
        slab = slab_for(
            seed=seed,
            field_A=field_A,
            thickness_A=max(thickness_A, THINNEST_A),  # thinner ice needs no less length than that
            max_tilt_deg=max_tilt_deg,
            pre_tilt_deg=ice.pre_tilt_deg,
        )
        thinnest_A = thickness_A - abs(ice.wedge) * slab.half_A[2] - 6 * ice.roughness_A
        if ice.wedge and thinnest_A <= 0:
            raise InputError(
                f"{at(('ice', 'wedge'))} is {ice.wedge:g}: the ice would end within view, "
                f"which reaches {slab.half_A[2]:.0f} Å along x.",
                "Give a smaller wedge, thicker ice, a smaller field or smaller tilts.",
            )
        matrix = _matrix(ice, slab)
        low, high = float(matrix.lower_A.min()), float(matrix.upper_A.max())
        half = np.array([max(-low, high), *slab.half_A[1:]])
        return cls(replace(slab, thickness_A=thickness_A, half_A=half), matrix, Packing(half), at)

    @property
    def has_ice(self) -> bool:
        """Whether there is any ice."""
        return self.slab.thickness_A > 0

    def holds(self, places_A: Doubles, margin_A: float = 0.0) -> Masks:
        """Return which places (n, 3) are in the ice, as far from its faces as the margin; all if there is no ice."""
        if not self.has_ice:
            return np.ones(len(places_A), np.bool_)
        up = np.array([margin_A, 0.0, 0.0])
        return self.matrix.inside(places_A + up) & self.matrix.inside(places_A - up)

    def in_view(self, places_A: Doubles) -> Masks:
        """Return which places (n, 3) are within the length and width of the slab."""
        return np.asarray(np.all(np.abs(places_A[:, 1:]) <= self.slab.half_A[1:], axis=1))

    @property
    def everywhere(self) -> Space:
        """All of the ice."""
        return Space(self.slab.half_A, self.holds)

    @property
    def in_field(self) -> Space:
        """The ice of the field."""
        half = np.array([self.slab.half_A[0], self.slab.field_A / 2, self.slab.field_A / 2])
        return Space(half, self.holds)

    @property
    def around_field(self) -> Space:
        """The ice outside the field."""

        def holds(places_A: Doubles, margin_A: float) -> Masks:
            outside = np.any(np.abs(places_A[:, 1:]) > self.slab.field_A / 2, axis=1)
            return np.asarray(outside & self.holds(places_A, margin_A))

        return Space(self.slab.half_A, holds)

    def shares(self, count: int) -> tuple[tuple[int, Space], tuple[int, Space]]:
        """Return how many go into the field, and how many around it if it is as full there."""
        return (count, self.in_field), (round(count * (self.slab.fields - 1)), self.around_field)

    def faces_A(self, yx_A: Doubles) -> tuple[Doubles, Doubles]:
        """Return the heights of the lower and the upper face at places (n, 2)."""
        from scipy.ndimage import map_coordinates

        rows = yx_A.T / self.matrix.grid_A + np.array(self.matrix.lower_A.shape)[:, None] // 2
        lower, upper = (
            map_coordinates(face, rows, order=1, mode="nearest") for face in (self.matrix.lower_A, self.matrix.upper_A)
        )
        return lower, upper

    def places(self, given_A: ArrayLike, place: Place) -> Doubles:
        """Return places of the file (n, 3) as an array.

        Raises
        ------
        InputError
            If one is not in the ice.
        """
        places_A = np.asarray(given_A, dtype=float).reshape(-1, 3)
        outside = np.flatnonzero(~self.holds(places_A))
        if len(outside):
            index = int(outside[0])
            lower, upper = self.faces_A(places_A[index : index + 1, 1:])
            raise InputError(
                f"{self.at((*place, index))} is not in the ice, which goes there from {lower[0]:.0f} to "
                f"{upper[0]:.0f} Å in z; it is at {places_A[index, 0]:g} Å.",
                "Move it, or make the ice thicker.",
            )
        return places_A

    def check_room(self, place: Place, what: str, margin_A: float, wanted: int = 0, body: Body | None = None) -> None:
        """Refuse what has no room even while nothing else is there.

        Raises
        ------
        InputError
            If there is no ice, it is thinner than twice the margin, or so many bodies would fill all of it.
        """
        if not self.has_ice:
            raise InputError(
                f"{self.at(place)}: there is no ice that {what} could be strewn in.", "Give their places, or some ice."
            )
        if not self.everywhere.volume_A3(margin_A):
            raise InputError(
                f"{self.at(place)}: {what} would not fit into the ice, which is {self.slab.thickness_A:g} Å thick; "
                f"{2 * margin_A:.0f} Å would be needed.",
                "Make the ice thicker, or give places.",
            )
        volume_A3 = self.everywhere.volume_A3()
        each_A3 = 0.0 if body is None else float(4 / 3 * np.pi * (body.radii_A**3).sum())
        most = min(_MOST, int(_FULL * volume_A3 / max(each_A3, 1.0)))
        if wanted > 2 * most:
            raise InputError(
                f"{self.at(place)}: {wanted} {what} are too many: there is room for {most} at most.", "Ask for fewer."
            )

    def check_found(self, place: Place, what: str, wanted: int, found: int) -> None:
        """Say how many found room, if not all did.

        Raises
        ------
        InputError
            If fewer than half did.

        Warns
        -----
        DataWarning
            If some did not, or none was wanted.
        """
        said = f"{self.at(place)}: there is room for {found} of {wanted} {what}"
        if 2 * found < wanted:
            raise InputError(f"{said}, fewer than half.", "Ask for fewer, or make the ice thicker.")
        if found < wanted:
            warnings.warn(f"{said}: the specimen has no more of them.", DataWarning, stacklevel=3)
        if not wanted:
            said = f"{self.at(place)}: that is less than one of {what} in all of the specimen: there is none."
            warnings.warn(said, DataWarning, stacklevel=3)


class Apart(Packing):
    """A packing in which what is settled also keeps a distance from the others, from centre to centre.

    Parameters
    ----------
    room
        What room is taken by anything else, which is asked first.
    half_A
        Half sides of the box.
    distance_A
        The least distance.
    """

    _CELL_A = 48.0  # that of `Packing`: larger distances are scaled down to it, as many cells take long to look up

    def __init__(self, room: Packing, half_A: Doubles, distance_A: float) -> None:
        self._scale = min(1.0, self._CELL_A / distance_A)
        self._ball = Body.ball(self._scale * distance_A / 2)
        super().__init__(half_A * self._scale)
        self._room = room

    def settle(self, body: Body, centres_A: Doubles, rotations: Doubles, limit: int) -> Masks:
        """Take the room of the copies that overlap nothing and are far from each other; return which (m,)."""
        kept = self._room.free(body, centres_A, rotations)
        kept[kept] = super().settle(self._ball, self._scale * centres_A[kept], rotations[kept], limit)
        kept[kept] = self._room.settle(body, centres_A[kept], rotations[kept], limit)
        return kept


def _matrix(ice: Ice, slab: Slab) -> Matrix:
    if ice.roughness_A or ice.wedge:
        side_A = 2 * float(slab.half_A[1:].max()) + ice.roughness_length_A
        matrix = Matrix.rough(
            ice.thickness_A, ice.roughness_A, ice.roughness_length_A, side_A, slab.seed, wedge=ice.wedge
        )
    else:
        matrix = Matrix.slab(ice.thickness_A)
    if ice.hole_radius_A is None or ice.carbon_A is None:
        return matrix
    return replace(
        matrix, hole_radius_A=ice.hole_radius_A, hole_centre_yx_A=ice.hole_centre_yx_A, carbon_A=ice.carbon_A
    )
