"""How much of the angular range sees each voxel, on a coarse grid: it varies slowly."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.core.jit import compiled, parallel_range
from eucentric.processing.reconstruction.views import Ray, Zyx

_STEP = 8
_LEAST = 0.6  # share of the views that must see a voxel for its density to be brought up to scale in full

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]


class Coverage:
    """What to multiply the voxels of a box by, for those that only some views see to be on the scale of the others."""

    def __init__(
        self,
        rays: Sequence[Ray],
        weights: Sequence[float],
        shape: tuple[int, int, int],
        image_yx: tuple[int, int],
        centre_zyx: Zyx = (0.0, 0.0, 0.0),
    ) -> None:
        self.shape = shape
        coarse = [math.ceil(n / _STEP) + 1 for n in shape]
        seen = np.zeros(coarse)
        corner = np.array([c - n // 2 for c, n in zip(centre_zyx, shape, strict=True)])
        matrices = np.stack([ray.to_image for ray in rays])
        shifts = np.stack([ray.shift_px for ray in rays])
        shares = np.asarray(weights, dtype=np.float64) / max(float(np.sum(weights)), 1e-12)
        _see(matrices, shifts, shares, corner, np.array(image_yx) / 2, seen)
        self.scale = (1 / np.maximum(seen, _LEAST)).astype(np.float32)
        self.scale[seen > 1 - 1e-6] = 1

    def apply(self, volume: Tensor, first: int = 0) -> None:
        """Multiply the planes of the box from `first` on in place."""
        if volume.device.type == "cpu":
            _apply(self.scale, first, volume.numpy())
        else:
            apply_torch(torch.from_numpy(self.scale).to(volume.device), first, volume)


def apply_torch(scale: Tensor, first: int, volume: Tensor) -> None:
    """Multiply a volume in place, on any device."""
    for z in range(len(volume)):
        below, share = divmod(first + z, _STEP)
        plane = torch.lerp(scale[below], scale[below + 1], share / _STEP)
        size = tuple((n - 1) * _STEP + 1 for n in plane.shape)
        fine = torch.nn.functional.interpolate(plane[None, None], size, mode="bilinear", align_corners=True)
        volume[z] *= fine[0, 0, : volume.shape[1], : volume.shape[2]]


@compiled(parallel=True)
def _see(matrices: Doubles, shifts: Doubles, shares: Doubles, corner: Doubles, half: Doubles, seen: Doubles) -> None:
    """Add up the shares of the views whose image holds each point of the coarse grid."""
    for a in parallel_range(seen.shape[0]):
        z = corner[0] + a * _STEP
        for b in range(seen.shape[1]):
            y = corner[1] + b * _STEP
            for c in range(seen.shape[2]):
                x = corner[2] + c * _STEP
                total = 0.0
                for i in range(len(shares)):
                    m = matrices[i]
                    row = m[0, 0] * z + m[0, 1] * y + m[0, 2] * x + shifts[i, 0]
                    column = m[1, 0] * z + m[1, 1] * y + m[1, 2] * x + shifts[i, 1]
                    # A border falls off over a step of the grid, or rounding would decide who sees a point on it.
                    inside = min((half[0] - abs(row)) / _STEP + 0.5, 1.0) if abs(row) < half[0] + _STEP / 2 else 0.0
                    if abs(column) < half[1] + _STEP / 2:
                        total += shares[i] * inside * min((half[1] - abs(column)) / _STEP + 0.5, 1.0)
                seen[a, b, c] = total


@compiled(parallel=True)
def _apply(scale: Floats, first: int, volume: Floats) -> None:
    depth, rows, columns = volume.shape
    for z in parallel_range(depth):
        a, p = (first + z) // _STEP, np.float32(((first + z) % _STEP) / _STEP)
        line = np.empty(scale.shape[2], np.float32)
        for y in range(rows):
            b, q = y // _STEP, np.float32((y % _STEP) / _STEP)
            for c in range(len(line)):
                here = scale[a, b, c] + q * (scale[a, b + 1, c] - scale[a, b, c])
                above = scale[a + 1, b, c] + q * (scale[a + 1, b + 1, c] - scale[a + 1, b, c])
                line[c] = here + p * (above - here)
            for c in range(len(line) - 1):
                if line[c] != 1 or line[c + 1] != 1:
                    slope = (line[c + 1] - line[c]) / np.float32(_STEP)
                    for i in range(min(_STEP, columns - c * _STEP)):
                        volume[z, y, c * _STEP + i] *= line[c] + np.float32(i) * slope
