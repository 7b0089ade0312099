"""Specimens of cells: the edge of one in ice, and a lamella cut through another. None of it is of any real cell."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from eucentric.specimen.matrix import Matrix
from eucentric.specimen.sample import Placed, Sample, without_empty
from eucentric.specimen.samples.filaments import ACTIN, MICROTUBULE, filament, threaded
from eucentric.specimen.samples.filling import DALTON_A3, Slab, Space, crowd, gold_beads, one_per_cube
from eucentric.specimen.samples.membranes import MEMBRANE_A, Edge, membrane, sphere
from eucentric.specimen.samples.packing import Body, Packing

Doubles = NDArray[np.float64]
Masks = NDArray[np.bool_]
Vesicle = tuple[Doubles, float]  # centre and radius, in Å

CROWDING_mg_mL = 92.0  # with which the power of EMPIAR-10499 TS_01 comes out, from 150 to 30 Å
RIBOSOME_CUBE_A = 420.0
SPLICEOSOME_CUBE_A = 900.0
LAYER_A = 60.0  # below both faces of the ice around a cell, where nothing but beads is
ENVELOPE_A = 320.0  # between the middles of the two membranes of a nucleus
ROUGHNESS_A, ROUGH_OVER_A = 20.0, 800.0  # of a lamella's faces

_VESICLES_PER_FIELD = 1.5  # besides the two in the middle
_GAP_A = 150.0  # between vesicles and other membranes


def cell_edge(slab: Slab, *, crowding_mg_mL: float = CROWDING_mg_mL) -> Sample:
    """Return the edge of a cell in ice: membrane, ribosomes, filaments, vesicles, a crowd of proteins; and gold.

    Parameters
    ----------
    slab
        What is to be made.
    crowding_mg_mL
        Mass of ribosomes and other proteins of the cytoplasm, to its volume.
    """
    edge = Edge(slab.draw("edge"), slab.field_A, slab.thickness_A, bulge=0.35, past_centre=0.12)
    half = np.array([slab.half_A[0] - min(LAYER_A, slab.half_A[0] / 3), *slab.half_A[1:]])
    vesicles = _middle_vesicles(slab, edge, half)

    def cytoplasm(places: Doubles, margin_A: float) -> Masks:
        return (edge.depth_A(places) > 30) & _outside(places, vesicles, 0)

    packing = Packing(slab.half_A)
    walls = membrane(packing, *edge.surface(_less(half, 30)), slab.draw("membrane"), spikes=True)
    parts = [*walls, *_vesicle_walls(packing, vesicles, slab)]
    parts += _filaments(packing, slab, edge, half, lambda places: edge.depth_A(places) > 100, side=1)
    parts += _cytoplasm(packing, slab, Space(half, cytoplasm), crowding_mg_mL)
    return Sample("cell", Matrix.slab(slab.thickness_A), without_empty(parts), gold_beads(packing, slab, 16))


def lamella(slab: Slab, *, crowding_mg_mL: float = CROWDING_mg_mL) -> Sample:
    """Return a lamella with rough faces, cut through cytoplasm and, in one corner, a nucleus in its envelope.

    Molecules that the cut would go through are left out, as if it had spoilt them.

    Parameters
    ----------
    slab
        What is to be made.
    crowding_mg_mL
        Mass of ribosomes and other proteins of cytoplasm, and of spliceosomes and others of the nucleus, to volume.
    """
    side_A = 2 * float(slab.half_A[1:].max()) + ROUGH_OVER_A
    matrix = Matrix.rough(slab.thickness_A, ROUGHNESS_A, ROUGH_OVER_A, side_A, slab.seed)
    half = slab.half_A
    envelope = Edge(slab.draw("edge"), slab.field_A, slab.thickness_A, bulge=0.1, past_centre=-0.2)
    vesicles = _middle_vesicles(slab, envelope, _less(half, 3 * ROUGHNESS_A), ENVELOPE_A)[1:]

    def in_ice(places: Doubles, margin_A: float) -> Masks:
        # Only what is at a height that the rough faces have somewhere needs to be looked at.
        z, up = places[:, 0], np.array([margin_A, 0.0, 0.0])
        inside: Masks = (z - margin_A >= matrix.lower_A.max()) & (z + margin_A <= matrix.upper_A.min())
        near = ~inside & (z - margin_A >= matrix.lower_A.min()) & (z + margin_A <= matrix.upper_A.max())
        inside[near] = matrix.inside(places[near] + up) & matrix.inside(places[near] - up)
        return inside

    def cytoplasm(places: Doubles, margin_A: float) -> Masks:
        outside = envelope.depth_A(places) < -ENVELOPE_A - 30
        return outside & _outside(places, vesicles, 0) & in_ice(places, margin_A)

    def nucleus(places: Doubles, margin_A: float) -> Masks:
        return (envelope.depth_A(places) > 30) & in_ice(places, margin_A)

    packing = Packing(half)
    parts: list[Placed] = []
    for depth_A in (0.0, -ENVELOPE_A):
        middle, normals = envelope.surface(_less(half, -3 * ROUGHNESS_A), depth_A)
        whole = in_ice(middle, 30.0)
        draw = slab.draw(f"membrane {depth_A:.0f}")
        parts += membrane(packing, middle[whole], normals[whole], draw, spikes=True)
    parts += _vesicle_walls(packing, vesicles, slab)
    parts += _filaments(packing, slab, envelope, half, lambda places: cytoplasm(places, 40.0), side=-1)
    parts += _more_vesicles(packing, slab, envelope, _less(half, 3 * ROUGHNESS_A), vesicles, (-ENVELOPE_A, 0.0))
    parts += _cytoplasm(packing, slab, Space(half, cytoplasm), crowding_mg_mL)
    inner = Space(half, nucleus)
    spliceosomes = one_per_cube(packing, "spliceosome", SPLICEOSOME_CUBE_A, inner, slab.draw("spliceosomes"))
    parts += [spliceosomes, *_crowd_to(packing, slab, inner, crowding_mg_mL, spliceosomes, "nucleus")]
    return Sample("lamella", matrix, without_empty(parts))


def _cytoplasm(packing: Packing, slab: Slab, space: Space, crowding_mg_mL: float) -> Iterator[Placed]:
    ribosomes = one_per_cube(packing, "ribosome", RIBOSOME_CUBE_A, space, slab.draw("ribosomes"))
    yield ribosomes
    yield from _crowd_to(packing, slab, space, crowding_mg_mL, ribosomes, "cytoplasm")


def _crowd_to(
    packing: Packing, slab: Slab, space: Space, crowding_mg_mL: float, there: Placed, part: str
) -> tuple[Placed, ...]:
    """Return proteins that make up the mass that is wanted in a space, with what is there."""
    wanted_kDa = crowding_mg_mL * DALTON_A3 * space.volume_A3() / 1e3
    return crowd(packing, wanted_kDa - len(there) * there.molecule.mass_kDa, space, slab, part)


def _filaments(
    packing: Packing, slab: Slab, edge: Edge, half: Doubles, holds: Callable[[Doubles], Masks], *, side: int
) -> Iterator[Placed]:
    """Yield a microtubule across the cytoplasm and a bundle of actin along its membrane.

    The cytoplasm is inside the `edge` if `side` is 1, and outside if it is -1.
    """
    draw = slab.draw("filaments")
    tangent_deg = np.rad2deg(edge.heading) + 90
    clear_A = 0.0 if side > 0 else ENVELOPE_A

    def kept(places: Doubles) -> Masks:
        return np.asarray(holds(places) & np.all(np.abs(places) <= _less(half, 40), axis=1))

    def microtubule() -> Placed:
        depth_A = side * (clear_A + draw.uniform(0.35, 0.8) * slab.field_A)
        middle = edge.place(draw.normal(0, 0.05), draw.uniform(-0.4, 0.4) * half[0], depth_A)
        heading_deg, slope = tangent_deg + draw.normal(0, 10), draw.normal(0, 0.02)
        return filament(MICROTUBULE, middle, heading_deg, 3 * slab.field_A, slope=slope, bend_per_A=2e-5)

    def actin() -> Placed:
        depth_A = side * (clear_A + draw.uniform(300, 1300))
        middle = edge.place(draw.normal(0, 0.05), draw.uniform(-0.6, 0.6) * half[0], depth_A)
        # Along the membrane, which is an arc.
        bend_per_A = draw.normal(1, 0.1) / edge.radius_A
        length_A, slope = draw.uniform(0.5, 1.5) * slab.field_A, draw.normal(0, 0.02)
        heading_deg = tangent_deg + draw.normal(0, 2)
        return filament(ACTIN, middle, heading_deg, length_A, slope=slope, bend_per_A=bend_per_A)

    for attempt in (microtubule, *[actin] * 10):
        found = threaded(packing, attempt, kept)
        if found is not None:
            yield found


def _middle_vesicles(slab: Slab, edge: Edge, half: Doubles, outer_A: float = 0.0) -> list[Vesicle]:
    """Return a vesicle inside the cell and one outside, beyond `outer_A`, near the middle of the field."""
    vesicles = []
    for turn, depth, share in ((0.1, 0.33, 1.0), (-0.08, -0.3, 0.75)):
        radius_A = share * _largest_A(slab, half)
        depth_A = np.sign(depth) * max(abs(depth) * slab.field_A, radius_A + _GAP_A)
        vesicles.append((edge.place(turn, 0.0, depth_A - (outer_A if depth < 0 else 0.0)), radius_A))
    return vesicles


def _more_vesicles(
    packing: Packing, slab: Slab, edge: Edge, half: Doubles, vesicles: list[Vesicle], walls_A: tuple[float, ...]
) -> Iterator[Placed]:
    """Return the walls of vesicles all over a box, and add them to those there are.

    They keep clear of membranes at the depths `walls_A`; where there are two, of what is inside the first, too.
    """
    draw = slab.draw("vesicles")
    added: list[Vesicle] = []
    for _ in range(round(_VESICLES_PER_FIELD * slab.fields)):
        radius_A = draw.uniform(0.3, 1.0) * _largest_A(slab, half)
        centre = draw.uniform(-1, 1, 3) * _less(half, radius_A + 30)
        depth_A = float(edge.depth_A(centre[None])[0])
        clear = all(abs(depth_A - wall_A) > radius_A + _GAP_A for wall_A in walls_A)
        clear &= len(walls_A) == 1 or depth_A < walls_A[0]
        clear &= bool(_outside(centre[None], [*vesicles, *added], radius_A + _GAP_A).all())
        body = Body.ball(radius_A + MEMBRANE_A)
        if radius_A > 100 and clear and packing.free(body, centre[None], np.eye(3)[None]).all():
            added.append((centre, radius_A))
    known = len(vesicles)
    vesicles += added
    return _vesicle_walls(packing, added, slab, known)


def _largest_A(slab: Slab, half: Doubles) -> float:
    return max(min(0.3 * slab.thickness_A, 0.2 * slab.field_A, float(half[0]) - 30), 0.0)


def _vesicle_walls(packing: Packing, vesicles: list[Vesicle], slab: Slab, first: int = 0) -> Iterator[Placed]:
    for i, (centre, radius_A) in enumerate(vesicles, first):
        yield from membrane(packing, *sphere(centre, radius_A), slab.draw(f"vesicle {i}"), spikes=False)


def _outside(places: Doubles, vesicles: list[Vesicle], gap_A: float) -> Masks:
    """Return which places are farther than a gap from all vesicles."""
    outside = np.ones(len(places), bool)
    for centre, radius_A in vesicles:
        outside &= np.square(places - centre).sum(axis=1) > (radius_A + gap_A) ** 2
    return outside


def _less(half: Doubles, by_A: float) -> Doubles:
    """Return half sides of a box that is lower by this at both faces."""
    return np.array([max(half[0] - by_A, 0.0), *half[1:]])
