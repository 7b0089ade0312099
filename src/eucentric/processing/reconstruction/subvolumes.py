"""Sub-volumes at full resolution, without the volume that they are parts of.

Each view is filtered once as a whole, and of it each place is given only the piece that it is seen in; the places share
the views in batches, so that what is kept are the pieces of a batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eucentric.core import SILENT, Alignment, InputError, Reporter
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
)
from eucentric.processing.reconstruction.wbp import reach_of
from eucentric.processing.reconstruction.weights import quadrature, view_gains

_PIECES_BYTES = 800 << 20  # of the pieces of a batch: about as much again as filtering a view of 4096² takes


@dataclass(frozen=True)
class Subvolume:
    """The volumes about a place, whose position (Å from the specimen's origin) is at voxel ``shape // 2``."""

    index: int
    centre_zyx_A: Zyx
    halves: Halves


@dataclass(frozen=True)
class _Slab:
    """A part of the box of a place: planes `first` to ``first + deep``, about `centre` in voxels."""

    first: int
    deep: int
    centre: Zyx


def reconstruct_subvolumes(
    images: Images,
    alignment: Alignment,
    centres_zyx_A: Sequence[Zyx],
    size_zyx: tuple[int, int, int],
    settings: ReconstructSettings,
    *,
    device: torch.device | None = None,
    reporter: Reporter = SILENT,
) -> Iterator[Subvolume]:
    """Back-project sub-volumes about many places, in the order given.

    Parameters
    ----------
    images, alignment, device, reporter
        As for `reconstruct`; images may be memory-mapped.
    centres_zyx_A
        The places, in Å from the specimen's origin.
    size_zyx
        Voxels of each sub-volume.
    settings
        As for `reconstruct`; its thickness is that of the specimen, for weights that depend on it.

    Yields
    ------
    Subvolume
        Each equals the same piece of the whole volume, to interpolation.

    Raises
    ------
    InputError
        As `reconstruct`; and if the size or a place makes no sense, or the method is not weighted back-projection.
    """
    if settings.method != "wbp":
        raise InputError(
            f"Sub-volumes are not made by {settings.method.upper()}, which needs all of the specimen at once.",
            "Use weighted back-projection (wbp).",
        )
    if min(size_zyx) < 8:
        raise InputError(f"Sub-volumes of {size_zyx} voxels are too small.", "Choose at least 8 along each side.")
    device = device or torch.device("cpu")
    rays = rays_of(images, alignment, settings.binning)
    voxel_A = alignment.pixel_A * settings.binning
    centres = [_in_voxels(centre, index, voxel_A) for index, centre in enumerate(centres_zyx_A)]
    per_place = _slabs(rays, size_zyx, centres)
    shape = (size_zyx[1], detector_width(rays, per_place[0][0].deep if per_place else 1, size_zyx[2]))
    each = 4 * len(rays) * shape[0] * shape[1] * (len(per_place[0]) if per_place else 1)
    batch = max(1, _PIECES_BYTES // each)
    for first in range(0, len(centres), batch):
        places = range(first, min(first + batch, len(centres)))
        slabs = [slab for place in places for slab in per_place[place]]
        pieces = _pieces(images, alignment, rays, slabs, shape, settings, device, reporter)
        for place in places:
            volumes = [zeros(size_zyx, device) for _ in range(2)]
            for number, slab in enumerate(per_place[place], (place - first) * len(per_place[place])):
                views = pieces[number]
                for half, volume in enumerate(volumes):
                    out = volume[slab.first : slab.first + slab.deep]
                    backproject(views[half::2], tilts_of(rays[half::2]), (slab.deep, size_zyx[2]), out=out)
            small = (alignment.shape_yx[0] // settings.binning, alignment.shape_yx[1] // settings.binning)
            coverage = Coverage(rays, quadrature(tilts_of(rays)).tolist(), size_zyx, small, centres[place])
            for volume in volumes:
                coverage.apply(volume)
            yield Subvolume(place, centres_zyx_A[place], Halves(volumes[0], volumes[1], voxel_A))
        del pieces, views  # before those of the next batch are made


def _in_voxels(centre_A: Zyx, index: int, voxel_A: float) -> Zyx:
    if not all(abs(value) < 1e7 for value in centre_A):
        raise InputError(f"Place {index + 1} is at {centre_A} Å, where no specimen is.", "Give z, y and x in Å.")
    z, y, x = (value / voxel_A for value in centre_A)
    return z, y, x


def _slabs(rays: Sequence[Ray], size_zyx: tuple[int, int, int], centres: Sequence[Zyx]) -> list[list[_Slab]]:
    """Return the slabs of each place: one, unless an x-tilt asks for thinner ones."""
    planes = deepest(rays, size_zyx[0])
    starts = range(0, size_zyx[0], planes)
    slabs = []
    for z, y, x in centres:
        mine = []
        for first in starts:
            deep = min(planes, size_zyx[0] - first)
            mine.append(_Slab(first, deep, (z + first + deep // 2 - size_zyx[0] // 2, y, x)))
        slabs.append(mine)
    return slabs


def _pieces(
    images: Images,
    alignment: Alignment,
    rays: Sequence[Ray],
    slabs: Sequence[_Slab],
    shape: tuple[int, int],
    settings: ReconstructSettings,
    device: torch.device,
    reporter: Reporter,
) -> Tensor:
    """Return, for each slab, its pieces of all views: (slabs, n, rows, columns)."""
    small = (alignment.shape_yx[0] // settings.binning, alignment.shape_yx[1] // settings.binning)
    reach = reach_of(small)
    gains = 2 * view_gains(tilts_of(rays), volume_shape(alignment, settings)[0], settings, reach)
    pieces = torch.empty((len(slabs), len(rays), *shape), dtype=torch.float32, device=device)
    for i, ray in enumerate(reporter.each(rays, "Filtering views")):
        spline = coefficients(read_view(images, alignment, ray.section, settings.binning, device), ray, gains[i], reach)
        for slab, views in zip(slabs, pieces, strict=True):
            views[i] = piece(spline, ray, slab.centre, shape)
    return pieces
