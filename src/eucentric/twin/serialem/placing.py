"""Where on the stage a pixel of an image lies, as SerialEM reckons it from what the microscope told when it was taken.

Image coordinates are SerialEM's: pixels from the image's left edge and from its top, so that the centre is at half the
size. A place of the stage is where it has to go, at image shift 0, for that pixel's place to come into the centre of
Record's area. Shifts that an image was given by alignments since do not change which place a pixel shows.
"""

import numpy as np
from numpy.typing import NDArray

from eucentric.twin.serialem.bench import Bench
from eucentric.twin.serialem.buffers import Buffer
from eucentric.twin.serialem.errors import SEMerror
from eucentric.twin.serialem.geometry import UM, Array, specimen_um

_Y_DOWN = np.diag([1.0, -1.0])


def tilted(tilt_deg: float) -> Array:
    """Return the matrix from places on the tilted specimen to how they are seen: those across the axis come closer."""
    return np.diag([1.0, float(np.cos(np.radians(tilt_deg)))])


def stage_um(bench: Bench, specimen: Array, tilt_deg: float) -> Array:
    """Return how far the stage has to go for what is seen at a specimen shift (µm): its X and Y tilt with the plane."""
    on_plane = np.linalg.solve(tilted(tilt_deg), specimen)
    return np.asarray(np.linalg.solve(bench.geometry.stage2specimen, on_plane))


def centre_um(bench: Bench, image: Buffer) -> tuple[Array, float]:
    """Return where the centre of an image lies in the stage's X and Y, and the stage's Z.

    Raises
    ------
    SEMerror
        If nobody knows: it came from a file, and is no map.
    """
    told = image.readback
    if told is None:
        if image.centre_um is None:
            raise SEMerror("Nothing is known of where this image was taken: it came from a file, and is no map")
        x, y, z = image.centre_um
        return np.array([x, y]), z
    on_axis = bench.settings.user.get("shifttotiltaxis", 0.0) != 0
    seen = specimen_um(told.image_shift_yx_A) - np.array([0.0, bench.tilt_axis_offset_um * on_axis])
    seen = seen + specimen_um(image.off_yx_A)
    here = np.linalg.solve(bench.geometry.stage2specimen, specimen_um((told.stage.y_A, told.stage.x_A)))
    return here + stage_um(bench, seen, image.tilt_deg), told.stage.z_A / UM


def stage2image(bench: Bench, image: Buffer) -> tuple[Array, Array]:
    """Return the matrix (2, 2) and the offset (2,) from places of the stage (µm) to an image's pixels."""
    geometry = bench.geometry
    matrix = _Y_DOWN @ geometry.specimen2camera(image.pixel_A) @ tilted(image.tilt_deg) @ geometry.stage2specimen
    centre, _ = centre_um(bench, image)
    return matrix, np.array(image.shown_xy) / 2 - matrix @ centre


def in_image(bench: Bench, image: Buffer, stage_xy_um: Array) -> Array:
    """Return the pixels (n, 2) at places of the stage (n, 2)."""
    matrix, offset = stage2image(bench, image)
    return np.asarray(stage_xy_um @ matrix.T + offset)


def on_stage(bench: Bench, image: Buffer, pixels_xy: Array) -> Array:
    """Return the places of the stage (n, 2), µm, at pixels (n, 2) of an image."""
    matrix, offset = stage2image(bench, image)
    return np.asarray(np.linalg.solve(matrix, (pixels_xy - offset).T).T)


def is_inside(image: Buffer, pixels_xy: Array) -> NDArray[np.bool_]:
    """Return which of these pixels (n, 2) an image has."""
    return np.asarray(((pixels_xy >= 0) & (pixels_xy <= np.array(image.shown_xy))).all(axis=-1))
