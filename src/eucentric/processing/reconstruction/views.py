"""The views of an alignment: where each sees a place, and its piece of image for any box of the volume.

A box is back-projected about the tilt axis alone. So a view is resampled to rows along y and columns along u, the
place across the axis about the box's centre. With an x-tilt a box may only be so deep that rows stay rows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.core import Alignment, InputError, TiltAlignment
from eucentric.processing.operators import bin_images, filter_across, filter_rows, resample
from eucentric.processing.stillness import still


class Images(Protocol):
    """Views (n, y, x) in section order: a tensor, an array that may be memory-mapped, or what makes each as asked.

    They are read one at a time.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """How many views of how many rows and columns."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, section: int, /) -> Any: ...


_MARGIN = 0.08  # share of the field over which a view fades beyond its border, so that filtering sees no step
_ROW_ERROR = 0.125  # pixels that a row may be off at the top and bottom of a slab, with an x-tilt
_STILL_PX = 1e-4
_SAME = 1e-7  # a turn that moves no pixel of any image by a thousandth is none

Doubles = NDArray[np.float64]
Zyx = tuple[float, float, float]


@dataclass(frozen=True)
class Ray:
    """How one view sees the volume, in voxels.

    A place (z, y, x) is at ``to_image @ place + shift_px`` in the image (y, x), about both centres. `turn` (2, 2) holds
    the steps in the image for one voxel along y, and for one along u = x cos(tilt) + z sin(tilt), `tilt_rad` being the
    tilt that projecting about y needs.
    """

    section: int
    tilt_rad: float
    to_image: Doubles
    shift_px: Doubles
    turn: Doubles

    @classmethod
    def of(cls, view: TiltAlignment, voxel_A: float) -> "Ray":
        """Return the ray of a view."""
        to_image = view.sample2image()
        across = view.replace(tilt_deg=0.0, x_tilt_deg=0.0).sample2image().linear[1:, 2]
        tilt, x_tilt = math.radians(view.tilt_deg), math.radians(view.x_tilt_deg)
        # An x-tilt shortens z as the tilt sees it: a little less tilt, on a little smaller scale.
        of_z, of_x = math.sin(tilt) * math.cos(x_tilt), math.cos(tilt)
        turn = np.column_stack([to_image.linear[1:, 1], across * math.hypot(of_z, of_x)])
        return cls(view.section, math.atan2(of_z, of_x), to_image.linear[1:], to_image.shift_A[1:] / voxel_A, turn)

    @property
    def across_yx(self) -> tuple[float, float]:
        """The unit vector of u in the image."""
        y, x = self.turn[:, 1] / np.linalg.norm(self.turn[:, 1])
        return float(y), float(x)

    @property
    def scale(self) -> float:
        """Pixels of the image to a voxel, across the axis."""
        return float(np.linalg.norm(self.turn[:, 1]))

    @property
    def row_error(self) -> float:
        """How far a row moves off for each voxel of height."""
        along_u = self.turn[:, 1] * math.sin(self.tilt_rad)
        return float(np.linalg.norm(self.to_image[:, 0] - along_u))

    def map_at(self, centre_zyx: Zyx) -> Doubles:
        """Return the map (2, 3) from (y, u) about a box's centre to the image (y, x)."""
        return np.column_stack([self.turn, self.to_image @ np.asarray(centre_zyx) + self.shift_px])


def rays_of(images: Images, alignment: Alignment, binning: int) -> list[Ray]:
    """Return the rays of the views in use, by tilt.

    Raises
    ------
    InputError
        If images and alignment do not belong together, or fewer than 2 views are used.
    """
    if len(images) != len(alignment.tilts) or tuple(images.shape[1:]) != alignment.shape_yx:
        raise InputError(
            f"The alignment is of {len(alignment.tilts)} images of {alignment.shape_yx}, the stack has "
            f"{len(images)} of {tuple(images.shape[1:])}; nothing was reconstructed.",
            "Give the stack that was aligned.",
        )
    views = sorted(alignment.used, key=lambda view: view.tilt_deg)
    if len(views) < 2:
        raise InputError(f"The alignment uses {len(views)} of {len(images)} views; a volume needs at least 2.")
    return [Ray.of(view, alignment.pixel_A * binning) for view in views]


