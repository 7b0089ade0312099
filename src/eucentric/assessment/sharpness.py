"""How sharp a tomogram is: widths of its most compact features, and the detail of its central slice."""

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from eucentric.core import InputError, Record

FEATURE_A = 100.0
"""Diameter of the usual gold bead."""

MOST_FEATURES = 30
"""Enough for a median; a field of view rarely has more beads."""

LEAST_SCORE = 8.0
"""Noise units that a feature must reach: beads reach 12 to 14 on real data, where nothing else passes 7."""


class Sharpness(Record):
    """Sharpness figures of a volume.

    `features` compact features (gold beads, as a rule) of one `polarity` were measured: their median full
    width at half maximum along z, y and x, and their median contrast in standard deviations of the volume.
    Where there are none, these are absent and `reason` says why. `gradient_energy` (mean squared gradient)
    and `laplacian_variance` are of the central slice, per pixel and over its variance: free of contrast, but
    noise raises them too, so they compare only volumes of the same data and filter.
    """

    features: Annotated[int, Field(ge=0)]
    polarity: Literal["dark", "bright"] | None = None
    width_zyx_A: tuple[float, float, float] | None = None
    contrast_sd: float | None = None
    reason: str = ""
    gradient_energy: float
    laplacian_variance: float


def sharpness(
    tomogram: NDArray[Any], pixel_A: float, *, feature_A: float = FEATURE_A, most: int = MOST_FEATURES
) -> Sharpness:
    """Measure how sharp a tomogram is.

    The volume is binned to some five voxels a feature and band-passed (difference of Gaussians); local extrema
    of the stronger polarity, away from the borders and above `LEAST_SCORE` robust standard deviations, are
    features. Their profiles through the extremum, in the full volume and each averaged over 3 x 3 lines, give
    the widths at half height over the local median.

    Parameters
    ----------
    tomogram
        Volume, (z, y, x).
    pixel_A
        Pixel size, Å.
    feature_A
        Diameter of the features to look for, Å.
    most
        How many of the strongest to measure.

    Raises
    ------
    InputError
        If the volume is not 3D, or is constant.
    """
    if tomogram.ndim != 3 or min(tomogram.shape) < 3:
        raise InputError(f"A volume of shape {tomogram.shape} has no sharpness.", "Give a (z, y, x) volume.")
    middle = tomogram.shape[0] // 2
    gradient_energy, laplacian_variance = _detail(np.asarray(tomogram[middle], dtype=np.float32))
    sample = np.asarray(tomogram[:: max(1, tomogram.shape[0] // 16), ::4, ::4], dtype=np.float32)
    deviation = float(sample.std())
    peaks, polarity, lack = _find(tomogram, feature_A / pixel_A, most)
    measured = [_measure(tomogram, peak, feature_A / pixel_A, polarity) for peak in peaks]
    widths = [(width, height) for width, height in measured if np.isfinite(width).all() and height > 0]
    if not widths:
        reason = lack or "no feature's profile falls to half its height on all sides"
        return Sharpness(
            features=0, reason=reason, gradient_energy=gradient_energy, laplacian_variance=laplacian_variance
        )
    z, y, x = np.median([width for width, _ in widths], axis=0) * pixel_A
    return Sharpness(
        features=len(widths),
        polarity="bright" if polarity > 0 else "dark",
        width_zyx_A=(float(z), float(y), float(x)),
        contrast_sd=float(np.median([height for _, height in widths])) / deviation,
        gradient_energy=gradient_energy,
        laplacian_variance=laplacian_variance,
    )


def _detail(image: NDArray[np.float32]) -> tuple[float, float]:
    """Return the mean squared gradient and the variance of the Laplacian, each over the image's variance."""
    variance = float(image.var(dtype=np.float64))
    if variance == 0:
        raise InputError("The central slice is constant: it has no sharpness.", "Check how the volume was made.")
    inner = (slice(1, -1), slice(1, -1))  # where both neighbours exist
    down, across = np.gradient(image, axis=0), np.gradient(image, axis=1)
    energy = float(np.mean(down[inner] ** 2 + across[inner] ** 2, dtype=np.float64))
    return energy / variance, float(ndimage.laplace(image)[inner].var(dtype=np.float64)) / variance


def _binned(volume: NDArray[Any], by: int) -> NDArray[np.float32]:
    """Return the mean over cubes of `by` voxels, read slab by slab; the rest at the far ends is left out."""
    nz, ny, nx = (n // by for n in volume.shape)
    out = np.empty((nz, ny, nx), dtype=np.float32)
    for z in range(nz):
        slab = np.asarray(volume[z * by : (z + 1) * by, : ny * by, : nx * by], dtype=np.float32)
        out[z] = slab.sum(axis=0).reshape(ny, by, nx, by).sum(axis=(1, 3)) / by**3
    return out


def _find(volume: NDArray[Any], feature_px: float, most: int) -> tuple[list[tuple[int, int, int]], int, str]:
    """Return the features' places in voxels, their sign (1 bright, -1 dark), and why there are none."""
    by = max(1, round(feature_px / 5))
    small = _binned(volume, by)
    radius = feature_px / by / 2
    margin = max(2, round(2 * radius))
    if min(small.shape) <= 2 * margin:
        return [], 1, "the volume is too thin for features away from its borders"
    # A Gaussian of half the radius matches a ball's core; three times that wide is its surroundings.
    band = ndimage.gaussian_filter(small, radius / 2, mode="nearest")
    band -= ndimage.gaussian_filter(small, 1.5 * radius, mode="nearest")
    inner = band[margin:-margin, margin:-margin, margin:-margin]
    noise = 1.4826 * float(np.median(np.abs(inner - np.median(inner))))
    if noise == 0:
        return [], 1, "most of the volume is constant"
    found: dict[int, list[tuple[float, tuple[int, int, int]]]] = {}
    reach = 2 * max(1, round(radius)) + 1
    for sign in (1, -1):
        signed = sign * inner
        tops = (signed == ndimage.maximum_filter(signed, size=reach)) & (signed > LEAST_SCORE * noise)
        places = np.argwhere(tops)
        scores = signed[tops]
        best = np.argsort(scores)[::-1][:most]
        found[sign] = [(float(scores[i]), (int(places[i][0]), int(places[i][1]), int(places[i][2]))) for i in best]
    sign = max(found, key=lambda s: sum(score for score, _ in found[s]))
    centre = (by - 1) / 2
    peaks = [
        (round((z + margin) * by + centre), round((y + margin) * by + centre), round((x + margin) * by + centre))
        for _, (z, y, x) in found[sign]
    ]
    return peaks, sign, "" if peaks else f"nothing compact stands out by {LEAST_SCORE:.0f} standard deviations"


def _measure(
    volume: NDArray[Any], peak: tuple[int, int, int], feature_px: float, sign: int
) -> tuple[NDArray[np.float64], float]:
    """Return the widths zyx in voxels (NaN where a profile does not fall to half) and the height."""
    reach = int(np.ceil(2 * feature_px))
    corner = [max(0, p - reach) for p in peak]
    box = tuple(slice(c, p + reach + 1) for c, p in zip(corner, peak, strict=True))
    cube = sign * np.asarray(volume[box], dtype=np.float32)
    cube -= np.median(cube)
    near = tuple(slice(max(0, p - c - 2), p - c + 3) for c, p in zip(corner, peak, strict=True))
    smooth = ndimage.uniform_filter(cube, 3)[near]  # the extremum, found again at full sampling
    top = np.unravel_index(int(np.argmax(smooth)), smooth.shape)
    z, y, x = (int(t) + part.start for t, part in zip(top, near, strict=True))
    lines = (
        cube[:, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].mean(axis=(1, 2)),
        cube[max(0, z - 1) : z + 2, :, max(0, x - 1) : x + 2].mean(axis=(0, 2)),
        cube[max(0, z - 1) : z + 2, max(0, y - 1) : y + 2, :].mean(axis=(0, 1)),
    )
    widths = np.array([_full_width(line, at) for line, at in zip(lines, (z, y, x), strict=True)])
    return widths, float(cube[z, y, x])


def _full_width(line: NDArray[np.float32], at: int) -> float:
    """Return the full width at half of the value at `at`, or NaN where the line ends above it."""
    half = line[at] / 2
    total = 0.0
    for side in (line[at:], line[at::-1]):
        below = np.flatnonzero(side < half)
        if below.size == 0:
            return float("nan")
        i = int(below[0])
        total += i - 1 + float((side[i - 1] - half) / (side[i - 1] - side[i])) if i else 0.0
    return total
