"""An MRC stack that another program is still writing: how far it is, and its sections one by one.

Nothing is mapped: a file that gets shorter under a map kills the process that looks at it.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from eucentric.core import FormatError, FormatWarning, InputError
from eucentric.io._text import size_of
from eucentric.io.mrc import HEADER_BYTES, _dtype, _pixel_A, _read_header


@dataclass(frozen=True)
class GrowingStack:
    """A stack as it is at this moment.

    Attributes
    ----------
    shape_yx, dtype
        Of each section, in the byte order of the file.
    offset_bytes
        Where the first begins.
    counted
        How many there are by the header, which writers bring up to date when the pixels are written, or later.
    whole
        How many lie wholly within the file.
    pixel_A
        By the header; None where it has none, or one that cannot be.
    """

    shape_yx: tuple[int, int]
    dtype: np.dtype[Any]
    offset_bytes: int
    counted: int
    whole: int
    pixel_A: float | None

    @property
    def section_bytes(self) -> int:
        """Return the size of a section."""
        return self.shape_yx[0] * self.shape_yx[1] * self.dtype.itemsize


def look_at_stack(path: Path) -> GrowingStack:
    """Return how far a stack is, by its header and its size alone.

    Raises
    ------
    InputError
        If there is no such file, or it cannot be read.
    FormatError
        If it is no MRC file of images, or not yet.
    """
    try:
        with path.open("rb") as file:
            return _look(path, file)
    except OSError as error:
        raise _unreadable(path, error) from error


def read_section(path: Path, section: int) -> tuple[NDArray[Any], GrowingStack]:
    """Return a section that lies wholly within the file, (y, x) in this machine's byte order, and how far the file is.

    Raises
    ------
    InputError, FormatError
        As `look_at_stack`; and if the section is not there yet, or not any more.
    """
    try:
        with path.open("rb") as file:
            stack = _look(path, file)
            file.seek(stack.offset_bytes + section * stack.section_bytes)
            # Of one that is not there, a broken header may make any number of bytes.
            raw = file.read(stack.section_bytes) if section < stack.whole else b""
    except OSError as error:
        raise _unreadable(path, error) from error
    if len(raw) < stack.section_bytes:
        raise FormatError(
            f"{path}: section {section} is not whole; the file holds {stack.whole} whole ones.",
            "Wait until it is written, or copy it again.",
        )
    pixels = np.frombuffer(raw, stack.dtype).reshape(stack.shape_yx)
    return pixels.astype(stack.dtype.newbyteorder("="), copy=False), stack


def _look(path: Path, file: BinaryIO) -> GrowingStack:
    size = size_of(path, "an MRC file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FormatWarning)  # what is odd about it is told when it is processed
        header, order = _read_header(path, file.read(HEADER_BYTES), size)
        pixel_A = _pixel_A(path, header, ())
    dtype = _dtype(path, header, order)
    rows, columns = int(header["ny"]), int(header["nx"])
    offset = HEADER_BYTES + max(0, int(header["nsymbt"]))
    whole = max(0, size - offset) // (rows * columns * dtype.itemsize)
    return GrowingStack((rows, columns), dtype, offset, int(header["nz"]), whole, pixel_A)


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: cannot be read ({error.strerror or error}).", "Check the path and its permissions.")
