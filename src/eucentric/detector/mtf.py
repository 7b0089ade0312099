"""Modulation transfer functions of cameras at 300 kV, from measured curves.

Frequencies are in cycles a pixel (1/px): Nyquist is 0.5, the corner of the spectrum 0.707.
"""

from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator

from eucentric.core import InputError

Array = NDArray[np.float64]
Curve = Literal["ideal", "k2", "falcon4"]

NYQUIST_PER_PX = 0.5
_EVEN = tuple(i / 64 for i in range(33))
_LOW = (0.0005, 0.002, 0.005, 0.01)  # the K2 loses over 1 % within its first thousandth of a cycle

# Amplitudes at the frequencies above, read off measured curves of single cameras as they are passed on with movies
# (300 kV; Gatan K2, and Falcon 4 in electron-counting mode), and 1 at zero. The Falcon's ends at
# 0.492/px: its last number carries on its slope.
_K2_LOW = (0.9887, 0.9852, 0.9825, 0.9738)
# fmt: off
_K2 = (
    1.0, 0.9613, 0.9366, 0.9285, 0.9218, 0.9134, 0.9033, 0.8917, 0.8785, 0.8639, 0.8481, 0.8311, 0.8131, 0.7942, 0.7745,
    0.7542, 0.7333, 0.7119, 0.6902, 0.6683, 0.6462, 0.624, 0.6018, 0.5796, 0.5575, 0.5355, 0.5137, 0.4921, 0.4707,
    0.4496, 0.4288, 0.4083, 0.3881,
)
_FALCON4 = (
    1.0, 0.9929, 0.9839, 0.9643, 0.9506, 0.9252, 0.9046, 0.8692, 0.8354, 0.8005, 0.7745, 0.7394, 0.6997, 0.6573, 0.6071,
    0.5699, 0.5348, 0.49, 0.4551, 0.4189, 0.383, 0.3529, 0.3186, 0.2799, 0.2478, 0.2332, 0.1988, 0.1775, 0.1547, 0.1375,
    0.1176, 0.1022, 0.0839,
)
# fmt: on


def mtf(k_per_px: ArrayLike, curve: Curve) -> Array:
    """Return the amplitude with which a camera transfers each frequency: 1 at zero.

    Monotone piecewise cubics (Fritsch & Carlson 1980, 10.1137/0717021) through the measured curve; above Nyquist,
    where nothing was measured, the fall over the last quarter carries on as an exponential.

    Parameters
    ----------
    k_per_px
        Frequencies in cycles a pixel, of any shape; the sign does not matter.
    curve
        ``ideal`` is 1 everywhere.

    Raises
    ------
    InputError
        If there is no such curve.
    """
    k = np.abs(np.asarray(k_per_px, dtype=float))
    if curve == "ideal":
        return np.ones_like(k)
    if curve not in ("k2", "falcon4"):
        raise InputError(f"{curve!r} is no camera whose MTF is known.", "Use ideal, k2 or falcon4.")
    interpolate = _interpolator(curve)
    middle, end = (float(interpolate(part * NYQUIST_PER_PX)) for part in (0.75, 1.0))
    rate = np.log(middle / end) / (0.25 * NYQUIST_PER_PX)
    inside = interpolate(np.minimum(k, NYQUIST_PER_PX))
    values: Array = np.asarray(inside * np.exp(-rate * np.maximum(k - NYQUIST_PER_PX, 0.0)))
    return values


@cache
def _interpolator(curve: Curve) -> PchipInterpolator:
    if curve == "falcon4":
        return PchipInterpolator(_EVEN, _FALCON4)
    return PchipInterpolator((_EVEN[0], *_LOW, *_EVEN[1:]), (_K2[0], *_K2_LOW, *_K2[1:]))
