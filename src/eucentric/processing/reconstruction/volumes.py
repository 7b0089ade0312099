"""Volumes from aligned views, by the method that the settings name."""

from collections.abc import Iterator

import torch

from eucentric.core import SILENT, Alignment, Reporter
from eucentric.processing.operators import zeros
from eucentric.processing.reconstruction.iterative import solve_halves
from eucentric.processing.reconstruction.settings import Halves, ReconstructSettings, volume_shape
from eucentric.processing.reconstruction.views import Images
from eucentric.processing.reconstruction.wbp import weighted_slabs


def reconstruct(
    images: Images,  # (n, y, x)
    alignment: Alignment,
    settings: ReconstructSettings,
    *,
    device: torch.device | None = None,
    reporter: Reporter = SILENT,
) -> Halves:
    """Reconstruct a volume, and its halves, from the views of an alignment.

    Parameters
    ----------
    images
        Views (n, y, x) in section order, each of mean zero, such as `prepare_images` gives; dense may be dark or
        bright, and is in the volume as it is in them. An array may be memory-mapped: views are read one at a time.
    alignment
        How they see the specimen; views not used are left out.
    settings
        See `ReconstructSettings`.
    device
        Where to compute; the CPU if absent.
    reporter
        Where progress goes.

    Returns
    -------
    Halves
        The volumes are about the specimen's origin, y along the tilt axis. Voxels that only some views see are
        brought to the scale of the others.

    Raises
    ------
    InputError
        If images and alignment do not belong together, fewer than 2 views are used, or an x-tilt is more than the
        method can follow.
    """
    shape = volume_shape(alignment, settings)
    volumes: Halves | None = None
    for first, slab in reconstruct_slabs(images, alignment, settings, device=device, reporter=reporter):
        if slab.even.shape == shape:
            return slab
        if volumes is None:
            whole = [zeros(shape, slab.even.device) for _ in range(2)]
            volumes = Halves(whole[0], whole[1], slab.voxel_A)
        volumes.even[first : first + len(slab.even)] = slab.even
        volumes.odd[first : first + len(slab.odd)] = slab.odd
    if volumes is None:
        raise ValueError("a volume has at least one plane")
    return volumes


def reconstruct_slabs(
    images: Images,
    alignment: Alignment,
    settings: ReconstructSettings,
    *,
    planes: int | None = None,
    device: torch.device | None = None,
    reporter: Reporter = SILENT,
) -> Iterator[tuple[int, Halves]]:
    """Reconstruct as `reconstruct` does, slab by slab: at most `planes` of z at a time, from the lowest up.

    Only weighted back-projection comes in parts, whose memory is that of the filtered views and a slab; what is solved
    in rounds comes whole.

    Yields
    ------
    tuple
        The slab's first plane in the volume, and its halves.
    """
    if settings.method == "wbp":
        yield from weighted_slabs(images, alignment, settings, planes=planes, device=device, reporter=reporter)
    else:
        yield 0, solve_halves(images, alignment, settings, device=device, reporter=reporter)
