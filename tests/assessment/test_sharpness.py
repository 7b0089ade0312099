import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from eucentric.assessment import sharpness
from eucentric.core import InputError, stream

FWHM = 2 * np.sqrt(2 * np.log(2))
SHAPE = (64, 120, 140)
PLACES = np.array([(z, y, x) for z in (22, 43) for y in (28, 60, 92) for x in (29, 69, 110)], dtype=float)


def blobs(sigma_zyx_px: tuple[float, float, float], height: float, seed: int) -> NDArray[np.float32]:
    """Gaussian blobs off the grid by up to half a voxel in unit noise."""
    volume: NDArray[np.float32] = stream(seed, "noise").standard_normal(SHAPE, dtype=np.float32)
    for place in PLACES + stream(seed, "offset").uniform(-0.5, 0.5, PLACES.shape):
        squares = [((np.arange(n) - p) / s) ** 2 for n, p, s in zip(SHAPE, place, sigma_zyx_px, strict=True)]
        z, y, x = (np.exp(-square / 2) for square in squares)
        volume += (height * z[:, None, None] * y[:, None] * x).astype(np.float32)
    return volume


@given(st.integers(0, 2**31), st.floats(2, 5), st.floats(2, 4), st.floats(2, 4), st.sampled_from((-1, 1)))
@settings(max_examples=12, deadline=None)
def test_widths_of_gaussian_blobs_come_back(seed: int, sz: float, sy: float, sx: float, sign: int) -> None:
    found = sharpness(blobs((sz, sy, sx), 40.0 * sign, seed), 10.0)
    assert found.features == len(PLACES)
    assert found.polarity == ("bright" if sign > 0 else "dark")
    assert found.width_zyx_A == pytest.approx((10 * FWHM * sz, 10 * FWHM * sy, 10 * FWHM * sx), rel=0.1)


def test_contrast_is_the_height_over_the_volume() -> None:
    volume = blobs((3, 3, 3), 40.0, 1)
    contrast = sharpness(volume, 10.0).contrast_sd
    assert contrast == pytest.approx(40 / volume.std(), rel=0.1)


def test_a_volume_without_features_says_so() -> None:
    found = sharpness(stream(2, "noise").standard_normal((40, 80, 80), dtype=np.float32), 10.0)
    assert found.features == 0
    assert found.width_zyx_A is None
    assert found.contrast_sd is None
    assert "stands out" in found.reason


def test_a_volume_thinner_than_a_feature_says_so() -> None:
    found = sharpness(stream(2, "noise").standard_normal((10, 80, 80), dtype=np.float32), 10.0)
    assert found.features == 0
    assert "too thin" in found.reason


def test_blurring_lowers_the_detail_and_scaling_does_not() -> None:
    volume = blobs((3, 3, 3), 8.0, 3)
    sharp, scaled = sharpness(volume, 10.0), sharpness(5 * volume + 100, 10.0)
    blurred = sharpness(ndimage.gaussian_filter(volume, 1.0), 10.0)
    assert scaled.gradient_energy == pytest.approx(sharp.gradient_energy, rel=1e-3)
    assert scaled.laplacian_variance == pytest.approx(sharp.laplacian_variance, rel=1e-3)
    assert blurred.gradient_energy < 0.8 * sharp.gradient_energy
    assert blurred.laplacian_variance < sharp.laplacian_variance / 2


def test_the_detail_of_a_wave_is_known() -> None:
    n, k = 128, 8
    wave = np.sin(2 * np.pi * k * np.arange(n) / n)
    found = sharpness(np.tile(wave, (3, n, 1)).astype(np.float32), 10.0)
    # Central differences of a wave: sin(w)² of its variance; the Laplacian in one direction: (2 - 2 cos w)².
    w = 2 * np.pi * k / n
    assert found.gradient_energy == pytest.approx(np.sin(w) ** 2, rel=0.02)
    assert found.laplacian_variance == pytest.approx((2 - 2 * np.cos(w)) ** 2, rel=0.02)


@pytest.mark.parametrize("volume", [np.zeros((8, 8)), np.zeros((8, 40, 40)), np.zeros((2, 40, 40))])
def test_what_has_no_sharpness_is_refused(volume: NDArray[np.float64]) -> None:
    with pytest.raises(InputError, match="sharpness"):
        sharpness(volume, 10.0)
