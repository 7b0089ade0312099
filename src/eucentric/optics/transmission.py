"""How much of the beam passes ice unscattered, as an energy filter keeps it."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eucentric.optics.beam import speed_ratio

MEAN_FREE_PATH_A = 3150.0
"""Inelastic mean free path of vitreous ice at 300 kV, as Parakeet has it; disputed: see `MEAN_FREE_PATH_RANGE_A`."""

MEAN_FREE_PATH_RANGE_A = (2110.0, 3950.0)
"""The shortest and the longest value published for 300 kV (the longest was measured on a Krios)."""

_ICE_NM3 = 31.4  # water molecules in a cubic nanometre of low-density amorphous ice
_AT_200_KV = 0.83  # of the mean free path at 300 kV


def mean_free_path_A(voltage_kV: float, at_300_kV_A: float = MEAN_FREE_PATH_A) -> float:
    """Return the mean free path at a voltage: 0.83 of that at 300 kV for 200 kV, a power of the speed elsewhere."""
    at_300 = speed_ratio(300.0)
    exponent = math.log(_AT_200_KV) / math.log(speed_ratio(200.0) / at_300)
    return float(at_300_kV_A * (speed_ratio(voltage_kV) / at_300) ** exponent)


def transmission(path_A: ArrayLike, mean_free_path_A: ArrayLike) -> NDArray[np.float64]:
    """Return the zero-loss share of the beam after a path through ice: ``exp(-path / mean free path)``."""
    share: NDArray[np.float64] = np.exp(-np.asarray(path_A, dtype=float) / np.asarray(mean_free_path_A, dtype=float))
    return share


def elastic_mean_free_path_A(voltage_kV: float) -> float:
    """Return the elastic mean free path of vitreous ice: 5670 Å at 300 kV.

    Electrons that the atoms scatter stay in the image, but tell no more of what is larger than atoms: of a contrast in
    ice of thickness t, ``exp(-t / mean free path)`` is left, half of it for the wave that has it and half for the wave
    that it is seen against. Cross-sections: ``1.4e-6 Z^1.5 / beta² (1 - 0.26 Z / (137 beta))`` nm² (Langmore & Smith
    1992, Ultramicroscopy 46, 349, as recalled).
    """
    beta = speed_ratio(voltage_kV)

    def section_nm2(atomic_number: int) -> float:
        return float(1.4e-6 * atomic_number**1.5 / beta**2 * (1 - 0.26 * atomic_number / (137 * beta)))

    return 10 / (_ICE_NM3 * (section_nm2(8) + 2 * section_nm2(1)))
