"""The pages of a TIFF file, each looked at before it is trusted."""

import math
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from eucentric.core import EucentricError, FormatError, InputError

A_PER_CM = 1e8
PIXEL_RANGE_A = (0.01, 1e4)  # IMOD too takes pixels above 1 µm for the resolution of a printer
_UNIT_A = {2: 2.54 * A_PER_CM, 3: A_PER_CM}  # TIFF's resolution units: inch, centimetre
_MAX_PACKING = 50_000  # LZW packs at most some 1400-fold, deflate 1032-fold, zstd 33,000-fold: beyond it, a lie


@contextmanager
def named(path: Path, what: str) -> Iterator[None]:
    """Turn whatever a decoder raises into an error that names the file and the frame."""
    try:
        yield
    except EucentricError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).", "Check the disk.") from error
    except Exception as error:  # tifffile and the codecs raise many kinds for damaged files, and promise none
        raise FormatError(f"{path}: {what} ({error}).", "Copy it again from its source.") from error


@contextmanager
def opened_tiff(path: Path, *, tolerant: bool = False) -> Iterator[tuple[Any, int, str]]:
    """Open a TIFF file and count its pages, having made sure that their chain is whole.

    Where `tolerant`, a chain that breaks after its first page ends there, and what is wrong is the third of what is
    given; it is empty where nothing is.
    """
    import tifffile

    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror or error}).", "Check its permissions.") from error
    with file:
        n, broken = _count_pages(path, file, tolerant=tolerant)
        with named(path, "not a readable TIFF file"):
            tiff = tifffile.TiffFile(file, name=path.name)
            if not broken and len(tiff.pages) != n:
                raise ValueError(f"{len(tiff.pages)} of {n} pages can be parsed")
        yield tiff, n, broken


def _count_pages(path: Path, file: BinaryIO, *, tolerant: bool) -> tuple[int, str]:
    """Follow the chain of pages. A reader that merely stops where it breaks would call a cut movie a short one."""
    size, head = os.fstat(file.fileno()).st_size, file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
    version = struct.unpack(f"{order}H", head[2:4])[0] if order and len(head) >= 8 else 0
    if version not in (42, 43) or (version == 43 and len(head) < 16):
        raise FormatError(f"{path}: not a TIFF file.", "Name a movie, or give it the suffix of its format.")
    count_code, entry, offset_code = (f"{order}H", 12, f"{order}I") if version == 42 else (f"{order}Q", 20, f"{order}Q")
    offset = struct.unpack(offset_code, head[4:8] if version == 42 else head[8:16])[0]
    seen: set[int] = set()
    broken = ""
    while offset:
        if offset in seen:
            broken, fix = "its page is that of an earlier frame", "Copy it again from its source."
            break
        raw = b""
        if offset < size:  # a wild one could not even be sought
            file.seek(offset)
            raw = file.read(struct.calcsize(count_code))
        if len(raw) == struct.calcsize(count_code):
            file.seek(entry * min(struct.unpack(count_code, raw)[0], 1 << 16), 1)
            raw = file.read(struct.calcsize(offset_code))
        if len(raw) < struct.calcsize(offset_code):
            broken, fix = "the file ends before it", "Copy it again, or wait until it is written."
            break
        seen.add(offset)
        offset = struct.unpack(offset_code, raw)[0]
    file.seek(0)
    if broken and not (tolerant and seen):
        raise FormatError(f"{path}: frame {len(seen)} is unreadable ({broken}).", fix)
    if not seen:
        raise FormatError(f"{path}: there is no frame in it.", "Copy it again from its source.")
    return len(seen), f"frame {len(seen)} and those after it are unreadable ({broken})" if broken else ""


def check_frame(page: Any, shape: tuple[int, ...], dtype: np.dtype[Any], size: int, *, events: bool = False) -> None:
    """Raise ValueError unless a page is a frame like the first, with all its bytes in the file."""
    if tuple(page.shape) != shape or page.dtype != dtype:
        raise ValueError(f"it has {page.shape} pixels of {page.dtype}, the first frame {shape} of {dtype}")
    stored = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    if not stored or any(offset <= 0 or count <= 0 for offset, count in stored):
        raise ValueError("some of its strips are missing")
    if any(offset + count > size for offset, count in stored):
        raise ValueError("the file ends before it does")
    if not events and math.prod(shape) * dtype.itemsize > _MAX_PACKING * sum(count for _, count in stored):
        raise ValueError("it has too few bytes for its size")


def pixel_A(page: Any) -> float | None:
    """Return the pixel size of a page, or None where its resolution is that of a printer or screen."""
    tags = [page.tags.get(code) for code in (282, 283, 296)]
    if tags[0] is None or tags[2] is None or int(tags[2].value) not in _UNIT_A:
        return None
    sizes = []
    for tag in tags[:2]:
        numerator, denominator = tag.value if tag is not None else tags[0].value
        sizes.append(_UNIT_A[int(tags[2].value)] * denominator / numerator if numerator else math.inf)
    x, y = sizes
    is_size = all(PIXEL_RANGE_A[0] <= side <= PIXEL_RANGE_A[1] for side in sizes)
    return float(x) if is_size and math.isclose(x, y, rel_tol=0.01) else None
