"""Beads in three dimensions: a blob filter's response in each view, back-projected over all of them."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft, ndimage
from torch import Tensor

from eucentric.core import Alignment
from eucentric.core.threads import in_threads
from eucentric.processing.operators import backproject, bin_images, resample, spline_coefficients

Array = NDArray[np.float64]

RADII_A = (30.0, 40.0, 50.0, 65.0, 80.0, 100.0, 150.0)
"""Radii of gold that are tried; 5 to 30 nm are sold."""

_BRIGHTEST = 25  # peaks of a view by which a radius is judged
_JUDGING_VIEWS = 7
_JUDGED_PX = 2.5
_CLIP = 12.0  # noise units: one large thing in one view is not to be a bead by itself
_MAD = 1.4826
_SMALLEST_PX = 1.0
_SAMPLED = 2  # every second pixel tells the noise of a view
_MANY = 3000  # candidates, from which on the highest of all surroundings are found sooner than those of each
_STRIPS = 8  # of a volume, that threads take the median of
_COARSE_FROM_PX = 2.5
_TAIL, _TAIL_SIGMAS = 0.999, 3.09
_BODY, _BODY_SIGMAS = 0.99, 2.326
_HEAVIER = 1.5  # how much the tail's scale is over the body's on real series; beads at every place make it more


@dataclass(frozen=True)
class Peaks:
    """Places zyx (b, 3) in pixels from the specimen's origin, and how far each stands out, in noise units."""

    zyx_px: Array
    significance: Array


def responses(images: Tensor, radius_px: float, views: list[int]) -> Tensor:
    """Return how much each pixel looks like the middle of a dense disc, (n, y, x), in units of the view's noise.

    The filter is a Laplacian of a Gaussian (Lindeberg 1998, 10.1023/A:1008045108935), which for a disc of this radius
    peaks at `radius / sqrt(2)`. Views that are not used are zero.
    """
    out = np.zeros(tuple(images.shape), dtype=np.float32)
    gain = _blob_gain((images.shape[1], images.shape[2]), radius_px)
    pixels = images.numpy()

    def fill(view: int) -> None:
        out[view] = _response(pixels[view], gain)

    in_threads(fill, views)
    return torch.from_numpy(out)


def _response(image: NDArray[np.float32], gain: NDArray[np.float32]) -> NDArray[np.float32]:
    # The cosine transform goes on beyond the border as the image's mirror image does.
    blobs: NDArray[np.float32] = fft.idctn(fft.dctn(image) * gain, overwrite_x=True)
    sample = blobs[::_SAMPLED, ::_SAMPLED]  # of what is smooth over a radius
    middle = np.median(sample)
    blobs -= middle
    blobs /= max(_MAD * float(np.median(np.abs(sample))), 1e-30)
    return blobs


def _blob_gain(shape: tuple[int, int], radius_px: float) -> NDArray[np.float32]:
    """Return what a Laplacian of a Gaussian, sampled at pixels, multiplies cosine transforms (y, x) by."""
    sigma = max(radius_px, _SMALLEST_PX) / math.sqrt(2)
    reach = math.ceil(4 * sigma)
    one = np.zeros(4 * reach + 1)
    one[2 * reach] = 1
    smooth, bent = (ndimage.gaussian_filter1d(one, sigma, order=order)[reach : 3 * reach + 1] for order in (0, 2))
    away = np.arange(-reach, reach + 1)
    waves = [np.cos(np.outer(np.pi * np.arange(n) / n, away)) for n in shape]
    y, x = ((wave @ smooth, wave @ bent) for wave in waves)
    gain: NDArray[np.float32] = (np.outer(y[1], x[0]) + np.outer(y[0], x[1])).astype(np.float32)
    return gain


def find_radius(images: Tensor, views: list[int], tilts_deg: Array, pixel_A: float) -> float:
    """Return the radius (Å) of the blobs that stand out most in the least tilted views."""
    least = sorted(views, key=lambda view: abs(tilts_deg[view]))[:_JUDGING_VIEWS]
    # Large blobs are seen as well, and sooner, on fewer pixels.
    factors = [max(1, int(radius_A / pixel_A / _JUDGED_PX)) for radius_A in RADII_A]
    each = sorted(set(factors))
    small = dict(zip(each, in_threads(lambda factor: bin_images(images[least], factor).numpy(), each), strict=True))

    def score(tried: tuple[float, int]) -> float:
        radius_px = tried[0] / pixel_A / tried[1]
        gain = _blob_gain(small[tried[1]].shape[1:], radius_px)
        wide = 2 * max(2, round(radius_px)) + 1
        return float(np.median([_brightest(_response(image, gain), wide) for image in small[tried[1]]]))

    return RADII_A[int(np.argmax(in_threads(score, list(zip(RADII_A, factors, strict=True)))))]


