"""Rings of a tilted image: each place brought to the defocus of the image's centre, without cutting it into tiles.

A place u of a tilted plane has its own defocus, and rings of its own. Were the local power P(u, k) known everywhere,
all places would be brought together by ``sum_u P(u, k) exp(-2 pi i lambda k² z(u))``. The Wigner distribution is that
local power, and its Fourier transform over u is a product of two Fourier coefficients of the image:
``F(k + q/2) conj F(k - q/2)`` with ``q u = lambda k² z(u)``. So pairs of coefficients, a little apart across the tilt
axis, hold the rings of the whole field as if it were flat. Tiles would lose rings that are finer than a tile resolves,
and blur those whose defocus changes within one. Large fields are still cut, into tiles as large as rings need, since
each is brought to the image's centre in the same way.

For the opposite defocus hand the sum is the complex conjugate: one sum tells of both.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.optics import wavelength_A
from eucentric.processing.ctf.field_tiles import FieldTiles, smooth_power, without_fine_detail

Array = NDArray[np.float64]

_LEAST_SHARE = 0.02  # of a product: less is not worth its time


@dataclass(frozen=True, eq=False)
class RingGrid:
    """Bins of frequency: even steps of k², in which rings are nearly even too, and sectors of direction.

    Attributes
    ----------
    k2
        Middles of the bins, 1/Å², (n,).
    step
        Their width, 1/Å².
    sectors
        Number of sectors; sector j is about the direction ``pi (j + 1/2) / sectors`` from x towards y.
    """

    k2: Array
    step: float
    sectors: int = 18

    @classmethod
    def spanning(cls, low_A: float, high_A: float, max_defocus_A: float, wavelength: float) -> "RingGrid":
        """Return bins from `low_A` to `high_A`, so fine that no ring turns by more than half a radian within one."""
        first, last = 1 / low_A**2, 1 / high_A**2
        count = max(32, math.ceil((last - first) * 4 * math.pi * wavelength * max_defocus_A))
        step = (last - first) / count
        return cls(np.asarray(first + step * (np.arange(count) + 0.5)), step)

    @property
    def angle_rad(self) -> Array:
        """Direction of each sector's middle."""
        return np.asarray(math.pi * (np.arange(self.sectors) + 0.5) / self.sectors)


@dataclass(frozen=True, eq=False)
class FieldRings:
    """Sums over the pairs of each bin, all (bins, sectors), as of an image whose background is 1 everywhere.

    Attributes
    ----------
    mean
        Of the pairs' products, complex: background and rings.
    count
        Of the pairs.
    flat
        What `mean` would be of even power 1: how far a background survives, 1 without tilt.
    kept, twice
        What is left of the rings, nearly 1; and of their mirror image, which the sums take twice as far away.
    background
        Power that the image was divided by, at the bins' middles, (bins,).
    """

    mean: NDArray[np.complex128]
    count: Array
    flat: Array
    kept: Array
    twice: Array
    background: Array


def heights_A(places_yx_A: Array, tilt_deg: float, axis_deg: float) -> Array:
    """Return z (image frame, along the beam, Å) of places (..., 2) in a plane tilted about the axis.

    ``u = x cos(axis) + y sin(axis)``, ``z = -u tan(tilt)`` (decision 0007).
    """
    axis = math.radians(axis_deg)
    y, x = places_yx_A[..., 0], places_yx_A[..., 1]
    return np.asarray(-(x * math.cos(axis) + y * math.sin(axis)) * math.tan(math.radians(tilt_deg)))


def field_rings(
    image: Tensor, pixel_A: float, tilt_deg: float, axis_deg: float, voltage_kV: float, grid: RingGrid
) -> FieldRings:
    """Return the rings of a tilted image, each place brought to the defocus of its centre for hand +1.

    Parameters
    ----------
    image
        (y, x) float32.
    pixel_A
        Pixel size.
    tilt_deg, axis_deg
        Geometry of the plane.
    voltage_kV
        Of the beam.
    grid
        Bins of frequency.
    """
    image, pixel_A = without_fine_detail(image, pixel_A, 1 / math.sqrt(float(grid.k2[-1]) + grid.step / 2))
    tiles = FieldTiles((int(image.shape[0]), int(image.shape[1])), pixel_A)
    pairs = _Pairs(tiles, pixel_A, tilt_deg, axis_deg, voltage_kV, grid, image.device)
    products = torch.zeros(len(pairs.bins), dtype=torch.complex64, device=image.device)
    power = torch.zeros_like(products.real)
    together, twofold = torch.zeros_like(products), torch.zeros_like(products)
    for origin in tiles.origins:
        flat = tiles.transformed(image, origin).reshape(-1)
        first, second = flat[pairs.first], flat[pairs.second]
        place = pairs.phase(tiles.centre_yx_px(origin))
        products += first * second.conj() * (place * pairs.inner)
        power += first.abs().square_() + second.abs().square_()
        together += place
        twofold += place.square()
    n = len(tiles.origins)
    background = smooth_power(power / (2 * n), pairs.k2)
    white = products / (n * background(pairs.k2))
    bins, sectors = len(grid.k2), grid.sectors
    weight = torch.bincount(pairs.bins, pairs.weight.double(), minlength=bins * sectors)

    def mean(values: Tensor) -> Array:
        summed = torch.bincount(pairs.bins, (values * pairs.weight).double(), minlength=bins * sectors)
        return np.asarray((summed / weight.clamp(min=1e-9)).reshape(bins, sectors).cpu().numpy())

    return FieldRings(
        mean=mean(white.real) + 1j * mean(white.imag),
        count=weight.reshape(bins, sectors).cpu().numpy() * n * tiles.independent,
        flat=mean(together.real / n * tiles.correlation(*pairs.apart)),
        kept=mean(tiles.correlation(*(one - q for one, q in zip(pairs.apart, pairs.exact, strict=True)))),
        twice=mean(
            twofold.real / n * tiles.correlation(*(one + q for one, q in zip(pairs.apart, pairs.exact, strict=True)))
        ),
        background=background(torch.from_numpy(grid.k2).to(image.device)).cpu().numpy().astype(float),
    )


