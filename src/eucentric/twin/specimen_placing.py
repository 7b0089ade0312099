"""Puts the entries of a specimen file into the ice: where they say, or where there is room."""

import warnings
from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from eucentric.core import DataWarning, InputError
from eucentric.core.frames import rotation_about_x, rotation_about_y, rotation_about_z
from eucentric.io.yaml_text import Place
from eucentric.specimen.library import PATCH_A
from eucentric.specimen.library import molecule as library_molecule
from eucentric.specimen.molecule import Molecule
from eucentric.specimen.sample import Beads, Placed, random_rotations
from eucentric.specimen.samples.filaments import ACTIN, MICROTUBULE, filament, threaded
from eucentric.specimen.samples.filling import DALTON_A3, Space, filled, strewn
from eucentric.specimen.samples.membranes import MEMBRANE_A, membrane, sphere, upright
from eucentric.specimen.samples.packing import Body, body_of
from eucentric.twin.specimen_records import Actin, Gold, Microtubule, Molecules, Sheet, Vesicle
from eucentric.twin.specimen_room import Apart, Room

Doubles = NDArray[np.float64]

_TRIES = 50  # places that are tried for a vesicle, or drawn for the middle of a filament
_BELOW_FACE_A = 10.0  # beads are up to so far below a face


def put_molecules(room: Room, place: Place, entry: Molecules, molecule: Molecule, draw: np.random.Generator) -> Placed:
    """Return the copies of an entry that says where they are.

    Raises
    ------
    InputError
        If a place is not in the ice.
    """
    centres_A = room.places(entry.places_zyx_A or (), (*place, "places_zyx_A"))
    if entry.rotations_zyx_deg is None:
        rotations = random_rotations(len(centres_A), draw)
    else:
        rotations = np.array(
            [rotation_about_z(z) @ rotation_about_y(y) @ rotation_about_x(x) for z, y, x in entry.rotations_zyx_deg]
        )
    room.packing.take(body_of(molecule), centres_A, rotations)
    return Placed(molecule, centres_A, rotations, _label(entry, molecule))


def strew_molecules(
    room: Room, place: Place, entry: Molecules, molecule: Molecule, draw: np.random.Generator
) -> tuple[Placed, ...]:
    """Return the copies of an entry that says how many there are.

    Raises
    ------
    InputError
        If fewer than half of them find room.

    Warns
    -----
    DataWarning
        If some find no room, or there is less than one.
    """
    what, body = f"copies of {molecule.name}", body_of(molecule)
    shares = _shares(room, entry, molecule)
    wanted = sum(n for n, _ in shares)
    margin_A = float((np.linalg.norm(body.offsets_A, axis=1) + body.radii_A).max())
    room.check_room(place, what, margin_A, wanted, body)
    packing = room.packing
    if entry.min_distance_A is not None:
        packing = Apart(room.packing, room.slab.half_A, entry.min_distance_A)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # said below, with the line of the file
        parts = tuple(filled(packing, molecule, n, space, draw, _label(entry, molecule)) for n, space in shares)
    room.check_found(place, what, wanted, sum(map(len, parts)))
    return parts


def place_vesicles(room: Room, place: Place, entry: Vesicle, draw: np.random.Generator) -> Iterator[Placed]:
    """Yield the patches of vesicles; errors and warnings are those of molecules."""
    if entry.places_zyx_A is not None:
        centres_A = room.places(entry.places_zyx_A, (*place, "places_zyx_A"))
        for centre_A in centres_A:
            yield from _walls(room, place, sphere(centre_A, entry.radius_A), entry.proteins, draw)
        return
    shares, margin_A, what = room.shares(entry.count or 0), entry.radius_A + MEMBRANE_A, "vesicles"
    room.check_room(place, what, margin_A)
    found = 0
    for n, space in shares:
        left = n
        for centre_A in space.places(_TRIES * n, margin_A, draw):
            if not left:
                break
            if room.packing.free(Body.ball(margin_A), centre_A[None], np.eye(3)[None]).all():
                yield from _walls(room, place, sphere(centre_A, entry.radius_A), entry.proteins, draw)
                left -= 1
        found += n - left
    room.check_found(place, what, sum(n for n, _ in shares), found)


def place_sheet(room: Room, place: Place, entry: Sheet, draw: np.random.Generator) -> Iterator[Placed]:
    """Yield the patches of a sheet.

    Raises
    ------
    InputError
        If its centre is not in the ice or out of view.
    """
    centre_A = room.places([entry.centre_zyx_A], (*place, "centre_zyx_A"))
    if not room.in_view(centre_A).all():
        raise InputError(f"{room.at((*place, 'centre_zyx_A'))} is where no tilt brings it into view.", "Move it.")
    if entry.side_A is None and not room.has_ice:
        raise InputError(f"{room.at(place)}: without ice a sheet has no end.", "Give its side_A.")
    normal = np.array(entry.normal_zyx) / np.linalg.norm(entry.normal_zyx)
    axes = upright(normal[None], np.zeros(1))[0, :, 1:]
    side_A = 4 * float(np.linalg.norm(room.slab.half_A))  # from any place in it, the slab ends nearer than half of it
    n = max(1, round(min(entry.side_A or side_A, side_A) / PATCH_A))
    steps = (np.arange(n) - (n - 1) / 2) * PATCH_A
    rows = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    middle_A = centre_A + rows @ axes.T
    middle_A = middle_A[room.in_view(middle_A)]
    yield from _walls(room, place, (middle_A, np.tile(normal, (len(middle_A), 1))), entry.proteins, draw)


