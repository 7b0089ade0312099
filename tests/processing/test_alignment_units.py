import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from eucentric.core import InputError, stream
from eucentric.io import open_mrc
from eucentric.processing.alignment import prepare_images
from eucentric.processing.alignment._median import median_3x3
from eucentric.processing.alignment.matcher import Matcher, turn_matrix
from eucentric.processing.alignment.prepare import standardise
from eucentric.processing.alignment.quality import doubted, poorly_predicted
from eucentric.processing.alignment.search import climb, local_peaks
from eucentric.processing.alignment.spoilt import swapped_views
from eucentric.processing.alignment.steps import align_outwards, match_others, refine

Doubles = NDArray[np.float64]
TILTS_DEG = (-40.0, -20.0, 0.0, 20.0, 40.0, 60.0)


def counts(seed: int = 0, mean: float = 100.0, shape: tuple[int, int, int] = (6, 40, 36)) -> NDArray[np.float32]:
    return stream(seed, "counts").poisson(mean, shape).astype(np.float32)


# --- prepare_images


def test_images_are_counts_over_their_mean_less_one() -> None:
    images = counts() * np.array([1, 2, 3, 4, 5, 6], dtype=np.float32)[:, None, None]
    prepared = prepare_images(images, TILTS_DEG)
    means = images.mean((1, 2), dtype=float)
    np.testing.assert_allclose(prepared.images, images / means[:, None, None] - 1, atol=1e-5)
    np.testing.assert_allclose(prepared.mean_counts, means, rtol=1e-6)
    assert prepared.reasons == {}
    assert prepared.mended_pixels.tolist() == [0] * 6


def test_the_compiled_median_is_that_of_a_general_filter() -> None:
    draw = stream(0, "median")
    for shape in ((1, 1), (1, 5), (2, 3), (17, 13), (40, 33)):
        image = draw.integers(0, 9, shape).astype(np.float32)
        assert np.array_equal(median_3x3(image), ndimage.median_filter(image, size=3, mode="mirror"))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -3e38, 1e5, -1e5])
def test_broken_pixels_become_what_is_around_them(value: float) -> None:
    images = counts(shape=(6, 70, 60))
    broken = images.copy()
    broken[2, 7, 8] = broken[2, 0, 0] = broken[2, 69, 20] = value
    prepared, whole = prepare_images(broken, TILTS_DEG), prepare_images(images, TILTS_DEG)
    assert prepared.mended_pixels.tolist() == [0, 0, 3, 0, 0, 0]
    around = np.delete(images[2, 6:9, 7:10].reshape(-1), 4)
    assert (float(prepared.images[2, 7, 8]) + 1) * prepared.mean_counts[2] == pytest.approx(np.median(around), rel=1e-5)
    difference = (prepared.images - whole.images).abs()[2]
    assert int((difference > 0.01).sum()) <= 3


def test_memory_that_was_never_written_is_mended_even_where_it_would_pass_for_noise() -> None:
    images = counts(shape=(6, 66, 60))
    images[2, ::9, ::9] = 3e38  # 1.4 %: more than the quantile leaves out where noise is read off
    prepared = prepare_images(images, TILTS_DEG)
    assert prepared.mended_pixels.tolist() == [0, 0, 56, 0, 0, 0]
    assert float(prepared.images[2].abs().max()) < 0.6


def test_numbers_too_large_for_single_precision_are_mended() -> None:
    images = counts().astype(float)
    images[1, 5, 5] = 1e300
    assert prepare_images(images, TILTS_DEG).mended_pixels.tolist() == [0, 1, 0, 0, 0, 0]


def test_a_wide_border_of_no_numbers_is_filled_at_once() -> None:
    images = counts(shape=(6, 256, 256))
    images[3, :, :20] = np.nan  # 8 %, deeper than any neighbourhood that is searched
    prepared = prepare_images(images, TILTS_DEG)
    assert prepared.mended_pixels[3] == 20 * 256
    assert prepared.reasons == {}
    assert float(prepared.images[3, :, :20].abs().max()) < 0.5