class _Pairs:
    """Which coefficients of a padded transform are multiplied, and into which bin each product goes."""

    def __init__(
        self,
        tiles: FieldTiles,
        pixel_A: float,
        tilt_deg: float,
        axis_deg: float,
        voltage_kV: float,
        grid: RingGrid,
        device: torch.device,
    ) -> None:
        self.pixel_A = pixel_A
        py, px = tiles.padded
        step_y, step_x = 1 / (py * pixel_A), 1 / (px * pixel_A)
        lowest, highest = grid.k2[0] - grid.step / 2, grid.k2[-1] + grid.step / 2
        reach = math.sqrt(highest)
        # Every second coefficient of the padded transform: those of the tile itself.
        ny, nx = int(reach / step_y / 2) + 1, int(reach / step_x / 2) + 1
        row = 2 * torch.arange(-ny, ny + 1, device=device)
        column = 2 * torch.arange(0, nx + 1, device=device)
        y, x = (one.reshape(-1) for one in torch.meshgrid(row, column, indexing="ij"))
        half = (x > 0) | (y > 0)
        y, x = y[half], x[half]
        k2 = (y * step_y).square() + (x * step_x).square()
        inside = (k2 > lowest) & (k2 < highest)
        y, x, k2 = y[inside], x[inside], k2[inside]
        axis = math.radians(axis_deg)
        slope = -wavelength_A(voltage_kV) * math.tan(math.radians(tilt_deg))
        self._per_k2 = (slope * math.sin(axis), slope * math.cos(axis))
        # Coefficients are known at steps of the padded transform; what lies between is shared out among four pairs.
        exact = (self._per_k2[0] * k2 / step_y, self._per_k2[1] * k2 / step_x)
        below = tuple(torch.floor(one) for one in exact)
        share = tuple(one - low for one, low in zip(exact, below, strict=True))
        found = []
        for up_y, up_x in ((0, 0), (0, 1), (1, 0), (1, 1)):
            weight = (share[0] if up_y else 1 - share[0]) * (share[1] if up_x else 1 - share[1])
            some = weight > _LEAST_SHARE
            apart = (below[0][some].long() + up_y, below[1][some].long() + up_x)
            down = tuple(torch.div(one, 2, rounding_mode="floor") for one in apart)
            y2, x2 = y[some] - down[0], x[some] - down[1]
            y1, x1 = y2 + apart[0], x2 + apart[1]
            # Where a pair has no middle on the grid, its true middle is what counts.
            fy, fx = (y1 + y2) * (step_y / 2), (x1 + x2) * (step_x / 2)
            at = torch.floor((fy.square() + fx.square() - lowest) / grid.step).long()
            good = (at >= 0) & (at < len(grid.k2))
            for one, limit in ((y1, py), (y2, py), (x1, px), (x2, px)):
                good &= one.abs() < limit // 2
            sector = torch.remainder(torch.atan2(fy, fx), math.pi) * (grid.sectors / math.pi)
            bins = at * grid.sectors + torch.clamp(sector.long(), max=grid.sectors - 1)
            first, second = (torch.remainder(p, py) * px + torch.remainder(q, px) for p, q in ((y1, x1), (y2, x2)))
            these = (
                bins,
                fy.square() + fx.square(),
                first,
                second,
                weight[some],
                *apart,
                *(one[some] for one in exact),
            )
            found.append([one[good] for one in these])
        joined = [torch.cat(parts) for parts in zip(*found, strict=True)]
        self.bins, self.k2, self.first, self.second, self.weight = joined[:5]
        self.apart, self.exact = (joined[5], joined[6]), (joined[7], joined[8])
        # What moves the origin of a transform from a tile's corner to its middle.
        inner = sum(one * (side // 2 / n) for one, side, n in zip(self.apart, tiles.side, tiles.padded, strict=True))
        self.inner = torch.polar(torch.ones_like(self.weight), 2 * math.pi * torch.as_tensor(inner))

    def phase(self, centre_yx_px: tuple[int, int]) -> Tensor:
        """Return what brings the products of a tile to the image's centre."""
        y, x = (at * self.pixel_A for at in centre_yx_px)
        turns = -self.k2 * (self._per_k2[0] * y + self._per_k2[1] * x)
        return torch.polar(torch.ones_like(turns), 2 * math.pi * turns)
