"""`Sample`: what lies in the ice, and the ice itself."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eucentric.core.frames import rotation_about_y
from eucentric.specimen.matrix import Matrix
from eucentric.specimen.molecule import Molecule

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Placed:
    """Copies of one molecule in the sample frame.

    Attributes
    ----------
    molecule
        What is placed.
    centres_A
        Where, (m, 3), zyx.
    rotations
        How turned, (m, 3, 3), zyx matrices from the molecule's frame to the sample's.
    label
        What these copies are called in the truth; those of an empty label are not listed there.
    """

    molecule: Molecule
    centres_A: Doubles
    rotations: Doubles
    label: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "centres_A", np.array(self.centres_A, dtype=float).reshape(-1, 3))
        object.__setattr__(self, "rotations", np.array(self.rotations, dtype=float).reshape(-1, 3, 3))
        if len(self.centres_A) != len(self.rotations) or not np.isfinite(self.centres_A).all():
            raise ValueError(f"{self.molecule.name}: each copy needs a finite centre and a rotation")

    def __len__(self) -> int:
        """Return the number of copies."""
        return len(self.centres_A)

    def chosen(self, which: NDArray[np.bool_]) -> "Placed":
        """Return the copies for which the mask `which` (m,) holds."""
        return replace(self, centres_A=self.centres_A[which], rotations=self.rotations[which])


@dataclass(frozen=True, eq=False)
class Beads:
    """Gold spheres: `centres_A` (m, 3), zyx in the sample frame, `diameters_A` (m,) or one for all."""

    centres_A: Doubles = field(default_factory=lambda: np.empty((0, 3)))
    diameters_A: ArrayLike = 100.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "centres_A", np.array(self.centres_A, dtype=float).reshape(-1, 3))
        diameters = np.array(np.broadcast_to(np.asarray(self.diameters_A, float), len(self.centres_A)))
        object.__setattr__(self, "diameters_A", diameters)
        if not np.isfinite(self.centres_A).all() or not (diameters > 0).all():
            raise ValueError("beads need finite centres and diameters above 0 Å")

    def __len__(self) -> int:
        """Return the number of beads."""
        return len(self.centres_A)

    @property
    def radii_A(self) -> Doubles:
        """Half the diameters, (m,)."""
        return np.asarray(self.diameters_A, dtype=float) / 2


@dataclass(frozen=True, eq=False)
class Sample:
    """A frozen specimen in the sample frame (y the tilt axis, z the beam at 0° of the stage).

    Attributes
    ----------
    name
        What it is.
    matrix
        The ice, and the carbon that holds it.
    parts
        Molecules, placed.
    beads
        Gold.
    pre_tilt_deg
        Stage tilt at which it lies flat.
    """

    name: str
    matrix: Matrix
    parts: tuple[Placed, ...] = ()
    beads: Beads = field(default_factory=Beads)
    pre_tilt_deg: float = 0.0

    def turned(self, pre_tilt_deg: float) -> "Sample":
        """Return the sample lying flat at another tilt of the stage: turned about y by the opposite of that tilt."""
        turn = rotation_about_y(-pre_tilt_deg)
        parts = tuple(
            replace(part, centres_A=part.centres_A @ turn.T, rotations=turn @ part.rotations) for part in self.parts
        )
        beads = Beads(self.beads.centres_A @ turn.T, self.beads.diameters_A)
        matrix = self.matrix.turned(turn)
        return replace(self, matrix=matrix, parts=parts, beads=beads, pre_tilt_deg=self.pre_tilt_deg + pre_tilt_deg)

    @property
    def molecules(self) -> int:
        """How many molecules are placed."""
        return sum(len(part) for part in self.parts)


def random_rotations(n: int, draw: np.random.Generator) -> Doubles:
    """Return `n` rotations, all equally likely, (n, 3, 3)."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_quat(draw.normal(size=(n, 4))).as_matrix()) if n else np.empty((0, 3, 3))


def without_empty(parts: Iterable[Placed]) -> tuple[Placed, ...]:
    """Return the parts that hold anything."""
    return tuple(part for part in parts if len(part))
