"""Multislice in a few lines: the wave goes through thin slices one after another, and is squared at the end.

Unlike the twin it scatters more than once, keeps the square of what is scattered, and gives each slice of a few Å its
own place along the beam; and its potentials are exact sums over atoms, without basis, spline or merging.
"""

import math

import numpy as np
from numpy.typing import NDArray

from eucentric.optics import Aberrations, Lens, even_phase_rad, interaction_rad_per_VA, wavelength_A
from eucentric.specimen.scattering import B_FACTOR_A2, potential_in_ice_VA3
from eucentric.twin.field import Field

Array = NDArray[np.float64]


def multislice_contrast(
    positions_A: Array,
    elements: NDArray[np.integer],
    field: Field,
    lens: Lens,
    aberrations: Aberrations,
    *,
    hand: int = 1,
    slice_A: float = 4.0,
) -> Array:
    """Give the image, less its mean of 1, of atoms (n, 3) in the image frame, on the padded field.

    The beam goes towards greater z with hand +1, where what is further along it is further under focus.
    """
    ky, kx = field.frequencies(half=False)
    k = np.hypot(ky, kx)
    band = k * 2 * field.pixel_A <= 1
    middle = [n // 2 * field.pixel_A for n in field.padded_yx]
    curves = {z: potential_in_ice_VA3(z, k) * np.exp(-B_FACTOR_A2 * k * k / 4) for z in set(elements.tolist())}
    along = hand * positions_A[:, 0]
    slices = np.floor(along / slice_A).astype(int)
    tilted = 1j * interaction_rad_per_VA(lens.voltage_kV) * np.exp(1j * math.asin(lens.amplitude_contrast))
    per_A = math.pi * wavelength_A(lens.voltage_kV) * k * k
    wave = np.ones(field.padded_yx, complex)
    for index in range(slices.min(), slices.max() + 1):
        potential = np.zeros(field.padded_yx, complex)
        for place, element in zip(positions_A[slices == index], elements[slices == index].tolist(), strict=True):
            there = ky * (place[1] + middle[0]) + kx * (place[2] + middle[1])
            potential += curves[element] * np.exp(-2j * np.pi * there)
        projected = np.fft.ifft2(potential * band).real / field.pixel_A**2
        wave = wave * np.exp(tilted * projected)
        wave = np.fft.ifft2(np.fft.fft2(wave) * np.exp(-1j * per_A * slice_A) * band)
    # It has gone one slice beyond the middle of the last.
    last_A = (slices.max() + 1.5) * slice_A
    chi = even_phase_rad(ky, kx, aberrations, lens) - math.asin(lens.amplitude_contrast) + per_A * last_A
    image = np.abs(np.fft.ifft2(np.fft.fft2(wave) * np.exp(1j * chi))) ** 2
    return np.asarray(image - 1)
