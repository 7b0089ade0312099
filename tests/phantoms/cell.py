"""Phantoms worth looking at: the edge of a cell, and an object that differs from its mirror image."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from eucentric.core import stream
from phantoms.parts import (
    ACTIN,
    GRAIN_A,
    LEAFLET_A,
    MICROTUBULE,
    bilayer,
    filament,
    gold_beads,
    ribosomes,
    vesicle,
)
from phantoms.phantom import Phantom

Doubles = NDArray[np.float64]

RIBOSOME_A = 260.0  # the least distance between two
RIBOSOME_CUBE_A = 420.0  # the cytoplasm has room for one in a cube of this edge, if nothing else is there
PROTEIN_CUBE_A = 160.0  # and for one of the smaller proteins in a cube of this edge
BEAD_LAYER_A = 60.0  # below both faces, where nothing but beads is


class _Edge:
    """The outline of a cell that fills the lower left of the field: a wavy cylinder, rounded off at both faces."""

    def __init__(self, seed: int, field_A: float, thickness_A: float) -> None:
        draw = stream(seed, "specimen", "edge")
        self.radius_A = 1.4 * field_A
        self.heading = np.deg2rad(draw.uniform(40, 60))  # of the outward normal at the field's centre, x towards y
        reach = self.radius_A - 0.12 * field_A  # the cell has a little more than half of the field
        self.centre_yx = (-reach * np.sin(self.heading), -reach * np.cos(self.heading))
        self.half_A = thickness_A / 2
        self.bulge_A = 0.35 * thickness_A
        self.waves = [(k, draw.uniform(0.6, 1.2) * 0.12 * field_A / k, draw.uniform(0, 2 * np.pi)) for k in (9, 16, 23)]

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


def cell_phantom(seed: int = 0, *, field_A: float = 5120.0, thickness_A: float = 1500.0, beads: int = 16) -> Phantom:
    """Return the edge of a cell in ice: what a cryo-tomogram of one is known by, none of it of any real cell.

    A bilayer with proteins on it crosses the field; on its inner side are ribosomes, actin, a microtubule, a
    vesicle and smaller proteins, on its outer side another vesicle; gold beads of 10 nm lie at both faces of
    the slab. Every part has a random stream of its own.

    Parameters
    ----------
    seed
        Chooses the specimen.
    field_A
        Side of the square field that will be imaged. The specimen goes on beyond it, as far as tilts of 60°
        about y bring into view, and ends there.
    thickness_A
        Thickness of the slab, which is centred on the plane z = 0.
    beads
        Number of beads in the field, about.

    Raises
    ------
    ValueError
        If the field or the thickness is not positive and finite.
    """
    if not (0 < field_A < np.inf and 0 < thickness_A < np.inf):
        raise ValueError(f"a slab {thickness_A} Å thick around a field of {field_A} Å cannot be made")
    half = np.array([thickness_A / 2, 0.6 * field_A, field_A + 0.9 * thickness_A])
    edge = _Edge(seed, field_A, thickness_A)
    membrane = _membrane(edge, half, stream(seed, "specimen", "membrane"))
    filaments = _filaments(edge, half, stream(seed, "specimen", "filaments"))
    vesicles = _vesicles(edge, field_A, thickness_A, stream(seed, "specimen", "vesicles"))
    shaped = Phantom.joined([membrane, filaments, vesicles])
    particles = _ribosomes(edge, half, shaped, stream(seed, "specimen", "ribosomes"))
    parts = [shaped, particles, _proteins(edge, half, stream(seed, "specimen", "proteins"))]
    whole = Phantom.joined(parts)
    inside = _in_box(whole.positions_A, half - (BEAD_LAYER_A, 0, 0))
    return Phantom.joined([whole.chosen(inside), _beads(half, field_A, beads, stream(seed, "specimen", "beads"))])


def chiral_phantom(arms_zyx_A: tuple[float, float, float] = (300.0, 500.0, 800.0), sigma_A: float = 25.0) -> Phantom:
    """Return three bars from the origin along +z, +y and +x, of unlike lengths: no turn makes it its mirror image.

    Parameters
    ----------
    arms_zyx_A
        Lengths of the bars.
    sigma_A
        Half the thickness of a bar, about.
    """
    bars = []
    for axis, length in enumerate(arms_zyx_A):
        along = np.arange(sigma_A, length + sigma_A / 2, sigma_A)
        bars.append(Phantom(np.outer(along, np.eye(3)[axis]), sigma_A, 1.0))
    return Phantom.joined(bars)


def _membrane(edge: _Edge, half: Doubles, draw: np.random.Generator) -> Phantom:
    around = np.arange(-np.pi, np.pi, GRAIN_A / edge.radius_A)
    # Even steps along the bulging profile, which is longer than the slab is thick.
    z = np.linspace(-half[0], half[0], 2001)
    along = np.concatenate([[0], np.cumsum(np.hypot(np.diff(z), np.diff(edge.bulge_A * (z / half[0]) ** 2)))])
    z = np.interp(np.arange(0, along[-1], GRAIN_A), along, z)
    around, z = (grid.ravel() for grid in np.meshgrid(around, z))
    middle = edge.places(around, z)
    middle = middle[_in_box(middle, half)]
    normals = _normals(edge, middle)
    spikes = draw.random(len(middle)) < 0.04
    n = int(spikes.sum())
    feet = middle[spikes] + normals[spikes] * draw.choice([-1, 1, 1, 1], n)[:, None] * (LEAFLET_A + 35)
    return Phantom.joined([bilayer(middle, normals, draw), Phantom(feet, 18.0, draw.uniform(0.6, 1.2, n))])


def _normals(edge: _Edge, middle: Doubles) -> Doubles:
    """Return outward unit normals of the surface, from differences of the depth."""
    steps = np.eye(3)
    outward = np.stack([edge.depth_A(middle - step) - edge.depth_A(middle + step) for step in steps], axis=1)
    return np.asarray(outward / np.linalg.norm(outward, axis=1, keepdims=True))


def _filaments(edge: _Edge, half: Doubles, draw: np.random.Generator) -> Phantom:
    """Return a bundle of actin below the membrane and one microtubule across the cell."""
    tangent_deg = np.rad2deg(edge.heading) + 90
    parts = []
    for depth_A in range(450, 1300, 110):
        middle = edge.place(draw.normal(0, 0.06), draw.uniform(-0.5, 0.5) * half[0], depth_A)
        heading_deg = tangent_deg + draw.normal(0, 5)
        length_A = draw.uniform(0.5, 1.0) * half[2]
        slope, bend_per_A = draw.normal(0, 0.03), draw.normal(5e-5, 3e-5)
        parts.append(filament(ACTIN, middle, heading_deg, length_A, slope=slope, bend_per_A=bend_per_A))
    middle = edge.place(0.0, 0.1 * half[0], 0.38 * edge.radius_A)
    slope = draw.normal(0, 0.02)
    parts.append(filament(MICROTUBULE, middle, tangent_deg - 20, 2.5 * half[2], slope=slope, bend_per_A=2e-5))
    whole = Phantom.joined(parts)
    return whole.chosen(edge.depth_A(whole.positions_A) > 100)


def _vesicles(edge: _Edge, field_A: float, thickness_A: float, draw: np.random.Generator) -> Phantom:
    """Return one vesicle inside the cell and one outside."""
    parts = []
    for turn, depth, radius in ((0.17, 0.33, 0.3), (-0.12, -0.22, 0.22)):
        centre = edge.place(turn, draw.uniform(-0.1, 0.1) * thickness_A, depth * field_A)
        parts.append(vesicle(centre, radius * thickness_A, draw))
    return Phantom.joined(parts)


def _ribosomes(edge: _Edge, half: Doubles, shaped: Phantom, draw: np.random.Generator) -> Phantom:
    places = _inside(edge, np.maximum(half - RIBOSOME_A / 2, 0), 200.0, RIBOSOME_CUBE_A, draw)
    far, _ = cKDTree(shaped.positions_A).query(places)
    places = places[far > 0.6 * RIBOSOME_A]
    # Of places too close to each other, the first drawn stays.
    taken = np.zeros(len(places), bool)
    for i, near in enumerate(cKDTree(places).query_ball_point(places, RIBOSOME_A)):
        taken[i] = not taken[near].any()
    return ribosomes(places[taken], draw)


def _proteins(edge: _Edge, half: Doubles, draw: np.random.Generator) -> Phantom:
    places = _inside(edge, half, 60.0, PROTEIN_CUBE_A, draw)
    return Phantom(places, draw.uniform(12, 32, len(places)), draw.uniform(0.3, 0.9, len(places)))


def _inside(edge: _Edge, half: Doubles, depth_A: float, apart_A: float, draw: np.random.Generator) -> Doubles:
    """Return random places at least `depth_A` inside the cell, one in a cube of edge `apart_A`."""
    places = draw.uniform(-half, half, (round(float(np.prod(2 * half)) / apart_A**3), 3))
    return np.asarray(places[edge.depth_A(places) > depth_A])


def _beads(half: Doubles, field_A: float, beads: int, draw: np.random.Generator) -> Phantom:
    n = round(float(beads * 4 * half[1] * half[2] / field_A**2))
    places = draw.uniform(-half, half, (n, 3))
    places[:, 0] = draw.choice([-1, 1], n) * (half[0] - draw.uniform(0, BEAD_LAYER_A, n))
    return gold_beads(places)


def _in_box(places_A: Doubles, half: Doubles) -> NDArray[np.bool_]:
    """Return which places (n, 3) lie in the box of half sides `half` about the origin."""
    return np.asarray(np.all(np.abs(places_A) <= half, axis=1))
