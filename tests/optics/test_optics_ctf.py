import importlib.util
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from eucentric.optics import Lens, ctf, mean_ctf2, phase_rad, temporal_envelope, wavelength_A

laws = settings(max_examples=60, deadline=None, derandomize=True)
frequencies = st.floats(0, 0.5)
defoci_A = st.floats(-60_000, 60_000)
lenses = st.builds(
    Lens,
    voltage_kV=st.sampled_from([100.0, 200.0, 300.0]),
    cs_mm=st.floats(0, 5),
    amplitude_contrast=st.floats(0, 0.5),
    phase_shift_deg=st.floats(0, 120),
)


@laws
@given(defoci_A, st.floats(0, 0.99))
def test_at_zero_frequency_it_is_the_amplitude_contrast(defocus_A: float, contrast: float) -> None:
    assert ctf(0.0, defocus_A, Lens(amplitude_contrast=contrast)) == pytest.approx(contrast, abs=1e-12)


def test_underfocus_is_positive() -> None:
    """Without amplitude contrast a little underfocus shows phase as it shows amplitude; overfocus turns it round."""
    lens = Lens(amplitude_contrast=0.0)
    assert ctf(1 / 30, 5000.0, lens) > 0.2
    assert ctf(1 / 30, -5000.0, lens) < -0.2
    # Spherical aberration works against underfocus.
    assert ctf(1 / 5, 0.0, lens) < 0


def test_a_phase_plate_turns_the_phase() -> None:
    assert ctf(0.0, 0.0, Lens(amplitude_contrast=0.0, phase_shift_deg=90.0)) == pytest.approx(1.0)
    with_contrast = Lens(amplitude_contrast=0.1, phase_shift_deg=90.0)
    assert ctf(0.0, 0.0, with_contrast) == pytest.approx(math.sqrt(1 - 0.01))


def test_phase_term_by_term() -> None:
    """Worked by hand at 300 kV and 4 Å: pi lambda 10,000/16 = 38.6563, (pi/2) 2.7e7 lambda³/256 = 1.26420."""
    bare = Lens(amplitude_contrast=0.0, cs_mm=0.0)
    assert phase_rad(0.25, 10_000.0, bare) == pytest.approx(38.6563, abs=1e-4)
    both = Lens(amplitude_contrast=0.0)
    assert phase_rad(0.25, 0.0, both) == pytest.approx(-1.26420, abs=1e-5)


def test_scherzer_focus_keeps_a_broad_band() -> None:
    """At sqrt(Cs lambda) underfocus the two terms cancel at k = (Cs lambda³ / 4)^(-1/4): a zero of pure phase."""
    lens = Lens(amplitude_contrast=0.0)
    cs_A, wavelength = 2.7e7, wavelength_A(300.0)
    zero = (cs_A * wavelength**3 / 4) ** -0.25
    assert ctf(zero, math.sqrt(cs_A * wavelength), lens) == pytest.approx(0.0, abs=1e-9)
    inside = ctf(np.linspace(0.3, 0.9, 20) * zero, math.sqrt(cs_A * wavelength), lens)
    assert (inside > 0).all()


def test_frequencies_and_defocus_broadcast() -> None:
    k, defocus_A = np.linspace(0, 0.4, 7), np.array([[10_000.0], [30_000.0]])
    together = ctf(k, defocus_A, Lens())
    assert together.shape == (2, 7)
    np.testing.assert_array_equal(together[1], ctf(k, 30_000.0, Lens()))


def averaged(k: float, defocus_A: float, lens: Lens, spread_A: float = 0.0, width_per_A: float = 0.0) -> float:
    """Give the mean of CTF² over both spreads, by the midpoint rule."""
    middles = (np.arange(1500) + 0.5) / 1500 - 0.5
    focus = defocus_A + spread_A * (middles[:, None] if spread_A else np.zeros((1, 1)))
    band = k + width_per_A * (middles if width_per_A else np.zeros(1))
    return float(np.mean(ctf(band, focus, lens) ** 2))


@laws
@given(frequencies, defoci_A, st.floats(0, 15_000), lenses)
def test_the_mean_over_defocus_is_exact(k: float, defocus_A: float, spread_A: float, lens: Lens) -> None:
    mean = mean_ctf2(k, defocus_A, lens, spread_A=spread_A)
    # 1500 midpoints of at most 62 turns of CTF² miss less than a thousandth.
    assert mean == pytest.approx(averaged(k, defocus_A, lens, spread_A=spread_A), abs=1e-3)


@laws
@given(st.floats(0.05, 0.4), defoci_A, st.floats(0, 0.003), lenses)
def test_the_mean_over_a_band(k: float, defocus_A: float, width_per_A: float, lens: Lens) -> None:
    mean = mean_ctf2(k, defocus_A, lens, width_per_A=width_per_A)
    # Chi is taken as straight: its bend across the half of a band is what the mean may miss.
    wavelength, half = wavelength_A(lens.voltage_kV), width_per_A / 2
    cs_A = lens.cs_mm * 1e7
    bend_per_A2 = math.pi * wavelength * (abs(defocus_A) + 3 * cs_A * (wavelength * (k + half)) ** 2)
    missed = bend_per_A2 * half**2
    assert mean == pytest.approx(averaged(k, defocus_A, lens, width_per_A=width_per_A), abs=missed + 1e-3)


