"""How a RELION project says where each image sees the specimen: angles and shifts, or matrices of the older layout.

A matrix takes places in unbinned pixels from a corner of the tomogram to pixels from a corner of the image; RELION 5
makes angles of it as here (`Tomogram::getProjectionAnglesFromMatrix`): with the middle of the tomogram at half its
size, halves of a pixel kept, and that of the image at the pixel `n // 2`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric.core import FormatError, TiltAlignment
from eucentric.io.exchange.relion_labels import EULER, MATRIX
from eucentric.io.exchange.star import StarBlock, numbers, texts

_MAX_MISFIT = 0.02  # of a matrix from a rotation and a magnification

Matrices = NDArray[np.float64]


@dataclass(frozen=True)
class Turns:
    """What turns the specimen into each image, by row of the table: `TiltAlignment`'s angles, shifts (n, 2) in xy."""

    x_tilts_deg: Matrices
    tilts_deg: Matrices
    axes_deg: Matrices
    shifts_xy_A: Matrices
    magnifications: Matrices
    stretched: bool = False

    def view(self, row: int, section: int) -> TiltAlignment:
        """Return the view of a row."""
        x, y = self.shifts_xy_A[row]
        return TiltAlignment(
            section=section,
            tilt_deg=float(self.tilts_deg[row]),
            x_tilt_deg=float(self.x_tilts_deg[row]),
            axis_deg=float(self.axes_deg[row]),
            shift_yx_A=(float(y), float(x)),
            magnification=float(self.magnifications[row]),
        )

    def differ_from(self, matrices: Matrices) -> bool:
        """Tell whether matrices turn otherwise than these angles do, by more than their decimals."""
        turns = [self.view(row, row).sample2image().linear[::-1, ::-1] for row in range(len(matrices))]
        return bool(np.abs(np.array(turns) - matrices[:, :, :3]).max() > 2e-3)


def read_angles(path: Path, block: StarBlock) -> Turns:
    """Read angles and shifts.

    Raises
    ------
    FormatError
        If a column is missing, or a value is no number.
    """
    tilts, axes, x, y = (np.array(numbers(path, block, label)) for label in EULER)
    x_tilts = np.array(numbers(path, block, "rlnTomoXTilt", 0.0))
    return Turns(x_tilts, tilts, axes, np.stack([x, y], axis=1), np.ones(len(tilts)))


def read_matrices(path: Path, block: StarBlock) -> Matrices:
    """Read matrices (n, 3, 4) for columns xyz1; the fourth row says nothing.

    Raises
    ------
    FormatError
        If a column is missing, or a row is no four numbers.
    """
    rows = []
    for label in MATRIX[:3]:
        for number, text in enumerate(texts(path, block, label), start=1):
            try:
                values = [float(word) for word in text.strip("[]").split(",")]
            except ValueError:
                values = []
            if len(values) != 4 or not all(abs(value) < 1e7 for value in values):
                raise FormatError(f"{path}: row {number} has no four numbers for {label}.", "Mend that row.")
            rows.append(values)
    return np.array(rows).reshape(3, len(block), 4).transpose(1, 0, 2)


def turns_of(path: Path, matrices: Matrices, shifts_xy_A: Matrices) -> Turns:
    """Return the angles of matrices, with the shifts that they come to.

    Raises
    ------
    FormatError
        If a matrix mirrors or flattens the specimen.
    """
    determinants = np.linalg.det(matrices[:, :, :3])
    if not determinants.min() > 1e-3:
        raise FormatError(f"{path}: a projection matrix mirrors or flattens the specimen.", "Name another file.")
    magnifications = np.cbrt(determinants)
    turns = matrices[:, :, :3] / magnifications[:, None, None]
    misfit = np.abs(turns @ turns.transpose(0, 2, 1) - np.eye(3)).max()
    return Turns(
        x_tilts_deg=np.degrees(np.arctan2(turns[:, 2, 1], turns[:, 2, 2])),
        tilts_deg=np.degrees(np.arcsin(np.clip(-turns[:, 2, 0], -1, 1))),
        axes_deg=np.degrees(np.arctan2(turns[:, 1, 0], turns[:, 0, 0])),
        shifts_xy_A=shifts_xy_A,
        magnifications=magnifications,
        stretched=bool(misfit > _MAX_MISFIT),
    )
