"""Movies of one exposure: a stack of frames as TIFF, MRC or EER, read frame by frame; TIFF and MRC are written too.

The rows of our arrays go upward, as those of MRC do; the first row of a TIFF is the top of the picture. Rows are
therefore turned over in writing TIFF and turned back in reading, as RELION does and, by its source's account, IMOD,
SerialEM, EMAN2 and MotionCor2. A gain reference in MRC lies as the arrays do. tifffile and ImageJ do not turn rows.
`eucentric.io.eer` says how EER lies.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from eucentric.core import EucentricError, FormatError, InputError, whole_or_nothing
from eucentric.io import _tiff_pages as pages
from eucentric.io._movie_mrc import MrcFrames, open_packed
from eucentric.io._movie_tiff import THREADS, TiffFrames
from eucentric.io._text import size_of, warn_data
from eucentric.io.eer import EER_SUFFIXES, open_eer
from eucentric.io.mrc import open_mrc
from eucentric.io.mrc_writer import write_mrc

TIFF_SUFFIXES = (".tif", ".tiff")
MRC_SUFFIXES = (".mrc", ".mrcs")
Compression = Literal["lzw", "deflate", "none"]

_TAGS = {"lzw": ("lzw", {}), "deflate": ("zlib", {"level": 1}), "none": (None, {})}
# For counts of mean 0.7, LZW packs 4.1-fold; deflate needs its slowest level, 30 times slower, to match that. Its
# fastest level packs 3.6-fold in 60 % of the time of LZW: that is what it is for.
_STRIP_BYTES = 128 << 10  # enough strips to share a frame between two threads, and few enough to pack as well
_CLASSIC_BYTES = 4_000_000_000  # offsets of classic TIFF have 32 bits; larger movies become BigTIFF
_DTYPES = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "float16", "float32")
_MAX_SIDE = 1 << 20


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
    if kind == "eer":
        raise InputError(f"{path}: EER files are the camera's own, and are only read.", "Name it .tif or .mrc.")
    if frames.ndim != 3 or 0 in frames.shape:
        raise InputError(f"{path}: a movie needs frames of pixels (f, y, x), not {frames.shape}.")
    if frames.dtype.name not in ("uint8", "uint16"):
        raise InputError(f"{path}: a movie holds counts, uint8 or uint16, not {frames.dtype}.")
    if not (math.isfinite(pixel_A) and pages.PIXEL_RANGE_A[0] <= pixel_A <= pages.PIXEL_RANGE_A[1]):
        raise InputError(
            f"{path}: {pixel_A} Å is no pixel size.", "Give one from {:g} to {:g}.".format(*pages.PIXEL_RANGE_A)
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


def _kind(path: Path) -> Literal["tiff", "mrc", "eer"]:
    if path.suffix.lower() in TIFF_SUFFIXES:
        return "tiff"
    if path.suffix.lower() in EER_SUFFIXES:
        return "eer"
    if path.suffix.lower() in MRC_SUFFIXES:
        return "mrc"
    known = ", ".join((*TIFF_SUFFIXES, *MRC_SUFFIXES, *EER_SUFFIXES))
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
                resolution=(pages.A_PER_CM / pixel_A, pages.A_PER_CM / pixel_A),
                resolutionunit="CENTIMETER",
                software="Eucentric",
                metadata=None,  # neither a date nor tifffile's own description
                contiguous=False,  # every frame has its own page
                maxworkers=THREADS,
            )


class _Frames(Protocol):
    """Where frames come from."""

    def opened(self) -> AbstractContextManager[Callable[[int], NDArray[Any]]]:
        """Give what reads a frame by its number."""
        ...


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
    lost
        Frames that are counted, but known from the start to be unreadable; only where it was opened as `tolerant`.
    notes
        What a user may want to know of how it is read.
    raw_frames
        Of EER: how many of the camera's own frames the file holds, of which each of ours is a sum; else None.
    """

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    pixel_A: float | None
    lost: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    raw_frames: int | None = None
    _source: _Frames = field(repr=False, compare=False, kw_only=True)

    def frames(self) -> Iterator[NDArray[Any]]:
        """Give the frames in turn, shape (y, x), rows upward, contiguous; one at a time is in memory.

        Raises
        ------
        InputError
            If the file cannot be opened or read.
        FormatError
            At a frame that cannot be unpacked; its number is in the message.
        """
        with self._source.opened() as read:
            for frame in range(self.shape[0]):
                yield read(frame)

    def frames_or_none(self, *, tell: bool = True) -> Iterator[NDArray[Any] | None]:
        """Give the frames as `frames` does, and None in place of one that cannot be read.

        Raises
        ------
        InputError, FormatError
            If the file cannot be opened, or is no longer what it was.

        Warns
        -----
        DataWarning
            `frame-left-out`, for each such frame; unless it is not to `tell`.
        """
        with self._source.opened() as read:
            for frame in range(self.shape[0]):
                try:
                    pixels: NDArray[Any] | None = read(frame)
                except EucentricError as error:
                    if tell:
                        warn_data(self.path, "frame-left-out", f"frame {frame} was left out: {error.what}")
                    pixels = None
                yield pixels

    def read(self) -> NDArray[Any]:
        """Return all frames, shape (f, y, x).

        Raises
        ------
        InputError
            If the file cannot be opened or read.
        FormatError
            If a frame cannot be unpacked.
        """
        movie = np.empty(self.shape, dtype=self.dtype)
        for i, frame in enumerate(self.frames()):
            movie[i] = frame
        return movie