def test_a_view_of_too_few_numbers_is_left_out() -> None:
    images = counts()
    images[4, :10] = np.nan
    prepared = prepare_images(images, TILTS_DEG)
    assert prepared.reasons == {4: "25% of its pixels are not numbers"}
    assert prepared.images[4].eq(0).all()


def test_gold_beads_are_not_mended() -> None:
    # A 10 nm bead at 10 Å absorbs most of the beam over ten pixels, with edges as sharp as the pixels.
    rows, columns = np.mgrid[:40, :36]
    mean = np.where(np.hypot(rows - 18.3, columns - 15.6) < 5, 30.0, 100.0)
    images = stream(0, "beads").poisson(mean, (6, 40, 36))
    prepared = prepare_images(images, TILTS_DEG)
    assert prepared.mended_pixels.tolist() == [0] * 6


@given(st.floats(0.002, 50), st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_sparse_counts_are_not_defects(mean: float, seed: int) -> None:
    prepared = prepare_images(counts(seed, mean, (6, 64, 64)), TILTS_DEG)
    assert prepared.mended_pixels.sum() <= 2


def test_views_without_light_are_left_out() -> None:
    images = counts(shape=(8, 40, 36))
    images[2] = 7
    images[5] *= 0.05
    prepared = prepare_images(images, (*TILTS_DEG, 62.0, 64.0))
    assert prepared.reasons[2] == "all its pixels are equal"
    assert re.fullmatch(r"dark: 5\.\d% of the signal of its neighbours in angle", prepared.reasons[5])
    assert set(prepared.reasons) == {2, 5}


def test_a_blocked_beam_is_dark_on_a_camera_whose_dark_counts_were_taken_off() -> None:
    images = counts(shape=(8, 40, 36))
    images[5] = stream(0, "read-out").normal(-0.3, 1.0, (40, 36))
    prepared = prepare_images(images, (*TILTS_DEG, 62.0, 64.0))
    assert set(prepared.reasons) == {5}
    np.testing.assert_allclose(prepared.images[0], images[0] / images[0].mean() - 1, atol=1e-5)


def test_less_light_at_high_tilt_is_not_dark() -> None:
    tilts = np.arange(-70, 71, 5.0)
    images = counts(mean=300, shape=(len(tilts), 20, 20)) * np.exp(-1.5 / np.cos(np.deg2rad(tilts)))[:, None, None]
    assert prepare_images(images, tilts.tolist()).reasons == {}


def with_offset(images: NDArray[np.float32], offset: float) -> NDArray[np.int16]:
    return (images.astype(float) + offset).round().astype(np.int16)


def test_counts_with_an_offset_are_scaled_by_their_spread() -> None:
    images = with_offset(counts(mean=1000, shape=(8, 40, 36)) * 3, -32768)
    prepared = prepare_images(images, (*TILTS_DEG, 62.0, 64.0))
    assert prepared.mean_counts == pytest.approx(images.mean((1, 2)))
    assert prepared.images.std((1, 2)).numpy() == pytest.approx(1, abs=1e-3)
    assert prepared.images.mean((1, 2)).numpy() == pytest.approx(0, abs=1e-5)


def test_a_blocked_beam_is_dark_beneath_an_offset_too() -> None:
    images = counts(mean=1000, shape=(8, 40, 36)) * 3
    images[5] = counts(mean=9, shape=(1, 40, 36))[0]
    prepared = prepare_images(with_offset(images, -32768), (*TILTS_DEG, 62.0, 64.0))
    assert set(prepared.reasons) == {5}


def test_what_is_left_out_is_named_where_too_little_is_left() -> None:
    images = counts()
    images[1] = np.nan
    images[3] = 5
    with pytest.raises(
        InputError, match=r"Only 4 of 6 views.*sections \[1\]: 100% .* not numbers; sections \[3\]: all its pix"
    ):
        prepare_images(images, TILTS_DEG)


@pytest.mark.parametrize("shape", [(6, 8), (5, 8, 8), (7, 8, 8)])
def test_images_and_tilts_must_match(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="6 tilt angles were given"):
        prepare_images(np.ones(shape), TILTS_DEG)


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i2", "u2", "f2", ">f4", "f8"])
def test_any_type_is_read_from_a_file_and_left_as_it_was(tmp_path: Path, dtype: str) -> None:
    images = counts()
    images[0, 3, 3] = 250
    path = tmp_path / "stack"
    path.write_bytes(images.astype(dtype).tobytes())
    before = path.read_bytes()
    prepared = prepare_images(np.memmap(path, dtype, mode="r", shape=images.shape), TILTS_DEG)
    torch.testing.assert_close(prepared.images, prepare_images(images, TILTS_DEG).images, rtol=1e-4, atol=1e-5)
    assert path.read_bytes() == before


def test_the_input_array_is_left_as_it_was() -> None:
    images = counts()
    images[2, 5, 5] = np.nan
    before = images.copy()
    prepare_images(images, TILTS_DEG)
    np.testing.assert_array_equal(images, before)


@pytest.mark.filterwarnings("ignore::eucentric.core.FormatWarning")
def test_recorded_needle_with_an_offset_is_taken_as_it_is(real_data: Path) -> None:
    stack = open_mrc(real_data / "haadf-needle" / "HAADF.mrc").data[::4]
    tilts = np.loadtxt(real_data / "haadf-needle" / "HAADF.rawtlt")[::4]
    prepared = prepare_images(stack, tilts.tolist())
    assert prepared.reasons == {}
    assert prepared.mean_counts.max() < -27000
    assert prepared.mended_pixels.max() < 10
    assert prepared.images.std((1, 2)).numpy() == pytest.approx(1, abs=1e-3)


def test_standardised_images_have_no_outliers() -> None:
    images = torch.from_numpy(counts()) * 5
    images[0, 0, 0] = 1e6
    images[3] = 0
    standard = standardise(images)
    assert standard[3].eq(0).all()
    others = standard[[0, 1, 2, 4, 5]]
    assert others.abs().max() <= 6
    # What is cut off last leaves a trace: one pixel of 1440 at 6 instead of 38.
    assert others.mean((1, 2)).numpy() == pytest.approx(0, abs=0.03)
    assert others[1:].std((1, 2)).numpy() == pytest.approx(1, abs=1e-3)


# --- search


@given(st.floats(-3, 3), st.floats(0.2, 5), st.floats(0.1, 0.5))
@settings(deadline=None)
def test_climb_ends_on_the_top_of_a_parabola(top: float, step: float, curvature: float) -> None:
    # Far tops are out of reach on purpose: twelve steps are the most.
    peak = climb(lambda place: np.array([1.0, 2.0]) - curvature * (place - top) ** 2, 0.0, step, step / 4)
    if abs(top) < 12 * step:
        assert peak.best == pytest.approx(top, abs=1e-3)
    assert peak.uncertainty == pytest.approx(0, abs=1e-3)
    places = [place for place, _ in peak.tried]
    assert places == sorted(set(places))
    assert dict(peak.tried)[places[0]] == pytest.approx(1.5 - curvature * (places[0] - top) ** 2)


def test_climb_follows_a_slope_but_not_for_ever() -> None:
    asked: list[float] = []

    def slope(place: float) -> Doubles:
        asked.append(place)
        return np.array([place, place])

    peak = climb(slope, 0.0, 1.0, 0.5)
    assert 10 < peak.best < 16
    assert len(asked) == len(set(asked)) < 25


def test_climb_never_asks_twice_for_the_same_place() -> None:
    asked: list[float] = []

    def score(place: float) -> Doubles:
        asked.append(place)
        return np.array([np.cos(place / 10), 0.9 * np.cos(place / 10 + 0.01)])

    climb(score, 7.0, 2.0, 0.5)
    assert len(asked) == len(set(asked))


def test_the_jackknife_error_is_the_scatter_of_repeats() -> None:
    views, noise, curvature = 40, 0.02, 0.01
    found, errors = [], []
    for seed in range(60):
        rng = stream(seed, "jackknife")
        level, tops = rng.uniform(0.3, 0.6, views), rng.normal(0, 3.0, views)
        bumps = rng.normal(0, noise, (3, views))

        def score(place: float, level: Doubles = level, tops: Doubles = tops, bumps: Doubles = bumps) -> Doubles:
            return np.asarray(level - curvature * (place - tops) ** 2 + bumps[round(place) % 3])

        peak = climb(score, 0.0, 1.0, 1.0)
        found.append(peak.best)
        errors.append(peak.uncertainty)
    assert 0.6 < np.std(found) / np.median(errors) < 1.6


def test_local_peaks_are_found_around_the_circle_best_first() -> None:
    places = list(np.arange(-90.0, 90.0, 10.0))
    scores = [np.cos(np.deg2rad(2 * (place - 85))) + 0.4 * np.cos(np.deg2rad(6 * (place - 20))) for place in places]
    higher = [
        place
        for i, place in enumerate(places)
        if scores[i] > scores[i - 1] and scores[i] > scores[(i + 1) % len(scores)]
    ]
    peaks = local_peaks(places, scores, 180.0)
    assert sorted(peaks) == higher
    assert [scores[places.index(peak)] for peak in peaks] == sorted(
        (scores[places.index(p)] for p in higher), reverse=True
    )
    assert len(peaks) > 1


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=18))
def test_the_best_place_is_always_among_the_peaks(scores: list[float]) -> None:
    places = [10.0 * i for i in range(len(scores))]
    peaks = local_peaks(places, scores, 10.0 * len(scores))
    assert scores[int(peaks[0] / 10)] == max(scores)


