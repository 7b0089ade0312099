"""Filter recorded images across the tilt axis, whichever way it lies in them, and make them ready to resample."""

import math
from collections.abc import Sequence

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from torch import Tensor

from eucentric.core.jit import compiled, parallel_range
from eucentric.core.threads import workers
from eucentric.processing.operators.resampler import spline_gain

Floats = NDArray[np.float32]

HIGHEST = math.sqrt(0.5)  # cycles per pixel: the corner of an image's transform, where tables of gain end


def filter_across(
    image: Tensor,  # (y, x) float32
    gain: Tensor,  # (m,) float32
    across_yx: tuple[float, float],
    *,
    reach_px: int,
    margin_px: int = 0,
    move_yx_px: tuple[float, float] | None = None,
) -> Tensor:
    """Filter an image along one direction and return it on a wider field, as spline coefficients.

    Parameters
    ----------
    image
        The image (y, x), of mean zero.
    gain
        What to multiply its transform by: m values at evenly spaced frequencies along the direction, from 0 to
        `HIGHEST` cycles per pixel, with linear interpolation.
    across_yx
        The direction, a unit vector: across the tilt axis.
    reach_px
        How far the filter reaches; the field is made so much wider, or what leaves it would come in at the far side.
    margin_px
        Beyond its border an image goes on as its mirror image, faded to zero over so many pixels.
    move_yx_px
        If given, return pixels, not coefficients, of the image moved by so much.

    Returns
    -------
    Tensor
        (y', x'), float32, with the same centre ``shape // 2``.
    """
    rows, columns = image.shape
    size = tuple(
        next_fast_len(n + 2 * margin_px + math.ceil(reach_px * abs(along)), real=True)
        for n, along in zip(image.shape, across_yx, strict=True)
    )
    wide = torch.zeros(size, dtype=torch.float32, device=image.device)
    top, left = size[0] // 2 - rows // 2 - margin_px, size[1] // 2 - columns // 2 - margin_px
    wide[top : top + rows + 2 * margin_px, left : left + columns + 2 * margin_px] = _faded(image, margin_px)
    gains, phases = [], []
    for axis, n in enumerate(size):
        frequency = torch.fft.fftfreq(n) if axis == 0 else torch.fft.rfftfreq(n)
        gains.append(torch.ones_like(frequency) if move_yx_px else spline_gain(frequency))
        phases.append(frequency * (move_yx_px[axis] if move_yx_px else 0.0))
    along = [torch.fft.fftfreq(size[0]) * across_yx[0], torch.fft.rfftfreq(size[1]) * across_yx[1]]
    factors = [g * torch.exp(-2j * torch.pi * p) for g, p in zip(gains, phases, strict=True)]
    if _on_cpu(image):
        threads = workers(2 * wide.numel())
        spectrum = scipy.fft.rfft2(wide.numpy(), workers=threads, overwrite_x=True)
        _multiply(spectrum, gain.numpy(), *(a.numpy() for a in along), *(f.numpy() for f in factors))
        return torch.from_numpy(scipy.fft.irfft2(spectrum, s=size, workers=threads, overwrite_x=True))
    return _filtered(wide, gain, along, factors)


def filter_rows(
    image: Tensor,  # (y, x) float32
    gain: Tensor,  # (m,) float32
    *,
    reach_px: int,
    margin_px: int,
    move_px: float,
) -> Tensor:
    """Filter an image along its rows and move it along them, as `filter_across` does: (y, x'), as wide as need be."""
    rows, columns = image.shape
    length = next_fast_len(columns + 2 * margin_px + reach_px, real=True)
    wide = torch.zeros((rows, length), dtype=torch.float32, device=image.device)
    left = length // 2 - columns // 2 - margin_px
    wide[:, left : left + columns + 2 * margin_px] = _faded(image, margin_px, sides=1)
    frequency = torch.fft.rfftfreq(length)
    factor = _at(gain, frequency) * torch.exp(-2j * torch.pi * frequency * move_px)
    spectrum = torch.fft.rfft(wide)  # torch's transforms of rows are twice as fast as scipy's, those of planes are not
    result: Tensor = torch.fft.irfft(spectrum.mul_(factor.to(image.device)), n=length)
    return result


def _on_cpu(image: Tensor) -> bool:
    return image.device.type == "cpu"


def _filtered(wide: Tensor, gain: Tensor, along: Sequence[Tensor], factors: Sequence[Tensor]) -> Tensor:
    """Filter on any device."""
    device = wide.device
    spectrum = torch.fft.rfft2(wide)
    spectrum *= _at(gain.to(device), (along[0].to(device)[:, None] + along[1].to(device)[None, :]).abs_())
    spectrum *= factors[0].to(device)[:, None] * factors[1].to(device)[None, :]
    size = (int(wide.shape[0]), int(wide.shape[1]))
    result: Tensor = torch.fft.irfft2(spectrum, s=size)
    return result


def _at(gain: Tensor, frequency: Tensor) -> Tensor:
    """Look frequencies up in a table of gain."""
    place = frequency * ((len(gain) - 1) / HIGHEST)
    below = torch.clamp(place.long(), max=len(gain) - 2)
    return torch.lerp(gain[below], gain[below + 1], place - below)


def _faded(image: Tensor, margin: int, *, sides: int = 2) -> Tensor:
    """Return the image with its faded mirror image on all sides, or (`sides` 1) to the left and right alone."""
    if margin == 0:
        return image
    mirrored = torch.nn.functional.pad(image[None, None], (margin, margin, *[(sides - 1) * margin] * 2), mode="reflect")
    wide = mirrored[0, 0]
    fade = 0.5 + 0.5 * torch.cos(torch.pi * (torch.arange(margin, device=image.device) + 0.5) / margin)
    for axis in range(2 - sides, 2):
        shape = (-1, 1) if axis == 0 else (1, -1)
        wide.narrow(axis, 0, margin).mul_(fade.flip(0).reshape(shape))
        wide.narrow(axis, wide.shape[axis] - margin, margin).mul_(fade.reshape(shape))
    return wide


@compiled(parallel=True)
def _multiply(
    spectrum: NDArray[np.complex64],
    gain: Floats,
    fy: Floats,
    fx: Floats,
    by_row: NDArray[np.complex64],
    by_column: NDArray[np.complex64],
) -> None:
    """Multiply a transform by the gain at each frequency along the direction, and by its row's and column's factor."""
    scale = np.float32((len(gain) - 1) / HIGHEST)
    last = np.float32(len(gain) - 2)
    for row in parallel_range(spectrum.shape[0]):
        for column in range(spectrum.shape[1]):
            place = np.abs(fy[row] + fx[column]) * scale
            below = np.int32(min(place, last))
            value = gain[below] + (place - np.float32(below)) * (gain[below + 1] - gain[below])
            spectrum[row, column] *= by_row[row] * by_column[column] * value
