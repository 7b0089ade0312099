"""Movies of one exposure: a stack of frames as TIFF or MRC, written whole and read frame by frame.

The rows of our arrays go upward, as those of MRC do; the first row of a TIFF is the top of the picture. Rows are
therefore turned over in writing TIFF and turned back in reading, as RELION does and, by its source's account, IMOD,
SerialEM, EMAN2 and MotionCor2. A gain reference in MRC lies as the arrays do. tifffile and ImageJ do not turn rows.
"""

import math
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from eucentric.core import EucentricError, FormatError, InputError, whole_or_nothing
from eucentric.io._text import size_of
from eucentric.io.mrc import MrcImage, open_mrc
from eucentric.io.mrc_writer import write_mrc

TIFF_SUFFIXES = (".tif", ".tiff")
MRC_SUFFIXES = (".mrc", ".mrcs")
Compression = Literal["lzw", "deflate", "none"]

_TAGS = {"lzw": ("lzw", {}), "deflate": ("zlib", {"level": 1}), "none": (None, {})}
# For counts of mean 0.7, LZW packs 4.1-fold; deflate needs its slowest level, 30 times slower, to match that. Its
# fastest level packs 3.6-fold in 60 % of the time of LZW: that is what it is for.
_STRIP_BYTES = 128 << 10  # enough strips to share a frame between two threads, and few enough to pack as well
_THREADS = 2
_CLASSIC_BYTES = 4_000_000_000  # offsets of classic TIFF have 32 bits; larger movies become BigTIFF
_A_PER_CM = 1e8
_UNIT_A = {2: 2.54 * _A_PER_CM, 3: _A_PER_CM}  # TIFF's resolution units: inch, centimetre
_PIXEL_RANGE_A = (0.01, 1e4)  # IMOD too takes pixels above 1 µm for the resolution of a printer
_DTYPES = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "float16", "float32")
_MAX_SIDE = 1 << 20
_MAX_PACKING = 50_000  # LZW packs at most some 1400-fold, deflate 1032-fold, zstd 33,000-fold: beyond it, a lie


def write_movie(path: Path, frames: NDArray[Any], pixel_A: float, *, compression: Compression = "lzw") -> None:
    """Write the frames of one exposure; the suffix of the name decides between TIFF and MRC.

    Parameters
    ----------
    path
        ``.tif`` or ``.tiff``: one page a frame, its size in Å as the resolution; ``.mrc`` or ``.mrcs``: a stack. A
        file already there is replaced. The same frames give the same bytes.
    frames
        Shape (f, y, x), uint8 or uint16, rows upward. In MRC, which has no unsigned bytes that every reader knows,
        uint8 becomes mode 0 where all are below 128, and else mode 6 (uint16).
    pixel_A
        Pixel size (Å).
    compression
        Of TIFF; MRC is never compressed.

    Raises
    ------
    InputError
        If the suffix, shape, type, pixel size or compression cannot be written.
    OutputError
        If the place cannot be written to, or the disk is full; a file already there is untouched.
    """
    path = Path(path)
    kind = _kind(path)
    if frames.ndim != 3 or 0 in frames.shape:
        raise InputError(f"{path}: a movie needs frames of pixels (f, y, x), not {frames.shape}.")
    if frames.dtype.name not in ("uint8", "uint16"):
        raise InputError(f"{path}: a movie holds counts, uint8 or uint16, not {frames.dtype}.")
    if not (math.isfinite(pixel_A) and _PIXEL_RANGE_A[0] <= pixel_A <= _PIXEL_RANGE_A[1]):
        raise InputError(
            f"{path}: {pixel_A} Å is no pixel size.", "Give one from {:g} to {:g}.".format(*_PIXEL_RANGE_A)
        )
    if compression not in _TAGS:
        raise InputError(f"{path}: there is no compression {compression!r}.", f"Choose one of {', '.join(_TAGS)}.")
    if kind == "mrc":
        if frames.dtype == np.uint8:
            frames = frames.view(np.int8) if int(frames.max()) < 128 else frames.astype(np.uint16)
        write_mrc(path, frames, pixel_A, kind="stack", label="Movie written by Eucentric")
        return
    with whole_or_nothing(path) as partial:
        _write_tiff(partial, frames, pixel_A, compression)