# --- quality


@st.composite
def falls(draw: st.DrawFn) -> tuple[Doubles, Doubles]:
    """Tilts, and correlations that fall smoothly with the angle from some tilt, with noise."""
    step, half = draw(st.sampled_from((1.5, 2.0, 3.0))), draw(st.sampled_from((45.0, 60.0, 69.0)))
    tilts = np.arange(-half, half + 0.1, step)
    away = np.abs(tilts - draw(st.floats(-25, 25)))
    level, width, power = draw(st.floats(0.1, 0.8)), draw(st.floats(20, 200)), draw(st.floats(1, 2.5))
    noise = stream(draw(st.integers(0, 10**6)), "falls").normal(0, 0.04, len(tilts))
    return tilts, level * np.exp(-((away / width) ** power)) * (1 + noise)


@given(falls())
@settings(max_examples=300, deadline=None)
def test_a_smooth_fall_with_tilt_names_nobody(fall: tuple[Doubles, Doubles]) -> None:
    tilts, correlation = fall
    assert poorly_predicted(correlation, tilts.tolist()) == {}


@given(st.integers(0, 40), st.floats(-0.05, 0.05), st.integers(0, 1000))
@settings(deadline=None)
def test_a_view_of_something_else_is_named(place: int, value: float, seed: int) -> None:
    tilts = np.arange(-60, 61, 3.0)
    correlation = 0.5 * np.cos(np.deg2rad(tilts)) + stream(seed, "views").normal(0, 0.01, 41)
    correlation[place] = value
    poor = poorly_predicted(correlation, tilts.tolist())
    assert list(poor) == [place]
    assert f"correlation {value:.2f} where its neighbours in angle have 0." in poor[place]


