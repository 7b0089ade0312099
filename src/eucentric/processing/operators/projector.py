"""Project a volume along its tilts, and its exact adjoint, the back-projection.

Geometry, in pixels of one size: the tilt axis is y; volume voxel (z, y, x) about its centre
``shape // 2`` is seen at row y and at column ``u = x cos(tilt) + z sin(tilt)`` about the detector's centre
``width // 2``, with linear interpolation between columns. Rows of the detector and of the volume are the same.
"""

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.processing.operators import _projector_numba, _projector_torch
from eucentric.processing.operators._vectors import ROWS
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


def reproject(
    projections: Tensor,  # (n, y, u) float32
    tilts_rad: Tensor,  # (n,) float64
    depth_width: tuple[int, int],
    *,
    at_rad: Tensor | None = None,
    block_views: int = 0,
    centre_zx_px: tuple[float, float] = (0.0, 0.0),
    across_px: float = 0.0,
) -> Tensor:
    """Project the volume that projections are back-projected into: as `project` after `backproject`, but sooner.

    Parameters
    ----------
    projections, tilts_rad, depth_width, centre_zx_px, across_px
        As for `backproject`.
    at_rad
        Tilts (m,) to project at; those of the projections if absent.
    block_views
        If given (and not `at_rad`), each block of so many projections, in the order given, is that of the volume of
        all projections outside it.

    Returns
    -------
    Tensor
        Projections (m, y, u), float32.

    Raises
    ------
    ValueError
        If there is not one tilt to each projection, or both `at_rad` and `block_views` are given.
    """
    n, rows, width = projections.shape
    if len(tilts_rad) != n or (at_rad is not None and block_views):
        raise ValueError(f"{len(tilts_rad)} tilts, other ones and blocks of {block_views} do not fit {n} projections")
    if projections.device.type != "cpu":
        return _by_volumes(projections, tilts_rad, depth_width, at_rad, block_views, centre_zx_px, across_px)
    views = tilts_rad if at_rad is None else torch.cat([tilts_rad, at_rad])
    first = 0 if at_rad is None else n
    out = torch.empty((len(views) - first, rows, width), dtype=torch.float32)
    parts = min(numba.get_num_threads(), -(-rows // ROWS))
    rays = _rays(views, width, centre_zx_px, across_px)
    _projector_numba.reproject(
        projections.contiguous().numpy(), rays, depth_width, first, block_views, parts, out.numpy()
    )
    return out


def _by_volumes(
    projections: Tensor,
    tilts_rad: Tensor,
    depth_width: tuple[int, int],
    at_rad: Tensor | None,
    block_views: int,
    centre_zx_px: tuple[float, float],
    across_px: float,
) -> Tensor:
    """Do as `reproject` does with the volume in memory, on any device."""

    def seen(some: slice, at: Tensor) -> Tensor:
        these = projections[some], tilts_rad[some], depth_width
        volume = backproject(*these, centre_zx_px=centre_zx_px, across_px=across_px)
        return project(volume, at, projections.shape[2], centre_zx_px=centre_zx_px, across_px=across_px)

    out = seen(slice(None), tilts_rad if at_rad is None else at_rad)
    for begin in range(0, len(projections), block_views) if block_views else ():
        block = slice(begin, begin + block_views)
        out[block] -= seen(block, tilts_rad[block])
    return out


def _rays(
    tilts_rad: Tensor, width: int, centre_zx_px: tuple[float, float], across_px: float = 0.0
) -> tuple[Doubles, Doubles, Doubles]:
    """Return cosine, sine and detector column of the volume's centre for each tilt, as float64 arrays."""
    tilts = tilts_rad.detach().to("cpu", torch.float64)
    cos, sin = torch.cos(tilts), torch.sin(tilts)
    z, x = centre_zx_px
    return cos.numpy(), sin.numpy(), (width // 2 + across_px + x * cos + z * sin).numpy()
