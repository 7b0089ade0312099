"""GPU form of the projector pair: gathers and scatters along u, one slab of z at a time to bound memory."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Doubles = NDArray[np.float64]

_SLAB_VALUES = 2**26  # values gathered at once: 256 MB of float32


def _columns(z: Tensor, columns: int, depth: int, cos: float, sin: float, offset: float) -> Tensor:
    """Return the detector column of each voxel of the slab `z`, flattened over (z, x)."""
    x = torch.arange(columns, dtype=torch.float64, device=z.device) - columns // 2
    return ((z - depth // 2)[:, None] * sin + x[None, :] * cos + offset).reshape(-1)


def _slabs(depth: int, values_per_z: int, device: torch.device) -> list[Tensor]:
    thickness = max(1, _SLAB_VALUES // values_per_z)
    return list(torch.split(torch.arange(depth, dtype=torch.float64, device=device), thickness))


def backproject(projections: Tensor, cos: Doubles, sin: Doubles, offset: Doubles, volume: Tensor) -> None:
    """Add the rays of `projections` (n, y, u) to `volume` (z, y, x)."""
    n, rows, width = projections.shape
    depth, _, columns = volume.shape
    for z in _slabs(depth, rows * columns, volume.device):
        slab = torch.zeros((rows, len(z) * columns), dtype=torch.float32, device=volume.device)
        for i in range(n):
            u = _columns(z, columns, depth, cos[i], sin[i], offset[i])
            inside = (u >= 0) & (u < width - 1)
            k = torch.where(inside, u, 0).long()
            f = (u - k).float()
            low, high = projections[i][:, k], projections[i][:, torch.clamp(k + 1, max=width - 1)]
            slab += torch.where(inside, low + f * (high - low), 0)
        first = int(z[0])
        volume[first : first + len(z)] += slab.reshape(rows, len(z), columns).transpose(0, 1)


def project(volume: Tensor, cos: Doubles, sin: Doubles, offset: Doubles, projections: Tensor) -> None:
    """Add the sums of `volume` (z, y, x) along the beam to `projections` (n, y, u)."""
    n, rows, width = projections.shape
    depth, _, columns = volume.shape
    for z in _slabs(depth, rows * columns, volume.device):
        first = int(z[0])
        slab = volume[first : first + len(z)].transpose(0, 1).reshape(rows, -1)
        for i in range(n):
            u = _columns(z, columns, depth, cos[i], sin[i], offset[i])
            inside = (u >= 0) & (u < width - 1)
            k = torch.where(inside, u, 0).long()
            values = torch.where(inside, slab, 0)
            part = values * (u - k).float()
            projections[i].index_add_(1, torch.clamp(k + 1, max=width - 1), part)
            projections[i].index_add_(1, k, values - part)
