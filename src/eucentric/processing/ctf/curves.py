"""Rings of an image along lines of one phase, beside their model."""

import math

import numpy as np

from eucentric.processing.ctf.agreement import RadialCurves, local_agreement
from eucentric.processing.ctf.likelihood import Likelihood, State
from eucentric.processing.ctf.polar import Array, Phases, PolarBins

_CURVE_SHARE = 0.97  # of the frequencies in the bins: the last few have lost their corners


def radial_curves(
    state: State, likelihood: Likelihood, bins: PolarBins, phases: Phases, mean: Array, used: slice
) -> RadialCurves:
    """Gather the rings along lines of one phase, from the coarsest detail used to Nyquist."""
    last = int(_CURVE_SHARE * len(bins.k))
    rows = slice(used.start, max(last, used.stop))
    k, count = bins.k[rows], bins.count[rows]
    power = mean[rows]
    inner = likelihood.background(state)
    number = count.sum(axis=1)
    ring = (power * count).sum(axis=1) / np.maximum(number, 1)
    under = _extended(
        k, ring, number, inner.mean(axis=1), state.ctf[0], float(phases.mean[-1].mean() / bins.k[-1] ** 2)
    )
    turned = np.ones_like(power)
    turned[: len(inner)] = inner / inner.mean(axis=1, keepdims=True)
    turned[len(inner) :] = turned[len(inner) - 1]
    excess = power / (under[:, None] * turned) - 1
    defocus, a, b, shift = (float(value) for value in state.ctf)
    here = 1 + (a * np.cos(2 * bins.angle) + b * np.sin(2 * bins.angle)) / max(defocus, 1.0)
    along = k[:, None] * np.sqrt(np.maximum(here, 0.0))[None]
    step = k[1] - k[0]
    place = np.rint((along - k[0]) / step).astype(int)
    keep = (place >= 0) & (place < len(k)) & (count > 0)
    coefficients: Array = np.bincount(place[keep], count[keep], minlength=len(k)).astype(float)
    rings = np.bincount(place[keep], (excess * count)[keep], minlength=len(k)) / np.maximum(coefficients, 1)
    per_A, fixed = phases.mean[rows].mean(axis=1), phases.fixed[rows].mean(axis=1)
    square = k * k
    known = bins.k2[rows].mean(axis=1) > 0
    per_A = np.where(known, per_A * square / np.maximum(bins.k2[rows].mean(axis=1), 1e-30), 0.0)
    chi = per_A * defocus + fixed + shift
    model = -np.cos(2 * chi)
    depth = np.full(len(k), np.nan)
    depth[: used.stop - used.start] = likelihood.depth(state)
    return RadialCurves(k, rings, model, depth, local_agreement(rings, model, chi, coefficients), coefficients)


def _extended(k: Array, ring: Array, number: Array, inner: Array, defocus_A: float, per_A_k2: float) -> Array:
    """Continue a fitted background to finer detail by a running mean, over two Thon rings at least."""
    under = np.empty_like(ring)
    under[: len(inner)] = inner
    step = k[1] - k[0]
    for i in range(len(inner), len(k)):
        repeat = math.pi / max(2 * per_A_k2 * k[i] * max(defocus_A, 1.0), 1e-9)
        half = max(12, int(repeat / step))
        part = slice(max(0, i - half), min(len(k), i + half + 1))
        weight = number[part]
        at = k[part] - k[i]
        if weight.sum() <= 0:
            under[i] = under[i - 1]
            continue
        middle = float(weight @ at / weight.sum())
        slope_of = float(weight @ (at - middle) ** 2)
        level = float(weight @ ring[part] / weight.sum())
        slope = float(weight @ ((at - middle) * ring[part])) / slope_of if slope_of > 0 else 0.0
        under[i] = max(level - slope * middle, 0.1 * level)
    return np.maximum(under, 1e-30)
