"""What atoms in water do to a fast electron: scattering factors, less the water that the atoms displace.

The potential of a molecule in ice, over that of the ice, is a sum over its atoms of ``47.88 f(k) - V_ice v exp(-pi
v^(2/3) k²)`` in V·Å³: the electron scattering factor f of the free atom, and a Gaussian of the atom's volume v that
holds no ice (Fraser et al. 1978, 10.1107/S0021889878014296, who have it for X-rays). All atoms' curves are, to 1 or
2 %, mixtures of the same two: `Basis`.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

POTENTIAL_V_A2 = 47.87801
"""h²/(2 pi m e): from a scattering factor in Å to a potential's integral in V·Å³."""

ICE_MOLECULES_PER_A3 = 0.0314
"""Water molecules in low-density amorphous ice of 0.94 g/cm³ (Vulović et al. 2013, 10.1016/j.jsb.2013.05.008: 0.93)."""

B_FACTOR_A2 = 30.0
"""How far the atoms of an undamaged, frozen molecule are from where its model has them: chosen, a good map's."""

CHANNELS = 2
"""Curves in a basis: one leaves 11 % of the usual elements' curves unexplained, two 1 to 2 %."""

# Volumes that atoms displace, in Å³ (Svergun et al. 1995, 10.1107/S0021889895007047; others by their radii).
_VOLUME_A3 = {
    1: 5.15,
    6: 16.44,
    7: 2.49,
    8: 9.13,
    12: 17.16,
    15: 5.73,
    16: 19.86,
    20: 31.89,
    25: 9.2,
    26: 7.99,
    30: 9.85,
}
_OTHER_VOLUME_A3 = 16.0
# Hydrogens that a model without them has at each heavy atom: protein is C5 H7.8 N1.35 O1.5, in the mean.
_HYDROGENS = {6: 1.2, 7: 1.1, 8: 0.15, 16: 0.4}
# What the basis is made for: the shares of these elements in protein and nucleic acid.
_COMMON = {6: 0.62, 7: 0.17, 8: 0.2, 15: 0.02, 16: 0.01}

Array = NDArray[np.float64]


@cache
def _gaussians(atomic_number: int) -> tuple[Array, Array]:
    """Return amplitudes (Å) and exponents (Å²) of five Gaussians: Peng et al. 1996, 10.1107/S0108767395014371."""
    import gemmi

    factor = gemmi.Element(atomic_number).c4322
    amplitudes, exponents = (np.zeros(0), np.zeros(0)) if factor is None else (np.array(factor.a), np.array(factor.b))
    if atomic_number < 1 or not amplitudes.any():  # gemmi's element 0 is "unknown", and has a factor
        raise ValueError(f"no electron scattering factor is known for the element of number {atomic_number}")
    return amplitudes, exponents


def scattering_factor_A(atomic_number: int, k: ArrayLike) -> Array:
    """Return the electron scattering factor of a free atom at the frequencies `k` (1/Å), in Å; shape of `k`."""
    amplitudes, exponents = _gaussians(atomic_number)
    s2 = np.square(np.asarray(k, dtype=float) / 2)[..., None]  # Peng's variable is sin(theta)/lambda = k/2
    factor: Array = (amplitudes * np.exp(-exponents * s2)).sum(axis=-1)
    return factor


def ice_potential_V() -> float:
    """Return the mean inner potential of ice: 4.57 V, that of free atoms at its density."""
    return ICE_MOLECULES_PER_A3 * POTENTIAL_V_A2 * float(scattering_factor_A(8, 0) + 2 * scattering_factor_A(1, 0))


def potential_in_ice_VA3(atomic_number: int, k: ArrayLike, *, hydrogens: bool = True) -> Array:
    """Return the Fourier transform of an atom's potential in ice, over that of the ice, in V·Å³; shape of `k`.

    Parameters
    ----------
    atomic_number
        The element.
    k
        Frequency in 1/Å.
    hydrogens
        Whether the atom stands for the hydrogens that are bound to it, too.
    """
    k = np.asarray(k, dtype=float)
    bound = _HYDROGENS.get(atomic_number, 0.0) if hydrogens else 0.0
    volume = _VOLUME_A3.get(atomic_number, _OTHER_VOLUME_A3) + bound * _VOLUME_A3[1]
    own = scattering_factor_A(atomic_number, k) + bound * scattering_factor_A(1, k)
    displaced = ice_potential_V() * volume * np.exp(-np.pi * volume ** (2 / 3) * k * k)
    potential: Array = POTENTIAL_V_A2 * own - displaced
    return potential


def _disorder(k: Array) -> Array:
    """Return the amplitude that the atoms' disorder leaves."""
    left: Array = np.exp(-B_FACTOR_A2 * k * k / 4)
    return left


@dataclass(frozen=True, eq=False)
class Basis:
    """A few curves of which all atoms' are mixtures, up to a frequency.

    Attributes
    ----------
    k
        Frequencies (1/Å), from 0 in even steps, (m,).
    curves
        The curves in V·Å³, (`CHANNELS`, m), with the atoms' disorder (`B_FACTOR_A2`) in them.
    """

    k: Array
    curves: Array

    @classmethod
    def up_to(cls, highest_k: float) -> "Basis":
        """Return the best basis for the common elements from k = 0 to `highest_k` (1/Å)."""
        k = np.linspace(0, highest_k, 257)
        weights = np.sqrt(list(_COMMON.values()))[:, None]
        atoms = np.array([potential_in_ice_VA3(number, k) for number in _COMMON]) * _disorder(k)
        curves = np.linalg.svd(weights * atoms, full_matrices=False)[2][:CHANNELS]
        curves = curves * np.sign(curves.sum(axis=1, keepdims=True)) * np.abs(atoms).max()  # weights of order one
        return cls(k, curves)

    def weights(self, atomic_numbers: NDArray[np.integer], *, hydrogens: bool = True) -> NDArray[np.float32]:
        """Return how much of each curve atoms are made of: (n, `CHANNELS`) for elements (n,)."""
        found, where = np.unique(atomic_numbers, return_inverse=True)
        atoms = np.array([potential_in_ice_VA3(int(number), self.k, hydrogens=hydrogens) for number in found])
        damped = atoms.reshape(len(found), -1) * _disorder(self.k)
        each = np.linalg.lstsq(self.curves.T, damped.T, rcond=None)[0].T
        return np.asarray(each[where], dtype=np.float32)

    def at(self, k: ArrayLike) -> Array:
        """Return the curves at other frequencies, (`CHANNELS`, ...); beyond the highest they stay as there."""
        k = np.asarray(k, dtype=float)
        return np.stack([np.interp(k.ravel(), self.k, curve).reshape(k.shape) for curve in self.curves])
