"""Make the tables of atoms that the package ships from entries of the Protein Data Bank.

Run: python tools/make_atom_tables.py 4v5d.cif.gz 6z6u.pdb.gz 3jb9.cif.gz

Each model file (mmCIF or PDB, compressed or not) becomes src/eucentric/specimen/data/NAME.xz, NAME being the file's up
to the first dot. Of every heavy atom the element and the position to 0.1 Å are kept, and which chain it is of. The
same file gives the same table, up to the version of liblzma. `eucentric.specimen.library` reads them.
"""

import argparse
import io
import lzma
from pathlib import Path
from typing import Any

import gemmi
import numpy as np

DATA = Path(__file__).parent.parent / "src" / "eucentric" / "specimen" / "data"
STEP_A = 0.1


def main() -> None:
    """Write one table for each model file and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, default=DATA)
    arguments = parser.parse_args()
    for path in arguments.models:
        structure = gemmi.read_structure(str(path))
        packed = table(structure[0])
        output = arguments.output / f"{path.name.split('.')[0].lower()}.xz"
        output.write_bytes(packed)
        print(f"{output}: {len(packed) / 1e3:.0f} kB")


def table(model: Any) -> bytes:
    """Return the packed heavy atoms of a gemmi model, without water and all but the first of alternative places."""
    names: list[str] = []
    lengths: list[int] = []
    positions: list[tuple[float, float, float]] = []
    elements: list[int] = []
    for chain in model:
        atoms = [atom for residue in chain if not residue.is_water() for atom in residue if _kept(atom)]
        if atoms:
            names.append(chain.name)
            lengths.append(len(atoms))
            positions.extend((atom.pos.z, atom.pos.y, atom.pos.x) for atom in atoms)
            elements.extend(atom.element.atomic_number for atom in atoms)
    zyx = np.array(positions)
    steps = np.round((zyx - zyx.mean(axis=0)) / STEP_A).astype(np.int16)  # to 3276 Å either side: any molecule
    # From atom to atom in the order of the chain, steps are small; small numbers of either sign become small ones
    # without sign, and their high bytes, nearly all zero, follow together.
    moves = np.diff(steps, axis=0, prepend=np.zeros((1, 3), np.int16))
    unsigned = ((moves << 1) ^ (moves >> 15)).astype("<u2").T
    buffer = io.BytesIO()
    np.savez(
        buffer,
        chain_names=np.array(names),
        chain_atoms=np.array(lengths, dtype="<u4"),
        elements=np.array(elements, dtype=np.uint8),
        low=(unsigned & 0xFF).astype(np.uint8),
        high=(unsigned >> 8).astype(np.uint8),
    )
    return lzma.compress(buffer.getvalue(), preset=9 | lzma.PRESET_EXTREME)


def _kept(atom: Any) -> bool:
    return not atom.element.is_hydrogen and atom.altloc in ("\0", "A")


if __name__ == "__main__":
    main()
