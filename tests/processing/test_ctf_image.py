"""The CTF of one image: against images made with a known one, against laws of symmetry, and on a real micrograph."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from eucentric.core import InputError
from eucentric.io import open_mrc
from eucentric.processing.ctf import CTFFit, CTFSettings, explain_image, fit_image
from phantoms.ctf_images import LENS, grainy_image

PIXEL_A = 1.5
U_A, V_A, AZIMUTH_DEG = 22_400.0, 21_600.0, 25.0


@cache
def image() -> torch.Tensor:
    return grainy_image(512, PIXEL_A, U_A, V_A, AZIMUTH_DEG)


@cache
def fitted() -> CTFFit:
    return fit_image(image(), PIXEL_A, LENS)


def vector(fit: CTFFit) -> complex:
    """Return the astigmatism as a vector of twice the azimuth."""
    return fit.astigmatism_A * complex(np.exp(2j * np.deg2rad(fit.azimuth_deg)))


def test_defocus_and_astigmatism_are_those_put_in() -> None:
    fit = fitted()
    assert fit.sigma_A is not None
    # The curvature says some 40 Å; the error is within three of that, and that is not an excuse.
    assert fit.mean_A == pytest.approx((U_A + V_A) / 2, abs=3 * fit.sigma_A)
    assert fit.sigma_A < 80
    assert abs(vector(fit) - (U_A - V_A) * np.exp(2j * np.deg2rad(AZIMUTH_DEG))) < 250
    assert fit.fit_resolution_A is not None
    assert fit.fit_resolution_A < 8


def test_a_mirrored_image_has_its_azimuth_mirrored() -> None:
    mirrored = fit_image(image().flip(0), PIXEL_A, LENS)
    assert mirrored.mean_A == pytest.approx(fitted().mean_A, abs=15)
    assert abs(vector(mirrored) - vector(fitted()).conjugate()) < 40


def test_a_turned_image_has_its_azimuth_turned() -> None:
    turned = fit_image(image().rot90(), PIXEL_A, LENS)
    assert turned.mean_A == pytest.approx(fitted().mean_A, abs=15)
    assert abs(vector(turned) + vector(fitted())) < 40


def test_scale_and_sign_of_the_contrast_do_not_matter() -> None:
    other = fit_image(500 - 7 * image(), PIXEL_A, LENS)
    assert other.defocus_u_A == pytest.approx(fitted().defocus_u_A, abs=0.5)
    assert other.azimuth_deg == pytest.approx(fitted().azimuth_deg, abs=0.1)


def test_twice_the_pixel_is_four_times_the_defocus() -> None:
    # Without spherical aberration the phase knows only defocus over pixel area.
    lens = LENS.replace(cs_mm=0.0)
    small = fit_image(image(), 1.5, lens, CTFSettings(high_resolution_A=4.0))
    large = fit_image(
        image(),
        3.0,
        lens,
        CTFSettings(low_resolution_A=60, high_resolution_A=8, min_defocus_A=12_000, max_defocus_A=2e5),
    )
    assert large.mean_A == pytest.approx(4 * small.mean_A, rel=0.005)


@pytest.mark.parametrize("defocus_A", [5000.0, 7000.0, 10_000.0])
def test_a_low_defocus_is_no_trap(defocus_A: float) -> None:
    fit = fit_image(grainy_image(512, 1.2, defocus_A + 100, defocus_A - 100, 40), 1.2, LENS)
    assert fit.mean_A == pytest.approx(defocus_A, abs=200)


@pytest.mark.parametrize("defocus_A", [6000.0, 20_000.0])
@pytest.mark.parametrize("height", [100.0, 3000.0])
def test_a_ring_of_ice_is_no_trap(defocus_A: float, height: float) -> None:
    noisy = grainy_image(512, 1.2, defocus_A + 200, defocus_A - 200, 40, ice_height=height, seed=2)
    for finest_A in (4.0, 3.2):
        result = explain_image(noisy, 1.2, LENS, CTFSettings(high_resolution_A=finest_A))
        assert result.ice_k is not None
        assert result.ice_k[0] < 1 / 3.8 < result.ice_k[1]
        assert result.fit.mean_A == pytest.approx(defocus_A, abs=250)


def test_a_large_astigmatism_is_found_despite_the_prior() -> None:
    fit = fit_image(grainy_image(512, 1.5, 21_250, 18_750, -70), 1.5, LENS)
    assert fit.mean_A == pytest.approx(20_000, abs=200)
    assert abs(vector(fit) - 2500 * np.exp(2j * np.deg2rad(-70))) < 400


def test_a_phase_plate_is_found() -> None:
    noisy = grainy_image(512, 1.5, 12_300, 11_700, 10, phase_shift_deg=70)
    fit = fit_image(noisy, 1.5, LENS, CTFSettings(phase_plate=True))
    assert fit.phase_shift_deg == pytest.approx(70, abs=15)
    assert fit.mean_A == pytest.approx(12_000, abs=350)


def test_tiles_and_the_whole_field_agree() -> None:
    tiles = fit_image(image(), PIXEL_A, LENS, CTFSettings(tile_px=256))
    assert tiles.mean_A == pytest.approx(fitted().mean_A, abs=150)


@pytest.mark.parametrize("shape", [(400, 511), (333, 256)])
def test_any_shape_will_do(shape: tuple[int, int]) -> None:
    fit = fit_image(image()[: shape[0], : shape[1]], PIXEL_A, LENS)
    assert fit.mean_A == pytest.approx((U_A + V_A) / 2, abs=250)


def test_noise_alone_agrees_with_nothing() -> None:
    noise = torch.poisson(torch.full((512, 512), 6.75), generator=torch.Generator().manual_seed(1))
    fit = fit_image(noise, PIXEL_A, LENS)
    assert fit.fit_resolution_A is None
    assert fit.sigma_A is not None


def test_what_holds_no_rings_is_refused() -> None:
    with pytest.raises(InputError, match="All pixels of the image are 0"):
        fit_image(torch.zeros(256, 256), PIXEL_A, LENS)
    broken = image().clone()
    broken[5, 7] = torch.nan
    with pytest.raises(InputError, match="no numbers"):
        fit_image(broken, PIXEL_A, LENS)
    with pytest.raises(InputError, match="too small"):
        fit_image(image()[:50], PIXEL_A, LENS)
    with pytest.raises(InputError, match="Nyquist is 60"):
        fit_image(image(), 30.0, LENS)


def test_the_real_micrograph_is_fitted_as_others_fit_it(real_data: Path) -> None:
    """CTFFIND (30-4 Å) finds 27,248 / 26,982 Å at -62°, to 3.7 Å."""
    stored = open_mrc(real_data / "micrograph-falcon" / "epu2.9_example_crop2048.mrc").data[0]
    micrograph = torch.tensor(stored.astype("float32"))
    fit = fit_image(micrograph, 0.6666, LENS)
    assert fit.defocus_u_A == pytest.approx(27_248, abs=150)
    assert fit.defocus_v_A == pytest.approx(26_982, abs=150)
    assert fit.fit_resolution_A is not None
    assert fit.fit_resolution_A <= 3.7
    halves = [fit_image(half, 0.6666, LENS) for half in micrograph.chunk(2)]
    assert halves[0].defocus_u_A == pytest.approx(halves[1].defocus_u_A, abs=300)
    assert halves[0].defocus_v_A == pytest.approx(halves[1].defocus_v_A, abs=300)
