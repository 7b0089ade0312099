"""Settings of a reconstruction, and what one gives."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from eucentric.core import Alignment, Record
from eucentric.processing.operators import FilterName, zeros

Method = Literal["wbp", "sirt", "cgls"]
Positivity = Literal["none", "bright", "dark"]
Weighting = Literal["uniform", "cosine", "exact", "radial-sirt"]


class ReconstructSettings(Record):
    """Settings of a reconstruction.

    `binning` old pixels along each side make a voxel; `thickness_A` is the volume's extent along z (0.3 of the field
    if absent) and `size_yx` its voxels along y and x (those of the images if absent, swapped where the tilt axis lies
    nearer to the image's x axis). `method` is weighted back-projection, or SIRT or CGLS of at most `iterations`
    rounds, fewer if one lowers the residual by less than the share `least_gain`. With `positivity`, SIRT holds density
    on one side of the images' mean: that of dense matter which is ``bright`` or ``dark`` in them.

    For weighted back-projection, `filter` and `cutoff` (share of Nyquist), with a Gaussian `falloff` beyond it, shape
    the weights. `weighting`: the ramp with views weighted by the angle that each stands for (``uniform``), and also by
    the cosine of their tilt (``cosine``); the overlap of all views in a slab of the volume's thickness (``exact``); or
    the weights that `iterations` rounds of SIRT come to (``radial-sirt``).
    """

    binning: Annotated[int, Field(ge=1, le=64)] = 1
    thickness_A: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    size_yx: tuple[Annotated[int, Field(ge=8)], Annotated[int, Field(ge=8)]] | None = None
    filter: FilterName = "ramp"
    cutoff: Annotated[float, Field(gt=0, le=1)] = 0.8
    falloff: Annotated[float, Field(ge=0, le=1)] = 0.1
    weighting: Weighting = "uniform"
    method: Method = "wbp"
    iterations: Annotated[int, Field(ge=1, le=1000)] = 20
    least_gain: Annotated[float, Field(ge=0, lt=1)] = 0.001
    positivity: Positivity = "none"

    @model_validator(mode="after")
    def _fit_the_method(self) -> Self:
        if self.method != "wbp" and self.weighting in ("exact", "radial-sirt"):
            raise ValueError(f"weighting {self.weighting} belongs to weighted back-projection (wbp), not {self.method}")
        if self.method != "sirt" and self.positivity != "none":
            raise ValueError(f"positivity is held by the method sirt, not {self.method}")
        return self


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
        return torch.lerp(self.even, self.odd, 0.5, out=zeros(tuple(self.even.shape), self.even.device))


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
