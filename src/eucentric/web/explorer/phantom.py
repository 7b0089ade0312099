"""A piece of a cell in ice, made of balls, hollow balls and tubes: seen at any tilt without a grid.

Lengths in Å, about the centre of the slab; x across the tilt axis, y along it, z up. Contrast is the potential over
that of ice in V. A tube runs along the tilt axis.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from eucentric.core import stream

Array = NDArray[np.float64]

REACH_XYZ_A = (6600.0, 1900.0, 2000.0)
"""Half of the piece: what comes into a field of 4500 Å at ±70°, through the thickest slab."""

RIBOSOME_V, MEMBRANE_V, TUBE_V, GOLD_V = 1.7, 1.8, 1.6, 8.0
"""Protein is 2.4 V above ice (`design.signal`), and a ribosome half of protein and RNA; a membrane is much like it.

Gold would be some 20 V, which is no weak phase any more: beads are given what keeps images above 0."""

BEAD_A = 50.0
"""Radius of a bead of gold."""

MARKED_X_A = (-1150.0, 150.0, 1250.0)
"""Where the three beads are whose ways are followed: one above the slab, one in its middle, one below."""

_MEMBRANE_A = 40.0
_SUBUNITS = ((0.0, 112.0), (118.0, 82.0))  # of a ribosome: distance from the first, and radius
_TUBE_A = (125.0, 85.0)  # a microtubule's outer and inner radius
_APART_A = 40.0
_RIBOSOMES = 620
_NEAR = 0.05
_VESICLES = (  # x, y, z and radius
    (-1500.0, 0.0, -60.0, 560.0),
    (900.0, 250.0, 180.0, 430.0),
    (2900.0, -300.0, -100.0, 620.0),
    (-3600.0, 200.0, 150.0, 500.0),
    (300.0, -900.0, -500.0, 520.0),
    (-600.0, 1100.0, 300.0, 600.0),
)
_TUBES = ((-520.0, -330.0), (-250.0, 390.0), (1750.0, 60.0), (430.0, -90.0), (-2600.0, 250.0), (4100.0, -200.0))


@dataclass(frozen=True, eq=False)
class Pieces:
    """Balls or tubes: centres (m, 3) as x, y, z, radii outside and inside (m,), and contrast (m,)."""

    centre_A: Array
    outer_A: Array
    inner_A: Array
    contrast_V: Array

    @classmethod
    def of(cls, rows: "list[tuple[float, float, float, float, float, float]]") -> "Pieces":
        """Return the pieces of rows of x, y, z, radius, inner radius and contrast."""
        table = np.array(rows, dtype=float).reshape(-1, 6)
        return cls(table[:, :3].copy(), table[:, 3].copy(), table[:, 4].copy(), table[:, 5].copy())

    def those(self, keep: NDArray[np.bool_]) -> "Pieces":
        """Return some of them."""
        return Pieces(self.centre_A[keep], self.outer_A[keep], self.inner_A[keep], self.contrast_V[keep])

    def __add__(self, other: "Pieces") -> "Pieces":
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Pieces(*(np.concatenate(pair) for pair in pairs))

    def __len__(self) -> int:
        return len(self.outer_A)


@dataclass(frozen=True, eq=False)
class Phantom:
    """What a slab holds."""

    balls: Pieces
    tubes: Pieces

    @property
    def section(self) -> Pieces:
        """The plane y = 0 through it, as discs: a ball's is as wide as the ball is there."""
        squared = np.square(self.balls.centre_A[:, 1])
        outer = np.sqrt(np.maximum(np.square(self.balls.outer_A) - squared, 0))
        inner = np.sqrt(np.maximum(np.square(self.balls.inner_A) - squared, 0))
        discs = Pieces(self.balls.centre_A, outer, inner, self.balls.contrast_V)
        return discs.those(outer > 0) + self.tubes


@lru_cache(maxsize=64)
def phantom(thickness_A: float) -> Phantom:
    """Return what a slab of this thickness holds: all of one cell that lies whole within it, and beads."""
    cell = _cell()
    half = thickness_A / 2
    kept = [part.those(np.abs(part.centre_A[:, 2]) + part.outer_A <= half) for part in (cell.balls, cell.tubes)]
    return Phantom(kept[0] + Pieces.of([_bead(*place) for place in beads_A(thickness_A)]), kept[1])


def beads_A(thickness_A: float) -> tuple[tuple[float, float, float], ...]:
    """Return x, y and z of the beads: first the three that are marked, in the plane y = 0; most lie on the slab."""
    top = thickness_A / 2 + BEAD_A
    above, between, below = MARKED_X_A
    others = ((-2900, 700, 1), (-300, -800, 1), (1900, 1000, 1), (-1800, -1100, -1), (600, 900, -1), (2700, -500, -1))
    return ((above, 0.0, top), (between, 0.0, 0.0), (below, 0.0, -top), *((x, y, side * top) for x, y, side in others))


def _bead(x: float, y: float, z: float) -> tuple[float, float, float, float, float, float]:
    return x, y, z, BEAD_A, 0.0, GOLD_V


@lru_cache(maxsize=1)
def _cell() -> Phantom:
    """Return the cell that slabs are cut from: ribosomes wherever there is room between all else."""
    random = stream(0, "explorer", "cell")
    taken = [(np.array([x, y, z]), radius) for x, y, z, radius in _VESICLES]
    taken.append((np.array([MARKED_X_A[1], 0.0, 0.0]), BEAD_A))
    rows = [(x, y, z, radius, radius - _MEMBRANE_A, MEMBRANE_V) for x, y, z, radius in _VESICLES]
    tubes = [(x, 0.0, z, *_TUBE_A, TUBE_V) for x, z in _TUBES]
    centres, radii = (np.array([part[at] for part in taken]) for at in (0, 1))
    size = sum(_SUBUNITS[-1])
    places = random.uniform(-1, 1, (3 * _RIBOSOMES, 3)) * REACH_XYZ_A
    places[: len(places) // 3, 1] *= _NEAR  # the slice goes through more of them than chance would have it
    for place in places:
        direction = random.normal(size=3)
        direction /= np.linalg.norm(direction)
        apart = np.linalg.norm(centres - place, axis=1)
        inside = apart + size + _MEMBRANE_A + _APART_A < radii  # ribosomes may lie in what is large and hollow
        far = apart > radii + size + _APART_A
        far_from_tubes = all(np.hypot(place[0] - x, place[2] - z) > _TUBE_A[0] + size + _APART_A for x, z in _TUBES)
        if not ((far | inside).all() and far_from_tubes) or len(centres) >= _RIBOSOMES + len(taken):
            continue
        centres, radii = np.vstack([centres, place]), np.append(radii, size)
        rows += [(*(place + away * direction), radius, 0.0, RIBOSOME_V) for away, radius in _SUBUNITS]
    return Phantom(Pieces.of(rows), Pieces.of(tubes))
