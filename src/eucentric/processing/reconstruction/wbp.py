"""Weighted back-projection, of all views and of the even and odd ones apart."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from eucentric.core import SILENT, Alignment, InputError, Record, Reporter, TiltAlignment
from eucentric.processing.operators import (
    FilterName,
    backproject,
    bin_images,
    ramp_filter,
    resample,
    spline_coefficients,
)

_MARGIN = 0.08  # share of the field over which a view fades beyond its border, so that filtering sees no step
_LEAST_COVERAGE = 0.6  # share of the views that must see a voxel for its density to be brought up to scale in full


class ReconstructSettings(Record):
    """Settings of a reconstruction.

    `binning` old pixels along each side make a voxel; `thickness_A` is the volume's extent along z (0.3 of the field
    if absent) and `size_yx` its voxels along y and x (those of the images if absent, swapped where the tilt axis lies
    nearer to the image's x axis). `filter` and `cutoff` (share of Nyquist), with a Gaussian `falloff` beyond it,
    shape the ramp. Views are weighted by the angle that each stands for, and also by the cosine of their tilt if
    `weighting` says so.
    """

    binning: Annotated[int, Field(ge=1, le=64)] = 1
    thickness_A: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    size_yx: tuple[Annotated[int, Field(ge=8)], Annotated[int, Field(ge=8)]] | None = None
    filter: FilterName = "ramp"
    cutoff: Annotated[float, Field(gt=0, le=1)] = 0.8
    falloff: Annotated[float, Field(ge=0, le=1)] = 0.1
    weighting: Literal["uniform", "cosine"] = "uniform"


@dataclass(frozen=True)
class Halves:
    """Volumes (z, y, x), float32, from the views of even and of odd place in the order of their angles.

    Both are on the scale of the full volume, which is their mean.
    """

    even: Tensor
    odd: Tensor
    voxel_A: float

    def full(self) -> Tensor:
        """Return the volume of all views."""
        return (self.even + self.odd).mul_(0.5)


def volume_shape(alignment: Alignment, settings: ReconstructSettings) -> tuple[int, int, int]:
    """Return the voxels along z, y and x."""
    voxel_A = alignment.pixel_A * settings.binning
    rows, columns = (n // settings.binning for n in alignment.shape_yx)
    axis_deg = alignment.used[0].axis_deg if alignment.used else 0.0
    if abs((axis_deg + 90) % 180 - 90) > 45:
        rows, columns = columns, rows
    rows, columns = settings.size_yx or (rows, columns)
    thickness_A = settings.thickness_A or 0.3 * min(alignment.shape_yx) * alignment.pixel_A
    return max(8, 8 * math.ceil(thickness_A / voxel_A / 8)), rows, columns


def reconstruct(
    images: Tensor,  # (n, y, x) float32
    alignment: Alignment,
    settings: ReconstructSettings,
    *,
    device: torch.device | None = None,
    reporter: Reporter = SILENT,
) -> Halves:
    """Back-project the views of an alignment.

    Parameters
    ----------
    images
        Views (n, y, x) in section order, each of mean zero, such as `prepare_images` gives; dense may be dark or
        bright, and is in the volume as it is in them.
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
        If images and alignment do not belong together, fewer than 2 views are used, or a view has an x-tilt.
    """
    views = _check(images, alignment)
    device = device or torch.device("cpu")
    depth, rows, columns = volume_shape(alignment, settings)
    voxel_A = alignment.pixel_A * settings.binning
    tilts = torch.deg2rad(torch.tensor([view.tilt_deg for view in views], dtype=torch.float64))
    reach = float((columns * torch.cos(tilts).abs() + depth * torch.sin(tilts).abs()).max())
    width = 2 * math.ceil(reach / 2) + 2
    weights = _quadrature(tilts)
    if settings.weighting == "cosine":
        weights = weights * torch.cos(tilts)
    volumes = [torch.zeros((depth, rows, columns), dtype=torch.float32, device=device) for _ in range(2)]
    coverage = _Coverage((depth, rows, columns), device)
    with reporter.task("Back-projecting", len(views)) as step:
        for half in range(2):
            mine = range(half, len(views), 2)
            filtered = torch.empty((len(mine), rows, width), dtype=torch.float32, device=device)
            for place, i in enumerate(mine):
                aligned = _aligned(images[views[i].section].to(device), views[i], alignment, settings, (rows, width))
                filtered[place] = 2 * float(weights[i]) * _filtered(aligned, settings)
                coverage.add(views[i], alignment, settings, float(weights[i]))
                step()
            backproject(filtered, tilts[list(mine)], (depth, columns), out=volumes[half])
    scale = coverage.scale()
    for volume in volumes:
        coverage.apply(scale, volume)
    return Halves(volumes[0], volumes[1], voxel_A)


def _check(images: Tensor, alignment: Alignment) -> list[TiltAlignment]:
    if len(images) != len(alignment.tilts) or tuple(images.shape[1:]) != alignment.shape_yx:
        raise InputError(
            f"The alignment is of {len(alignment.tilts)} images of {alignment.shape_yx}, the stack has "
            f"{len(images)} of {tuple(images.shape[1:])}; nothing was reconstructed.",
            "Give the stack that was aligned.",
        )
    views = sorted(alignment.used, key=lambda view: view.tilt_deg)
    if len(views) < 2:
        raise InputError(f"The alignment uses {len(views)} of {len(images)} views; a volume needs at least 2.")
    tilted = [view.section for view in views if view.x_tilt_deg != 0]
    if tilted:
        raise InputError(
            f"Sections {tilted[:5]} have an x-tilt, which weighted back-projection cannot follow yet.",
            "Solve the alignment without x-tilt.",
        )
    return views


def _quadrature(tilts: Tensor) -> Tensor:
    """Return the angle in radians that each of the sorted tilts stands for: half of the way to both neighbours.

    A gap where views were left out counts no more than twice the usual increment, or its two neighbours would
    streak through the volume.
    """
    steps = torch.diff(tilts)
    if not bool((steps > 0).any()):
        return torch.full_like(tilts, 1 / len(tilts))
    steps = torch.minimum(steps, 2 * steps[steps > 0].median())
    left, right = torch.cat([steps[:1], steps]), torch.cat([steps, steps[-1:]])
    return (left + right) / 2


def _maps(view: TiltAlignment, pixel_A: float) -> Tensor:
    """Return the (1, 2, 3) map from an aligned view (v, u) to the recorded one (y, x), in pixels of `pixel_A`."""
    turn = view.replace(tilt_deg=0.0).sample2image()
    return torch.from_numpy(np.column_stack([turn.linear[1:, 1:], turn.shift_A[1:] / pixel_A]))[None]


def _aligned(
    image: Tensor, view: TiltAlignment, alignment: Alignment, settings: ReconstructSettings, shape: tuple[int, int]
) -> Tensor:
    small = bin_images(image, settings.binning)[None]
    maps = _maps(view, alignment.pixel_A * settings.binning)
    return resample(spline_coefficients(small), maps, shape, margin_px=_MARGIN * min(small.shape[1:]))


def _filtered(aligned: Tensor, settings: ReconstructSettings) -> Tensor:
    cutoff, falloff = 0.5 * settings.cutoff, 0.5 * settings.falloff
    if settings.cutoff == 1:
        falloff = 0.0
    return ramp_filter(aligned, window=settings.filter, cutoff=cutoff, falloff=falloff)[0]


class _Coverage:
    """How much of the angular range sees each voxel, on a coarse grid: it varies slowly."""

    _STEP = 8

    def __init__(self, shape: tuple[int, int, int], device: torch.device) -> None:
        self._shape = shape
        depth, rows, columns = (math.ceil(n / self._STEP) + 1 for n in shape)
        z = (torch.arange(depth, dtype=torch.float64) * self._STEP - shape[0] // 2)[:, None, None]
        y = (torch.arange(rows, dtype=torch.float64) * self._STEP - shape[1] // 2)[None, :, None]
        x = (torch.arange(columns, dtype=torch.float64) * self._STEP - shape[2] // 2)[None, None, :]
        self._zyx = z, y, x
        self._seen = torch.zeros((depth, rows, columns), dtype=torch.float64)
        self._total = 0.0
        self._device = device

    def add(self, view: TiltAlignment, alignment: Alignment, settings: ReconstructSettings, weight: float) -> None:
        """Count a view for the voxels whose rays fall on its image."""
        voxel_A = alignment.pixel_A * settings.binning
        to_image = view.sample2image()
        (yz, yy, yx), (xz, xy, xx) = to_image.linear[1:]
        z, y, x = self._zyx
        row = yz * z + yy * y + yx * x + to_image.shift_A[1] / voxel_A
        column = xz * z + xy * y + xx * x + to_image.shift_A[2] / voxel_A
        rows, columns = (n // settings.binning for n in alignment.shape_yx)
        inside = (row.abs() <= rows / 2) & (column.abs() <= columns / 2)
        self._seen += weight * inside
        self._total += weight

    def scale(self) -> Tensor:
        """Return what to multiply density by, on the coarse grid."""
        share = self._seen / max(self._total, 1e-12)
        return (1 / torch.clamp(share, min=_LEAST_COVERAGE)).float()

    def apply(self, scale: Tensor, volume: Tensor) -> None:
        """Multiply a volume in place, slice by slice."""
        depth, rows, columns = self._shape
        coarse = scale.to(self._device)
        for z in range(depth):
            below, share = divmod(z, self._STEP)
            plane = torch.lerp(coarse[below], coarse[below + 1], share / self._STEP)
            if bool((plane == 1).all()):
                continue
            height, width = (n - 1 for n in plane.shape)
            fine = torch.nn.functional.interpolate(
                plane[None, None],
                (height * self._STEP + 1, width * self._STEP + 1),
                mode="bilinear",
                align_corners=True,
            )
            volume[z] *= fine[0, 0, :rows, :columns]
