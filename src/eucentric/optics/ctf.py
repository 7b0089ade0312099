"""The contrast transfer function, its mean over a range of defocus, and the envelope of a spread in energy.

``CTF = sin(chi)`` with ``chi = pi lambda df k² - (pi/2) Cs lambda³ k⁴ + phase shift + asin(amplitude contrast)``:
underfocus positive, and +amplitude contrast at k = 0.
"""

import math
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from eucentric.core import Degrees, Record
from eucentric.optics.beam import REST_kV, wavelength_A

_FWHM = 2 * math.sqrt(2 * math.log(2))

Array = NDArray[np.float64]


class Lens(Record):
    """Beam and objective lens.

    `energy_spread_eV` is the full width at half maximum of beam and high tension together (Schottky gun: 0.7);
    with `cc_mm`, the chromatic aberration, it gives the envelope.
    """

    voltage_kV: Annotated[float, Field(ge=60, le=1250, allow_inf_nan=False)] = 300.0
    cs_mm: Annotated[float, Field(ge=0, le=20, allow_inf_nan=False)] = 2.7
    cc_mm: Annotated[float, Field(ge=0, le=20, allow_inf_nan=False)] = 2.7
    energy_spread_eV: Annotated[float, Field(ge=0, le=20, allow_inf_nan=False)] = 0.7
    amplitude_contrast: Annotated[float, Field(ge=0, lt=1)] = 0.1
    phase_shift_deg: Degrees = 0.0


def phase_rad(k: ArrayLike, defocus_A: ArrayLike, lens: Lens) -> Array:
    """Return chi at the frequencies `k` (1/Å) and the defocus (Å, underfocus positive), broadcast together."""
    wavelength = wavelength_A(lens.voltage_kV)
    k2 = np.square(np.asarray(k, dtype=float))
    constant = math.radians(lens.phase_shift_deg) + math.asin(lens.amplitude_contrast)
    chi: Array = (
        math.pi * wavelength * np.asarray(defocus_A, dtype=float) * k2
        - 0.5 * math.pi * lens.cs_mm * 1e7 * wavelength**3 * k2 * k2
        + constant
    )
    return chi


def ctf(k: ArrayLike, defocus_A: ArrayLike, lens: Lens) -> Array:
    """Return the contrast transfer function, without envelope."""
    transfer: Array = np.sin(phase_rad(k, defocus_A, lens))
    return transfer


def mean_ctf2(
    k: ArrayLike,
    defocus_A: ArrayLike,
    lens: Lens,
    *,
    spread_A: ArrayLike = 0.0,
    other_spread_A: ArrayLike = 0.0,
    width_per_A: float = 0.0,
) -> Array:
    """Return the mean of CTF² over a spread of defocus and over bands of frequency.

    So much of the signal's power do points at all heights and places of a tilted field have, when each is corrected
    for its own defocus.

    Parameters
    ----------
    k
        Frequency in 1/Å.
    defocus_A
        Mean defocus, underfocus positive.
    lens
        Beam and objective lens.
    spread_A
        Range over which defocus is spread evenly: exact, ``(1 - cos(2 chi) sinc(lambda k² spread)) / 2`` with
        ``sinc(x) = sin(pi x)/(pi x)``.
    other_spread_A
        A second, independent range, such as that of depth beside that over the field.
    width_per_A
        Width of the band about each frequency, over which chi is taken as a straight line.
    """
    wavelength = wavelength_A(lens.voltage_kV)
    k = np.asarray(k, dtype=float)
    blur = np.sinc(wavelength * k * k * np.asarray(spread_A, dtype=float))
    blur = blur * np.sinc(wavelength * k * k * np.asarray(other_spread_A, dtype=float))
    if width_per_A:
        slope = 2 * math.pi * wavelength * k * (np.asarray(defocus_A) - lens.cs_mm * 1e7 * (wavelength * k) ** 2)
        blur = blur * np.sinc(slope * width_per_A / math.pi)
    mean: Array = 0.5 - 0.5 * np.cos(2 * phase_rad(k, defocus_A, lens)) * blur
    return mean


def temporal_envelope(k: ArrayLike, lens: Lens) -> Array:
    """Return the amplitude that a spread in energy leaves: ``exp(-(pi lambda Delta k²)²/2)``.

    Delta = Cc (dE/E) (1 + E/mc²)/(1 + E/2mc²) is the spread of focus in Å, dE one standard deviation
    (Reimer & Kohl, Transmission Electron Microscopy, 10.1007/978-0-387-40093-8, eq. 6.39).
    """
    energy = lens.voltage_kV
    relative = lens.energy_spread_eV / _FWHM / (energy * 1e3) * (1 + energy / REST_kV) / (1 + energy / 2 / REST_kV)
    focus_spread_A = lens.cc_mm * 1e7 * relative
    k2 = np.square(np.asarray(k, dtype=float))
    envelope: Array = np.exp(-0.5 * np.square(math.pi * wavelength_A(energy) * focus_spread_A * k2))
    return envelope
