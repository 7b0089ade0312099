"""How strong the signal of a protein particle is, over the shot noise of one electron for each Å²."""

import math

import numpy as np
from numpy.typing import NDArray

from eucentric.design.instrument import PROTEIN_DENSITY_Da_PER_A3, Specimen
from eucentric.optics import interaction_rad_per_VA

# Carbon stands for the mean atom of protein: Peng et al. 1996, 10.1107/S0108767395014371, sums of Gaussians in k²/4.
_CARBON_A = np.array([0.0893, 0.2563, 0.7570, 1.0487, 0.3575])
_CARBON_A2 = np.array([0.2465, 1.7100, 6.4094, 18.6113, 50.2523])
_POTENTIAL_V_A2 = 47.878  # h²/(2 pi m e): from a scattering factor in Å to a potential
_Da_PER_ATOM = 14.0  # protein's mass for each atom that is not hydrogen
_ICE_V = 4.53  # mean inner potential of vitreous ice: Vulović et al. 2013, 10.1016/j.jsb.2013.05.008

Array = NDArray[np.float64]


def signal_A2(k: Array, specimen: Specimen, voltage_kV: float) -> Array:
    """Return S(k), so that an image of exposure e has a spectral signal-to-noise ratio ``S CTF² DQE e`` (Å²).

    It is the power of the particle's phase contrast over its own area: independent atoms (Wilson), which rule beyond
    some 30 Å, and its outline against the ice, a ball whose spectrum has been smoothed to Porod's law.

    Parameters
    ----------
    k
        Frequency in 1/Å, (m,).
    specimen
        The mass of the particle counts here, and nothing else.
    voltage_kV
        Of the beam.
    """
    factor_A = (_CARBON_A * np.exp(-_CARBON_A2 * (np.asarray(k)[:, None] / 2) ** 2)).sum(axis=1)
    atoms = specimen.particle_kDa * 1e3 / _Da_PER_ATOM
    wilson = atoms * (_POTENTIAL_V_A2 * factor_A) ** 2
    protein_V = _POTENTIAL_V_A2 * _CARBON_A.sum() * PROTEIN_DENSITY_Da_PER_A3 / _Da_PER_ATOM
    radius_A = specimen.particle_diameter_A / 2
    # Of a ball: 9 (sin x - x cos x)²/x⁶, whose mean over many sizes is 1 at the start and 4.5/x⁴ beyond.
    ball = 1 / (1 + (2 * np.pi * k * radius_A) ** 4 / 4.5)
    outline = ((protein_V - _ICE_V) * specimen.particle_volume_A3) ** 2 * ball
    area_A2 = math.pi * radius_A**2
    power: Array = (2 * interaction_rad_per_VA(voltage_kV)) ** 2 * (wilson + outline) / area_A2
    return power
