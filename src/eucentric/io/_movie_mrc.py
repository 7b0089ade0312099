"""Frames in MRC: a memory-mapped stack, or one of 4-bit counts as SerialEM and IMOD write it (mode 101)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucentric.core import InputError
from eucentric.io._text import size_of
from eucentric.io.mrc import HEADER_BYTES, _extended_bytes, _pixel_A, _read_header

_PACKED_MODE = 101


@dataclass(frozen=True, eq=False)
class MrcFrames:
    """The frames of an MRC stack; where they are `packed`, two counts in each byte for so many columns."""

    data: NDArray[Any]
    columns: int
    packed: bool = False

    @contextmanager
    def opened(self) -> Iterator[Callable[[int], NDArray[Any]]]:
        """Give what reads a frame by its number."""
        yield self._read

    def _read(self, frame: int) -> NDArray[Any]:
        section = self.data[frame]
        if not self.packed:
            return np.array(section, dtype=section.dtype.newbyteorder("="))
        # IMOD's mrc_format.txt: the left pixel of two is in the low half; every row starts with a new byte.
        image = np.empty((len(section), 2 * section.shape[1]), np.uint8)
        np.bitwise_and(section, 15, out=image[:, 0::2])
        np.right_shift(section, 4, out=image[:, 1::2])
        return image if image.shape[1] == self.columns else np.ascontiguousarray(image[:, : self.columns])


def open_packed(path: Path) -> tuple[MrcFrames, float | None] | None:
    """Open an MRC stack of 4-bit counts and return its pixel size too; None if it holds something else.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is no MRC file, or holds fewer sections than its header promises.

    Warns
    -----
    FormatWarning
        As `open_mrc` does, of a file of this mode.
    """
    size = size_of(path, "a movie")
    try:
        with path.open("rb") as file:
            raw = file.read(HEADER_BYTES)
        mode = {int.from_bytes(raw[12:16], order, signed=True) for order in ("little", "big")}
        if _PACKED_MODE not in mode:
            return None
        header, _ = _read_header(path, raw, size)
        if int(header["mode"]) != _PACKED_MODE:
            return None
        n, n_y, n_x = (int(header[side]) for side in ("nz", "ny", "nx"))
        row_bytes = (n_x + 1) // 2
        extended = _extended_bytes(path, int(header["nsymbt"]), n, n_y * row_bytes, size)
        data = np.memmap(path, np.uint8, mode="r", offset=HEADER_BYTES + extended, shape=(n, n_y, row_bytes))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).", "Check its permissions.") from error
    return MrcFrames(data, n_x, packed=True), _pixel_A(path, header, ())
