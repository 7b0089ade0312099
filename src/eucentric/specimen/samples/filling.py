"""How much of a slab is made, and how molecules and beads are strewn in it without overlap."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eucentric.core import stream
from eucentric.core.errors import DataWarning
from eucentric.specimen.library import molecule
from eucentric.specimen.molecule import Molecule
from eucentric.specimen.sample import Beads, Placed, random_rotations
from eucentric.specimen.samples.packing import Body, Packing, body_of

Doubles = NDArray[np.float64]
Masks = NDArray[np.bool_]

BEAD_A = 100.0
DALTON_A3 = 6.02214e-4  # in a mg/mL

# Shares of mass among a crowd's proteins: chosen so that the mean protein has some 31 kDa, about a bacterium's.
CROWD = {
    "protein-138kDa": 0.1,
    "protein-102kDa": 0.15,
    "protein-39kDa": 0.25,
    "protein-32kDa": 0.2,
    "protein-24kDa": 0.15,
    "protein-17kDa": 0.1,
    "protein-10kDa": 0.05,
}

_BEAD_SPREAD_A, _LARGEST_BEAD_A, _ICE_PER_BEAD_A2 = 4.0, 110.0, 250.0**2
_ROUNDS, _AT_ONCE = 60, 200_000


@dataclass(frozen=True, eq=False)
class Slab:
    """What is to be made, lying flat and centred on z = 0.

    Attributes
    ----------
    seed
        Chooses the specimen.
    field_A
        Side of the square field that will be imaged.
    thickness_A
        Thickness of the ice.
    half_A
        Half sides of the box to fill, (3,) zyx.
    """

    seed: int
    field_A: float
    thickness_A: float
    half_A: Doubles

    @property
    def fields(self) -> float:
        """How many fields the slab's area makes."""
        return float(4 * self.half_A[1] * self.half_A[2] / self.field_A**2)

    def draw(self, part: str) -> np.random.Generator:
        """Return the random stream of one part of the specimen."""
        return stream(self.seed, "specimen", part)


def _everywhere(places_A: Doubles, margin_A: float) -> Masks:
    return np.ones(len(places_A), np.bool_)


@dataclass(frozen=True, eq=False)
class Space:
    """Part of a box about the origin.

    Attributes
    ----------
    half_A
        Half sides of the box, (3,) zyx.
    holds
        Tells of places (n, 3) and a margin to the faces which are in the space: (n,).
    """

    half_A: Doubles
    holds: Callable[[Doubles, float], Masks] = _everywhere

    def places(self, n: int, margin_A: float, draw: np.random.Generator) -> Doubles:
        """Return those of `n` places drawn in the box, `margin_A` from its faces in z, that are in the space."""
        half = np.array([max(self.half_A[0] - margin_A, 0.0), *self.half_A[1:]])
        places = draw.uniform(-half, half, (n, 3))
        return np.asarray(places[self.holds(places, margin_A)])

    def volume_A3(self, margin_A: float = 0.0) -> float:
        """Return the volume in which places are found, from 50,000 of an even lattice."""
        half = np.array([max(self.half_A[0] - margin_A, 0.0), *self.half_A[1:]])
        # Steps by powers of the root of x⁴ = x + 1 fill a box evenly at any number of points.
        turns = 1.2207440846057596 ** -np.arange(1.0, 4.0)
        unit = (0.5 + np.arange(1, 50_001)[:, None] * turns) % 1
        return float(np.prod(2 * half) * self.holds((2 * unit - 1) * half, margin_A).mean())


def strewn(
    packing: Packing, body: Body, n: int, places: Callable[[int], Doubles], draw: np.random.Generator, name: str
) -> tuple[Doubles, Doubles]:
    """Return centres (n, 3) and rotations (n, 3, 3) of bodies that overlap nothing, fewer if there is no room.

    Parameters
    ----------
    packing
        What room is taken; these take theirs.
    body
        What is placed.
    n
        How many are wanted.
    places
        Draws about so many candidates for a centre, (m, 3).
    draw
        Chooses rotations.
    name
        What they are, for the warning if there are fewer than nine tenths of `n`.
    """
    centres, rotations, missing, yielded = [np.empty((0, 3))], [np.empty((0, 3, 3))], n, 0.5
    for _ in range(_ROUNDS):
        if missing == 0:
            break
        tried = min(round(1.1 * missing / yielded) + 16, _AT_ONCE)
        candidates = places(tried)
        turns = random_rotations(len(candidates), draw)
        kept = packing.settle(body, candidates, turns, missing)
        centres.append(candidates[kept])
        rotations.append(turns[kept])
        missing -= int(kept.sum())
        yielded = max(int(kept.sum()) / tried, 0.02)
    if missing > 0.1 * n:
        message = f"There is room for {n - missing} of {n} copies of {name}: the specimen has no more of them."
        warnings.warn(message, DataWarning, stacklevel=2)
    return np.concatenate(centres), np.concatenate(rotations)


def filled(packing: Packing, filling: Molecule, n: int, space: Space, draw: np.random.Generator, label: str) -> Placed:
    """Return `n` copies of a molecule in a space, turned at random, none of them in the way of another."""
    body, margin_A = body_of(filling), _margin_A(filling, space)
    centres, rotations = strewn(packing, body, n, lambda m: space.places(m, margin_A, draw), draw, filling.name)
    return Placed(filling, centres, rotations, label)


def one_per_cube(packing: Packing, name: str, edge_A: float, space: Space, draw: np.random.Generator) -> Placed:
    """Return copies of a molecule of the library, one to a cube of this edge wherever its centre may be."""
    filling = molecule(name)
    n = round(space.volume_A3(_margin_A(filling, space)) / edge_A**3)
    return filled(packing, filling, n, space, draw, name)


def _margin_A(filling: Molecule, space: Space) -> float:
    """Return how far a molecule's centre keeps from the faces, so that it is whole; in thin ice it may stick out."""
    return min(body_of(filling).extent_A, 0.8 * float(space.half_A[0]))


def crowd(packing: Packing, mass_kDa: float, space: Space, slab: Slab, part: str) -> tuple[Placed, ...]:
    """Return proteins of this mass in all, as small as cells have them, in the room that is left."""
    placed = []
    for name, share in CROWD.items():  # the largest first, as long as there is room for them
        n = round(max(mass_kDa, 0.0) * share / molecule(name).mass_kDa)
        placed.append(filled(packing, molecule(name), n, space, slab.draw(f"{part} {name}"), ""))
    return tuple(placed)


def gold_beads(packing: Packing, slab: Slab, per_field: float) -> Beads:
    """Return beads of 100 Å just below both faces of the slab, none of them in anything else."""
    draw = slab.draw("beads")
    # A field of a few hundred Å is no reason to pave the ice with gold.
    n = round(min(per_field * slab.fields, 4 * slab.half_A[1] * slab.half_A[2] / _ICE_PER_BEAD_A2))
    deepest = slab.half_A[0] - _LARGEST_BEAD_A / 2

    def at_faces(m: int) -> Doubles:
        places = draw.uniform(-slab.half_A, slab.half_A, (m, 3))
        places[:, 0] = np.sign(places[:, 0]) * (deepest - draw.uniform(0, 10, m))
        return places

    centres, _ = strewn(packing, Body.ball(_LARGEST_BEAD_A / 2), n, at_faces, draw, "gold beads")
    spread = slab.draw("bead sizes").normal(BEAD_A, _BEAD_SPREAD_A, len(centres))
    return Beads(centres, np.clip(spread, 2 * BEAD_A - _LARGEST_BEAD_A, _LARGEST_BEAD_A))
