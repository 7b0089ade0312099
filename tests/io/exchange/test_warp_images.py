"""Where Warp's images lie, and which of them are taken."""

from pathlib import Path

import numpy as np
import pytest

from eucentric.io import write_mrc
from eucentric.io.exchange.warp_images import find_images

MOVIES = [f"../warp_frameseries/ts_{i:03d}_{i}.5.eer" for i in range(5)]
SIZE_A = (400.0, 300.0)  # x, y


def write_averages(folder: Path, pixel_A: float = 2.5, shape_yx: tuple[int, int] = (120, 160)) -> list[Path]:
    """Write an average for every movie but the second, and return their paths."""
    paths = [folder / f"average/ts_{i:03d}_{i}.5.mrc" for i in range(5)]
    for path in paths[:1] + paths[2:]:
        write_mrc(path, np.zeros((1, *shape_yx), np.int8), pixel_A, kind="stack")
    return paths


def write_stack(folder: Path, pixel_A: float, shape: tuple[int, int, int]) -> Path:
    """Write a stack of ts_stack's."""
    path = folder / "warp_tiltseries/tiltstack/TS/TS.st"
    write_mrc(path, np.zeros(shape, np.int8), pixel_A, kind="stack")
    return path


@pytest.mark.parametrize("where", ["warp_frameseries", "other", "."])
def test_averages_are_found_by_name_inside_the_project(tmp_path: Path, where: str) -> None:
    paths = write_averages(tmp_path / where)
    write_mrc(tmp_path / "elsewhere/deep/average/ts_001_1.5.mrc", np.zeros((1, 4, 4), np.int8), 1.0, kind="stack")
    dropped: list[str] = []
    found = find_images(tmp_path, [], MOVIES, 5, SIZE_A, dropped)
    assert found is not None
    assert found.files.images == (paths[0], None, *paths[2:])
    assert (found.pixel_A, found.shape_yx) == (2.5, (120, 160))
    assert not dropped


@pytest.mark.parametrize(
    "movie", ["../../secret/x.tif", "..\\..\\secret\\x.tif", "/etc/x.tif", "..", "", "\0", "a" * 5000]
)
def test_no_path_is_followed_out_of_the_project(tmp_path: Path, movie: str) -> None:
    write_mrc(tmp_path / "secret/average/x.mrc", np.zeros((1, 4, 4), np.int8), 1.0, kind="stack")
    (tmp_path / "project").mkdir()
    assert find_images(tmp_path / "project", [], [movie], 1, None, []) is None


def test_the_finer_of_stack_and_averages_is_taken(tmp_path: Path) -> None:
    write_averages(tmp_path / "warp_frameseries")
    coarse = write_stack(tmp_path, 10.0, (5, 30, 40))
    dropped: list[str] = []
    found = find_images(tmp_path, [coarse], MOVIES, 5, SIZE_A, dropped)
    assert found is not None
    assert (found.files.stack, found.pixel_A) == (None, 2.5)
    assert dropped == [f"{coarse}: this stack was not taken; the averages of the movies are finer."]
    same = write_stack(tmp_path, 2.5, (5, 120, 160))
    found = find_images(tmp_path, [same], MOVIES, 5, SIZE_A, dropped)
    assert found is not None
    assert (found.files.stack, found.files.images) == (same, ())
    assert find_images(tmp_path, [], [], 5, SIZE_A, dropped) is None


def test_halves_go_with_images_of_their_size_alone(tmp_path: Path) -> None:
    write_averages(tmp_path / "warp_frameseries")
    even = tmp_path / "warp_frameseries/average/even/ts_003_3.5.mrc"
    write_mrc(even, np.zeros((1, 120, 160), np.int8), 2.5, kind="stack")
    for pixel_A, shape, kept in ((2.5, (5, 120, 160), True), (1.25, (5, 240, 320), False)):
        found = find_images(tmp_path, [write_stack(tmp_path, pixel_A, shape)], MOVIES, 5, SIZE_A, [])
        assert found is not None
        assert found.files.even_images == ((None, None, None, even, None) if kept else ())
        assert found.files.odd_images == ()


def test_averages_of_another_size_than_the_alignment_are_told(tmp_path: Path) -> None:
    write_averages(tmp_path / "warp_frameseries", pixel_A=1.0)
    dropped: list[str] = []
    found = find_images(tmp_path, [], MOVIES, 5, SIZE_A, dropped)
    assert found is not None
    assert found.pixel_A == 2.5  # with which 160 x 120 pixels are as large as the alignment says
    assert "160 x 120 pixels of 1 Å" in dropped[0]
    assert "images of 400 x 300 Å; they were taken, with a pixel of 2.5 Å" in dropped[0]
    dropped.clear()
    assert find_images(tmp_path, [], MOVIES, 5, (400.0, 400.0), dropped) is None
    assert "they were not taken" in dropped[0]


def test_the_size_of_most_averages_counts(tmp_path: Path) -> None:
    paths = write_averages(tmp_path / "warp_frameseries")
    write_mrc(paths[0], np.zeros((1, 8, 8), np.int8), 2.5, kind="stack")
    paths[2].write_bytes(b"no image")
    found = find_images(tmp_path, [], MOVIES, 5, None, [])
    assert found is not None
    assert found.shape_yx == (120, 160)
    assert found.files.images == (paths[0], None, *paths[2:])