def place_filaments(
    room: Room, place: Place, entry: Actin | Microtubule, draw: np.random.Generator
) -> Iterator[Placed]:
    """Yield filaments; errors and warnings are those of molecules."""
    lattice = ACTIN if entry.kind == "actin" else MICROTUBULE
    monomer = body_of(library_molecule(lattice.monomer))
    monomer_A = float(monomer.radii_A.max())

    def made(middle_A: Doubles) -> Placed:
        heading_deg = draw.uniform(-180, 180) if entry.heading_deg is None else entry.heading_deg
        length_A = 3 * room.slab.field_A if entry.length_A is None else entry.length_A
        slope = float(np.tan(np.deg2rad(entry.climb_deg)))
        return filament(lattice, middle_A, heading_deg, length_A, slope=slope, bend_per_A=entry.bend_per_um / 1e4)

    def made_among(middles_A: Doubles) -> Placed:
        return made(middles_A[draw.integers(len(middles_A))])

    def holds(places_A: Doubles) -> NDArray[np.bool_]:
        return room.holds(places_A, monomer_A) & room.in_view(places_A)

    if entry.places_zyx_A is not None:
        for middle_A in room.places(entry.places_zyx_A, (*place, "places_zyx_A")):
            whole = made(middle_A)
            cut = whole.chosen(holds(whole.centres_A))
            if not len(cut):
                raise InputError(f"{room.at(place)}: none of the {entry.kind} would be in the ice.", "Move it.")
            room.packing.take(monomer, cut.centres_A, cut.rotations)
            yield cut
        return
    margin_A, wanted, found = lattice.radius_A + monomer_A, entry.count or 0, 0
    what = f"filaments of {entry.kind}" if entry.kind == "actin" else "microtubules"
    room.check_room(place, what, margin_A)
    for _ in range(wanted):
        middles_A = room.in_field.places(_TRIES, margin_A, draw)
        if not len(middles_A):
            break
        one = threaded(room.packing, partial(made_among, middles_A), holds)
        if one is not None:
            found += 1
            yield one
    room.check_found(place, what, wanted, found)


def place_gold(room: Room, place: Place, entry: Gold, draw: np.random.Generator) -> Beads:
    """Return gold beads; errors and warnings are those of molecules."""
    radius_A = entry.diameter_A / 2
    body = Body.ball(radius_A)
    if entry.places_zyx_A is not None:
        centres_A = room.places(entry.places_zyx_A, (*place, "places_zyx_A"))
        room.packing.take(body, centres_A, np.tile(np.eye(3), (len(centres_A), 1, 1)))
        return Beads(centres_A, entry.diameter_A)

    def at_faces(space: Space, m: int) -> Doubles:
        places_A = space.places(m, radius_A, draw)
        if entry.faces == "anywhere":
            return places_A
        lower_A, upper_A = room.faces_A(places_A[:, 1:])
        sides = {"lower": (0, 0), "upper": (1, 1), "both": (0, 1)}[entry.faces]
        up = draw.choice(sides, len(places_A)).astype(bool)
        depth_A = radius_A + draw.uniform(0, _BELOW_FACE_A, len(places_A))
        places_A[:, 0] = np.where(up, upper_A - depth_A, lower_A + depth_A)
        return places_A[room.holds(places_A, radius_A)]

    shares, what = room.shares(entry.count or 0), "gold beads"
    wanted = sum(n for n, _ in shares)
    room.check_room(place, what, radius_A, wanted, body)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # said below, with the line of the file
        found = [strewn(room.packing, body, n, partial(at_faces, space), draw, what)[0] for n, space in shares]
    centres_A = np.concatenate(found)
    room.check_found(place, what, wanted, len(centres_A))
    return Beads(centres_A, entry.diameter_A)


def joined(parts: Iterable[Placed]) -> tuple[Placed, ...]:
    """Return the parts that hold anything, those of one molecule and label as one."""
    groups: dict[tuple[int, str], list[Placed]] = {}
    for part in parts:
        if len(part):
            groups.setdefault((id(part.molecule), part.label), []).append(part)
    return tuple(
        Placed(
            group[0].molecule,
            np.concatenate([part.centres_A for part in group]),
            np.concatenate([part.rotations for part in group]),
            group[0].label,
        )
        for group in groups.values()
    )


def _label(entry: Molecules, molecule: Molecule) -> str:
    return molecule.name if entry.label is None else entry.label


def _shares(room: Room, entry: Molecules, molecule: Molecule) -> tuple[tuple[int, Space], ...]:
    """Return how many copies go into which space."""
    if entry.count is not None:
        return room.shares(entry.count)
    per_A3 = (entry.concentration_per_um3 or 0.0) / 1e12
    if entry.mg_mL is not None:
        per_A3 = entry.mg_mL * DALTON_A3 / (1e3 * molecule.mass_kDa)
    return ((round(per_A3 * room.everywhere.volume_A3()), room.everywhere),)


def _walls(
    room: Room, place: Place, surface: tuple[Doubles, Doubles], proteins: str, draw: np.random.Generator
) -> tuple[Placed, ...]:
    """Return the membrane over a surface, where it is in the ice."""
    middle_A, normals = surface
    whole = room.holds(middle_A, MEMBRANE_A)
    if not whole.any():
        raise InputError(f"{room.at(place)}: none of the membrane would be in the ice.", "Move it.")
    return membrane(room.packing, middle_A[whole], normals[whole], draw, spikes=proteins == "some")
