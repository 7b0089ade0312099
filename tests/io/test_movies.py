import struct
import warnings
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np
from numpy.typing import NDArray

from eucentric.core import EucentricError, EucentricWarning, FormatError, InputError, OutputError
from eucentric.io.movies import open_movie, write_movie

COMPRESSIONS: list[Any] = ["lzw", "deflate", "none"]


def counts(shape: tuple[int, int, int] = (5, 40, 31), dtype: str = "uint8", mean: float = 0.7) -> NDArray[Any]:
    return np.random.default_rng(3).poisson(mean, shape).astype(dtype)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    frames=st_np.arrays(st.sampled_from([np.uint8, np.uint16]), st_np.array_shapes(min_dims=3, max_dims=3, max_side=9)),
    pixel_A=st.floats(0.05, 9e3),
    suffix=st.sampled_from([".tif", ".TIFF", ".mrc", ".mrcs"]),
    compression=st.sampled_from(COMPRESSIONS),
)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, frames: NDArray[Any], pixel_A: float, suffix: str, compression: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / f"movie{suffix}"
    write_movie(path, frames, pixel_A, compression=compression)
    movie = open_movie(path)
    assert movie.shape == frames.shape
    assert movie.pixel_A == pytest.approx(pixel_A, rel=1e-6)  # float32 in MRC; a ratio of 32-bit integers in TIFF
    read = movie.read()
    np.testing.assert_array_equal(read, frames)
    assert read.dtype == movie.dtype
    if "tif" in suffix.lower():
        assert movie.dtype == frames.dtype
    for frame, ours in zip(movie.frames(), frames, strict=True):
        np.testing.assert_array_equal(frame, ours)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_the_first_row_of_a_tiff_is_the_top_of_the_picture(tmp_path: Path, compression: Any) -> None:
    frames = counts()
    write_movie(tmp_path / "a.tif", frames, 1.7005, compression=compression)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), frames[:, ::-1])


def test_mrc_lies_as_the_arrays_do(tmp_path: Path) -> None:
    frames = counts()
    write_movie(tmp_path / "a.mrc", frames, 1.7)
    with mrcfile.open(tmp_path / "a.mrc") as theirs:
        np.testing.assert_array_equal(theirs.data, frames)
        assert theirs.is_image_stack()


@pytest.mark.parametrize(("highest", "dtype", "mode"), [(127, "uint8", 0), (128, "uint8", 6), (9, "uint16", 6)])
def test_mode_of_mrc(tmp_path: Path, highest: int, dtype: str, mode: int) -> None:
    frames = counts(dtype=dtype)
    frames[2, 3, 4] = highest
    write_movie(tmp_path / "a.mrc", frames, 1.7)
    with mrcfile.open(tmp_path / "a.mrc") as theirs:
        assert int(theirs.header.mode) == mode
    np.testing.assert_array_equal(open_movie(tmp_path / "a.mrc").read(), frames)


def test_tags_are_what_readers_expect(tmp_path: Path) -> None:
    write_movie(tmp_path / "a.tif", counts((3, 700, 600), "uint16"), 1.7005)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert len(tiff.pages) == 3
        for page in tiff.pages:
            assert isinstance(page, tifffile.TiffPage)
            tags = {tag.name: tag.value for tag in page.tags}
            assert tags["Compression"] == 5
            assert tags.get("SampleFormat", 1) == 1  # unsigned, which is what its absence means
            # IMOD: 1e8 over the resolution per centimetre is the pixel in Å
            assert 1e8 * tags["XResolution"][1] / tags["XResolution"][0] == pytest.approx(1.7005, rel=1e-8)
            assert tags["XResolution"] == tags["YResolution"]
            assert tags["ResolutionUnit"] == 3
            assert not {"DateTime", "ImageDescription"} & set(tags)
            ends = np.add(tags["StripOffsets"], tags["StripByteCounts"])
            # One strip follows another; TIFF lets them start at even places only.
            assert (np.asarray(tags["StripOffsets"])[1:] - ends[:-1] <= 1).all()
            assert (np.asarray(tags["StripOffsets"])[1:] - ends[:-1] >= 0).all()


