"""Counts: exactly Poisson, the same for any number of threads, and merged as a scan of events in Python merges them."""

from collections.abc import Iterator

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from eucentric.core.counter import random_bits, row_key, stream_key
from eucentric.detector import DETECTORS, Detector, Sensor
from eucentric.detector.counting import ROWS_AT_ONCE, count, count_merged, poisson

Image = NDArray[np.float32]
Counts = NDArray[np.uint16]
KEY, FRAMES_KEY = stream_key(0, "electrons"), stream_key(0, "frames")
laws = settings(max_examples=25, deadline=None, derandomize=True)


@pytest.fixture(autouse=True)
def _threads_as_they_were() -> Iterator[None]:
    before = numba.get_num_threads()
    yield
    numba.set_num_threads(before)


def counted(expected: Image, *, key: np.uint64 = KEY) -> Counts:
    counts = np.empty(expected.shape, np.uint16)
    count(expected, np.ones_like(expected), 1.0, key, counts)
    return counts


def merged(expected: Image, frames: int, *, key: np.uint64 = KEY) -> Counts:
    counts = np.empty(expected.shape, np.uint16)
    count_merged(expected, np.ones_like(expected), 1.0, frames, key, FRAMES_KEY, counts)
    return counts


def even(shape: tuple[int, int], mean: float) -> Image:
    return np.full(shape, mean, np.float32)


def uneven(shape: tuple[int, int]) -> Image:
    """Means from 0.01 to 100, so that both ways of drawing are in it."""
    return np.geomspace(0.01, 100, shape[0] * shape[1], dtype=np.float32).reshape(shape)


@pytest.mark.parametrize("mean", [0.05, 0.7, 3.0, 12.0, 24.9, 25.0, 40.0, 400.0, 20_000.0])
def test_counts_are_exactly_poisson(mean: float) -> None:
    """Over the whole distribution; a right sampler fails one in 10^4 of the keys, and the key is fixed."""
    counts = counted(even((600, 600), mean)).ravel().astype(int)
    law = stats.poisson(float(np.float32(mean)))
    edges = np.arange(int(law.ppf(1e-4)), int(law.ppf(1 - 1e-4)) + 1)
    if len(edges) > 60:  # few enough bins to be full
        edges = edges[:: len(edges) // 40]
    chances = np.diff(np.concatenate([[0], law.cdf(edges), [1]]))
    seen = np.bincount(np.searchsorted(edges, counts), minlength=len(chances))
    full = chances * counts.size > 5
    observed, expected = np.append(seen[full], seen[~full].sum()), np.append(chances[full], chances[~full].sum())
    keep = expected > 0
    result = stats.chisquare(observed[keep], expected[keep] / expected[keep].sum() * counts.size)
    assert 1e-4 < result.pvalue < 1 - 1e-4
    # Variance is the mean, known to sqrt(2 / n + 1 / (n mean)): five of those.
    tolerance = 5 * np.sqrt((2 + 1 / mean) / counts.size)
    assert counts.var() / counts.mean() == pytest.approx(1, abs=tolerance)


def test_noise_is_white_without_coincidence() -> None:
    counts = np.stack([counted(even((256, 256), 2.0), key=stream_key(1, i)) for i in range(16)])
    power = (np.abs(np.fft.fft2(counts - counts.mean())) ** 2).mean(axis=0) / (256 * 256 * 2.0)
    k = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256))
    low = power[(k > 0) & (k < 0.1)]
    # Each mean of |F|² over 16 frames has a relative spread of 1/4; five of those of their mean.
    assert low.mean() == pytest.approx(1, abs=5 * 0.25 / np.sqrt(low.size / 2))


@pytest.mark.parametrize("mean", [0.0, -3.0])
def test_where_nothing_is_expected_nothing_is_counted(mean: float) -> None:
    assert not counted(even((8, 8), mean)).any()
    assert not merged(even((8, 8), mean), 3).any()


