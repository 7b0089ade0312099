"""Molecules for a specimen file: of the package's library, from atomic models, or from density maps."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric.core import FormatError, InputError, did_you_mean, stream
from eucentric.io import open_mrc
from eucentric.io.atomic_models import MODEL_SUFFIXES, read_atoms
from eucentric.specimen.library import MOLECULES, molecule
from eucentric.specimen.molecule import Molecule
from eucentric.specimen.scattering import scattering_factor_A

MAP_SUFFIXES = (".mrc", ".map", ".ccp4")

# Heavy atoms of the mean protein, C5 H7.8 N1.35 O1.5 (as `specimen.scattering` has it), by atomic number.
_PROTEIN = {6: 5.0, 7: 1.35, 8: 1.5}
_PROTEIN_ATOM_Da = 14.07  # of one of them, with its hydrogens


def load_molecule(
    folder: Path,
    model: str,
    *,
    seed: int,
    assembly: str | None = None,
    threshold: float | None = None,
    mass_kDa: float | None = None,
) -> Molecule:
    """Return a molecule by the name of one of the package, or from a file.

    Parameters
    ----------
    folder
        Where relative paths begin.
    model
        A name of `specimen.library.MOLECULES`, or a path that ends as an atomic model or as a map does.
    seed
        Chooses where the atoms are that stand for a map.
    assembly
        Of an atomic model: the biological assembly to build.
    threshold, mass_kDa
        Of a map, see `molecule_of_map`; both are needed for one, and neither for anything else.

    Raises
    ------
    InputError
        If there is no such molecule or file, or the other parameters are not those of its sort.
    FormatError
        If the file is not what its name says.

    Warns
    -----
    DataWarning, FormatWarning
        As the readers of the files do.
    """
    sort = _sort_of(model)
    if sort != "map" and not threshold is mass_kDa is None:
        raise InputError(f"{model}: threshold and mass_kDa are for maps.", "Leave them out.")
    if sort != "atoms" and assembly is not None:
        raise InputError(f"{model}: only an atomic model from a file has an assembly.", "Leave it out.")
    if sort == "library":
        return molecule(model)
    path = folder / model
    try:
        if sort == "atoms":
            return _molecule_of_atoms(path, assembly)
        if threshold is None or mass_kDa is None:
            raise InputError(
                f"{path}: a map does not say what is molecule in it, nor its mass.", "Give a threshold and a mass_kDa."
            )
        return molecule_of_map(path, threshold, mass_kDa, seed=seed)
    except OSError as error:  # a name that is too long for the file system, say
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).", "Check the path.") from error


def molecule_of_map(path: Path, threshold: float, mass_kDa: float, *, seed: int) -> Molecule:
    """Return pseudo-atoms that stand for a density map.

    The map says where the mass is, not which atom is where: heavy atoms of the mean protein (C5 N1.35 O1.5, each with
    its hydrogens 14.07 Da) are put at random into the voxels above the threshold, in proportion to their density, as
    many as make up the mass. Up to one atom, each run of voxels along the rows gets its due, so that the density is
    less grainy than that of independent draws. The result is a molecule like any other: its density is the map's,
    to the resolution of a voxel, and its contrast in ice is that of protein.

    Parameters
    ----------
    path
        An MRC map, zyx.
    threshold
        Voxels above it are the molecule; 0 or more.
    mass_kDa
        Mass of what is above the threshold.
    seed
        Chooses where the atoms are.

    Raises
    ------
    InputError
        If the file cannot be opened, or no voxel is above the threshold.
    FormatError
        If it is no MRC map, has no pixel size, or holds infinite densities.
    """
    path = Path(path)
    image = open_mrc(path)
    if image.pixel_A is None:
        raise FormatError(f"{path}: the map has no pixel size.", "Write one into its header.")
    density = np.asarray(image.data, dtype=np.float32)
    with np.errstate(invalid="ignore"):
        voxels = np.flatnonzero(density > threshold)
    if not len(voxels):
        lowest, highest = float(density.min()), float(density.max())
        raise InputError(
            f"{path}: no voxel is above the threshold of {threshold:g}; they go from {lowest:g} to {highest:g}.",
            "Lower the threshold.",
        )
    below = np.cumsum(density.ravel()[voxels], dtype=np.float64)
    if not np.isfinite(below[-1]):
        raise FormatError(f"{path}: the map holds densities that are not finite.", "Write it again.")
    draw = stream(seed, "specimen", "map", path.name)
    n = max(1, round(mass_kDa * 1e3 / _PROTEIN_ATOM_Da))
    chosen = np.searchsorted(below, (np.arange(n) + draw.random(n)) * (below[-1] / n), side="right")
    where = voxels[np.minimum(chosen, len(voxels) - 1)]
    indices = np.stack(np.unravel_index(where, density.shape), axis=1)
    positions_A = (indices + draw.uniform(-0.5, 0.5, indices.shape)) * image.pixel_A
    return Molecule(path.name.split(".")[0], positions_A, _elements(n, draw))


def _elements(n: int, draw: np.random.Generator) -> NDArray[np.uint8]:
    """Return the atomic numbers of `n` heavy atoms of protein, in their shares to the atom, in random order."""
    ends = np.round(np.cumsum(list(_PROTEIN.values())) / sum(_PROTEIN.values()) * n).astype(int)
    return draw.permutation(np.repeat(np.array(list(_PROTEIN), np.uint8), np.diff(ends, prepend=0)))


def _sort_of(model: str) -> str:
    if model in MOLECULES:
        return "library"
    name = model.lower()
    if name.removesuffix(".gz").endswith(MODEL_SUFFIXES):
        return "atoms"
    if name.endswith(MAP_SUFFIXES):
        return "map"
    known, files = ", ".join(MOLECULES), ", ".join((*MODEL_SUFFIXES, *MAP_SUFFIXES))
    raise InputError(
        f'"{model[:80]}" is neither a molecule of the package nor a file of one.{did_you_mean(model, MOLECULES)}',
        f"Use one of {known}, or a path that ends in one of {files}.",
    )


def _molecule_of_atoms(path: Path, assembly: str | None) -> Molecule:
    atoms = read_atoms(path, assembly=assembly)
    for number in np.unique(atoms.elements):
        try:
            scattering_factor_A(int(number), 0.0)
        except ValueError as error:
            raise FormatError(f"{path}: {error}.", "Remove those atoms from the file.") from error
    return Molecule(atoms.name, atoms.positions_A, atoms.elements)
