"""Fourier transforms of real images: on the CPU by the faster library, on a GPU by torch; one convention for all."""

import scipy.fft
import torch
from torch import Tensor

from eucentric.core.threads import workers

_SMALL = 1 << 20  # pixels of an image, up to which torch's transform is the faster by a quarter


def transform(images: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """Return the transforms of real images (..., y, x), (..., y, x // 2 + 1) complex, not scaled.

    Parameters
    ----------
    images
        float32 gives complex64.
    size
        Rows and columns to fill up to with zeros, at their ends; those of the images if absent.
    """
    n_y, n_x = size or images.shape[-2:]
    if images.device.type == "cpu" and n_y * n_x > _SMALL:
        return torch.from_numpy(scipy.fft.rfft2(images.numpy(), s=size, workers=workers(images.numel())))
    on_device: Tensor = torch.fft.rfft2(images, s=size)
    return on_device


def inverse_transform(spectra: Tensor, shape_yx: tuple[int, int]) -> Tensor:
    """Return the real images (..., y, x) of transforms, which on the CPU may be overwritten."""
    if spectra.device.type == "cpu":
        n = workers(2 * spectra.numel())
        return torch.from_numpy(scipy.fft.irfft2(spectra.numpy(), s=shape_yx, workers=n, overwrite_x=True))
    on_device: Tensor = torch.fft.irfft2(spectra, s=shape_yx)
    return on_device
