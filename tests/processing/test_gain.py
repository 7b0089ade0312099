"""Gain references lying any way, defects among sparse counts, and frames corrected for both."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from eucentric.core import InputError, stream
from eucentric.detector import DETECTORS, Sensor
from eucentric.processing.gain import FrameCorrector, GainOrientation, find_defects, find_orientation

Floats = NDArray[np.float32]
SIDE = 160


def _gain(shape: tuple[int, int] = (SIDE, SIDE), spread: float = 0.05) -> Floats:
    return np.exp(spread * stream(0, "gain").standard_normal(shape)).astype(np.float32)


def _counts(gain: Floats, electrons: float = 60.0, seed: int = 0) -> Floats:
    """Return the sum of frames of a smooth specimen, as a camera of this gain counts it."""
    random = stream(seed, "counts")
    specimen = 1 + 0.1 * gaussian_filter(random.standard_normal(gain.shape), 12) * 40
    return random.poisson(electrons * specimen / np.maximum(gain, 1e-3) * (gain > 0)).astype(np.float32)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("divides", [False, True])
def test_all_ways_of_lying_are_found(turns: int, flipped: bool, divides: bool) -> None:
    truth = GainOrientation(quarter_turns=turns, flipped=flipped, divides=divides)
    stored = _gain()
    verdict = find_orientation(_counts(truth.apply(stored)), stored)
    assert verdict.orientation == truth
    assert len(verdict.scores) == 8
    assert verdict.margin > 20
    assert not verdict.unsure


def test_only_ways_that_fit_the_shape_are_tried() -> None:
    gain = _gain((120, 160))
    assert set(find_orientation(_counts(gain), gain).scores) == {"0", "2", "0f", "2f"}
    turned = np.ascontiguousarray(np.rot90(gain))
    assert find_orientation(_counts(gain), turned).orientation.quarter_turns == 3
    with pytest.raises(InputError, match=r"has \(50, 40\) pixels, the frames \(160, 160\)"):
        find_orientation(_counts(_gain()), _gain((50, 40)))


def test_a_flat_gain_is_not_sworn_by() -> None:
    verdict = find_orientation(_counts(_gain()), np.ones((SIDE, SIDE), np.float32))
    assert verdict.unsure
    assert verdict.orientation == GainOrientation()
    corrected = find_orientation(_counts(np.ones((SIDE, SIDE), np.float32)), _gain())
    assert "corrected already" in corrected.unsure
    with pytest.raises(InputError, match="hold nothing"):
        find_orientation(np.zeros((SIDE, SIDE), np.float32), _gain())


def test_a_symmetric_gain_is_told() -> None:
    half = _gain((SIDE // 2, SIDE))
    mirrored = np.concatenate([half, half[::-1]])
    assert "fits nearly as well" in find_orientation(_counts(mirrored), mirrored).unsure


@given(st.integers(0, 3), st.booleans())
def test_turning_is_undone_by_turning_back(turns: int, flipped: bool) -> None:
    gain = _gain((6, 4))
    turned = GainOrientation(quarter_turns=turns, flipped=flipped).apply(gain)
    back = np.rot90(turned, -turns)
    np.testing.assert_array_equal(back[::-1] if flipped else back, gain)


@pytest.mark.parametrize("electrons", [15.0, 200.0])
def test_defects_are_found_and_few_others(electrons: float) -> None:
    gain = _gain()
    total = _counts(gain, electrons)
    total[10, 20], total[30, 40], total[50, 60] = 12 * electrons, 0, 0
    total[:, 77] *= 1.6
    total[101] *= 0.4
    defects = find_defects(total, gain)
    assert defects[10, 20]
    assert defects[30, 40]
    assert defects[50, 60]
    assert defects[:, 77].all()
    assert defects[101].all()
    assert defects.sum() <= 3 + 2 * SIDE + 3


def test_zeros_of_the_gain_are_defects() -> None:
    gain = _gain()
    gain[3, 4] = 0
    assert find_defects(_counts(gain), gain)[3, 4]
    assert not find_defects(np.zeros((SIDE, SIDE), np.float32), None).any()


def test_the_defects_of_the_twin_s_camera_are_found() -> None:
    """Of 60 e/px in all: hot pixels and dead ones, and hardly a good one beside them."""
    sensor = Sensor(DETECTORS["k2"], (512, 512), seed=3)
    hot, dead = sensor.defects.hot_yx, sensor.defects.dead_yx
    counts = stream(2, "camera").poisson(60 * sensor.sensitivity).astype(np.float32)
    counts[tuple(hot.T)] += 20 * 60
    found = find_defects(counts, sensor.gain_reference)
    assert len(hot) + len(dead) > 0
    assert found[tuple(hot.T)].all()
    assert found[tuple(dead.T)].all()
    assert found.sum() <= len(hot) + len(dead) + 5


def test_a_corrected_frame_is_even_and_as_noisy() -> None:
    gain = _gain(spread=0.3)
    gain[5, 5:9] = 0
    frame = stream(1, "frame").poisson(np.divide(3.0, gain, out=np.zeros_like(gain), where=gain > 0)).astype(np.uint8)
    hot = np.zeros(gain.shape, bool)
    hot[80, 80], hot[:, 33] = True, True
    frame[hot] = 255
    correct = FrameCorrector(gain, hot)
    corrected = correct(frame)
    good = ~hot & (gain > 0)
    np.testing.assert_allclose(corrected[good], frame[good] * gain[good], rtol=1e-6)
    assert corrected[hot].mean() == pytest.approx(3.0, abs=0.6)
    assert corrected[hot].max() < 40
    assert corrected[hot].std() > 1.0
    np.testing.assert_array_equal(corrected, FrameCorrector(gain, hot)(frame))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
def test_frames_of_any_type(dtype: type) -> None:
    frame: NDArray[np.uint8] = np.arange(12).reshape(3, 4).astype(dtype)
    gain = np.full((3, 4), 2, np.float32)
    np.testing.assert_array_equal(FrameCorrector(gain, None)(frame), 2 * np.arange(12).reshape(3, 4))
    np.testing.assert_array_equal(FrameCorrector(None, None)(frame), np.arange(12).reshape(3, 4))


def test_what_cannot_be_corrected_says_why() -> None:
    gain = _gain((20, 20))
    with pytest.raises(InputError, match=r"frame has \(10, 20\) pixels, the gain reference \(20, 20\)"):
        FrameCorrector(gain, None)(np.zeros((10, 20), np.uint8))
    with pytest.raises(InputError, match="map of defects"):
        FrameCorrector(gain, np.zeros((10, 20), bool))
    with pytest.raises(InputError, match="without a good one near by"):
        FrameCorrector(gain, np.ones((20, 20), bool))
