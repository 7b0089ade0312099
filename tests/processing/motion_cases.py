"""Movies whose movement is known: an image of blobs on a larger canvas, moved in Fourier space and counted."""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter

from eucentric.core import stream

Array = NDArray[np.float64]
PIXEL_A = 2.0


def blobs(size: int, seed: int = 0) -> Array:
    """Return an image (size, size) of rms 1 and mean 0 with detail at all scales above a few pixels."""
    drawn = stream(seed, "blobs").standard_normal((size, size))
    image = np.sum([gaussian_filter(drawn, width, mode="wrap") * width for width in (1.2, 3.0, 8.0)], axis=0)
    image -= image.mean()
    return np.asarray(image / image.std())


def shifted(image: Array, shift_yx_px: ArrayLike) -> Array:
    """Return an image moved by a shift, around its borders."""
    y, x = np.asarray(shift_yx_px, dtype=float)
    ky, kx = np.fft.fftfreq(image.shape[0])[:, None], np.fft.rfftfreq(image.shape[1])
    return np.fft.irfft2(np.fft.rfft2(image) * np.exp(-2j * np.pi * (ky * y + kx * x)), s=image.shape)


def movie(
    shifts_yx_A: ArrayLike, *, size: int = 192, electrons: float = 0.6, contrast: float = 0.15, seed: int = 0
) -> list[torch.Tensor]:
    """Return frames (size, size) of counts; the specimen enters and leaves the field as it moves."""
    margin = 24
    image = blobs(size + 2 * margin, seed)
    noise = stream(seed, "movie")
    frames = []
    for shift in np.asarray(shifts_yx_A, dtype=float):
        seen = shifted(image, shift / PIXEL_A)[margin:-margin, margin:-margin]
        counts = noise.poisson(electrons * np.maximum(1 + contrast * seen, 0))
        frames.append(torch.from_numpy(counts.astype(np.float32)))
    return frames


def error_A(found: ArrayLike, true: ArrayLike) -> float:
    """Return the rms over frames of the distance between two tracks of mean 0."""
    a, b = np.asarray(found, dtype=float), np.asarray(true, dtype=float)
    return float(np.sqrt(np.mean(np.sum(np.square((a - a.mean(0)) - (b - b.mean(0))), axis=1))))
