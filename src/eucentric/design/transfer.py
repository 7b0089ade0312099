"""What order alone does to a series: the mean signal transfer of Hagen 2017 (10.1016/j.jsb.2016.06.007) and its kin.

These stand for a slab by a plain cosine, as published, and not by its transmission: figures to compare schemes with.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eucentric.design.plan import Plan
from eucentric.optics import surviving_amplitude, useful_exposure_e_A2

Array = NDArray[np.float64]


def signal_transfer(plan: Plan, k: ArrayLike) -> Array:
    """Return the mean over tilts of ``cos(a) exp(-E / 2 Ne)``, E the exposure before each tilt; shape of `k` (1/Å)."""
    slab = plan.design.slab
    survived = surviving_amplitude(np.asarray(k, dtype=float)[..., None], _before(plan), plan.design.lens.voltage_kV)
    mean: Array = (np.cos(np.deg2rad(slab.slab_deg)) * survived).mean(axis=-1)
    return mean


def cosine_information(plan: Plan, k: ArrayLike) -> Array:
    """Return ``cos(a) Ne [exp(-E/Ne) - exp(-(E + e)/Ne)]`` of each tilt, shape (..., n)."""
    exposures = np.array([exposure.exposure_e_A2 for exposure in plan])
    useful = useful_exposure_e_A2(
        np.asarray(k, dtype=float)[..., None], _before(plan), exposures, plan.design.lens.voltage_kV
    )
    information: Array = np.cos(np.deg2rad(plan.design.slab.slab_deg)) * useful
    return information


def asymmetry(plan: Plan, k: ArrayLike) -> Array:
    """Return ``|P - N| / (P + N)`` of that information on the positive and on the negative side of the slab."""
    information, slab_deg = cosine_information(plan, k), plan.design.slab.slab_deg
    positive = information[..., slab_deg > 0].sum(axis=-1)
    negative = information[..., slab_deg < 0].sum(axis=-1)
    both = positive + negative
    share: Array = np.divide(np.abs(positive - negative), both, out=np.zeros_like(both), where=both > 0)
    return share


def share_within(plan: Plan, k: ArrayLike, angle_deg: float) -> Array:
    """Return the share of that information from tilts of the slab within ± an angle."""
    information = cosine_information(plan, k)
    inside = np.abs(plan.design.slab.slab_deg) <= angle_deg + 1e-9
    share: Array = information[..., inside].sum(axis=-1) / information.sum(axis=-1)
    return share


def _before(plan: Plan) -> Array:
    return np.array([exposure.pre_exposure_e_A2 for exposure in plan])
