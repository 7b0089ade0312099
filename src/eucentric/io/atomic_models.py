"""Atomic models (mmCIF, PDB, packed or not) as arrays of positions, elements and B factors."""

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucentric.core import FormatError, InputError
from eucentric.io._text import size_of, warn_data

MODEL_SUFFIXES = (".cif", ".pdb", ".ent")
_SAME_PLACE_A = 0.2  # well below a bond, above the rounding of operators to six decimals
_COPY_IT = "Copy it again from its source."


@dataclass(frozen=True)
class AtomicModel:
    """The atoms of a structure.

    Attributes
    ----------
    name
        Name of the file, without its suffixes.
    positions_A
        Shape (n, 3), float32, zyx in the frame of the file (nothing is centred).
    elements
        Shape (n,), uint8: atomic numbers; hydrogen and deuterium are 1.
    b_factors_A2
        Shape (n,), float32: isotropic.
    chains
        Shape (n,), text: the author's chains; those of an assembly have the number of the operator behind them.
    """

    name: str
    positions_A: NDArray[np.float32]
    elements: NDArray[np.uint8]
    b_factors_A2: NDArray[np.float32]
    chains: NDArray[np.str_]

    def __len__(self) -> int:
        """Return the number of atoms."""
        return len(self.elements)


def read_atoms(path: Path, *, assembly: str | None = None) -> AtomicModel:
    """Read the atoms of the first model of a file.

    Waters and atoms of zero occupancy are left out, and of alternative conformations all but the first; hydrogens,
    ions and ligands are kept.

    Parameters
    ----------
    path
        ``.cif``, ``.pdb`` or ``.ent``, each also with ``.gz`` behind it.
    assembly
        Name of the biological assembly to build, such as "1"; by default the atoms as deposited.

    Raises
    ------
    InputError
        If there is no such file, its suffix is of another kind, or it has no such assembly.
    FormatError
        If it cannot be unpacked or parsed, or holds no atom or one without a finite position.

    Warns
    -----
    DataWarning
        `unknown-element`: atoms of no known element were left out.
    """
    path = Path(path)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] == [".gz"]
    kind = (suffixes[:-1] if packed else suffixes)[-1:]
    if kind not in ([suffix] for suffix in MODEL_SUFFIXES):
        known = ", ".join(MODEL_SUFFIXES)
        raise InputError(f"{path}: not the suffix of an atomic model.", f"Use one of {known}, with or without .gz.")
    raw = _unpacked(path, packed)
    try:
        structure = _parse(raw, kind[0] == ".cif")
        table = _table(structure)
        if assembly is not None:
            table = _assembled(path, structure, table, assembly)
    except (ValueError, RuntimeError, LookupError, MemoryError) as error:  # what gemmi raises for damaged files
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise FormatError(f"{path}: cannot be parsed ({said}).", _COPY_IT) from error
    return _model(path, table)


def _unpacked(path: Path, packed: bool) -> bytes:
    size_of(path, "an atomic model")
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if packed else raw
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FormatError(f"{path}: cannot be unpacked ({error}).", _COPY_IT) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).", "Check its permissions.") from error


def _parse(raw: bytes, is_cif: bool) -> Any:
    import gemmi  # a tenth of a second, which commands without a specimen need not spend

    if not is_cif:
        return gemmi.read_pdb_string(raw)
    document = gemmi.cif.read_string(raw)
    block = next((block for block in document if block.find_loop("_atom_site.Cartn_x")), None)
    return gemmi.Structure() if block is None else gemmi.make_structure_from_block(block)


@dataclass(frozen=True)
class _Table:
    """Atoms as read: positions xyz and B factor (n, 4), atomic numbers, author's chains, and mmCIF's own chains."""

    values: NDArray[np.float64]
    elements: NDArray[np.uint8]
    chains: NDArray[np.str_]
    subchains: NDArray[np.str_]