@pytest.mark.parametrize("suffix", [".tif", ".mrc"])
def test_same_frames_give_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    for name in ("a", "b"):
        write_movie(tmp_path / f"{name}{suffix}", counts((2, 600, 500)), 1.7)
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_counts_are_packed_well(tmp_path: Path) -> None:
    # The entropy of Poisson counts of mean 0.7 is 1.70 bits, so that 4.7 would be the best; LZW gets to 4.1.
    frames = counts((2, 512, 512))
    sizes = {}
    for compression in COMPRESSIONS:
        write_movie(tmp_path / "a.tif", frames, 1.7, compression=compression)
        sizes[compression] = frames.nbytes / (tmp_path / "a.tif").stat().st_size
    assert sizes["lzw"] > 3.9
    assert sizes["deflate"] > 3.3
    assert sizes["none"] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("tile", [None, (16, 32)])
def test_other_writers_tiffs_are_read(tmp_path: Path, byteorder: Any, bigtiff: bool, tile: Any) -> None:
    frames = counts(dtype="uint16")
    with tifffile.TiffWriter(tmp_path / "a.tif", byteorder=byteorder, bigtiff=bigtiff) as tiff:
        for frame in frames:
            tiff.write(frame, tile=tile, contiguous=False, photometric="minisblack", resolution=(72, 72))
    movie = open_movie(tmp_path / "a.tif")
    np.testing.assert_array_equal(movie.read(), frames[:, ::-1])
    assert movie.dtype == np.dtype("uint16")
    assert movie.pixel_A is None  # 72 to the inch is a screen's


def test_a_recorded_movie(real_data: Path) -> None:
    path = real_data / "small-stack" / "counting_movie_24x78x78.tiff"
    movie = open_movie(path)
    assert (movie.shape, movie.dtype, movie.pixel_A) == ((24, 78, 78), np.dtype("uint16"), None)
    with tifffile.TiffFile(path) as theirs:
        for frame, page in zip(movie.frames(), theirs.pages, strict=True):
            np.testing.assert_array_equal(frame, page.asarray()[::-1])


@pytest.mark.parametrize(
    ("name", "frames", "pixel_A", "compression", "says"),
    [
        ("a.png", counts(), 1.0, "lzw", "suffix"),
        ("a.tif", counts()[0], 1.0, "lzw", "frames of pixels"),
        ("a.tif", counts()[:0], 1.0, "lzw", "frames of pixels"),
        ("a.mrc", counts().astype("float32"), 1.0, "lzw", "float32"),
        ("a.tif", counts(), float("nan"), "lzw", "pixel size"),
        ("a.tif", counts(), 2e4, "lzw", "pixel size"),
        ("a.tif", counts(), 1.0, "jpeg", "compression"),
    ],
)
def test_what_cannot_be_written_is_refused(
    tmp_path: Path, name: str, frames: NDArray[Any], pixel_A: float, compression: Any, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        write_movie(tmp_path / name, frames, pixel_A, compression=compression)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_movie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_movie(tmp_path / "a.tif", counts(), 1.0)
    old = (tmp_path / "a.tif").read_bytes()
    frames = counts(mean=2)
    really_write, frames_written = tifffile.TiffWriter.write, []

    def write(self: tifffile.TiffWriter, *args: Any, **kwargs: Any) -> Any:
        frames_written.append(1)
        if len(frames_written) == 3:
            raise KeyboardInterrupt
        return really_write(self, *args, **kwargs)

    monkeypatch.setattr(tifffile.TiffWriter, "write", write)
    with pytest.raises(KeyboardInterrupt):
        write_movie(tmp_path / "a.tif", frames, 1.0)
    assert len(frames_written) == 3
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [old]


@pytest.mark.parametrize(("suffix", "compression"), [(".tif", "none"), (".tif", "lzw"), (".mrc", "none")])
def test_a_full_disk_is_said_and_nothing_stays(small_disk: Path, suffix: str, compression: Any) -> None:
    with pytest.raises(OutputError, match="disk is full"):
        write_movie(small_disk / f"a{suffix}", counts((10, 1024, 512)), 1.0, compression=compression)
    assert list(small_disk.iterdir()) == []


def test_missing_empty_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_movie(tmp_path / "absent.tif")
    (tmp_path / "folder.tif").mkdir()
    with pytest.raises(InputError, match="folder"):
        open_movie(tmp_path / "folder.tif")
    with pytest.raises(InputError, match="suffix"):
        open_movie(tmp_path / "a.dm4")
    (tmp_path / "empty.tif").touch()
    with pytest.raises(FormatError, match="empty"):
        open_movie(tmp_path / "empty.tif")
    for foreign in (b"II*\0", b"not a TIFF file at all", b"II*\0" + bytes(40)):
        (tmp_path / "foreign.tif").write_bytes(foreign)
        with pytest.raises(FormatError, match=r"TIFF|no frame|unreadable"):
            open_movie(tmp_path / "foreign.tif")
    write_movie(tmp_path / "a.mrc", counts(), 1.0)
    (tmp_path / "a.mrc").rename(tmp_path / "mrc.tif")
    with pytest.raises(FormatError, match="not a TIFF"):
        open_movie(tmp_path / "mrc.tif")


def test_pages_that_are_no_frames_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "colour.tif", np.zeros((8, 8, 3), "uint8"), photometric="rgb")
    with pytest.raises(FormatError, match="no frames"):
        open_movie(tmp_path / "colour.tif")
    for name, odd in (("size", np.zeros((8, 9), "uint8")), ("type", np.zeros((8, 8), "uint16"))):
        with tifffile.TiffWriter(tmp_path / f"{name}.tif") as tiff:
            for frame in (np.zeros((8, 8), "uint8"), odd):
                tiff.write(frame, contiguous=False, photometric="minisblack")
        with pytest.raises(FormatError, match="frame 1 is unreadable"):
            open_movie(tmp_path / f"{name}.tif")


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_movie_cut_short_is_never_taken_for_a_shorter_one(tmp_path: Path, compression: Any) -> None:
    write_movie(tmp_path / "a.tif", counts((6, 64, 64)), 1.0, compression=compression)
    raw = (tmp_path / "a.tif").read_bytes()
    for length in np.linspace(1, len(raw) - 1, 60).astype(int):
        (tmp_path / "cut.tif").write_bytes(raw[:length])
        with pytest.raises(FormatError, match=r"frame \d is unreadable|not a|no frame"):
            open_movie(tmp_path / "cut.tif")


