"""The one writer of MRC files: strict, streaming, whole or not at all, the same bytes for the same input."""

import math
from pathlib import Path
from typing import Any, BinaryIO, Literal

import mrcfile.constants
import mrcfile.dtypes
import mrcfile.utils
import numpy as np
from numpy.typing import NDArray

from eucentric.core import InputError, whole_or_nothing

_CHUNK_BYTES = 32 << 20
_MODES = {"int8": 0, "int16": 1, "float32": 2, "uint16": 6, "float16": 12}


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
    if data.dtype.name not in _MODES:
        raise InputError(f"{path}: {data.dtype} cannot be written to MRC.", f"Convert to one of {', '.join(_MODES)}.")
    if not (math.isfinite(pixel_A) and pixel_A > 0):
        raise InputError(f"{path}: {pixel_A} Å is no pixel size.")
    if not label.strip() or len(label) > 80 or not label.isascii():
        raise InputError(f"{path}: an MRC label has 1 to 80 ASCII characters, not {label!r}.")
    header = _header(data, pixel_A, kind, label)
    with whole_or_nothing(path) as partial, partial.open("wb") as file:
        file.write(header.tobytes())
        _write_pixels(path, file, data, header)
        file.seek(0)
        file.write(header.tobytes())  # again, now that the statistics are known


def _header(data: NDArray[Any], pixel_A: float, kind: str, label: str) -> np.ndarray[Any, np.dtype[np.void]]:
    n, ny, nx = data.shape
    header = np.zeros((), mrcfile.dtypes.HEADER_DTYPE.newbyteorder("<"))
    header["nx"], header["ny"], header["nz"] = nx, ny, n
    header["mode"] = _MODES[data.dtype.name]
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


def _write_pixels(path: Path, file: BinaryIO, data: NDArray[Any], header: np.ndarray[Any, np.dtype[np.void]]) -> None:
    """Write `data` a few rows at a time, and fill in the statistics of `header`."""
    rows_at_once = max(1, _CHUNK_BYTES // (data.shape[2] * data.itemsize))
    lowest, highest, count, mean, squares = math.inf, -math.inf, 0, 0.0, 0.0
    for i, section in enumerate(data):
        for first in range(0, data.shape[1], rows_at_once):
            chunk = np.ascontiguousarray(section[first : first + rows_at_once])
            with np.errstate(invalid="ignore"):  # a sum over both infinities is NaN, and refused as such
                chunk_mean = float(chunk.mean(dtype=np.float64))
            if not math.isfinite(chunk_mean):
                raise InputError(f"{path}: section {i} holds pixels that are not finite; nothing was written.")
            file.write(chunk.astype(chunk.dtype.newbyteorder("<"), copy=False).data)
            lowest, highest = min(lowest, float(chunk.min())), max(highest, float(chunk.max()))
            # Chan, Golub & LeVeque (1983): merge the mean and sum of squares of two parts.
            apart, total = chunk_mean - mean, count + chunk.size
            squares += float(chunk.var(dtype=np.float64)) * chunk.size + apart**2 * count * chunk.size / total
            mean += apart * chunk.size / total
            count = total
    header["dmin"], header["dmax"], header["dmean"] = lowest, highest, mean
    header["rms"] = math.sqrt(squares / count)
