"""How far rings and model agree, and where ice has a ring of its own."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from eucentric.processing.ctf.polar import Array

_ICE_BAND_A = (4.3, 3.2)  # where crystalline and cold amorphous ice have their strongest rings: 3.9, 3.7, 3.4 Å
_ICE_SHOULDER = 0.02  # 1/Å to either side, from which the background under the ring is drawn
_ICE_EXCESS, _ICE_SIGMAS = 0.12, 5.0  # a ring is that high over its sides; weaker ones cannot mislead a fit
_ICE_SMOOTHED, _ICE_EDGE = 0.002, 0.03  # 1/Å; excess at which a ring ends
_WINDOW_RINGS = 2.5  # over which agreement is measured
_WINDOW_BINS = 24  # at least: of so few numbers, noise alone correlates by 0.2
_BREAK = 0.1  # of the way there: a stretch of disagreement that is passed over
_PLACES = 160  # at which it is measured; between them it is interpolated
AGREES = 0.5
"""Correlation of rings and model above which they agree: half, as is usual for programs that fit CTFs.

In white noise, 2 windows of 1000 exceed it.
"""


@dataclass(frozen=True, eq=False)
class RadialCurves:
    """Rings along lines of one phase, over frequency along the mean of the principal axes.

    Attributes
    ----------
    k
        Frequency, 1/Å, (n,).
    rings
        Mean relative excess of the power over its background.
    model
        ``-cos 2 chi``: from -1, where the CTF is zero, to 1.
    depth
        Depth of the rings that was fitted; not a number beyond what was used.
    agreement
        Correlation of rings and model over some rings about each frequency.
    coefficients
        How many coefficients each mean is of.
    """

    k: Array
    rings: Array
    model: Array
    depth: Array
    agreement: Array
    coefficients: Array


def ice_ring(k: Array, power: Array, count: Array) -> NDArray[np.bool_]:
    """Return which frequencies lie in a sharp ring of ice, found by its height over its surroundings.

    The broad hump of vitreous ice is no such ring: a smooth background follows it, and there are Thon rings on it.

    Parameters
    ----------
    k
        Frequencies, 1/Å, (n,), evenly spaced.
    power, count
        Mean power and coefficients at each.
    """
    masked = np.zeros(len(k), dtype=bool)
    step = k[1] - k[0]
    reach = round(_ICE_SHOULDER / step)
    first, last = 1 / _ICE_BAND_A[0], 1 / _ICE_BAND_A[1]
    band = (k >= first) & (k <= last)
    if reach < 4 or not band.any() or k[-1] < first + 2 * _ICE_SHOULDER:
        return masked
    seen = (count > 0) & (power > 0)
    sigma = _ICE_SMOOTHED / step
    weight = ndimage.gaussian_filter1d(np.where(seen, count, 0.0), sigma, mode="nearest")
    smooth = ndimage.gaussian_filter1d(np.where(seen, power * count, 0.0), sigma, mode="nearest")
    logarithm = np.log(np.maximum(smooth / np.maximum(weight, 1e-9), 1e-30))
    at = np.arange(len(k))
    sides = 0.5 * (logarithm[np.maximum(at - reach, 0)] + logarithm[np.minimum(at + reach, len(k) - 1)])
    excess = np.expm1(logarithm - sides)
    error = 1 / np.sqrt(np.maximum(weight * 2 * math.sqrt(math.pi) * max(sigma, 0.5), 1.0))
    top = int(np.argmax(np.where(band, excess, -np.inf)))
    height = float(excess[top])
    if height < max(_ICE_EXCESS, _ICE_SIGMAS * error[top]):
        return masked
    lower, upper = max(top - reach, 0), min(top + reach, len(k) - 1)
    under = np.interp(at, (lower, upper), logarithm[[lower, upper]])
    labels, _ = ndimage.label(np.expm1(logarithm - under) > np.maximum(_ICE_EDGE, 2 * error))
    return np.asarray((labels == labels[top]) & (at >= lower) & (at <= upper))


def local_agreement(rings: Array, model: Array, chi: Array, count: Array) -> Array:
    """Return the correlation of rings and model within a window of some rings about each place, (n,).

    A linear trend of the rings within the window is no disagreement: backgrounds are never perfect.
    """
    n = len(rings)
    found = np.full(n, np.nan)
    turns = np.abs(np.gradient(chi)) / np.pi  # rings per bin
    seen = count > 0
    places = np.unique(np.linspace(0, n - 1, min(n, _PLACES)).astype(int))
    for i in places:
        half = max(_WINDOW_BINS / 2, _WINDOW_RINGS / 2 / max(turns[i], 1e-6))
        first, last = max(0, i - int(half)), min(n, i + int(half) + 1)
        use = seen[first:last]
        if use.sum() < _WINDOW_BINS / 2:
            continue
        x, y, w = (part[first:last][use] for part in (model, rings, count))
        at = np.linspace(-1, 1, len(x))
        design = np.stack([np.ones_like(at), at], axis=1)
        normal = design.T @ (w[:, None] * design)
        x, y = (part - design @ np.linalg.solve(normal, design.T @ (w * part)) for part in (x, y))
        norm = math.sqrt(float(w @ (x * x)) * float(w @ (y * y)))
        found[i] = float(w @ (x * y)) / norm if norm > 0 else 0.0
    known = places[np.isfinite(found[places])]
    return np.interp(np.arange(n), known, found[known]) if len(known) else found


def agrees_to(k: Array, agreement: Array, skip: NDArray[np.bool_], low_k: float) -> float | None:
    """Return the frequency to which rings and model agree without a long break; None where they do nowhere.

    A stretch of disagreement shorter than a tenth of the way there, or one under a ring of ice, is passed over.
    """
    reached: float | None = None
    apart, step = 0.0, float(k[1] - k[0])
    for frequency, value, ice in zip(k, agreement, skip, strict=True):
        if frequency < low_k or ice or not np.isfinite(value):
            continue
        if value >= AGREES:
            reached, apart = float(frequency), 0.0
            continue
        apart += step
        if apart > (_BREAK * reached if reached is not None else 2 * low_k):
            break
    return reached
