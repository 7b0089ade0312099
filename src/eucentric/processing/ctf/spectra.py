"""Power spectra of the tiles of an image, or of the image as a whole."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.core import InputError
from eucentric.processing.operators import transform


@dataclass(frozen=True, eq=False)
class TileSpectra:
    """Power spectra of the tiles of an image.

    Attributes
    ----------
    power
        (n, tile, tile // 2 + 1) float32, as a real transform lies: frequency 0 first, rows up to Nyquist and then the
        negative ones. White noise has its variance at all frequencies.
    centres_yx_px
        Middle of each tile, pixel ``n // 2`` of it, from the image's centre, pixel ``n // 2`` of that, (n, 2).
    """

    power: Tensor
    centres_yx_px: NDArray[np.float64]


def tile_spectra(image: Tensor, tile_px: int, *, step_px: int | None = None) -> TileSpectra:
    """Return power spectra of overlapping, tapered tiles, each without its mean and its slope.

    Parameters
    ----------
    image
        (y, x), any real type. A side that is smaller than a tile is filled with zeros beyond its own taper.
    tile_px
        Side of a tile.
    step_px
        Distance of tiles, at most; half a tile if not given. The first and the last of a row touch the border.

    Raises
    ------
    InputError
        If a tile or a step has no pixels, or the image is not two-dimensional.
    """
    if image.ndim != 2 or 0 in image.shape:
        raise InputError(f"Spectra are taken of one image (y, x), not of an array of shape {tuple(image.shape)}.")
    if tile_px < 2 or (step_px is not None and step_px < 1):
        raise InputError("Tiles have at least two pixels a side, and steps one.")
    step = step_px or max(1, tile_px // 2)
    starts = [_starts(size, tile_px, step) for size in image.shape]
    height, width = (min(size, tile_px) for size in image.shape)
    taper_y, taper_x = (_hann(size, image.device) for size in (height, width))
    planes = _Planes(height, width, image.device)
    taper = taper_y[:, None] * taper_x[None]
    scale = float(1 / taper.double().square().sum())
    power = torch.empty(
        (len(starts[0]) * len(starts[1]), tile_px, tile_px // 2 + 1), dtype=torch.float32, device=image.device
    )
    n = 0
    for y in starts[0]:
        row = torch.stack([image[y : y + height, x : x + width] for x in starts[1]]).float()
        row = planes.without(row).mul_(taper)
        power[n : n + len(row)] = _power(row, tile_px).mul_(scale)
        n += len(row)
    middles = [
        np.array(at, dtype=float) + min(size, tile_px) // 2 - size // 2
        for at, size in zip(starts, image.shape, strict=True)
    ]
    centres = np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1).reshape(-1, 2)
    return TileSpectra(power, centres)


def field_spectrum(image: Tensor, taper_share: float) -> Tensor:
    """Return the power spectrum of an image (y, x) as a whole, float32 (y, x // 2 + 1), laid and scaled as tiles' are.

    Only a share of each side, at either end, is tapered: so nearly all of the image tells of its rings, and rings
    that lie close together stay apart.
    """
    height, width = image.shape
    tapers = [_edges(size, taper_share, image.device) for size in (height, width)]
    whole = _Planes(height, width, image.device).without(image.float()[None])[0]
    whole.mul_(tapers[0][:, None]).mul_(tapers[1][None])
    spectrum = transform(whole)
    scale = float(1 / (tapers[0].double().square().sum() * tapers[1].double().square().sum()))
    return spectrum.real.square().add_(spectrum.imag.square()).mul_(scale)


def _starts(size: int, tile: int, step: int) -> list[int]:
    """Return where tiles begin along one side: evenly, from border to border, and no further apart than a step."""
    if size <= tile:
        return [0]
    intervals = -(-(size - tile) // step)
    return [round(i * (size - tile) / intervals) for i in range(intervals + 1)]


def _hann(size: int, device: torch.device) -> Tensor:
    at = torch.arange(size, dtype=torch.float64, device=device) + 0.5
    return torch.sin(torch.pi * at / size).square().float()


def _edges(size: int, share: float, device: torch.device) -> Tensor:
    rim = max(1.0, share * size)
    at = torch.arange(size, dtype=torch.float64, device=device) + 0.5
    inside = torch.minimum(at, size - at).div_(rim).clamp_(max=1.0)
    return torch.sin(0.5 * torch.pi * inside).square().float()


class _Planes:
    """Takes the best plane out of images of one size; coordinates are from -1 to 1, so that float32 does."""

    def __init__(self, height: int, width: int, device: torch.device) -> None:
        self._axes = [
            torch.linspace(-1, 1, size, dtype=torch.float32, device=device)
            if size > 1
            else torch.zeros(1, device=device)
            for size in (height, width)
        ]

    def without(self, images: Tensor) -> Tensor:
        """Return images (n, y, x) without mean and slope, as a copy."""
        y, x = self._axes
        flat = images - images.mean(dim=(1, 2), keepdim=True)
        slope_y = flat.mean(dim=2) @ y / y.square().sum().clamp(min=1e-9)
        slope_x = flat.mean(dim=1) @ x / x.square().sum().clamp(min=1e-9)
        flat.sub_(slope_y[:, None, None] * y[:, None])
        return flat.sub_(slope_x[:, None, None] * x)


def _power(tiles: Tensor, side: int) -> Tensor:
    """Return |F|² of tiles (n, y, x) filled up to `side` with zeros."""
    spectra = transform(tiles, (side, side))
    return spectra.real.square().add_(spectra.imag.square())
