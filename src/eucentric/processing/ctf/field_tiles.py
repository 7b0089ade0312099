"""The tiles that a large image is cut into, and the smooth power that their rings are seen on."""

import math

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.core.threads import workers
from eucentric.processing.operators import inverse_transform, transform

Array = NDArray[np.float64]

_TILE_A = 1500.0  # three times the 500 Å over which 5 µm of defocus spreads detail of 4 Å
_TAPER = 0.06  # of a tile's side, at either end
_BACKGROUND_TERMS = 7  # a polynomial that falls with the specimen's power but cannot follow rings
_FEWEST_PX = 64
_OVERSAMPLED = 0.9  # Nyquist of an image without fine detail lies so much beyond it
_WORTH_CROPPING = 0.8
_FINER = 8  # steps of the table of correlations, to a step of the padded transform


def without_fine_detail(image: Tensor, pixel_A: float, finest_A: float) -> tuple[Tensor, float]:
    """Return an image and its pixel size, in fewer pixels where those at hand are far finer than is asked for."""
    coarse = [_smooth(math.ceil(n * pixel_A / (_OVERSAMPLED * finest_A / 2))) for n in image.shape]
    if max(new / old for new, old in zip(coarse, image.shape, strict=True)) > _WORTH_CROPPING:
        return image, pixel_A
    # One pixel size for both axes: that of the longer one; the other is cut to fit it.
    long = 0 if image.shape[0] >= image.shape[1] else 1
    coarse_A = pixel_A * image.shape[long] / coarse[long]
    coarse[1 - long] = round(image.shape[1 - long] * pixel_A / coarse_A)
    rows = np.fft.fftfreq(coarse[0], 1 / coarse[0]).astype(int)
    few = transform(image.float())[rows, : coarse[1] // 2 + 1]
    return inverse_transform(few, (coarse[0], coarse[1])), coarse_A


class FieldTiles:
    """How an image is cut: tiles of one size, padded to twice their side, that overlap by their tapers."""

    def __init__(self, shape: tuple[int, int], pixel_A: float) -> None:
        largest = max(_FEWEST_PX, int(_TILE_A / pixel_A))
        counts = [max(1, math.ceil((n * (1 - _TAPER) - 0.05 * largest) / (largest * (1 - _TAPER)))) for n in shape]
        self.shape = shape
        self.side = tuple(
            n if count == 1 else _smooth(math.ceil(n / (count - (count - 1) * _TAPER)))
            for n, count in zip(shape, counts, strict=True)
        )
        starts = [
            [round(i * (n - side) / max(1, count - 1)) for i in range(count)]
            for n, side, count in zip(shape, self.side, counts, strict=True)
        ]
        self.origins = [(y, x) for y in starts[0] for x in starts[1]]
        self.padded = tuple(_smooth(2 * side) for side in self.side)
        self._tapers = [_taper(side) for side in self.side]
        self.independent = math.prod(float((t**2).sum() ** 2 / (t**4).sum() / len(t)) for t in self._tapers)
        self._spectra = [_power_of(t, _FINER * padded) for t, padded in zip(self._tapers, self.padded, strict=True)]

    def centre_yx_px(self, origin: tuple[int, int]) -> tuple[int, int]:
        """Return the middle of a tile, from the image's."""
        y, x = (at + side // 2 - n // 2 for at, side, n in zip(origin, self.side, self.shape, strict=True))
        return y, x

    def transformed(self, image: Tensor, origin: tuple[int, int]) -> Tensor:
        """Return the transform of a tile, tapered, without its mean, (padded y, padded x) complex."""
        (y, x), (height, width) = origin, self.side
        tile = image[y : y + height, x : x + width].float()
        window = self._tapers[0][:, None] * self._tapers[1][None]
        weight = torch.from_numpy(window).float().to(image.device)
        spread = tile.std()
        tile = ((tile - tile.mean()) / spread.clamp(min=1e-20)).clamp(-8, 8) * weight
        if tile.device.type == "cpu":  # by the faster library
            return torch.from_numpy(
                scipy.fft.fft2(tile.numpy(), s=self.padded, workers=workers(math.prod(self.padded)))
            )
        spectrum: Tensor = torch.fft.fft2(tile, s=self.padded)
        return spectrum

    def correlation(self, apart_y: Tensor, apart_x: Tensor) -> Tensor:
        """Return the correlation of white noise's coefficients that lie so many (padded) steps apart."""
        values = []
        for spectrum, apart in zip(self._spectra, (apart_y, apart_x), strict=True):
            table = torch.from_numpy(spectrum).float().to(apart.device)
            at = (apart.float().abs() * _FINER).clamp(max=len(table) - 2)
            below = at.long()
            values.append(torch.lerp(table[below], table[below + 1], at - below))
        return values[0] * values[1]


def smooth_power(power: Tensor, k2: Tensor) -> "SmoothPower":
    """Return the smooth spectrum that fits powers at squared frequencies best."""
    k = k2.sqrt().double().cpu().numpy()
    low, high = float(k.min()), float(k.max())
    edges = np.linspace(low, high, 129)
    at = np.clip(np.searchsorted(edges, k, side="right") - 1, 0, 127)
    counts = np.bincount(at, minlength=128)
    means = np.bincount(at, power.double().cpu().numpy(), minlength=128) / np.maximum(counts, 1)
    use = (counts > 0) & (means > 0)
    middles = (edges[1:] + edges[:-1]) / 2
    if use.sum() <= _BACKGROUND_TERMS:
        return SmoothPower(low, high, np.array([math.log(max(float(means.mean()), 1e-30))]))
    places = 2 * (middles[use] - low) / (high - low) - 1
    terms = np.polynomial.chebyshev.chebfit(places, np.log(means[use]), _BACKGROUND_TERMS - 1, w=np.sqrt(counts[use]))
    return SmoothPower(low, high, np.asarray(terms))


class SmoothPower:
    """A smooth power spectrum: the exponential of a polynomial in k."""

    def __init__(self, low: float, high: float, terms: Array) -> None:
        self._low, self._high, self._terms = low, high, terms

    def __call__(self, k2: Tensor) -> Tensor:
        """Return the power at squared frequencies."""
        place = (2 * (k2.sqrt().double() - self._low) / (self._high - self._low) - 1).clamp(-1, 1)
        total, before = torch.zeros_like(place), torch.zeros_like(place)
        for term in self._terms[:0:-1]:  # Clenshaw
            total, before = 2 * place * total - before + float(term), total
        return (place * total - before + float(self._terms[0])).exp().float()


def _taper(side: int) -> Array:
    rim = max(1.0, _TAPER * side)
    at = np.minimum(np.arange(side) + 0.5, side - 0.5 - np.arange(side))
    return np.asarray(np.sin(0.5 * np.pi * np.minimum(at / rim, 1)) ** 2)


def _power_of(taper: Array, padded: int) -> Array:
    """Return the transform of a squared window about its middle, 1 at zero."""
    values = np.fft.rfft(taper**2, padded)
    turn = np.exp(2j * np.pi * np.arange(len(values)) * (len(taper) - 1) / 2 / padded)
    return np.asarray((values * turn).real / values[0].real)


def _smooth(n: int) -> int:
    return int(scipy.fft.next_fast_len(n, real=False))
