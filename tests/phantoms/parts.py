"""What cells are made of, as blobs: membranes, ribosomes, helical filaments, and gold beads beside them.

Sizes are rounded textbook numbers; what matters is that each thing has its familiar look at 5 to 20 Å a pixel.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from eucentric.core import stream
from phantoms.phantom import Phantom

Doubles = NDArray[np.float64]

LEAFLET_A = 20.0  # from the middle of a membrane to the head groups on either side
HEAD_GROUP_SIGMA_A = 12.0
GRAIN_A = 27.0  # between neighbouring blobs of a leaflet
GOLD_DENSITY = 8.0  # mean inner potential above that of ice, in units of protein's: some 20 V against 2 to 3 V


def bilayer(middle_A: Doubles, normals: Doubles, draw: np.random.Generator) -> Phantom:
    """Return both leaflets of a membrane given by points `middle_A` (n, 3) some `GRAIN_A` apart and unit `normals`."""
    leaflets = []
    for side in (-LEAFLET_A, LEAFLET_A):
        wander = draw.normal(0, 0.3 * GRAIN_A, middle_A.shape)
        across = np.sum(wander * normals, axis=1, keepdims=True)  # a membrane is rough along itself, not across
        places = middle_A + side * normals + wander - 0.8 * across * normals
        leaflets.append(Phantom(places, HEAD_GROUP_SIGMA_A, draw.uniform(0.5, 0.9, len(places))))
    return Phantom.joined(leaflets)


def vesicle(centre_zyx_A: ArrayLike, radius_A: float, draw: np.random.Generator) -> Phantom:
    """Return a closed spherical membrane."""
    n = round(4 * np.pi * (radius_A / GRAIN_A) ** 2)
    # A Fibonacci lattice: equal steps of height, and turns by the golden angle.
    z = (2 * np.arange(n) + 1) / n - 1
    turns = np.pi * (3 - np.sqrt(5)) * np.arange(n)
    around = np.sqrt(1 - z**2)
    normals = np.stack([z, around * np.sin(turns), around * np.cos(turns)], axis=1)
    return bilayer(np.asarray(centre_zyx_A) + radius_A * normals, normals, draw)


def ribosomes(centres_A: Doubles, draw: np.random.Generator) -> Phantom:
    """Return copies of one two-lobed particle some 250 Å across at `centres_A` (n, 3), each turned at random."""
    template = _ribosome()
    turns = Rotation.from_quat(draw.normal(size=(len(centres_A), 4))).as_matrix()
    places = centres_A[:, None] + template.positions_A @ turns
    n = len(centres_A)
    return Phantom(places.reshape(-1, 3), np.tile(template.sigma_A, n), np.tile(template.amplitude, n))


def _ribosome() -> Phantom:
    """Return the particle at the origin, the same for every seed: all ribosomes are copies of it."""
    draw = stream(0, "specimen", "ribosome")
    lobes = []
    # A large and a small subunit: centre, half axes and number of blobs.
    for centre, half_A, n in (((0, 0, -35), (80, 85, 65), 26), ((0, 15, 75), (50, 85, 35), 12)):
        tries = draw.normal(size=(40 * n, 3))
        tries *= (draw.random(len(tries)) ** (1 / 3) / np.linalg.norm(tries, axis=1))[:, None]
        chosen = [tries[0] * half_A]
        while len(chosen) < n:  # the farthest of all from those chosen before: an even filling
            gaps = np.linalg.norm(tries[:, None] * half_A - np.array(chosen), axis=2).min(axis=1)
            chosen.append(tries[gaps.argmax()] * half_A)
        lobes.append(np.array(chosen) + centre)
    places = np.concatenate(lobes)
    return Phantom(places, draw.uniform(18, 28, len(places)), draw.uniform(0.4, 0.8, len(places)))


class Helix(NamedTuple):
    """A helical lattice of equal blobs: what one subunit adds along and around the axis."""

    rise_A: float
    twist_deg: float
    radius_A: float
    sigma_A: float


ACTIN = Helix(rise_A=27.5, twist_deg=-166.6, radius_A=16.0, sigma_A=15.0)
# 13 protofilaments of monomers 40 Å apart, each 3/13 of that above its neighbour: the ninth is next in height.
MICROTUBULE = Helix(rise_A=40 / 13, twist_deg=-9 * 360 / 13, radius_A=112.0, sigma_A=13.0)


def filament(
    lattice: Helix, middle_zyx_A: ArrayLike, heading_deg: float, length_A: float, *, slope: float, bend_per_A: float
) -> Phantom:
    """Return a filament.

    Parameters
    ----------
    lattice
        `ACTIN` or `MICROTUBULE`.
    middle_zyx_A
        Its middle.
    heading_deg
        Its direction there in the xy plane, from x towards y.
    length_A
        Its length.
    slope
        What it climbs along z per length.
    bend_per_A
        Its curvature in the xy plane.
    """
    n = max(1, int(length_A / lattice.rise_A))
    along = (np.arange(n) - (n - 1) / 2) * lattice.rise_A
    heading = np.deg2rad(heading_deg) + along * bend_per_A
    ahead = np.stack([np.full(n, slope), np.sin(heading), np.cos(heading)], axis=1)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    side = np.stack([np.zeros(n), np.cos(heading), -np.sin(heading)], axis=1)
    # zyx components of a cross product come out in reverse order of an xyz one: the sign keeps the hand.
    up = -np.cross(ahead, side)
    turn = np.deg2rad(lattice.twist_deg) * np.arange(n)[:, None]
    axis = np.cumsum(ahead, axis=0) * lattice.rise_A
    axis += np.asarray(middle_zyx_A) - axis[n // 2]
    return Phantom(axis + lattice.radius_A * (np.cos(turn) * side + np.sin(turn) * up), lattice.sigma_A, 1.0)


def gold_beads(centres_A: Doubles, diameter_A: float = 100.0) -> Phantom:
    """Return gold spheres at `centres_A` (n, 3), each as the blob of the sphere's mass and radius of gyration."""
    radius_A = diameter_A / 2
    sigma_A = radius_A / np.sqrt(5)
    mass_A3 = GOLD_DENSITY * 4 / 3 * np.pi * radius_A**3
    return Phantom(centres_A, sigma_A, mass_A3 / (2 * np.pi * sigma_A**2) ** 1.5)
