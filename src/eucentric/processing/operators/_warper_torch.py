"""GPU form of the warper: sixteen gathers."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.processing.operators._resampler_torch import spline_weights


def warp(coefficients: Tensor, displacement_px: NDArray[np.float64], step: int, out: Tensor) -> None:
    """Fill `out` (y, x) from `coefficients` (y, x) and the displacements (rows, columns, 2) of a grid."""
    rows, columns = coefficients.shape
    device = coefficients.device
    grid = torch.as_tensor(displacement_px, dtype=torch.float32, device=device)
    row, column = torch.arange(rows, device=device)[:, None], torch.arange(columns, device=device)[None, :]
    i, j = row // step, column // step
    i1, j1 = torch.clamp(i + 1, max=grid.shape[0] - 1), torch.clamp(j + 1, max=grid.shape[1] - 1)
    down, right = ((row % step) / step)[..., None], ((column % step) / step)[..., None]
    by = (1 - down) * ((1 - right) * grid[i, j] + right * grid[i, j1])
    by = by + down * ((1 - right) * grid[i1, j] + right * grid[i1, j1])
    whole = torch.floor(by)
    y0, x0 = row + whole[..., 0].long(), column + whole[..., 1].long()
    wy, wx = spline_weights(by[..., 0] - whole[..., 0]), spline_weights(by[..., 1] - whole[..., 1])
    out.zero_()
    for a in range(4):
        y = _within(y0 - 1 + a, rows)
        for b in range(4):
            out += wy[a] * wx[b] * coefficients[y, _within(x0 - 1 + b, columns)]


def _within(i: Tensor, n: int) -> Tensor:
    i = i.abs()
    i = torch.where(i > n - 1, 2 * (n - 1) - i, i)
    return torch.clamp(i, 0, n - 1)