def test_any_number_of_threads_gives_the_same_counts() -> None:
    if numba.config.NUMBA_NUM_THREADS < 2:  # type: ignore[attr-defined]
        pytest.skip("this machine gives numba one thread only")
    image = uneven((3 * ROWS_AT_ONCE + 5, 60))
    found = []
    for threads in (1, 2):
        numba.set_num_threads(threads)
        found.append((counted(image), merged(image, 70)))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


@laws
@given(st.integers(1, 80), st.integers(1, 50), st.integers(1, 200))
def test_a_pixel_knows_nothing_of_the_rows_and_columns_beyond_it(rows: int, columns: int, frames: int) -> None:
    image = uneven((80, 50))
    np.testing.assert_array_equal(counted(image[:rows, :columns].copy()), counted(image)[:rows, :columns])
    part = merged(image[:rows, :columns].copy(), frames)
    np.testing.assert_array_equal(part, merged(image, frames)[:rows, :columns])


def test_counts_are_pinned() -> None:
    """Same seed, same bytes, in every version: first by search, then by rejection, then merged."""
    assert counted(even((2, 6), 2.5)).tolist() == [[7, 3, 1, 0, 3, 1], [3, 1, 3, 2, 3, 1]]
    assert counted(even((1, 6), 50.0)).tolist() == [[45, 53, 50, 43, 42, 44]]
    assert merged(even((2, 6), 2.5), 4).tolist() == [[4, 0, 0, 0, 1, 1], [0, 0, 1, 1, 0, 0]]


def merged_in_python(expected: Image, frames: int) -> Counts:
    """Merge by sets of events, one at a time; a row of sets is never forgotten."""
    apart = 0x5851F42D4C957F2D
    fell: dict[tuple[int, int], set[int]] = {}
    counts = np.zeros(expected.shape, np.uint16)
    for y, x in np.ndindex(expected.shape):
        pixel = np.uint64(random_bits(np.uint64(int(row_key(FRAMES_KEY, y)) ^ apart), np.uint64(x)))
        fell[y, x] = set()
        for i in range(poisson(float(expected[y, x]), np.uint64(row_key(KEY, y)), np.uint64(x))):
            frame = (int(random_bits(pixel, np.uint64(i))) >> 32) * frames >> 32
            near = fell[y, x] | fell.get((y, x - 1), set()) | fell.get((y - 1, x), set())
            counts[y, x] += frame not in near
            fell[y, x].add(frame)
    return counts


@pytest.mark.parametrize("frames", [1, 2, 63, 64, 65, 400])
def test_electrons_merge_as_a_plain_scan_merges_them(frames: int) -> None:
    image = np.random.default_rng(0).gamma(1.0, 6.0, (2 * ROWS_AT_ONCE + 3, 11)).astype(np.float32)
    np.testing.assert_array_equal(merged(image, frames), merged_in_python(image, frames))


@pytest.mark.parametrize(("rate", "frames"), [(0.1, 400), (0.7, 40), (2.0, 40), (8.0, 40), (40.0, 100), (3.0, 1)])
def test_the_loss_is_what_the_detector_says(rate: float, frames: int) -> None:
    detector = Detector(name="x", internal_frames_per_s=frames, coincidence=True)
    n = 500
    # Paired with the same electrons unmerged, so that what is compared is the loss and not the arrivals. First row and
    # column have fewer neighbours.
    image = even((n + 1, n + 1), rate)
    before, after = counted(image)[1:, 1:].astype(float), merged(image, frames)[1:, 1:].astype(float)
    lost = 1 - after.mean() / before.mean()
    expected = 1 - detector.counted_share(rate)
    # Losses are rare events, some of them in pairs: 5 sqrt(2) standard deviations of a Poisson number.
    assert lost == pytest.approx(expected, abs=5 * np.sqrt(2 * expected / (n * n * rate)))
    # To first order, for each electron detected per pixel and internal frame: half its own pixel's, and half those
    # of four neighbours; few per cent off at 0.05 of them.
    if rate / frames <= 0.05:
        assert expected == pytest.approx(2.5 * rate / frames, rel=0.07)
        assert lost == pytest.approx(2.5 * rate / frames, rel=0.1)


