"""Room for things: bodies made of spheres are put where no other is, in the order in which they come."""

from dataclasses import dataclass
from functools import cache
from math import floor

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eucentric.core.jit import compiled
from eucentric.specimen.molecule import Molecule

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]
Masks = NDArray[np.bool_]
Indices = NDArray[np.int32]

_CELL_A = 48.0  # edge of the cells in which near spheres are looked up: a protein's diameter
_GLOBULE_A = 32.0  # a molecule no larger than this (radius of the ball that is as spread out) counts as that ball
_GRAIN_A = 28.0  # larger ones are balls of this diameter, or a little more, where their atoms are


@dataclass(frozen=True, eq=False)
class Body:
    """Spheres that stand for a molecule: `offsets_A` (k, 3), zyx from its centre, and `radii_A` (k,)."""

    offsets_A: Doubles
    radii_A: Doubles

    @property
    def extent_A(self) -> float:
        """How far the farthest point is from the centre."""
        return float((np.linalg.norm(self.offsets_A, axis=1) + self.radii_A).max())

    @classmethod
    def ball(cls, radius_A: float) -> "Body":
        """Return a single sphere."""
        return cls(np.zeros((1, 3)), np.array([radius_A]))


@cache
def body_of(molecule: Molecule) -> Body:
    """Return the spheres that fill the volume of a molecule; a globular protein is one."""
    atoms = molecule.positions_A.astype(float)
    radius_A = float(np.sqrt(5 / 3 * np.square(atoms).sum(axis=1).mean()))
    if radius_A <= _GLOBULE_A:
        return Body.ball(radius_A)
    cells = np.floor(atoms / _GRAIN_A).astype(int)
    _, where, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    means = np.stack([np.bincount(where.ravel(), atoms[:, axis]) / counts for axis in range(3)], axis=1)
    filled = counts > 0.15 * np.quantile(counts, 0.9)  # a loop that sticks out does not keep others away
    return Body(means[filled], np.full(int(filled.sum()), 0.6 * _GRAIN_A))


class Packing:
    """What room is taken in a box about the origin.

    Parameters
    ----------
    half_A
        Half sides of the box, (3,) zyx; what lies beyond is found, more slowly.
    """

    def __init__(self, half_A: ArrayLike) -> None:
        half = np.asarray(half_A, dtype=float)
        self._low = -half
        self._first = np.full(np.ceil(2 * half / _CELL_A).astype(int) + 1, -1, np.int32)
        self._next = np.empty(0, np.int32)
        self._spheres = np.empty((0, 4), np.float32)
        self._count = 0
        self._largest = 0.0

    def free(self, body: Body, centres_A: Doubles, rotations: Doubles) -> Masks:
        """Return which copies (m,) of a body overlap nothing, each by itself; takes no room."""
        return self._run(body, centres_A, rotations, len(centres_A), check=True, add=False)

    def take(self, body: Body, centres_A: Doubles, rotations: Doubles) -> None:
        """Take the room of copies of a body, whatever is there."""
        self._run(body, centres_A, rotations, len(centres_A), check=False, add=True)

    def settle(self, body: Body, centres_A: Doubles, rotations: Doubles, limit: int) -> Masks:
        """Take the room of the copies that overlap neither what is there nor earlier ones; return which (m,).

        Parameters
        ----------
        body
            What is placed.
        centres_A, rotations
            Where, (m, 3), and how turned, (m, 3, 3).
        limit
            At most so many are placed.
        """
        return self._run(body, centres_A, rotations, limit, check=True, add=True)

    def _run(self, body: Body, centres: Doubles, rotations: Doubles, limit: int, *, check: bool, add: bool) -> Masks:
        kept = np.zeros(len(centres), np.bool_)
        if add:
            self._reserve(self._count + min(limit, len(centres)) * len(body.radii_A))
        self._count = _settle(
            np.ascontiguousarray(centres, dtype=float),
            np.ascontiguousarray(rotations, dtype=float),
            body.offsets_A,
            body.radii_A,
            limit,
            check,
            add,
            self._low,
            self._largest,
            self._first,
            self._next,
            self._spheres,
            self._count,
            kept,
        )
        if add:
            self._largest = max(self._largest, float(body.radii_A.max()))
        return kept

    def _reserve(self, needed: int) -> None:
        if needed > len(self._next):
            size = max(needed, len(self._next) * 3 // 2)
            more = size - len(self._next)
            self._next = np.concatenate([self._next, np.empty(more, np.int32)])
            self._spheres = np.concatenate([self._spheres, np.empty((more, 4), np.float32)])


@compiled()
def _cell(offset_A: float, cells: int) -> int:
    return int(min(max(floor(offset_A / _CELL_A), 0), cells - 1))


@compiled()
def _is_free(
    place: Doubles, radius: float, low: Doubles, largest: float, first: Indices, following: Indices, spheres: Floats
) -> bool:
    reach = radius + largest
    nz, ny, nx = first.shape
    z, y, x = place[0], place[1], place[2]
    for i in range(_cell(z - reach - low[0], nz), _cell(z + reach - low[0], nz) + 1):
        for j in range(_cell(y - reach - low[1], ny), _cell(y + reach - low[1], ny) + 1):
            for k in range(_cell(x - reach - low[2], nx), _cell(x + reach - low[2], nx) + 1):
                sphere = first[i, j, k]
                while sphere >= 0:
                    square = (spheres[sphere, 0] - z) ** 2 + (spheres[sphere, 1] - y) ** 2
                    square += (spheres[sphere, 2] - x) ** 2
                    if square < (radius + spheres[sphere, 3]) ** 2:
                        return False
                    sphere = following[sphere]
    return True


@compiled()
def _settle(
    centres: Doubles,
    rotations: Doubles,
    offsets: Doubles,
    radii: Doubles,
    limit: int,
    check: bool,
    add: bool,
    low: Doubles,
    largest: float,
    first: Indices,
    following: Indices,
    spheres: Floats,
    count: int,
    kept: Masks,
) -> int:
    """Fill `kept` and return the number of spheres there are now."""
    nz, ny, nx = first.shape
    places = np.empty((len(offsets), 3))
    if add:
        for radius in radii:  # in loops: of whole arrays, compiling takes three times as long
            largest = max(largest, radius)
    placed = 0
    for copy in range(len(centres)):
        if placed >= limit:
            break
        is_free = True
        for part in range(len(offsets)):
            for axis in range(3):
                turned = 0.0
                for other in range(3):
                    turned += rotations[copy, axis, other] * offsets[part, other]
                places[part, axis] = centres[copy, axis] + turned
            if check and not _is_free(places[part], radii[part], low, largest, first, following, spheres):
                is_free = False
                break
        if not is_free:
            continue
        kept[copy] = True
        placed += 1
        if add:
            for part in range(len(offsets)):
                i = _cell(places[part, 0] - low[0], nz)
                j = _cell(places[part, 1] - low[1], ny)
                k = _cell(places[part, 2] - low[2], nx)
                for axis in range(3):
                    spheres[count, axis] = places[part, axis]
                spheres[count, 3] = radii[part]
                following[count] = first[i, j, k]
                first[i, j, k] = count
                count += 1
    return count
