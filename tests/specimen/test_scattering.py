import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import constants

from eucentric.specimen.scattering import (
    B_FACTOR_A2,
    CHANNELS,
    ICE_MOLECULES_PER_A3,
    POTENTIAL_V_A2,
    Basis,
    ice_potential_V,
    potential_in_ice_VA3,
    scattering_factor_A,
)

laws = settings(max_examples=30, deadline=None, derandomize=True)
LIGHT = [1, 6, 7, 8, 15, 16]


def test_the_constant_is_that_of_nature() -> None:
    """h²/(2 pi m e), in V Å²."""
    of_nature = constants.h**2 / (2 * np.pi * constants.m_e * constants.e) * 1e20
    assert pytest.approx(of_nature, rel=1e-5) == POTENTIAL_V_A2  # today's constants; it has an older e/m


@pytest.mark.parametrize(("number", "factor_A"), [(1, 0.529), (6, 2.509), (7, 2.211), (8, 1.983), (16, 5.161)])
def test_forward_scattering_is_as_tabulated(number: int, factor_A: float) -> None:
    """International Tables C, 4.3.1.1, has these at 0; Peng's Gaussians are fitted to within some 0.5 %."""
    assert scattering_factor_A(number, 0.0) == pytest.approx(factor_A, rel=0.005)


@pytest.mark.parametrize("number", [6, 7, 8, 15, 16, 26, 79])
def test_mott_and_bethe_have_the_same_from_x_rays(number: int) -> None:
    """``f = 0.023934 (Z - fx) / s²`` Å, s = k/2, with the X-ray factors of the same atoms: tables of other authors."""
    k = np.linspace(0.3, 1.5, 7)
    rays = gemmi.Element(number).it92
    scattered = [number - rays.calculate_sf(stol2=float(s2)) for s2 in (k / 2) ** 2]
    expected = 0.023934 * np.array(scattered) / (k / 2) ** 2
    np.testing.assert_allclose(scattering_factor_A(number, k), expected, rtol=0.03)


def test_hydrogen_is_that_of_its_wave_function() -> None:
    """The 1s orbital's X-ray factor is ``(1 + (pi a0 k)²)^-2``; Mott and Bethe make the electron's of it."""
    k, bohr_A = np.linspace(0.1, 1.5, 8), constants.value("Bohr radius") * 1e10
    expected = 0.023934 * (1 - (1 + (np.pi * bohr_A * k) ** 2) ** -2) / (k / 2) ** 2
    np.testing.assert_allclose(scattering_factor_A(1, k), expected, rtol=0.02)


@laws
@given(st.sampled_from(LIGHT), st.lists(st.floats(0, 2), min_size=2, max_size=9))
def test_factors_fall_with_frequency_and_keep_its_shape(number: int, frequencies: list[float]) -> None:
    k = np.sort(frequencies)
    factor = scattering_factor_A(number, k)
    assert factor.shape == k.shape
    assert (np.diff(factor) <= 1e-12).all()
    assert (factor > 0).all()


@pytest.mark.parametrize("number", [0, 99, 116])
def test_an_element_without_a_factor_is_named(number: int) -> None:
    with pytest.raises(ValueError, match=f"number {number}"):
        scattering_factor_A(number, 0.1)


def test_ice_has_its_mean_inner_potential() -> None:
    """4.57 V of free atoms; by density, 0.94 g/cm³ is 0.0314 molecules in each Å³."""
    assert ice_potential_V() == pytest.approx(4.57, abs=0.02)
    density = ICE_MOLECULES_PER_A3 * 1e24 * 18.015 / constants.N_A
    assert density == pytest.approx(0.94, abs=0.005)


