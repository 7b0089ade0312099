"""Weights by what exposure leaves of the signal: each frame at its own accumulated exposure.

Grant & Grigorieff (2015, 10.7554/eLife.06980): of the amplitude at k, an exposure E leaves ``exp(-E / 2 Ne(k))``. That
is also the best weight of a frame, whose noise is as strong as any other's.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eucentric.core import InputError
from eucentric.optics import surviving_amplitude, surviving_amplitude_b_factor

Array = NDArray[np.float64]
DoseModel = Literal["critical-exposure", "b-factor"]


def accumulated_e_A2(pre_exposure_e_A2: float, exposure_e_A2: float, frames: int) -> tuple[float, ...]:
    """Return what the specimen has received by the middle of each frame of one exposure, evenly divided.

    Parameters
    ----------
    pre_exposure_e_A2
        Before this exposure: 0 for a specimen's first.
    exposure_e_A2
        Of all the frames.
    frames
        How many there are.

    Raises
    ------
    InputError
        If an exposure is negative or not finite, or there are no frames.
    """
    if not (np.isfinite([pre_exposure_e_A2, exposure_e_A2]).all() and min(pre_exposure_e_A2, exposure_e_A2) >= 0):
        raise InputError(f"Exposures of {pre_exposure_e_A2} and {exposure_e_A2} e/Å² cannot be weighed.")
    if frames < 1:
        raise InputError("An exposure without frames cannot be weighed.")
    return tuple(pre_exposure_e_A2 + exposure_e_A2 * (frame + 0.5) / frames for frame in range(frames))


def dose_weights(
    k: ArrayLike,
    accumulated: Sequence[float],
    voltage_kV: float = 300.0,
    *,
    model: DoseModel = "critical-exposure",
    keep_noise: bool = False,
) -> Array:
    """Return the weight of each frame at each frequency, (frames, *k.shape).

    Parameters
    ----------
    k
        Frequencies, 1/Å.
    accumulated
        Exposure that each frame is weighed at, e/Å²: see `accumulated_e_A2`.
    voltage_kV
        Of the beam: damage goes with it.
    model
        ``critical-exposure`` as above; ``b-factor``: 4 Å² for each e/Å², as RELION and Warp have it.
    keep_noise
        Divide by the root mean square over the frames, so that the noise of their sum is that of an unweighted one.
        The weight of one tilt against another is then lost.
    """
    k = np.asarray(k, dtype=float)
    exposure = np.asarray(accumulated, dtype=float).reshape(-1, *(1,) * k.ndim)
    if model == "b-factor":
        weights = surviving_amplitude_b_factor(k, exposure)
    else:
        weights = surviving_amplitude(k, exposure, voltage_kV)
    if keep_noise:
        weights = weights / np.sqrt(np.mean(np.square(weights), axis=0))
    return np.asarray(weights)
