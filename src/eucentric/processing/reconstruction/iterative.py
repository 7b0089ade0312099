"""SIRT and CGLS: volumes whose projections come to agree with the views, round by round.

Both lower the misfit ``sum of w (projection - view)²`` over the pixels that were recorded, where w is the weight of the
tilt over the length of the ray's path: SIRT by steps that are safe everywhere, which smooths; CGLS by conjugate
directions, some five times as fast, which soon fits noise. The volume is nothing outside its slab.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eucentric.core import SILENT, Alignment, InputError, Reporter
from eucentric.processing.operators import HIGHEST, backproject, project, zeros
from eucentric.processing.reconstruction.settings import Halves, ReconstructSettings, volume_shape
from eucentric.processing.reconstruction.views import (
    Images,
    Ray,
    deepest,
    detector_width,
    rays_of,
    read_view,
    tilts_of,
    whole,
)
from eucentric.processing.reconstruction.weights import quadrature

_SHORTEST = 0.25  # of the longest path: shorter rays, at the volume's corners, mostly see what is outside it
_LEAST_SEEN = 0.1  # of the weight of all views: voxels that fewer see are moved no further than those


@dataclass(frozen=True)
class Solution:
    """A volume (z, y, x), and the misfit before each round and after the last, as shares of the first."""

    volume: Tensor
    misfits: tuple[float, ...]


def solve_halves(
    images: Images,
    alignment: Alignment,
    settings: ReconstructSettings,
    *,
    device: torch.device | None = None,
    reporter: Reporter = SILENT,
) -> Halves:
    """Solve for the volumes of the even and of the odd views; parameters and errors are those of `reconstruct`.

    Raises
    ------
    InputError
        Also if views have an x-tilt by which rows leave their row within the volume.
    """
    device = device or torch.device("cpu")
    rays = rays_of(images, alignment, settings.binning)
    depth, rows, columns = volume_shape(alignment, settings)
    if deepest(rays, depth) < depth:
        raise InputError(
            f"The views have an x-tilt, which {settings.method.upper()} cannot follow through {depth} planes.",
            "Reconstruct by weighted back-projection (wbp), or solve the alignment without x-tilt.",
        )
    shape = (rows, detector_width(rays, depth, columns))
    small = (alignment.shape_yx[0] // settings.binning, alignment.shape_yx[1] // settings.binning)
    weights = quadrature(tilts_of(rays))
    if settings.weighting == "cosine":
        weights = weights * torch.cos(tilts_of(rays))
    weights = weights / weights.mean()
    plain = torch.where(torch.linspace(0, HIGHEST, 4097) <= 0.5 + 1e-6, 1.0, 0.0)
    volumes = []
    for half in range(2):
        views = zeros((len(rays[half::2]), *shape), device)
        for ray, view in zip(reporter.each(rays[half::2], "Aligning views"), views, strict=True):
            whole(read_view(images, alignment, ray.section, settings.binning, device), ray, plain, 0, out=view)
        seen = torch.stack([_seen(ray, small, shape, device) for ray in rays[half::2]])
        seen *= weights[half::2].float().to(device)[:, None, None]
        solver = sirt if settings.method == "sirt" else cgls
        name = f"{settings.method.upper()}, {('even', 'odd')[half]} views"
        solution = solver(
            views, tilts_of(rays[half::2]), seen, (depth, columns), settings, reporter=reporter, name=name
        )
        volumes.append(solution.volume)
    return Halves(volumes[0], volumes[1], alignment.pixel_A * settings.binning)


def sirt(
    views: Tensor,  # (n, y, u) float32
    tilts_rad: Tensor,
    weights: Tensor,  # (n, y, u) float32
    depth_width: tuple[int, int],
    settings: ReconstructSettings,
    *,
    reporter: Reporter = SILENT,
    name: str = "SIRT",
) -> Solution:
    """Solve by simultaneous iterations (Gilbert 1972; step lengths of Gregor & Benson 2008, 10.1109/TMI.2008.923696).

    Parameters
    ----------
    views
        Aligned views, as sums over voxels.
    tilts_rad
        Their tilts (n,).
    weights
        Weight of each pixel, zero where none was recorded.
    depth_width
        Voxels along z and x.
    settings
        Rounds, when to stop, and on which side of zero density is held.
    reporter, name
        Where progress goes, and under which name.
    """
    shape = (depth_width[0], views.shape[1], depth_width[1])
    step = backproject(weights, tilts_rad, depth_width, out=zeros(shape, views.device))
    step = torch.clamp(step, min=_LEAST_SEEN * float(weights.amax((1, 2)).sum())).reciprocal_()
    per_pixel = weights / _path(tilts_rad, views.shape[2], depth_width).to(views.device)
    volume, change = zeros(shape, views.device), zeros(shape, views.device)
    residual = views.clone()
    misfits = [_misfit(residual, per_pixel)]
    for _ in reporter.each(range(settings.iterations), name):
        change.zero_()
        backproject(residual * per_pixel, tilts_rad, depth_width, out=change)
        volume.addcmul_(step, change)
        _hold(volume, settings)
        torch.sub(views, project(volume, tilts_rad, views.shape[2]), out=residual)
        misfits.append(_misfit(residual, per_pixel))
        if _stands(misfits, settings):
            break
    return Solution(volume, _shares(misfits))


def cgls(
    views: Tensor,
    tilts_rad: Tensor,
    weights: Tensor,
    depth_width: tuple[int, int],
    settings: ReconstructSettings,
    *,
    reporter: Reporter = SILENT,
    name: str = "CGLS",
) -> Solution:
    """Solve by conjugate gradients on the weighted least squares (Björck 1996, alg. 7.4.1); parameters as `sirt`."""
    shape = (depth_width[0], views.shape[1], depth_width[1])
    per_pixel = weights / _path(tilts_rad, views.shape[2], depth_width).to(views.device)
    volume = zeros(shape, views.device)
    residual = views.clone()
    gradient = backproject(residual * per_pixel, tilts_rad, depth_width, out=zeros(shape, views.device))
    direction, steepness = gradient.clone(), _square(gradient)
    misfits = [_misfit(residual, per_pixel)]
    for _ in reporter.each(range(settings.iterations), name):
        seen = project(direction, tilts_rad, views.shape[2])
        curvature = _misfit(seen, per_pixel)
        if not curvature > 0:
            break
        length = steepness / curvature
        volume.add_(direction, alpha=length)
        residual.sub_(seen, alpha=length)
        misfits.append(_misfit(residual, per_pixel))
        if _stands(misfits, settings):
            break
        gradient.zero_()
        backproject(residual * per_pixel, tilts_rad, depth_width, out=gradient)
        before, steepness = steepness, _square(gradient)
        direction.mul_(steepness / before).add_(gradient)
    return Solution(volume, _shares(misfits))


def _path(tilts_rad: Tensor, width: int, depth_width: tuple[int, int]) -> Tensor:
    """Return how many voxels each ray sums up, (n, 1, u): the same at every row."""
    path = project(torch.ones((depth_width[0], 1, depth_width[1])), tilts_rad, width)
    return torch.clamp(path, min=_SHORTEST * float(path.max()))


def _seen(ray: Ray, image_yx: tuple[int, int], shape: tuple[int, int], device: torch.device) -> Tensor:
    """Return 1 for the pixels of an aligned view that were recorded, 0 for others."""
    to_image = torch.from_numpy(ray.map_at((0.0, 0.0, 0.0)))
    v, u = (torch.arange(n, dtype=torch.float64) - n // 2 for n in shape)
    inside = torch.ones(shape, dtype=torch.bool)
    for axis, n in enumerate(image_yx):
        place = to_image[axis, 0] * v[:, None] + to_image[axis, 1] * u[None, :] + to_image[axis, 2] + n // 2
        inside &= (place > -0.5) & (place < n - 0.5)
    return inside.float().to(device)


def _hold(volume: Tensor, settings: ReconstructSettings) -> None:
    if settings.positivity == "bright":
        volume.clamp_(min=0)
    elif settings.positivity == "dark":
        volume.clamp_(max=0)


def _misfit(residual: Tensor, per_pixel: Tensor) -> float:
    # View by view in double: a sum over a whole stack of float32 is not good to the share that ends the rounds.
    return sum(
        float(torch.sum(part * part * weight, dtype=torch.float64))
        for part, weight in zip(residual, per_pixel, strict=True)
    )


def _square(volume: Tensor) -> float:
    return sum(float(torch.sum(plane * plane, dtype=torch.float64)) for plane in volume)


def _stands(misfits: Sequence[float], settings: ReconstructSettings) -> bool:
    """Whether the root of the misfit fell by too small a share in the last round."""
    before, now = (math.sqrt(value) for value in misfits[-2:])
    return now >= before * (1 - settings.least_gain)


def _shares(misfits: Sequence[float]) -> tuple[float, ...]:
    first = misfits[0] or 1.0
    return tuple(math.sqrt(value / first) for value in misfits)
