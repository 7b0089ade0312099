"""Images with a known CTF: weak contrast of a grain like that of ice, counted electron by electron."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.core import stream
from eucentric.optics import Aberrations, Lens, even_phase_rad, plane_frequencies

LENS = Lens(amplitude_contrast=0.07)


def grainy_image(
    size: int,
    pixel_A: float,
    defocus_u_A: float,
    defocus_v_A: float,
    azimuth_deg: float = 0.0,
    *,
    seed: int = 0,
    contrast: float = 0.1,
    counts: float = 6.75,
    phase_shift_deg: float = 0.0,
    ice_height: float = 0.0,
) -> Tensor:
    """Return an image (size, size) cut from a field twice as large, so that it is not periodic; B is 60 Å².

    `ice_height` is how many times the grain's power a sharp ring at 3.8 Å has on top of it.
    """
    draws = stream(seed, "ctf-image")
    whole = 2 * size
    k_y, k_x = plane_frequencies((whole, whole), pixel_A, half=True)
    k2 = np.square(k_y) + np.square(k_x)
    aberrations = Aberrations(
        defocus_A=(defocus_u_A + defocus_v_A) / 2,
        astigmatism_A=defocus_u_A - defocus_v_A,
        astigmatism_deg=azimuth_deg,
    )
    transfer = np.sin(even_phase_rad(k_y, k_x, aberrations, LENS.replace(phase_shift_deg=phase_shift_deg)))
    grain = np.fft.rfft2(draws.normal(size=(whole, whole))) * transfer * np.exp(-15 * k2)
    plain = np.fft.irfft2(grain, s=(whole, whole))
    ring = np.sqrt(1 + ice_height * np.exp(-0.5 * np.square((np.sqrt(k2) - 1 / 3.8) / 0.004)))
    seen: NDArray[np.float64] = np.fft.irfft2(grain * ring, s=(whole, whole)) * contrast / plain.std()
    counted = draws.poisson(counts * np.maximum(1 - seen[:size, :size], 0.0))
    return torch.from_numpy(counted.astype(np.float32))
