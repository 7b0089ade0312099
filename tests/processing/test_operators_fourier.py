from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from eucentric.processing.operators import FilterName, backproject, bin_images, project, ramp_filter


def gaussian(n: int, centre: float, sigma: float) -> Tensor:
    return torch.exp(-((torch.arange(n) - centre) ** 2) / (2 * sigma**2))


def response(length: int = 256, **settings: object) -> tuple[Tensor, Tensor]:
    """Frequencies and the gain at each, from what the filter does to a line of one pixel."""
    line = torch.zeros((1, 1, length))
    line[0, 0, length // 2] = 1
    filtered = ramp_filter(line, **settings)[0, 0]  # type: ignore[arg-type]  # settings as keyword arguments
    return torch.fft.rfftfreq(length), torch.fft.rfft(filtered).abs()


@given(st.integers(2, 6), st.integers(60, 90), st.integers(60, 90))
@settings(max_examples=40, deadline=None)
def test_binning_keeps_the_centre_and_the_height(factor: int, rows: int, columns: int) -> None:
    # Three new pixels wide: nothing beyond the new Nyquist frequency, exp(-2 (pi 3 / 2)**2) = 5e-20.
    sigma = 1.2 * factor
    image = gaussian(rows, rows // 2, sigma)[:, None] * gaussian(columns, columns // 2, sigma)[None, :]
    new = (rows // factor, columns // factor)
    binned = bin_images(image, factor)
    assert binned.shape == new
    expected = gaussian(new[0], new[0] // 2, 1.2)[:, None] * gaussian(new[1], new[1] // 2, 1.2)[None, :]
    torch.testing.assert_close(binned, expected, rtol=0, atol=2e-3)


@given(st.integers(1, 5), st.integers(5, 40), st.integers(5, 40), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_binning_keeps_the_mean_of_what_is_not_cut_off(factor: int, rows: int, columns: int, seed: int) -> None:
    image = torch.randn((2, rows, columns), generator=torch.Generator().manual_seed(seed)) + 3
    new = (rows // factor, columns // factor)
    top, left = rows // 2 - new[0] * factor // 2, columns // 2 - new[1] * factor // 2
    kept = image[:, top : top + new[0] * factor, left : left + new[1] * factor]
    torch.testing.assert_close(bin_images(image, factor).mean((1, 2)), kept.mean((1, 2)), rtol=1e-5, atol=1e-5)


def test_binning_by_one_changes_nothing() -> None:
    image = torch.randn((2, 9, 8))
    assert torch.equal(bin_images(image, 1), image)


def test_binning_removes_what_coarse_pixels_cannot_hold() -> None:
    x = torch.arange(64)
    fast, slow = torch.cos(2 * torch.pi * x * 24 / 64), torch.cos(2 * torch.pi * x * 4 / 64)
    binned = bin_images((fast + slow).expand(64, 64), 2)
    # The centre stays: pixel 32 of 64 becomes pixel 16 of 32.
    torch.testing.assert_close(binned, slow[::2].expand(32, 32), rtol=0, atol=1e-4)


@given(st.integers(1, 40), st.integers(20, 50), st.integers(0, 500))
@settings(max_examples=30, deadline=None)
def test_ramp_is_linear_in_the_image_and_blind_to_rows(rows: int, width: int, seed: int) -> None:
    image = torch.randn((3, rows, width), generator=torch.Generator().manual_seed(seed))
    filtered = ramp_filter(image)
    torch.testing.assert_close(ramp_filter(image[1:2, :1]), filtered[1:2, :1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ramp_filter(image.flip(2)).flip(2), filtered, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ramp_filter(3 * image), 3 * filtered, rtol=1e-4, atol=1e-5)


def test_ramp_grows_with_frequency() -> None:
    frequency, gain = response()
    torch.testing.assert_close(gain[4:], frequency[4:], rtol=0.02, atol=0.002)


@pytest.mark.parametrize("window", get_args(FilterName))
def test_windows_start_at_one_and_end_at_the_cutoff(window: FilterName) -> None:
    ends = {"ramp": 1.0, "shepp-logan": 2 / np.pi, "cosine": 0.0, "hamming": 0.08, "hann": 0.0}
    for cutoff in (0.5, 0.25):
        frequency, gain = response(length=512, window=window, cutoff=cutoff)
        share = gain / frequency.clamp(min=1e-3)
        assert float(share[8]) == pytest.approx(1, abs=0.03)
        # What is cut to the width of the projection rings a little around a sharp end.
        at = round(cutoff * 512)
        assert float(share[at - 4]) == pytest.approx(ends[window], abs=0.06)
        assert float(gain[at + 6 :].sum() if cutoff < 0.5 else 0) < 0.02 * float(gain.sum())


def test_beyond_the_cutoff_a_gaussian_takes_over() -> None:
    frequency, gain = response(length=512, cutoff=0.2, falloff=0.05)
    for sigmas in (0.5, 1.0, 2.0):
        at = round((0.2 + sigmas * 0.05) * 512)
        assert float(gain[at] / frequency[at]) == pytest.approx(np.exp(-(sigmas**2) / 2), abs=0.03)


def test_ramp_stays_flat_where_slabs_no_longer_overlap() -> None:
    line = torch.zeros((2, 1, 512))
    line[:, 0, 256] = 1
    filtered = ramp_filter(line, flat_above=torch.tensor([0.1, 0.3]))
    frequency = torch.fft.rfftfreq(512)
    for flat_above, one in zip((0.1, 0.3), filtered[:, 0], strict=True):
        gain = torch.fft.rfft(one).abs()
        torch.testing.assert_close(gain[8:], frequency[8:].clamp(max=flat_above), rtol=0.02, atol=0.003)


@pytest.mark.parametrize("width", [81, 96])
def test_full_turn_of_gaussian_blobs_gives_their_density_back(width: int) -> None:
    z, x = (torch.arange(width) - width // 2)[:, None], (torch.arange(width) - width // 2)[None, :]
    tilts = torch.arange(0, 180, 1.5, dtype=torch.float64).deg2rad()
    slice_zx, projections = torch.zeros((width, width)), torch.zeros((len(tilts), 1, width))
    for height, sigma, at_z, at_x in ((3.0, 5.0, 4.0, -7.0), (1.0, 12.0, 0.0, 0.0)):
        slice_zx += height * torch.exp(-((z - at_z) ** 2 + (x - at_x) ** 2) / (2 * sigma**2))
        seen_at = (at_x * torch.cos(tilts) + at_z * torch.sin(tilts)).float()[:, None, None]
        projections += height * sigma * np.sqrt(2 * np.pi) * torch.exp(-((x[None] - seen_at) ** 2) / (2 * sigma**2))
    back = backproject(ramp_filter(projections), tilts, (width, width))[:, 0] * float(tilts[1] - tilts[0])
    inside = torch.hypot(z + 0.0 * x, x + 0.0 * z) < width / 2 - 4
    assert float((back - slice_zx)[inside].abs().max()) < 0.02 * float(slice_zx.max())
    again = project(slice_zx[:, None, :], tilts, width)
    assert float((again - projections).abs().mean()) < 0.01 * float(projections.max())


def test_full_turn_of_a_disc_gives_its_density_back() -> None:
    radius, width = 25.0, 101
    u = torch.arange(width) - width // 2
    chord = 2 * torch.sqrt(torch.clamp(radius**2 - u**2.0, min=0))  # the disc's exact projection at any tilt
    tilts = torch.arange(0, 180, 1.0, dtype=torch.float64).deg2rad()
    back = backproject(ramp_filter(chord.expand(180, 1, width).contiguous(), window="hann"), tilts, (width, width))[
        :, 0
    ]
    back *= float(tilts[1] - tilts[0])
    r = torch.hypot(u[:, None].double() + 0 * u, u[None, :].double() + 0 * u[:, None])
    assert float(back[r < 20].mean()) == pytest.approx(1, abs=0.01)
    assert float((back[r < 20] - 1).abs().max()) < 0.05
    assert float(back[(r > 31) & (r < 45)].abs().max()) < 0.05
