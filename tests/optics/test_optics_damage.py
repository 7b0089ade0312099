import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize

from eucentric.optics import (
    OPTIMAL_EXPOSURE,
    critical_exposure_e_A2,
    surviving_amplitude,
    surviving_amplitude_b_factor,
    useful_exposure_e_A2,
)

laws = settings(max_examples=80, deadline=None, derandomize=True)
frequencies = st.floats(1e-3, 0.6)
voltages_kV = st.sampled_from([100.0, 200.0, 300.0])
exposures = st.floats(0, 200)


@pytest.mark.parametrize(
    ("resolution_A", "critical", "half_a_digit"),
    [
        (40, 116.7, 0.05),
        (20, 38.7, 0.05),
        (10, 14.14, 0.005),
        (5, 6.38, 0.005),
        (4, 5.27, 0.005),
        (3, 4.34, 0.005),
        (2, 3.59, 0.005),
    ],
)
def test_critical_exposures(resolution_A: float, critical: float, half_a_digit: float) -> None:
    assert critical_exposure_e_A2(1 / resolution_A) == pytest.approx(critical, abs=half_a_digit)
    assert critical_exposure_e_A2(1 / resolution_A, 200.0) == pytest.approx(0.8 * critical, abs=half_a_digit)


@laws
@given(frequencies, st.floats(60, 1000), st.floats(1, 100))
def test_slower_electrons_and_finer_detail_bear_less(k: float, voltage_kV: float, more_kV: float) -> None:
    assert critical_exposure_e_A2(k, voltage_kV) < critical_exposure_e_A2(k, voltage_kV + more_kV)
    assert critical_exposure_e_A2(1.01 * k, voltage_kV) < critical_exposure_e_A2(k, voltage_kV)


def test_the_critical_exposure_leaves_one_over_e_of_the_intensity() -> None:
    k = np.array([0.025, 0.1, 0.3])
    np.testing.assert_allclose(surviving_amplitude(k, critical_exposure_e_A2(k)) ** 2, 1 / math.e, rtol=1e-12)


@laws
@given(frequencies, exposures, exposures, voltages_kV)
def test_what_survives_two_exposures_is_the_product(k: float, one: float, two: float, voltage_kV: float) -> None:
    both = surviving_amplitude(k, one, voltage_kV) * surviving_amplitude(k, two, voltage_kV)
    assert surviving_amplitude(k, one + two, voltage_kV) == pytest.approx(both, rel=1e-9)
    by_b_factor = surviving_amplitude_b_factor(k, one) * surviving_amplitude_b_factor(k, two)
    assert surviving_amplitude_b_factor(k, one + two) == pytest.approx(by_b_factor, rel=1e-9)


def test_the_b_factor_grows_by_four_for_each_electron() -> None:
    """After 25 e/Å² it is 100 Å²: at 5 Å the amplitude has fallen by exp(-100/25/4)."""
    assert surviving_amplitude_b_factor(0.2, 25.0) == pytest.approx(math.exp(-1), rel=1e-12)
    assert surviving_amplitude_b_factor(0.2, 25.0, 8.0) == pytest.approx(math.exp(-2), rel=1e-12)


def test_the_optimal_exposure_is_the_root() -> None:
    root = optimize.brentq(lambda x: math.exp(x / 2) - 1 - x, 1, 4)
    assert pytest.approx(root, abs=5e-6) == OPTIMAL_EXPOSURE


@pytest.mark.parametrize("resolution_A", [20.0, 5.0, 3.0])
def test_the_optimal_exposure_gives_the_best_signal_to_noise(resolution_A: float) -> None:
    """Frames summed without weights: signal is the sum of the amplitudes, noise the root of the exposure."""
    critical = float(critical_exposure_e_A2(1 / resolution_A))

    def minus_snr(total_e_A2: float) -> float:
        frames = np.linspace(0, total_e_A2, 2001)
        signal = integrate.trapezoid(surviving_amplitude(1 / resolution_A, frames), frames)
        return float(-signal / math.sqrt(total_e_A2))

    best = optimize.minimize_scalar(minus_snr, bounds=(0.1 * critical, 10 * critical), method="bounded")
    assert best.x == pytest.approx(OPTIMAL_EXPOSURE * critical, rel=1e-3)


@laws
@given(frequencies, exposures, st.floats(0.01, 50), voltages_kV)
def test_useful_exposure_is_the_surviving_intensity_summed_up(
    k: float, before: float, exposure: float, voltage_kV: float
) -> None:
    steps = before + np.linspace(0, exposure, 4001)
    intensity = surviving_amplitude(k, steps, voltage_kV) ** 2
    summed = integrate.simpson(intensity, x=steps)
    assert useful_exposure_e_A2(k, before, exposure, voltage_kV) == pytest.approx(summed, rel=1e-6)


@laws
@given(frequencies, exposures, st.floats(0, 50), st.floats(0, 50), voltages_kV)
def test_an_exposure_in_two_parts_is_worth_their_sum(
    k: float, before: float, one: float, two: float, voltage_kV: float
) -> None:
    first = useful_exposure_e_A2(k, before, one, voltage_kV)
    second = useful_exposure_e_A2(k, before + one, two, voltage_kV)
    whole = useful_exposure_e_A2(k, before, one + two, voltage_kV)
    assert whole == pytest.approx(first + second, rel=1e-9, abs=1e-12)
    assert 0 <= whole <= one + two


def test_at_zero_frequency_nothing_fades() -> None:
    k = np.array([0.0, 0.1])
    assert critical_exposure_e_A2(0.0) == math.inf
    np.testing.assert_array_equal(surviving_amplitude(k, 100.0)[0], 1.0)
    np.testing.assert_array_equal(surviving_amplitude_b_factor(k, 100.0)[0], 1.0)
    useful = useful_exposure_e_A2(k[:, None], [0.0, 60.0, 120.0], 3.0)
    np.testing.assert_array_equal(useful[0], 3.0)
    # It is continuous there: 4 km are as good as no frequency.
    np.testing.assert_allclose(useful_exposure_e_A2(2.5e-14, 60.0, 3.0), 3.0, rtol=1e-9)
    assert (np.diff(useful[1]) < 0).all()
