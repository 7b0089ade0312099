"""IMOD's binary models (.mod, .fid), both ways: objects, their contours, and the points of these.

A file is big-endian: a header of 240 bytes, for each object its own header, and for each contour a header and its
points; chunks of other kinds stand between and are skipped by the size that they state
(https://bio3d.colorado.edu/imod/doc/binspec.html). Points are x, y, z in IMOD's coordinates, as stored: x and y are
half a pixel larger than array indices, z is the section counted from 0.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucentric.core import FormatError, InputError, whole_or_nothing
from eucentric.io._text import size_of, warn_format

Points = NDArray[np.float32]

_KIND = "an IMOD model"
_MAGIC, _VERSION = b"IMOD", b"V1.2"
_HEADER = struct.Struct(">128s 3i i I 4i 6f 5i f 2i 3f")
_OBJECT = struct.Struct(">64s 64s i I 2i 3f i 8B 2i")
_CONTOUR = struct.Struct(">i I 2i")
_MESH = struct.Struct(">2i I 2h")
_SIZE = struct.Struct(">i")
_MAX_BYTES = 1 << 29  # the largest models, of meshed surfaces, have a tenth of it
_MAX_SIDE = 1 << 24

# What 3dmod itself writes in models of today: materials and clip planes in their newer form, tilts known.
_MODEL_FLAGS = 0xF600
OPEN_CONTOURS = 1 << 3
"""The flag of an object whose contours are open lines, such as the tracks of beads, and not outlines."""


@dataclass(frozen=True)
class ImodObject:
    """One object: its name, flags and colour (red, green, blue, 0 to 1), and its contours, each (n, 3) xyz."""

    contours: tuple[Points, ...]
    name: str = ""
    flags: int = OPEN_CONTOURS
    colour: tuple[float, float, float] = (0.0, 1.0, 0.0)


@dataclass(frozen=True)
class ImodModel:
    """A model of an image of `size_xyz` pixels, and its objects; `pixel_A` is their size in Å where it is known."""

    objects: tuple[ImodObject, ...]
    size_xyz: tuple[int, int, int]
    name: str = ""
    pixel_A: float | None = None


_UNIT_A = {-3: 1e7, -6: 1e4, -9: 10.0, -10: 1.0}  # units are powers of ten of a metre


def is_imod_model(path: Path) -> bool:
    """Return whether a file begins as a binary IMOD model does.

    Raises
    ------
    InputError
        If the file cannot be opened.
    """
    try:
        with Path(path).open("rb") as file:
            return file.read(4) == _MAGIC
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).", "Check the path.") from error


def read_imod_model(path: Path) -> ImodModel:
    """Read the objects, contours and points of a model; meshes and everything else are left out.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is not a binary model of version 1.2, or breaks off.

    Warns
    -----
    FormatWarning
        `no-end`: the mark at the end is missing; `counts`: there are more or fewer objects or contours than stated.
    """
    path = Path(path)
    if size_of(path, _KIND) > _MAX_BYTES:
        raise FormatError(f"{path}: too large to be {_KIND}.", "Name the right file.")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).", "Check its permissions.") from error
    if raw[:4] != _MAGIC:
        raise FormatError(f"{path}: this is not {_KIND}.", "Name a .mod or .fid file that IMOD wrote.")
    if raw[4:8] != _VERSION:
        version = raw[4:8].decode("ascii", errors="replace")
        raise FormatError(f"{path}: version {version!r} of an IMOD model is not known.", "Save it again with 3dmod.")
    return _Reader(path, raw).model()


class _Reader:
    """Walks through the chunks; whatever a file says of its sizes, no more is taken than there are bytes."""

    def __init__(self, path: Path, raw: bytes) -> None:
        self._path = path
        self._raw = raw
        self._at = 8

    def model(self) -> ImodModel:
        header = self._unpack(_HEADER, "the header")
        name, size, stated = _text(header[0]), header[1:4], int(header[4])
        if not all(0 <= side < _MAX_SIDE for side in size):
            raise self._broken("the size of its image is none")
        pixel, units = float(header[21]), int(header[22])
        objects: list[tuple[tuple[Any, ...], list[Points]]] = []
        ended = False
        while self._at < len(self._raw):
            kind = self._take(4, "the name of a chunk")
            if kind == b"IEOF":
                ended = True
                break
            if kind == b"OBJT":
                objects.append((self._unpack(_OBJECT, "an object"), []))
            elif kind == b"CONT":
                points = self._contour()
                if not objects:
                    raise self._broken("a contour stands before any object")
                objects[-1][1].append(points)
            elif kind == b"MESH":
                vertices, indices, *_ = self._unpack(_MESH, "a mesh")
                self._skip(12 * self._count(vertices) + 4 * self._count(indices), "a mesh")
            else:
                self._skip(self._count(self._unpack(_SIZE, "a chunk")[0]), "a chunk")
        if not ended:
            warn_format(self._path, "no-end", "the mark at the end of the model is missing; all before it was read.")
        amiss = len(objects) != stated or any(len(contours) != head[2] for head, contours in objects)
        if amiss:
            warn_format(self._path, "counts", "it does not hold as many objects or contours as it says.")
        return ImodModel(
            objects=tuple(_object(head, contours) for head, contours in objects),
            size_xyz=(int(size[0]), int(size[1]), int(size[2])),
            name=name,
            pixel_A=pixel * _UNIT_A[units] if units in _UNIT_A and 0 < pixel < 1e9 else None,
        )

    def _contour(self) -> Points:
        count = self._count(self._unpack(_CONTOUR, "a contour")[0])
        points = np.frombuffer(self._take(12 * count, "a contour"), dtype=">f4").reshape(count, 3).astype(np.float32)
        if not np.isfinite(points).all():
            raise self._broken("a point is not a number")
        return points

    def _count(self, value: Any) -> int:
        count = int(value)
        if not 0 <= count <= len(self._raw):
            raise self._broken(f"a count is {count}")
        return count

    def _unpack(self, layout: struct.Struct, what: str) -> tuple[Any, ...]:
        return layout.unpack(self._take(layout.size, what))

    def _take(self, size: int, what: str) -> bytes:
        self._skip(size, what)
        return self._raw[self._at - size : self._at]

    def _skip(self, size: int, what: str) -> None:
        if self._at + size > len(self._raw):
            raise self._broken(f"it breaks off within {what}")
        self._at += size

    def _broken(self, what: str) -> FormatError:
        return FormatError(
            f"{self._path}: {what}, near byte {self._at}.", "Copy it again, or save it again with 3dmod."
        )


def write_imod_model(path: Path, model: ImodModel) -> None:
    """Write a model that IMOD reads, with the points exactly as given.

    Raises
    ------
    ValueError
        If a contour is not (n, 3) finite points.
    OutputError
        If the file cannot be written; nothing is left of it.
    """
    contours = [contour for one in model.objects for contour in one.contours]
    for contour in contours:
        if contour.ndim != 2 or contour.shape[1] != 3 or not np.isfinite(contour).all():
            raise ValueError(f"a contour of shape {contour.shape} is not (n, 3) finite points")
    pixel, units = (model.pixel_A / 10, -9) if model.pixel_A else (1.0, 0)
    parts = [_MAGIC + _VERSION]
    parts.append(
        _HEADER.pack(
            _bytes(model.name, 128),
            *model.size_xyz,
            len(model.objects),
            _MODEL_FLAGS,
            *(1, 1, 0, 255),  # drawn, edited; black and white
            *(0.0, 0.0, 0.0, 1.0, 1.0, 1.0),  # offset, scale
            *(0, 0, 0, 3, 128),  # what is chosen, resolution, threshold
            pixel,
            *(units, 0),
            *(0.0, 0.0, 0.0),
        )
    )
    for one in model.objects:
        parts.append(b"OBJT")
        parts.append(
            _OBJECT.pack(
                _bytes(one.name, 64),
                bytes(64),
                len(one.contours),
                one.flags,
                *(0, 1),  # axis, drawn
                *one.colour,
                0,
                *(0, 3, 1, 1, 0, 0, 0, 0),  # a circle of 3 pixels at each point, lines one pixel wide
                *(0, 0),
            )
        )
        for contour in one.contours:
            parts.append(b"CONT" + _CONTOUR.pack(len(contour), 0, 0, 0))
            parts.append(np.ascontiguousarray(contour, dtype=">f4").tobytes())
    parts.append(b"IEOF")
    with whole_or_nothing(Path(path)) as partial:
        partial.write_bytes(b"".join(parts))


def _object(head: tuple[Any, ...], contours: list[Points]) -> ImodObject:
    red, green, blue = (float(value) for value in head[6:9])
    return ImodObject(contours=tuple(contours), name=_text(head[0]), flags=int(head[3]), colour=(red, green, blue))


def _text(raw: bytes) -> str:
    """Return the text of a fixed field: up to its first zero, as what follows was never cleared."""
    return raw.split(b"\0")[0].decode("utf-8", errors="replace")


def _bytes(text: str, size: int) -> bytes:
    raw = text.encode("utf-8")[: size - 1]
    return raw.decode("utf-8", errors="ignore").encode("utf-8")
