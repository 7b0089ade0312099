"""The grain of ice and carbon: how strong it is at each frequency, and noise to make it from.

A layer of n molecules for each Å³ and thickness t projects to noise of the power ``n t S(k) |F(k)|²``, F being the
potential of one molecule and S the structure factor: how far neighbours keep each other at a distance.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eucentric.core.counter import random_bits, row_key
from eucentric.core.jit import compiled, parallel_range
from eucentric.specimen.scattering import ICE_MOLECULES_PER_A3, POTENTIAL_V_A2, scattering_factor_A

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

CARBON_ATOMS_PER_A3 = 0.10
"""Atoms in evaporated carbon of 2.0 g/cm³."""

CARBON_V = 9.1
"""Mean inner potential of evaporated carbon (Harscher & Lichte: 9.1 ± 0.5 V)."""

GOLD_V = 27.0
"""Mean inner potential of gold, from its free atoms' sum of 30 V less the bonding; measured values are 21 to 30 V."""

ICE_MOTION_A2_PER_E_A2 = 1.1
"""Mean square displacement of a water molecule in the beam, in Å² for each e/Å² (McMullan et al. 2015,
arXiv:1504.00947, at 300 kV)."""


def ice_structure_factor(k: ArrayLike) -> Array:
    """Return S(k) of low-density amorphous ice: 0.06 at the origin, a peak of 2 at 1/3.7 Å, 1 beyond.

    A smooth curve, drawn after what X-rays and neutrons show of its oxygens: the peak is where electrons see it too
    (McMullan et al. 2015, arXiv:1504.00947), its height and the plateau are rounded, later peaks are left out.
    """
    k = np.asarray(k, dtype=float)
    rise = 1 / (1 + np.exp(-(k - 0.235) / 0.018))
    factor: Array = 0.06 + 0.8 * k**2 * (1 - rise) + 0.94 * rise + 1.05 * np.exp(-0.5 * ((k - 0.271) / 0.022) ** 2)
    return factor


def carbon_structure_factor(k: ArrayLike) -> Array:
    """Return S(k) of evaporated carbon: 0.2 at low frequencies, 1 from 1/2 Å on (chosen to its diffuse rings)."""
    k = np.asarray(k, dtype=float)
    factor: Array = 0.2 + 0.8 / (1 + np.exp(-(k - 0.42) / 0.04))
    return factor


def ice_amplitude(k: ArrayLike) -> Array:
    """Return the root of the power of one Å of ice, in V·Å² for each root of Å; shape of `k` (1/Å)."""
    water = scattering_factor_A(8, k) + 2 * scattering_factor_A(1, k)
    amplitude: Array = POTENTIAL_V_A2 * water * np.sqrt(ICE_MOLECULES_PER_A3 * ice_structure_factor(k))
    return amplitude


def carbon_amplitude(k: ArrayLike) -> Array:
    """Return the same for carbon."""
    power = CARBON_ATOMS_PER_A3 * carbon_structure_factor(k)
    amplitude: Array = POTENTIAL_V_A2 * scattering_factor_A(6, k) * np.sqrt(power)
    return amplitude


def ice_memory(k: ArrayLike, exposure_e_A2: float) -> Array:
    """Return how much of the ice's pattern at `k` is left after an exposure has moved its molecules, as amplitude."""
    k2 = np.square(np.asarray(k, dtype=float))
    # exp(-2 pi² k² u²) with u² the movement along k: a third of that in space.
    memory: Array = np.exp(-2 * np.pi**2 * k2 * ICE_MOTION_A2_PER_E_A2 * exposure_e_A2 / 3)
    return memory


@compiled(parallel=True)
def draw_layer(key: np.uint64, path_A: Floats, coarse: int, into: Floats) -> None:
    """Fill `into` (y, x) with white noise whose variance in each pixel is the layer's path there.

    A pixel's draw is the number of ones among 64 random bits: a binomial, which the sum over layers and the filter make
    Gaussian to well below what could be measured.

    Parameters
    ----------
    key
        Of the layer; the draw depends on it, the row and the column alone.
    path_A
        Length of the layer's material along the beam, on a grid `coarse` times as wide, with a margin of one.
    coarse
        Pixels for each step of that grid.
    into
        Receives it.
    """
    rows, columns = into.shape
    for row in parallel_range(rows):
        own = row_key(key, row)
        down = row / coarse
        j = int(down)
        v = np.float32(down - j)
        for column in range(columns):
            across = column / coarse
            i = int(across)
            u = np.float32(across - i)
            low = (1 - u) * path_A[j, i] + u * path_A[j, i + 1]
            high = (1 - u) * path_A[j + 1, i] + u * path_A[j + 1, i + 1]
            path = (1 - v) * low + v * high
            if path > 0:
                bits = random_bits(own, np.uint64(column))
                into[row, column] = np.sqrt(path) * (_ones(bits) - 32) * np.float32(0.25)
            else:
                into[row, column] = 0


@compiled()
def _ones(bits: np.uint64) -> int:
    """Return the number of ones among 64 bits."""
    bits = bits - ((bits >> np.uint64(1)) & np.uint64(0x5555555555555555))
    bits = (bits & np.uint64(0x3333333333333333)) + ((bits >> np.uint64(2)) & np.uint64(0x3333333333333333))
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return int((bits * np.uint64(0x0101010101010101)) >> np.uint64(56))
