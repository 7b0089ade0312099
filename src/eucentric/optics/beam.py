"""Fast electrons: wavelength, speed, and how strongly a potential turns their phase."""

import math
from functools import cache

from scipy import constants

REST_kV = constants.m_e * constants.c**2 / constants.e / 1e3
"""Rest energy of the electron, 510.999 keV."""


@cache
def wavelength_A(voltage_kV: float) -> float:
    """Return the relativistic wavelength: 0.019687 Å at 300 kV, 0.025079 Å at 200 kV."""
    # h c / sqrt(E (E + 2 m c²))
    energy_J = voltage_kV * 1e3 * constants.e
    rest_J = constants.m_e * constants.c**2
    return 1e10 * constants.h * constants.c / math.sqrt(energy_J * (energy_J + 2 * rest_J))


@cache
def speed_ratio(voltage_kV: float) -> float:
    """Return the electrons' speed over that of light: 0.777 at 300 kV."""
    return math.sqrt(1 - (1 + voltage_kV / REST_kV) ** -2)


@cache
def interaction_rad_per_VA(voltage_kV: float) -> float:
    """Return the interaction parameter: phase in rad for each V·Å of projected potential (6.53e-4 at 300 kV).

    Kirkland, Advanced Computing in Electron Microscopy (10.1007/978-1-4419-6533-2), eq. 5.6.
    """
    # 2 pi m e lambda / h², the mass and the wavelength relativistic
    mass_kg = constants.m_e * (1 + voltage_kV / REST_kV)
    per_V_m = 2 * math.pi * mass_kg * constants.e * wavelength_A(voltage_kV) * 1e-10 / constants.h**2
    return per_V_m * 1e-10
