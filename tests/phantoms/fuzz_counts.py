"""Counts, sizes and offsets in binary files, found and set to what a reader must not believe."""

import re
import struct
from collections.abc import Iterator

import numpy as np

_HEADER_BYTES = 1024  # of MRC; those of TIFF and of IMOD's models are found by their structure
_LARGEST_COUNT = 1 << 20
_CHUNK = re.compile(rb"[A-Z]{4}")  # of IMOD's models: a name of four letters, then a size
_FEW = 400  # fields of a file: a movie of a thousand pages has no need of more

Field = tuple[int, str]
"""Where a number stands, and how `struct` has it."""


def count_fields(data: bytes) -> list[Field]:
    """Return where the counts of a binary file stand; of other files, none."""
    if b"\0" not in data[: 2 * _HEADER_BYTES]:
        return []
    if data[:4] in (b"II*\0", b"II+\0", b"MM\0*", b"MM\0+"):
        return list(_of_tiff(data))
    places = [*range(0, min(len(data) - 3, _HEADER_BYTES), 4), *(found.end() for found in _CHUNK.finditer(data))]
    found = [(at, order) for at in places[:_HEADER_BYTES] for order in ("<i", ">i") if _is_count(data, at, order)]
    # SerialEM's two shorts for the layout of a section of the extended header.
    return [*found, (128, "<h"), (130, "<h"), (96, "<i"), (92, "<i")] if len(data) > _HEADER_BYTES else found


def with_count(data: bytes, draw: np.random.Generator) -> bytes:
    """Return a binary file with one of its counts changed: to none, too many, negative, or one off."""
    fields = count_fields(data)
    if not fields:
        return data
    at, code = fields[draw.integers(len(fields))]
    (value,) = struct.unpack_from(code, data, at)
    bits = 8 * struct.calcsize(code)
    values = [0, -1, (1 << (bits - 1)) - 1, 1 << min(24, bits - 1), value + 1, value - 1, 2 * value, 1 << 31]
    wanted = int(values[draw.integers(len(values))]) % (1 << bits)
    changed = bytearray(data)
    struct.pack_into(code.upper(), changed, at, wanted)
    return bytes(changed)


def _is_count(data: bytes, at: int, code: str) -> bool:
    return at + 4 <= len(data) and 0 < struct.unpack_from(code, data, at)[0] < _LARGEST_COUNT


def _of_tiff(data: bytes) -> Iterator[Field]:
    """Give, of each page: the number of its tags, their types, counts and values, and the offset of the next."""
    order = "<" if data[:2] == b"II" else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")
    number, offset, entry = (f"{order}Q", f"{order}Q", 20) if is_big else (f"{order}H", f"{order}I", 12)
    wide = struct.calcsize(offset)
    link = 8 if is_big else 4
    seen: set[int] = set()
    while link + wide <= len(data) and len(seen) < _FEW // 10:
        yield link, offset
        (at,) = struct.unpack_from(offset, data, link)
        if not at or at in seen or at + struct.calcsize(number) > len(data):
            return
        seen.add(at)
        yield at, number
        (tags,) = struct.unpack_from(number, data, at)
        first = at + struct.calcsize(number)
        for i in range(min(tags, 40)):
            place = first + i * entry
            if place + entry > len(data):
                return
            yield place + 2, f"{order}H"
            yield place + 4, offset
            yield place + 4 + wide, offset
        link = first + tags * entry
