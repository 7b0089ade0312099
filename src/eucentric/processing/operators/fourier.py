"""Fourier filters: ramp and binning. Frequencies are in cycles per pixel, 0 to 0.5 at Nyquist."""

from functools import lru_cache
from typing import Literal

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from eucentric.core.threads import in_threads

FilterName = Literal["ramp", "shepp-logan", "cosine", "hamming", "hann"]

_AT_ONCE = 1 << 17  # pixels filtered at a time: as many as stay in the cache


def ramp_filter(
    projections: Tensor,  # (n, y, u) float32
    *,
    window: FilterName = "ramp",
    cutoff: float = 0.5,
    falloff: float = 0.0,
    flat_above: Tensor | None = None,
) -> Tensor:
    """Weight the projections across the tilt axis for back-projection.

    Parameters
    ----------
    projections
        Projections (n, y, u).
    window
        What multiplies the ramp, with its end at `cutoff`: ``ramp`` nothing, ``shepp-logan`` a sinc,
        ``cosine``, ``hamming`` and ``hann`` as named.
    cutoff, falloff
        Cycles per pixel: above the cut-off a Gaussian of this standard deviation takes over.
    flat_above
        (n,) frequency of each projection beyond which the ramp stays flat, because there the slabs that a
        specimen of finite thickness turns its central sections into no longer overlap (the exact filter of
        Harauz & van Heel 1986, in its usual linear form). None keeps the ramp to the end.

    Returns
    -------
    Tensor
        Filtered projections. The scale is such that ``backproject`` of all of them, times the increment in
        radians, gives the density when the projections are sums over voxels.
    """
    width = projections.shape[-1]
    length = next_fast_len(2 * width, real=True)
    frequency = torch.arange(length // 2 + 1, device=projections.device, dtype=torch.float32) / length
    gain = _sampled_ramp(length, projections.device) * window_gain(frequency, window, cutoff, falloff)
    if flat_above is not None:
        # Dividing by the number of overlapping slabs, at least one, is a ramp up to there and flat beyond.
        gain = gain[None] * torch.clamp(flat_above.float()[:, None] / torch.clamp(frequency, min=1e-6)[None], max=1)
    else:
        gain = gain[None]
    filtered = torch.empty_like(projections)
    gains = gain.expand(len(projections), -1)[:, None, :]

    def filter_some(some: slice) -> None:
        spectrum = torch.fft.rfft(projections[some], n=length, dim=-1)
        spectrum *= gains[some]
        filtered[some] = torch.fft.irfft(spectrum, n=length, dim=-1)[..., :width]

    # A few at a time: the padded transform of a whole stack would triple its memory.
    at_once = max(1, _AT_ONCE // max(1, projections[:1].numel()))
    in_threads(filter_some, [slice(begin, begin + at_once) for begin in range(0, len(projections), at_once)])
    return filtered


@lru_cache(maxsize=16)
def _sampled_ramp(length: int, device: torch.device) -> Tensor:
    """Return |k| as the transform of its band-limited kernel (Kak & Slaney 1988, eq. 3.61).

    Sampling |k| itself would make the mean of a padded projection zero, and with it lose the slow variation
    of density over the specimen.
    """
    n = torch.arange(length, device=device)
    n = torch.minimum(n, length - n).double()
    kernel = torch.where(n % 2 == 1, -1 / (torch.pi * torch.clamp(n, min=1)) ** 2, torch.zeros_like(n))
    kernel[0] = 0.25
    response: Tensor = torch.fft.rfft(kernel).real.float()
    return response


def ramp_gain(frequency: Tensor, reach_px: int) -> Tensor:
    """Return the ramp at frequencies (cycles per pixel) of at most 0.5, of the kernel cut off at `reach_px` pixels."""
    length = next_fast_len(max(8 * reach_px, 4096), real=True)
    n = torch.arange(length)
    n = torch.minimum(n, length - n)
    kernel = torch.where((n % 2 == 1) & (n <= reach_px), -1 / (torch.pi * torch.clamp(n, min=1).double()) ** 2, 0.0)
    kernel[0] = 0.25
    response = torch.fft.rfft(kernel).real
    place = frequency.double() * length
    below = torch.clamp(place.long(), max=len(response) - 2)
    gain: Tensor = torch.lerp(response[below], response[below + 1], place - below).float()
    return gain


def window_gain(frequency: Tensor, window: FilterName, cutoff: float, falloff: float) -> Tensor:
    """Return what `ramp_filter` multiplies its ramp by, at frequencies in cycles per pixel."""
    gain = _window(frequency, window, cutoff)
    if cutoff < 0.5 or falloff > 0:
        beyond = torch.clamp(frequency - cutoff, min=0)
        gain = gain * torch.exp(-0.5 * (beyond / max(falloff, 1e-6)) ** 2)
    return gain


def _window(frequency: Tensor, window: FilterName, cutoff: float) -> Tensor:
    x = torch.clamp(frequency / cutoff, max=1)
    if window == "ramp":
        return torch.ones_like(x)
    if window == "shepp-logan":
        return torch.sinc(x / 2)
    if window == "cosine":
        return torch.cos(torch.pi * x / 2)
    base = {"hamming": 0.54, "hann": 0.5}[window]
    window_gain: Tensor = base + (1 - base) * torch.cos(torch.pi * x)
    return window_gain


def bin_images(images: Tensor, factor: int) -> Tensor:
    """Resample images to pixels `factor` times as large, by cropping their transforms.

    Parameters
    ----------
    images
        (..., y, x), real.
    factor
        Whole number of old pixels to a new one along each side.

    Returns
    -------
    Tensor
        (..., y', x') with ``y' = y // factor``, the same mean. What was at pixel ``n // 2`` is at pixel
        ``n' // 2``: the centre stays the centre, whatever is odd or even; a remainder is cut off at the border.
    """
    if factor == 1:
        return images
    rows, columns = images.shape[-2:]
    new_rows, new_columns = rows // factor, columns // factor
    top, left = rows // 2 - new_rows * factor // 2, columns // 2 - new_columns * factor // 2
    cut = images[..., top : top + new_rows * factor, left : left + new_columns * factor]
    spectrum = torch.fft.rfft2(cut)
    ky = torch.fft.fftfreq(new_rows, 1 / new_rows, device=images.device)
    kx = torch.arange(new_columns // 2 + 1, device=images.device)
    cropped = spectrum[..., ky.long() % (new_rows * factor), :][..., : len(kx)]
    # An odd number of new pixels has its centre half a pixel off that of the cut, in units of the cut field.
    offset_y = (rows // 2 - top) / (new_rows * factor) - (new_rows // 2) / new_rows
    offset_x = (columns // 2 - left) / (new_columns * factor) - (new_columns // 2) / new_columns
    cropped = cropped * torch.exp(2j * torch.pi * (ky[:, None] * offset_y + kx[None, :] * offset_x))
    if new_rows % 2 == 0:
        cropped[..., new_rows // 2, :] = 0  # the lone Nyquist line has no partner to stay real with
    if new_columns % 2 == 0:
        cropped[..., new_columns // 2] = 0
    result: Tensor = torch.fft.irfft2(cropped, s=(new_rows, new_columns)) / factor**2
    return result
