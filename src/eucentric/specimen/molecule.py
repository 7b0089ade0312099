"""`Molecule`: atoms that are placed together, many times; and the points that stand for them at a pixel size."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eucentric.specimen.scattering import Basis

_MERGED_FROM_A = 3.0  # pixel size from which atoms are merged: below, cells would hold one atom each
_BLOCK_A = 16.0  # points of a block are put down together
_MASS_Da = {1: 1.008, 6: 12.011, 7: 14.007, 8: 15.999, 15: 30.974, 16: 32.06}
_OTHER_MASS_Da = 55.0
_HYDROGEN_MASS_Da = 1.008 * 0.95  # for each heavy atom of a model that has no hydrogens


@dataclass(frozen=True, eq=False)
class Points:
    """Points that scatter as a molecule does, up to the Nyquist frequency of a pixel size.

    Attributes
    ----------
    positions_A
        (n, 3) float32, zyx, about the molecule's centre.
    weights
        (n, channels) float32: how much of each curve of the basis each point has.
    radius_A
        No point is farther from the centre.
    """

    positions_A: NDArray[np.float32]
    weights: NDArray[np.float32]
    radius_A: float


@dataclass(frozen=True, eq=False)
class Molecule:
    """Atoms about their centre of mass, in a frame of their own.

    Parameters
    ----------
    name
        What it is.
    positions_A
        (n, 3), zyx in Å; moved so that their mean is the origin, unless `centred` is false.
    elements
        Atomic numbers, (n,).

    Raises
    ------
    ValueError
        If there is no atom, the shapes do not fit together, or a position is not finite.
    """

    name: str
    positions_A: NDArray[np.float32]
    elements: NDArray[np.uint8]

    def __init__(self, name: str, positions_A: ArrayLike, elements: ArrayLike, *, centred: bool = True) -> None:
        positions, numbers = np.array(positions_A, dtype=np.float64), np.array(elements, dtype=np.uint8)
        if positions.ndim != 2 or positions.shape[1] != 3 or numbers.shape != (len(positions),) or not len(positions):
            raise ValueError(f"{name}: atoms need positions (n, 3) and elements (n,), not {positions.shape}")
        if not np.isfinite(positions).all():
            raise ValueError(f"{name}: a position is not finite")
        if centred:
            positions = positions - positions.mean(axis=0)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "positions_A", np.ascontiguousarray(positions, dtype=np.float32))
        object.__setattr__(self, "elements", numbers)

    def __len__(self) -> int:
        """Return the number of atoms."""
        return len(self.elements)

    @cached_property
    def radius_A(self) -> float:
        """How far the farthest atom is from the centre."""
        return float(np.linalg.norm(self.positions_A, axis=1).max())

    @cached_property
    def has_hydrogens(self) -> bool:
        """Whether the model has its hydrogens; else each heavy atom stands for its own."""
        return bool((self.elements == 1).sum() > 0.2 * len(self))

    @cached_property
    def mass_kDa(self) -> float:
        """The mass, with hydrogens that are not in the model."""
        heavy = sum(_MASS_Da.get(int(z), _OTHER_MASS_Da) for z in self.elements)
        return (heavy + (0.0 if self.has_hydrogens else _HYDROGEN_MASS_Da * len(self))) / 1e3

    def points(self, basis: Basis, pixel_A: float) -> Points:
        """Return the points that stand for the atoms at a pixel size: the atoms, or cells of half a pixel merged.

        The atoms of a cell become one point at their centre; what their spread would take from the highest
        frequencies is within 10 % at Nyquist, a hundredth of that at a third of it.
        """
        weights = basis.weights(self.elements, hydrogens=not self.has_hydrogens)
        positions = self.positions_A
        if pixel_A >= _MERGED_FROM_A:
            positions, weights = _merged(positions, weights, pixel_A / 2)
        order = _nearby(positions)
        return Points(np.ascontiguousarray(positions[order]), np.ascontiguousarray(weights[order]), self.radius_A)


def _nearby(positions_A: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return an order in which neighbours follow each other: what they are added to then stays in the cache."""
    blocks = np.floor(positions_A / _BLOCK_A)
    return np.lexsort(blocks.T)


def _merged(
    positions_A: NDArray[np.float32], weights: NDArray[np.float32], cell_A: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    cells = np.floor(positions_A / cell_A).astype(np.int64)
    cells -= cells.min(axis=0)
    nz, ny, nx = cells.max(axis=0) + 1
    _, where, counts = np.unique(np.ravel_multi_index(cells.T, (nz, ny, nx)), return_inverse=True, return_counts=True)
    means = [np.bincount(where, positions_A[:, axis]) / counts for axis in range(3)]
    sums = [np.bincount(where, weights[:, channel]) for channel in range(weights.shape[1])]
    return np.stack(means, axis=1).astype(np.float32), np.stack(sums, axis=1).astype(np.float32)
