"""Where the content of one image lies in another one of another tilt, by correlation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

Floats = NDArray[np.float32]

_SIDE = 512  # pixels a side that images are brought to: more brings nothing at these exposures
_EDGE = 0.08  # share of the field over which windows fall off
_EMPTY = 1e-5  # contrast that is rounding and nothing else
_SLOW = 6.0  # parts of a field over which the beam's own profile is taken out
_LOW_CYCLES = 3.0  # per field: below it are thickness and beam, not features
_FINEST_A = 24.0  # detail finer than this is noise at the exposure of a tracking image
_SCATTER = 2.0  # of a peak's place, over its width divided by its height: seen in noise, for heights from 6.5 to 10
_LEAST_OVERLAP = 0.05  # share of the largest
_AROUND = 6  # pixels about the peak that do not count as background


@dataclass(frozen=True)
class Sight:
    """An image as it is compared: axis along y, binned, each pixel `pixel_A` wide, (y, x) float32 of mean 0."""

    image: Floats
    pixel_A: float
    slab_deg: float


@dataclass(frozen=True)
class Displacement:
    """How far the content has moved, yx in Å, along and across the tilt axis.

    `height` is that of the correlation's peak over its background's standard deviation, `sigma_A` the estimated
    error along each axis.
    """

    yx_A: tuple[float, float]
    height: float
    sigma_A: float


def sight(image: NDArray[np.floating] | NDArray[np.integer], pixel_A: float, axis_deg: float, slab_deg: float) -> Sight:
    """Prepare an image for comparison.

    Parameters
    ----------
    image
        (y, x), row 0 at the bottom.
    pixel_A
        Its pixel size.
    axis_deg
        Direction of the tilt axis in it (IMOD's).
    slab_deg
        Tilt of the specimen's own plane.
    """
    values = np.asarray(image, dtype=np.float32)
    binning = max(1, min(values.shape) // _SIDE)
    rows, columns = (n // binning for n in values.shape)
    values = values[: rows * binning, : columns * binning].reshape(rows, binning, columns, binning).mean((1, 3))
    values = _flattened(_without_spikes(values))
    values = values - values.mean()
    if float(values.std()) < _EMPTY:
        values = np.zeros_like(values)
    turn = math.radians(axis_deg)
    # Along and across the axis to rows and columns of the image: core.frames.rotation_about_z, in pixels.
    matrix = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    centre = np.array(values.shape) // 2
    turned = ndimage.affine_transform(values, matrix, centre - matrix @ centre, order=1, mode="constant", cval=0.0)
    return Sight(np.asarray(turned, dtype=np.float32), pixel_A * binning, slab_deg)


def displacement(
    known: Sequence[tuple[Sight, tuple[float, float]]], now: Sight, *, farthest_A: float = math.inf
) -> Displacement | None:
    """Return how far from an image's centre a place lies that is known from earlier ones.

    The correlations with all of them are summed, which is to correlate with their mean: weak images help each other.

    Parameters
    ----------
    known
        Earlier images, each with where the place lay in it, from its centre, along and across the axis (Å).
    now
        The image, of the same size and pixel.
    farthest_A
        How far off it can be; peaks beyond are passed over.

    Returns
    -------
    Displacement
        From the centre of the image; None where none of the others can be compared with it.
    """
    alike = [
        (before, offset_A)
        for before, offset_A in known
        if before.image.any()
        and before.image.shape == now.image.shape
        and math.isclose(before.pixel_A, now.pixel_A, rel_tol=0.01)
    ]
    if not alike or not now.image.any():
        return None
    correlation = _correlate([_as_seen_from(before, now, offset_A) for before, offset_A in alike], now)
    peak, height, width_px = _peak(correlation, farthest_A / now.pixel_A)
    sigma_A = max(2.0, _SCATTER * width_px * now.pixel_A / max(height, 1.0))
    y, x = (float(value) * now.pixel_A for value in peak)
    return Displacement((y, x), height, sigma_A)


def _as_seen_from(before: Sight, now: Sight, offset_yx_A: tuple[float, float]) -> Floats:
    """Return an image as it would be at the tilt of another, with its place in the centre."""
    narrower = math.cos(math.radians(now.slab_deg)) / math.cos(math.radians(before.slab_deg))
    offset_px = np.array(offset_yx_A) / now.pixel_A
    centre = np.array(now.image.shape) // 2
    scale = np.array([1.0, 1.0 / narrower])
    stretched = ndimage.affine_transform(
        before.image, scale, centre + offset_px - scale * centre, order=1, mode="constant", cval=0.0
    )
    return np.asarray(stretched, dtype=np.float32)


def _without_spikes(values: Floats) -> Floats:
    """Replace single pixels that stand out from those around them, hot and dead ones, by their median."""
    around = ndimage.median_filter(values, 3, mode="nearest")
    off = values - around
    spread = 1.4826 * float(np.median(np.abs(off)))
    return np.where(np.abs(off) > 6 * spread, around, values).astype(np.float32) if spread > 0 else values


def _flattened(values: Floats) -> Floats:
    """Divide by what changes slowly over the field, as the beam does, which does not move with the specimen."""
    slow = ndimage.gaussian_filter(values, min(values.shape) / _SLOW, mode="nearest")
    return np.asarray(values / np.maximum(slow, 1e-6 + 0.05 * abs(float(values.mean()))), dtype=np.float32)


def _window(shape: tuple[int, ...]) -> Floats:
    sides = []
    for n in shape:
        edge = max(2, int(_EDGE * n))
        ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / edge)
        sides.append(np.concatenate([ramp, np.ones(n - 2 * edge), ramp[::-1]]))
    return np.asarray(np.outer(*sides), dtype=np.float32)


def _correlate(befores: Sequence[Floats], now: Sight) -> Floats:
    """Return the sum of an image's correlations with others, filtered and padded, its origin in the middle."""
    rows, columns = now.image.shape
    window = _window(now.image.shape)
    # Twice the size: with less, what moved far in one direction would be seen as having moved in the other.
    shape = [fft.next_fast_len(2 * n, real=True) for n in (rows, columns)]

    def transform(image: Floats) -> NDArray[np.complex64]:
        return np.asarray(fft.rfft2((image - image.mean()) * window, shape, workers=2))

    second = transform(now.image)
    k = np.hypot(fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1])[None])
    low = _LOW_CYCLES / min(rows, columns)
    high = min(0.4, now.pixel_A / _FINEST_A)
    band = np.exp(-0.5 * (k / high) ** 2) * -np.expm1(-0.5 * (k / low) ** 2)
    total = np.zeros_like(second)
    for before in befores:
        cross = np.conj(transform(before)) * second
        # Half way to phase correlation: strong low frequencies would else make a broad peak.
        total += cross * band / np.sqrt(np.abs(cross) + 1e-9)
    correlation = fft.fftshift(fft.irfft2(total, shape, workers=2))
    # Less overlaps the further one is shifted, and correlates with less noise: all shifts are to be judged alike.
    squared = fft.rfft2(window**2, shape, workers=2)
    overlap = fft.fftshift(fft.irfft2(np.abs(squared) ** 2, shape, workers=2))
    share = overlap / overlap.max()
    even = np.where(share > _LEAST_OVERLAP, correlation / np.sqrt(np.maximum(share, _LEAST_OVERLAP)), 0.0)
    return np.asarray(even, dtype=np.float32)


