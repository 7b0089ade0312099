import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from twin_cases import PLAIN, bare_spectra, gold, in_ice, in_vacuum, tilted

from eucentric.optics import Aberrations, even_phase_rad, interaction_rad_per_VA, wavelength_A
from eucentric.specimen.matrix import Matrix
from eucentric.specimen.sample import Sample
from eucentric.specimen.scattering import ice_potential_V
from eucentric.specimen.solvent import GOLD_V, ice_amplitude
from eucentric.twin.beads import GOLD_ABSORPTION_A, bead_waves
from eucentric.twin.field import Field
from eucentric.twin.formation import Spectra, form, image_of
from eucentric.twin.scene import Scene

Array = NDArray[np.float64]

laws = settings(max_examples=15, deadline=None, derandomize=True)
tilts_deg = st.floats(-70, 70)
IN_FOCUS = Aberrations(defocus_A=0.0)
SIGMA = interaction_rad_per_VA(300.0)


# --- ice


def ice_of(thickness_A: float, field: Field, aberrations: Aberrations, seed: int) -> Spectra:
    scene = Scene.of(in_ice(thickness_A), field.pixel_A)
    return form(scene, tilted(0.0), field, PLAIN, aberrations, seed=seed)


def power_by_k(spectra: list[Spectra], field: Field, bins: NDArray[np.float64]) -> Array:
    """Give the mean power of ice's contrast, per Å⁻²: of both grains of several exposures."""
    powers = [np.abs(ice) ** 2 for one in spectra for ice in one.ice]
    rows, columns = field.padded_yx
    mean = np.mean(powers, axis=0) * field.pixel_A**2 / (rows * columns)
    index = np.digitize(field.k.ravel(), bins)
    total = np.bincount(index, mean.ravel(), len(bins) + 1) / np.maximum(np.bincount(index, minlength=len(bins) + 1), 1)
    return np.asarray(total[1:-1])


@pytest.mark.parametrize("thickness_A", [30.0, 120.0])
def test_the_grain_of_a_thin_layer_of_ice_has_the_power_of_its_molecules(thickness_A: float) -> None:
    """``n t S F² (2 sigma sin chi)²`` to 3 %: a ring holds some 2000 amplitudes in the mean over seeds and grains."""
    field, aberrations = Field((96, 96), 2.0), Aberrations(defocus_A=3000.0)
    spectra = [ice_of(thickness_A, field, aberrations, seed) for seed in range(6)]
    bins = np.linspace(0.03, 0.24, 8)
    found = power_by_k(spectra, field, bins)
    expected = thickness_A * np.square(
        2 * SIGMA * ice_amplitude(field.k) * np.sin(even_phase_rad(*field.frequencies(half=True), aberrations, PLAIN))
    )
    index = np.digitize(field.k.ravel(), bins)
    mean = np.bincount(index, expected.ravel(), len(bins) + 1)[1:-1] / np.bincount(index, minlength=len(bins) + 1)[1:-1]
    np.testing.assert_allclose(found, mean, rtol=0.05)
    assert found.sum() == pytest.approx(mean.sum(), rel=0.03)


def test_the_depth_of_a_slab_takes_its_thon_rings_away_and_brings_them_back() -> None:
    """First at ``1/sqrt(lambda t)``, 4.44 Å for 1000 Å, within 3 % (issue 4): the contrast of the rings turns over."""
    field, thickness_A, defocus_A = Field((256, 256), 1.6), 1000.0, 12_000.0
    spectra = [ice_of(thickness_A, field, Aberrations(defocus_A=defocus_A), seed) for seed in range(3)]
    power = np.mean([np.abs(ice) ** 2 for one in spectra for ice in one.ice], axis=0) / ice_amplitude(field.k) ** 2
    rings = np.cos(2 * even_phase_rad(0.0, field.k, Aberrations(defocus_A=defocus_A), PLAIN))
    resolutions_A = np.arange(3.6, 6.6, 0.2)
    modulation = []
    for resolution_A in resolutions_A:
        band = np.abs(field.k - 1 / resolution_A) < 0.012  # some rings wide
        slope, mean = np.polyfit(rings[band], power[band], 1)
        modulation.append(slope / mean)
    # Rings are 1 - cos(2 chi): less at first, more beyond the node.
    predicted = -np.sinc(wavelength_A(300.0) / resolutions_A**2 * thickness_A)
    np.testing.assert_allclose(modulation, predicted, atol=0.1)
    turned = np.array(modulation) > 0
    assert turned[0]
    assert not turned[-1]
    last = int(np.flatnonzero(turned)[-1])
    share = modulation[last] / (modulation[last] - modulation[last + 1])
    node_A = resolutions_A[last] + share * (resolutions_A[last + 1] - resolutions_A[last])
    assert node_A == pytest.approx(4.44, rel=0.03)


def test_ice_is_drawn_by_seed_and_name() -> None:
    field = Field((32, 32), 4.0)
    scene = Scene.of(in_ice(100.0), field.pixel_A)

    def grain(seed: int, *names: str | int) -> NDArray[np.complex64]:
        return form(scene, tilted(0.0), field, PLAIN, Aberrations(defocus_A=2e4), seed=seed, names=names).ice[0]

    np.testing.assert_array_equal(grain(1, "exposure", 2), grain(1, "exposure", 2))
    for other in (grain(1, "exposure", 3), grain(2, "exposure", 2)):
        likeness = np.corrcoef(image_of(other, field).ravel(), image_of(grain(1, "exposure", 2), field).ravel())[0, 1]
        assert abs(likeness) < 0.15  # 1024 pixels that neighbours share: chance gives 0.05
    assert not form(scene, tilted(0.0), field, PLAIN, IN_FOCUS, solvent=False).ice[0].any()


