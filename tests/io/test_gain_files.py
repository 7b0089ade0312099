"""Gain references from files: which way up, and what is no gain."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.core import EucentricError, EucentricWarning, FormatError, InputError
from eucentric.io import write_mrc
from eucentric.io.gain import read_gain


def reference() -> NDArray[np.float32]:
    gain = np.random.default_rng(2).uniform(0.8, 1.2, (14, 9)).astype(np.float32)
    gain[3, 4] = 0
    return gain


def write(path: Path, gain: NDArray[np.float32]) -> None:
    if path.suffix == ".mrc":
        write_mrc(path, gain[None], 1.0, kind="stack")
    else:
        tifffile.imwrite(path, gain, photometric="minisblack")


@pytest.mark.parametrize(
    ("suffix", "turned_over"), [(".mrc", False), (".tif", True), (".TIFF", True), (".gain", False)]
)
def test_rows_go_upward(tmp_path: Path, suffix: str, turned_over: bool) -> None:
    gain = reference()
    write(tmp_path / f"g{suffix}", gain)
    read = read_gain(tmp_path / f"g{suffix}")
    assert (read.dtype, read.flags.c_contiguous) == (np.dtype(np.float32), True)
    np.testing.assert_array_equal(read, gain[::-1] if turned_over else gain)


def test_a_gain_lies_against_a_movie_as_it_does_in_files_of_one_kind(tmp_path: Path) -> None:
    from eucentric.io.movies import open_movie, write_movie

    counts = np.random.default_rng(2).poisson(9, (1, 14, 9)).astype(np.uint8)
    for suffix in (".tif", ".mrc"):
        write_movie(tmp_path / f"m{suffix}", counts, 1.0)
        np.testing.assert_array_equal(open_movie(tmp_path / f"m{suffix}").read(), counts)
        np.testing.assert_array_equal(read_gain(tmp_path / f"m{suffix}"), counts[0])


@pytest.mark.parametrize("suffix", [".mrc", ".tif"])
@pytest.mark.parametrize(("value", "says"), [(np.nan, "not finite"), (-1.0, "negative"), (0.0, "all its pixels")])
def test_what_is_no_gain_is_refused(tmp_path: Path, suffix: str, value: float, says: str) -> None:
    gain = reference()
    if value:
        gain[1, 1] = value
    else:
        gain[:] = 0
    path = tmp_path / f"g{suffix}"
    if suffix == ".mrc" and np.isnan(value):
        write(path, reference())  # our writer refuses NaN
        raw = bytearray(path.read_bytes())
        raw[-4:] = np.float32(value).tobytes()
        path.write_bytes(raw)
    else:
        write(path, gain)
    with pytest.raises(FormatError, match=says):
        read_gain(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_gain(tmp_path / "absent.mrc")
    with pytest.raises(InputError, match=r"\.dm4 is not that of a gain"):
        read_gain(tmp_path / "gain.dm4")
    (tmp_path / "empty.gain").touch()
    with pytest.raises(FormatError, match="empty"):
        read_gain(tmp_path / "empty.gain")
    write_mrc(tmp_path / "two.mrc", np.ones((2, 8, 8), np.float32), 1.0, kind="stack")
    with pytest.raises(FormatError, match="2 sections"):
        read_gain(tmp_path / "two.mrc")
    tifffile.imwrite(tmp_path / "two.tif", np.ones((2, 8, 8), np.float32), photometric="minisblack")
    with pytest.raises(FormatError, match="2 pages"):
        read_gain(tmp_path / "two.tif")
    tifffile.imwrite(tmp_path / "colour.tif", np.ones((8, 8, 3), np.uint8), photometric="rgb")
    with pytest.raises(FormatError, match="its page is"):
        read_gain(tmp_path / "colour.tif")


@settings(max_examples=100)
@given(
    suffix=st.sampled_from([".mrc", ".tif"]),
    edits=st.lists(st.tuples(st.integers(0, 100_000), st.binary(min_size=1, max_size=6)), min_size=1, max_size=4),
    in_front=st.booleans(),
)
def test_a_damaged_gain_is_read_or_refused_in_our_own_words(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, edits: list[tuple[int, bytes]], in_front: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / f"damaged{suffix}"
    write(path, reference())
    raw = bytearray(path.read_bytes())
    for at, what in edits:
        at %= 250 if in_front else len(raw)
        raw[at : at + len(what)] = what
    path.write_bytes(raw)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EucentricWarning)
        try:
            gain = read_gain(path)
        except EucentricError:
            return
    assert np.isfinite(gain).all()
    assert gain.any()