def test_a_frame_that_cannot_be_unpacked_is_named(tmp_path: Path) -> None:
    frames = counts((4, 64, 64))
    write_movie(tmp_path / "a.tif", frames, 1.0, compression="deflate")
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        page = tiff.pages[2]
        assert isinstance(page, tifffile.TiffPage)
        offset, size = page.dataoffsets[0], page.databytecounts[0]
    raw = bytearray((tmp_path / "a.tif").read_bytes())
    raw[offset : offset + size] = bytes(size)
    (tmp_path / "a.tif").write_bytes(raw)
    read = []
    with pytest.raises(FormatError, match="frame 2 is unreadable"):
        read += list(open_movie(tmp_path / "a.tif").frames())
    seen = open_movie(tmp_path / "a.tif").frames()
    np.testing.assert_array_equal([next(seen), next(seen)], frames[:2])  # those before it can be had


def test_pages_in_a_circle_end(tmp_path: Path) -> None:
    write_movie(tmp_path / "a.tif", counts((1, 8, 8)), 1.0, compression="none")
    raw = bytearray((tmp_path / "a.tif").read_bytes())
    (first,) = struct.unpack("<I", raw[4:8])
    (n,) = struct.unpack("<H", raw[first : first + 2])
    raw[first + 2 + 12 * n : first + 6 + 12 * n] = struct.pack("<I", first)
    (tmp_path / "a.tif").write_bytes(raw)
    with pytest.raises(FormatError, match="earlier frame"):
        open_movie(tmp_path / "a.tif")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    compression=st.sampled_from(COMPRESSIONS),
    edits=st.lists(st.tuples(st.integers(0, 100_000), st.binary(min_size=1, max_size=6)), min_size=1, max_size=5),
    in_front=st.booleans(),
)
def test_a_damaged_movie_is_read_or_refused_in_our_own_words(
    tmp_path_factory: pytest.TempPathFactory, compression: Any, edits: list[tuple[int, bytes]], in_front: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.tif"
    write_movie(path, counts((3, 20, 20)), 1.0, compression=compression)
    raw = bytearray(path.read_bytes())
    for at, what in edits:
        at %= 300 if in_front else len(raw)  # the first page is in front
        raw[at : at + len(what)] = what
    path.write_bytes(raw)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EucentricWarning)
        try:
            movie = open_movie(path)
            frames = movie.read()
        except EucentricError:
            return
    assert frames.shape == movie.shape
