"""Resample images under affine maps with cubic B-splines."""

import torch
from torch import Tensor

from eucentric.processing.operators import _resampler_numba, _resampler_torch


def spline_coefficients(images: Tensor, *, to_be_turned: bool = False) -> Tensor:
    """Return the cubic B-spline coefficients of images (..., y, x), so that the spline passes through the pixels.

    The recursion of Unser (1999, 10.1109/79.799930) is done as a division in Fourier space, which runs anywhere;
    its periodic border is felt only by the outermost few pixels (the pole is -0.268).

    With `to_be_turned`, the corners of the transform beyond half a cycle per pixel are left out: on pixels that are
    turned they would come out as other, lower frequencies.
    """
    rows, columns = images.shape[-2:]
    ky = torch.fft.fftfreq(rows, device=images.device, dtype=torch.float32)[:, None]
    kx = torch.fft.rfftfreq(columns, device=images.device, dtype=torch.float32)[None, :]
    gain = spline_gain(ky) * spline_gain(kx)
    if to_be_turned:
        gain = gain * (ky.square() + kx.square() < 0.25)
    result: Tensor = torch.fft.irfft2(torch.fft.rfft2(images) * gain, s=(rows, columns))
    return result


def spline_gain(frequency: Tensor) -> Tensor:
    """Return what turns pixels into coefficients at a frequency along one axis, in cycles a pixel."""
    return 3 / (2 + torch.cos(2 * torch.pi * frequency))


def resample(
    coefficients: Tensor,  # (n, y, x) float32
    maps: Tensor,  # (n, 2, 3) float64
    shape_yx: tuple[int, int],
    *,
    margin_px: float = 0.0,
) -> Tensor:
    """Evaluate the splines of n images on new grids.

    Parameters
    ----------
    coefficients
        From `spline_coefficients`, (n, y, x), float32.
    maps
        (n, 2, 3): the position (y, x) in image i, in pixels about its centre ``shape // 2``, of the new position
        (y, x) about the new centre is ``maps[i, :, :2] @ (y, x) + maps[i, :, 2]``.
    shape_yx
        Rows and columns of the new images.
    margin_px
        Beyond its border an image goes on as its mirror image, faded to zero over this many pixels.

    Returns
    -------
    Tensor
        (n, y', x'), float32.
    """
    out = torch.empty((len(coefficients), *shape_yx), dtype=torch.float32, device=coefficients.device)
    affine = maps.detach().to("cpu", torch.float64).numpy()
    if coefficients.device.type == "cpu":
        _resampler_numba.resample(coefficients.contiguous().numpy(), affine, float(margin_px), out.numpy())
    else:
        _resampler_torch.resample(coefficients, affine, float(margin_px), out)
    return out