def test_two_garbage_views_side_by_side_are_both_named() -> None:
    tilts = np.arange(-60, 61, 3.0)
    correlation = 0.5 * np.cos(np.deg2rad(tilts)) + stream(0, "views").normal(0, 0.02, 41)
    correlation[[39, 40, 12]] = 0.01
    assert sorted(poorly_predicted(correlation, tilts.tolist())) == [12, 39, 40]


@pytest.mark.parametrize("tilts", [(0.0,) * 6, (0.0, 0.0, 3.0, 3.0, 6.0, 6.0), (0.0, 3.0, 6.0, 9.0, 12.0, 15.0)])
def test_few_views_or_tilts_that_repeat_are_judged_too(tilts: tuple[float, ...]) -> None:
    correlation = np.array([0.5, 0.51, 0.0, 0.5, 0.49, 0.52])
    assert list(poorly_predicted(correlation, tilts)) == [2]


# --- matcher and steps


def textured(n: int, shape: tuple[int, int], seed: int, sigma: float = 1.5) -> Tensor:
    noise = stream(seed, "texture").standard_normal((n, *shape))
    return standardise(
        torch.from_numpy(ndimage.gaussian_filter(noise, (0, sigma, sigma), mode="wrap").astype(np.float32))
    )


def matcher(seed: int = 0, shape: tuple[int, int] = (40, 45), depth: int = 9) -> Matcher:
    tilts = torch.deg2rad(torch.tensor([-50.0, -31.0, -17.0, 0.0, 13.0, 34.0, 58.0], dtype=torch.float64))
    return Matcher(textured(7, shape, seed)).with_slab(tilts, depth)


