"""The track of one movie: laws, the likelihood against its own definition, the bound, and what is refused."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from motion_cases import PIXEL_A, error_A, movie

from eucentric.core import InputError, stream
from eucentric.processing.motion import MotionSettings, estimate_movie, estimate_series
from eucentric.processing.motion.likelihood import Evaluation, _by_numba, _by_torch, evaluate, phases
from eucentric.processing.motion.prior import TemporalPrior
from eucentric.processing.motion.spectra import FrameSpectra, frame_spectra, stack_spectra
from eucentric.processing.motion.track import Powers, _even_drift

CURVED_A = np.stack([8 * (1 - np.exp(-np.arange(8) / 2.5)), -3 + 0.8 * np.arange(8)], axis=1)
WITHOUT_LOCAL = MotionSettings(local=False)


@pytest.fixture(scope="module")
def spectra() -> FrameSpectra:
    return frame_spectra(movie(CURVED_A[:4], size=65), PIXEL_A, 6.0)


def _weighed(spectra: FrameSpectra, shifts: np.ndarray, by: str = "numba") -> tuple[float, np.ndarray, np.ndarray]:
    weights = 1 / (1 + np.arange(len(spectra.grid.ring_k)))
    weights[0] = 0
    form = _by_numba if by == "numba" else _by_torch
    found = form(spectra, weights, shifts)
    return float(found.power @ weights), found.gradient, found.power


def test_likelihood_is_the_weighted_power_of_the_frames_moved_back(spectra: FrameSpectra) -> None:
    shifts = stream(0, "shifts").normal(size=(4, 2)) * 3
    k_y, k_x = spectra.grid.k_y.numpy()[:, None], spectra.grid.k_x.numpy()
    whole = np.zeros(tuple(spectra.grid.rings.shape), dtype=np.complex128)
    for frame, (y, x) in zip(spectra.values, shifts, strict=True):
        whole += frame.numpy() * np.exp(2j * np.pi * (k_y * y + k_x * x))
    rings = spectra.grid.rings.numpy()
    weights = np.where(rings > 0, 1 / (1 + rings), 0) * np.where(np.arange(rings.shape[1]) == 0, 0.5, 1)
    assert _weighed(spectra, shifts)[0] == pytest.approx(float(np.sum(weights * np.abs(whole) ** 2)), rel=1e-5)


def test_gradient_is_the_slope_of_the_likelihood(spectra: FrameSpectra) -> None:
    shifts = stream(1, "shifts").normal(size=(4, 2)) * 3
    _, gradient, _ = _weighed(spectra, shifts)
    for frame in range(4):
        for axis in range(2):
            step = np.zeros((4, 2))
            step[frame, axis] = 0.05
            slope = (_weighed(spectra, shifts + step)[0] - _weighed(spectra, shifts - step)[0]) / 0.1
            assert gradient[frame, axis] == pytest.approx(slope, rel=0.02, abs=0.002 * np.abs(gradient).max())


def test_both_forms_of_the_likelihood_agree(spectra: FrameSpectra) -> None:
    shifts = stream(2, "shifts").normal(size=(4, 2)) * 3
    for one, other in zip(_weighed(spectra, shifts), _weighed(spectra, shifts, "torch"), strict=True):
        expected, found = np.asarray(one), np.asarray(other)
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-4 * float(np.abs(expected).max()))


@pytest.mark.parametrize("form", [_by_numba, _by_torch])
def test_power_alone_is_that_of_the_whole_evaluation(spectra: FrameSpectra, form: Callable[..., Evaluation]) -> None:
    shifts = stream(3, "shifts").normal(size=(4, 2)) * 3
    weighed = form(spectra, np.ones(len(spectra.grid.ring_k)), shifts)
    alone = form(spectra, None, shifts)
    np.testing.assert_allclose(alone.power, weighed.power, rtol=1e-6)
    assert not alone.gradient.any()


def test_phases_are_right_after_many_turns() -> None:
    k, shifts_A = np.linspace(-0.25, 0.25, 101), np.array([0.3, -400.0])
    expected = np.exp(2j * np.pi * shifts_A[:, None] * k)
    np.testing.assert_allclose(phases(k, shifts_A), expected, atol=5e-5)


def test_frames_at_once_are_frames_in_turn() -> None:
    frames = movie(CURVED_A, size=80)
    turn, once = frame_spectra(frames, PIXEL_A, 2 * PIXEL_A), stack_spectra(torch.stack(list(frames)), PIXEL_A)
    torch.testing.assert_close(once.values, turn.values, rtol=1e-4, atol=1e-3 * turn.noise**0.5)
    np.testing.assert_allclose(once.power, turn.power, rtol=1e-4, atol=1e-4 * turn.power.max())
    assert once.noise == pytest.approx(turn.noise, rel=1e-4)


def test_more_frames_than_there_was_room_for() -> None:
    still = frame_spectra(movie(np.zeros((19, 2)), size=64), PIXEL_A, 8.0)
    assert still.frames == 19
    power = still.grid.summed(still.values.abs().square().sum(dim=0))
    np.testing.assert_allclose(still.power, power, rtol=1e-4)


def test_the_even_drift_is_the_likeliest_of_all() -> None:
    """The search by pairs finds what weighing each drift by itself does."""
    drift_A = np.outer(np.arange(6), (2.4, -1.7))
    coarse = frame_spectra(movie(drift_A, contrast=0.3), PIXEL_A, 4.0).cut(40.0)
    powers = Powers.at_first(coarse)
    weights, at = powers.weights(6), np.arange(6) - 2.5
    found = _even_drift(coarse, powers, 1e6, 120.0)  # no drift is unusual
    worth = float(evaluate(coarse, weights, found).power @ weights)
    for speed in stream(4, "speeds").uniform(-4, 4, (200, 2)):
        other = float(evaluate(coarse, weights, np.outer(at, speed)).power @ weights)
        assert other <= worth * (1 + 0.02)  # the best lies between those that are tried
    assert np.abs(np.diff(found, axis=0) - np.diff(drift_A, axis=0)).max() < 1.0


def test_the_error_is_what_the_uncertainty_says() -> None:
    # 12 movies of 8 frames: the ratio of their rms error to the sigma given scatters by some 6 %.
    errors, sigmas = [], []
    for seed in range(12):
        track = estimate_movie(movie(CURVED_A, seed=seed), PIXEL_A, WITHOUT_LOCAL)
        errors.append(error_A(track.shifts_yx_A, CURVED_A) / np.sqrt(2))
        sigmas.append(np.sqrt(np.mean(np.square(track.sigma_A))))
    ratio = float(np.sqrt(np.mean(np.square(errors)) / np.mean(np.square(sigmas))))
    assert 0.7 < ratio < 1.4
    assert np.median(errors) < 0.25 * PIXEL_A


@pytest.mark.parametrize("shape", [(160, 120), (121, 163)])
def test_fields_of_any_shape(shape: tuple[int, int]) -> None:
    frames = [frame[: shape[0], : shape[1]].contiguous() for frame in movie(CURVED_A, contrast=0.3)]
    assert error_A(estimate_movie(frames, PIXEL_A, WITHOUT_LOCAL).shifts_yx_A, CURVED_A) < 0.6


def test_a_long_drift_is_found() -> None:
    drift_A = np.outer(np.arange(8), (5.0, -4.0))  # 45 Å from the first frame to the last
    assert error_A(estimate_movie(movie(drift_A), PIXEL_A, WITHOUT_LOCAL).shifts_yx_A, drift_A) < 1.0


@settings(max_examples=10, deadline=None)
@given(st.floats(0.2, 50), st.floats(-3, 3))
def test_neither_gain_nor_offset_changes_a_track(gain: float, offset: float) -> None:
    frames = movie(CURVED_A, size=96)
    plain = estimate_movie(frames, PIXEL_A, WITHOUT_LOCAL)
    changed = estimate_movie([gain * frame + offset for frame in frames], PIXEL_A, WITHOUT_LOCAL)
    np.testing.assert_allclose(changed.shifts_yx_A, plain.shifts_yx_A, atol=0.02)


def test_turning_the_frames_turns_the_track() -> None:
    frames = movie(CURVED_A)
    plain = np.array(estimate_movie(frames, PIXEL_A, WITHOUT_LOCAL).shifts_yx_A)
    turned = estimate_movie([frame.T.contiguous() for frame in frames], PIXEL_A, WITHOUT_LOCAL)
    np.testing.assert_allclose(np.array(turned.shifts_yx_A), plain[:, ::-1], atol=0.05)


def test_a_single_frame_does_not_move() -> None:
    track = estimate_movie(movie(CURVED_A[:1]), PIXEL_A)
    assert track.shifts_yx_A == ((0.0, 0.0),)


def test_two_frames() -> None:
    true = np.array([[0.0, 0.0], [3.0, -2.0]])
    assert error_A(estimate_movie(movie(true, electrons=5), PIXEL_A, WITHOUT_LOCAL).shifts_yx_A, true) < 0.3


@pytest.mark.parametrize(
    ("frames", "says"),
    [
        ([], "without frames"),
        ([torch.zeros(64, 64)] * 3, "hold nothing"),
        ([torch.zeros(64, 64), torch.zeros(64, 60)], "Frame 1 has 64 x 60"),
        ([torch.rand(8, 8)] * 3, "too small"),
    ],
)
def test_what_cannot_be_followed_says_why(frames: list[torch.Tensor], says: str) -> None:
    with pytest.raises(InputError, match=says):
        estimate_movie(frames, PIXEL_A)


def test_one_bad_movie_stops_no_other() -> None:
    good = movie(CURVED_A)
    found = estimate_series([lambda: good, None, lambda: [torch.zeros(64, 64)] * 3], PIXEL_A, WITHOUT_LOCAL)
    assert [track is None for track in found.tracks] == [False, True, True]
    assert found.reasons[1] == "there is no movie"
    assert "hold nothing" in found.reasons[2]


def test_lost_frames_keep_their_numbers() -> None:
    kept = (0, 1, 2, 4, 5, 6, 7)
    frames = [frame for number, frame in enumerate(movie(CURVED_A)) if number in kept]
    track = estimate_series([lambda: frames], PIXEL_A, WITHOUT_LOCAL, which=[kept]).tracks[0]
    assert track is not None
    assert track.frames == kept
    assert error_A(track.shifts_yx_A, CURVED_A[list(kept)]) < 0.6


def test_a_pattern_of_the_camera_is_seen() -> None:
    pattern = torch.from_numpy((1 + 0.2 * stream(0, "gain").standard_normal((192, 192))).astype(np.float32))
    clean = movie(CURVED_A, electrons=1.0)
    found = {
        name: estimate_series([partial(list, frames)], PIXEL_A, WITHOUT_LOCAL)
        for name, frames in (("clean", clean), ("patterned", [frame * pattern for frame in clean]))
    }
    assert not found["clean"].gain_is_wrong
    assert found["patterned"].gain_is_wrong
    # Noise of relative variance v on 1 e/px has v times the power of the counts, here squared with their mean.
    assert found["patterned"].fixed_pattern == pytest.approx(0.2**2, rel=0.3)


@pytest.mark.parametrize("seed", range(4))
def test_a_drift_is_not_read_from_noise(seed: int) -> None:
    """Among hundreds of drifts some fit noise better than none does; large fields show no more at coarse detail."""
    noise = stream(seed, "noise")
    frames = [torch.from_numpy(noise.poisson(1.0, (256, 256)).astype(np.float32)) for _ in range(8)]
    coarse = frame_spectra(frames, PIXEL_A, 4.0).cut(30.0)
    usual_A = TemporalPrior().linear_A
    track = _even_drift(coarse, Powers.at_first(coarse), usual_A, 120.0)
    assert np.linalg.norm(np.diff(track, axis=0), axis=1).max() < 3 * usual_A
