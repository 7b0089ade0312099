"""Beads on two faces tell how the specimen lies; others say nothing."""

import numpy as np
import pytest

from eucentric.processing.alignment.beads.faces import slope_of_faces_deg


def gold(slope_deg: float, across_deg: float, *, beads: int = 14, rough: float = 5.0, seed: int = 0) -> np.ndarray:
    """Give beads on both faces, 1400 Å apart, of a specimen that lies tilted."""
    draw = np.random.default_rng(seed)
    x, y = draw.uniform(-2500, 2500, (2, beads))
    face = np.where(np.arange(beads) % 2, 700.0, -700.0) + draw.normal(0, rough, beads)
    return np.stack([face + np.tan(np.deg2rad(slope_deg)) * x + np.tan(np.deg2rad(across_deg)) * y, y, x], axis=1)


@pytest.mark.parametrize(("slope_deg", "across_deg"), [(0.0, 0.0), (1.4, -2.0), (-4.0, 3.0)])
def test_the_slope_along_x_is_found_whatever_that_along_the_axis(slope_deg: float, across_deg: float) -> None:
    for seed in range(5):
        assert slope_of_faces_deg(gold(slope_deg, across_deg, seed=seed)) == pytest.approx(slope_deg, abs=0.2)


def test_beads_inside_or_on_rough_faces_or_too_few_say_nothing() -> None:
    draw = np.random.default_rng(1)
    assert slope_of_faces_deg(draw.uniform(-700, 700, (20, 3)) * [1, 3.5, 3.5]) is None
    assert slope_of_faces_deg(gold(1.0, 0.0, rough=200.0)) is None
    assert slope_of_faces_deg(gold(1.0, 0.0, beads=5)) is None


def test_beads_of_one_face_alone_say_nothing() -> None:
    beads = gold(1.0, 0.0, rough=5.0, beads=20)
    assert slope_of_faces_deg(beads[1::2]) is None
