"""Move images along a smooth field of displacements, with cubic B-splines."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.processing.operators import _warper_numba, _warper_torch


def warp(
    coefficients: Tensor,  # (y, x) float32
    displacement_px: NDArray[np.float64],  # (rows, columns, 2)
    step_px: int,
) -> Tensor:
    """Return the image seen at each pixel's displaced position.

    Parameters
    ----------
    coefficients
        From `spline_coefficients`, (y, x), float32.
    displacement_px
        (rows, columns, 2): yx in pixels at the grid points ``(i * step_px, j * step_px)``, linear in between; the
        grid covers the image. A pixel p of the result is the image's value at ``p + displacement(p)``.
    step_px
        Pixels between grid points.

    Returns
    -------
    Tensor
        (y, x), float32. Beyond its border an image goes on as its mirror image.

    Raises
    ------
    ValueError
        If the grid does not cover the image.
    """
    rows, columns = coefficients.shape
    if (displacement_px.shape[0] - 1) * step_px < rows - 1 or (displacement_px.shape[1] - 1) * step_px < columns - 1:
        raise ValueError(f"a grid of {displacement_px.shape[:2]} every {step_px} px does not cover {rows} x {columns}")
    out = torch.empty_like(coefficients)
    if coefficients.device.type == "cpu":
        grid = np.ascontiguousarray(displacement_px, dtype=np.float32)
        _warper_numba.warp(coefficients.contiguous().numpy(), grid, step_px, out.numpy())
    else:
        _warper_torch.warp(coefficients, displacement_px, step_px, out)
    return out
