"""Reading MRC files: memory-mapped, tolerant of old and careless writers, and loud about each liberty taken."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import mrcfile.dtypes
import numpy as np
from numpy.typing import NDArray

from eucentric.core import FormatError, InputError
from eucentric.io._mrc_sections import HeaderKind, SectionHeader, read_sections
from eucentric.io._text import size_of, warn_format

Header = np.ndarray[Any, np.dtype[np.void]]

HEADER_BYTES = 1024
_DTYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
_REFUSED = {
    3: "complex 16-bit transforms",
    4: "complex transforms",
    16: "RGB images",
    101: "4-bit packed images",
}
_MAX_SIDE = 1 << 20  # pixels; a larger nx, ny or nz is not a size but some other kind of file, or bytes swapped
_MAX_EXTENDED = 64 << 20  # bytes parsed; the largest layout has 888 a section
_IMOD_STAMP = 1146047817  # at byte 152: IMOD wrote this header, and bit 0 of the flags after it means signed bytes
_PIXEL_RANGE_A = (0.01, 1e6)  # a tenth of what TEM resolves, to a millimetre-wide overview: beyond it, a mistake
_COMPRESSED = {b"\x1f\x8b": "gunzip", b"BZ": "bunzip2", b"\xfd7": "unxz", b"PK": "unzip"}


@dataclass(frozen=True)
class MrcImage:
    """An MRC file: its pixels, memory-mapped, and what its header says.

    Attributes
    ----------
    path
        The file.
    data
        Read-only, shape (n, y, x), in the byte order of the file (convert a section with `numpy.asarray` and a
        dtype before compiled code sees it).
    mode
        The MRC mode of the file.
    pixel_A
        None where the header has none, or one that cannot be.
    header_kind
        Layout of the extended header.
    sections
        What that says of each section; empty where it says nothing.
    """

    path: Path
    data: NDArray[Any]
    mode: int
    pixel_A: float | None
    header_kind: HeaderKind
    sections: tuple[SectionHeader, ...]

    @property
    def tilts_deg(self) -> tuple[float, ...] | None:
        """Tilt angles of the extended header, or None where it has none that can be believed."""
        tilts = tuple(section.tilt_deg for section in self.sections if section.tilt_deg is not None)
        return tilts if len(tilts) == len(self.data) else None


def open_mrc(path: Path) -> MrcImage:
    """Open the MRC file `path` without reading its pixels.

    Returns
    -------
    MrcImage
        Modes 0 (signed, or unsigned where IMOD's stamp says so), 1, 2, 6 and 12, either byte order.

    Raises
    ------
    InputError
        If there is no such file, or it cannot be opened.
    FormatError
        If it is no MRC file, of a mode that is not images, or holds fewer sections than its header promises.

    Warns
    -----
    FormatWarning
        `no-map-id`, `machine-stamp`, `axis-order`, `extended-header-size`, `extended-header-tilts`, `pixel-size`
        or `trailing-bytes`: the file departs from MRC2014 (https://doi.org/10.1016/j.jsb.2015.04.002).
    """
    path = Path(path)
    size = size_of(path, "an MRC file")
    try:
        with path.open("rb") as file:
            header, order = _read_header(path, file.read(HEADER_BYTES), size)
            mode, dtype = int(header["mode"]), _dtype(path, header, order)
            n, ny, nx = (int(header[side]) for side in ("nz", "ny", "nx"))
            extended = _extended_bytes(path, int(header["nsymbt"]), n, ny * nx * dtype.itemsize, size)
            kind, sections, complaint = read_sections(header, file.read(min(extended, _MAX_EXTENDED)), n, order)
        if complaint:
            warn_format(path, "extended-header-tilts", f"the extended header is not believed: {complaint}.")
        data = np.memmap(path, dtype, mode="r", offset=HEADER_BYTES + extended, shape=(n, ny, nx))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).", "Check its permissions.") from error
    return MrcImage(path, data, mode, _pixel_A(path, header, sections), kind, sections)


def _read_header(path: Path, raw: bytes, size: int) -> tuple[Header, Literal["<", ">"]]:
    """Parse the main header in the byte order in which its sizes make sense, whatever its machine stamp says."""
    if raw[:2] in _COMPRESSED:
        tool = _COMPRESSED[raw[:2]]
        raise FormatError(f"{path}: the file is compressed.", f"Unpack it first, for example with {tool}.")
    if len(raw) < HEADER_BYTES:
        raise FormatError(f"{path}: {size} bytes; an MRC header alone has {HEADER_BYTES}.", "Name another file.")
    readings: list[tuple[Header, Literal["<", ">"]]] = []
    for order in ("<", ">"):
        header = np.frombuffer(raw, mrcfile.dtypes.HEADER_DTYPE.newbyteorder(order))[0]
        if _is_plausible(header):
            readings.append((header, order))
    if not readings:
        sides = "? x ? x ?" if raw.isascii() else " x ".join(str(v) for v in np.frombuffer(raw[:12], "<i4"))
        raise FormatError(f"{path}: not an MRC file (its size would be {sides} pixels).", "Name another file.")
    # Both orders make sense only for sizes like 256 x 65536; the stamp decides then.
    stamped = ">" if raw[212] == 0x11 else "<"
    header, order = next((reading for reading in readings if reading[1] == stamped), readings[0])
    if bytes(header["map"]) != b"MAP ":
        warn_format(path, "no-map-id", "the header has no MAP identifier; its sizes make sense, so it was read as MRC.")
    if (stamped if raw[212] in (0x11, 0x44) else "") != order:
        endian = "little" if order == "<" else "big"
        warn_format(path, "machine-stamp", f"the machine stamp is {raw[212:214].hex()}; read as {endian}-endian.")
    axes = [int(header[name]) for name in ("mapc", "mapr", "maps")]
    if axes not in ([1, 2, 3], [0, 0, 0]):
        warn_format(path, "axis-order", f"the axis order {axes} was ignored: columns are x, rows y, sections z.")
    return header, order


def _is_plausible(header: Header) -> bool:
    sides = [int(header[side]) for side in ("nx", "ny", "nz")]
    return all(1 <= side <= _MAX_SIDE for side in sides) and int(header["mode"]) in {*_DTYPES, *_REFUSED}


def _dtype(path: Path, header: Header, order: str) -> np.dtype[Any]:
    mode = int(header["mode"])
    if mode in _REFUSED:
        raise FormatError(
            f"{path}: mode {mode} holds {_REFUSED[mode]}, which are not read.", "Convert it to mode 1 or 2."
        )
    stamp, flags = (int(v) for v in np.frombuffer(header["extra2"].tobytes()[40:48], f"{order}i4"))
    if mode == 0 and stamp == _IMOD_STAMP and not flags & 1:
        return np.dtype("u1")
    return np.dtype(order + _DTYPES[mode])


def _extended_bytes(path: Path, declared: int, n: int, section_bytes: int, size: int) -> int:
    """Return how many bytes the extended header has, having held the promised sections against the file's size."""
    pixels = n * section_bytes
    room = size - HEADER_BYTES - pixels
    if declared < 0 or (declared > room >= 0):
        warn_format(
            path,
            "extended-header-size",
            f"the header declares an extended header of {declared} bytes; {max(room, 0)} were read as such.",
        )
        declared = max(room, 0)
    if declared > room:
        whole = max(0, size - HEADER_BYTES - declared) // section_bytes
        raise FormatError(
            f"{path}: the header promises {n} sections, the file holds {whole} whole ones.",
            "Copy it again, or wait until it is written; nothing was read.",
        )
    if declared < room:
        warn_format(path, "trailing-bytes", f"{room - declared} bytes after the last section were ignored.")
    return declared


def _pixel_A(path: Path, header: Header, sections: tuple[SectionHeader, ...]) -> float | None:
    """Return the pixel size of the main header, else of the extended header, else None with a warning."""
    cell, grid = header["cella"], [int(header["mx"]), int(header["my"])]
    x, y = (float(cell[axis]) / n if n > 0 else math.nan for axis, n in zip("xy", grid, strict=True))
    # Programs older than MRC2014 fill in a cell as large as the grid where they do not know the pixel size.
    unset = x == y == 1.0 and int(header["nversion"]) not in (20140, 20141)
    if _can_be(x) and math.isclose(x, y, rel_tol=0.01) and not unset:
        return x
    said = f"{x:g} x {y:g} Å" + (", which old programs write for unknown" if unset else "")
    if sections and (other := sections[0].pixel_A) is not None and _can_be(other):
        warn_format(path, "pixel-size", f"the header's pixel is {said}; the extended header's {other:g} Å was taken.")
        return other
    warn_format(path, "pixel-size", f"the header's pixel is {said}; taken as not given.")
    return None


def _can_be(pixel_A: float) -> bool:
    return math.isfinite(pixel_A) and _PIXEL_RANGE_A[0] <= pixel_A <= _PIXEL_RANGE_A[1]
