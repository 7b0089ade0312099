"""The lens in two dimensions: the phase that each direction of the scattered wave gets, and what incoherence leaves.

Frequencies are those of an image in the image frame (x along columns, y along rows and upward). Phases have the sign of
`optics.ctf`: ``exp(+i chi)`` with underfocus positive.
"""

import math
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from eucentric.core import Angstrom, Degrees, Record
from eucentric.optics.beam import wavelength_A
from eucentric.optics.ctf import Lens, phase_rad, temporal_envelope

Array = NDArray[np.float64]


class Aberrations(Record):
    """What the lens does in one exposure, beside what it always does (`Lens`).

    Attributes
    ----------
    defocus_A
        Mean of the two principal values, at the height z = 0 of the image frame; underfocus positive.
    astigmatism_A
        Difference of the two.
    astigmatism_deg
        Direction of the larger one, from the image's x axis towards y.
    beam_tilt_yx_mrad
        Tilt of the beam against the coma-free axis: axial coma.
    illumination_mrad
        Half-angle of the illumination, one standard deviation: spatial incoherence.
    """

    defocus_A: Angstrom
    astigmatism_A: Annotated[Angstrom, Field(ge=0)] = 0.0
    astigmatism_deg: Degrees = 0.0
    beam_tilt_yx_mrad: tuple[float, float] = (0.0, 0.0)
    illumination_mrad: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


def plane_frequencies(shape_yx: tuple[int, int], pixel_A: float, *, half: bool = False) -> tuple[Array, Array]:
    """Return ky (rows, 1) and kx (1, columns) in 1/Å of an image's transform, or of the half that a real one needs."""
    rows, columns = shape_yx
    along_x = np.fft.rfftfreq(columns, pixel_A) if half else np.fft.fftfreq(columns, pixel_A)
    return np.array(np.fft.fftfreq(rows, pixel_A)[:, None], float), np.array(along_x[None], float)


def even_phase_rad(ky: ArrayLike, kx: ArrayLike, aberrations: Aberrations, lens: Lens) -> Array:
    """Return chi of defocus, astigmatism, Cs, phase shift and amplitude contrast: the same for k and -k."""
    ky, kx = np.asarray(ky, dtype=float), np.asarray(kx, dtype=float)
    k = np.hypot(ky, kx)
    defocus_A: ArrayLike = aberrations.defocus_A
    if aberrations.astigmatism_A:
        turned = np.arctan2(ky, kx) - math.radians(aberrations.astigmatism_deg)
        defocus_A = aberrations.defocus_A + 0.5 * aberrations.astigmatism_A * np.cos(2 * turned)
    return phase_rad(k, defocus_A, lens)


def coma_phase_rad(ky: ArrayLike, kx: ArrayLike, aberrations: Aberrations, lens: Lens) -> Array:
    """Return the phase of axial coma, odd in k: ``2 pi Cs lambda² k² (k . beam tilt)``."""
    ky, kx = np.asarray(ky, dtype=float), np.asarray(kx, dtype=float)
    tilt_y, tilt_x = (1e-3 * tilt for tilt in aberrations.beam_tilt_yx_mrad)
    scale = 2 * math.pi * lens.cs_mm * 1e7 * wavelength_A(lens.voltage_kV) ** 2
    phase: Array = scale * (ky * ky + kx * kx) * (ky * tilt_y + kx * tilt_x)
    return phase


def envelope(k: ArrayLike, aberrations: Aberrations, lens: Lens) -> Array:
    """Return the amplitude that spreads in energy and in direction leave at `k` (1/Å).

    Of directions: ``exp(-2 pi² alpha² (df k - Cs lambda² k³)²)``, alpha one standard deviation (Frank 1973).
    """
    k = np.asarray(k, dtype=float)
    left = temporal_envelope(k, lens)
    if aberrations.illumination_mrad:
        slope_A = aberrations.defocus_A * k - lens.cs_mm * 1e7 * wavelength_A(lens.voltage_kV) ** 2 * k**3
        left = left * np.exp(-2 * np.square(math.pi * aberrations.illumination_mrad * 1e-3 * slope_A))
    return left
