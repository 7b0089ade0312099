"""Membranes: squares of lipid bilayer laid over the surface of a cell, or of a vesicle, with proteins on them."""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eucentric.core import stream
from eucentric.specimen.library import PATCH_A, lipid_patch, molecule
from eucentric.specimen.molecule import Molecule
from eucentric.specimen.sample import Placed, random_rotations
from eucentric.specimen.samples.packing import Body, Packing, body_of

Doubles = NDArray[np.float64]

LIPID_VARIANTS = 8
MEMBRANE_A = 30.0  # the room that a patch takes: a ball of this radius, as neighbours' balls meet 23 Å from the middle

_SPIKES = {"protein-39kDa": 0.02, "protein-24kDa": 0.02}  # proteins on a membrane, to a patch


class Edge:
    """The outline of a cell that fills the lower left of the field: a wavy cylinder along z, rounded off at the faces.

    Parameters
    ----------
    draw
        Chooses its direction and its waves.
    field_A
        Side of the field.
    thickness_A
        Thickness of the slab.
    bulge
        How much smaller the cell is at the faces than in the middle, in thicknesses; at most a field.
    past_centre
        How far it reaches beyond the middle of the field, in fields.
    """

    def __init__(
        self, draw: np.random.Generator, field_A: float, thickness_A: float, *, bulge: float, past_centre: float
    ) -> None:
        self.radius_A = 2 * field_A
        self.heading = np.deg2rad(draw.uniform(40, 60))  # of the outward normal at the field's centre, x towards y
        reach = self.radius_A - past_centre * field_A
        self.centre_yx = (-reach * np.sin(self.heading), -reach * np.cos(self.heading))
        self.half_A = thickness_A / 2
        self.bulge_A = min(bulge * thickness_A, field_A)
        self.waves = [
            (k, draw.uniform(0.6, 1.2) * 0.16 * field_A / k, draw.uniform(0, 2 * np.pi)) for k in (13, 23, 33)
        ]

    def radius_at(self, around: Doubles, z_A: Doubles) -> Doubles:
        """Return how far from the cell's axis its surface is."""
        radius = self.radius_A - self.bulge_A * (z_A / self.half_A) ** 2
        for k, height, phase in self.waves:
            radius = radius + height * np.sin(k * around + phase)
        return radius

    def depth_A(self, places_A: Doubles) -> Doubles:
        """Return how far inside the surface the places (n, 3) are; negative outside."""
        y, x = (places_A[:, 1:] - self.centre_yx).T
        return np.asarray(self.radius_at(np.arctan2(y, x), places_A[:, 0]) - np.hypot(y, x))

    def places(self, around: Doubles, z_A: Doubles, depth_A: float = 0.0) -> Doubles:
        """Return the places (n, 3) at angles `around` the cell's axis, heights `z_A` and a depth inside the surface."""
        r = self.radius_at(around, z_A) - depth_A
        y, x = self.centre_yx
        return np.stack([z_A, y + r * np.sin(around), x + r * np.cos(around)], axis=1)

    def place(self, turn: float, z_A: float, depth_A: float) -> Doubles:
        """Return one place, at `turn` radians from the cell's edge in the middle of the field."""
        return self.places(np.array([self.heading + turn]), np.array([z_A]), depth_A).reshape(3)

    def surface(self, half_A: Doubles, depth_A: float = 0.0) -> tuple[Doubles, Doubles]:
        """Return places a patch apart on the surface in a box of these half sides, and outward normals, (n, 3) each."""
        # Even steps along the profile, which is longer than the slab is thick.
        z = np.linspace(-half_A[0], half_A[0], 2001)
        along = np.concatenate([[0], np.cumsum(np.hypot(np.diff(z), np.diff(self.bulge_A * (z / self.half_A) ** 2)))])
        rows = []
        for height in np.interp(np.arange(PATCH_A / 2, along[-1], PATCH_A), along, z):
            radius = self.radius_A - self.bulge_A * (height / self.half_A) ** 2 - depth_A
            n = round(2 * np.pi * radius / PATCH_A)
            around = np.arange(n) * (2 * np.pi / n)
            row = self.places(around, np.full(n, height), depth_A)
            rows.append(row[np.all(np.abs(row[:, 1:]) <= half_A[1:], axis=1)])
        places = np.concatenate(rows) if rows else np.empty((0, 3))
        outward = np.stack([self.depth_A(places - step) - self.depth_A(places + step) for step in np.eye(3)], axis=1)
        return places, outward / np.linalg.norm(outward, axis=1, keepdims=True)


