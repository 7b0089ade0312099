"""The one writer of MRC files: strict, streaming, whole or not at all, the same bytes for the same input."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal

import mrcfile.constants
import mrcfile.dtypes
import mrcfile.utils
import numpy as np
from numpy.typing import DTypeLike, NDArray

from eucentric.core import InputError, whole_or_nothing

_CHUNK_BYTES = 1 << 20  # stays in a processor's cache for the passes of the statistics: four times as fast as 32 MiB
_MODES = {"int8": 0, "int16": 1, "float32": 2, "uint16": 6, "float16": 12}

Header = np.ndarray[Any, np.dtype[np.void]]


def write_mrc(
    path: Path,
    data: NDArray[Any],
    pixel_A: float,
    *,
    kind: Literal["volume", "stack"],
    label: str = "Written by Eucentric",
) -> None:
    """Write `data` of shape (n, y, x) as MRC2014, little-endian, with the statistics of its pixels.

    Parameters
    ----------
    path
        The file; one already there is replaced.
    data
        int8, int16, uint16, float16 or float32, written as it is; may be a memory map larger than memory.
    pixel_A
        Pixel size (Å), the same along every axis.
    kind
        Whether the sections are slices of a volume or images of a stack.
    label
        The header's label, at most 80 ASCII characters.

    Raises
    ------
    InputError
        If the shape, type, pixel size or label cannot be written, or a pixel is not finite.
    OutputError
        If the place cannot be written to, or the disk is full.
    """
    path = Path(path)
    if data.ndim != 3 or 0 in data.shape:
        raise InputError(f"{path}: an MRC file needs sections of pixels (n, y, x), not {data.shape}.")
    rows, columns = data.shape[1:]
    with mrc_sections(path, (rows, columns), data.dtype, pixel_A, kind=kind, label=label) as append:
        for section in data:
            append(section)


@contextmanager
def mrc_sections(
    path: Path,
    shape_yx: tuple[int, int],
    dtype: DTypeLike,
    pixel_A: float,
    *,
    kind: Literal["volume", "stack"],
    label: str = "Written by Eucentric",
) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Write an MRC file section by section, as they come; it stands under its name when the body ends.

    Parameters are those of `write_mrc`. The function given appends a section (y, x); its number type is made that of
    the file. If the body fails, a file that stood there before still stands there.

    Raises
    ------
    InputError
        As `write_mrc`; and if no section was appended, or one is of another shape.
    OutputError
        If the place cannot be written to, or the disk is full.
    """
    path, dtype = Path(path), np.dtype(dtype)
    if dtype.name not in _MODES:
        raise InputError(f"{path}: {dtype} cannot be written to MRC.", f"Convert to one of {', '.join(_MODES)}.")
    if not (math.isfinite(pixel_A) and pixel_A > 0):
        raise InputError(f"{path}: {pixel_A} Å is no pixel size.")
    if not label.strip() or len(label) > 80 or not label.isascii():
        raise InputError(f"{path}: an MRC label has 1 to 80 ASCII characters, not {label!r}.")
    with whole_or_nothing(path) as partial, partial.open("wb") as file:
        writing = _Writing(path, file, dtype, shape_yx)
        file.write(bytes(mrcfile.dtypes.HEADER_DTYPE.itemsize))  # written at the end, when the statistics are known
        yield writing.append
        if not writing.sections:
            raise InputError(f"{path}: an MRC file needs at least one section; nothing was written.")
        header = _header((writing.sections, *shape_yx), dtype, pixel_A, kind, label)
        writing.tell(header)
        file.seek(0)
        file.write(header.tobytes())


def _header(shape: tuple[int, int, int], dtype: np.dtype[Any], pixel_A: float, kind: str, label: str) -> Header:
    n, ny, nx = shape
    header = np.zeros((), mrcfile.dtypes.HEADER_DTYPE.newbyteorder("<"))
    header["nx"], header["ny"], header["nz"] = nx, ny, n
    header["mode"] = _MODES[dtype.name]
    grid = (nx, ny, n if kind == "volume" else 1)
    header["mx"], header["my"], header["mz"] = grid
    header["cella"] = tuple(side * pixel_A for side in grid)
    header["cellb"] = (90, 90, 90)
    header["mapc"], header["mapr"], header["maps"] = 1, 2, 3
    header["ispg"] = (
        mrcfile.constants.VOLUME_SPACEGROUP if kind == "volume" else mrcfile.constants.IMAGE_STACK_SPACEGROUP
    )
    header["nversion"] = 20141
    header["map"] = mrcfile.constants.MAP_ID
    header["machst"] = mrcfile.utils.machine_stamp_from_byte_order("<")
    header["nlabl"] = 1
    header["label"][0] = label.encode("ascii")
    return header


class _Writing:
    """A file in the making: its sections go out a few rows at a time, and their statistics are kept."""

    def __init__(self, path: Path, file: BinaryIO, dtype: np.dtype[Any], shape_yx: tuple[int, int]) -> None:
        self._path, self._file, self._shape = path, file, shape_yx
        self._dtype = dtype.newbyteorder("<")
        self.sections = 0
        self._lowest, self._highest, self._count = math.inf, -math.inf, 0
        self._mean, self._squares = 0.0, 0.0

    def append(self, section: NDArray[Any]) -> None:
        """Write one section."""
        if section.shape != self._shape:
            raise InputError(
                f"{self._path}: section {self.sections} has {section.shape} pixels, the file {self._shape}; "
                "nothing was written."
            )
        rows_at_once = max(1, _CHUNK_BYTES // (self._shape[1] * self._dtype.itemsize))
        for first in range(0, self._shape[0], rows_at_once):
            chunk = np.ascontiguousarray(section[first : first + rows_at_once], dtype=self._dtype)
            with np.errstate(invalid="ignore"):  # a sum over both infinities is NaN, and refused as such
                mean = float(chunk.mean(dtype=np.float64))
            if not math.isfinite(mean):
                where = f"section {self.sections}"
                raise InputError(f"{self._path}: {where} holds pixels that are not finite; nothing was written.")
            self._file.write(chunk.data)
            self._lowest, self._highest = min(self._lowest, float(chunk.min())), max(self._highest, float(chunk.max()))
            # Chan, Golub & LeVeque (1983): merge the mean and sum of squares of two parts.
            apart, total = mean - self._mean, self._count + chunk.size
            self._squares += float(chunk.var(dtype=np.float64)) * chunk.size
            self._squares += apart**2 * self._count * chunk.size / total
            self._mean += apart * chunk.size / total
            self._count = total
        self.sections += 1

    def tell(self, header: Header) -> None:
        """Fill in the statistics of a header."""
        header["dmin"], header["dmax"], header["dmean"] = self._lowest, self._highest, self._mean
        header["rms"] = math.sqrt(self._squares / self._count)
