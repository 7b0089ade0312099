"""Molecules that come with the package: a ribosome, apoferritin, a spliceosome, proteins of a crowd, and lipids.

Their atoms are those of three entries of the Protein Data Bank (`data/README.md`), which are CC0. The proteins named by
their mass are single chains of them, and stand for whatever proteins a cell has of that size. "actin" and "tubulin"
are neither: they are the atoms within ellipsoids of a spliceosome's protein, of the mass and about the shape of these
monomers, so that filaments look right where secondary structure is not resolved.
"""

import io
import lzma
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eucentric.core import InputError, did_you_mean
from eucentric.specimen.molecule import Molecule

PATCH_A = float(np.sqrt(12 * 64.0))
"""Side of a square patch of membrane: 12 lipids in each leaflet, of 64 Å² each."""

MOLECULES = {
    "ribosome": "bacterial 70S ribosome with three tRNAs, 2.2 MDa (4V5D)",
    "apoferritin": "24-mer of human apoferritin, 0.46 MDa (6Z6U)",
    "spliceosome": "yeast spliceosome, 1.2 MDa (3JB9)",
    "protein-10kDa": "a protein of 10 kDa, for crowds: chain AP of 4V5D",
    "protein-17kDa": "a protein of 17 kDa, for crowds: chain d of 3JB9",
    "protein-24kDa": "a protein of 24 kDa, for crowds: chain AD of 4V5D",
    "protein-32kDa": "a protein of 32 kDa, for crowds: chain L of 3JB9",
    "protein-39kDa": "a protein of 39 kDa, for crowds: chain K of 3JB9",
    "protein-102kDa": "a protein of 102 kDa, for crowds: chain B of 3JB9",
    "protein-138kDa": "a protein of 138 kDa, for crowds: chain X of 3JB9",
    "actin": "stands for a monomer of actin: 42 kDa of protein atoms in an ellipsoid",
    "tubulin": "stands for a monomer of tubulin: 50 kDa of protein atoms in an ellipsoid",
}
"""Names that `molecule` knows, with a line about each."""

_ENTRIES = {"ribosome": "4v5d", "apoferritin": "6z6u", "spliceosome": "3jb9"}
_CHAINS = {
    "protein-10kDa": ("4v5d", "AP"),
    "protein-17kDa": ("3jb9", "d"),
    "protein-24kDa": ("4v5d", "AD"),
    "protein-32kDa": ("3jb9", "L"),
    "protein-39kDa": ("3jb9", "K"),
    "protein-102kDa": ("3jb9", "B"),
    "protein-138kDa": ("3jb9", "X"),
}
# Mass in kDa, and axes in Å along a filament, around it and away from it: monomers are 55 and 40 Å apart along theirs.
_ELLIPSOIDS = {"actin": (42.0, (55.0, 55.0, 35.0)), "tubulin": (50.0, (40.0, 54.0, 65.0))}
_PROTEIN_ATOM_Da = 14.1  # a heavy atom of protein with its hydrogens

# Where the atoms of a POPC bilayer are, in Å from its middle (as recalled from Kučerka et al. 2011, Biochim. Biophys.
# Acta 1808, 2761: some 37 Å from head group to head group at 64 Å² a lipid): element, number a lipid, height, spread.
_LAYERS = (
    (15, 1, 19.5, 1.2),  # phosphate
    (8, 4, 19.5, 1.6),
    (7, 1, 20.5, 1.8),  # choline
    (6, 5, 20.5, 1.8),
    (6, 3, 16.5, 1.5),  # glycerol
    (8, 4, 15.5, 1.5),  # carbonyls
    (6, 2, 15.5, 1.5),
)
# Two tails of 16 carbons: a methyl, which fills as much as two of the others, in the middle, then those.
_TAIL_CARBONS, _METHYL_A, _TAIL_A, _TAIL_SPREAD_A = 32, 1.7, 13.5, 1.3
_LIPID_SPREAD_A = 3.0


class AtomTable(NamedTuple):
    """Atoms of one entry: (n, 3) zyx in Å, (n,) atomic numbers, and which of them are of a chain."""

    positions_A: NDArray[np.float64]
    elements: NDArray[np.uint8]
    chains: dict[str, slice]


