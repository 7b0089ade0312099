"""Where content lies in images, by images of a function that is known everywhere, moved, turned and stretched exactly.

The function is a sum of waves: moving it turns the phase of each, a shift by Fourier's theorem that nothing rounds.
"""

import math
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.acquisition.eyes import ImageEyes
from eucentric.acquisition.model import Side
from eucentric.microscope import Movie, Readback, StagePosition
from eucentric.processing.correlation import Displacement, displacement, sight

Array = NDArray[np.float64]
Counts = NDArray[np.uint16]
YX = tuple[float, float]

PIXEL_A = 20.0
SHAPE_YX = (120, 120)
BRIGHT = 1000.0  # electrons a pixel
FAINT = 20.0
AXES_DEG = (0.0, 84.3, -95.0, 180.0)

few = settings(max_examples=3)
shifts_A = st.floats(-300, 300)


class Grid:
    """A specimen in a plane: waves of 60 to 600 Å in every direction, 3 pixels at least."""

    def __init__(self, seed: int = 0, waves: int = 120) -> None:
        draw = np.random.default_rng(seed)
        wavelength_A = np.exp(draw.uniform(math.log(60), math.log(600), waves))
        direction = draw.uniform(0, 2 * math.pi, waves)
        self._along = 2 * math.pi * np.cos(direction) / wavelength_A
        self._across = 2 * math.pi * np.sin(direction) / wavelength_A
        self._phases = draw.uniform(0, 2 * math.pi, waves)

    def image(
        self,
        at_yx_A: YX = (0.0, 0.0),
        axis_deg: float = 0.0,
        tilt_deg: float = 0.0,
        shape_yx: tuple[int, int] = SHAPE_YX,
    ) -> Array:
        """Give the plane, its origin at a place along and across the axis; of mean 0 and rms 1.

        The axis lies at `axis_deg` from the image's y (upward, as rows) towards its -x, as IMOD counts.
        """
        y, x = ((np.arange(n) - n // 2) * PIXEL_A for n in shape_yx)
        turn = math.radians(axis_deg)
        across = self._across / math.cos(math.radians(tilt_deg))
        # along = y cos - x sin, across = y sin + x cos: a sum of one part for rows and one for columns.
        of_rows = self._along * math.cos(turn) + across * math.sin(turn)
        of_columns = across * math.cos(turn) - self._along * math.sin(turn)
        phases = self._phases - self._along * at_yx_A[0] - across * at_yx_A[1]
        by_row, by_column = np.exp(1j * (np.outer(y, of_rows) + phases)), np.exp(1j * np.outer(of_columns, x))
        waves = np.einsum("rk,kc->rc", by_row, by_column)  # not BLAS, whose threads wait longer than this takes
        seen: Array = waves.real / math.sqrt(len(phases) / 2)
        return seen


GRID = Grid()


def counted(image: Array, electrons: float, seed: int, contrast: float = 0.1) -> Counts:
    """Give the counts of an image: Poisson noise."""
    expected = electrons * np.clip(1 + contrast * image, 0, None)
    return np.random.default_rng(seed).poisson(expected).astype(np.uint16)


def noise(seed: int, shape_yx: tuple[int, int] = SHAPE_YX) -> Counts:
    return counted(np.zeros(shape_yx), FAINT, seed)


def movie(
    image: Counts, *, tilt_deg: float = 0.0, axis_deg: float = 0.0, frames: int = 1, pixel_A: float = PIXEL_A
) -> Movie:
    readback = Readback(
        purpose="track",
        stage=StagePosition(tilt_deg=tilt_deg),
        axis_deg=axis_deg,
        defocus_A=30_000,
        exposure_e_A2=0.5,
        dose_rate_e_px_s=8,
        began=datetime(2026, 11, 30, tzinfo=UTC),
        seconds=0.2,
    )
    return Movie(np.repeat(image[None], frames, axis=0), pixel_A, readback)


def moved(
    to_yx_A: YX,
    *,
    axis_deg: float = 0.0,
    tilts_deg: tuple[float, float] = (0.0, 0.0),
    from_yx_A: YX = (0.0, 0.0),
    electrons: float = BRIGHT,
    shape_yx: tuple[int, int] = SHAPE_YX,
    seed: int = 0,
) -> Displacement:
    """Look for a place in two images: where it lay, and where it lies."""
    before, now = (
        sight(
            counted(GRID.image(at_yx_A, axis_deg, tilt_deg, shape_yx), electrons, 2 * seed + nth),
            PIXEL_A,
            axis_deg,
            tilt_deg,
        )
        for nth, (at_yx_A, tilt_deg) in enumerate(zip((from_yx_A, to_yx_A), tilts_deg, strict=True))
    )
    found = displacement([(before, from_yx_A)], now)
    assert found is not None
    return found


# --- displacement


@pytest.mark.parametrize("axis_deg", AXES_DEG)
@few
@given(shifts_A, shifts_A)
def test_content_is_found_where_it_was_moved_to(axis_deg: float, y_A: float, x_A: float) -> None:
    """Along and across the axis, with its sign, to a fifth of a pixel: 2.6 Å were measured.

    Most of it is a pull towards no shift at all, half a percent of the shift: the window stands still.
    """
    found = moved((y_A, x_A), axis_deg=axis_deg)
    np.testing.assert_allclose(found.yx_A, (y_A, x_A), atol=4)
    assert found.height > 15  # 36 were measured


@pytest.mark.parametrize("axis_deg", AXES_DEG)
@few
@given(shifts_A, shifts_A, st.integers(0, 1000))
def test_content_is_found_in_noise(axis_deg: float, y_A: float, x_A: float, seed: int) -> None:
    """At 0.05 e/Å² and a contrast of a tenth: 10.3 Å were measured, of a pixel of 20 Å."""
    found = moved((y_A, x_A), axis_deg=axis_deg, electrons=FAINT, seed=seed)
    np.testing.assert_allclose(found.yx_A, (y_A, x_A), atol=16)
    assert found.height > 7  # 16 were measured


def test_content_that_left_most_of_the_field_is_not_seen_on_the_other_side() -> None:
    far_A = 0.78 * SHAPE_YX[1] * PIXEL_A  # a fifth of the field is in both
    before, now = counted(GRID.image(), BRIGHT, 0), counted(GRID.image((0.0, far_A)), BRIGHT, 1)
    found = displacement([(sight(before, PIXEL_A, 0.0, 0.0), (0.0, 0.0))], sight(now, PIXEL_A, 0.0, 0.0))
    assert found is not None
    assert found.yx_A == pytest.approx((0.0, far_A), abs=20)


def test_a_limit_passes_over_what_is_beyond_it() -> None:
    before, now = counted(GRID.image(), BRIGHT, 0), counted(GRID.image((0.0, 300.0)), BRIGHT, 1)
    known = [(sight(before, PIXEL_A, 0.0, 0.0), (0.0, 0.0))]
    found = displacement(known, sight(now, PIXEL_A, 0.0, 0.0), farthest_A=200.0)
    assert found is not None
    assert math.hypot(*found.yx_A) <= 230  # the limit, and what lies between pixels


@pytest.mark.parametrize("axis_deg", AXES_DEG)
@few
@given(shifts_A, shifts_A, st.tuples(st.floats(-200, 200), st.floats(-200, 200)), st.floats(-42, 36))
def test_two_tilts_are_compared_by_stretching_about_the_place(
    axis_deg: float, y_A: float, x_A: float, from_yx_A: YX, tilt_deg: float
) -> None:
    """A step of 6°, and a place that was off the centre when the first image was taken: 2.5 Å were measured."""
    found = moved((y_A, x_A), axis_deg=axis_deg, tilts_deg=(tilt_deg, tilt_deg + 6.0), from_yx_A=from_yx_A)
    np.testing.assert_allclose(found.yx_A, (y_A, x_A), atol=4)
    assert found.height > 15  # 38 were measured


@pytest.mark.parametrize("axis_deg", [0.0, 84.3])
def test_images_need_not_be_square(axis_deg: float) -> None:
    found = moved((123.4, -234.5), axis_deg=axis_deg, shape_yx=(120, 170))
    np.testing.assert_allclose(found.yx_A, (123.4, -234.5), atol=4)


def test_a_wrong_tilt_of_the_plane_stretches_wrongly_and_is_seen_less_well() -> None:
    before = sight(counted(GRID.image(tilt_deg=40.0), BRIGHT, 0), PIXEL_A, 0.0, 40.0)
    image = counted(GRID.image((50.0, 50.0), tilt_deg=52.0), BRIGHT, 1)
    right, wrong = (
        displacement([(before, (0.0, 0.0))], sight(image, PIXEL_A, 0.0, tilt_deg)) for tilt_deg in (52.0, 40.0)
    )
    assert right is not None
    assert wrong is not None
    np.testing.assert_allclose(right.yx_A, (50.0, 50.0), atol=4)
    assert wrong.height < 0.5 * right.height  # 7 and 50 were measured


def test_pixels_that_are_always_bright_do_not_hold_the_content_where_it_was() -> None:
    hot = np.random.default_rng(3).choice(math.prod(SHAPE_YX), 4, replace=False)
    images = [counted(GRID.image(at_yx_A), BRIGHT, seed) for seed, at_yx_A in enumerate([(0.0, 0.0), (200.0, -150.0)])]
    for image in images:
        image.flat[hot] = 60_000
    before, now = (sight(image, PIXEL_A, 0.0, 0.0) for image in images)
    found = displacement([(before, (0.0, 0.0))], now)
    assert found is not None
    np.testing.assert_allclose(found.yx_A, (200.0, -150.0), atol=4)


def test_the_stated_error_is_not_smaller_than_the_error() -> None:
    """Of what the eyes say, in faint images, and not larger than four times it either."""
    eyes, errors_A, sigmas_A = ImageEyes(0.0), [], []
    draw = np.random.default_rng(11)
    for seed in range(8):
        to_yx_A = (float(draw.uniform(-200, 200)), float(draw.uniform(-200, 200)))
        eyes.keep("TS_1", movie(counted(GRID.image(), FAINT, 2 * seed)), "start", (0.0, 0.0))
        seen = eyes.look("TS_1", movie(counted(GRID.image(to_yx_A), FAINT, 2 * seed + 1)), "up")
        assert seen is not None
        errors_A.append(np.subtract(seen.yx_A, to_yx_A))
        sigmas_A.append(seen.sigma_A)
    # 3.2 Å of error were measured, and 5.4 are stated.
    assert np.std(errors_A) < np.mean(sigmas_A) < 4 * np.std(errors_A)
    assert np.abs(np.mean(errors_A, axis=0)).max() < 3


def test_large_images_are_binned_to_a_side_of_512() -> None:
    binned = sight(np.zeros((1040, 1600), np.uint16), 3.0, 84.3, 12.0)
    assert binned.image.shape == (520, 800)
    assert (binned.pixel_A, binned.slab_deg) == (6.0, 12.0)


def test_images_of_other_sizes_or_pixels_are_not_compared() -> None:
    now = sight(noise(0), PIXEL_A, 0.0, 0.0)
    unlike = [sight(noise(1, (120, 122)), PIXEL_A, 0.0, 0.0), sight(noise(1), 1.05 * PIXEL_A, 0.0, 0.0)]
    assert displacement([(one, (0.0, 0.0)) for one in unlike], now) is None
    assert displacement([], now) is None
    alike = sight(noise(1), 1.005 * PIXEL_A, 0.0, 0.0)
    alone = displacement([(alike, (0.0, 0.0))], now)
    assert alone is not None
    assert displacement([(one, (0.0, 0.0)) for one in (*unlike, alike)], now) == alone


def test_weak_images_help_each_other() -> None:
    """Each of another tilt, and with its place elsewhere: their peaks fall into one, their noise does not."""
    known = []
    for seed, tilt_deg, at_yx_A in ((1, 0.0, (90.0, 20.0)), (2, 3.0, (-40.0, 60.0)), (3, 6.0, (10.0, -30.0))):
        image = counted(GRID.image(at_yx_A, tilt_deg=tilt_deg), FAINT, seed, contrast=0.04)
        known.append((sight(image, PIXEL_A, 0.0, tilt_deg), at_yx_A))
    now = sight(counted(GRID.image((60.0, 80.0), tilt_deg=9.0), FAINT, 4, contrast=0.04), PIXEL_A, 0.0, 9.0)
    together = displacement(known, now)
    alone = [displacement([one], now) for one in known]
    assert together is not None
    heights = [one.height for one in alone if one is not None]
    assert together.height > 1.2 * np.mean(heights)  # 1.4 was measured
    np.testing.assert_allclose(together.yx_A, (60.0, 80.0), atol=12)  # 7 Å were


# --- looking

BLIND = {
    "dark": np.zeros(SHAPE_YX, np.uint16),
    "constant": np.full(SHAPE_YX, 7, np.uint16),
    "noise": noise(101),
    "smaller": noise(102, (100, 120)),
    "of another place": counted(Grid(seed=5).image(), BRIGHT, 103),
    "without pixels": np.zeros((0, 0), np.uint16),
}


def plane(
    at_yx_A: YX = (0.0, 0.0), *, tilt_deg: float = 0.0, slab_deg: float = 0.0, axis_deg: float = 0.0, seed: int = 0
) -> Movie:
    """Give an image of the specimen, its plane tilted by `slab_deg` more than the stage."""
    noise_of_its_own = 1000 + seed + round(10 * tilt_deg) + round(at_yx_A[0])
    image = counted(GRID.image(at_yx_A, axis_deg, tilt_deg + slab_deg), BRIGHT, noise_of_its_own)
    return movie(image, tilt_deg=tilt_deg, axis_deg=axis_deg)


def eyes_that_know(*kept: tuple[Movie, Side], folder: Path | None = None) -> ImageEyes:
    eyes = ImageEyes(0.0, folder)
    for of, side in kept:
        eyes.keep("TS_1", of, side, (0.0, 0.0))
    return eyes


@pytest.mark.parametrize("name", BLIND)
def test_where_there_is_nothing_to_see_nothing_is_seen(name: str) -> None:
    """Nor is there a warning, which would be an error here."""
    blind = movie(BLIND[name])
    assert eyes_that_know((plane(), "start")).look("TS_1", blind, "up") is None
    assert eyes_that_know((blind, "start")).look("TS_1", plane(), "up") is None
    assert eyes_that_know().focus("TS_1", plane(), blind, 5.0) is None
    assert eyes_that_know().focus("TS_1", blind, plane(), 5.0) is None


@pytest.mark.parametrize("name", ["dark", "constant", "without pixels"])
def test_an_image_without_features_is_not_seen_in_itself(name: str) -> None:
    blind = movie(BLIND[name])
    assert eyes_that_know((blind, "start")).look("TS_1", blind, "up") is None
    assert eyes_that_know().focus("TS_1", blind, blind, 5.0) is None


def test_an_image_is_the_sum_of_its_frames() -> None:
    one = counted(GRID.image((80.0, -120.0)), BRIGHT, 9)
    eyes = eyes_that_know((plane(), "start"))
    assert eyes.look("TS_1", movie(one, frames=3), "up") == eyes.look("TS_1", movie(3 * one), "up")


@pytest.mark.parametrize(
    ("kept", "side", "is_seen"),
    [
        ("start", "start", True),
        ("start", "up", True),
        ("start", "down", True),
        ("up", "up", True),
        ("up", "down", False),
        ("down", "up", False),
        ("down", "down", True),
        ("up", "start", True),
        ("down", "start", True),
    ],
)
def test_the_sides_are_compared_with_themselves_and_the_start(kept: Side, side: Side, is_seen: bool) -> None:
    """An image of the far side of the series is none of the same view; its place is known all the same."""
    eyes = eyes_that_know((plane(), kept))
    assert (eyes.look("TS_1", plane((60.0, 40.0)), side) is not None) is is_seen
    assert eyes.knows("TS_1")
    assert not eyes.knows("TS_2")
    assert eyes.look("TS_2", plane(), side) is None


def knowing_looks(*kept: tuple[Grid, Side, float]) -> ImageEyes:
    """Give eyes that know some plane at each side and tilt, all under one name, in the order given."""
    eyes = ImageEyes(0.0)
    for seed, (of, side, tilt_deg) in enumerate(kept):
        image = movie(counted(of.image(tilt_deg=tilt_deg), BRIGHT, seed), tilt_deg=tilt_deg)
        eyes.keep("TS_1", image, side, (0.0, 0.0))
    return eyes


def is_seen(eyes: ImageEyes, of: Grid, tilt_deg: float) -> bool:
    image = counted(of.image((40.0, 40.0), tilt_deg=tilt_deg), BRIGHT, 99)
    return eyes.look("TS_1", movie(image, tilt_deg=tilt_deg), "up") is not None


def test_the_nearest_tilts_are_compared() -> None:
    """The nearest one, and those up to 8° further away."""
    other = Grid(seed=7)
    eyes = knowing_looks((GRID, "start", 0.0), (other, "up", 20.0))
    assert [is_seen(eyes, GRID, tilt_deg) for tilt_deg in (5.0, 10.0, 15.0)] == [True, True, False]
    assert [is_seen(eyes, other, tilt_deg) for tilt_deg in (5.0, 10.0, 15.0)] == [False, True, True]


def test_the_latest_three_images_of_a_side_are_kept() -> None:
    first = Grid(seed=8)
    kept: list[tuple[Grid, Side, float]] = [(first, "up", 0.0), (GRID, "up", 0.0), (GRID, "up", 0.0)]
    assert is_seen(knowing_looks(*kept), first, 0.0)
    assert is_seen(knowing_looks(*kept, (GRID, "down", 0.0)), first, 0.0)
    assert not is_seen(knowing_looks(*kept, (GRID, "up", 0.0)), first, 0.0)


def test_images_more_than_45_degrees_apart_are_not_compared() -> None:
    eyes = eyes_that_know((plane(tilt_deg=-20.0), "start"))
    assert eyes.look("TS_1", plane(tilt_deg=25.0), "up") is not None
    assert eyes.look("TS_1", plane(tilt_deg=25.2), "up") is None


@pytest.mark.parametrize("slab_deg", [-12.0, 8.0])
def test_a_lamella_is_stretched_as_its_own_plane_is_tilted(slab_deg: float) -> None:
    """The place lay off the centre before; the answer counts from the centre of the new image."""
    eyes = ImageEyes(slab_deg)
    before = plane((-70.0, 110.0), tilt_deg=30.0, slab_deg=slab_deg, axis_deg=84.3)
    eyes.keep("TS_1", before, "up", (-70.0, 110.0))
    seen = eyes.look("TS_1", plane((90.0, -60.0), tilt_deg=39.0, slab_deg=slab_deg, axis_deg=84.3), "up")
    assert seen is not None
    np.testing.assert_allclose(seen.yx_A, (90.0, -60.0), atol=4)


# --- focusing


@pytest.mark.parametrize("axis_deg", AXES_DEG)
@pytest.mark.parametrize("defocus_A", [-21_000.0, 2500.0, 30_000.0])
def test_a_defocus_is_the_shift_over_the_angle_between_the_beams(axis_deg: float, defocus_A: float) -> None:
    """The protocol's sign: what lies under focus moves with the tilt of the beam. Where the place lies is no matter."""
    up, down = (plane((130.0 + sign * 5e-3 * defocus_A, -90.0), axis_deg=axis_deg, seed=sign) for sign in (1, -1))
    found = ImageEyes(0.0).focus("TS_1", up, down, 5.0)
    assert found is not None
    # Two images to 2 Å, over 10 mrad, are 200 Å; 175 were measured.
    assert found.defocus_A == pytest.approx(defocus_A, abs=260)
    assert 200 <= found.sigma_A <= 400


# --- what is kept


def test_what_was_kept_is_there_for_a_run_that_goes_on(tmp_path: Path) -> None:
    """In a folder that is made when it is needed, under any name that a target can have."""
    folder = tmp_path / "references"
    now = plane((55.0, -35.0), tilt_deg=6.0, axis_deg=84.3)
    first = ImageEyes(-12.0, folder)
    for name in ("TS_1", "grid.2-lamella_3"):
        first.keep(name, plane((10.0, 20.0), tilt_deg=3.0, axis_deg=84.3), "up", (10.0, 20.0))
    first.keep("TS_1", movie(np.zeros((0, 0), np.uint16)), "start", (0.0, 0.0))  # no image, nothing to keep
    second = ImageEyes(-12.0, folder)
    assert len(list(folder.iterdir())) == 2
    for name in ("TS_1", "grid.2-lamella_3"):
        assert second.knows(name)
        assert second.look(name, now, "up") == first.look(name, now, "up") is not None
        assert second.look(name, now, "down") is None
    assert not ImageEyes(-12.0, tmp_path / "none").knows("TS_1")


@pytest.mark.parametrize("before", [1, 4])
def test_a_run_that_goes_on_replaces_what_one_that_was_not_stopped_would(before: int, tmp_path: Path) -> None:
    """Of six images, the last three are compared with, wherever among them the run was stopped."""
    series = [plane((10.0 * number, 0.0), seed=100 * number) for number in range(6)]
    unstopped, resumed = ImageEyes(0.0), ImageEyes(0.0, tmp_path)
    for number, image in enumerate(series):
        if number == before:
            resumed = ImageEyes(0.0, tmp_path)
        for eyes in (unstopped, resumed):
            eyes.keep("TS_1", image, "up", (10.0 * number, 0.0))
    now = plane((-45.0, 70.0), seed=7)
    expected = unstopped.look("TS_1", now, "up")
    assert expected is not None
    assert ImageEyes(0.0, tmp_path).look("TS_1", now, "up") == resumed.look("TS_1", now, "up") == expected
    assert len(list(tmp_path.iterdir())) == 3


def stored(**arrays: NDArray[Any]) -> bytes:
    buffer = BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


IMAGE = np.zeros((4, 4), np.float32)
BROKEN = stored(image=np.frombuffer(b"12345678", np.uint8), numbers=np.zeros(6))  # its checksum is that of this image
DAMAGED = {
    "empty": b"",
    "not an archive": b"not an archive",
    "without its image": stored(numbers=np.zeros(6)),
    "without its numbers": stored(image=IMAGE),
    "with too few numbers": stored(image=IMAGE, numbers=np.zeros(3)),
    "with words for numbers": stored(image=IMAGE, numbers=np.array(["a"] * 6)),
    "with another bit": BROKEN.replace(b"12345678", b"12345679"),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_reference_is_passed_over(content: bytes, tmp_path: Path) -> None:
    """It is taken anew, and those beside it are read."""
    eyes_that_know((plane(), "start"), folder=tmp_path)
    (good,) = tmp_path.iterdir()
    (tmp_path / good.name.replace("TS_1", "TS_0")).write_bytes(content)
    (tmp_path / good.name.replace("TS_1", "TS_2")).mkdir()
    eyes = ImageEyes(0.0, tmp_path)
    assert [name for name in ("TS_0", "TS_1", "TS_2") if eyes.knows(name)] == ["TS_1"]
    eyes.keep("TS_0", plane(), "start", (0.0, 0.0))
    assert ImageEyes(0.0, tmp_path).knows("TS_0")