def tilts_of(rays: Sequence[Ray]) -> Tensor:
    """Return the tilts of rays in radians, (n,) float64."""
    return torch.tensor([ray.tilt_rad for ray in rays], dtype=torch.float64)


def deepest(rays: Sequence[Ray], depth: int) -> int:
    """Return how many voxels deep a box may be."""
    error = max(ray.row_error for ray in rays)
    return depth if error * depth / 2 <= _ROW_ERROR else max(1, int(2 * _ROW_ERROR / error))


def detector_width(rays: Sequence[Ray], depth: int, columns: int) -> int:
    """Return how many columns, even, show all of a box at every tilt."""
    tilts = tilts_of(rays)
    reach = float((columns * torch.cos(tilts).abs() + depth * torch.sin(tilts).abs()).max())
    return 2 * math.ceil(reach / 2) + 2


def read_view(images: Images, alignment: Alignment, section: int, binning: int, device: torch.device) -> Tensor:
    """Return one view, binned, as float32 on the device, without the specimen's local motion."""
    image = images[section]
    if not isinstance(image, Tensor):
        image = torch.from_numpy(np.array(image, dtype=np.float32))
    return still(bin_images(image.to(device, torch.float32), binning), alignment, section)


def coefficients(image: Tensor, ray: Ray, gain: Tensor, reach_px: int) -> Tensor:
    """Return the spline coefficients of a view, filtered, on a wider field."""
    margin = margin_of(image)
    return filter_across(image, gain * ray.scale, ray.across_yx, reach_px=reach_px, margin_px=margin)


def piece(spline: Tensor, ray: Ray, centre_zyx: Zyx, shape: tuple[int, int]) -> Tensor:
    """Return the (rows, columns) of a view for a box about `centre_zyx`, from its coefficients."""
    return resample(spline[None], torch.from_numpy(ray.map_at(centre_zyx))[None], shape)[0]


def whole(image: Tensor, ray: Ray, gain: Tensor, reach_px: int, *, out: Tensor) -> None:
    """Give `out`, which is zero, the piece of a filtered view for a box about the origin; only moved, if not turned."""
    if float(np.abs(ray.turn - np.eye(2)).max()) > _SAME:
        shape = (int(out.shape[0]), int(out.shape[1]))
        out.copy_(piece(coefficients(image, ray, gain, reach_px), ray, (0.0, 0.0, 0.0), shape))
        return
    pixels = np.round(ray.shift_px).astype(int)
    rest = ray.shift_px - pixels
    y, x = -float(rest[0]), -float(rest[1])
    margin = margin_of(image)
    if abs(y) < _STILL_PX:  # such as the views of a stack that was aligned before
        moved = filter_rows(image, gain * ray.scale, reach_px=reach_px, margin_px=margin, move_px=x)
    else:
        moved = filter_across(
            image, gain * ray.scale, ray.across_yx, reach_px=reach_px, margin_px=margin, move_yx_px=(y, x)
        )
    first = [n // 2 - m // 2 + int(p) for n, m, p in zip(moved.shape, out.shape, pixels, strict=True)]
    low = [max(0, -f) for f in first]
    high = [min(m, n - f) for m, n, f in zip(out.shape, moved.shape, first, strict=True)]
    if low[0] < high[0] and low[1] < high[1]:
        out[low[0] : high[0], low[1] : high[1]] = moved[
            low[0] + first[0] : high[0] + first[0], low[1] + first[1] : high[1] + first[1]
        ]


def margin_of(image: Tensor) -> int:
    """Return over how many pixels a view fades beyond its border."""
    return min(max(1, round(_MARGIN * min(image.shape))), min(image.shape) - 1)
