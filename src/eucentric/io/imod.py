"""IMOD's alignment files, both ways: .xf transforms, .tlt tilt angles and .xtilt x-axis tilts.

IMOD maps a recorded position p to the aligned image as A (p - c) + d + c, in pixels, with c = (n - 1) / 2 the middle
of the image counted in array indices (its own coordinates are half a pixel larger). We place the specimen's origin
from the sample n // 2. With A the inverse of our rotation by `axis_deg` and magnification, the exported d puts the
specimen's origin on the middle of the aligned image, where IMOD's `tilt` has the middle of its tomogram. The aligned
image may have any size: d is counted from its middle, whatever that is.
IMOD's tilt angle has our sign, and its tilt axis ours too: from the image's y axis, counter-clockwise
(https://bio3d.colorado.edu/imod/doc/man/tilt.html, .../xfmodel.html). The angles of an .xtilt have the sign of our
x-tilt; XAXISTILT in a tilt.com has the other one, as `tilt` subtracts it from them.
"""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric.core import Alignment, FormatError, InputError, TiltAlignment, write_text
from eucentric.io._text import read_text, warn_format
from eucentric.io.angles import read_angles, write_angles

_DECIMALS = 4  # of angles that belong to an alignment: IMOD's programs read any number
_MAX_MISFIT = 0.02  # of A from a rotation and a magnification; tiltalign's stretch and skew stay well below it


def read_xf(path: Path) -> NDArray[np.float64]:
    """Read transforms of shape (n, 2, 3): for each section, (A | d) acting on x and y in pixels.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If a line is not six finite numbers A11 A12 A21 A22 DX DY, or A mirrors or flattens the image.
    """
    path = Path(path)
    transforms = []
    for number, line in enumerate(read_text(path, "a list of IMOD transforms").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = [float(word) for word in line.split()]
        except ValueError:
            values = []
        if len(values) != 6 or not all(abs(value) < 1e6 for value in values):
            raise FormatError(f"{path}, line {number}: six numbers A11 A12 A21 A22 DX DY were expected.")
        a11, a12, a21, a22, dx, dy = values
        if a11 * a22 - a12 * a21 < 1e-3:
            raise FormatError(f"{path}, line {number}: this transform mirrors or flattens the image.")
        transforms.append([[a11, a12, dx], [a21, a22, dy]])
    if not transforms:
        raise FormatError(f"{path}: there is no transform in it.", "Name the .xf file of an IMOD alignment.")
    return np.array(transforms)


def read_imod_alignment(
    xf: Path, tlt: Path, pixel_A: float, shape_yx: tuple[int, int], xtilt: Path | None = None
) -> Alignment:
    """Read an alignment for recorded images of `shape_yx` with pixels of `pixel_A`.

    Without an `xtilt`, there is no x-axis tilt.

    Raises
    ------
    InputError
        If a file cannot be opened, or they speak of different numbers of sections.
    FormatError
        If a file is not what it should be.

    Warns
    -----
    FormatWarning
        `stretch`: transforms hold more than a rotation and a magnification; the rest was left out.
    """
    transforms, tilts = read_xf(xf), read_angles(tlt)
    if len(transforms) != len(tilts):
        raise InputError(
            f"{xf} has {len(transforms)} transforms, {tlt} has {len(tilts)} angles.", "Name files of one alignment."
        )
    x_tilts = read_angles(xtilt) if xtilt else (0.0,) * len(tilts)
    if len(x_tilts) != len(tilts):
        raise InputError(f"{xtilt} has {len(x_tilts)} angles, {tlt} has {len(tilts)}.", "Name files of one alignment.")
    views, misfits = [], []
    for section, (transform, tilt) in enumerate(zip(transforms, tilts, strict=True)):
        matrix = transform[:, :2]
        axis = -math.atan2(matrix[1, 0] - matrix[0, 1], matrix[0, 0] + matrix[1, 1])
        magnification = 1 / math.sqrt(np.linalg.det(matrix))
        misfits.append(np.abs(matrix - _to_aligned(math.degrees(axis), magnification)).max())
        x, y = (-np.linalg.solve(matrix, transform[:, 2]) - _origin_from_middle_xy(shape_yx)) * pixel_A
        views.append(
            TiltAlignment(
                section=section,
                tilt_deg=tilt,
                x_tilt_deg=x_tilts[section],
                axis_deg=math.degrees(axis),
                shift_yx_A=(float(y), float(x)),
                magnification=magnification,
            )
        )
    if max(misfits) > _MAX_MISFIT:
        worst = int(np.argmax(misfits))
        warn_format(
            Path(xf),
            "stretch",
            f"transforms stretch or skew the images, section {worst} by {misfits[worst]:.1%}; that was left out.",
        )
    return Alignment(pixel_A=pixel_A, shape_yx=shape_yx, tilts=tuple(views))


def write_xf(path: Path, alignment: Alignment) -> None:
    """Write one transform a section, also for views left out (see `format_excluded`).

    The x-axis tilt of the views is no part of a .xf (see `write_xtilt`). Local motion has no place in it
    either: what is made from a .xf has the specimen as it moved.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    lines = []
    for view in alignment.tilts:
        matrix = _to_aligned(view.axis_deg, view.magnification)
        shift_xy = np.array(view.shift_yx_A[::-1]) / alignment.pixel_A
        d = -matrix @ (shift_xy + _origin_from_middle_xy(alignment.shape_yx))
        lines.append("".join(f"{value:12.7f}" for value in matrix.flat) + "".join(f"{value:12.3f}" for value in d))
    write_text(Path(path), "\n".join(lines) + "\n")


def write_tlt(path: Path, alignment: Alignment) -> None:
    """Write the refined tilt angle of each section.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_angles(path, [view.tilt_deg for view in alignment.tilts], decimals=_DECIMALS)


def write_xtilt(path: Path, alignment: Alignment) -> None:
    """Write the x-axis tilt of each section.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_angles(path, [view.x_tilt_deg for view in alignment.tilts], decimals=_DECIMALS)


def format_excluded(alignment: Alignment) -> str:
    """List the views left out as IMOD's EXCLUDELIST takes them: counted from 1, runs as ranges, such as "1-3,41"."""
    runs: list[list[int]] = []
    for view in alignment.tilts:
        number = view.section + 1
        if view.used:
            continue
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)


def _to_aligned(axis_deg: float, magnification: float) -> NDArray[np.float64]:
    """Return A, acting on (x, y): it turns the tilt axis onto y and takes the magnification out."""
    c, s = math.cos(math.radians(axis_deg)), math.sin(math.radians(axis_deg))
    return np.array([[c, s], [-s, c]]) / magnification


def _origin_from_middle_xy(shape_yx: tuple[int, int]) -> NDArray[np.float64]:
    """Return how far the sample n // 2 lies from the middle (n - 1) / 2 of an image, along x and y in pixels."""
    return np.array([n // 2 - (n - 1) / 2 for n in reversed(shape_yx)])
