"""A stack that another program is writing: its header may lag, its last section may be half there."""

import struct
from pathlib import Path

import numpy as np
import pytest

from eucentric.core import FormatError, InputError
from eucentric.io import write_mrc
from eucentric.io.growing_stack import look_at_stack, read_section

PIXELS = np.arange(3 * 4 * 6, dtype=np.int16).reshape(3, 4, 6)
SECTION_BYTES = 4 * 6 * 2


@pytest.fixture
def raw(tmp_path: Path) -> bytes:
    path = tmp_path / "whole.mrc"
    write_mrc(path, PIXELS, 2.7, kind="stack")
    return path.read_bytes()


def test_whole_sections_are_those_that_the_file_is_long_enough_for(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "ts.mrc"
    path.write_bytes(raw[: 1024 + 2 * SECTION_BYTES + 5])
    seen = look_at_stack(path)
    assert (seen.whole, seen.counted, seen.shape_yx) == (2, 3, (4, 6))
    assert seen.pixel_A == pytest.approx(2.7)
    np.testing.assert_array_equal(read_section(path, 1)[0], PIXELS[1])
    with pytest.raises(FormatError, match=r"ts\.mrc: section 2 is not whole; the file holds 2"):
        read_section(path, 2)


def test_a_header_that_lags_holds_no_section_back(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "ts.mrc"
    path.write_bytes(raw[:8] + struct.pack("<i", 1) + raw[12:])
    assert (look_at_stack(path).whole, look_at_stack(path).counted) == (3, 1)
    np.testing.assert_array_equal(read_section(path, 2)[0], PIXELS[2])


def test_the_extended_header_and_the_other_byte_order(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "ts.mrc"
    header = np.frombuffer(raw[:1024], "<i4").astype(">i4")
    header[23] = 100  # bytes of extended header
    words = bytearray(header.tobytes())
    words[208:216] = b"MAP \x11\x11\x00\x00"
    path.write_bytes(bytes(words) + bytes(100) + PIXELS.astype(">i2").tobytes())
    pixels, seen = read_section(path, 1)
    assert (seen.whole, seen.offset_bytes) == (3, 1124)
    assert pixels.dtype == np.int16
    np.testing.assert_array_equal(pixels, PIXELS[1])


def test_what_is_no_stack_yet_says_so(tmp_path: Path) -> None:
    path = tmp_path / "ts.mrc"
    with pytest.raises(InputError, match=r"ts\.mrc"):
        look_at_stack(path)
    path.write_bytes(bytes(1024))  # opened by the microscope, and nothing saved
    with pytest.raises(FormatError, match=r"ts\.mrc"):
        look_at_stack(path)