@cache
def molecule(name: str) -> Molecule:
    """Return a molecule of the library, the same object at every call.

    Parameters
    ----------
    name
        One of `MOLECULES`.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in MOLECULES:
        known = ", ".join(MOLECULES)
        raise InputError(f'There is no molecule "{name}".{did_you_mean(name, MOLECULES)}', f"Choose one of {known}.")
    if name in _ENTRIES:
        table = _table(_ENTRIES[name])
        return Molecule(name, table.positions_A, table.elements)
    if name in _CHAINS:
        entry, chain = _CHAINS[name]
        table = _table(entry)
        atoms = table.chains[chain]
        return Molecule(name, table.positions_A[atoms], table.elements[atoms])
    return _cut(name, *_ELLIPSOIDS[name])


def lipid_patch(draw: np.random.Generator) -> Molecule:
    """Return a square of lipid bilayer, `PATCH_A` a side, about the origin with its normal along z.

    Twelve lipids in each leaflet, each the 52 heavy atoms of POPC, at random within the layers that head groups,
    carbonyls and tails have: heights are right, bonds are not. Squares that are laid side by side join seamlessly.

    Parameters
    ----------
    draw
        Chooses where the atoms are.
    """
    z, lateral, elements = [], [], []
    corners = np.stack(np.meshgrid(np.arange(3) / 3, np.arange(4) / 4, indexing="ij"), axis=-1).reshape(-1, 2)
    for side in (-1, 1):
        # One lipid in each cell of 3 x 4: as even as a liquid, whose density hardly varies from place to place.
        lipids = (corners + draw.random((12, 2)) / (3, 4)) * PATCH_A
        for element, number, height, spread in _LAYERS:
            z.append(side * draw.normal(height, spread, 12 * number))
            lateral.append(np.repeat(lipids, number, axis=0))
            elements.append(np.full(12 * number, element))
        steps = np.arange(_TAIL_CARBONS) % 16 + draw.random((12, _TAIL_CARBONS))
        ends = draw.normal(_TAIL_A, _TAIL_SPREAD_A, (12, 1))
        z.append(
            side * np.where(steps < 1, steps * _METHYL_A, _METHYL_A + (steps - 1) / 15 * (ends - _METHYL_A)).ravel()
        )
        lateral.append(np.repeat(lipids, _TAIL_CARBONS, axis=0))
        elements.append(np.full(12 * _TAIL_CARBONS, 6))
    yx = np.concatenate(lateral)
    yx = (yx + draw.normal(0, _LIPID_SPREAD_A, yx.shape)) % PATCH_A - PATCH_A / 2
    positions = np.column_stack([np.concatenate(z), yx])
    return Molecule("lipids", positions, np.concatenate(elements), centred=False)


def read_table(packed: bytes) -> AtomTable:
    """Return the atoms of a file that tools/make_atom_tables.py has written; `data/README.md` says how."""
    with np.load(io.BytesIO(lzma.decompress(packed))) as table:
        unsigned = table["low"].astype(np.int32) | table["high"].astype(np.int32) << 8
        moves = (unsigned >> 1) ^ -(unsigned & 1)
        ends = np.cumsum(table["chain_atoms"], dtype=int)
        starts = ends - table["chain_atoms"].astype(int)
        chains = {
            str(name): slice(first, end) for name, first, end in zip(table["chain_names"], starts, ends, strict=True)
        }
        return AtomTable(np.cumsum(moves, axis=1).T * 0.1, table["elements"], chains)


@cache
def _table(entry: str) -> AtomTable:
    return read_table(files("eucentric.specimen").joinpath("data", f"{entry}.xz").read_bytes())


def _cut(name: str, mass_kDa: float, axes_zyx_A: tuple[float, float, float]) -> Molecule:
    """Return the atoms in an ellipsoid of these proportions, cut from a spliceosome's largest chain where it is full.

    Its z axis is meant along a filament, y around it, and x away from its axis.
    """
    table = _table("3jb9")
    scaled = table.positions_A[table.chains["A"]] / (np.array(axes_zyx_A) / 2)
    n = round(mass_kDa * 1e3 / _PROTEIN_ATOM_Da)
    squares = [np.square(scaled - scaled[centre]).sum(axis=1) for centre in range(0, len(scaled), 100)]
    fullest = min(squares, key=lambda square: float(np.partition(square, n)[n]))
    inside = np.sort(np.argpartition(fullest, n)[:n])
    atoms = np.arange(len(table.elements))[table.chains["A"]][inside]
    return Molecule(name, table.positions_A[atoms], table.elements[atoms])
