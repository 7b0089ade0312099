"""Filaments: helical lattices of monomers, of actin and of microtubules, with the hands that they have."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eucentric.specimen.library import molecule
from eucentric.specimen.sample import Placed
from eucentric.specimen.samples.packing import Packing, body_of

Doubles = NDArray[np.float64]

_TRIES = 20


@dataclass(frozen=True)
class Helix:
    """A helical lattice: what one monomer adds along and around the axis, and how far from the axis it is.

    Attributes
    ----------
    monomer
        Name of the molecule in the library: its z goes along the filament, its x away from the axis.
    rise_A, twist_deg
        From one monomer to the next; a right-handed screw has a positive twist.
    radius_A
        From the axis to a monomer's centre.
    """

    monomer: str
    rise_A: float
    twist_deg: float
    radius_A: float


ACTIN = Helix("actin", rise_A=27.5, twist_deg=-166.6, radius_A=16.0)
# 13 protofilaments of monomers 40 Å apart, each 3/13 of that above its neighbour: the ninth is next in height.
MICROTUBULE = Helix("tubulin", rise_A=40 / 13, twist_deg=-9 * 360 / 13, radius_A=112.0)


def filament(
    lattice: Helix, middle_zyx_A: ArrayLike, heading_deg: float, length_A: float, *, slope: float, bend_per_A: float
) -> Placed:
    """Return the monomers of a filament.

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
    outward = np.cos(turn) * side + np.sin(turn) * up
    sideways = -np.cross(ahead, outward)  # y = z × x
    rotations = np.stack([ahead, sideways, outward], axis=2)
    label = "microtubule" if lattice is MICROTUBULE else lattice.monomer
    return Placed(molecule(lattice.monomer), axis + lattice.radius_A * outward, rotations, label)


def threaded(
    packing: Packing, attempt: Callable[[], Placed], holds: Callable[[Doubles], NDArray[np.bool_]]
) -> Placed | None:
    """Return the first of a few attempts at a filament that is in nothing's way, cut to a space; or none.

    Parameters
    ----------
    packing
        What room is taken; the filament takes its own.
    attempt
        Draws a filament.
    holds
        Tells of places (n, 3) whether monomers may be there: those elsewhere are left out.
    """
    for _ in range(_TRIES):
        whole = attempt()
        cut = whole.chosen(holds(whole.centres_A))
        body = body_of(cut.molecule)
        if len(cut) and packing.free(body, cut.centres_A, cut.rotations).all():
            packing.take(body, cut.centres_A, cut.rotations)
            return cut
    return None
