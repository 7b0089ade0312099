"""What a view adds to its own projection, so that it can be taken off again: held out at the cost of three products."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.core.jit import compiled, parallel_range

Doubles = NDArray[np.float64]


def own_projection_bands(
    tilts_rad: Tensor, depth_width: tuple[int, int], columns: int, height_px: float = 0.0, across_px: float = 0.0
) -> Tensor:
    """Return what back-projecting a view and projecting it again at its own tilt does, as three bands (3, n, u).

    Linear interpolation couples a column only with its neighbours: with the bands (below, own, above), the
    result at column k is ``below[k+1] f[k+1]`` + ``own[k] f[k]`` + ``above[k-1] f[k-1]``. The volume's centre lies at
    `height_px`, and is seen `across_px` columns from the middle, as for `backproject`.
    """
    tilts = tilts_rad.to("cpu", torch.float64).numpy()
    bands = np.zeros((3, len(tilts), columns))
    offsets = columns // 2 + across_px + height_px * np.sin(tilts)
    _add_up(np.cos(tilts), np.sin(tilts), offsets, depth_width, bands)
    return torch.from_numpy(bands).float()


@compiled(parallel=True)
def _add_up(cos: Doubles, sin: Doubles, offset: Doubles, depth_width: tuple[int, int], bands: Doubles) -> None:
    """Add the products of the shares of every voxel to `bands` (3, n, u)."""
    depth, width = depth_width
    columns = bands.shape[2]
    for i in parallel_range(len(cos)):
        below, own, above = bands[0, i], bands[1, i], bands[2, i]
        for z in range(depth):
            start = offset[i] + (z - depth // 2) * sin[i] - (width // 2) * cos[i]
            for x in range(width):
                u = start + x * cos[i]
                k = int(np.floor(u))
                if 0 <= k < columns - 1:
                    f = u - k
                    own[k] += (1 - f) ** 2
                    own[k + 1] += f**2
                    above[k] += f * (1 - f)  # column k as seen at k + 1
                    below[k + 1] += f * (1 - f)  # column k + 1 as seen at k
