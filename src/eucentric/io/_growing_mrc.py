"""The .mrc of a stack that grows image by image, with the extended header that SerialEM gives its own.

The main header tells how many sections there are and is written last, so that a program killed at any moment leaves
the sections before. Layout of the extended header: IMOD's description
(https://bio3d.colorado.edu/imod/doc/mrc_format.txt).
"""

import functools
import math
import os
import shutil
import struct
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import mrcfile.dtypes
import numpy as np
from numpy.typing import NDArray

from eucentric.core import FormatWarning, InputError, OutputError, whole_or_nothing
from eucentric.io.mdoc_writer import MdocImage
from eucentric.io.mrc import HEADER_BYTES, Header, MrcImage, open_mrc
from eucentric.io.mrc_writer import write_mrc

DATA_MODES: dict[str, Literal[1, 2, 6]] = {"int16": 1, "float32": 2, "uint16": 6}
"""The MRC modes of new stacks, by the names of their number types."""

_HEADER_DTYPE = mrcfile.dtypes.HEADER_DTYPE.newbyteorder("<")
_FLAGS = 1 | 4 | 8 | 16 | 32  # tilt, stage, magnification, intensity, exposure: what SerialEM has of single images
_BLOCK_BYTES = 14
_ROOM = 1024  # sections, for which a new file keeps its extended header's room; more than any tilt series
_A_PER_UM = 1e4
_COPIED_BYTES = 1 << 24
_FREE = "Free some space, or make the file writable, and save the image again."