def _brightest(blobs: NDArray[np.float32], wide: int) -> float:
    """Return the mean of the highest peaks of one view."""
    tops = blobs[(blobs == ndimage.maximum_filter(blobs, wide)) & (blobs > 0)]
    return float(np.sort(tops)[-_BRIGHTEST:].mean()) if tops.size else 0.0


def find_in_3d(blobs: Tensor, alignment: Alignment, radius_px: float, depth_px: int, threshold: float) -> Peaks:
    """Return the places where the responses of all views meet.

    Parameters
    ----------
    blobs
        From `responses`.
    alignment
        How views see the specimen; errors of a bead's radius are forgiven.
    radius_px
        Of a bead: no two peaks lie closer than its diameter.
    depth_px
        Height of the volume that is searched, about the specimen's origin.
    threshold
        In noise units of the volume, below which nothing is a peak.
    """
    used = [tilt for tilt in alignment.tilts if tilt.used]
    rows, columns = alignment.shape_yx
    coarser = 2 if radius_px >= _COARSE_FROM_PX else 1  # the response is smooth on the scale of the radius
    depth_px = max(4, depth_px // coarser)
    diagonal = math.ceil(math.hypot(rows, columns) / coarser)
    maps = torch.zeros((len(used), 2, 3), dtype=torch.float64)
    for i, tilt in enumerate(used):
        angle = math.radians(tilt.axis_deg)
        cos, sin = math.cos(angle) * tilt.magnification, math.sin(angle) * tilt.magnification
        maps[i, :, :2] = coarser * torch.tensor([[cos, sin], [-sin, cos]])
        maps[i, :, 2] = torch.tensor(tilt.shift_yx_A) / alignment.pixel_A
    sections = [tilt.section for tilt in used]
    coefficients = torch.empty((len(used), rows, columns))

    def fill(place: int) -> None:
        coefficients[place] = spline_coefficients(blobs[sections[place]].clamp(-_CLIP, _CLIP))

    in_threads(fill, range(len(used)))
    turned = resample(coefficients, maps, (diagonal, diagonal))
    tilts = torch.tensor([math.radians(tilt.tilt_deg) for tilt in used], dtype=torch.float64)
    volume = backproject(turned, tilts, (depth_px, diagonal)).numpy()
    # Where fewer views reach, sums have less noise: planes along x are brought to one scale. Its unit is read off the
    # tail, which is heavier than a Gaussian's, but not heavier than real series have it: beyond, it is beads that make
    # it up, as in a small volume full of them.
    strips = np.array_split(np.abs(volume[:, ::4]), _STRIPS, axis=2)
    medians = in_threads(lambda strip: np.median(strip, axis=(0, 1)), strips)
    noise = (_MAD * np.concatenate(medians)).astype(np.float32)
    volume /= np.maximum(noise, 0.3 * np.median(noise[noise > 0]))[None, None, :]
    far, near = (float(q) for q in np.quantile(volume[:, ::2, ::2], (_TAIL, _BODY)))
    volume /= max(min(far / _TAIL_SIGMAS, _HEAVIER * near / _BODY_SIGMAS), 1e-30)
    found = _tops(volume, threshold, 2 * max(2, round(radius_px / coarser)) + 1)
    strength = volume[tuple(found.T)]
    order = np.argsort(-strength, kind="stable")
    centre = np.array([depth_px // 2, diagonal // 2, diagonal // 2])
    return Peaks(coarser * (found - centre)[order].astype(np.float64), strength[order].astype(np.float64))


def _tops(volume: NDArray[np.float32], threshold: float, wide: int) -> NDArray[np.int64]:
    """Return the places (b, 3) above a threshold that are the highest in a box `wide` along y and x, twice along z."""
    places = np.argwhere(volume > threshold)
    if len(places) > _MANY:
        return np.argwhere((volume > threshold) & (volume == ndimage.maximum_filter(volume, (2 * wide, wide, wide))))
    half = wide // 2
    boxes = [
        volume[max(z - wide, 0) : z + wide, max(y - half, 0) : y + half + 1, max(x - half, 0) : x + half + 1]
        for z, y, x in places
    ]
    highest = [volume[tuple(place)] >= box.max() for place, box in zip(places, boxes, strict=True)]
    tops: NDArray[np.int64] = places[np.array(highest, dtype=bool)]
    return tops
