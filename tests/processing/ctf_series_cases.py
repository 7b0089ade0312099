"""Tilts with Thon rings whose truth is known: white noise seen through the CTF of each place's own height."""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from eucentric.optics import Lens, wavelength_A

Array = NDArray[np.float64]

AXIS_DEG = 84.3
LENS = Lens()


def chi(shape: tuple[int, int], pixel_A: float, defocus_A: float, astigmatism_A: float, azimuth_deg: float) -> Array:
    """Return the phase of the CTF on a half transform."""
    y, x = np.fft.fftfreq(shape[0], pixel_A)[:, None], np.fft.rfftfreq(shape[1], pixel_A)[None]
    k2, angle = x**2 + y**2, np.arctan2(y, x)
    wavelength = wavelength_A(LENS.voltage_kV)
    local = defocus_A + astigmatism_A / 2 * np.cos(2 * (angle - math.radians(azimuth_deg)))
    spherical = 0.5 * math.pi * LENS.cs_mm * 1e7 * wavelength**3 * k2**2
    return np.asarray(math.pi * wavelength * local * k2 - spherical + math.asin(LENS.amplitude_contrast))


def tilted_image(
    size: int,
    pixel_A: float,
    tilt_deg: float,
    defocus_A: float,
    *,
    hand: int = 1,
    axis_deg: float = AXIS_DEG,
    astigmatism_A: float = 0.0,
    azimuth_deg: float = 0.0,
    signal: float = 1.0,
    thickness_A: float = 0.0,
    phase_deg: float = 0.0,
    seed: int = 0,
) -> torch.Tensor:
    """Return a tilted plane or slab, (size, size) float32: a white specimen of power `signal`² in noise of power 1."""
    rng = np.random.default_rng(seed)
    shape = (size, size)
    at = (np.arange(size) - size // 2) * pixel_A
    axis, slope = math.radians(axis_deg), -math.tan(math.radians(tilt_deg))
    z = slope * (at[:, None] * math.sin(axis) + at[None] * math.cos(axis))
    sheets = 1 if not thickness_A else 10
    path = thickness_A / math.cos(math.radians(tilt_deg))
    depths = (np.arange(sheets) + 0.5) / sheets * path - path / 2
    steps = max(2, math.ceil(float(np.ptp(z)) / 150.0) + 1) if tilt_deg else 1
    ladder = np.linspace(z.min(), z.max(), steps) if steps > 1 else np.zeros(1)
    phase = chi(shape, pixel_A, defocus_A, astigmatism_A, azimuth_deg) + math.radians(phase_deg)
    per_A = chi(shape, pixel_A, 1.0, 0.0, 0.0) - chi(shape, pixel_A, 0.0, 0.0, 0.0)
    spectra = [np.fft.rfft2(rng.normal(0, signal / math.sqrt(sheets), shape)) for _ in depths]
    image = np.zeros(shape)
    for height in ladder:
        weight = np.clip(1 - np.abs(z - height) / (ladder[1] - ladder[0]), 0, 1) if steps > 1 else 1.0
        seen = sum(
            spectrum * np.sin(phase + per_A * hand * (height + depth))
            for spectrum, depth in zip(spectra, depths, strict=True)
        )
        image += weight * np.fft.irfft2(seen, s=shape)
    return torch.from_numpy((image + rng.normal(0, 1, shape) + 30.0).astype(np.float32))