def test_carbon_has_grain_outside_its_hole_only() -> None:
    field = Field((96, 96), 4.0)
    matrix = Matrix(
        np.full((2, 2), -50.0),
        np.full((2, 2), 50.0),
        hole_radius_A=300.0,
        hole_centre_yx_A=(0.0, -150.0),
        carbon_A=100.0,
    )
    scene = Scene.of(Sample("at the edge", matrix), field.pixel_A)
    spectra = form(scene, tilted(0.0), field, PLAIN, Aberrations(defocus_A=2000.0))
    image = image_of(spectra.lasting, field)
    y, x = (np.arange(96) - 48)[:, None] * 4.0, (np.arange(96) - 48)[None] * 4.0
    away = np.hypot(y, x + 150.0)
    # Fresnel fringes of the edge reach some 40 Å at this defocus; COARSE_PX steps are 32 Å wide.
    assert image[away < 200].std() < 0.25 * image[away > 350].std()
    np.testing.assert_allclose(spectra.path_A[away < 255], 100.0, rtol=1e-3)
    np.testing.assert_allclose(spectra.path_A[away > 345], 200.0, rtol=1e-3)


# --- gold


@pytest.mark.parametrize("pixel_A", [2.0, 8.0, 20.0])
def test_a_bead_scatters_as_a_sphere_does(pixel_A: float) -> None:
    """Its wave, summed, is ``2 pi`` times the integral of ``s (exp(2 c s) - 1)`` over s from 0 to the radius."""
    radius_A, field = 60.0, Field((64, 64), pixel_A)
    (wave,) = bead_waves(
        np.array([[0.0, 3.3, -7.1]]), np.array([radius_A]), np.array([-200.0, 200.0]), field, SIGMA
    ).values()
    c = 1j * SIGMA * (GOLD_V - ice_potential_V()) - 0.5 / GOLD_ABSORPTION_A
    exact = np.exp(2 * c * radius_A) * (radius_A / (2 * c) - 1 / (4 * c**2)) + 1 / (4 * c**2) - radius_A**2 / 2
    total = complex(wave.sum(dtype=complex)) * pixel_A**2
    # Twelve samples for each radius leave 3 in 1000 of the disc's rim.
    assert abs(total - 2 * np.pi * exact) < 0.003 * abs(2 * np.pi * exact)


def test_a_bead_in_focus_is_as_dark_as_its_gold_is_thick() -> None:
    field, lens = Field((64, 64), 2.0), PLAIN.replace(cs_mm=0.0)
    for diameter_A in (60.0, 100.0):
        sample = in_vacuum(beads=gold((0.0, 0.0, 0.0), diameter_A))
        image = image_of(bare_spectra(sample, tilted(0.0), field, lens, IN_FOCUS).lasting, field)
        assert image[32, 32] == pytest.approx(math.expm1(-diameter_A / GOLD_ABSORPTION_A), abs=0.01)
        assert abs(image[:8].mean()) < 1e-3


@pytest.mark.parametrize("defocus_A", [1000.0, 30_000.0])
def test_a_bead_is_as_dark_with_pixels_of_any_size(defocus_A: float) -> None:
    """Within 3 %: the mean over its disc. What it scatters beyond Nyquist is lost: 5 % of it in all, at 8 Å."""
    darkness = []
    for pixel_A in (2.0, 4.0, 8.0):
        field = Field((int(512 / pixel_A), int(512 / pixel_A)), pixel_A)
        sample = in_vacuum(beads=gold((0.0, 0.0, 0.0), 100.0))
        spectra = bare_spectra(sample, tilted(0.0), field, PLAIN, Aberrations(defocus_A=defocus_A))
        side = (np.arange(field.shape_yx[0]) - field.shape_yx[0] // 2) * pixel_A
        disc = np.hypot(side[:, None], side) <= 50.0
        darkness.append(float(image_of(spectra.lasting, field)[disc].mean()))
    assert darkness[0] < -0.2
    np.testing.assert_allclose(darkness, darkness[0], rtol=0.03)


@laws
@given(st.floats(-80, 80), st.floats(-80, 80), st.floats(-80, 80), tilts_deg)
def test_a_bead_is_seen_where_the_alignment_says(z: float, y: float, x: float, tilt_deg: float) -> None:
    """The centre of its darkness, to 0.02 px."""
    field, lens = Field((96, 96), 4.0), PLAIN.replace(cs_mm=0.0)
    view = tilted(tilt_deg, axis_deg=84.3)
    place = view.places_A(np.array([[z, y, x]]))[0]
    sample = in_vacuum(beads=gold((z, y, x), 60.0))
    image = -image_of(
        bare_spectra(sample, view, field, lens, Aberrations(defocus_A=-float(place[0]))).lasting, field
    ).astype(float)
    side = (np.arange(96) - 48) * 4.0
    seen = np.array([(image.sum(axis=1) * side).sum(), (image.sum(axis=0) * side).sum()]) / image.sum()
    np.testing.assert_allclose(seen, place[1:], atol=0.08)