@pytest.mark.parametrize("shape", [(40, 45), (45, 41)])
@pytest.mark.parametrize("axis_deg", [0.0, 83.0])
def test_held_out_predictions_are_those_of_a_loop_that_leaves_each_view_out(
    shape: tuple[int, int], axis_deg: float
) -> None:
    trial = matcher(shape=shape)
    views = torch.tensor([0, 1, 2, 4, 5, 6])
    filtered = trial.filtered(trial.aligned(axis_deg, torch.zeros((6, 2), dtype=torch.float64), views))
    predicted = trial.predict_from_others(filtered, views)
    for place in range(6):
        others = torch.tensor([other for other in range(6) if other != place])
        expected = trial.predict(filtered[others], views[others], views[place][None])[0]
        torch.testing.assert_close(predicted[place], expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_predictions_from_afar_use_no_view_of_the_same_block() -> None:
    trial = matcher()
    views = torch.arange(7)
    filtered = trial.filtered(trial.aligned(10.0, torch.zeros((7, 2), dtype=torch.float64), views))
    predicted = trial.predict_from_afar(filtered, views, 5)
    changed = filtered.clone()
    changed[0] += 10
    # Blocks of five by tilt: the first view counts for the last two only.
    moved = (trial.predict_from_afar(changed, views, 5) - predicted).abs().amax((1, 2)) > 1e-3 * float(
        predicted.abs().max()
    )
    assert moved.tolist() == [False] * 5 + [True] * 2


def moved_around(images: Tensor, v: float, u: float) -> Tensor:
    """The images with their content moved circularly, exactly."""
    rows, columns = images.shape[1:]
    ky, kx = torch.fft.fftfreq(rows)[:, None], torch.fft.rfftfreq(columns)[None, :]
    spectrum = torch.fft.rfft2(images) * torch.exp(-2j * torch.pi * (ky * v + kx * u))
    moved: Tensor = torch.fft.irfft2(spectrum, s=(rows, columns))
    return moved


@pytest.mark.parametrize("axis_deg", [-56.0, 30.0])
def test_turned_images_moved_along_the_axis_are_the_same_images_moved(axis_deg: float) -> None:
    """By half a pixel, where frequencies that pixels take for others would come out with the other sign.

    What is left is the spline's error next to Nyquist, .13 and .15 here on noise; it is .46 and .44 with corners.
    """
    trial = Matcher(textured(3, (96, 96), 3, sigma=0))
    by = 0.5 * turn_matrix(axis_deg)[:, 0].expand(3, 2)
    views = torch.arange(3)
    moved_first = trial.aligned(axis_deg, torch.zeros((3, 2), dtype=torch.float64) + by, views)
    moved_after = moved_around(trial.aligned(axis_deg, torch.zeros((3, 2), dtype=torch.float64), views), -0.5, 0)
    middle = slice(24, -24)
    left = (moved_first - moved_after)[:, middle, middle].std() / moved_first[:, middle, middle].std()
    assert left < 0.2


@given(st.floats(-5, 5), st.floats(-5, 5), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_match_finds_a_circular_shift(v: float, u: float, seed: int) -> None:
    images = textured(2, (64, 72), seed, sigma=0.5)
    trial = Matcher(images).with_slab(torch.tensor([0.0, 0.1], dtype=torch.float64), 5)
    match = trial.match(images, moved_around(images, v, u), 10.0)
    # The parabola through three places and windows that stay in place are off by up to 0.08 pixels (measured on 400
    # such images, half of them within 0.04); both errors vanish with the move, so matching again finds the rest.
    assert match.move_vu.numpy() == pytest.approx(np.array([[v, u]] * 2), abs=0.11)
    assert float(match.correlation.min()) > 0.6
    assert float(match.correlation.max()) <= 1.0001
    left = (v - float(match.move_vu[0, 0]), u - float(match.move_vu[0, 1]))
    again = trial.match(images[:1], moved_around(images[:1], *left), 10.0)
    assert again.move_vu[0].numpy() == pytest.approx(np.array(left), abs=0.05)


@given(st.floats(-3, 3), st.floats(-3, 3))
@settings(max_examples=10, deadline=None)
def test_matching_again_converges_where_little_fine_detail_is_left(v: float, u: float) -> None:
    images = textured(2, (64, 72), 4)
    trial = Matcher(images).with_slab(torch.tensor([0.0, 0.1], dtype=torch.float64), 5)
    left = torch.tensor([v, u], dtype=torch.float64)
    for _ in range(4):
        # Leakage of the windows into empty rings stays in place, and holds each move back a little.
        left -= trial.match(images[:1], moved_around(images[:1], float(left[0]), float(left[1])), 10.0).move_vu[0]
    assert left.abs().max() < 0.01


def test_match_of_an_image_with_itself_is_perfect_in_every_ring() -> None:
    images = textured(3, (40, 45), 1, sigma=0.5)
    trial = Matcher(images).with_slab(torch.tensor([0.0, 0.1, 0.2], dtype=torch.float64), 5)
    match = trial.match(images, images, 4.0, learn=True)
    assert match.move_vu.abs().max() < 1e-3
    assert match.correlation.numpy() == pytest.approx(1, abs=1e-4)
    assert match.in_place.numpy() == pytest.approx(1, abs=1e-4)
    assert match.coherence is not None
    assert match.coherence[:20].numpy() == pytest.approx(1, abs=1e-3)


def test_match_of_unrelated_images_is_poor_and_stays_within_its_bounds() -> None:
    images, others = textured(7, (40, 45), 1), textured(7, (40, 45), 2)
    match = matcher().match(images, others, 4.0)
    assert match.correlation.max() < 0.5
    assert match.move_vu.norm(dim=1).max() < 4 + 1.5


def test_an_empty_prediction_gives_numbers() -> None:
    trial = matcher()
    match = trial.match(torch.zeros((7, 40, 45)), textured(7, (40, 45), 2), 4.0, learn=True)
    assert match.coherence is not None
    for values in (match.move_vu, match.correlation, match.coherence):
        assert values.isfinite().all()
    assert match.correlation.abs().max() == 0


@given(st.lists(st.floats(-1, 1), min_size=29, max_size=29))
@settings(deadline=None)
def test_learnt_weights_are_finite_and_end_at_nyquist(values: list[float]) -> None:
    trial = matcher(shape=(40, 40))
    coherence = torch.tensor(values)
    before = trial.weights.clone()
    assert len(before) == len(coherence)
    trial.learn_weights(coherence)
    assert trial.weights.isfinite().all()
    assert trial.weights.min() >= 0
    assert trial.weights.sum() > 0
    if not torch.equal(trial.weights, before):
        assert trial.weights[21:].eq(0).all()
    learnt = trial.weights.clone()
    trial.learn_weights(torch.full_like(coherence, torch.nan))
    assert torch.equal(trial.weights, learnt)


def test_a_ring_weighs_what_its_coherence_says() -> None:
    trial = matcher(shape=(40, 40))
    # Above four cycles a field, where thickness and beam profile end, and away from the last ring.
    middle = slice(10, 18)
    for coherence, weight in ((0.1, 0.1 / 0.99), (0.5, 0.5 / 0.75), (0.8, 0.8 / 0.36), (0.99, 0.8 / 0.36)):
        trial.learn_weights(torch.full((29,), coherence))
        assert trial.weights[middle].numpy() == pytest.approx(weight, rel=1e-4)
    single = torch.zeros(29)
    single[14] = 0.5
    trial.learn_weights(single)
    # Five rings share what one of them measured.
    assert trial.weights[12:17].numpy() == pytest.approx(0.1 / 0.99, rel=1e-4)
    assert trial.weights[[10, 11, 17, 18]].eq(0).all()


def series(seed: int, axis_deg: float, shifts: Doubles, tilts_deg: Doubles) -> Tensor:
    """Images of random blobs, each at its exact place."""
    rng = stream(seed, "blobs")
    places = np.column_stack([rng.uniform(-4, 4, 150), rng.uniform(-60, 60, 150), rng.uniform(-60, 60, 150)])
    heights = rng.uniform(0.5, 1.5, 150)
    rows, columns = np.arange(64) - 32, np.arange(64) - 32
    a = np.deg2rad(axis_deg)
    images = []
    for tilt, (dy, dx) in zip(np.deg2rad(tilts_deg), shifts, strict=True):
        z, v, u = places.T
        u = u * np.cos(tilt) + z * np.sin(tilt)
        y, x = np.cos(a) * v + np.sin(a) * u + dy, np.cos(a) * u - np.sin(a) * v + dx
        by_row = np.exp(-((rows[:, None] - y) ** 2) / (2 * 1.5**2))
        by_column = np.exp(-((columns[:, None] - x) ** 2) / (2 * 1.5**2))
        images.append((by_row * heights) @ by_column.T)
    return standardise(torch.from_numpy(np.stack(images).astype(np.float32)))


def apart(found: Tensor, true: Doubles, axis_deg: float, tilts_deg: Doubles) -> Doubles:
    """Differences (n, 2) along v and u, less the best common move of the specimen (v, u and z)."""
    a = np.deg2rad(axis_deg)
    turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    difference = (found.numpy() - true) @ turn
    tilts = np.deg2rad(tilts_deg)
    basis = np.column_stack([np.cos(tilts), np.sin(tilts)])
    difference[:, 0] -= difference[:, 0].mean()
    difference[:, 1] -= basis @ np.linalg.lstsq(basis, difference[:, 1])[0]
    return np.asarray(difference)


@pytest.mark.parametrize("axis_deg", [0.0, 35.0, -84.0])
def test_alignment_outwards_and_refinement_recover_known_shifts(axis_deg: float) -> None:
    tilts = np.arange(-45, 46, 5.0)
    shifts = stream(1, "walk").normal(0, 1.5, (len(tilts), 2)).cumsum(0)
    shifts -= shifts[len(tilts) // 2]
    trial = Matcher(series(3, axis_deg, shifts, tilts)).with_slab(torch.from_numpy(np.deg2rad(tilts)), 10)
    views = torch.arange(len(tilts))
    coarse = align_outwards(trial, axis_deg, views, 8.0)
    assert coarse[len(tilts) // 2].tolist() == [0, 0]
    assert np.abs(apart(coarse, shifts, axis_deg, tilts)).max() < 2
    given_shifts = coarse.clone()
    refined = refine(trial, axis_deg, coarse, views, rounds=4)
    assert torch.equal(coarse, given_shifts)
    assert len(refined.rounds_rms) == 4
    assert refined.rounds_rms[-1] < 0.3
    assert np.sqrt((apart(refined.shifts, shifts, axis_deg, tilts) ** 2).mean()) < 0.3
    assert float(match_others(trial, axis_deg, refined.shifts, views).correlation.min()) > 0.3


@pytest.mark.parametrize("seed", [1, 2])
def test_a_garbage_view_pulls_nobody_along(seed: int) -> None:
    tilts = np.arange(-45, 46, 5.0)
    shifts = stream(seed, "walk").normal(0, 1.5, (len(tilts), 2)).cumsum(0)
    shifts -= shifts[9]
    images = series(3, 20.0, shifts, tilts)
    images[12] = textured(1, (64, 64), 8 + seed)[0]  # of these, each would lead its outer neighbours 6 pixels astray
    trial = Matcher(images).with_slab(torch.from_numpy(np.deg2rad(tilts)), 10)
    coarse = align_outwards(trial, 20.0, torch.arange(len(tilts)), 8.0)
    good = np.arange(len(tilts)) != 12
    assert np.abs(apart(coarse[good], shifts[good], 20.0, tilts[good])).max() < 2
    refined = refine(trial, 20.0, coarse, torch.arange(len(tilts)), rounds=2)
    match = match_others(trial, 20.0, refined.shifts, torch.arange(len(tilts)))
    assert list(poorly_predicted(match.correlation.numpy(), tilts.tolist())) == [12]


@pytest.mark.parametrize("pair", [(), (3, 13), (12, 17)])
def test_views_in_each_others_place_are_named_and_no_others(pair: tuple[int, ...]) -> None:
    """All are tried with each other: neighbours in tilt, which nearly fit in each other's place, are left alone."""
    tilts = np.arange(-45, 46, 5.0)
    images = series(3, 20.0, np.zeros((len(tilts), 2)), tilts)
    images[list(pair)] = images[list(pair[::-1])]
    trial = Matcher(images).with_slab(torch.from_numpy(np.deg2rad(tilts)), 10)
    views = torch.arange(len(tilts))
    shifts = torch.zeros((len(tilts), 2), dtype=torch.float64)
    found = swapped_views(trial, 20.0, shifts, views, list(range(len(tilts))), 6.0)
    assert found == dict(zip(pair, pair[::-1], strict=True))
    assert swapped_views(trial, 20.0, shifts, views, list(pair[:1]), 6.0) == {}


def test_views_a_little_below_their_neighbours_are_doubted_the_worst_first() -> None:
    tilts = np.arange(-45, 46, 5.0).tolist()
    correlation = 0.6 + stream(0, "spread").normal(0, 0.005, len(tilts))
    assert doubted(correlation, tilts) == []
    correlation[[4, 11]] = 0.5, 0.45
    assert doubted(correlation, tilts) == [11, 4]
    assert poorly_predicted(correlation, tilts) == {}


def test_views_not_asked_for_stay_where_they_are() -> None:
    trial = matcher()
    views = torch.tensor([1, 3, 4])
    shifts = torch.full((7, 2), 0.25, dtype=torch.float64)
    refined = refine(trial, 0.0, shifts, views, rounds=1)
    assert refined.shifts[[0, 2, 5, 6]].eq(0.25).all()
    assert align_outwards(trial, 0.0, views, 3.0)[[0, 2, 5, 6]].eq(0).all()
    assert len(match_others(trial, 0.0, refined.shifts, views).correlation) == 3
