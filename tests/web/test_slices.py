"""Slices of volumes: numpy's own, the right way up, of a file that is whole and the one that stands there now."""

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from eucentric.core import FormatError, InputError, stream
from eucentric.io import write_mrc
from eucentric.io.ome_zarr import write_ome_zarr
from eucentric.web import volumes
from eucentric.web.tomogram.kept import Kept
from eucentric.web.tomogram.slices import AXES, Cutter, Limits, as_shown, encode, grey, robust_limits
from eucentric.web.volumes import Axis, ChangedError, Volumes

SHAPE = (9, 40, 150)  # more columns and rows than are read together
WIDE = Limits(low=-4, high=4)


@pytest.fixture(scope="module")
def voxels() -> NDArray[np.float32]:
    return stream(0, "test", "slices").normal(0, 1, SHAPE).astype(np.float32)


@pytest.fixture(scope="module", params=["mrc", "int16.mrc", "zarr"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, voxels: NDArray[Any]) -> Path:
    path = tmp_path_factory.mktemp("slices") / f"volume.{request.param}"
    if path.suffix == ".zarr":
        write_ome_zarr(path, voxels, 10.0, name="volume")
    else:
        scaled = (1000 * voxels).astype(np.int16) if "int16" in path.name else voxels
        write_mrc(path, scaled, 10.0, kind="volume")
    return path


def decoded(image: bytes) -> NDArray[np.int_]:
    with Image.open(io.BytesIO(image)) as picture:
        return np.asarray(picture, dtype=int)


def expected(voxels: NDArray[Any], axis: Axis, index: int) -> NDArray[Any]:
    """Return the slice as a picture, in numpy's words: rows from the top, upward along y or z."""
    if axis == 0:
        return voxels[index, ::-1, :]
    return voxels[::-1, index, :] if axis == 1 else voxels[:, ::-1, index].T


@pytest.mark.parametrize("axis", AXES.values(), ids=AXES)
def test_every_slice_is_numpys(path: Path, voxels: NDArray[np.float32], axis: Axis) -> None:
    volume, cutter = Volumes().open(path), Cutter()
    values = (1000 * voxels).astype(np.int16) if "int16" in path.name else voxels
    for index in range(SHAPE[axis]):
        np.testing.assert_array_equal(cutter.cut(volume, axis, index), expected(values, axis, index))


@pytest.mark.parametrize("axis", AXES.values(), ids=AXES)
def test_pictures_are_the_slice_in_256_greys(tmp_path: Path, axis: Axis) -> None:
    z, y, x = np.mgrid[:20, :60, :90]
    smooth = np.sin(z / 5 + y / 9).astype(np.float32) + (x / 45 - 1).astype(np.float32)
    write_mrc(tmp_path / "smooth.mrc", smooth, 10.0, kind="volume")
    shown = grey(Cutter().cut(Volumes().open(tmp_path / "smooth.mrc"), axis, 11), Limits(low=-2, high=2))
    greys = (expected(smooth, axis, 11) + 2) * 255 / 4
    assert np.abs(decoded(encode(shown, "png")) - greys).max() <= 0.51  # half a grey, and float32
    assert np.abs(decoded(encode(shown, "jpeg")) - greys).max() <= 6  # what JPEG of this quality may do


def test_a_chiral_object_is_seen_the_right_way_up(tmp_path: Path) -> None:
    """Three arms from the middle, along +x, +y and +z, of three lengths: a mirror image would have another order."""
    arms = np.zeros((21, 21, 21), dtype=np.float32)
    arms[10, 10, 10:19] = arms[10, 10:16, 10] = arms[10:13, 10, 10] = 1
    write_mrc(tmp_path / "arms.mrc", arms, 10.0, kind="volume")
    volume = Volumes().open(tmp_path / "arms.mrc")

    def arm(axis: Axis, direction: str) -> int:
        picture = decoded(encode(grey(Cutter().cut(volume, axis, 10), Limits(low=0, high=1)), "png")) > 128
        line = {"right": picture[10, 11:], "left": picture[10, :10], "up": picture[:10, 10], "down": picture[11:, 10]}
        return int(line[direction].sum())

    assert [arm(0, way) for way in ("right", "left", "up", "down")] == [8, 0, 5, 0]  # x to the right, y up
    assert [arm(1, way) for way in ("right", "left", "up", "down")] == [8, 0, 2, 0]  # x to the right, z up
    assert [arm(2, way) for way in ("right", "left", "up", "down")] == [2, 0, 5, 0]  # z to the right, y up


@settings(max_examples=25)
@given(data=st.data())
def test_an_average_is_the_mean_of_the_slices_about_it(data: st.DataObject, path: Path) -> None:
    volume, cutter = Volumes().open(path), Cutter()
    axis: Axis = data.draw(st.sampled_from([0, 1, 2]))
    index = data.draw(st.integers(0, SHAPE[axis] - 1))
    average = data.draw(st.integers(1, 12))
    about = range(max(0, index - average // 2), min(SHAPE[axis], index - average // 2 + average))
    mean = np.mean([cutter.cut(volume, axis, other) for other in about], axis=0)
    np.testing.assert_allclose(cutter.cut(volume, axis, index, average), mean, rtol=1e-5, atol=1e-3)


def test_what_is_not_there_is_refused_in_words(path: Path) -> None:
    volume, cutter = Volumes().open(path), Cutter()
    with pytest.raises(InputError, match=r"no slice 9: .* has 0 to 8"):
        cutter.cut(volume, 0, 9)
    with pytest.raises(InputError, match="over 0 slices"):
        cutter.cut(volume, 0, 3, average=0)
    with pytest.raises(InputError, match="no voxel"):
        cutter.value(volume, (3, 40, 0))


def test_one_voxel(path: Path, voxels: NDArray[np.float32]) -> None:
    value = Cutter().value(Volumes().open(path), (3, 39, 149))
    assert value == pytest.approx(voxels[3, 39, 149] * (1000 if "int16" in path.name else 1), abs=1)


def test_limits_ignore_beads_and_what_is_no_number() -> None:
    draw = stream(1, "test", "limits")
    images = [draw.normal(5, 2, (300, 200)).astype(np.float32) for _ in range(4)]
    images[0][100:104, 100:104] = 1e6
    images[1][50, 50] = np.nan
    limits = robust_limits(images)
    assert limits.low == pytest.approx(5 - 2.75 * 2, abs=0.25)  # 0.3 % of a Gaussian lie below its 2.75 σ
    assert limits.high == pytest.approx(5 + 2.75 * 2, abs=0.25)
    flat = robust_limits([np.full((20, 20), 3.0, np.float32)])
    assert (flat.low, flat.high) == (3.0, 4.0)
    assert robust_limits([np.full((20, 20), np.nan, np.float32)]) == Limits(low=0, high=1)


def test_what_is_no_number_is_black_and_what_is_infinite_white() -> None:
    image = np.array([[np.nan, np.inf, -np.inf, 0.0, 9.0]], dtype=np.float32)
    np.testing.assert_array_equal(grey(image, WIDE), [[0, 255, 0, 128, 255]])


@pytest.mark.parametrize(("shape", "size"), [((300, 100), (64, 21)), ((50, 64), (50, 64)), ((1, 640), (1, 64))])
def test_pictures_are_no_larger_than_asked_for(shape: tuple[int, int], size: tuple[int, int]) -> None:
    assert decoded(encode(np.full(shape, 77, np.uint8), "png", 64)).shape == size


def test_a_level_that_memory_holds_is_shown_with_its_own_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = stream(2, "test", "level").normal(0, 1, (130, 140, 150)).astype(np.float32)
    write_ome_zarr(tmp_path / "large.zarr", volume, 10.0, name="large")
    monkeypatch.setattr(volumes, "ZARR_BYTES", 2 << 20)
    opened = Volumes().open(tmp_path / "large.zarr")
    assert (opened.shape_zyx, opened.binned) == ((65, 70, 75), 2)
    assert opened.first_zyx_A == (5.0 - 65 * 10, 5.0 - 70 * 10, 5.0 - 75 * 10)  # half a fine voxel further in
    mean = volume[20:22, 40:42, 60:62].mean()
    assert Cutter().value(opened, (10, 20, 30)) == pytest.approx(mean, abs=1e-5)


def test_a_file_written_anew_is_opened_anew(tmp_path: Path, voxels: NDArray[np.float32]) -> None:
    path, known, cutter = tmp_path / "tomogram.mrc", Volumes(), Cutter()
    write_mrc(path, voxels, 10.0, kind="volume")
    old = known.open(path)
    assert known.open(path) is old
    write_mrc(path, 2 * voxels[:, :20], 10.0, kind="volume")
    with pytest.raises(ChangedError, match="written anew"):
        old.read(0, 0, 1)
    new = known.open(path)
    assert new.stamp != old.stamp
    for axis in AXES.values():
        np.testing.assert_array_equal(cutter.cut(new, axis, 2), expected(2 * voxels[:, :20], axis, 2))


def test_a_zarr_written_anew_is_opened_anew(tmp_path: Path, voxels: NDArray[np.float32]) -> None:
    path, known = tmp_path / "tomogram.zarr", Volumes()
    write_ome_zarr(path, voxels, 10.0, name="one")
    old = known.open(path)
    write_ome_zarr(path, voxels[:, :30], 10.0, name="two")
    with pytest.raises(ChangedError):
        old.read(0, 0, 1)
    assert known.open(path).shape_zyx == (9, 30, 150)


@pytest.mark.parametrize("axis", AXES.values(), ids=AXES)
def test_a_file_that_is_cut_short_in_its_place_ends_nothing(
    tmp_path: Path, voxels: NDArray[np.float32], axis: Axis
) -> None:
    path, known = tmp_path / "tomogram.mrc", Volumes()
    write_mrc(path, voxels, 10.0, kind="volume")
    volume = known.open(path)
    os.truncate(path, 5000)
    with pytest.raises(ChangedError, match="written anew"):
        volume.read(axis, 0, 1)
    with pytest.raises(FormatError, match="wait until it is written"):
        known.open(path)
    path.unlink()
    with pytest.raises(InputError, match="not there"):
        known.open(path)


def test_what_many_ask_for_at_once_is_made_once() -> None:
    made, began, kept = [], threading.Barrier(8), Kept[bytes](100, len)

    def make() -> bytes:
        made.append(1)
        return b"x" * 40

    def ask() -> None:
        began.wait()
        assert len(kept.get("one", make)) == 40

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_a_cache_keeps_what_was_used_last_and_to_its_bytes() -> None:
    kept = Kept[bytes](100, len)
    makes: Callable[[str], bytes] = lambda name: kept.get(name, lambda: name.encode() * 40)  # noqa: E731
    makes("a"), makes("b"), makes("a"), makes("c")
    assert kept.bytes == 80
    again = []
    for name in "acb":
        kept.get(name, lambda name=name: again.append(name) or b"")  # type: ignore[func-returns-value, misc]
    assert again == ["b"]


def test_a_failure_is_not_kept() -> None:
    kept = Kept[bytes](100, len)
    with pytest.raises(ZeroDivisionError):
        kept.get("one", lambda: bytes(1 // 0))
    assert kept.get("one", lambda: b"now") == b"now"


def test_as_shown_is_a_view() -> None:
    plane = np.zeros((3, 4), np.float32)
    assert np.shares_memory(as_shown(plane, 2), plane)
