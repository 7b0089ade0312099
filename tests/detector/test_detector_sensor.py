import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.core import InputError
from eucentric.detector import DETECTORS, Detector, Sensor, as_movie

SHAPE = (96, 120)
# Faults enough to be found in a small image.
FAULTY = DETECTORS["k2"].replace(hot_per_Mpx=800, dead_per_Mpx=800, flickering_per_Mpx=800)
laws = settings(max_examples=25, deadline=None, derandomize=True)


def even(mean: float, shape: tuple[int, int] = SHAPE) -> NDArray[np.float32]:
    return np.full(shape, mean, np.float32)


def at(places_yx: NDArray[np.intp]) -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE, bool)
    mask[tuple(places_yx.T)] = True
    return mask


def test_the_same_path_gives_the_same_counts_and_another_gives_independent_ones() -> None:
    sensor, again = Sensor(FAULTY, SHAPE, seed=1), Sensor(FAULTY, SHAPE, seed=1)
    image = even(3.0)
    first = sensor.read(image, 0.2, "tilt", 3)
    np.testing.assert_array_equal(first, again.read(image, 0.2, "tilt", 3))
    assert first.dtype == np.uint16
    good = sensor.gain_reference > 0
    for defects in (sensor.defects.hot_yx, sensor.defects.flickering_yx):
        good &= ~at(defects)
    mean = FAULTY.counted_share(15.0) * 3.0 * sensor.sensitivity[good]
    for other in (sensor.read(image, 0.2, "tilt", 4), Sensor(FAULTY, SHAPE, seed=2).read(image, 0.2, "tilt", 3)):
        correlation = np.corrcoef(first[good] - mean, other[good] - mean)[0, 1]
        assert abs(correlation) < 5 / np.sqrt(good.sum())  # five standard deviations


def test_gain_has_its_spread_and_mean_one_over_living_pixels() -> None:
    sensor = Sensor(FAULTY, SHAPE, seed=3)
    dead = at(sensor.defects.dead_yx)
    assert dead.any()
    for values in (sensor.sensitivity, sensor.gain_reference):
        assert values.dtype == np.float32
        assert np.all(values[dead] == 0)
        assert values[~dead].min() > 0.5
        assert values[~dead].mean(dtype=float) == pytest.approx(1, abs=1e-5)
        # 120 columns and 16 taps leave the spread uncertain: sqrt(.16²·2/120 + .2²·2/16) / 2 = 4 %; three of those.
        assert values[~dead].std() == pytest.approx(0.03, rel=0.12)
        with pytest.raises(ValueError, match="read-only"):
            values[0, 0] = 2
    drift = (sensor.sensitivity * sensor.gain_reference)[~dead]
    assert drift.std() == pytest.approx(0.004, rel=0.12)
    # Independent, to 5 % of what few taps and columns leave to chance; four of those.
    assert abs(np.corrcoef(drift, sensor.gain_reference[~dead])[0, 1]) < 0.2
    assert np.abs(np.diff(sensor.sensitivity.mean(axis=0))).max() > 0.01  # columns show


def test_an_even_beam_is_flat_after_the_gain_reference() -> None:
    detector = DETECTORS["k2"].without("coincidence", "defects").replace(gain_rms=0.1, gain_drift_rms=0.0)
    sensor = Sensor(detector, SHAPE, seed=5)
    total = np.sum([sensor.read(even(100.0), 1.0, i) for i in range(20)], axis=0, dtype=float)
    flat = total * sensor.gain_reference / (20 * 100 * detector.detection)
    noise = 1 / np.sqrt(20 * 100 * detector.detection)
    assert flat.mean() == pytest.approx(1, abs=0.015)  # the mean of gain times the mean of its inverse is above 1
    # Nothing is left but counting noise, itself known to 1 / sqrt(2 n) = 0.7 % and uneven by the gain's second order.
    assert flat.std() / flat.mean() == pytest.approx(noise, rel=0.035)
    assert total.std() / total.mean() > 3 * noise
    pattern = sensor.sensitivity - sensor.sensitivity.mean()
    assert abs(np.corrcoef(flat.ravel(), pattern.ravel())[0, 1]) < 5 / np.sqrt(flat.size)


def test_drift_is_what_the_reference_leaves() -> None:
    drifted = FAULTY.without("coincidence", "defects").replace(gain_drift_rms=0.05)
    sensor = Sensor(drifted, SHAPE, seed=5)
    before = Sensor(drifted.without("drift"), SHAPE, seed=5)
    np.testing.assert_array_equal(sensor.gain_reference, before.gain_reference)
    total = np.sum([sensor.read(even(100.0), 1.0, i) for i in range(10)], axis=0, dtype=float)
    left = (total * sensor.gain_reference).ravel()
    drift = (sensor.sensitivity / before.sensitivity).ravel()
    assert np.corrcoef(left, drift)[0, 1] > 0.8


