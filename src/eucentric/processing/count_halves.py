"""Halves of the counts of one image, where nothing else is left: for stacks whose frames are lost.

Electrons arrive independently of each other, so an image of many can be split afterwards as if one half of them had
come first. With noise w of its own drawn as strong as that of the image y, in every place, the noise of y + w and of
y - w does not go together: its covariance is var(y) - var(w) = 0, and for noise as nearly Gaussian as that of sums
over many pixels, that is independence. Their mean is y itself, and each has the noise of half the exposure. The
principle is data thinning (Neufeld et al., JMLR 25, 2024), used to train on single images as Recorrupted-to-
Recorrupted (Pang et al., CVPR 2021).

How strong the noise is, is measured: beyond half a cycle per pixel, in the corners of the transform, next to nothing
of a specimen is left, and what is there is noise. Its variance is taken to follow the local mean on a straight line,
as that of counts does, and to be the same at all frequencies; within the corners that is checked. Where a specimen
reaches into them, or a counting camera has less noise at low frequencies since it misses coincident electrons, the
noise is told too strong: halves then agree less than they might. Where the noise is stronger at low frequencies, they
share some.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from eucentric.core import SILENT, InputError, Reporter, stream

_CORNERS = (0.5, 0.8)  # cycles per pixel
_INNER, _OUTER = (0.5, 0.57), (0.61, 0.8)  # parts of the corners that white noise fills alike
_EVEN_POWER = (0.85, 1.25)  # outer by inner: 1 to 1.16 of views as recorded, .2 to .75 of shifted or turned ones
_EDGE = 0.01  # of bands, soft, lest what is told of one place be of all places along its row
_LARGEST_PX = 1024  # side of the middle of a view that is looked at for that
_BLOCK_PX = 16  # side of the blocks of which noise and level are told
_BLOCKS_OF_PART, _MOST_PARTS = 12, 10  # by level
_FAR_FROM_MEAN = (0.25, 4.0)  # times the view's own, that the straight line is believed


def splitting_noise(images: Tensor, *, seed: int = 0, reporter: Reporter = SILENT) -> Tensor:
    """Draw what splits images into halves of their counts: the images with it added, and with it subtracted.

    Parameters
    ----------
    images
        (n, y, x) as recorded, times and plus anything constant in a view, but not resampled, filtered or weighted;
        views that are constant are taken as absent, and have no noise.
    seed
        Of what is drawn.
    reporter
        Where progress goes.

    Returns
    -------
    Tensor
        (n, y, x) float32 on the CPU, in the units of the images.

    Raises
    ------
    InputError
        If the noise is not as strong at all frequencies, so that what is drawn would not match it.
    """
    noise = torch.zeros(images.shape, dtype=torch.float32)
    there = [section for section, image in enumerate(images) if float(image.std()) > 0]
    if there:
        _refuse_coloured(float(np.median([_evenness(_without_mean(images[section])) for section in there])))
    for section in reporter.each(there, "Splitting counts"):
        image = _without_mean(images[section])
        drawn = stream(seed, "halves of counts", section).standard_normal(tuple(image.shape), dtype=np.float32)
        noise[section] = _noise_variance(image).sqrt() * torch.from_numpy(drawn)
    return noise


def _without_mean(image: Tensor) -> Tensor:
    image = image.to("cpu", torch.float32)
    return image - image.mean()


def _noise_variance(image: Tensor) -> Tensor:
    """Return the variance of the noise of an image of mean zero in each pixel, on a straight line over the level."""
    (corners,) = _power_of_blocks(image, _CORNERS)
    level = _blocks(image)
    slope, at_zero = _line(level.flatten().numpy(), corners.flatten().numpy())
    smooth = functional.interpolate(level[None, None], tuple(image.shape), mode="bilinear", align_corners=False)[0, 0]
    low, high = (float(corners.median()) * times for times in _FAR_FROM_MEAN)
    return (slope * smooth + at_zero).clamp(low, high)


def _evenness(image: Tensor) -> float:
    """Return how much power noise has in the outer part of the corners over that in the inner one, in the middle."""
    y, x = (slice(max(0, n - _LARGEST_PX) // 2, (n + _LARGEST_PX) // 2) for n in image.shape)
    inner, outer = _power_of_blocks(image[y, x], _INNER, _OUTER)
    return float((outer / inner.clamp(min=1e-30)).median())


def _power_of_blocks(image: Tensor, *bands: tuple[float, float]) -> Iterator[Tensor]:
    """Give, for each band, the variance of white noise that has the power which blocks of an image have in it.

    The median of such is that of the noise, though beads with sharp edges lie in some blocks: a chi-square's with as
    many degrees of freedom, by the formula of Wilson and Hilferty.
    """
    spectrum = torch.fft.rfft2(image)
    k = torch.hypot(torch.fft.fftfreq(image.shape[0])[:, None], torch.fft.rfftfreq(image.shape[1])[None])
    for low, high in bands:
        band = torch.sigmoid((k - low) / _EDGE) * torch.sigmoid((high - k) / _EDGE)
        share, square = (2 * float((band**power).sum()) / image.numel() for power in (2, 4))
        power = _blocks(torch.fft.irfft2(spectrum * band, s=image.shape).square()) / share
        yield power / (1 - 2 / (9 * _BLOCK_PX**2 * share**2 / square)) ** 3


def _blocks(image: Tensor) -> Tensor:
    """Return the means of square blocks; what is left over at the far edges is not in them."""
    return functional.avg_pool2d(image[None, None], min(_BLOCK_PX, *image.shape))[0, 0]


def _line(level: NDArray[np.float32], power: NDArray[np.float32]) -> tuple[float, float]:
    """Return slope and height of the straight line through the medians of parts of blocks, from dark to bright."""
    parts = np.array_split(np.argsort(level), np.clip(len(level) // _BLOCKS_OF_PART, 1, _MOST_PARTS))
    at, of = ([float(np.median(values[part])) for part in parts] for values in (level, power))
    if len(parts) == 1 or np.ptp(at) == 0:
        return 0.0, float(np.mean(of))
    slope, at_zero = np.polyfit(at, of, 1)
    return float(slope), float(at_zero)


def _refuse_coloured(evenness: float) -> None:
    low, high = _EVEN_POWER
    if not low <= evenness <= high:
        raise InputError(
            f"The noise of its views has {evenness:.2f} times the power at the finest detail as at coarser: they were "
            "resampled, filtered or sharpened, or their pixels are too coarse to show noise alone, and their counts "
            "cannot be split into halves.",
            "Give the stack as it was recorded, before any alignment, or use halves of tilts.",
        )
