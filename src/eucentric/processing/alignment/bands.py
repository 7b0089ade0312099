"""What a view adds to its own projection, so that it can be taken off again: held out at the cost of three products."""

import torch
from torch import Tensor


def own_projection_bands(tilts_rad: Tensor, depth_width: tuple[int, int], columns: int) -> Tensor:
    """Return what back-projecting a view and projecting it again at its own tilt does, as three bands (3, n, u).

    Linear interpolation couples a column only with its neighbours: with the bands (below, own, above), the
    result at column k is ``below[k+1] f[k+1]`` + ``own[k] f[k]`` + ``above[k-1] f[k-1]``.
    """
    depth, width = depth_width
    z = torch.arange(depth, dtype=torch.float64)[:, None] - depth // 2
    x = torch.arange(width, dtype=torch.float64)[None, :] - width // 2
    bands = torch.zeros((3, len(tilts_rad), columns), dtype=torch.float64)
    for i, tilt in enumerate(tilts_rad.to("cpu", torch.float64)):
        u = (x * torch.cos(tilt) + z * torch.sin(tilt) + columns // 2).reshape(-1)
        u = u[(u >= 0) & (u < columns - 1)]
        k = u.long()
        f = u - k
        bands[1, i].index_add_(0, k, (1 - f) ** 2)
        bands[1, i].index_add_(0, k + 1, f**2)
        bands[2, i].index_add_(0, k, f * (1 - f))  # column k as seen at k + 1
        bands[0, i].index_add_(0, k + 1, f * (1 - f))  # column k + 1 as seen at k
    return bands.float()
