import importlib.util
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from eucentric.optics import (
    Aberrations,
    Lens,
    coma_phase_rad,
    ctf,
    envelope,
    even_phase_rad,
    phase_rad,
    plane_frequencies,
    temporal_envelope,
    wavelength_A,
)

laws = settings(max_examples=60, deadline=None, derandomize=True)
components = st.floats(-0.3, 0.3)
tilts_mrad = st.tuples(st.floats(-3, 3), st.floats(-3, 3))
several = st.builds(
    Aberrations,
    defocus_A=st.floats(-50_000, 50_000),
    astigmatism_A=st.floats(0, 5000),
    astigmatism_deg=st.floats(-180, 180),
    beam_tilt_yx_mrad=tilts_mrad,
    illumination_mrad=st.floats(0, 0.1),
)
ROUNDING_rad = 1e-9  # of phases up to some ten thousand


# --- defocus and astigmatism


@laws
@given(components, components, several)
def test_the_even_phase_is_the_same_for_opposite_directions(ky: float, kx: float, aberrations: Aberrations) -> None:
    here = even_phase_rad(ky, kx, aberrations, Lens())
    assert even_phase_rad(-ky, -kx, aberrations, Lens()) == pytest.approx(here, abs=ROUNDING_rad)


@laws
@given(components, components, st.floats(-50_000, 50_000))
def test_without_astigmatism_it_is_the_phase_of_the_radial_ctf(ky: float, kx: float, defocus_A: float) -> None:
    radial = phase_rad(math.hypot(ky, kx), defocus_A, Lens())
    plane = even_phase_rad(ky, kx, Aberrations(defocus_A=defocus_A), Lens())
    assert plane == pytest.approx(radial, abs=ROUNDING_rad)


@laws
@given(st.floats(0.01, 0.3), several)
def test_along_its_direction_the_defocus_is_greater_by_half_the_astigmatism(k: float, aberrations: Aberrations) -> None:
    angle = math.radians(aberrations.astigmatism_deg)  # from x towards y
    for turn, sign in ((0, 1), (math.pi / 2, -1), (math.pi / 4, 0), (math.pi, 1)):
        direction = math.sin(angle + turn), math.cos(angle + turn)
        defocus_A = aberrations.defocus_A + sign * aberrations.astigmatism_A / 2
        found = even_phase_rad(k * direction[0], k * direction[1], aberrations, Lens())
        assert found == pytest.approx(phase_rad(k, defocus_A, Lens()), abs=ROUNDING_rad)


@laws
@given(components, components, several)
def test_astigmatism_is_a_quadratic_form(ky: float, kx: float, aberrations: Aberrations) -> None:
    """An oracle without angles: ``k² cos 2(phi - a) = (kx² - ky²) cos 2a + 2 kx ky sin 2a``."""
    twice = 2 * math.radians(aberrations.astigmatism_deg)
    form = (kx * kx - ky * ky) * math.cos(twice) + 2 * kx * ky * math.sin(twice)
    extra = math.pi * wavelength_A(300.0) * aberrations.astigmatism_A / 2 * form
    round_ = phase_rad(math.hypot(ky, kx), aberrations.defocus_A, Lens())
    assert even_phase_rad(ky, kx, aberrations, Lens()) == pytest.approx(round_ + extra, abs=ROUNDING_rad)


# --- coma


@laws
@given(components, components, several)
def test_coma_is_odd(ky: float, kx: float, aberrations: Aberrations) -> None:
    here = coma_phase_rad(ky, kx, aberrations, Lens())
    assert coma_phase_rad(-ky, -kx, aberrations, Lens()) == pytest.approx(-here, abs=ROUNDING_rad)


@laws
@given(st.floats(0.01, 0.3), st.floats(-180, 180), st.floats(-180, 180), st.floats(0, 3))
def test_coma_grows_with_the_cube_of_the_frequency_and_with_the_tilt_along_it(
    k: float, direction_deg: float, tilted_deg: float, tilt_mrad: float
) -> None:
    """``2 pi Cs lambda² k³ t cos(angle between them)``: the odd part of Cs's phase about a tilted axis."""
    direction, tilted = math.radians(direction_deg), math.radians(tilted_deg)
    aberrations = Aberrations(
        defocus_A=0.0, beam_tilt_yx_mrad=(tilt_mrad * math.sin(tilted), tilt_mrad * math.cos(tilted))
    )
    magnitude = 2 * math.pi * 2.7e7 * wavelength_A(300.0) ** 2 * k**3 * tilt_mrad * 1e-3
    found = coma_phase_rad(k * math.sin(direction), k * math.cos(direction), aberrations, Lens())
    assert found == pytest.approx(magnitude * math.cos(direction - tilted), abs=1e-12 + 1e-9 * magnitude)