def _kind(path: Path) -> Literal["tiff", "mrc"]:
    if path.suffix.lower() in TIFF_SUFFIXES:
        return "tiff"
    if path.suffix.lower() in MRC_SUFFIXES:
        return "mrc"
    known = ", ".join((*TIFF_SUFFIXES, *MRC_SUFFIXES))
    raise InputError(f"{path}: {path.suffix or 'no suffix'} is not the suffix of a movie.", f"Use one of {known}.")


def _write_tiff(path: Path, frames: NDArray[Any], pixel_A: float, compression: str) -> None:
    import tifffile  # with imagecodecs a fifth of a second, which reading metadata need not spend

    codec, arguments = _TAGS[compression]
    n_y, n_x = frames.shape[1:]
    rows = min(n_y, max(1, _STRIP_BYTES // (n_x * frames.itemsize)))
    with tifffile.TiffWriter(path, bigtiff=frames.nbytes > _CLASSIC_BYTES, byteorder="<") as tiff:
        for frame in frames:
            page = np.ascontiguousarray(frame[::-1], dtype=frames.dtype.newbyteorder("<"))
            # Unpacked strips as bytes: numpy's own writing, which tifffile would use, does not say if a disk is full.
            strips = (page[first : first + rows].tobytes() for first in range(0, n_y, rows))
            tiff.write(
                page if codec else strips,
                shape=page.shape,
                dtype=page.dtype,
                photometric="minisblack",
                compression=codec,
                compressionargs=dict(arguments),
                rowsperstrip=rows,
                resolution=(_A_PER_CM / pixel_A, _A_PER_CM / pixel_A),
                resolutionunit="CENTIMETER",
                software="Eucentric",
                metadata=None,  # neither a date nor tifffile's own description
                contiguous=False,  # every frame has its own page
                maxworkers=_THREADS,
            )


@dataclass(frozen=True)
class MovieFile:
    """A movie on disk; opening it reads no pixels.

    Attributes
    ----------
    path
        The file.
    shape
        Frames, rows, columns.
    dtype
        Of the frames, in this machine's byte order.
    pixel_A
        None where the file gives none that can be believed.
    """

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    pixel_A: float | None
    _mrc: MrcImage | None = field(default=None, repr=False)

    def frames(self) -> Iterator[NDArray[Any]]:
        """Give the frames in turn, shape (y, x), rows upward; one at a time is in memory.

        Raises
        ------
        FormatError
            At a frame that cannot be unpacked; its number is in the message.
        """
        if self._mrc is not None:
            for section in self._mrc.data:
                yield np.array(section, dtype=self.dtype)
            return
        with _opened_tiff(self.path) as (tiff, _):
            for i in range(self.shape[0]):
                with _named(self.path, f"frame {i} is unreadable"):
                    page = np.asarray(tiff.pages[i].asarray(maxworkers=_THREADS))
                    if page.shape != self.shape[1:]:
                        raise ValueError(f"it unpacks to {page.shape}")
                yield np.ascontiguousarray(page[::-1], dtype=self.dtype)

    def read(self) -> NDArray[Any]:
        """Return all frames, shape (f, y, x).

        Raises
        ------
        FormatError
            If a frame cannot be unpacked.
        """
        movie = np.empty(self.shape, dtype=self.dtype)
        for i, frame in enumerate(self.frames()):
            movie[i] = frame
        return movie


def open_movie(path: Path) -> MovieFile:
    """Open a movie: TIFF (packed or not, classic or BigTIFF) or an MRC stack, as its suffix says.

    Raises
    ------
    InputError
        If there is no such file, it cannot be opened, or its suffix is not that of a movie.
    FormatError
        If it is empty or not what its suffix says, cut short, or no movie (colour, frames of unequal sizes).

    Warns
    -----
    FormatWarning
        As `open_mrc` does.
    """
    path = Path(path)
    if _kind(path) == "mrc":
        image = open_mrc(path)
        n, n_y, n_x = image.data.shape
        return MovieFile(path, (n, n_y, n_x), image.data.dtype.newbyteorder("="), image.pixel_A, image)
    size = size_of(path, "a movie")
    with _opened_tiff(path) as (tiff, n):
        with _named(path, "not a readable TIFF file"):
            first = tiff.pages[0]
            shape, dtype = tuple(int(side) for side in first.shape), first.dtype
        if len(shape) != 2 or max(shape) > _MAX_SIDE or dtype is None or dtype.name not in _DTYPES:
            raise FormatError(f"{path}: its pages are no frames ({shape}, {dtype}).", "Name a movie in grey values.")
        for i in range(n):
            with _named(path, f"frame {i} is unreadable"):
                _check_frame(tiff.pages[i], shape, dtype, size)
        with _named(path, "not a readable TIFF file"):
            pixel_A = _pixel_A(first)
    return MovieFile(path, (n, shape[0], shape[1]), np.dtype(dtype).newbyteorder("="), pixel_A)


@contextmanager
def _named(path: Path, what: str) -> Iterator[None]:
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
def _opened_tiff(path: Path) -> Iterator[tuple[Any, int]]:
    """Open a TIFF file and count its pages, having made sure that their chain is whole."""
    import tifffile

    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror or error}).", "Check its permissions.") from error
    with file:
        n = _count_pages(path, file)
        with _named(path, "not a readable TIFF file"):
            tiff = tifffile.TiffFile(file, name=path.name)
            if len(tiff.pages) != n:
                raise ValueError(f"{len(tiff.pages)} of {n} pages can be parsed")
        yield tiff, n


