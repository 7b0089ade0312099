"""From recorded pixels to images that can be compared: defects mended, unusable views named, contrast normalised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from eucentric.core import SILENT, InputError, Reporter
from eucentric.core.mapped import section_of
from eucentric.core.series import FEWEST_TILTS
from eucentric.processing.alignment._median import median_3x3

_NOISE_QUANTILE, _NOISE_QUANTILE_SIGMAS = 0.995, 2.81  # where, and in what units of a Gaussian, noise is read off
_HOT = 12.0  # such standard deviations from the local median: gold at 10 Å stays below, a cosmic ray does not
_NO_COUNT = 1e30  # no camera counts this far, but memory that was never written reads so
_NOT_FINITE_SHARE = 0.1  # more bad pixels than this and the view is left out instead of mended
_DARK_SHARE = 0.1  # of the counts of its neighbours in angle: a blocked beam, not a thicker specimen
_NEIGHBOURS = 4
_MENDED_AT_ONCE = 2**16  # pixels: bounds the memory that their surroundings take


@dataclass(frozen=True)
class PreparedImages:
    """Images of a series, ready to be matched and back-projected.

    `images` (n, y, x) float32 on the CPU: each view's counts over its mean, minus one, so that every view has mean
    zero and the contrast that it was recorded with (where means are no counts, since an offset was taken off, it is
    divided by its standard deviation instead); views that cannot be used are all zero. `mean_counts` (n,) is the mean
    of the mended pixels as stored, 0 where too few are numbers; `mended_pixels` (n,) how many were replaced;
    `reasons` says, by section, why a view is left out.
    """

    images: Tensor
    mean_counts: NDArray[np.float64]
    mended_pixels: NDArray[np.int64]
    reasons: dict[int, str]


def prepare_images(
    images: ArrayLike,
    tilts_deg: Sequence[float],
    *,
    left_out: Mapping[int, str] | None = None,
    reporter: Reporter = SILENT,
) -> PreparedImages:
    """Mend defects and normalise contrast, view by view.

    Parameters
    ----------
    images
        (n, y, x) counts of any real type; may be memory-mapped, and is never written to.
    tilts_deg
        Tilt of each section: a view is dark only beside its neighbours in angle.
    left_out
        Why views are not to be used whatever they show, by section.
    reporter
        Where progress goes.

    Raises
    ------
    InputError
        If there is not one tilt to each image, or fewer than 5 views can be used: no volume can be made of them.
    """
    source = np.asanyarray(images)
    n = len(source)
    if source.ndim != 3 or n != len(tilts_deg):
        raise InputError(f"{len(tilts_deg)} tilt angles were given for images of shape {source.shape}.")
    prepared = torch.zeros(source.shape, dtype=torch.float32)
    means = np.zeros(n)
    spreads = np.zeros(n)
    mended = np.zeros(n, dtype=np.int64)
    reasons: dict[int, str] = {}
    for section in reporter.each(range(n), "Mending pixels"):
        image = section_of(source, section)  # what is too large for a float32 is no number either, and mended
        bad = ~np.isfinite(image)
        if bad.mean() > _NOT_FINITE_SHARE:
            reasons[section] = f"{bad.mean():.0%} of its pixels are not numbers"
            continue
        if bad.any():
            image[bad] = np.median(image[~bad])
        bad |= _hot_pixels(image)
        mended[section] = bad.sum()
        _mend(image, bad)
        means[section], spreads[section] = image.mean(dtype=np.float64), image.std(dtype=np.float64)
        if spreads[section] <= 1e-6 * max(abs(means[section]), 1e-30):
            reasons[section] = "all its pixels are equal"
            continue
        prepared[section] = torch.from_numpy(image)
    reasons |= left_out or {}
    usable = np.array([section for section in range(n) if section not in reasons], dtype=int)
    light = _light(means, spreads, usable)
    reasons |= _dark_views(light, np.asarray(tilts_deg, dtype=float), usable)
    if n - len(reasons) < FEWEST_TILTS:
        by_reason: dict[str, list[int]] = {}
        for section, reason in sorted(reasons.items()):
            by_reason.setdefault(reason, []).append(section)
        listed = "; ".join(f"sections {sections}: {reason}" for reason, sections in by_reason.items())
        raise InputError(
            f"Only {n - len(reasons)} of {n} views can be used, and no volume can be made of fewer than "
            f"{FEWEST_TILTS}. {listed}".strip(),
            f"{'Take some back, or check' if left_out else 'Check'} the stack with a viewer; nothing was computed.",
        )
    for section in range(n):
        if section in reasons:
            prepared[section] = 0
        else:
            prepared[section] = (prepared[section] - means[section]) / light[section]
    return PreparedImages(prepared, means, mended, reasons)


def _hot_pixels(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return lone pixels that stand out from the median of their neighbours far beyond the noise."""
    with np.errstate(over="ignore"):
        difference = np.abs(image - median_3x3(image))
    # Where counts are sparse most pixels equal their neighbours, which says nothing about the noise of the others.
    sample = difference[::3, ::3]
    sample = sample[sample > 0]
    if not sample.size:
        return np.zeros(image.shape, dtype=bool)
    # Noise may differ over an image (a needle before vacuum): the noisiest part sets the scale.
    noise = float(np.quantile(sample, _NOISE_QUANTILE)) / _NOISE_QUANTILE_SIGMAS
    hot: NDArray[np.bool_] = difference > min(_HOT * noise, _NO_COUNT)
    return hot