def open_movie(
    path: Path, *, fractions: int | None = None, superres: Literal[1, 2, 4] = 1, tolerant: bool = False
) -> MovieFile:
    """Open a movie: TIFF (packed or not, classic or BigTIFF), an MRC stack, or EER, as its suffix says.

    Parameters
    ----------
    path
        The file.
    fractions
        Into how many frames those of an EER movie are summed, where it has as many; by default 8.
        `eucentric.io.eer.fractions_for` finds it from the exposure.
    superres
        Of EER: how many pixels along each side of one of the camera's; 1 gives the camera's own.
    tolerant
        Open a damaged TIFF or EER movie too, if its first frame can be read: `lost` then names the others. Frames
        beyond the end of a file that was cut are not counted, as nothing says how many there were.

    Raises
    ------
    InputError
        If there is no such file, it cannot be opened, its suffix is not that of a movie, or the fractions asked for
        cannot be made.
    FormatError
        If it is empty or not what its suffix says, cut short, or no movie (colour, frames of unequal sizes).

    Warns
    -----
    FormatWarning
        As `open_mrc` does.
    """
    path = Path(path)
    kind = _kind(path)
    if kind == "mrc":
        return _open_mrc(path)
    if kind == "eer":
        eer = open_eer(path, fractions=fractions, superres=superres, tolerant=tolerant)
        return MovieFile(
            path, eer.shape, eer.dtype, eer.pixel_A, eer.lost, eer.notes, raw_frames=len(eer.places), _source=eer
        )
    return _open_tiff(path, tolerant)


def _open_mrc(path: Path) -> MovieFile:
    if (packed := open_packed(path)) is not None:
        frames, pixel_A = packed
        n, n_y, _ = frames.data.shape
        return MovieFile(path, (n, n_y, frames.columns), np.dtype(np.uint8), pixel_A, _source=frames)
    image = open_mrc(path)
    n, n_y, n_x = image.data.shape
    dtype = image.data.dtype.newbyteorder("=")
    return MovieFile(path, (n, n_y, n_x), dtype, image.pixel_A, _source=MrcFrames(image.data, n_x))


def _open_tiff(path: Path, tolerant: bool) -> MovieFile:
    size = size_of(path, "a movie")
    lost = []
    with pages.opened_tiff(path, tolerant=tolerant) as (tiff, n, broken):
        with pages.named(path, "not a readable TIFF file"):
            first = tiff.pages[0]
            shape, dtype = tuple(int(side) for side in first.shape), first.dtype
        if len(shape) != 2 or max(shape) > _MAX_SIDE or dtype is None or dtype.name not in _DTYPES:
            raise FormatError(f"{path}: its pages are no frames ({shape}, {dtype}).", "Name a movie in grey values.")
        for frame in range(n):
            try:
                with pages.named(path, f"frame {frame} is unreadable"):
                    pages.check_frame(tiff.pages[frame], shape, dtype, size)
            except FormatError:
                if not tolerant or frame == 0:
                    raise
                lost.append(frame)
        with pages.named(path, "not a readable TIFF file"):
            pixel_A = pages.pixel_A(first)
    shape_yx, dtype = (shape[0], shape[1]), np.dtype(dtype).newbyteorder("=")
    notes = (f"{path.name}: {broken}.",) if broken else ()
    source = TiffFrames(path, shape_yx, dtype, tolerant)
    return MovieFile(path, (n, *shape_yx), dtype, pixel_A, tuple(lost), notes, _source=source)
