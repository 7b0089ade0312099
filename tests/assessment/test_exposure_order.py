"""Images that fade in an order bear it out; those that cannot tell say so."""

import math

import numpy as np
import pytest

from eucentric.assessment.exposure_order import (
    BAND_EDGES_A,
    HalfSignal,
    OrderVerdict,
    half_signal,
    judge_order,
    rival_orders,
)
from eucentric.optics import critical_exposure_e_A2, surviving_amplitude

TILTS = np.arange(-60.0, 61.0, 10.0)
EACH = 10.0


def before(name: str) -> np.ndarray:
    return EACH * rival_orders(TILTS.tolist())[name]


def signals(pre: np.ndarray, *, noise: float = 0.03, rough: float = 0.1, seed: int = 0) -> list[HalfSignal]:
    """Return signals that fade by the published curve, with a structure of their own and noise."""
    rng = np.random.default_rng(seed)
    edges = np.array(BAND_EDGES_A)
    critical = critical_exposure_e_A2(1 / np.sqrt(edges[1:] * edges[:-1]))
    faded = np.exp(-(pre[:, None] + EACH / 2) / critical) * 0.8 + 0.2
    smooth = np.exp(-0.5 * ((TILTS[:, None] - TILTS) / 12) ** 2)
    structure = np.linalg.cholesky(smooth + 1e-6 * np.eye(len(TILTS))) @ rng.normal(size=faded.shape)
    seen = faded * (1 + rough * structure) + noise * rng.normal(size=faded.shape)
    return [HalfSignal(cross=tuple(row), error=(noise,) * len(row)) for row in seen]


def judged(found: list[HalfSignal], claimed: np.ndarray) -> OrderVerdict:
    return judge_order(found, TILTS.tolist(), claimed.tolist(), [EACH] * len(TILTS))


@pytest.mark.parametrize("name", ["by rising angle", "from 0° outwards on both sides in turn"])
def test_the_true_order_is_borne_out_and_another_contradicted(name: str) -> None:
    found = signals(before(name))
    right = judged(found, before(name))
    assert right.log_odds > 5
    assert right.power > 0.8
    wrong = judged(found, before("by falling angle"))
    assert wrong.log_odds < -5
    assert wrong.rival == name


def test_noise_says_nothing_and_claims_no_power() -> None:
    pre = before("by rising angle")
    weak = judged(signals(pre, noise=1.0), pre)
    assert abs(weak.log_odds) < 3
    assert weak.power < 0.5
    assert judged([HalfSignal(cross=(0.0,) * 5, error=(math.inf,) * 5)] * len(TILTS), pre) == OrderVerdict()


def test_a_blank_tilt_does_not_stop_the_rest() -> None:
    pre = before("by rising angle")
    found = signals(pre)
    found[3] = HalfSignal(cross=(0.0,) * 5, error=(math.inf,) * 5)
    assert judged(found, pre).log_odds > 5


def test_orders_are_permutations() -> None:
    for place in rival_orders([-6.0, 0.0, 3.0, 9.0]).values():
        assert sorted(place) == [0, 1, 2, 3]


def test_halves_share_what_is_in_both_however_they_were_weighted() -> None:
    rng = np.random.default_rng(1)
    size, pixel_A, exposure = 256, 4.0, 40.0
    shared = rng.normal(size=(size, size))
    even, odd = (100 + shared + 2 * rng.normal(size=(size, size)) for _ in range(2))
    plain = half_signal(even, odd, pixel_A)
    # White noise of power 1 on a mean of 100.
    assert plain.cross == pytest.approx([1e-4] * 5, rel=0.35)
    assert all(abs(c - 1e-4) < 4 * e for c, e in zip(plain.cross, plain.error, strict=True))
    k = np.hypot(np.fft.fftfreq(size, pixel_A)[:, None], np.fft.rfftfreq(size, pixel_A)[None])
    weights = surviving_amplitude(k, exposure)
    even, odd = (np.fft.irfft2(np.fft.rfft2(half) * weights, s=half.shape) for half in (even, odd))
    again = half_signal(even, odd, pixel_A, weighted_e_A2=exposure)
    assert again.cross == pytest.approx(plain.cross, rel=0.05)


def test_bands_beyond_the_pixels_limit_are_not_seen() -> None:
    rng = np.random.default_rng(0)
    found = half_signal(rng.normal(10, 1, (128, 128)), rng.normal(10, 1, (128, 128)), 10.0)
    assert [math.isfinite(error) for error in found.error] == [True, True, True, False, False]
    assert not any(math.isfinite(e) for e in half_signal(np.zeros((64, 64)), np.zeros((64, 64)), 3.0).error)