def _mend(image: NDArray[np.float32], bad: NDArray[np.bool_]) -> None:
    """Replace bad pixels by the median of the good ones near them, or of the whole image where none is near."""
    if not bad.any():
        return
    holes = np.where(bad, np.nan, image)
    left = np.argwhere(bad)
    for reach in (1, 2, 4):
        side = 2 * reach + 1
        windows = sliding_window_view(np.pad(holes, reach, constant_values=np.nan), (side, side))
        still = []
        for some in np.array_split(left, len(left) // _MENDED_AT_ONCE + 1):
            near = windows[some[:, 0], some[:, 1]].reshape(len(some), side * side)
            enough = np.isfinite(near).sum(1) >= 3
            y, x = some[enough].T
            image[y, x] = np.nanmedian(near[enough], axis=1)
            still.append(some[~enough])
        left = np.concatenate(still)
    if len(left):
        image[tuple(left.T)] = np.median(image[~bad])


def _light(means: NDArray[np.float64], spreads: NDArray[np.float64], usable: NDArray[np.int_]) -> NDArray[np.float64]:
    """Return how much light each view got, in units of its own: its mean, which keeps contrast comparable.

    Where means are no measure of exposure (an offset was taken off, so that they are near or below zero), the
    spread of each view is the only measure left.
    """
    if len(usable) and np.median(means[usable]) > 0.5 * np.median(spreads[usable]):
        return means
    return spreads


def _dark_views(light: NDArray[np.float64], tilts_deg: NDArray[np.float64], usable: NDArray[np.int_]) -> dict[int, str]:
    reasons: dict[int, str] = {}
    for section in usable:
        others = usable[usable != section]
        nearest = others[np.argsort(np.abs(tilts_deg[others] - tilts_deg[section]), kind="stable")[:_NEIGHBOURS]]
        expected = np.median(light[nearest]) if len(nearest) else 0.0
        if light[section] <= max(_DARK_SHARE * expected, 0.0):
            share = max(light[section] / expected, 0.0) if expected > 0 else 0.0
            reasons[int(section)] = f"dark: {share:.1%} of the signal of its neighbours in angle"
    return reasons


def standardise(images: Tensor) -> Tensor:
    """Return images (n, y, x) with mean 0 and standard deviation 1 each, outliers beyond 6 of these cut off."""
    for _ in range(2):
        mean = images.mean((1, 2), keepdim=True)
        spread = images.std((1, 2), keepdim=True)
        images = torch.clamp((images - mean) / torch.clamp(spread, min=1e-12), -6, 6)
    return images
