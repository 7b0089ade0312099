"""How the specimen's signal fades with exposure (Grant & Grigorieff 2015, 10.7554/eLife.06980)."""

import math
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eucentric.optics.beam import speed_ratio

OPTIMAL_EXPOSURE = 2.51286
"""Exposure of best signal to noise, in critical exposures: the root of ``exp(x/2) = 1 + x``."""

B_FACTOR_A2_PER_E_A2 = 4.0
"""The habit of RELION and Warp: each e/Å² adds so many Å² of B factor."""

Array = NDArray[np.float64]


@cache
def _scale(voltage_kV: float) -> float:
    # Energy lost to ionisation goes as 1/v²; the exponent makes it the published 0.8 at 200 kV (v² alone: 0.801).
    at_300 = speed_ratio(300.0)
    exponent = math.log(0.8) / math.log(speed_ratio(200.0) / at_300)
    return float((speed_ratio(voltage_kV) / at_300) ** exponent)


def critical_exposure_e_A2(k: ArrayLike, voltage_kV: float = 300.0) -> Array:
    """Return the exposure at which the intensity at `k` (1/Å) has fallen to 1/e: ``0.245 k^-1.665 + 2.81`` at 300 kV.

    At 200 kV it is 0.8 of that; at others, in the ratio of the squared speeds of the electrons. Infinite at k = 0.
    """
    with np.errstate(divide="ignore"):
        at_300: Array = 0.245 * np.asarray(k, dtype=float) ** -1.665 + 2.81
    return at_300 * _scale(voltage_kV)


def fading_A2_per_e(k: ArrayLike, voltage_kV: float = 300.0) -> Array:
    """Return the rate at which the amplitude at `k` fades with exposure, ``1 / 2 Ne``, in 1/(e/Å²)."""
    return 1 / (2 * critical_exposure_e_A2(k, voltage_kV))


def surviving_amplitude(k: ArrayLike, exposure_e_A2: ArrayLike, voltage_kV: float = 300.0) -> Array:
    """Return the share of the amplitude at `k` that survives an exposure: ``exp(-E / 2 Ne)``."""
    left: Array = np.exp(-np.asarray(exposure_e_A2, dtype=float) * fading_A2_per_e(k, voltage_kV))
    return left


def surviving_amplitude_b_factor(
    k: ArrayLike, exposure_e_A2: ArrayLike, b_factor_A2_per_e_A2: float = B_FACTOR_A2_PER_E_A2
) -> Array:
    """Return the same by a B factor that grows with exposure: ``exp(-B E k²/4)``, as RELION and Warp have it."""
    exponent = -0.25 * b_factor_A2_per_e_A2 * np.asarray(exposure_e_A2, dtype=float)
    left: Array = np.exp(exponent * np.square(np.asarray(k, dtype=float)))
    return left


def useful_exposure_e_A2(
    k: ArrayLike, pre_exposure_e_A2: ArrayLike, exposure_e_A2: ArrayLike, voltage_kV: float = 300.0
) -> Array:
    """Return how much undamaged exposure an exposure is worth at `k`, after what the specimen had before.

    ``Ne [exp(-E/Ne) - exp(-(E + e)/Ne)]``: the surviving intensity, integrated over the exposure. At k = 0 it is
    the exposure itself.
    """
    before, exposure = np.asarray(pre_exposure_e_A2, dtype=float), np.asarray(exposure_e_A2, dtype=float)
    critical = critical_exposure_e_A2(k, voltage_kV)
    with np.errstate(invalid="ignore"):  # infinity times zero, at k = 0
        worth = -np.exp(-before / critical) * np.expm1(-exposure / critical) * critical
    useful: Array = np.where(np.isfinite(critical), worth, exposure)
    return useful
