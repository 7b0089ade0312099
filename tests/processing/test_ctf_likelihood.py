"""The likelihood of a spectrum: its derivatives, and a search that finds what was put in."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucentric.optics import phase_rad
from eucentric.processing.ctf.agreement import agrees_to, ice_ring, local_agreement
from eucentric.processing.ctf.likelihood import CTFPrior, Likelihood, Spectrum, State
from eucentric.processing.ctf.polar import Phases, polar_bins
from eucentric.processing.ctf.search import SearchRange, search
from phantoms.ctf_images import LENS

PIXEL_A = 2.0
BINS = polar_bins((256, 256), PIXEL_A)
USED = slice(20, len(BINS.k))
PHASES = Phases.of(BINS, LENS.voltage_kV, LENS.cs_mm, math.asin(LENS.amplitude_contrast))


def spectrum(ctf: tuple[float, float, float], depth: float, seed: int | None = None) -> Spectrum:
    """Return the expectation of rings on a sloping background, or noise about it."""
    expected = (3 - 5 * BINS.k[:, None]) * (1 - depth * np.cos(2 * PHASES.at(ctf)))
    power = expected
    if seed is not None:
        shape = np.maximum(BINS.count, 1)
        power = expected * np.random.default_rng(seed).gamma(shape) / shape
    return Spectrum(BINS.k[USED], BINS.angle, power[USED], BINS.count[USED], PHASES.within(USED))


def state(likelihood: Likelihood, ctf: tuple[float, float, float]) -> State:
    depth = likelihood.depth_coefficients(np.full(len(likelihood.spectrum.k), 0.3))
    return State(np.array([*ctf, 0.0]), likelihood.start_background(), np.full((2, 4), 0.01), depth)


@given(
    mean=st.floats(8000, 30_000),
    a=st.floats(-900, 900),
    b=st.floats(-900, 900),
)
@settings(max_examples=10)
def test_phases_are_those_of_optics(mean: float, a: float, b: float) -> None:
    here = mean + a * np.cos(2 * BINS.angle) + b * np.sin(2 * BINS.angle)
    # A bin is a step wide and 3.75 degrees: at its middle the phase is that of its mean to a part of a radian.
    exact = phase_rad(BINS.k[100], here, LENS)
    found = PHASES.at((mean, a, b))[100]
    np.testing.assert_allclose(found, exact, atol=0.02 * mean / BINS.k[100] * 1e-4 + 0.5)


def test_the_gradient_is_the_slope() -> None:
    likelihood = Likelihood(spectrum((15_000, 200, -100), 0.3, seed=1), CTFPrior(shift_rad=0.5))
    here = state(likelihood, (15_020, 150, -60))
    _, gradient, _ = likelihood.evaluate(here)
    vector = np.concatenate([here.background, here.turned.ravel(), here.depth, here.ctf])
    steps = np.full(len(vector), 1e-4)
    steps[-4:-1] = 0.05
    splines = len(here.background)
    for i in (
        0,
        splines - 1,
        splines + 2,
        splines + 8,
        len(vector) - 4,
        len(vector) - 3,
        len(vector) - 2,
        len(vector) - 1,
    ):
        values = []
        for sign in (-1, 1):
            moved = vector.copy()
            moved[i] += sign * steps[i]
            parts = np.split(moved, np.cumsum([splines, 8, splines]))
            values.append(likelihood.evaluate(State(parts[3], parts[0], parts[1].reshape(2, 4), parts[2]))[0])
        assert (values[1] - values[0]) / (2 * steps[i]) == pytest.approx(gradient[i], rel=1e-3, abs=1e-4)


def test_without_noise_the_truth_is_found() -> None:
    truth = (15_000.0, 300.0, -200.0)
    likelihood = Likelihood(spectrum(truth, 0.3), CTFPrior())
    found = likelihood.refine(state(likelihood, (15_060.0, 200.0, -100.0)), steps=40)
    # The prior pulls at the astigmatism, by far less than its deviation.
    np.testing.assert_allclose(found.ctf[:3], truth, atol=10)
    np.testing.assert_allclose(likelihood.depth(found), 0.3, atol=0.02)


def test_the_deviation_is_that_of_the_error() -> None:
    errors = []
    for seed in range(30):
        likelihood = Likelihood(spectrum((15_000, 300, -200), 0.3, seed=seed), CTFPrior())
        found = likelihood.refine(state(likelihood, (15_000, 300, -200)), steps=15)
        assert found.sigma is not None
        errors.append((found.ctf[:3] - (15_000, 300, -200)) / found.sigma[:3])
    # 90 normal deviates: their rms is within 25 % of 1 with more than three of its deviations.
    assert float(np.sqrt(np.mean(np.square(errors)))) == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("truth", [(6000.0, 0.0, 0.0), (21_000.0, 800.0, -400.0), (60_000.0, -300.0, 700.0)])
def test_the_search_finds_astigmatic_rings(truth: tuple[float, float, float]) -> None:
    noisy = spectrum(truth, 0.15, seed=3)
    under = np.exp(Likelihood(noisy, CTFPrior()).basis @ Likelihood(noisy, CTFPrior()).start_background())
    excess = (noisy.power / under[:, None] - 1) * noisy.count
    wanted = SearchRange(3000, 90_000, 3000, CTFPrior(), phase_plate=False)
    per_mean, fixed = noisy.phases.mean.mean(axis=1), noisy.phases.fixed.mean(axis=1)
    best, *others = search(excess, np.full(len(under), 0.15), per_mean, fixed, noisy.angle, wanted, 5)
    step = 1 / (2 * per_mean[-1])
    np.testing.assert_allclose(best.defocus, truth, atol=2 * step)
    assert all(best.score > other.score for other in others)


def test_a_prior_shrinks_what_is_not_seen_and_leaves_what_is() -> None:
    truth = (15_000.0, 1200.0, 0.0)
    clear = Likelihood(spectrum(truth, 0.4, seed=0), CTFPrior())
    assert clear.refine(state(clear, truth), steps=20).ctf[1] == pytest.approx(1200, abs=60)
    nothing = Likelihood(spectrum(truth, 0.0, seed=0), CTFPrior())
    assert abs(nothing.refine(state(nothing, (15_000.0, 400.0, 0.0)), steps=20).ctf[1]) < 400


def test_a_sharp_ring_of_ice_is_found_and_a_hump_is_not() -> None:
    k = np.linspace(0.001, 0.4, 400)
    count = 1000 * k + 1
    hump = 1 + 0.4 * np.exp(-0.5 * np.square((k - 0.27) / 0.03))
    ring = hump + 2 * np.exp(-0.5 * np.square((k - 0.272) / 0.003))
    assert not ice_ring(k, hump, count).any()
    found = k[ice_ring(k, ring, count)]
    assert found[0] == pytest.approx(0.272 - 0.008, abs=0.004)
    assert found[-1] == pytest.approx(0.272 + 0.008, abs=0.004)


def test_agreement_ends_where_the_rings_end() -> None:
    k = np.linspace(0.03, 0.3, 600)
    chi = phase_rad(k, 20_000, LENS)
    model = -np.cos(2 * chi)
    noise = np.random.default_rng(0).normal(size=len(k))
    rings = np.where(k < 0.2, model, 0.0) + 0.5 * noise
    agreement = local_agreement(rings, model, chi, np.ones(len(k)))
    reached = agrees_to(k, agreement, np.zeros(len(k), dtype=bool), 0.03)
    assert reached == pytest.approx(0.2, abs=0.015)
    apart = local_agreement(noise, model, chi, np.ones(len(k)))
    assert agrees_to(k, apart, np.zeros(len(k), dtype=bool), 0.03) is None
