"""The files of a series: what readers find in them, also where movies are lost, clocks have zones, and tilts repeat."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from eucentric.acquisition.movie_sums import stack_scale, sum_movies
from eucentric.acquisition.series_files import SeriesFiles, SeriesImage, serialem_scheme
from eucentric.core import DataWarning, InputError
from eucentric.io import load_series, open_mrc, read_angles, read_mdoc
from eucentric.io.movies import write_movie
from eucentric.microscope import Readback, StagePosition

BEGAN = datetime(2026, 11, 30, 23, 59, 0)  # a minute before midnight and a month's end
SHAPE_YX = (6, 8)
TILTS_DEG = (0.0, 3.0, -3.0, -6.0, 6.0)
FRAMES = 3
GAIN = np.linspace(0.9, 1.1, 48, dtype=np.float32).reshape(SHAPE_YX)


def make_files(folder: Path, **changes: object) -> SeriesFiles:
    files = SeriesFiles(
        name="TS_7",
        folder=folder,
        pixel_A=2.5,
        shape_yx=SHAPE_YX,
        voltage_kV=300,
        scheme="dosym",
        counts_per_electron=20,
        began=BEGAN,
    )
    return files.replace(**changes)


def counts(order: int) -> NDArray[np.uint8]:
    """Frames of which every series and every tilt has its own."""
    return np.random.default_rng(order).integers(0, 9, (FRAMES, *SHAPE_YX), np.uint8)


def make_images(
    files: SeriesFiles,
    tilts_deg: Sequence[float] = TILTS_DEG,
    *,
    every_s: float = 30.0,
    began: datetime = BEGAN,
    movies: bool = True,
) -> list[SeriesImage]:
    """Images of 2 e/Å², before each of which 0.1 went into tracking."""
    images = []
    for order, tilt_deg in enumerate(tilts_deg):
        path = files.movie_path(order, tilt_deg, ".tif")
        if movies:
            write_movie(path, counts(order), files.pixel_A)
        readback = Readback(
            purpose="record",
            stage=StagePosition(tilt_deg=tilt_deg, x_A=10_000, y_A=-5000, z_A=1000),
            axis_deg=84.3,
            image_shift_yx_A=(120.0, -340.0),
            defocus_A=31_000,
            exposure_e_A2=2.0,
            dose_rate_e_px_s=8.0,
            began=began + timedelta(seconds=order * every_s),
            seconds=1.5,
            counts_min=0,
            counts_max=24,
            counts_mean=12.25,
        )
        images.append(
            SeriesImage(
                movie=path.name,
                frames=FRAMES,
                readback=readback,
                target_defocus_A=30_000,
                pre_exposure_e_A2=2.1 * order + 0.1,
            )
        )
    return images


@pytest.fixture
def files(tmp_path: Path) -> SeriesFiles:
    return make_files(tmp_path / "session")


@pytest.fixture
def images(files: SeriesFiles) -> list[SeriesImage]:
    return make_images(files)


# --- names


def test_files_are_where_the_session_has_them(files: SeriesFiles) -> None:
    assert files.mdoc == files.folder / "mdoc" / "TS_7.mrc.mdoc"
    assert files.stack == files.folder / "mdoc" / "TS_7.mrc"
    assert files.movie_path(4, -12.0, ".tif") == files.folder / "frames" / "TS_7_004_-12.0.tif"
    assert make_files(files.folder, name="a.b").mdoc.name == "a.b.mrc.mdoc"


@pytest.mark.parametrize("name", ["", "../x", "a b", ".hidden", "a/b"])
def test_names_that_would_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        make_files(tmp_path, name=name)


# --- the .mdoc


def test_the_mdoc_tells_what_was_read_back(files: SeriesFiles, images: list[SeriesImage]) -> None:
    series = read_mdoc(files.write_mdoc(images))
    assert {finding.severity for finding in series.findings} <= {"note"}
    assert (series.pixel_A, series.voltage_kV, series.image_file) == (2.5, 300, "TS_7.mrc")
    assert series.tilt_axis_deg == 84.3
    assert [section.tilt_deg for section in series.sections] == list(TILTS_DEG)
    assert [section.order for section in series.sections] == list(range(5))
    assert [section.exposure_e_A2 for section in series.sections] == [2.0] * 5
    # What tracking cost is told too.
    assert [section.pre_exposure_e_A2 for section in series.sections] == pytest.approx([0.1, 2.2, 4.3, 6.4, 8.5])
    assert [section.movie for section in series.sections] == [image.movie for image in images]
    assert series.sections[0].recorded == BEGAN + timedelta(seconds=1)  # 1.5, in whole seconds
    text = files.mdoc.read_text(encoding="utf-8")
    # Lengths in µm, x before y, underfocus negative, counts of the stack.
    for line in (
        "ImageShift = -0.034 0.012",
        "StagePosition = 1 -0.5",
        "StageZ = 0.1",
        "Defocus = -3.1",
        "TargetDefocus = -3",
        "MinMaxMean = 0 480 245",
        "FrameDosesAndNumber = 0.666667 3",
        "SubFramePath = frames/TS_7_000_0.0.tif",
    ):
        assert f"\n{line}\n" in text
    assert "dosym = 0.0]" in text


def test_the_mdoc_grows_by_a_section_an_exposure(files: SeriesFiles, images: list[SeriesImage]) -> None:
    """What is said of an image does not change when the next one comes."""
    last = ""
    for n in range(1, len(images) + 1):
        text = files.write_mdoc(images[:n]).read_text(encoding="utf-8")
        assert text.startswith(last)
        last = text


def test_movies_can_have_the_paths_of_a_windows_computer(tmp_path: Path) -> None:
    files = make_files(tmp_path, frame_paths="windows")
    section = read_mdoc(files.write_mdoc(make_images(files))).sections[1]
    assert section.frame_path == "X:\\eucentric\\frames\\TS_7_001_3.0.tif"
    assert section.movie == "TS_7_001_3.0.tif"


@given(every_s=st.floats(0, 3), n=st.integers(2, 8))
def test_readers_find_the_order_however_fast_it_was(
    tmp_path_factory: pytest.TempPathFactory, every_s: float, n: int
) -> None:
    files = make_files(tmp_path_factory.mktemp("fast"))
    tilts_deg = [(-1) ** order * order for order in range(n)]
    series = read_mdoc(files.write_mdoc(make_images(files, tilts_deg, every_s=every_s, movies=False)))
    assert series.order_known
    assert [section.order for section in series.sections] == list(range(n))
    times = [section.recorded for section in series.sections if section.recorded]
    assert all(then - before >= timedelta(seconds=1) for before, then in pairwise(times))


def test_times_are_those_of_the_clock_where_the_series_began(tmp_path: Path) -> None:
    zone = timezone(timedelta(hours=1))
    files = make_files(tmp_path, began=BEGAN.replace(tzinfo=zone))
    for began in (BEGAN.replace(tzinfo=zone), BEGAN.replace(tzinfo=zone).astimezone(UTC)):
        series = read_mdoc(files.write_mdoc(make_images(files, began=began, movies=False)))
        assert series.sections[0].recorded == BEGAN + timedelta(seconds=1)


def test_without_images_nothing_is_written(files: SeriesFiles, tmp_path: Path) -> None:
    for attempt in (
        lambda: files.write_mdoc([]),
        lambda: files.write_stack([]),
        lambda: files.write_sorted([], tmp_path / "export"),
    ):
        with pytest.raises(InputError, match="no images"):
            attempt()
    assert list(tmp_path.rglob("*")) == []


def test_images_out_of_order_are_refused_and_the_file_stays(files: SeriesFiles, images: list[SeriesImage]) -> None:
    before = files.write_mdoc(images).read_bytes()
    with pytest.raises(InputError, match="had received less"):
        files.write_mdoc(images[::-1])
    assert files.mdoc.read_bytes() == before


# --- the stack


def test_the_stack_is_the_sum_of_the_frames_gain_corrected(files: SeriesFiles, images: list[SeriesImage]) -> None:
    assert files.write_stack(images, GAIN) == files.stack
    stack = open_mrc(files.stack)
    assert stack.data.dtype == np.int16
    assert stack.pixel_A == pytest.approx(2.5)
    for order in range(len(images)):
        expected = counts(order).sum(axis=0) * GAIN.astype(float) * 20
        np.testing.assert_allclose(stack.data[order], expected, atol=0.501)
    series = load_series(files.stack).series
    assert series.tilts_deg == TILTS_DEG
    assert [tilt.order for tilt in series.tilts] == list(range(5))


def test_without_a_gain_reference_counts_are_only_scaled(files: SeriesFiles, images: list[SeriesImage]) -> None:
    files.write_stack(images)
    np.testing.assert_array_equal(open_mrc(files.stack).data[2], counts(2).sum(axis=0) * 20)


def test_counts_beyond_16_bits_are_the_largest_number(files: SeriesFiles, images: list[SeriesImage]) -> None:
    files.replace(counts_per_electron=1e6).write_stack(images)
    stack = open_mrc(files.stack).data
    assert set(np.unique(stack)) <= {0, 32767}


def test_a_gain_reference_of_another_shape_is_refused(files: SeriesFiles, images: list[SeriesImage]) -> None:
    with pytest.raises(InputError, match=r"\(8, 6\).*nothing was written"):
        files.write_stack(images, GAIN.T)
    assert not files.stack.exists()


def gone(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def of_other_frames(path: Path) -> None:
    write_movie(path, counts(0)[:2], 2.5)


def of_other_pixels(path: Path) -> None:
    write_movie(path, counts(0)[:, :4], 2.5)


@pytest.mark.parametrize("spoil", [gone, cut, zeroed, of_other_frames, of_other_pixels])
def test_a_movie_that_cannot_be_had_is_left_out_of_stack_and_mdoc(
    files: SeriesFiles, images: list[SeriesImage], spoil: Callable[[Path], None]
) -> None:
    whole = read_mdoc(files.write_mdoc(images)).sections
    spoil(files.frames_folder / images[0].movie)
    with pytest.warns(DataWarning, match=rf"{images[0].movie}.*left out of stack and .mdoc. \[movie-left-out\]"):
        assert files.write_stack(images, GAIN) == files.stack
    left = read_mdoc(files.mdoc).sections
    assert [section.movie for section in left] == [image.movie for image in images[1:]]
    # The others keep what was said of them: it was the first that was lost, and they had been exposed with it.
    for now, then in zip(left, whole[1:], strict=True):
        assert now.replace(z_value=then.z_value, order=then.order) == then
    assert load_series(files.stack).series.tilts_deg == TILTS_DEG[1:]
    np.testing.assert_allclose(open_mrc(files.stack).data[0], counts(1).sum(axis=0) * GAIN * 20, atol=0.501)


def test_a_movie_that_comes_back_is_in_the_stack_again(files: SeriesFiles, images: list[SeriesImage]) -> None:
    path = files.frames_folder / images[3].movie
    kept = path.read_bytes()
    path.unlink()
    with pytest.warns(DataWarning, match="movie-left-out"):
        files.write_stack(images)
    path.write_bytes(kept)
    files.write_stack(images)
    assert load_series(files.stack).series.tilts_deg == TILTS_DEG


def test_where_no_movie_is_left_the_files_stay_as_they_are(files: SeriesFiles, images: list[SeriesImage]) -> None:
    files.write_stack(images)
    before = files.stack.read_bytes(), files.mdoc.read_bytes()
    for image in images:
        (files.frames_folder / image.movie).unlink()
    with pytest.warns(DataWarning) as warned:
        assert files.write_stack(images) is None
    assert "none of its 5 movies could be read, and no stack was written. [no-movies]" in str(warned[-1].message)
    assert len(warned) == 6
    assert (files.stack.read_bytes(), files.mdoc.read_bytes()) == before


def test_sums_say_which_movies_they_are_of(files: SeriesFiles, images: list[SeriesImage]) -> None:
    movies = [(files.frames_folder / image.movie, FRAMES) for image in images]
    movies[2][0].unlink()
    with pytest.warns(DataWarning, match="movie-left-out"):
        summed = sum_movies(movies, SHAPE_YX, scale=1)
    assert summed.kept == (0, 1, 3, 4)
    np.testing.assert_array_equal(summed.sums[2], counts(3).sum(axis=0))


# --- sorted by tilt


def test_the_sorted_stack_goes_by_tilt_and_still_tells_the_order(
    files: SeriesFiles, images: list[SeriesImage], tmp_path: Path
) -> None:
    files.write_stack(images, GAIN)
    acquired = read_mdoc(files.mdoc).sections
    written = files.write_sorted(images, tmp_path / "export", GAIN)
    assert [path.name for path in written] == ["TS_7.mrc", "TS_7.rawtlt", "TS_7.mrc.mdoc"]
    by_tilt = [3, 2, 0, 1, 4]
    assert read_angles(written[1]) == (-6, -3, 0, 3, 6)
    series = read_mdoc(written[2])
    assert {finding.severity for finding in series.findings} <= {"note"}
    assert [section.z_value for section in series.sections] == list(range(5))
    assert [section.order for section in series.sections] == by_tilt
    for section, order in zip(series.sections, by_tilt, strict=True):
        assert section.replace(z_value=order) == acquired[order]
    np.testing.assert_array_equal(open_mrc(written[0]).data, open_mrc(files.stack).data[by_tilt])
    loaded = load_series(written[0]).series
    assert [tilt.order for tilt in loaded.tilts] == by_tilt
    assert [tilt.pre_exposure_e_A2 for tilt in loaded.tilts] == pytest.approx([6.4, 4.3, 0.1, 2.2, 8.5])
    assert read_mdoc(files.mdoc).sections == acquired  # which was not touched


def test_a_lost_movie_is_left_out_of_the_sorted_files_too(
    files: SeriesFiles, images: list[SeriesImage], tmp_path: Path
) -> None:
    (files.frames_folder / images[2].movie).unlink()
    with pytest.warns(DataWarning, match="movie-left-out"):
        stack, angles, mdoc = files.write_sorted(images, tmp_path / "export")
    assert read_angles(angles) == (-6, 0, 3, 6)
    sections = read_mdoc(mdoc).sections
    assert [section.order for section in sections] == [2, 0, 1, 3]
    assert [section.movie for section in sections] == [images[order].movie for order in (3, 0, 1, 4)]
    assert len(open_mrc(stack).data) == 4
    for image in images:
        (files.frames_folder / image.movie).unlink(missing_ok=True)
    with pytest.warns(DataWarning, match="no-movies|movie-left-out"):
        assert files.write_sorted(images, tmp_path / "none") == []
    assert not (tmp_path / "none").exists()


def test_the_sorted_stack_does_not_replace_the_other(
    files: SeriesFiles, images: list[SeriesImage], tmp_path: Path
) -> None:
    files.write_stack(images)
    before = files.stack.read_bytes(), files.mdoc.read_bytes()
    (tmp_path / "link").symlink_to(files.stack.parent)
    for folder in (files.stack.parent, tmp_path / "link"):
        with pytest.raises(InputError, match="nothing was written"):
            files.write_sorted(images, folder)
    assert (files.stack.read_bytes(), files.mdoc.read_bytes()) == before


@settings(max_examples=25)  # each of nine movies
@given(st.permutations(range(-4, 5)))
def test_any_order_survives_being_sorted(tmp_path_factory: pytest.TempPathFactory, tilts_deg: list[int]) -> None:
    """Sorting the sections by the order that is read gives the acquisition again."""
    folder = tmp_path_factory.mktemp("any")
    files = make_files(folder)
    images = make_images(files, tilts_deg)
    series = load_series(files.write_sorted(images, folder / "export")[0]).series
    assert list(series.tilts_deg) == sorted(tilts_deg)
    assert [tilt.tilt_deg for tilt in series.by_order()] == tilts_deg


# --- scale and scheme


@pytest.mark.parametrize(
    ("exposure_e_A2", "pixel_A", "scale"),
    [(3.0, 1.0, 100.0), (3.0, 12.0, 46.0), (1000.0, 12.0, 1.0)],  # 20,000 / 432 = 46.3; 20,000 / 144,000 is below 1
)
def test_the_scale_keeps_the_brightest_image_in_16_bits(exposure_e_A2: float, pixel_A: float, scale: float) -> None:
    assert stack_scale([0.5, exposure_e_A2, 1.0], pixel_A) == scale


def test_schemes_have_the_words_of_serialem_where_it_has_one() -> None:
    kinds = ("dose-symmetric", "bidirectional", "unidirectional", "explicit")
    assert [serialem_scheme(kind) for kind in kinds] == ["dosym", "bidir", None, None]
