import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import constants

from eucentric.optics import interaction_rad_per_VA, speed_ratio, wavelength_A

laws = settings(max_examples=60, deadline=None, derandomize=True)
voltages_kV = st.floats(60, 1250)


@pytest.mark.parametrize(
    ("voltage_kV", "published_A"),
    [(100.0, 0.037014), (120.0, 0.033492), (200.0, 0.025079), (300.0, 0.019687), (1000.0, 0.008719)],
)
def test_wavelengths_in_print(voltage_kV: float, published_A: float) -> None:
    assert wavelength_A(voltage_kV) == pytest.approx(published_A, abs=5e-7)


def test_the_speed_at_300_kV() -> None:
    assert speed_ratio(300.0) == pytest.approx(0.777, abs=5e-4)


@laws
@given(voltages_kV)
def test_de_broglie_binds_wavelength_and_speed(voltage_kV: float) -> None:
    """A wavelength is Planck's constant over the momentum, which the speed gives by another road."""
    beta = speed_ratio(voltage_kV)
    momentum = constants.m_e * beta * constants.c / math.sqrt(1 - beta**2)
    assert wavelength_A(voltage_kV) == pytest.approx(1e10 * constants.h / momentum, rel=1e-9)


@laws
@given(voltages_kV, st.floats(0.1, 100))
def test_faster_electrons_are_shorter_and_interact_less(voltage_kV: float, more_kV: float) -> None:
    assert wavelength_A(voltage_kV + more_kV) < wavelength_A(voltage_kV)
    assert speed_ratio(voltage_kV) < speed_ratio(voltage_kV + more_kV) < 1
    assert interaction_rad_per_VA(voltage_kV + more_kV) < interaction_rad_per_VA(voltage_kV)


def test_the_interaction_parameter_at_300_kV() -> None:
    assert interaction_rad_per_VA(300.0) == pytest.approx(6.53e-4, abs=5e-7)


@laws
@given(voltages_kV)
def test_the_interaction_parameter_by_its_other_form(voltage_kV: float) -> None:
    """Kirkland's second form of eq. 5.6, without a mass: 2 pi / (lambda V) (mc² + eV) / (2 mc² + eV)."""
    rest_kV, volts = 510.99895, voltage_kV * 1e3
    other = 2 * math.pi / (wavelength_A(voltage_kV) * volts) * (rest_kV + voltage_kV) / (2 * rest_kV + voltage_kV)
    assert interaction_rad_per_VA(voltage_kV) == pytest.approx(other, rel=1e-7)