def _count_pages(path: Path, file: BinaryIO) -> int:
    """Follow the chain of pages. A reader that merely stops where it breaks would call a cut movie a short one."""
    size, head = os.fstat(file.fileno()).st_size, file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
    version = struct.unpack(f"{order}H", head[2:4])[0] if order and len(head) >= 8 else 0
    if version not in (42, 43) or (version == 43 and len(head) < 16):
        raise FormatError(f"{path}: not a TIFF file.", "Name a movie, or give it the suffix of its format.")
    count_code, entry, offset_code = (f"{order}H", 12, f"{order}I") if version == 42 else (f"{order}Q", 20, f"{order}Q")
    offset = struct.unpack(offset_code, head[4:8] if version == 42 else head[8:16])[0]
    seen: set[int] = set()
    while offset:
        where = f"{path}: frame {len(seen)} is unreadable"
        if offset in seen:
            raise FormatError(f"{where} (its page is that of an earlier frame).", "Copy it again from its source.")
        raw = b""
        if offset < size:  # a wild one could not even be sought
            file.seek(offset)
            raw = file.read(struct.calcsize(count_code))
        if len(raw) == struct.calcsize(count_code):
            file.seek(entry * min(struct.unpack(count_code, raw)[0], 1 << 16), 1)
            raw = file.read(struct.calcsize(offset_code))
        if len(raw) < struct.calcsize(offset_code):
            raise FormatError(f"{where}: the file ends before it.", "Copy it again, or wait until it is written.")
        seen.add(offset)
        offset = struct.unpack(offset_code, raw)[0]
    file.seek(0)
    if not seen:
        raise FormatError(f"{path}: there is no frame in it.", "Copy it again from its source.")
    return len(seen)


def _check_frame(page: Any, shape: tuple[int, ...], dtype: np.dtype[Any], size: int) -> None:
    """Raise ValueError unless a page is a frame like the first, with all its bytes in the file."""
    if tuple(page.shape) != shape or page.dtype != dtype:
        raise ValueError(f"it has {page.shape} pixels of {page.dtype}, the first frame {shape} of {dtype}")
    stored = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    if not stored or any(offset <= 0 or count <= 0 for offset, count in stored):
        raise ValueError("some of its strips are missing")
    if any(offset + count > size for offset, count in stored):
        raise ValueError("the file ends before it does")
    if math.prod(shape) * dtype.itemsize > _MAX_PACKING * sum(count for _, count in stored):
        raise ValueError("it has too few bytes for its size")


def _pixel_A(page: Any) -> float | None:
    """Return the pixel size of a page, or None where its resolution is that of a printer or screen."""
    tags = [page.tags.get(code) for code in (282, 283, 296)]
    if tags[0] is None or tags[2] is None or int(tags[2].value) not in _UNIT_A:
        return None
    sizes = []
    for tag in tags[:2]:
        numerator, denominator = tag.value if tag is not None else tags[0].value
        sizes.append(_UNIT_A[int(tags[2].value)] * denominator / numerator if numerator else math.inf)
    x, y = sizes
    is_size = all(_PIXEL_RANGE_A[0] <= side <= _PIXEL_RANGE_A[1] for side in sizes)
    return float(x) if is_size and math.isclose(x, y, rel_tol=0.01) else None