def look(path: Path) -> MrcImage:
    """Open the .mrc as it is now; what is odd about it was told when it was opened."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FormatWarning)
        return open_mrc(path)


def fit(path: Path, pixels: NDArray[Any], there: MrcImage | None) -> NDArray[Any]:
    """Return pixels in the number type of the stack, or of a new one, having refused what it cannot hold."""
    dtype = there.data.dtype if there else pixels.dtype
    if there is None and pixels.dtype.name not in DATA_MODES:
        raise InputError(f"{path}: {pixels.dtype} is no type of SerialEM's images.", "Save int16, uint16 or float32.")
    if pixels.ndim != 2 or 0 in pixels.shape or (there and pixels.shape != there.data.shape[1:]):
        wanted = f"{there.data.shape[1:]} as those before it" if there else "(y, x)"
        raise InputError(
            f"{path}: the image has {pixels.shape} pixels, not {wanted}; it was not saved.",
            "Save it to a stack of its own.",
        )
    if pixels.dtype.kind not in "iuf" or (pixels.dtype.kind == "f" and not np.isfinite(pixels).all()):
        raise InputError(f"{path}: the image holds pixels that are not finite numbers; it was not saved.")
    with np.errstate(over="ignore", invalid="ignore"):
        fitting = pixels.astype(dtype, copy=False)
    held = np.isfinite(fitting).all() if dtype.kind == "f" else np.array_equal(fitting, pixels)
    if not held:
        raise InputError(
            f"{path}: the stack holds {dtype.name}, which some pixels of this image do not fit; it was not saved.",
            "Scale or round them, or save to a stack of its own.",
        )
    return fitting


def begin(path: Path, pixels: NDArray[Any], image: MdocImage, titles: list[str]) -> None:
    """Write a stack of one image, with room for the extended header of many."""
    with whole_or_nothing(path) as partial:
        write_mrc(partial, pixels[np.newaxis], image.pixel_A, kind="stack", label=titles[0])
        raw = partial.read_bytes()
        header = np.frombuffer(raw[:HEADER_BYTES], _HEADER_DTYPE).reshape(()).copy()
        header["exttyp"], header["nsymbt"] = b"SERI", _ROOM * _BLOCK_BYTES
        extra = header["extra2"].tobytes()  # from byte 112 of the file
        header["extra2"] = np.void(extra[:16] + struct.pack("<hh", _BLOCK_BYTES, _FLAGS) + extra[20:])
        header["nlabl"] = len(titles)
        header["label"][: len(titles)] = [title.encode("ascii") for title in titles]
        extended = _block(image, _FLAGS, "<").ljust(_ROOM * _BLOCK_BYTES, b"\0")
        partial.write_bytes(header.tobytes() + extended + raw[HEADER_BYTES:])


def append(path: Path, pixels: NDArray[Any], image: MdocImage, there: MrcImage) -> int:
    """Add an image to a file: its pixels, its block of the extended header, and last the header that counts it in."""
    number, (rows, columns) = len(there.data), there.data.shape[1:]
    try:
        with path.open("r+b") as file:
            header, order = _header(file, columns, rows)
            block, at = b"", 0
            if there.header_kind == "SERI":
                size, flags = struct.unpack(f"{order}hh", header["extra2"].tobytes()[16:20])
                block, at = _block(image, flags, order), number * size
        room = int(getattr(there.data, "offset", HEADER_BYTES)) - HEADER_BYTES  # header's word for it can be wrong
        if at + len(block) > room:
            room = _make_room(path, header, room)
        header["nsymbt"] = room
        _count_in(header, there, pixels)
        with path.open("r+b") as file:
            end = HEADER_BYTES + room + number * pixels.nbytes
            file.truncate(end)  # a program killed here may have left part of an image
            file.seek(end)
            try:
                file.write(np.ascontiguousarray(pixels).data)
                file.flush()
            except OSError:
                with suppress(OSError):
                    file.truncate(end)
                raise
            file.seek(HEADER_BYTES + at)
            file.write(block)
            file.flush()
            os.fsync(file.fileno())  # or the count might reach the disk before the image
            file.seek(0)
            file.write(header.tobytes())
    except OSError as error:
        why = error.strerror or error
        raise OutputError(f"{path}: image {number} could not be saved ({why}); those before stand.", _FREE) from error
    return number


def _header(file: BinaryIO, columns: int, rows: int) -> tuple[Header, Literal["<", ">"]]:
    """Read the main header in the byte order in which it has these sizes, and tell the order."""
    raw = file.read(HEADER_BYTES)
    order: Literal["<", ">"] = "<" if struct.unpack("<2i", raw[:8]) == (columns, rows) else ">"
    header: Header = np.frombuffer(raw, mrcfile.dtypes.HEADER_DTYPE.newbyteorder(order)).reshape(()).copy()
    return header, order


def _make_room(path: Path, header: Header, room: int) -> int:
    """Write the file anew with twice the `room` (bytes) for its extended header, or what a new file has."""
    wider = max(2 * room, _ROOM * _BLOCK_BYTES)
    header["nsymbt"] = wider
    with whole_or_nothing(path) as partial, path.open("rb") as source, partial.open("wb") as target:
        source.seek(HEADER_BYTES)
        target.write(header.tobytes() + source.read(room).ljust(wider, b"\0"))
        shutil.copyfileobj(source, target, _COPIED_BYTES)
    return wider


def _block(image: MdocImage, flags: int, order: str) -> bytes:
    """Return what the extended header says of an image: shorts, in the order of the flags."""
    stage_um = [25 * xy / _A_PER_UM for xy in image.stage_xy_A or (0, 0)]
    fields: dict[int, Sequence[float]] = {
        1: [image.tilt_deg * 100],
        2: [0, 0, 0],  # coordinates of a montage's piece
        4: stage_um,
        8: [(image.magnification or 0) / 100],
        16: [(image.intensity or 0) * 25000],
        32: _two_shorts(image.exposure_e_A2),
    }
    shorts = [min(max(round(value), -32768), 32767) for flag in fields if flags & flag for value in fields[flag]]
    return struct.pack(f"{order}{len(shorts)}h", *shorts)


def _two_shorts(value: float) -> tuple[int, int]:
    """Pack a positive number as IMOD does: 23 bits of mantissa, and a signed exponent in the second short."""
    fraction, exponent = math.frexp(value)
    mantissa, exponent = round(math.ldexp(fraction, 23)), exponent - 23
    if mantissa == 1 << 23:
        mantissa, exponent = mantissa >> 1, exponent + 1
    second = abs(exponent) * 256 + mantissa % 256
    return mantissa // 256, second if exponent >= 0 else -second


def _count_in(header: Header, there: MrcImage, pixels: NDArray[Any]) -> None:
    """Count one more section in a main header, with its pixels in the statistics."""
    n, depth = len(there.data), int(header["mz"])
    header["nz"] = n + 1
    if depth == n and (n > 1 or int(header["ispg"])):  # a program that counts sections as slices of a volume
        header["cella"]["z"] *= (n + 1) / n
        header["mz"] = n + 1
    low, high, mean, rms = (float(header[name]) for name in ("dmin", "dmax", "dmean", "rms"))
    old = _Statistics(low, high, mean, rms**2, there.data.size)
    if not (low <= mean <= high and (rms > 0 or low == high)):  # not set, or not by MRC2014
        old = functools.reduce(_Statistics.merged, map(_statistics, there.data))
    new = old.merged(_statistics(pixels))
    header["dmin"], header["dmax"], header["dmean"], header["rms"] = (
        new.low,
        new.high,
        new.mean,
        math.sqrt(new.variance),
    )


@dataclass(frozen=True)
class _Statistics:
    low: float
    high: float
    mean: float
    variance: float
    count: int

    def merged(self, other: "_Statistics") -> "_Statistics":
        """Return those of both parts (Chan, Golub & LeVeque, 1983)."""
        count, apart = self.count + other.count, other.mean - self.mean
        share = other.count / count
        variance = self.variance * (1 - share) + other.variance * share + apart**2 * share * (1 - share)
        return _Statistics(
            min(self.low, other.low), max(self.high, other.high), self.mean + apart * share, variance, count
        )


def _statistics(pixels: NDArray[Any]) -> _Statistics:
    mean, variance = float(pixels.mean(dtype=np.float64)), float(pixels.var(dtype=np.float64))
    return _Statistics(float(pixels.min()), float(pixels.max()), mean, variance, pixels.size)
