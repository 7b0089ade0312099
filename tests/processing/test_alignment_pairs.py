"""The tilt axis from pairs of views alone, on a phantom's noisy images that a wandering stage has moved."""

import numpy as np
import pytest
import torch

from eucentric.core import SILENT
from eucentric.processing.alignment import prepare_images
from eucentric.processing.alignment.levels import COARSE_FIELD, Levels
from eucentric.processing.alignment.pairs import scan_pairs
from phantoms import Imaging, PhantomSeries, cell_phantom, dose_symmetric_orders, simulate_series, wandering_alignment

pytestmark = pytest.mark.usefixtures("one_thread")
TILTS_DEG = [float(tilt) for tilt in range(-60, 61, 6)]
SIZE, PIXEL_A = 80, 60.0
CLOSE_DEG = 5.0  # the first climb of `find_axis` begins with steps of 4°


def recorded(axis_deg: float, seed: int = 0) -> PhantomSeries:
    truth = wandering_alignment(
        TILTS_DEG,
        pixel_A=PIXEL_A,
        shape_yx=(SIZE, SIZE),
        axis_deg=axis_deg,
        max_shift_fraction=0.05,
        seed=seed,
    )
    phantom = cell_phantom(seed, field_A=SIZE * PIXEL_A)
    return simulate_series(phantom, truth, dose_symmetric_orders(TILTS_DEG), Imaging(), seed=seed)


def scan(images: np.ndarray[tuple[int, ...], np.dtype[np.uint16]]) -> list[tuple[float, float]]:
    levels = Levels(prepare_images(images, TILTS_DEG).images, TILTS_DEG, torch.device("cpu"))
    matcher, _ = levels.matcher(COARSE_FIELD, 0.3 * SIZE, 0.0)
    return scan_pairs(matcher, torch.arange(len(TILTS_DEG)), 0.2 * matcher.field, SILENT)


def turned_deg(axis_deg: float) -> float:
    return (axis_deg + 90) % 180 - 90


@pytest.mark.parametrize(
    ("axis_deg", "seed"),
    [(-80.0, 0), (-37.0, 1), (25.0, 0), (60.0, 2)],
)
def test_the_true_axis_is_the_best_candidate(axis_deg: float, seed: int) -> None:
    found = scan(recorded(axis_deg, seed).images)
    heights = [height for _, height in found]
    assert heights[0] == 1.0
    assert heights == sorted(heights, reverse=True)
    assert all(-90 <= axis < 90 for axis, _ in found)
    assert abs(turned_deg(found[0][0] - axis_deg)) < CLOSE_DEG


def test_images_turned_by_180_degrees_have_the_same_axis() -> None:
    """An odd number of pixels has its middle where it was."""
    images = recorded(25.0).images[:, :79, :79]
    first, turned = scan(images), scan(np.ascontiguousarray(images[:, ::-1, ::-1]))
    assert len(first) == len(turned)
    for (axis, height), (other, other_height) in zip(first, turned, strict=True):
        assert turned_deg(axis - other) == pytest.approx(0.0, abs=0.3)
        assert height == pytest.approx(other_height, abs=0.02)
