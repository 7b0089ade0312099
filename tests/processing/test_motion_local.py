"""Places that move against each other: splines, the field that patches support, and none where there is none."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from motion_cases import PIXEL_A, blobs, shifted
from numpy.typing import NDArray

from eucentric.core import stream
from eucentric.processing.motion import MotionSettings, estimate_series
from eucentric.processing.motion.local import LocalPrior, PatchEvidence, _times
from eucentric.processing.motion.splines import control_places_yx_A, spline_weights
from eucentric.processing.operators import spline_coefficients, warp

Array = NDArray[np.float64]
FIELD = (2000.0, 1600.0)
FRAMES = 8


@settings(max_examples=30)
@given(st.integers(3, 7), st.integers(3, 7), st.floats(-1, 1), st.floats(-1, 1))
def test_splines_sum_to_one_and_hold_planes(rows: int, columns: int, slope_y: float, slope_x: float) -> None:
    places = (stream(0, "places").uniform(-0.5, 0.5, (20, 2))) * FIELD
    weights = spline_weights(places, (rows, columns), FIELD)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    plane = control_places_yx_A((rows, columns), FIELD) @ np.array([slope_y, slope_x])
    np.testing.assert_allclose(weights @ plane, places @ np.array([slope_y, slope_x]), atol=1e-9 * max(FIELD))


def _evidence(amplitude_A: float, sigma_A: float, seed: int) -> tuple[PatchEvidence, Array]:
    """Return patches that see a shear of the field, with noise, and what is true."""
    drawn = stream(seed, "patches")
    sides = [np.linspace(-0.4, 0.4, 4) * side for side in FIELD]
    places = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2)
    true = np.zeros((16, 2, 2))
    true[:, 0] = amplitude_A * places / np.array(FIELD) * drawn.choice([-1, 1], 2)
    observed = true + sigma_A * drawn.standard_normal(true.shape)
    return PatchEvidence(places, FIELD, _times(FRAMES), observed, np.full(16, sigma_A**2)), true


def test_a_shear_is_found_and_is_nearer_the_truth_than_the_patches() -> None:
    cases = [_evidence(4.0, 0.8, seed) for seed in range(20)]
    prior = LocalPrior([evidence for evidence, _ in cases])
    errors = []
    for evidence, true in cases:
        field = prior.field(evidence)
        assert field is not None
        expected = np.einsum("ft,ptc->fpc", evidence.time, true)
        found = np.stack([field.displacement_yx_A(evidence.places_yx_A, frame) for frame in range(FRAMES)])
        errors.append(np.sqrt(np.mean(np.square(found - expected))) / np.sqrt(np.mean(np.square(expected))))
    assert np.median(errors) < 0.4


def test_no_field_where_nothing_moves() -> None:
    cases = [_evidence(0.0, 0.8, seed)[0] for seed in range(20)]
    prior = LocalPrior(cases)
    assert prior.shares[0] > 0.7
    assert sum(prior.field(one) is not None for one in cases) <= 1


def test_a_field_has_no_mean_which_is_the_track_s() -> None:
    evidence, _ = _evidence(4.0, 0.5, 1)
    moved = PatchEvidence(
        evidence.places_yx_A, FIELD, evidence.time, evidence.observed_yx_A + 3.0, evidence.variance_A2
    )
    field = LocalPrior([moved]).field(moved)
    assert field is not None
    sides = [np.linspace(-0.5, 0.5, 9) * side for side in FIELD]
    grid = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1)
    assert np.abs(field.displacement_yx_A(grid, 0).mean(axis=(0, 1))).max() < 1e-9


def _moving(amplitude_A: float, seed: int) -> list[torch.Tensor]:
    """Return frames in which the field is sheared, by the amplitude from its one side to the other."""
    size, step = 704, 32
    grid = np.stack(np.meshgrid(*[np.arange(size // step + 1) * step - size // 2] * 2, indexing="ij"), axis=-1)
    image = torch.from_numpy(blobs(size, seed).astype(np.float32))
    coefficients, noise, frames = spline_coefficients(image), stream(seed, "moving"), []
    for frame in range(FRAMES):
        along = (frame - (FRAMES - 1) / 2) / FRAMES
        pull = amplitude_A / PIXEL_A * along * grid[..., ::-1] / size * np.array([1.0, -1.0])
        seen = warp(coefficients, -pull, step).numpy()
        seen = shifted(seen, (0.4 * frame, 0.0))
        frames.append(torch.from_numpy(noise.poisson(0.6 * np.maximum(1 + 0.15 * seen, 0)).astype(np.float32)))
    return frames


@pytest.mark.parametrize(("amplitude_A", "found"), [(10.0, True), (0.0, False)])
def test_a_sheared_movie(amplitude_A: float, found: bool) -> None:
    movies = [partial(_moving, amplitude_A, seed) for seed in range(2)]
    tracks = estimate_series(movies, PIXEL_A, MotionSettings()).tracks
    for track in tracks:
        assert track is not None
        assert (track.local is not None) is found
        if track.local is not None:
            # The last frame: half the amplitude times 7/8 over half the field, along y growing with x.
            corner = track.local.displacement_yx_A([0.0, 0.4 * 704 * PIXEL_A], FRAMES - 1)
            assert corner[0] == pytest.approx(10.0 * 7 / 16 * 0.4, abs=0.6)
            assert abs(corner[1]) < 0.6
