"""From a spectrum to its CTF: searches, refinements, and what to say where several answers are left."""

import math
from dataclasses import replace

import numpy as np

from eucentric.processing.ctf.likelihood import CTFPrior, Likelihood, Spectrum, State
from eucentric.processing.ctf.polar import Array
from eucentric.processing.ctf.posterior import posterior
from eucentric.processing.ctf.records import CTFSettings
from eucentric.processing.ctf.search import SearchRange, Start, search

_STARTS, _STARTS_AGAIN = 6, 3  # from the search with guessed depths, and from that with the fitted one
_KEPT, _FINAL = 2, 2  # refined again; refined to the end
_FIRST_STEPS, _NEXT_STEPS, _LAST_STEPS = 3, 5, 20
_ALONE = 0.02  # a share of the posterior beside the likeliest that changes nothing
_LEAST_DEPTH = 0.02  # that a start gives the rings, where the background shows no signal over the noise


def most_likely(spectrum: Spectrum, prior: CTFPrior, settings: CTFSettings) -> tuple[Likelihood, State]:
    """Find the CTF of a spectrum, with background and depth, and the likelihood in which it is the highest.

    A search with guessed depths; a few refinements; a search again, with the background and the depth found; the
    highest peak refined; and where that does not stand alone, the mean over all.
    """
    likelihood = Likelihood(spectrum, prior)
    start = likelihood.start_background()
    under = np.exp(likelihood.basis @ start)
    # Spots of crystals and interference are no rings; what is exponential reaches 16 times its mean once in 1e7.
    most = under[:, None] * (1 + 6 / np.sqrt(np.maximum(spectrum.count, 1)) + 10 / np.maximum(spectrum.count, 1))
    spectrum = replace(spectrum, power=np.minimum(spectrum.power, most))
    likelihood = Likelihood(spectrum, prior)
    start = likelihood.start_background()
    under = np.exp(likelihood.basis @ start)
    excess = (spectrum.power / under[:, None] - 1) * spectrum.count
    depths = _first_depths(under)
    wanted = SearchRange(
        settings.min_defocus_A,
        settings.max_defocus_A,
        settings.max_astigmatism_A,
        prior,
        settings.phase_plate,
    )
    ring = np.maximum(spectrum.count.sum(axis=1), 1)
    per_mean = _ring_mean(spectrum.phases.mean, spectrum.count, ring)
    fixed = _ring_mean(spectrum.phases.fixed, spectrum.count, ring)
    axes = (per_mean, fixed, spectrum.angle)
    tried: list[State] = []
    for depth in depths:
        begun = likelihood.depth_coefficients(depth)
        places = search(excess, depth, *axes, wanted, _STARTS // len(depths))
        tried.extend(likelihood.refine(_begin(place, start, begun), steps=_FIRST_STEPS) for place in places)
    if not tried:
        begun = likelihood.depth_coefficients(depths[0])
        middle = Start((0.5 * (settings.min_defocus_A + settings.max_defocus_A), 0.0, 0.0), 0.0, 0.0)
        tried = [_begin(middle, start, begun)]
    best = likelihood.refine(_ranked(tried, settings)[0], steps=_NEXT_STEPS)
    weight = 1 / likelihood.dispersion(best)
    spectrum = replace(spectrum, count=spectrum.count * weight[:, None])
    likelihood = Likelihood(spectrum, prior)
    excess = (spectrum.power / likelihood.background(best) - 1) * spectrum.count
    again = search(excess, likelihood.depth(best), *axes, wanted, _STARTS_AGAIN)
    tried = [best, *_ranked(tried, settings)[1:_KEPT]]
    tried += [replace(best, ctf=np.array([*place.defocus, place.shift_rad])) for place in again]
    tried = [likelihood.refine(state, steps=_NEXT_STEPS) for state in tried]
    final = [likelihood.refine(state, steps=_LAST_STEPS) for state in _ranked(tried, settings)[:_FINAL]]
    return likelihood, _blended(likelihood, _ranked(final, settings)[0], axes, settings)


def _blended(likelihood: Likelihood, best: State, axes: tuple[Array, Array, Array], settings: CTFSettings) -> State:
    """Return the mean over all peaks of the posterior about the likeliest, where that does not stand alone."""
    spectrum = likelihood.spectrum
    excess = (spectrum.power / likelihood.background(best) - 1) * spectrum.count
    per_mean, fixed, angle = axes
    around = posterior(
        excess,
        likelihood.depth(best),
        per_mean,
        fixed + best.ctf[3],
        angle,
        best.ctf[:3],
        likelihood.prior,
        settings.max_astigmatism_A,
    )
    share, sigma = around.elsewhere, best.sigma
    if share < _ALONE or sigma is None:
        return best
    ctf, spread = best.ctf.copy(), sigma.copy()
    for i, (mean, deviation) in enumerate(zip(around.mean, around.sigma, strict=True)):
        ctf[i] += share * (mean - best.ctf[i])
        second = (1 - share) * (sigma[i] ** 2 + (best.ctf[i] - ctf[i]) ** 2)
        spread[i] = math.sqrt(second + share * (deviation**2 + (mean - ctf[i]) ** 2))
    return replace(best, ctf=ctf, sigma=spread)


def _ranked(states: list[State], settings: CTFSettings) -> list[State]:
    """Sort states, likeliest first; those that left the range only if there are no others."""
    inside = [state for state in states if settings.min_defocus_A <= state.ctf[0] <= settings.max_defocus_A]
    return sorted(inside or states, key=lambda state: -state.log_posterior)


def _ring_mean(values: Array, count: Array, ring: Array) -> Array:
    """Return the mean over sectors, weighted by coefficients; where a ring has none, of its bins."""
    weighted = (values * count).sum(axis=1) / ring
    return np.asarray(np.where(count.sum(axis=1) > 0, weighted, values.mean(axis=1)))


def _first_depths(under: Array) -> tuple[Array, ...]:
    """Return guesses of the depth: all that rises over the lowest background is signal; or equal depth everywhere."""
    signal = 1 - under.min() / under
    return np.maximum(signal, _LEAST_DEPTH), np.full(len(under), 0.1)


def _begin(place: Start, background: Array, depth: Array) -> State:
    return State(np.array([*place.defocus, place.shift_rad]), background, np.zeros((2, 4)), depth)
