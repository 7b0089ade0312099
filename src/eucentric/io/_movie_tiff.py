"""Frames in TIFF, unpacked by two threads and the right way up.

The first row of a TIFF is the top of the picture, and ours go upward: rows are turned over strip by strip as they are
unpacked, while they are in the cache, so that it costs nothing.
"""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucentric.io._tiff_pages import check_frame, named, opened_tiff

THREADS = 2
_CODECS = {
    1: "",
    5: "lzw_decode",
    8: "deflate_decode",
    32946: "deflate_decode",
}  # TIFF's compressions that are our own work


@dataclass(frozen=True)
class TiffFrames:
    """The frames of a TIFF movie, each of the same shape and type; `tolerant` as for `opened_tiff`."""

    path: Path
    shape_yx: tuple[int, int]
    dtype: np.dtype[Any]
    tolerant: bool

    @contextmanager
    def opened(self) -> Iterator[Callable[[int], NDArray[Any]]]:
        """Give what reads a frame by its number, rows upward; it raises FormatError where it cannot."""
        with opened_tiff(self.path, tolerant=self.tolerant) as (tiff, _, _), ThreadPoolExecutor(THREADS - 1) as threads:
            size = self.path.stat().st_size

            def read(frame: int) -> NDArray[Any]:
                with named(self.path, f"frame {frame} is unreadable"):
                    page = tiff.pages[frame]
                    check_frame(page, self.shape_yx, self.dtype, size)
                    return _unpack(tiff.filehandle, page, self.dtype, threads)

            yield read


def _unpack(file: Any, page: Any, dtype: np.dtype[Any], threads: ThreadPoolExecutor) -> NDArray[Any]:
    """Return the pixels of a page, rows upward, contiguous, in this machine's byte order."""
    n_y, n_x = (int(side) for side in page.shape)
    strip_rows = min(int(page.rowsperstrip or n_y), n_y)
    is_plain = (
        page.compression in _CODECS
        and page.predictor == page.fillorder == 1
        and page.bitspersample == 8 * dtype.itemsize
        and not page.is_tiled
        and len(page.dataoffsets) == math.ceil(n_y / strip_rows)
    )
    if not is_plain:  # tiles, other codecs, packed bits: tifffile's own way, on one thread and with a copy
        image = np.asarray(page.asarray(maxworkers=THREADS))
        if image.shape != (n_y, n_x):
            raise ValueError(f"it unpacks to {image.shape}")
        return np.ascontiguousarray(image[::-1], dtype=dtype)
    import imagecodecs

    decode = getattr(imagecodecs, _CODECS[page.compression]) if _CODECS[page.compression] else None
    stored = dtype.newbyteorder(page.parent.byteorder)
    image = np.empty((n_y, n_x), dtype)
    packed = []
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        file.seek(offset)
        packed.append(file.read(count))

    left = iter(range(len(packed)))  # whoever is free takes the next strip

    def unpack() -> None:
        for strip in left:
            first = strip * strip_rows
            rows = min(strip_rows, n_y - first)
            raw: Any = packed[strip]
            if decode is not None:  # the last strip may be filled up to the height of the others
                raw = decode(raw, out=np.empty(strip_rows * n_x * dtype.itemsize, np.uint8))
            if len(raw) < rows * n_x * dtype.itemsize:
                raise ValueError(f"its strip {strip} unpacks to too few bytes")
            pixels = np.frombuffer(raw, stored, rows * n_x).reshape(rows, n_x)
            image[n_y - first - rows : n_y - first] = pixels[::-1]

    helpers = [threads.submit(unpack) for _ in range(THREADS - 1)]
    try:
        unpack()
    finally:  # a helper that has not begun is not waited for: on a busy machine that costs more than it brings
        begun = [helper for helper in helpers if not helper.cancel()]
        wait(begun)
    for helper in begun:
        helper.result()
    return image
