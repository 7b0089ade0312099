"""Training and restoring, on round things whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from eucentric.core import InputError
from eucentric.processing.restoration import HalfTomograms, RestoreSettings, Trained, restore, train, transfer
from eucentric.processing.restoration.blocks import inverse, look_at
from phantoms.halves import TILTS_DEG, Halves, correlation, round_things, seen_halves

SIDE, NOISE, THINGS = 40, 4.0, 6
QUICK = RestoreSettings(channels=8, cube_px=32, most_steps=64, look_steps=32, rate=3e-3)


@pytest.fixture(scope="module")
def halves() -> Halves:
    return seen_halves(round_things(SIDE, 1, THINGS), NOISE, 2)


@pytest.fixture(scope="module")
def measured() -> np.ndarray:
    return np.asarray(transfer((SIDE,) * 3, 10.0, TILTS_DEG) > 0.5)


@pytest.fixture(scope="module")
def hidden() -> np.ndarray:
    kz, kx = torch.fft.fftfreq(SIDE)[:, None], torch.fft.rfftfreq(SIDE)
    steep = (torch.atan2(kz.abs(), kx) > np.deg2rad(66)) & (kz.abs() > 3 / SIDE)
    return np.asarray(steep[:, None].expand(SIDE, SIDE, SIDE // 2 + 1))


def linear(halves: Halves) -> np.ndarray:
    seeing = look_at(halves.pair, torch.device("cpu"))
    mean = torch.from_numpy(halves.pair.even + halves.pair.odd) / 2
    return np.asarray(inverse(seeing.spectra.wiener(seeing.sights.both, 2) * torch.fft.rfftn(mean)))


@pytest.fixture(scope="module")
def wedge(halves: Halves) -> Trained:
    return train([halves.pair], QUICK.replace(method="wedge", most_steps=240, look_steps=40))


def test_what_was_measured_is_told_better_than_by_the_best_linear_filter(
    halves: Halves, wedge: Trained, measured: np.ndarray
) -> None:
    best = correlation(linear(halves), halves.truth, measured)
    assert correlation(restore(halves.pair, wedge).full, halves.truth, measured) > best + 0.008


def test_held_out_data_are_foretold_better_than_by_the_linear_filter_that_training_begins_with(halves: Halves) -> None:
    settings = QUICK.replace(method="noise2noise")
    begun = train([halves.pair], settings.replace(most_steps=1, rate=1e-12)).looks[-1]
    learned = train([halves.pair], settings).looks[-1]
    assert 1 < learned.held_out < begun.held_out  # 1 is what noise alone would give


def test_the_missing_wedge_is_filled_with_what_is_there(halves: Halves, wedge: Trained, hidden: np.ndarray) -> None:
    restored = restore(halves.pair, wedge)
    assert abs(correlation(linear(halves), halves.truth, hidden)) < 0.06
    assert correlation(restored.full, halves.truth, hidden) > 0.15


def test_what_was_measured_is_kept_within_its_noise(halves: Halves, wedge: Trained, measured: np.ndarray) -> None:
    restored = restore(halves.pair, wedge)
    through = transfer((SIDE,) * 3, 10.0, TILTS_DEG).clamp(max=1).numpy()
    left = through * np.fft.rfftn(restored.full) - np.fft.rfftn((halves.pair.even + halves.pair.odd) / 2)
    noise = np.fft.rfftn((halves.pair.even - halves.pair.odd) / 2)
    assert np.sum(np.abs(left[measured]) ** 2) < 1.15 * np.sum(np.abs(noise[measured]) ** 2)


def test_stated_intervals_hold_the_truth(halves: Halves, wedge: Trained) -> None:
    """Of a tomogram as small as this, that the network learned from, they are too narrow: it knows its noise."""
    never_seen = seen_halves(round_things(SIDE, 11, THINGS), NOISE, 12)
    for known, least, most in ((never_seen, 0.85, 0.97), (halves, 0.75, 0.95)):
        restored = restore(known.pair, wedge)
        error = (restored.full - restored.full.mean() - known.truth) / restored.sigma
        assert least < float(np.mean(np.abs(error) < 1.645)) < most


def test_a_model_restores_what_it_never_saw(wedge: Trained, hidden: np.ndarray) -> None:
    other = seen_halves(round_things(SIDE, 11, THINGS), NOISE, 12)
    assert correlation(restore(other.pair, wedge).full, other.truth, hidden) > 0.07


def test_in_noise_alone_nothing_is_found() -> None:
    nothing = seen_halves(np.zeros((SIDE,) * 3, np.float32), NOISE, 5)
    trained = train([nothing.pair], QUICK.replace(method="wedge"))
    restored = restore(nothing.pair, trained)
    assert restored.full.std() < 0.05 * nothing.pair.even.std()
    assert abs(np.corrcoef(restored.even.ravel(), restored.odd.ravel())[0, 1]) < 0.2


def test_what_was_taken_out_does_not_grow_back(wedge: Trained) -> None:
    truth = round_things(SIDE, 24, 4 * THINGS)
    hole = truth.copy()
    hole[8:28, 8:28, 8:28] = np.median(truth)
    inner = (slice(12, 24),) * 3
    assert np.var(truth[inner]) > 0.5  # there was something
    with_it, without = (restore(seen_halves(one, NOISE, 22).pair, wedge).full for one in (truth, hole))
    assert np.var(without[inner]) < 0.25 * np.var(with_it[inner])


@pytest.mark.parametrize("method", ["wedge", "cryogen"])
def test_training_that_was_interrupted_comes_to_the_same(halves: Halves, method: str) -> None:
    settings = QUICK.replace(method=method, most_steps=24, look_steps=8)
    kept: list[Trained] = []
    through = train([halves.pair], settings, keep=kept.append)
    assert [one.state["step"] for one in kept] == [8, 16, 24]
    again = train([halves.pair], settings, resume=kept[1])
    assert again.ended == through.ended == "24 steps were done"
    for name, weights in through.weights.items():
        torch.testing.assert_close(again.weights[name], weights, rtol=0, atol=0, msg=name)


def test_the_critic_learns_in_either_form(halves: Halves) -> None:
    settings = QUICK.replace(method="cryogen", most_steps=8, look_steps=8)
    weights = [
        train([halves.pair], settings.replace(form=form)).state["game"]["critic"] for form in ("map", "transport")
    ]
    assert not torch.equal(weights[0]["layers.0.weight"], weights[1]["layers.0.weight"])


def test_training_stops_where_held_out_data_gain_nothing(halves: Halves) -> None:
    still = QUICK.replace(method="noise2noise", rate=1e-12, most_steps=10_000, look_steps=8, patience=1)
    trained = train([halves.pair], still)
    assert "held-out" in trained.ended
    assert trained.state["step"] < 100


def test_other_settings_do_not_go_on(halves: Halves) -> None:
    begun = train([halves.pair], QUICK.replace(most_steps=8))
    with pytest.raises(InputError, match="other settings"):
        train([halves.pair], QUICK.replace(channels=4), resume=begun)


def test_a_model_of_other_voxels_is_refused(halves: Halves, wedge: Trained) -> None:
    with pytest.raises(InputError, match=r"voxels of 20\.00 Å"):
        restore(replace(halves.pair, voxel_A=20.0), wedge)


def spoilt(pair: HalfTomograms, what: str) -> HalfTomograms:
    even = pair.even.copy()
    if what == "nan":
        even[3, 4, 5] = np.nan
    return {
        "same": replace(pair, odd=pair.even),
        "size": replace(pair, odd=pair.odd[:-2]),
        "small": replace(pair, even=pair.even[:20], odd=pair.odd[:20]),
        "nan": replace(pair, even=even),
        "constant": replace(pair, odd=np.ones_like(pair.odd)),
        "tilts": replace(pair, tilts_deg=()),
        "voxel": replace(pair, voxel_A=0.0),
    }[what]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("same", "the same volume"),
        ("size", "40 x 40 x 40 and 38 x 40 x 40"),
        ("small", "too few"),
        ("nan", "no numbers"),
        ("constant", "is 1 everywhere"),
        ("tilts", "0 tilt angles"),
        ("voxel", "a voxel of 0.0 Å"),
    ],
)
def test_halves_that_teach_nothing_are_refused(halves: Halves, what: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        train([spoilt(halves.pair, what)], QUICK)