def test_merging_never_adds() -> None:
    image = uneven((90, 40))
    before, after = counted(image), merged(image, 20)
    assert np.all(after <= before)
    assert after.sum() < before.sum()


def covariances(rho: float) -> dict[tuple[int, int], float]:
    """Covariance of counts at (dy, dx) in one internal frame, with rho electrons detected per pixel.

    A pixel counts 1 if an electron fell into it and none into the one to the left or below, so that two pixels in a
    row never both count, and the two that have the same pixel for their left and lower neighbour do so more often.
    """
    hit, clear = -np.expm1(-rho), np.exp(-rho)
    p = hit * clear**2
    diagonal = hit**2 * clear**3 - p**2
    return {(0, 0): p * (1 - p), (0, 1): -(p**2), (1, 0): -(p**2), (1, -1): diagonal, (1, 1): 0, (0, 2): 0, (2, 0): 0}


def test_coincidence_correlates_neighbours_and_so_dips_the_noise_at_low_frequencies() -> None:
    frames, rate, n, movies = 10, 3.0, 256, 24
    stack = np.stack([merged(even((n + 1, n + 1), rate), frames, key=stream_key(5, i)) for i in range(movies)])
    # All of one frames_key: the electrons differ, and with them which of its numbers are used.
    counts = stack[:, 1:, 1:].astype(float)
    counts -= counts.mean()
    expected = covariances(rate / frames)
    for (dy, dx), covariance in expected.items():
        here = counts[:, : n - dy, max(0, -dx) : n - max(0, dx)]
        there = counts[:, dy:, max(0, dx) : n + min(0, dx)]
        measured = float((here * there).mean()) / frames
        spread = expected[0, 0] * np.sqrt((2 if dx == dy == 0 else 1) / here.size)
        assert measured == pytest.approx(covariance, abs=5 * spread), (dy, dx)
    power = np.mean(np.abs(np.fft.fft2(counts)) ** 2, axis=0) / (n * n * frames)
    ky, kx = np.fft.fftfreq(n)[:, None], np.fft.fftfreq(n)[None, :]
    model = np.full((n, n), expected[0, 0]) + sum(
        2 * covariance * np.cos(2 * np.pi * (ky * dy + kx * dx))
        for (dy, dx), covariance in expected.items()
        if (dy, dx) != (0, 0)
    )
    k = np.hypot(ky, kx)
    low, high = (k > 0) & (k < 0.1), (k > 0.4) & (k < 0.5)
    for band in (low, high):
        # Each |F|² has a relative spread of 1; half of them are mirror images; five spreads of the band's mean.
        tolerance = 5 / np.sqrt(movies * band.sum() / 2)
        assert power[band].mean() / model[band].mean() == pytest.approx(1, abs=tolerance)
    assert power[low].mean() < 0.7 * power[high].mean()


@pytest.mark.parametrize("k", [0.0625, 0.25, 0.4375])
def test_measured_dqe_is_that_of_the_detector(k: float) -> None:
    """A wave in the arriving electrons, blurred by the MTF: signal² over noise² out, over the same in."""
    detector = DETECTORS["k2"].without("coincidence", "gain", "defects")
    n, mean, modulation = 512, 10.0, 0.5
    wave = np.cos(2 * np.pi * k * np.arange(n)) * np.ones((n, 1))
    expected = (mean * (1 + modulation * detector.mtf_at(k) * wave)).astype(np.float32)
    counts = Sensor(detector, (n, n), seed=4).read(expected, 1.0, "wave").astype(float)
    amplitude = 2 * (counts * wave).mean()
    noise = counts - counts.mean() - amplitude * wave
    signal_to_noise_in = (mean * modulation) ** 2 / mean
    signal_to_noise_out = amplitude**2 / noise.var()
    # The amplitude is known to sqrt(2 / (n² mean q)) / (modulation MTF) = 0.3 % at the worst, the variance to 0.3 %.
    assert signal_to_noise_out / signal_to_noise_in == pytest.approx(float(detector.dqe(k)), rel=0.03)