def test_defects_are_where_they_are_said_to_be() -> None:
    sensor = Sensor(FAULTY.without("gain"), SHAPE, seed=6)
    defects = sensor.defects
    # 9 of each are expected, as a Poisson number.
    assert all(0 < len(places) < 30 for places in (defects.hot_yx, defects.dead_yx, defects.flickering_yx))
    dark = np.stack([sensor.read(even(0.0), 5.0, i) for i in range(40)]).astype(float)
    dead, hot, flickering = at(defects.dead_yx), at(defects.hot_yx), at(defects.flickering_yx)
    assert not dark[:, ~(hot | flickering)].any()
    assert not dark[:, dead].any()
    only_hot = [i for i, (y, x) in enumerate(defects.hot_yx) if not (dead | flickering)[y, x]]
    y, x = defects.hot_yx[only_hot].T
    # 5 s and 40 frames of 2 to 200 counts a second: known to 5 / sqrt(400) = 25 % at the worst.
    np.testing.assert_allclose(dark[:, y, x].mean(axis=0), 5 * defects.hot_per_s[only_hot], rtol=0.25)
    only_flickering = flickering & ~hot & ~dead
    # At 10 counts and more in each frame while on, being off shows; on in a fifth of 40 frames for each of few.
    assert 0.1 < (dark[:, only_flickering] > 0).mean() < 0.3
    assert not sensor.read(even(50.0), 0.1, "lit")[dead].any()


def test_a_hot_pixel_counts_once_in_an_internal_frame() -> None:
    slow = FAULTY.without("gain").replace(internal_frames_per_s=3, hot_per_Mpx=3000)
    dark = Sensor(slow, SHAPE, seed=6).read(even(0.0), 1.0, "dark")
    assert dark.max() in (3, 6)  # 6 if a pixel is both hot and flickering


def test_each_effect_leaves_the_draws_of_the_others_alone() -> None:
    whole = Sensor(FAULTY, SHAPE, seed=7)
    image = even(4.0)
    counts = whole.read(image, 0.1, "frame")
    clean = Sensor(FAULTY.without("defects"), SHAPE, seed=7)
    faulty = at(whole.defects.hot_yx) | at(whole.defects.flickering_yx) | at(whole.defects.dead_yx)
    # A dead pixel merges with no neighbour, and the mean of the others is set to 1: so compared unmerged, without gain.
    with_faults, without = (
        Sensor(detector.without("coincidence", "gain"), SHAPE, seed=7).read(image, 0.1, "frame")
        for detector in (FAULTY, clean.detector)
    )
    np.testing.assert_array_equal(with_faults[~faulty], without[~faulty])
    # Coincidence takes counts away, and the same electrons arrive.
    unmerged = Sensor(FAULTY.without("coincidence"), SHAPE, seed=7).read(image, 0.1, "frame")
    assert np.all(counts[~faulty] <= unmerged[~faulty])
    assert counts.sum() < unmerged.sum()
    # Gain changes means by a few per cent, and with them few of the counts.
    even_gain = Sensor(FAULTY.without("coincidence", "gain"), SHAPE, seed=7)
    assert (even_gain.read(image, 0.1, "frame") == unmerged).mean() > 0.85
    no_hot = Sensor(FAULTY.replace(hot_per_Mpx=0.0), SHAPE, seed=7).defects
    for other in (even_gain.defects, no_hot):
        np.testing.assert_array_equal(other.dead_yx, whole.defects.dead_yx)
        np.testing.assert_array_equal(other.flickering_yx, whole.defects.flickering_yx)
    assert len(no_hot.hot_yx) == 0


@laws
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 10_000))
def test_small_cameras_may_be_at_fault_all_over(rows: int, columns: int, per_Mpx: float) -> None:
    detector = Detector(name="x", hot_per_Mpx=per_Mpx, dead_per_Mpx=10_000, gain_rms=0.3)
    sensor = Sensor(detector, (rows, columns), seed=rows)
    assert sensor.read(np.ones((rows, columns), np.float32), 1.0, 0).shape == (rows, columns)
    assert np.isfinite(sensor.gain_reference).all()


def test_a_movie_has_one_type() -> None:
    dark, hot = np.full((3, 4), 2, np.uint16), np.full((3, 4), 256, np.uint16)
    movie = as_movie([dark, hot], 1.0)  # 256 where one is expected: a hot pixel, which saturates
    assert movie.dtype == np.uint8
    np.testing.assert_array_equal(movie[1], 255)
    movie = as_movie([dark, hot], 100.0)  # 160 in the brightest, and 8 times its root: more than a byte
    assert movie.dtype == np.uint16
    np.testing.assert_array_equal(movie, np.stack([dark, hot]))
    assert as_movie([dark], 80.0).dtype == np.uint8
    with pytest.raises(ValueError, match="at least one"):
        as_movie([], 1.0)


@pytest.mark.parametrize(
    ("image", "seconds", "says"),
    [
        (even(1.0, (5, 5)), 0.1, "cannot fall"),
        (even(np.nan), 0.1, "not finite"),
        (even(np.inf), 0.1, "not finite"),
        (even(70_000.0), 0.1, "more frames"),
        (even(1.0), 0.0, "cannot last"),
        (even(1.0), np.nan, "cannot last"),
        (even(1.0), 1000.0, "more frames"),
    ],
)
def test_what_cannot_be_recorded_is_refused(image: NDArray[np.float32], seconds: float, says: str) -> None:
    with pytest.raises(InputError, match=says) as refusal:
        Sensor(DETECTORS["k2"], SHAPE, seed=0).read(image, seconds, "x")
    assert "nothing was recorded" in str(refusal.value)


def test_a_camera_without_pixels_is_refused() -> None:
    with pytest.raises(InputError, match="records nothing"):
        Sensor(DETECTORS["k2"], (0, 10), seed=0)
