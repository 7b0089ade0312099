"""Warping: the identity, shifts against the resampler, both forms, a grid that does not cover."""

import numpy as np
import pytest
import torch

from eucentric.core import stream
from eucentric.processing.operators import resample, spline_coefficients, warp
from eucentric.processing.operators._warper_torch import warp as warp_torch

IMAGE = torch.from_numpy(stream(0, "image").standard_normal((70, 53)).astype(np.float32))
COEFFICIENTS = spline_coefficients(IMAGE)


def _grid(step: int) -> tuple[int, int]:
    return -(-70 // step) + 1, -(-53 // step) + 1


def test_no_displacement_is_the_image() -> None:
    found = warp(COEFFICIENTS, np.zeros((*_grid(16), 2)), 16)
    # Coefficients are those of a periodic image, and the border is mirrored: it is felt by the outermost pixel.
    torch.testing.assert_close(found[1:-1, 1:-1], IMAGE[1:-1, 1:-1], atol=2e-5, rtol=0)


@pytest.mark.parametrize("shift", [(1.0, -2.0), (0.3, 0.8), (-4.6, 3.2)])
def test_a_shift_is_that_of_the_resampler(shift: tuple[float, float]) -> None:
    maps = torch.tensor([[[1.0, 0.0, shift[0]], [0.0, 1.0, shift[1]]]], dtype=torch.float64)
    expected = resample(COEFFICIENTS[None], maps, (70, 53), margin_px=30)[0]
    found = warp(COEFFICIENTS, np.broadcast_to(np.array(shift), (*_grid(16), 2)), 16)
    inner = (slice(6, -6), slice(6, -6))
    torch.testing.assert_close(found[inner], expected[inner], atol=2e-5, rtol=0)


def test_both_forms_agree_to_the_border() -> None:
    displacement = stream(1, "grid").uniform(-5, 5, (*_grid(10), 2))
    out = torch.empty_like(IMAGE)
    warp_torch(COEFFICIENTS, displacement, 10, out)
    torch.testing.assert_close(out, warp(COEFFICIENTS, displacement, 10), atol=2e-5, rtol=0)


def test_a_grid_that_does_not_cover_is_refused() -> None:
    with pytest.raises(ValueError, match="does not cover"):
        warp(COEFFICIENTS, np.zeros((3, 3, 2)), 16)
