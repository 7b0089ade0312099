"""Project a volume along its tilts, and its exact adjoint, the back-projection.

Geometry, in pixels of one size: the tilt axis is y; volume voxel (z, y, x) about its centre
``shape // 2`` is seen at row y and at column ``u = x cos(tilt) + z sin(tilt)`` about the detector's centre
``width // 2``, with linear interpolation between columns. Rows of the detector and of the volume are the same.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.processing.operators import _projector_numba, _projector_torch
from eucentric.processing.operators.memory import zeros

Doubles = NDArray[np.float64]


def backproject(
    projections: Tensor,  # (n, y, u) float32
    tilts_rad: Tensor,  # (n,) float64
    depth_width: tuple[int, int],
    *,
    centre_zx_px: tuple[float, float] = (0.0, 0.0),
    across_px: float = 0.0,
    out: Tensor | None = None,
) -> Tensor:
    """Add up the rays of all projections through each voxel.

    Parameters
    ----------
    projections
        Filtered projections (n, y, u), float32.
    tilts_rad
        Tilt of each, (n,).
    depth_width
        Number of voxels along z and x; there are as many along y as the projections have rows.
    centre_zx_px
        Where the volume's centre lies in the specimen, in pixels: a volume need not be about its origin.
    across_px
        Where all projections show the origin, in columns from the detector's centre.
    out
        A volume (z, y, x) to add to; made if absent.

    Returns
    -------
    Tensor
        The volume (z, y, x), float32, the sum (not the mean) over the tilts; a ray that falls off the
        detector adds nothing.

    Raises
    ------
    ValueError
        If there is not one tilt to each projection, or `out` has another shape than the volume asked for.
    """
    depth, width = depth_width
    shape = (depth, projections.shape[1], width)
    if out is None:
        out = zeros(shape, projections.device)
    # Compiled loops do not look where they write.
    if out.shape != shape or len(tilts_rad) != len(projections):
        raise ValueError(f"{len(tilts_rad)} tilts and {tuple(projections.shape)} do not fit {tuple(out.shape)}")
    cos, sin, offset = _rays(tilts_rad, projections.shape[2], centre_zx_px, across_px)
    if projections.device.type == "cpu":
        _projector_numba.backproject(projections.contiguous().numpy(), cos, sin, offset, out.numpy())
    else:
        _projector_torch.backproject(projections, cos, sin, offset, out)
    return out


def project(
    volume: Tensor,  # (z, y, x) float32
    tilts_rad: Tensor,  # (n,) float64
    width: int,
    *,
    centre_zx_px: tuple[float, float] = (0.0, 0.0),
    across_px: float = 0.0,
) -> Tensor:
    """Sum the volume along the beam at each tilt: the adjoint of `backproject`, to rounding.

    Parameters
    ----------
    volume
        Volume (z, y, x), float32.
    tilts_rad
        Tilts (n,).
    width
        Number of detector columns.
    centre_zx_px
        Where the volume's centre lies in the specimen, in pixels.
    across_px
        Where all projections show the origin, in columns from the detector's centre.

    Returns
    -------
    Tensor
        Projections (n, y, u), float32.
    """
    n, rows = len(tilts_rad), volume.shape[1]
    out = torch.zeros((n, rows, width), dtype=torch.float32, device=volume.device)
    cos, sin, offset = _rays(tilts_rad, width, centre_zx_px, across_px)
    if volume.device.type == "cpu":
        _projector_numba.project(volume.contiguous().numpy(), cos, sin, offset, out.numpy())
    else:
        _projector_torch.project(volume, cos, sin, offset, out)
    return out


def _rays(
    tilts_rad: Tensor, width: int, centre_zx_px: tuple[float, float], across_px: float = 0.0
) -> tuple[Doubles, Doubles, Doubles]:
    """Return cosine, sine and detector column of the volume's centre for each tilt, as float64 arrays."""
    tilts = tilts_rad.detach().to("cpu", torch.float64)
    cos, sin = torch.cos(tilts), torch.sin(tilts)
    z, x = centre_zx_px
    return cos.numpy(), sin.numpy(), (width // 2 + across_px + x * cos + z * sin).numpy()