def _peak(correlation: Floats, farthest_px: float) -> tuple[NDArray[np.float64], float, float]:
    """Return the place of the peak from the middle (px), its height in standard deviations, and its width (px)."""
    candidates = correlation
    if farthest_px < max(correlation.shape):
        y, x = (np.arange(n) - n // 2 for n in correlation.shape)
        candidates = np.where(np.hypot(y[:, None], x) <= max(farthest_px, 1.0), correlation, -np.inf)
    at = np.array(np.unravel_index(int(candidates.argmax()), correlation.shape))
    background = np.where(correlation == 0, np.nan, correlation)  # where too little overlaps there is nothing
    low, high = np.maximum(at - _AROUND, 0), at + _AROUND + 1
    background[low[0] : high[0], low[1] : high[1]] = np.nan
    mean, spread = float(np.nanmean(background)), float(np.nanstd(background))
    top = float(correlation[tuple(at)])
    place, curvatures = at.astype(float), []
    for axis in (0, 1):
        beside = [at.copy(), at.copy()]
        beside[0][axis] -= 1
        beside[1][axis] += 1
        if min(beside[0][axis], correlation.shape[axis] - 1 - beside[1][axis]) < 0:
            continue
        left, right = (float(correlation[tuple(one)]) for one in beside)
        bend = left - 2 * top + right
        if bend < 0:
            place[axis] += 0.5 * (left - right) / bend
            curvatures.append(-bend / max(top - mean, 1e-12))
    width = math.sqrt(1 / max(float(np.mean(curvatures)), 1e-3)) if curvatures else 3.0
    middle = np.array(correlation.shape) // 2
    return place - middle, (top - mean) / spread if spread > 0 else 0.0, width