def test_the_contrast_of_protein_in_ice_is_some_three_volts() -> None:
    """C5 N1.35 O1.5 with its hydrogens, 110 Da in 139 Å³: 7.8 V less 4.6 V of ice, both those of free atoms."""
    share = {6: 5.0, 7: 1.35, 8: 1.5}
    integral = sum(n * float(potential_in_ice_VA3(number, 0.0)) for number, n in share.items())
    hydrogens = 5 * 1.2 + 1.35 * 1.1 + 1.5 * 0.15
    own = sum(n * POTENTIAL_V_A2 * float(scattering_factor_A(number, 0.0)) for number, n in share.items())
    own += hydrogens * POTENTIAL_V_A2 * float(scattering_factor_A(1, 0.0))
    volume_A3 = (own - integral) / ice_potential_V()
    mass_Da = 5 * 12.011 + 1.35 * 14.007 + 1.5 * 15.999 + hydrogens * 1.008
    assert mass_Da / volume_A3 / 0.6022 == pytest.approx(1.35, abs=0.05)  # g/cm³, as of proteins
    assert integral / volume_A3 == pytest.approx(3.2, abs=0.1)


@laws
@given(st.sampled_from(LIGHT), st.booleans())
def test_what_is_displaced_is_ice_and_only_at_low_frequency(number: int, hydrogens: bool) -> None:
    own = POTENTIAL_V_A2 * scattering_factor_A(number, 0.0)
    assert potential_in_ice_VA3(number, 0.0, hydrogens=False) < own
    # At 1/1.5 Å the Gaussian of 2.5 Å³ or more has gone to less than 0.08 of its volume.
    k = 1.2
    bare = potential_in_ice_VA3(number, k, hydrogens=False)
    assert bare == pytest.approx(float(POTENTIAL_V_A2 * scattering_factor_A(number, k)), abs=0.01)
    with_hydrogens = float(potential_in_ice_VA3(number, k, hydrogens=hydrogens))
    assert with_hydrogens >= bare - 0.01


# --- the basis


@pytest.mark.parametrize(("pixel_A", "most"), [(1.0, 0.02), (2.0, 0.015), (3.0, 0.005), (10.0, 1e-3)])
def test_two_curves_make_up_those_of_the_common_elements(pixel_A: float, most: float) -> None:
    """To 1 % at 2 Å pixels, 2 % at 1 Å: rms of what is missed over that of protein's curves, with their disorder."""
    basis = Basis.up_to(0.5 * np.sqrt(2) / pixel_A)
    shares = {6: 0.62, 7: 0.17, 8: 0.2, 15: 0.02, 16: 0.01}
    weights = basis.weights(np.array(list(shares)))
    assert weights.shape == (len(shares), CHANNELS)
    disorder = np.exp(-B_FACTOR_A2 * basis.k**2 / 4)
    missed = power = 0.0
    for (number, share), own in zip(shares.items(), weights, strict=True):
        exact = potential_in_ice_VA3(number, basis.k) * disorder
        missed += share * float(np.square(own @ basis.curves - exact).sum())
        power += share * float(np.square(exact).sum())
    assert np.sqrt(missed / power) < most


def test_weights_are_those_of_each_atom() -> None:
    basis = Basis.up_to(0.2)
    several = basis.weights(np.array([8, 6, 8, 1]))
    for index, number in enumerate((8, 6, 8, 1)):
        np.testing.assert_array_equal(several[index], basis.weights(np.array([number]))[0])
    assert not np.allclose(several[1], basis.weights(np.array([6]), hydrogens=False)[0])


def test_curves_lie_between_their_places_and_stay_beyond_the_last() -> None:
    basis = Basis.up_to(0.2)
    np.testing.assert_allclose(basis.at(basis.k), basis.curves)
    assert basis.at(np.zeros((3, 2))).shape == (CHANNELS, 3, 2)
    np.testing.assert_array_equal(basis.at(0.9), basis.curves[:, -1])
    middle = (basis.k[10] + basis.k[11]) / 2
    np.testing.assert_allclose(basis.at(middle), basis.curves[:, 10:12].mean(axis=1))