def test_coma_is_what_spherical_aberration_becomes_under_a_tilted_beam() -> None:
    """Shift Cs's phase by the beam's own frequency t/lambda and take what is odd and of third order in k."""
    tilt, k = 1e-4, 0.25
    lens = Lens(amplitude_contrast=0.0)
    aside = tilt / wavelength_A(300.0)
    odd = (phase_rad(k + aside, 0.0, lens) - phase_rad(k - aside, 0.0, lens)) / 2
    found = abs(float(coma_phase_rad(0.0, k, Aberrations(defocus_A=0.0, beam_tilt_yx_mrad=(0.0, 0.1)), lens)))
    # The term of first order in k, a shift of the image, is (t / lambda k)² of it: 4e-4.
    assert found == pytest.approx(abs(float(odd)), rel=1e-3)


# --- envelope


def test_the_envelope_without_illumination_is_that_of_energies() -> None:
    k = np.linspace(0, 0.5, 11)
    np.testing.assert_array_equal(envelope(k, Aberrations(defocus_A=2e4), Lens()), temporal_envelope(k, Lens()))


@pytest.mark.parametrize(("k", "defocus_A"), [(0.05, 50_000.0), (0.1, 30_000.0), (0.25, -8000.0)])
def test_the_spatial_envelope_is_the_mean_over_directions(k: float, defocus_A: float) -> None:
    """A beam from the angle a shifts the phase's argument by a/lambda: average over a bell of angles."""
    illumination_mrad, lens = 0.02, Lens(energy_spread_eV=0.0)
    angles = np.linspace(-6, 6, 4001) * illumination_mrad * 1e-3
    bell = np.exp(-0.5 * (angles / (illumination_mrad * 1e-3)) ** 2)
    turned = phase_rad(k + angles / wavelength_A(300.0), defocus_A, lens) - phase_rad(k, defocus_A, lens)
    turned -= phase_rad(angles / wavelength_A(300.0), defocus_A, lens) - phase_rad(0.0, defocus_A, lens)
    expected = np.average(np.exp(1j * turned), weights=bell)
    found = envelope(k, Aberrations(defocus_A=defocus_A, illumination_mrad=illumination_mrad), lens)
    # The phase is taken as straight over the bell.
    assert found == pytest.approx(abs(expected), abs=1e-3)
    assert found < 0.999


@laws
@given(st.floats(0, 0.5), several)
def test_an_envelope_only_takes(k: float, aberrations: Aberrations) -> None:
    assert 0 <= envelope(k, aberrations, Lens()) <= 1
    assert envelope(0.0, aberrations, Lens()) == 1


# --- the frequencies of a plane


@laws
@given(st.integers(1, 12), st.integers(1, 12), st.floats(0.5, 20))
def test_frequencies_are_those_of_the_transform(rows: int, columns: int, pixel_A: float) -> None:
    """A wave of a frequency of the grid goes through whole turns over its length."""
    ky, kx = plane_frequencies((rows, columns), pixel_A)
    assert (ky.shape, kx.shape) == ((rows, 1), (1, columns))
    np.testing.assert_allclose(ky[:, 0] * rows * pixel_A, np.fft.fftfreq(rows) * rows, atol=1e-9)
    _, half = plane_frequencies((rows, columns), pixel_A, half=True)
    assert half.shape == (1, columns // 2 + 1)
    np.testing.assert_allclose(np.abs(kx[:, : columns // 2 + 1]), half)


# --- input that cannot be, and others' values


@pytest.mark.parametrize(
    ("name", "value"),
    [("astigmatism_A", -1.0), ("illumination_mrad", -0.1), ("illumination_mrad", math.inf), ("defocus_A", math.nan)],
)
def test_aberrations_that_cannot_be(name: str, value: float) -> None:
    with pytest.raises(ValidationError, match=name):
        Aberrations.model_validate({"defocus_A": 1e4, name: value})


def test_torch_ctf_has_the_same_astigmatism() -> None:
    if importlib.util.find_spec("torch_ctf") is None:
        pytest.skip("torch_ctf, an independent CTF, is not installed: pip install torch-ctf to compare with it")
    torch_ctf = importlib.import_module("torch_ctf")
    pixel_A = 1.5
    theirs = torch_ctf.calculate_ctf_2d(
        defocus=2.0,
        astigmatism=0.05,  # half the difference of the two, in µm
        astigmatism_angle=25.0,
        voltage=300.0,
        spherical_aberration=2.7,
        amplitude_contrast=0.1,
        phase_shift=0.0,
        pixel_size=pixel_A,
        image_shape=(64, 64),
        rfft=True,
        fftshift=False,
    ).numpy()
    ky, kx = plane_frequencies((64, 64), pixel_A, half=True)
    ours = Aberrations(defocus_A=20_000.0, astigmatism_A=1000.0, astigmatism_deg=25.0)
    plane = np.sin(even_phase_rad(ky, kx, ours, Lens()))
    # Theirs is in single precision, and its phase runs to some hundred radians.
    np.testing.assert_allclose(plane, theirs.squeeze(), rtol=0, atol=1e-3)
    assert np.abs(plane - ctf(np.hypot(ky, kx), 20_000.0, Lens())).max() > 0.5
