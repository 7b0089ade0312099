"""GPU form of the cubic B-spline resampler: sixteen gathers."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Doubles = NDArray[np.float64]


def _mirrored(i: Tensor, n: int) -> Tensor:
    period = max(2 * (n - 1), 1)
    i = i.abs() % period
    return torch.where(i < n, i, period - i)


def _fade(position: Tensor, n: int, margin: float) -> Tensor:
    beyond = torch.clamp(torch.maximum(-0.5 - position, position - (n - 0.5)), min=0)
    faded = 0.5 + 0.5 * torch.cos(math.pi * torch.clamp(beyond / max(margin, 1e-9), max=1))
    return torch.where(beyond == 0, 1.0, torch.where(beyond >= margin, 0.0, faded))


def spline_weights(f: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the four cubic B-spline weights at the fraction `f` between the middle two samples."""
    g = 1 - f
    return g**3 / 6, (4 - 6 * f**2 + 3 * f**3) / 6, (4 - 6 * g**2 + 3 * g**3) / 6, f**3 / 6


def resample(coefficients: Tensor, maps: Doubles, margin: float, out: Tensor) -> None:
    """Fill `out` (n, y', x') from `coefficients` (n, y, x)."""
    n, rows, columns = coefficients.shape
    _, new_rows, new_columns = out.shape
    device = coefficients.device
    y_new = (torch.arange(new_rows, device=device, dtype=torch.float64) - new_rows // 2)[:, None]
    x_new = (torch.arange(new_columns, device=device, dtype=torch.float64) - new_columns // 2)[None, :]
    for i in range(n):
        m = maps[i]
        y = m[0, 0] * y_new + m[0, 1] * x_new + m[0, 2] + rows // 2
        x = m[1, 0] * y_new + m[1, 1] * x_new + m[1, 2] + columns // 2
        y0, x0 = torch.floor(y).long(), torch.floor(x).long()
        wy, wx = spline_weights((y - y0).float()), spline_weights((x - x0).float())
        total = torch.zeros((new_rows, new_columns), dtype=torch.float32, device=device)
        for a in range(4):
            row = _mirrored(y0 - 1 + a, rows)
            for b in range(4):
                total += wy[a] * wx[b] * coefficients[i][row, _mirrored(x0 - 1 + b, columns)]
        out[i] = total * (_fade(y, rows, margin) * _fade(x, columns, margin)).float()
