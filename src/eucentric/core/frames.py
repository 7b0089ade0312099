"""Named coordinate frames and the rigid maps between them.

Every frame is right-handed, its coordinates are zyx in Å about its own centre, and the centre of an array
axis of n samples is the sample `n // 2`: index i lies at ``(i - n // 2) * pixel_A``.

- `Frame.SAMPLE`: fixed to the specimen; y is the tilt axis, z the beam direction at 0° tilt.
- `Frame.IMAGE`: fixed to the camera as recorded; x along columns, y along rows (upward, as MRC has it),
  z along the beam. A projection forgets z.
"""

from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Frame(StrEnum):
    """The coordinate frames that positions can be given in."""

    SAMPLE = "sample"
    IMAGE = "image"


class Transform:
    """An affine map between two named frames, acting on zyx positions in Å.

    Parameters
    ----------
    source, target
        The frame that positions come from and the one they go to.
    matrix
        Homogeneous (4, 4) matrix for column vectors (z, y, x, 1).
    """

    __slots__ = ("_matrix", "source", "target")

    def __init__(self, source: Frame, target: Frame, matrix: ArrayLike) -> None:
        values = np.array(matrix, dtype=float)
        if values.shape != (4, 4) or not np.allclose(values[3], (0, 0, 0, 1)):
            raise ValueError(f"a transform needs an affine (4, 4) matrix, not {values.shape}")
        self.source = source
        self.target = target
        self._matrix = values

    @classmethod
    def identity(cls, frame: Frame) -> Self:
        """Return the map of a frame to itself."""
        return cls(frame, frame, np.eye(4))

    @property
    def linear(self) -> NDArray[np.float64]:
        """The (3, 3) linear part, zyx."""
        return self._matrix[:3, :3].copy()

    @property
    def shift_A(self) -> NDArray[np.float64]:
        """Where the source's centre goes, zyx in Å."""
        return self._matrix[:3, 3].copy()

    def __call__(self, positions_A: ArrayLike) -> NDArray[np.float64]:
        """Map positions of shape (..., 3), zyx in Å."""
        positions = np.asarray(positions_A, dtype=float)
        mapped: NDArray[np.float64] = positions @ self._matrix[:3, :3].T + self._matrix[:3, 3]
        return mapped

    def __matmul__(self, first: "Transform") -> "Transform":
        """Return the map that applies `first` and then this one.

        Raises
        ------
        ValueError
            If `first` does not end in the frame that this map starts from.
        """
        if first.target is not self.source:
            raise ValueError(f"cannot chain a map to {first.target} with one from {self.source}")
        return Transform(first.source, self.target, self._matrix @ first._matrix)

    def inverse(self) -> "Transform":
        """Return the map back."""
        return Transform(self.target, self.source, np.linalg.inv(self._matrix))

    def __repr__(self) -> str:
        """Name the frames and show the matrix."""
        return f"Transform({self.source}2{self.target}, {self._matrix.round(4).tolist()})"


def rotation_about_z(angle_deg: float) -> NDArray[np.float64]:
    """Return the (3, 3) zyx matrix that turns x towards y (counter-clockwise with x right and y up)."""
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return np.array([[1, 0, 0], [0, c, s], [0, -s, c]])


def rotation_about_y(angle_deg: float) -> NDArray[np.float64]:
    """Return the (3, 3) zyx matrix that turns z towards x: x' = x cos a + z sin a, z' = z cos a - x sin a."""
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])


def rotation_about_x(angle_deg: float) -> NDArray[np.float64]:
    """Return the (3, 3) zyx matrix that turns y towards z: y' = y cos a - z sin a, z' = y sin a + z cos a."""
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
