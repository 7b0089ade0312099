"""From recorded pixels to images that can be compared: defects mended, unusable views named, contrast normalised."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import median_filter
from torch import Tensor

from eucentric.core import SILENT, InputError, Reporter

_NOISE_QUANTILE, _NOISE_QUANTILE_SIGMAS = 0.995, 2.81  # where, and in what units of a Gaussian, noise is read off
_HOT = 12.0  # such standard deviations from the local median: gold at 10 Å stays below, a cosmic ray does not
_NOT_FINITE_SHARE = 0.1  # more bad pixels than this and the view is left out instead of mended
_DARK_SHARE = 0.1  # of the counts of its neighbours in angle: a blocked beam, not a thicker specimen
_NEIGHBOURS = 4


@dataclass(frozen=True)
class PreparedImages:
    """Images of a series, ready to be matched and back-projected.

    `images` (n, y, x) float32 on the CPU: each view's counts over its mean, minus one, so that every view has mean
    zero and the contrast that it was recorded with; views that cannot be used are all zero. `mean_counts` (n,)
    is the mean of the finite pixels; `mended_pixels` (n,) how many were replaced; `reasons` says, by section, why
    a view is left out.
    """

    images: Tensor
    mean_counts: NDArray[np.float64]
    mended_pixels: NDArray[np.int64]
    reasons: dict[int, str]


def prepare_images(images: ArrayLike, tilts_deg: Sequence[float], *, reporter: Reporter = SILENT) -> PreparedImages:
    """Mend defects and normalise contrast, view by view.

    Parameters
    ----------
    images
        (n, y, x) counts of any real type; may be memory-mapped, and is never written to.
    tilts_deg
        Tilt of each section: a view is dark only beside its neighbours in angle.
    reporter
        Where progress goes.

    Raises
    ------
    InputError
        If fewer than 5 views can be used: no volume can be made of them.
    """
    source = np.asanyarray(images)
    n = len(source)
    prepared = torch.zeros(source.shape, dtype=torch.float32)
    means = np.zeros(n)
    spreads = np.zeros(n)
    mended = np.zeros(n, dtype=np.int64)
    reasons: dict[int, str] = {}
    for section in reporter.each(range(n), "Mending pixels"):
        image = np.array(source[section], dtype=np.float32)
        bad = ~np.isfinite(image)
        if bad.mean() > _NOT_FINITE_SHARE:
            reasons[section] = f"{bad.mean():.0%} of its pixels are not numbers"
            continue
        image[bad] = np.median(image[~bad])
        bad |= _hot_pixels(image)
        mended[section] = bad.sum()
        _mend(image, bad)
        means[section], spreads[section] = image.mean(dtype=np.float64), image.std(dtype=np.float64)
        if spreads[section] <= 1e-6 * max(abs(means[section]), 1e-30):
            reasons[section] = "all its pixels are equal"
            continue
        prepared[section] = torch.from_numpy(image)
    reasons |= _dark_views(means, np.asarray(tilts_deg, dtype=float), reasons)
    usable = [section for section in range(n) if section not in reasons]
    if len(usable) < 5:
        listed = "; ".join(f"section {section}: {reason}" for section, reason in sorted(reasons.items()))
        raise InputError(
            f"Only {len(usable)} of {n} views can be used, and no volume can be made of fewer than 5. {listed}".strip(),
            "Check the stack with a viewer; nothing was computed.",
        )
    scale = _contrast_scale(means, spreads, usable)
    for section in range(n):
        if section in reasons:
            prepared[section] = 0
        else:
            prepared[section] = (prepared[section] - means[section]) / scale[section]
    return PreparedImages(prepared, means, mended, reasons)


def _hot_pixels(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return lone pixels that stand out from the median of their neighbours far beyond the noise."""
    difference = np.abs(image - median_filter(image, size=3, mode="mirror"))
    # Noise may differ over an image (a needle before vacuum): the noisiest part sets the scale.
    noise = np.quantile(difference[::3, ::3], _NOISE_QUANTILE) / _NOISE_QUANTILE_SIGMAS
    hot: NDArray[np.bool_] = difference > _HOT * max(float(noise), 1e-30)
    return hot


def _mend(image: NDArray[np.float32], bad: NDArray[np.bool_]) -> None:
    """Replace bad pixels by the median of the good ones around them."""
    rows, columns = image.shape
    for y, x in np.argwhere(bad):
        for reach in (1, 2, 4, 8, max(rows, columns)):
            window = np.s_[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
            good = image[window][~bad[window]]
            if good.size >= 3:
                image[y, x] = np.median(good)
                break


def _dark_views(means: NDArray[np.float64], tilts_deg: NDArray[np.float64], known: dict[int, str]) -> dict[int, str]:
    reasons: dict[int, str] = {}
    if means.min(initial=0) < 0:
        return reasons  # an offset has been taken off: counts say nothing any more
    usable = np.array([section for section in range(len(means)) if section not in known], dtype=int)
    for section in usable:
        others = usable[usable != section]
        nearest = others[np.argsort(np.abs(tilts_deg[others] - tilts_deg[section]), kind="stable")[:_NEIGHBOURS]]
        if len(nearest) and means[section] < _DARK_SHARE * np.median(means[nearest]):
            share = means[section] / np.median(means[nearest])
            reasons[int(section)] = f"dark: {share:.1%} of the counts of its neighbours in angle"
    return reasons


def _contrast_scale(means: NDArray[np.float64], spreads: NDArray[np.float64], usable: list[int]) -> NDArray[np.float64]:
    """Return what to divide each view by: its mean, which keeps contrast comparable between views.

    Where means are no measure of exposure (an offset was taken off, so that they are near or below zero), the
    spread of each view is the only scale left.
    """
    if min(means[usable]) > 0.5 * np.median(spreads[usable]):
        return np.where(means > 0, means, 1.0)
    return np.where(spreads > 0, spreads, 1.0)


def standardise(images: Tensor) -> Tensor:
    """Return images (n, y, x) with mean 0 and standard deviation 1 each, outliers beyond 6 of these cut off."""
    for _ in range(2):
        mean = images.mean((1, 2), keepdim=True)
        spread = images.std((1, 2), keepdim=True)
        images = torch.clamp((images - mean) / torch.clamp(spread, min=1e-12), -6, 6)
    return images