def _table(structure: Any) -> _Table:
    del structure[1:]
    # An atom of zero occupancy is a guess; taken out first, it cannot be the conformation that is kept.
    for residue in (residue for model in structure for chain in model for residue in chain):
        for i in reversed([i for i, atom in enumerate(residue) if not atom.occ > 0]):
            del residue[i]
    structure.remove_alternative_conformations()
    structure.remove_waters()
    values: list[tuple[float, float, float, float]] = []
    elements: list[int] = []
    chains: list[str] = []
    subchains: list[str] = []
    for chain in (chain for model in structure for chain in model):
        for residue in chain:
            values += [(*atom.pos.tolist(), atom.b_iso) for atom in residue]
            elements += [atom.element.atomic_number for atom in residue]
            chains += [chain.name] * len(residue)
            subchains += [residue.subchain] * len(residue)
    return _Table(
        np.array(values, dtype=np.float64).reshape(-1, 4),
        np.array(elements, dtype=np.uint8),
        np.array(chains, dtype=np.str_),
        np.array(subchains, dtype=np.str_),
    )


def _assembled(path: Path, structure: Any, table: _Table, assembly: str) -> _Table:
    """Copy the atoms as an assembly asks; copies that fall on each other are one atom, on an axis of symmetry.

    gemmi's own building searches neighbours on a grid, which a single wild coordinate makes larger than memory.
    """
    found = {candidate.name: candidate for candidate in structure.assemblies}
    if assembly not in found:
        known = f"it has {', '.join(found)}" if found else "it describes none"
        raise InputError(f"{path}: there is no assembly {assembly!r}; {known}.", "Leave it out, or name another.")
    numbers: dict[tuple[float, ...], str] = {}
    sources, positions, copies = [], [], []
    for generator in found[assembly].generators:
        chosen = np.isin(table.chains, list(generator.chains))
        if not generator.chains:  # mmCIF lists its own chains, PDB the author's
            chosen = np.isin(table.subchains, list(generator.subchains))
        source = np.flatnonzero(chosen)
        earlier: list[NDArray[np.float64]] = []
        for operator in generator.operators:
            turn, shift = np.array(operator.transform.mat.tolist()), np.array(operator.transform.vec.tolist())
            number = numbers.setdefault((*turn.ravel().tolist(), *shift.tolist()), str(len(numbers) + 1))
            moved = table.values[source, :3] @ turn.T + shift
            own = np.ones(len(source), dtype=bool)
            for other in earlier:
                own &= ~(np.linalg.norm(moved - other, axis=1) < _SAME_PLACE_A)
            earlier.append(moved)
            sources.append(source[own])
            positions.append(moved[own])
            copies += [number] * int(own.sum())
    if not sources:
        raise FormatError(f"{path}: assembly {assembly!r} lists no operator.", _COPY_IT)
    source = np.concatenate(sources)
    return _Table(
        np.column_stack([np.concatenate(positions), table.values[source, 3]]),
        table.elements[source],
        np.char.add(table.chains[source], np.array(copies, dtype=np.str_)),
        table.subchains[source],
    )


def _model(path: Path, table: _Table) -> AtomicModel:
    known = table.elements > 0
    if not known.all():
        warn_data(path, "unknown-element", f"{int((~known).sum())} atoms of no known element were left out.")
    if not known.any():
        raise FormatError(f"{path}: there is no atom in it.", "Name an atomic model.")
    with np.errstate(over="ignore"):  # what overflows is not finite, and refused as such
        values = table.values[known].astype(np.float32)
    if not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise FormatError(f"{path}: atom {bad} has no finite position or B factor.", _COPY_IT)
    return AtomicModel(
        name=path.name.split(".")[0],
        positions_A=np.ascontiguousarray(values[:, 2::-1]),
        elements=table.elements[known],
        b_factors_A2=np.ascontiguousarray(values[:, 3]),
        chains=table.chains[known],
    )