def test_the_mean_over_both_at_once() -> None:
    lens = Lens()
    for k in (0.03, 0.05, 0.08, 0.12):
        mean = mean_ctf2(k, 30_000.0, lens, spread_A=2000.0, width_per_A=0.002)
        assert mean == pytest.approx(averaged(k, 30_000.0, lens, 2000.0, 0.002), abs=0.01)


@laws
@given(frequencies, defoci_A, lenses, st.floats(0, 1e5), st.floats(0, 0.1))
def test_no_spread_is_ctf_squared_and_much_is_a_half(
    k: float, defocus_A: float, lens: Lens, spread_A: float, width_per_A: float
) -> None:
    assert mean_ctf2(k, defocus_A, lens) == pytest.approx(ctf(k, defocus_A, lens) ** 2, abs=1e-9)
    assert 0 <= mean_ctf2(k, defocus_A, lens, spread_A=spread_A, width_per_A=width_per_A) <= 1
    assert mean_ctf2(0.3, defocus_A, lens, spread_A=1e9) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("voltage_kV", [100.0, 200.0, 300.0])
@pytest.mark.parametrize("k", [0.1, 0.3, 0.5])
def test_the_envelope_is_the_mean_of_the_phase_over_energies(voltage_kV: float, k: float) -> None:
    """Cc moves focus by Cc d(p²)/p²; the wavelength says what p² is. Average the phase over a bell of energies."""
    lens = Lens(voltage_kV=voltage_kV, cc_mm=2.7, energy_spread_eV=0.7)
    sigma_eV = 0.7 / 2.354820
    step_kV = 0.1
    # p² goes as 1 / lambda²: its relative change for each eV.
    change = (wavelength_A(voltage_kV + step_kV) / wavelength_A(voltage_kV - step_kV)) ** -2
    relative_per_eV = math.log(change) / (2 * step_kV * 1e3)
    energies_eV = np.linspace(-6, 6, 4001) * sigma_eV
    bell = np.exp(-0.5 * (energies_eV / sigma_eV) ** 2)
    focus_A = 2.7e7 * relative_per_eV * energies_eV
    expected = np.average(np.cos(math.pi * wavelength_A(voltage_kV) * focus_A * k * k), weights=bell)
    assert temporal_envelope(k, lens) == pytest.approx(expected, abs=1e-5)


def test_no_spread_of_energy_costs_nothing() -> None:
    k = np.linspace(0, 0.6, 13)
    np.testing.assert_array_equal(temporal_envelope(k, Lens(energy_spread_eV=0.0)), 1.0)
    usual = temporal_envelope(k, Lens())
    assert usual[0] == 1
    assert (np.diff(usual) < 0).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("voltage_kV", 20.0),
        ("voltage_kV", math.nan),
        ("cs_mm", -1.0),
        ("cs_mm", math.inf),
        ("amplitude_contrast", 1.0),
        ("amplitude_contrast", math.nan),
        ("phase_shift_deg", math.inf),
        ("voltage", 300.0),
    ],
)
def test_a_lens_that_cannot_be(name: str, value: float) -> None:
    with pytest.raises(ValidationError, match=name):
        Lens.model_validate({name: value})


@pytest.mark.parametrize(
    ("defocus_A", "lens", "pixel_A"),
    [
        (30_000.0, Lens(), 1.5),
        (-10_000.0, Lens(voltage_kV=200.0, cs_mm=2.0, amplitude_contrast=0.07), 1.0),
        (5000.0, Lens(phase_shift_deg=90.0), 2.0),
        (50_000.0, Lens(amplitude_contrast=0.2, phase_shift_deg=30.0), 1.35),
    ],
)
def test_torch_ctf_has_the_same_sign_and_values(defocus_A: float, lens: Lens, pixel_A: float) -> None:
    if importlib.util.find_spec("torch_ctf") is None:
        pytest.skip("torch_ctf, an independent CTF, is not installed: pip install torch-ctf to compare with it")
    torch_ctf = importlib.import_module("torch_ctf")
    theirs_of = {
        "voltage": lens.voltage_kV,
        "spherical_aberration": lens.cs_mm,
        "amplitude_contrast": lens.amplitude_contrast,
        "phase_shift": lens.phase_shift_deg,
        "pixel_size": pixel_A,
        "defocus": defocus_A / 1e4,
    }
    line = torch_ctf.calculate_ctf_1d(n_samples=200, oversampling_factor=1, **theirs_of).numpy()
    # Theirs is in single precision, and its phase runs to some hundred radians.
    np.testing.assert_allclose(ctf(np.linspace(0, 0.5, 200) / pixel_A, defocus_A, lens), line, rtol=0, atol=5e-4)
    plane = torch_ctf.calculate_ctf_2d(
        astigmatism=0.0, astigmatism_angle=0.0, image_shape=(64, 64), rfft=True, fftshift=False, **theirs_of
    ).numpy()
    k = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.rfftfreq(64)) / pixel_A
    np.testing.assert_allclose(ctf(k, defocus_A, lens), plane.squeeze(), rtol=0, atol=5e-4)
