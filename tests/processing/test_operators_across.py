"""Filtering across the tilt axis: against plane waves, the filter of rows, and both forms against each other."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from eucentric.processing.operators import (
    HIGHEST,
    across,
    filter_across,
    filter_rows,
    ramp_filter,
    ramp_gain,
    resample,
)

FREQUENCY = torch.linspace(0, HIGHEST, 4097)


def noise(rows: int, columns: int) -> Tensor:
    return torch.randn((rows, columns), generator=torch.Generator().manual_seed(rows * columns))


def middle(image: Tensor, rows: int, columns: int) -> Tensor:
    top, left = image.shape[0] // 2 - rows // 2, image.shape[1] // 2 - columns // 2
    return image[top : top + rows, left : left + columns]


@given(st.floats(0, 360), st.integers(2, 9), st.integers(-9, 9))
@settings(max_examples=25, deadline=None)
def test_a_wave_is_multiplied_by_the_gain_at_its_frequency_across(degrees: float, ky: int, kx: int) -> None:
    size = 64
    y, x = (torch.arange(size) - size // 2 for _ in range(2))
    wave = torch.cos(2 * torch.pi * (ky * y[:, None] + kx * x[None, :]) / size)
    direction = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    gain = 1 + 3 * FREQUENCY
    found = filter_across(wave, gain, direction, reach_px=0, move_yx_px=(0.0, 0.0))
    seen = abs(ky * direction[0] + kx * direction[1]) / size
    torch.testing.assert_close(found, (1 + 3 * seen) * wave, rtol=1e-3, atol=1e-3)


@given(st.floats(-3, 3), st.floats(-3, 3))
@settings(max_examples=20, deadline=None)
def test_moving_a_smooth_image_is_resampling_its_coefficients_there(dy: float, dx: float) -> None:
    y, x = torch.arange(40) - 20, torch.arange(50) - 25
    blob = torch.exp(-((y[:, None] - 3.0) ** 2 + (x[None, :] + 4.0) ** 2) / 18)
    flat = torch.ones_like(FREQUENCY)
    moved = filter_across(blob, flat, (0.0, 1.0), reach_px=8, margin_px=4, move_yx_px=(dy, dx))
    spline = filter_across(blob, flat, (0.0, 1.0), reach_px=8, margin_px=4)
    there = torch.tensor([[[1.0, 0, -dy], [0, 1.0, -dx]]], dtype=torch.float64)
    torch.testing.assert_close(middle(moved, 40, 50), resample(spline[None], there, (40, 50))[0], rtol=0, atol=2e-3)


@pytest.mark.parametrize(("rows", "columns"), [(20, 33), (21, 40)])
def test_the_ramp_along_rows_is_that_of_the_filter_of_rows(rows: int, columns: int) -> None:
    image = noise(rows, columns)
    gain = ramp_gain(torch.clamp(FREQUENCY, max=0.5), 2 * columns)
    found = filter_across(image, gain, (0.0, 1.0), reach_px=2 * columns, move_yx_px=(0.0, 0.0))
    expected = ramp_filter(image[None])[0]
    torch.testing.assert_close(middle(found, rows, columns), expected, rtol=1e-3, atol=2e-3)
    alone = filter_rows(image, gain, reach_px=2 * columns, margin_px=0, move_px=0.0)
    torch.testing.assert_close(middle(alone, rows, columns), expected, rtol=1e-3, atol=2e-3)


def test_rows_filtered_alone_are_those_of_the_whole_image() -> None:
    image = noise(40, 60)
    gain = ramp_gain(torch.clamp(FREQUENCY, max=0.5), 30)
    both = filter_across(image, gain, (0.0, 1.0), reach_px=30, margin_px=5, move_yx_px=(0.0, 0.4))
    alone = filter_rows(image, gain, reach_px=30, margin_px=5, move_px=0.4)
    torch.testing.assert_close(alone, middle(both, 40, alone.shape[1]), rtol=1e-3, atol=1e-3)


def test_a_turned_image_filtered_is_the_filtered_image_turned() -> None:
    image = noise(32, 32)
    gain = ramp_gain(torch.clamp(FREQUENCY, max=0.5), 16)
    along_x = filter_across(image, gain, (0.0, 1.0), reach_px=16, move_yx_px=(0.0, 0.0))
    along_y = filter_across(image.T.contiguous(), gain, (1.0, 0.0), reach_px=16, move_yx_px=(0.0, 0.0))
    torch.testing.assert_close(along_y, along_x.T, rtol=1e-4, atol=1e-4)


@given(st.floats(0, 360), st.booleans())
@settings(max_examples=20, deadline=None)
def test_both_forms_are_the_same(degrees: float, moves: bool) -> None:
    image = noise(24, 37)
    direction = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    gain = torch.rand(64, generator=torch.Generator().manual_seed(1))
    move = (0.3, -1.2) if moves else None
    found = filter_across(image, gain, direction, reach_px=9, margin_px=3, move_yx_px=move)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(across, "_on_cpu", lambda _: False)
        other = filter_across(image, gain, direction, reach_px=9, margin_px=3, move_yx_px=move)
        rows = filter_rows(image, gain, reach_px=9, margin_px=3, move_px=0.3)
    torch.testing.assert_close(found, other, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        rows, filter_rows(image, gain, reach_px=9, margin_px=3, move_px=0.3), rtol=1e-4, atol=1e-4
    )


def test_a_short_kernel_is_the_ramp_less_its_tail() -> None:
    low = torch.linspace(0, 0.5, 200)
    torch.testing.assert_close(ramp_gain(low, 4000), low, rtol=0, atol=1e-4)
    # What is cut off the kernel of Kak & Slaney beyond n adds up to 1 / (pi² n) at frequency zero.
    assert float(ramp_gain(low, 100)[0]) == pytest.approx(1 / (math.pi**2 * 100), rel=0.02)
