"""EER against an encoder written from its description, packed counts, and movies that are damaged."""

import struct
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.core import DataWarning, EucentricError, EucentricWarning, FormatError, InputError
from eucentric.io.eer import fractions_for
from eucentric.io.movies import open_movie, write_movie
from phantoms.eer import COMPRESSIONS, SHAPE, Events, write_eer


def events(frames: int, share: float = 0.05, bits: int = 4) -> Events:
    """Return, for each of a camera's frames, which pixels got an electron, and where in the pixel."""
    random = np.random.default_rng(5)
    pixels = SHAPE[0] * SHAPE[1]
    hits = [np.flatnonzero(random.random(pixels) < share) for _ in range(frames)]
    return [(hit, random.integers(0, 1 << bits, len(hit))) for hit in hits]


def counted(frames: Events) -> NDArray[np.uint8]:
    images = np.zeros((len(frames), SHAPE[0] * SHAPE[1]), np.uint8)
    for image, (hits, _) in zip(images, frames, strict=True):
        image[hits] = 1
    return images.reshape(-1, *SHAPE)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("extra", [False, True])
def test_frames_are_sums_of_the_cameras_own(tmp_path: Path, compression: int, extra: bool) -> None:
    truth = events(23, bits=sum(COMPRESSIONS[compression][1:]))
    write_eer(tmp_path / "a.eer", truth, compression, extra)
    movie = open_movie(tmp_path / "a.eer", fractions=4)
    assert movie.shape == (4, *SHAPE)
    assert (movie.dtype, movie.raw_frames) == (np.dtype(np.uint8), 23)
    assert movie.pixel_A == pytest.approx(1.5)
    assert "each of 5" in movie.notes[0]
    assert "the last 3 were left out" in movie.notes[0]
    np.testing.assert_array_equal(movie.read(), counted(truth)[:20].reshape(4, 5, *SHAPE).sum(axis=1))
    one = open_movie(tmp_path / "a.eer", fractions=1).read()
    np.testing.assert_array_equal(one[0], counted(truth).sum(axis=0))
    assert open_movie(tmp_path / "a.eer", fractions=100).shape[0] == 23
    assert open_movie(tmp_path / "a.eer").shape[0] == 8


@pytest.mark.parametrize("superres", [1, 2, 4])
def test_finer_pixels_are_as_the_codec_has_them(tmp_path: Path, superres: Literal[1, 2, 4]) -> None:
    truth = events(3)
    write_eer(tmp_path / "a.eer", truth)
    movie = open_movie(tmp_path / "a.eer", fractions=3, superres=superres)
    assert movie.shape[1:] == (SHAPE[0] * superres, SHAPE[1] * superres)
    assert movie.pixel_A == pytest.approx(1.5 / superres)
    frames = movie.read()
    binned = frames.reshape(3, SHAPE[0], superres, SHAPE[1], superres).sum(axis=(2, 4))
    np.testing.assert_array_equal(binned, counted(truth))
    for frame, (hits, subs) in zip(frames, truth, strict=True):
        # Two bits for each axis, of which the upper is stored turned over.
        y, x = (subs ^ 0b1010) >> 2, (subs ^ 0b1010) & 3
        expected = np.zeros_like(frame)
        rows, columns = np.divmod(hits, SHAPE[1])
        expected[(4 * rows + y) * superres // 4, (4 * columns + x) * superres // 4] = 1
        np.testing.assert_array_equal(frame, expected)


def test_many_frames_do_not_overflow(tmp_path: Path) -> None:
    same = (np.array([3, 77]), np.array([0, 5]))
    write_eer(tmp_path / "a.eer", [same] * 300)
    (frame,) = open_movie(tmp_path / "a.eer", fractions=1).read()
    assert frame.dtype == np.dtype(np.uint16)
    assert (frame.max(), frame.sum()) == (300, 600)
    (frame,) = open_movie(tmp_path / "a.eer", fractions=1, superres=4).read()
    assert frame.sum() == 600


def test_fractions_follow_the_exposure() -> None:
    assert fractions_for(3.0, 0.4, 700) == 8
    assert fractions_for(0.5, 0.4, 700) == 2
    assert fractions_for(3.0, 0.4, 5) == 5
    with pytest.raises(InputError, match="cannot be divided"):
        fractions_for(0.0, 0.4, 5)


def test_what_cannot_be_made_is_refused(tmp_path: Path) -> None:
    write_eer(tmp_path / "a.eer", events(4))
    with pytest.raises(InputError, match="one at least"):
        open_movie(tmp_path / "a.eer", fractions=0)
    with pytest.raises(InputError, match="1, 2 or 4"):
        open_movie(tmp_path / "a.eer", superres=3)  # type: ignore[arg-type]
    tifffile.imwrite(tmp_path / "b.eer", np.zeros((2, 8, 8), np.uint8), photometric="minisblack")
    with pytest.raises(FormatError, match="no page of it holds electron events"):
        open_movie(tmp_path / "b.eer")
    with pytest.raises(InputError, match="only read"):
        write_movie(tmp_path / "c.eer", np.zeros((2, 8, 8), np.uint8), 1.0)


def test_a_cut_eer_movie_is_refused_or_read_as_far_as_it_goes(tmp_path: Path) -> None:
    truth = events(12)
    starts = write_eer(tmp_path / "a.eer", truth)
    raw = (tmp_path / "a.eer").read_bytes()
    (tmp_path / "cut.eer").write_bytes(raw[: starts[9] + 10])
    with pytest.raises(FormatError, match="frame 9 is unreadable"):
        open_movie(tmp_path / "cut.eer")
    movie = open_movie(tmp_path / "cut.eer", fractions=3, tolerant=True)
    assert movie.raw_frames == 9
    np.testing.assert_array_equal(movie.read(), counted(truth)[:9].reshape(3, 3, *SHAPE).sum(axis=1))


@settings(max_examples=120)
@given(
    edits=st.lists(st.tuples(st.integers(0, 100_000), st.binary(min_size=1, max_size=6)), min_size=1, max_size=5),
    cut=st.integers(0, 3000),
    tolerant=st.booleans(),
    compression=st.sampled_from(sorted(COMPRESSIONS)),
)
def test_a_damaged_eer_movie_is_read_or_refused_in_our_own_words(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, bytes]], cut: int, tolerant: bool, compression: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.eer"
    write_eer(path, events(4), compression)
    raw = bytearray(path.read_bytes())
    for at, what in edits:
        raw[at % len(raw) : at % len(raw) + len(what)] = what
    path.write_bytes(raw[: len(raw) - cut % len(raw)] if cut % 3 == 0 else raw)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EucentricWarning)
        try:
            movie = open_movie(path, fractions=2, tolerant=tolerant)
            frames = list(movie.frames_or_none())
        except EucentricError:
            return
    assert len(frames) == movie.shape[0]
    assert all(frame is None or frame.shape == movie.shape[1:] for frame in frames)


