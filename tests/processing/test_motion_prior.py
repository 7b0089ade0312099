"""What a series teaches of its own movement."""

import numpy as np
import pytest
from motion_cases import error_A
from numpy.typing import NDArray

from eucentric.core import stream
from eucentric.processing.motion.prior import TemporalPrior

Array = NDArray[np.float64]
FRAMES = 8


def _series(prior: TemporalPrior, sigma_A: float, seed: int = 0, n: int = 41) -> tuple[list[Array], list[Array]]:
    """Return true tracks of a prior, and the same as frames of a certain noise would have them."""
    drawn = stream(seed, "prior")
    lower = np.linalg.cholesky(prior.covariance(FRAMES) + 1e-9 * np.eye(FRAMES))
    true = [lower @ drawn.standard_normal((FRAMES, 2)) for _ in range(n)]
    return true, [track + sigma_A * drawn.standard_normal((FRAMES, 2)) for track in true]


def _information(sigma_A: float) -> float:
    return 1 / (FRAMES * sigma_A**2)


def test_an_even_drift_is_learned() -> None:
    true = TemporalPrior(linear_A=3.0, settle_A=0.01, walk_A=0.01, jitter_A=0.01)
    _, seen = _series(true, 0.5)
    learned = TemporalPrior.learned([(track, _information(0.5)) for track in seen])
    assert 2.0 < learned.linear_A < 4.5
    assert learned.walk_A < 0.4
    assert learned.jitter_A < 0.3


def test_what_is_learned_makes_tracks_better() -> None:
    true, seen = _series(TemporalPrior(linear_A=0.3, settle_A=2.0, walk_A=0.05, jitter_A=0.02), 0.8)
    learned = TemporalPrior.learned([(track, _information(0.8)) for track in seen])
    errors = {
        name: np.sqrt(np.mean([error_A(estimate(track), at) ** 2 for track, at in zip(seen, true, strict=True)]))
        for name, estimate in (
            ("frames alone", lambda track: track),
            ("believed", lambda track: TemporalPrior().estimate(track, _information(0.8))[0]),
            ("learned", lambda track: learned.estimate(track, _information(0.8))[0]),
        )
    }
    assert errors["learned"] < 0.6 * errors["frames alone"]
    assert errors["learned"] < 1.02 * errors["believed"]


def test_sure_frames_are_followed_and_unsure_ones_are_not() -> None:
    track = np.cumsum(stream(3, "walk").standard_normal((FRAMES, 2)), axis=0)
    track -= track.mean(axis=0)
    prior = TemporalPrior()
    sure, sure_sigma = prior.estimate(track, 1e6)
    np.testing.assert_allclose(sure, track, atol=0.01)
    unsure, unsure_sigma = prior.estimate(track, 1e-6)
    assert np.abs(unsure).max() < 0.05
    assert np.all(sure_sigma < unsure_sigma)


def test_the_estimate_is_the_conditional_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the textbook: Gaussian steps of known covariance, seen with noise; one scale, so that nothing is averaged."""
    monkeypatch.setattr("eucentric.processing.motion.prior._SCALES", np.array([1.0]))
    prior, sigma_A = TemporalPrior(), 0.6
    _, seen = _series(prior, sigma_A, seed=5, n=1)
    unit = np.diff(np.eye(FRAMES), axis=0)
    covariance = prior.covariance(FRAMES)
    gain = covariance @ unit.T @ np.linalg.inv(unit @ (covariance + sigma_A**2 * np.eye(FRAMES)) @ unit.T)
    centred = np.eye(FRAMES) - 1 / FRAMES
    left = centred @ (covariance - gain @ unit @ covariance) @ centred
    mean, sigma = prior.estimate(seen[0] - seen[0].mean(axis=0), _information(sigma_A))
    np.testing.assert_allclose(mean, centred @ gain @ unit @ seen[0], atol=1e-8)
    np.testing.assert_allclose(sigma, np.sqrt(np.diag(left)), rtol=1e-8)


def test_few_tracks_teach_nothing() -> None:
    _, seen = _series(TemporalPrior(), 0.5, n=3)
    assert TemporalPrior.learned([(track, _information(0.5)) for track in seen]) == TemporalPrior()