def sphere(centre_zyx_A: ArrayLike, radius_A: float) -> tuple[Doubles, Doubles]:
    """Return places about a patch apart on a sphere, and outward normals, (n, 3) each."""
    n = round(4 * np.pi * (radius_A / PATCH_A) ** 2)
    # A Fibonacci lattice: equal steps of height, and turns by the golden angle.
    z = (2 * np.arange(n) + 1) / n - 1
    turns = np.pi * (3 - np.sqrt(5)) * np.arange(n)
    around = np.sqrt(1 - z**2)
    normals = np.stack([z, around * np.sin(turns), around * np.cos(turns)], axis=1)
    return np.asarray(centre_zyx_A) + radius_A * normals, normals


def upright(normals: Doubles, turns: Doubles) -> Doubles:
    """Return rotations (n, 3, 3) that take z to the `normals` (n, 3), each turned about its normal by `turns` (rad).

    At no turn, y goes along the plane of z = constant, so that squares on an upright surface stand upright.
    """
    level = np.stack([np.zeros(len(normals)), normals[:, 2], -normals[:, 1]], axis=1)
    steep = np.linalg.norm(level, axis=1) < 1e-6
    level[steep] = (0, 1, 0)
    level /= np.linalg.norm(level, axis=1, keepdims=True)
    # Components in zyx order make a cross product the opposite of what it is in xyz: x = y × z, as vectors.
    third = -np.cross(level, normals)
    c, s = np.cos(turns)[:, None], np.sin(turns)[:, None]
    return np.stack([normals, c * level + s * third, c * third - s * level], axis=2)


def membrane(
    packing: Packing, middle_A: Doubles, normals: Doubles, draw: np.random.Generator, *, spikes: bool
) -> tuple[Placed, ...]:
    """Return patches of lipids at `middle_A` (n, 3) with unit `normals`, and proteins on them; they take their room.

    Parameters
    ----------
    packing
        What room is taken; patches ask no one for theirs, proteins do.
    middle_A, normals
        Where the middles of the patches are, `PATCH_A` apart, and which way is outward, (n, 3) each.
    draw
        Chooses which variant of a patch is where, and the proteins.
    spikes
        Whether there are proteins, three of four on the outer side.
    """
    variant = draw.integers(LIPID_VARIANTS, size=len(middle_A))
    rotations = upright(normals, draw.choice(np.arange(4.0), len(middle_A)) * (np.pi / 2))
    packing.take(Body.ball(MEMBRANE_A), middle_A, rotations)
    parts = [Placed(patch, middle_A[variant == i], rotations[variant == i]) for i, patch in enumerate(lipid_patches())]
    for name, share in _SPIKES.items() if spikes else ():
        body = body_of(molecule(name))
        feet = draw.random(len(middle_A)) < share
        side = draw.choice([-1, 1, 1, 1], int(feet.sum()))[:, None]
        centres = middle_A[feet] + side * normals[feet] * (MEMBRANE_A + 1 + body.radii_A.max())
        turns = random_rotations(len(centres), draw)
        kept = packing.settle(body, centres, turns, len(centres))
        parts.append(Placed(molecule(name), centres[kept], turns[kept]))
    return tuple(parts)


@cache
def lipid_patches() -> tuple[Molecule, ...]:
    """Return the patches of which membranes are made, the same for every specimen."""
    return tuple(lipid_patch(stream(0, "specimen", "lipids", i)) for i in range(LIPID_VARIANTS))
