import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.core.counter import stream_key
from eucentric.specimen.scattering import ICE_MOLECULES_PER_A3, POTENTIAL_V_A2
from eucentric.specimen.solvent import (
    CARBON_ATOMS_PER_A3,
    carbon_amplitude,
    carbon_structure_factor,
    draw_layer,
    ice_amplitude,
    ice_memory,
    ice_structure_factor,
)

laws = settings(max_examples=30, deadline=None, derandomize=True)
Floats = NDArray[np.float32]


# --- structure


def test_ice_is_even_at_low_frequency_and_has_its_ring() -> None:
    """0.06 at the origin, 2 at 1/3.7 Å, 1 beyond."""
    k = np.linspace(0, 1, 2001)
    structure = ice_structure_factor(k)
    assert structure[0] == pytest.approx(0.06, abs=0.01)
    assert 1 / k[structure.argmax()] == pytest.approx(3.7, abs=0.1)
    assert structure.max() == pytest.approx(2.0, abs=0.1)
    np.testing.assert_allclose(structure[k > 0.45], 1, atol=0.01)
    assert (structure > 0).all()


def test_the_origin_is_that_of_a_compressible_liquid_frozen() -> None:
    """``n kT kappa``: 0.06 for water's compressibility of 4.5e-10 /Pa near the glass transition is 0.02 to 0.06."""
    n_kT_kappa = ICE_MOLECULES_PER_A3 * 1e30 * 1.381e-23 * 280 * 4.5e-10
    assert ice_structure_factor(0.0) == pytest.approx(n_kT_kappa, rel=0.2)


def test_amplitudes_are_roots_of_power_per_thickness() -> None:
    """Water at 0: f = 1.983 + 2 * 0.529 Å; carbon 2.509 Å."""
    water = POTENTIAL_V_A2 * (1.983 + 2 * 0.529)
    expected = water * np.sqrt(ICE_MOLECULES_PER_A3 * ice_structure_factor(0.0))
    assert ice_amplitude(0.0) == pytest.approx(float(expected), rel=0.01)
    carbon = POTENTIAL_V_A2 * 2.509 * np.sqrt(CARBON_ATOMS_PER_A3 * carbon_structure_factor(0.0))
    assert carbon_amplitude(0.0) == pytest.approx(float(carbon), rel=0.01)
    k = np.zeros((2, 3))
    assert ice_amplitude(k).shape == carbon_amplitude(k).shape == (2, 3)


def test_carbon_has_more_atoms_and_more_grain_than_ice() -> None:
    k = np.linspace(0.01, 0.2, 20)
    assert (carbon_amplitude(k) > ice_amplitude(k)).all()
    density = 12.011 * CARBON_ATOMS_PER_A3 / 0.6022
    assert density == pytest.approx(2.0, abs=0.01)


# --- movement


@laws
@given(st.floats(0, 0.5), st.floats(0, 40), st.floats(0, 40))
def test_what_is_forgotten_stays_forgotten(k: float, first: float, second: float) -> None:
    whole = ice_memory(k, first + second)
    assert whole == pytest.approx(float(ice_memory(k, first) * ice_memory(k, second)), abs=1e-12)
    assert ice_memory(k, 0.0) == 1
    assert ice_memory(0.0, first) == 1


def test_the_memory_is_that_of_molecules_that_walk() -> None:
    """3 e/Å² move each by 1.8 Å rms in space: the mean of their phases, along one axis, at 1/4 Å."""
    draw = np.random.default_rng(1)
    moved_A = draw.normal(size=(200_000, 3)) * np.sqrt(3.3 / 3)
    expected = np.mean(np.cos(2 * np.pi * 0.25 * moved_A[:, 0]))
    assert np.mean(np.square(moved_A).sum(axis=1)) == pytest.approx(3.3, rel=0.01)
    assert ice_memory(0.25, 3.0) == pytest.approx(float(expected), abs=0.01)


# --- draws


def drawn(path: Floats, shape: tuple[int, int], name: str = "a", coarse: int = 8) -> Floats:
    into = np.full(shape, np.nan, np.float32)
    draw_layer(stream_key(1, name), path, coarse, into)
    return into


def even(path_A: float, shape: tuple[int, int], coarse: int = 8) -> Floats:
    return np.full((-(-shape[0] // coarse) + 2, -(-shape[1] // coarse) + 2), path_A, np.float32)


@laws
@given(st.floats(0.1, 5000))
def test_a_layer_has_the_variance_of_its_path_and_no_mean(path_A: float) -> None:
    """4096 pixels know the variance to 2.2 %, and that of 64 coins to a little better."""
    noise = drawn(even(path_A, (64, 64)), (64, 64)).astype(float)
    assert noise.var() / path_A == pytest.approx(1, abs=0.1)
    assert abs(noise.mean()) < 4.5 * np.sqrt(path_A) / 64


def test_draws_are_bell_shaped_and_white() -> None:
    noise = drawn(even(1.0, (256, 256)), (256, 256)).astype(float)
    assert np.mean(noise**3) == pytest.approx(0, abs=0.05)
    assert np.mean(noise**4) == pytest.approx(3 - 2 / 64, abs=0.08)  # of 64 coins
    power = np.abs(np.fft.fft2(noise)) ** 2 / noise.size
    for part in (power[:64, :64], power[64:128, 64:128], power[:64, 64:128]):
        assert part.mean() == pytest.approx(1, abs=0.06)  # 4096 values, each known to 1
    for down, across in ((0, 1), (1, 0), (1, 1)):
        assert abs(np.mean(noise * np.roll(noise, (down, across), axis=(0, 1)))) < 0.02


def test_the_variance_follows_the_path_and_ends_where_it_does() -> None:
    """Along straight lines between the coarse places: 0 at the left, then rising."""
    coarse = np.zeros((10, 10), np.float32)
    coarse[:, 3:] = 10.0 * np.arange(7, dtype=np.float32)
    draws = np.array([drawn(coarse, (64, 64), f"layer {n}") for n in range(40)], float)
    expected = 10.0 * np.maximum(np.arange(64) / 8 - 3, 0)
    np.testing.assert_array_equal(draws[:, :, :25], 0)
    np.testing.assert_allclose(np.square(draws).mean(axis=(0, 1))[26:], expected[26:], rtol=0.15)


def test_layers_differ_and_a_layer_is_the_same_each_time() -> None:
    path = even(1.0, (64, 64))
    first, again, other = (drawn(path, (64, 64), name) for name in ("a", "a", "b"))
    np.testing.assert_array_equal(first, again)
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.07


def test_a_pixel_is_the_same_in_a_larger_image_and_with_any_number_of_threads() -> None:
    small, large = drawn(even(1.0, (16, 24)), (16, 24)), drawn(even(1.0, (64, 64)), (64, 64))
    np.testing.assert_array_equal(small, large[:16, :24])
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        alone = drawn(even(1.0, (64, 64)), (64, 64))
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(alone, large)
