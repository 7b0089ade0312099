import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from eucentric.assessment import FSC, fourier_shell_correlation
from eucentric.core import InputError, stream

seeds = st.integers(0, 2**31)


def noise(seed: int, name: str, shape: tuple[int, int, int] = (32, 32, 32)) -> NDArray[np.float32]:
    return stream(seed, name).standard_normal(shape).astype(np.float32)


def plane_wave(tilt_deg: float, frequency: float, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """What a view at this tilt alone can see: it varies along x' = x cos a + z sin a, the view's own x axis."""
    z, _, x = np.ogrid[tuple(slice(n) for n in shape)]
    tilt = np.deg2rad(tilt_deg)
    wave = np.cos(2 * np.pi * frequency * (x * np.cos(tilt) + z * np.sin(tilt))) + np.zeros(shape)
    return np.asarray(wave, dtype=np.float32)


@given(seeds, st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
@settings(max_examples=10, deadline=None)
def test_a_volume_correlates_fully_with_itself_scaled_and_offset(seed: int, scale: float, offset: float) -> None:
    volume = noise(seed, "a", (16, 24, 21))
    fsc = fourier_shell_correlation(volume, np.float32(scale) * volume + np.float32(offset), 10.0)
    np.testing.assert_allclose(fsc.correlation, 1, atol=1e-3)
    assert fsc.resolution_A() is None


def test_frequencies_reach_from_the_box_to_nyquist() -> None:
    volume = noise(0, "a")
    fsc = fourier_shell_correlation(volume, volume, 2.5)
    assert 0 < fsc.frequency_1_A[0] < 3 / (32 * 2.5)
    assert fsc.frequency_1_A[-1] == pytest.approx(1 / 5.0, rel=0.05)
    assert fsc.frequency_1_A[-1] < 1 / 5.0


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_independent_noise_scatters_about_zero_by_its_standard_error(seed: int) -> None:
    fsc = fourier_shell_correlation(noise(seed, "a"), noise(seed, "b"), 10.0)
    scores = np.array(fsc.correlation) / np.array(fsc.noise_error)
    assert np.abs(scores).max() < 5
    assert abs(scores.mean()) < 5 / np.sqrt(scores.size)


def test_the_standard_error_is_neither_too_small_nor_much_too_large() -> None:
    scores = []
    for seed in range(20):
        fsc = fourier_shell_correlation(noise(seed, "a"), noise(seed, "b"), 10.0)
        scores.append(np.array(fsc.correlation) / np.array(fsc.noise_error))
    assert 0.8 < np.std(scores) < 1.1  # the error is an upper bound: thin shells share less than full space


@given(seeds, st.floats(0.2, 5))
@settings(max_examples=15, deadline=None)
def test_signal_and_noise_follow_ssnr_over_one_plus_ssnr(seed: int, ssnr: float) -> None:
    shape, falloff = (32, 32, 32), 0.25
    radius_sq = sum(k**2 for k in np.meshgrid(*[np.fft.fftfreq(n) for n in shape], indexing="ij"))
    envelope = np.exp(-radius_sq / (4 * falloff**2))
    signal = np.fft.ifftn(np.fft.fftn(noise(seed, "signal")) * envelope).real * np.sqrt(ssnr)
    fsc = fourier_shell_correlation(signal + noise(seed, "a"), signal + noise(seed, "b"), 1.0)
    there = ssnr * np.exp(-(np.array(fsc.frequency_1_A) ** 2) / (2 * falloff**2))
    difference = np.array(fsc.correlation) - there / (1 + there)
    assert (np.abs(difference) < 5 * np.array(fsc.noise_error) + 0.02).all()


def test_only_the_wedge_that_was_seen_counts_and_its_sign_is_that_of_the_tilt() -> None:
    shape = (32, 24, 48)
    wave = 1.5 * plane_wave(40, 0.2, shape)
    a, b = wave + noise(1, "a", shape), wave + noise(1, "b", shape)

    def at_the_wave(lowest: float, highest: float) -> float:
        fsc = fourier_shell_correlation(a, b, 1.0, tilt_range_deg=(lowest, highest))
        return float(np.interp(0.2, fsc.frequency_1_A, fsc.correlation))

    assert at_the_wave(20, 60) > 0.8
    assert abs(at_the_wave(-60, -20)) < 0.3


def test_what_no_view_has_seen_does_not_lower_the_correlation() -> None:
    shape = (32, 32, 32)
    kz, kx = np.fft.fftfreq(32)[:, None, None], np.fft.fftfreq(32)
    seen = np.abs(kz) <= np.tan(np.deg2rad(60)) * np.abs(kx)
    common = np.fft.ifftn(np.fft.fftn(noise(3, "common", shape)) * seen).real
    a, b = (common + np.fft.ifftn(np.fft.fftn(noise(3, name, shape)) * ~seen).real for name in "ab")
    everywhere = fourier_shell_correlation(a, b, 1.0, edge=0)
    inside = fourier_shell_correlation(a, b, 1.0, edge=0, tilt_range_deg=(-60, 60))
    np.testing.assert_allclose(inside.correlation, 1, atol=1e-4)
    assert np.mean(everywhere.correlation) < 0.8


def test_large_volumes_are_compared_in_their_central_box() -> None:
    a, b = noise(4, "a", (20, 40, 44)), noise(4, "b", (20, 40, 44))
    a[6:14, 12:28, 14:30] = b[6:14, 12:28, 14:30]
    fsc = fourier_shell_correlation(a, b, 1.0, largest_box_zyx=(8, 16, 16))
    assert fsc.box_zyx == (8, 16, 16)
    np.testing.assert_allclose(fsc.correlation, 1, atol=1e-5)


def test_resolution_is_interpolated_and_absent_where_nothing_crosses() -> None:
    fsc = FSC(
        frequency_1_A=(0.01, 0.02, 0.03), correlation=(1.0, 0.5, 0.1), cells=(50, 50, 50), pixel_A=10, box_zyx=(8, 8, 8)
    )
    assert fsc.resolution_A(0.3) == pytest.approx(1 / 0.025)
    assert fsc.resolution_A(0.05) is None
    assert fsc.replace(correlation=(0.1, 0.5, 0.1)).resolution_A(0.3) is None
    with pytest.raises(ValidationError):
        fsc.replace(cells=(1.0,))


@pytest.mark.parametrize(
    ("a", "b", "tilts", "word"),
    [
        (np.ones((8, 8, 8)), np.ones((8, 8, 9)), None, "shapes"),
        (np.ones((8, 8)), np.ones((8, 8)), None, "shapes"),
        (np.ones((2, 8, 8)), np.ones((2, 8, 8)), None, "small"),
        (np.ones((8, 8, 8)), np.ones((8, 8, 8)), None, "constant"),
        (np.ones((8, 8, 8)), np.ones((8, 8, 8)), (60.0, -60.0), "empty"),
        (noise(0, "a", (8, 8, 8)), noise(0, "b", (8, 8, 8)), (-0.1, 0.1), "enough"),
    ],
)
def test_what_cannot_be_correlated_is_refused(
    a: NDArray[np.float64], b: NDArray[np.float64], tilts: tuple[float, float] | None, word: str
) -> None:
    with pytest.raises(InputError, match=word):
        fourier_shell_correlation(a, b, 10.0, tilt_range_deg=tilts)
