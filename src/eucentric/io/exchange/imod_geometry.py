"""How IMOD's `tilt` makes a tomogram from an aligned stack, and which grid of ours that is.

In its source (flib/tilt/tilt.f90) a voxel of column x, line j and slice s is seen, in the aligned stack, at
``x' = (x - xc) cos t - (j - jc) cos a sin t + (s - sc) sin a sin t`` and ``y' = (s - sc) cos a + (j - jc) sin a`` from
the centre, with t the angle in TILTFILE plus OFFSET, and a that in XTILTFILE minus XAXISTILT. With ``z = jc - j`` these
are our own turn about x by a and then about y by t: our x-tilt is .xtilt minus XAXISTILT, and our z goes against the
lines, as it does once `trimvol -rx` has turned the tomogram to slices along z (`-yz` would mirror it instead).

The centres are those of this source, with its divisions of integers: the middle of an even side is between two pixels,
of an odd WIDTH or THICKNESS half a pixel before the middle one. SHIFT moves the grid, not the specimen.
"""

import math
from dataclasses import dataclass

from eucentric.core import FormatError
from eucentric.io.exchange.imod_com import Options
from eucentric.io.exchange.records import Volume

_MAX_SIDE = 1 << 20


@dataclass(frozen=True)
class TiltGrid:
    """What `tilt` makes, in pixels of the aligned stack.

    Attributes
    ----------
    shape_zyx
        Of the tomogram, once it is turned to slices along z.
    origin_zyx
        The place, as an index into it, that all views turn about.
    centre_xy
        Where the views see that place, from the middle of the aligned images.
    """

    shape_zyx: tuple[int, int, int]
    origin_zyx: tuple[float, float, float]
    centre_xy: tuple[float, float]

    def moved_zyx(self) -> tuple[float, float, float]:
        """Return where our origin, the voxel n // 2, lies from the place that all views turn about."""
        z, y, x = (n // 2 - place for n, place in zip(self.shape_zyx, self.origin_zyx, strict=True))
        return z, y, x


def grid_of(com: Options, aligned_xy: tuple[int, int] | None, binning: int) -> TiltGrid | None:
    """Return the grid of a tilt.com for aligned images of this size, binned so often; None if it has no THICKNESS.

    Where the size is not known, the aligned images are taken to have the middle of the full ones.

    Raises
    ------
    FormatError
        If a number in it cannot be.
    """
    full = [math.ceil(_whole(n) / binning) for n in com.numbers("FULLIMAGE", (2,))]
    start = [int(_whole(n) / binning) for n in com.numbers("SUBSETSTART", (2,))] or [0, 0]  # towards zero, as Fortran
    if aligned_xy is None:
        if not full:
            return None
        aligned_xy = full[0] - 2 * start[0], full[1] - 2 * start[1]
    columns, rows = aligned_xy
    full = full or [columns, rows]
    thickness = int(_whole(com.number("THICKNESS", 0)) / binning)
    if thickness < 1:
        return None
    width = int(_whole(com.number("WIDTH", 0)) / binning) or columns
    slices = com.numbers("SLICE", (2, 3))
    if len(slices) == 3 and slices[2] != 1:
        raise FormatError(f"{com.path}: SLICE leaves slices out ({com.text('SLICE')}).", "Reconstruct all slices.")
    # `tilt` counts SLICE from 0 before binning, and from 1 after.
    first, last = ((int(_whole(n)) + binning) // binning - 1 for n in slices[:2]) if slices else (0, rows - 1)
    shift = (*com.numbers("SHIFT", (1, 2)), 0.0, 0.0)[:2]
    offset = (*com.numbers("OFFSET", (1, 2)), 0.0, 0.0)
    axis = offset[1] / binning if len(com.numbers("OFFSET", (1, 2))) == 2 else 0.0
    shape = (thickness, last - first + 1, width)
    if not all(1 <= n < _MAX_SIDE for n in shape):
        raise FormatError(f"{com.path}: a tomogram of {shape} voxels cannot be.", "Check THICKNESS, WIDTH and SLICE.")
    across = shift[0] / binning - (columns // 2 + start[0] - full[0] // 2)
    return TiltGrid(
        shape_zyx=shape,
        origin_zyx=(
            thickness - 1 - (thickness // 2 - 0.5 + shift[1] / binning),
            (full[1] - 1) / 2 - start[1] - first,
            width // 2 - 0.5 + axis + across,
        ),
        centre_xy=(
            (full[0] - columns) / 2 - start[0] + axis,
            (full[1] - rows) / 2 - start[1],
        ),
    )


def aligned_size(columns: int, rows: int, axis_deg: float, volume: Volume | None, binning: int) -> tuple[int, int]:
    """Return the size (x, y) of aligned images that hold the recorded ones and the tomogram, binned so often.

    Both are odd, so that their middle is a pixel, as that of our tomograms is.
    """
    if abs(math.sin(math.radians(axis_deg))) > math.sqrt(0.5):
        columns, rows = rows, columns
    x, y = columns // binning, rows // binning
    if volume is not None:
        x, y = max(x, volume.shape_zyx[2] + 1), max(y, volume.shape_zyx[1] + 1)
    return x | 1, y | 1


def tilt_options(name: str, volume: Volume, aligned_xy: tuple[int, int], binning: int) -> dict[str, str]:
    """Return the options of `tilt` that make a volume, voxel for voxel, from aligned images of an odd size."""
    depth, rows, columns = volume.shape_zyx
    first = aligned_xy[1] // 2 - rows // 2
    # These put its centre, between two voxels or half a voxel before the middle one, onto the voxel n // 2.
    shift = (0.5 * binning, (0.5 if depth % 2 else -0.5) * binning)
    return {
        "InputProjections": f"{name}_ali.mrc",
        "OutputFile": f"{name}_full_rec.mrc",
        "IMAGEBINNED": f"{binning}",
        "TILTFILE": f"{name}.tlt",
        "XTILTFILE": f"{name}.xtilt",
        "THICKNESS": f"{depth * binning}",
        "WIDTH": f"{columns * binning}",
        "SLICE": f"{first * binning} {(first + rows - 1) * binning}",
        "RADIAL": "0.35 0.035",
        "FalloffIsTrueSigma": "1",
        "XAXISTILT": "0.0",
        "OFFSET": "0.0",
        "SHIFT": f"{shift[0]:g} {shift[1]:g}",
        "SCALE": "0.0 1.0",
        "PERPENDICULAR": "",
        "MODE": "2",
        "FULLIMAGE": f"{aligned_xy[0] * binning} {aligned_xy[1] * binning}",
        "SUBSETSTART": "0 0",
        "AdjustOrigin": "",
        "ActionIfGPUFails": "1,2",
    }


def _whole(value: float) -> float:
    return float(round(value))
