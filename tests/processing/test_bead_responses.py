"""The blob filter's responses and the tops of a volume, against general filters."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from eucentric.core.random import stream
from eucentric.processing.alignment.beads import detect


@pytest.mark.parametrize("radius_px", [1.0, 2.5, 5.0])
def test_responses_are_those_of_a_laplacian_of_a_gaussian(radius_px: float) -> None:
    image = stream(0, "texture").standard_normal((70, 91)).astype(np.float32)
    expected = ndimage.gaussian_laplace(image, radius_px / np.sqrt(2), mode="reflect")
    found = detect.responses(torch.from_numpy(image)[None], radius_px, [0])[0].numpy()
    slope, middle = np.polyfit(expected.ravel(), found.ravel(), 1)
    assert np.abs(found - slope * expected - middle).max() < 1e-3 * np.abs(found).max()
    assert 1 / slope == pytest.approx(1.4826 * np.median(np.abs(expected)), rel=0.1)  # of every second pixel


@pytest.mark.parametrize("wide", [5, 7])
def test_tops_are_the_same_place_by_place_and_by_a_filter(wide: int, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = stream(1, "texture").standard_normal((20, 30, 35))
    volume = ndimage.gaussian_filter(noise, 1.0).astype(np.float32)
    threshold = 1.5 * float(volume.std())
    by_place = detect._tops(volume, threshold, wide)
    monkeypatch.setattr(detect, "_MANY", 0)
    by_filter = detect._tops(volume, threshold, wide)
    assert len(by_filter) > 10
    np.testing.assert_array_equal(by_place, by_filter)