# Damaged movies of the other kinds


def damage(path: Path, frame: int) -> None:
    with tifffile.TiffFile(path) as tiff:
        page: Any = tiff.pages[frame]
        offset, size = page.dataoffsets[0], page.databytecounts[0]
    raw = bytearray(path.read_bytes())
    raw[offset : offset + size] = bytes(size)
    path.write_bytes(raw)


def test_broken_frames_are_left_out_by_name(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).poisson(0.7, (5, 64, 48)).astype(np.uint8)
    write_movie(tmp_path / "a.tif", frames, 1.0, compression="deflate")
    damage(tmp_path / "a.tif", 2)
    with pytest.warns(DataWarning, match=r"frame 2 was left out.*\[frame-left-out\]"):
        found = list(open_movie(tmp_path / "a.tif").frames_or_none())
    assert [frame is None for frame in found] == [False, False, True, False, False]
    for at in (0, 1, 3, 4):
        np.testing.assert_array_equal(found[at], frames[at])


@pytest.mark.parametrize("compression", ["lzw", "deflate", "none"])
def test_a_cut_movie_gives_what_is_left_of_it(tmp_path: Path, compression: Any) -> None:
    frames = np.random.default_rng(0).poisson(0.7, (6, 64, 48)).astype(np.uint8)
    write_movie(tmp_path / "a.tif", frames, 1.0, compression=compression)
    raw = (tmp_path / "a.tif").read_bytes()
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        offset = tiff.pages[3].offset
    (tmp_path / "cut.tif").write_bytes(raw[: max(offset, len(raw) // 3)])
    movie = open_movie(tmp_path / "cut.tif", tolerant=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        found = list(movie.frames_or_none())
    assert movie.lost == tuple(at for at, frame in enumerate(found) if frame is None)
    kept = [at for at, frame in enumerate(found) if frame is not None]
    assert kept
    for at in kept:
        np.testing.assert_array_equal(found[at], frames[at])


# Counts of four bits


@pytest.mark.parametrize("columns", [10, 11])
@pytest.mark.parametrize("order", ["<", ">"])
def test_packed_mrc(tmp_path: Path, columns: int, order: Literal["<", ">"]) -> None:
    frames = np.random.default_rng(1).integers(0, 16, (3, 7, columns)).astype(np.uint8)
    padded = np.pad(frames, ((0, 0), (0, 0), (0, columns % 2)))
    header = bytearray(1024)
    header[:16] = struct.pack(f"{order}4i", columns, 7, 3, 101)
    header[28:40] = struct.pack(f"{order}3i", columns, 7, 1)
    header[40:52] = struct.pack(f"{order}3f", columns * 1.2, 7 * 1.2, 1.2)
    header[64:76] = struct.pack(f"{order}3i", 1, 2, 3)
    header[208:214] = b"MAP " + (b"DD" if order == "<" else b"\x11\x11")
    (tmp_path / "a.mrc").write_bytes(header + (padded[..., 0::2] | padded[..., 1::2] << 4).tobytes())
    movie = open_movie(tmp_path / "a.mrc")
    assert (movie.shape, movie.dtype) == (frames.shape, np.dtype(np.uint8))
    assert movie.pixel_A == pytest.approx(1.2)
    np.testing.assert_array_equal(movie.read(), frames)
    (tmp_path / "cut.mrc").write_bytes((tmp_path / "a.mrc").read_bytes()[:-5])
    with pytest.raises(FormatError, match="promises 3 sections"):
        open_movie(tmp_path / "cut.mrc")


def test_packed_tiff(tmp_path: Path) -> None:
    frame = np.random.default_rng(1).integers(0, 16, (6, 10)).astype(np.uint8)
    data = (frame[:, 0::2] << 4 | frame[:, 1::2]).tobytes()
    tags = [(256, 4, 10), (257, 4, 6), (258, 3, 4), (259, 3, 1), (262, 3, 1), (273, 4, 8), (278, 4, 6), (279, 4, 30)]
    page = struct.pack("<H", len(tags)) + b"".join(
        struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags
    )
    (tmp_path / "a.tif").write_bytes(struct.pack("<2sHI", b"II", 42, 38) + data + page + bytes(4))
    movie = open_movie(tmp_path / "a.tif")
    assert (movie.shape, movie.dtype) == ((1, 6, 10), np.dtype(np.uint8))
    np.testing.assert_array_equal(movie.read()[0], frame[::-1])
