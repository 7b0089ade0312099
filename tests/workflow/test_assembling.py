"""Stacks made of images that lie one by one."""

import tracemalloc
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
from numpy.typing import NDArray

from eucentric.core import OutputError
from eucentric.io import open_mrc, write_mrc
from eucentric.io.exchange import ProcessedSeries, SeriesFiles
from eucentric.workflow.assembling import assemble, images_stamp
from phantoms.processed import processed_series

N, SHAPE = 5, (12, 11)


def series_of(folder: Path, images: list[NDArray[Any] | None], kind: str = "images") -> ProcessedSeries:
    """Return a series whose images lie in a folder one by one, None for one that does not."""
    paths = []
    for section, image in enumerate(images):
        path = folder / f"{kind}{section}.mrc"
        if image is not None:
            write_mrc(path, image[None], 2.7, kind="stack")
        paths.append(path if image is not None else None)
    shape_yx = next(image.shape for image in images if image is not None)
    one = processed_series(n=len(images), shape_yx=(shape_yx[0], shape_yx[1]))
    return one.replace(files=SeriesFiles.model_validate({kind: tuple(paths)}))


def plain(dtype: str, n: int = N) -> list[NDArray[Any] | None]:
    """Return images whose pixels are the number of their section."""
    return [np.full(SHAPE, section, dtype) for section in range(n)]


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint16", "float16", "float32"])
def test_pixels_stay_as_they_are(tmp_path: Path, dtype: str) -> None:
    made = assemble(series_of(tmp_path, plain(dtype)), tmp_path / "series")
    assert made.stacks == (tmp_path / "series/TS_001.mrc",)
    assert not made.told
    assert made.processed.files == SeriesFiles(stack=made.stacks[0])
    with mrcfile.open(made.stacks[0]) as stack:
        assert stack.data.dtype == dtype
        assert stack.is_image_stack()
        assert [np.unique(section).tolist() for section in stack.data] == [[section] for section in range(N)]


@pytest.mark.parametrize(
    ("first", "others", "stack"),
    [("float16", "float32", "float32"), ("int16", "uint16", "float32"), ("int8", "int16", "int16")],
)
def test_mixed_pixels_lose_nothing(tmp_path: Path, first: str, others: str, stack: str) -> None:
    images = [np.full(SHAPE, 7, first), *(np.full(SHAPE, 120 + section, others) for section in range(1, N))]
    made = assemble(series_of(tmp_path, [*images]), tmp_path)
    data = open_mrc(made.stacks[0]).data
    assert data.dtype == stack
    assert data[:, 0, 0].tolist() == [7, 121, 122, 123, 124]


def test_bytes_without_a_sign_are_not_turned_negative(tmp_path: Path) -> None:
    images = [np.full(SHAPE, 100, np.int8) for _ in range(N)]
    one = series_of(tmp_path, [*images])
    for path in one.files.images:
        assert path is not None
        raw = bytearray(path.read_bytes())
        raw[152:160] = np.array([1146047817, 0], "<i4").tobytes()  # IMOD's stamp, and no flag of signed bytes
        raw[1024:] = bytes([200] * (len(raw) - 1024))
        path.write_bytes(raw)
    data = open_mrc(assemble(one, tmp_path).stacks[0]).data
    assert data.dtype == np.int16
    assert (data == 200).all()


def test_halves_have_stacks_of_their_own(tmp_path: Path) -> None:
    one = series_of(tmp_path, plain("int16"))
    even = series_of(tmp_path, [None, *plain("int8")[1:]], "even_images").files.even_images
    made = assemble(one.replace(files=one.files.replace(even_images=even)), tmp_path / "series")
    assert [path.name for path in made.stacks] == ["TS_001.mrc", "TS_001_even.mrc"]
    assert made.processed.files.odd is None
    (told,) = made.told
    assert told.startswith("TS_001_even.mrc has blank sections")
    # The view is there in the images: only its half is not.
    assert made.processed.alignment == one.alignment


def test_no_stack_is_made_of_nothing(tmp_path: Path) -> None:
    one = series_of(tmp_path, plain("int16"))
    wider = one.series.replace(shape_yx=(12, 13))
    alignment = one.alignment.replace(shape_yx=(12, 13)) if one.alignment else None
    one = one.replace(series=wider, alignment=alignment)
    made = assemble(one, tmp_path / "series")
    assert made.stacks == ()
    assert made.processed.files == SeriesFiles()
    assert made.processed.alignment == alignment
    assert "TS_001.mrc was not made, for 5 of 5 images could not be taken" in made.told[0]
    assert "11 x 12 x 1 pixels, but the series has images of 13 x 12" in made.told[0]
    assert not (tmp_path / "series").exists()


def test_a_series_with_its_stack_is_left_as_it_is(tmp_path: Path) -> None:
    one = processed_series().replace(files=SeriesFiles(stack=tmp_path / "theirs.mrc"))
    made = assemble(one, tmp_path)
    assert (made.processed, made.stacks, made.told) == (one, (), ())


def test_only_a_few_images_are_in_memory(tmp_path: Path) -> None:
    image = np.zeros((1000, 1000), np.float32)
    image[0] = 1
    one = series_of(tmp_path, [image] * 15)
    assemble(series_of(tmp_path / "small", plain("float32")), tmp_path / "warm")
    tracemalloc.start()
    assemble(one, tmp_path / "series")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * image.nbytes  # of 15


def test_a_full_disk_leaves_the_earlier_stack(tmp_path: Path, small_disk: Path) -> None:
    small = series_of(tmp_path, plain("float32"))
    stack = assemble(small, small_disk).stacks[0]
    before = stack.read_bytes()
    large = series_of(tmp_path / "large", [np.ones((300, 300), np.float32)] * N)
    with pytest.raises(OutputError, match="disk is full"):
        assemble(large, small_disk)
    assert stack.read_bytes() == before
    assert [path.name for path in small_disk.iterdir()] == [stack.name]


def test_the_stamp_tells_when_an_image_changes(tmp_path: Path) -> None:
    one = series_of(tmp_path, plain("int16"))
    stamp = images_stamp(one)
    assert images_stamp(one) == stamp
    path = one.files.images[2]
    assert path is not None
    path.write_bytes(path.read_bytes() + b" ")
    changed = images_stamp(one)
    assert changed != stamp
    path.unlink()
    assert images_stamp(one) not in (stamp, changed)
