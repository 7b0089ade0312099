"""The whole series together: truth found again, either hand, thickness, and bad images that do not stop the rest."""

import math

import numpy as np
import pytest
import torch
from ctf_series_cases import AXIS_DEG, LENS, tilted_image
from torch import Tensor

from eucentric.core import InputError
from eucentric.optics import SeriesCTF
from eucentric.processing.ctf.records import CTFSettings
from eucentric.processing.ctf.series import fit_series
from eucentric.processing.ctf.series_prior import DefocusPrior

PIXEL_A = 2.5
TILTS = [-54.0, -36.0, -18.0, 0.0, 18.0, 36.0, 54.0]
TRUTH = [21_000.0 + 300.0 * math.sin(3 * index) for index in range(len(TILTS))]
SETTINGS = CTFSettings(high_resolution_A=5.5, max_defocus_A=40_000.0)


def images(hand: int, signal: float = 0.6, size: int = 320, thickness_A: float = 0.0) -> list[Tensor]:
    return [
        tilted_image(
            size,
            PIXEL_A,
            tilt,
            defocus,
            hand=hand,
            astigmatism_A=600.0,
            azimuth_deg=-30.0,
            signal=signal,
            thickness_A=thickness_A,
            seed=index,
        )
        for index, (tilt, defocus) in enumerate(zip(TILTS, TRUTH, strict=True))
    ]


def errors(found: SeriesCTF) -> np.ndarray:
    return np.array([tilt.mean_A for tilt in found.tilts]) - TRUTH


@pytest.fixture(scope="module")
def plus() -> list[Tensor]:
    return images(1)


@pytest.mark.parametrize("hand", [1, -1])
def test_defocus_astigmatism_and_hand_are_found(hand: int, plus: list[Tensor]) -> None:
    series = plus if hand == 1 else images(-1)
    found = fit_series(lambda section: series[section], PIXEL_A, TILTS, AXIS_DEG, LENS, SETTINGS)
    # 150 Å is what a tilt of 3 e/Å² should be known to; these have rings as deep as those of a good one.
    assert np.sqrt((errors(found) ** 2).mean()) < 150
    assert found.hand is not None
    assert found.hand.hand == hand
    assert found.hand.sure
    for tilt in found.tilts:
        assert tilt.used
        vector = tilt.astigmatism_A * np.exp(2j * math.radians(tilt.azimuth_deg))
        assert abs(vector - 600 * np.exp(-2j * math.radians(30))) < 150
        assert tilt.fit_resolution_A is not None
        assert tilt.sigma_A is not None
    assert found.tilts[3].score > 0.1


def test_bad_images_are_named_and_the_rest_goes_on(plus: list[Tensor]) -> None:
    series = list(plus)
    series[1] = torch.zeros_like(series[1])
    series[5] = series[5].clone()
    series[5][3, 4] = math.nan
    series[4] = torch.from_numpy(np.random.default_rng(99).normal(30, 1, (320, 320)).astype(np.float32))
    found = fit_series(series, PIXEL_A, TILTS, AXIS_DEG, LENS, SETTINGS, nominal_defocus_A=[20_000.0] * 7)
    assert [tilt.used for tilt in found.tilts] == [True, False, True, True, False, False, True]
    assert "blank" in found.tilts[1].reason
    assert "not numbers" in found.tilts[5].reason
    assert "no rings" in found.tilts[4].reason
    # What they cannot say, their neighbours do.
    assert np.abs(errors(found)).max() < 900
    assert np.abs(errors(found)[[0, 2, 3, 6]]).max() < 400


def test_one_tilt_far_off_is_believed_and_pulls_no_other(plus: list[Tensor]) -> None:
    series = list(plus)
    series[4] = tilted_image(320, PIXEL_A, TILTS[4], 26_000.0, astigmatism_A=600.0, azimuth_deg=-30.0, seed=7)
    found = fit_series(series, PIXEL_A, TILTS, AXIS_DEG, LENS, SETTINGS)
    assert found.tilts[4].mean_A == pytest.approx(26_000, abs=300)
    assert np.abs(np.delete(errors(found), 4)).max() < 400


def test_a_slab_shows_its_thickness() -> None:
    series = images(1, signal=1.2, thickness_A=1600.0)
    found = fit_series(series, PIXEL_A, TILTS, AXIS_DEG, LENS, SETTINGS)
    assert found.thickness_A == pytest.approx(1600, rel=0.15)
    assert np.abs(errors(found)).max() < 300


def test_a_plane_shows_none(plus: list[Tensor]) -> None:
    found = fit_series(plus, PIXEL_A, TILTS, AXIS_DEG, LENS, SETTINGS)
    assert found.thickness_A is None or found.thickness_A < 700


def test_without_a_tilt_there_is_no_verdict(plus: list[Tensor]) -> None:
    found = fit_series(plus[3:4], PIXEL_A, [0.0], AXIS_DEG, LENS, SETTINGS)
    assert found.hand is None
    assert found.tilts[0].mean_A == pytest.approx(TRUTH[3], abs=200)


def test_the_shift_of_a_phase_plate_is_found_with_the_defocus() -> None:
    plate = LENS.replace(phase_shift_deg=60.0)
    series = [
        tilted_image(320, PIXEL_A, tilt, defocus, signal=0.6, phase_deg=60.0, seed=index)
        for index, (tilt, defocus) in enumerate(zip(TILTS, TRUTH, strict=True))
    ]
    searched = fit_series(series, PIXEL_A, TILTS, AXIS_DEG, LENS, SETTINGS.replace(phase_plate=True))
    given = fit_series(series, PIXEL_A, TILTS, AXIS_DEG, plate, SETTINGS)
    assert searched.tilts[0].phase_shift_deg == pytest.approx(60, abs=12)
    assert given.tilts[0].phase_shift_deg == 60
    assert np.abs(errors(searched)).max() < 500
    assert np.abs(errors(given)).max() < 300


def test_what_cannot_be_fitted_is_refused(plus: list[Tensor]) -> None:
    with pytest.raises(InputError, match="no rings"):
        fit_series(plus, 14.0, TILTS, AXIS_DEG, LENS)
    with pytest.raises(InputError, match="7 images for 2 tilts"):
        fit_series(plus, PIXEL_A, [0.0, 3.0], AXIS_DEG, LENS)
    with pytest.raises(InputError, match="blank"):
        fit_series([torch.zeros(100, 100)], PIXEL_A, [0.0], AXIS_DEG, LENS)
    with pytest.raises(InputError, match="no tilts"):
        fit_series([], PIXEL_A, [], AXIS_DEG, LENS)


def test_the_prior_follows_a_trend_and_not_one_that_strays() -> None:
    along = np.linspace(-1, 1, 21)
    values = 30_000 + 400 * along + np.random.default_rng(0).normal(0, 100, 21)
    values[7] += 15_000
    prior = DefocusPrior(np.full(21, 29_000.0))
    for _ in range(8):
        prior = prior.learned(values, np.full(21, 30.0), along[:, None], np.zeros(21))
    assert np.abs(prior.centre_A - 30_000 - 400 * along).max() < 300
    assert prior.width_A < 500
    density = np.exp(prior.log_density(np.arange(3000.0, 90_000.0, 50.0)))
    assert density.sum(1) == pytest.approx(np.ones(21), abs=0.01)
