"""Images with the specimen's local motion taken out: as it would be seen if it had kept its mean shape."""

import math

import numpy as np
from torch import Tensor

from eucentric.core import Alignment
from eucentric.processing.operators import spline_coefficients, warp

_STEPS = 16  # of the grid at which motion is told, along the shorter side: it is smooth over a field


def still(image: Tensor, alignment: Alignment, section: int) -> Tensor:
    """Return a view as it would have been recorded without local motion.

    Parameters
    ----------
    image
        The view (y, x), float32; it may be binned, so that it covers the field of the alignment with other pixels.
    alignment
        With its local motion; without, the image is returned as it is.
    section
        Which view it is.
    """
    if alignment.local is None:
        return image
    rows, columns = image.shape
    pixel_A = alignment.pixel_A * alignment.shape_yx[0] / rows
    step = max(1, min(rows, columns) // _STEPS)
    grid = [np.arange(math.ceil((n - 1) / step) + 1) * step - n // 2 for n in (rows, columns)]
    places_A = np.stack(np.meshgrid(*grid, indexing="ij"), axis=-1) * pixel_A
    shift_A = alignment.local_shift_yx_A(section, places_A.reshape(-1, 2)).reshape(places_A.shape)
    return warp(spline_coefficients(image[None])[0], shift_A / pixel_A, step)
