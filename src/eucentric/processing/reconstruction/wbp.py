"""Weighted back-projection, of all views and of the even and odd ones apart."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from eucentric.core import SILENT, Alignment, Reporter
from eucentric.processing.operators import backproject, zeros
from eucentric.processing.reconstruction.coverage import Coverage
from eucentric.processing.reconstruction.settings import Halves, ReconstructSettings, volume_shape
from eucentric.processing.reconstruction.views import (
    Images,
    Ray,
    Zyx,
    coefficients,
    deepest,
    detector_width,
    piece,
    rays_of,
    read_view,
    tilts_of,
    whole,
)
from eucentric.processing.reconstruction.weights import quadrature, view_gains

_REACH, _FARTHEST = 0.5, 768  # of the field, and in pixels, that the ramp's kernel reaches: beyond is 1e-4 of it


def weighted_slabs(
    images: Images,
    alignment: Alignment,
    settings: ReconstructSettings,
    *,
    planes: int | None = None,
    only: tuple[int, int] | None = None,
    device: torch.device | None = None,
    reporter: Reporter = SILENT,
) -> Iterator[tuple[int, Halves]]:
    """Back-project the views of an alignment into one slab of z after the other.

    Parameters
    ----------
    images, alignment, settings, device, reporter
        As for `reconstruct`.
    planes
        Most planes of a slab; all of the volume if absent.
    only
        First plane that is wanted, and the first that is not any more; all if absent.

    Yields
    ------
    tuple
        The first plane of a slab in the volume, and its halves; slabs come from the lowest z up.

    Raises
    ------
    InputError
        As `reconstruct`.
    """
    device = device or torch.device("cpu")
    rays = rays_of(images, alignment, settings.binning)
    depth, rows, columns = volume_shape(alignment, settings)
    voxel_A = alignment.pixel_A * settings.binning
    small = (alignment.shape_yx[0] // settings.binning, alignment.shape_yx[1] // settings.binning)
    reach = reach_of(small)
    gains = view_gains(tilts_of(rays), depth, settings, reach)
    coverage = Coverage(rays, quadrature(tilts_of(rays)).tolist(), (depth, rows, columns), small)
    shape = (rows, detector_width(rays, depth, columns))
    planes = min(planes or depth, deepest(rays, depth))
    upright = deepest(rays, depth) == depth
    halves = [zeros((len(rays[half::2]) if upright else 0, *shape), device) for half in range(2)]
    views = []
    for nth in reporter.each(range(len(rays)), "Filtering views"):
        ray, gain = rays[nth], 2 * gains[nth]  # for half the views
        image = read_view(images, alignment, ray.section, settings.binning, device)
        if upright:
            whole(image, ray, gain, reach, out=halves[nth % 2][nth // 2])
        else:
            views.append(coefficients(image, ray, gain, reach))
    start, stop = only or (0, depth)
    for first in reporter.each(range(start, stop, planes), "Back-projecting"):
        deep = min(planes, stop - first)
        z = float(first + deep // 2 - depth // 2)
        volumes = []
        for half in range(2):
            mine = rays[half::2]
            # A view that is upright all through the volume was resampled about the volume's centre, not the slab's.
            seen, height = (halves[half], z) if upright else (_pieces(views[half::2], mine, (z, 0.0, 0.0), shape), 0.0)
            volume = zeros((deep, rows, columns), device)
            backproject(seen, tilts_of(mine), (deep, columns), centre_zx_px=(height, 0.0), out=volume)
            coverage.apply(volume, first)
            volumes.append(volume)
        yield first, Halves(volumes[0], volumes[1], voxel_A)


def reach_of(image_yx: tuple[int, int]) -> int:
    """Return how many pixels the ramp's kernel reaches."""
    return max(1, min(round(_REACH * max(image_yx)), _FARTHEST))


def _pieces(views: Sequence[Tensor], rays: Sequence[Ray], centre_zyx: Zyx, shape: tuple[int, int]) -> Tensor:
    return torch.stack([piece(view, ray, centre_zyx, shape) for view, ray in zip(views, rays, strict=True)])
