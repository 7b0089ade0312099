"""EER, the electron event representation of Thermo Fisher's cameras: hundreds of sparse frames, summed into a few.

A file is a BigTIFF with one page for each of the camera's own frames: the gaps between electrons in run lengths of 7 or
8 bits, each with a few bits of the place within the pixel (compressions 65000, 65001; 65002 has the numbers of bits in
tags). Rows are given in the order of the file, which RELION too takes for MRC's (upward), and not turned over as those
of other TIFF files are. That is taken from RELION's source, and has not been checked with a recorded chiral object.
"""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from eucentric.core import FormatError, InputError
from eucentric.io import _tiff_pages as pages
from eucentric.io._movie_tiff import THREADS
from eucentric.io._text import size_of

EER_SUFFIXES = (".eer",)
DEFAULT_FRACTIONS = 8
_RUN_BITS = {65000: 8, 65001: 7, 65002: 7}  # the last unless its tag says otherwise
_VARIABLE = 65002
_BITS_TAGS = (65007, 65008, 65009)  # of the run, of the place along x, along y
_MAX_SIDE = 1 << 16
_A_PER_M = 1e10
_UNCOUNTED = 255  # frames whose sum fits a byte: each adds at most one electron to a pixel

Places = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class EerFrames:
    """The frames of an EER movie, each a sum of as many of the camera's own.

    Attributes
    ----------
    path
        The file.
    fractions, group
        How many frames there are, and of how many of the camera's own each is.
    shape_yx
        Rows and columns as given, hence times `superres` those of the camera.
    superres
        Pixels along each side of one of the camera's.
    bits
        Of a run length, and of the place within the pixel along x and y.
    places
        Where the strips of each of the camera's own frames are: offsets and bytes; none where it is damaged.
    pixel_A
        None where the file does not say.
    """

    path: Path
    fractions: int
    group: int
    shape_yx: tuple[int, int]
    superres: int
    bits: tuple[int, int, int]
    places: tuple[Places, ...]
    pixel_A: float | None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, rows, columns."""
        return (self.fractions, *self.shape_yx)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Unsigned, of one byte or two."""
        return np.dtype(np.uint8 if self.group <= _UNCOUNTED else np.uint16)

    @property
    def lost(self) -> tuple[int, ...]:
        """Frames of which a part is damaged."""
        damaged = (at // self.group for at, places in enumerate(self.places) if not places)
        return tuple(sorted({frame for frame in damaged if frame < self.fractions}))

    @property
    def notes(self) -> tuple[str, ...]:
        """What was summed and what is left over."""
        left = len(self.places) - self.fractions * self.group
        over = f"; the last {left} were left out" if left else ""
        return (f"{self.path.name}: {self.fractions} frames, each of {self.group} of the camera's own{over}.",)

    @contextmanager
    def opened(self) -> Iterator[Callable[[int], NDArray[Any]]]:
        """Give what sums a frame by its number; it raises FormatError where one of its parts is damaged."""
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be opened ({error.strerror or error}).", "Check the path."
            ) from error
        with file, ThreadPoolExecutor(THREADS) as threads:
            yield lambda frame: self._sum(frame, file, threads)

    def _sum(self, frame: int, file: BinaryIO, threads: ThreadPoolExecutor) -> NDArray[Any]:
        first = frame * self.group
        packed = []
        for raw in range(first, first + self.group):
            with pages.named(self.path, f"frame {frame} is unreadable"):
                if not self.places[raw]:
                    raise ValueError(f"the camera's frame {raw} in it is damaged")
                packed.append(_stored(file, self.places[raw]))
        cut = len(packed) // THREADS
        halves = [packed[:cut], packed[cut:]] if cut else [packed]
        with pages.named(self.path, f"frame {frame} is unreadable"):
            whole, *others = threads.map(self._decode, halves)
        for other in others:
            whole += other
        return whole

    def _decode(self, packed: list[bytes]) -> NDArray[Any]:
        import imagecodecs

        image = np.zeros(self.shape_yx, self.dtype)
        level = int(math.log2(self.superres))
        for one in packed:  # the codec adds to what is there
            imagecodecs.eer_decode(one, self.shape_yx, *self.bits, superres=level, out=image)
        return image


def fractions_for(exposure_e_A2: float, per_frame_e_A2: float, raw_frames: int | None = None) -> int:
    """Return into how many frames a movie is best divided, so that each has about `per_frame_e_A2`.

    At least two, for halves of even and odd frames, unless there is but one; at most as many as the camera's own,
    where it is known how many these are: `open_eer` makes no more.

    Raises
    ------
    InputError
        If an exposure is not above 0.
    """
    if not (exposure_e_A2 > 0 and per_frame_e_A2 > 0 and math.isfinite(exposure_e_A2 / per_frame_e_A2)):
        raise InputError(f"a movie of {exposure_e_A2} e/Å² cannot be divided into frames of {per_frame_e_A2} e/Å².")
    wanted = max(2, round(exposure_e_A2 / per_frame_e_A2))
    return wanted if raw_frames is None else min(raw_frames, wanted)


def open_eer(
    path: Path, *, fractions: int | None = None, superres: Literal[1, 2, 4] = 1, tolerant: bool = False
) -> EerFrames:
    """Open an EER movie, reading no electrons; `open_movie` is for users.

    Parameters
    ----------
    path
        The file.
    fractions
        Into how many frames to sum, or fewer where there are fewer; what is left over at the end is not used. By
        default 8.
    superres
        Pixels along each side of one of the camera's.
    tolerant
        Whether to open a file whose pages are damaged or whose end is missing.

    Raises
    ------
    InputError
        If it cannot be opened, or does not tell electrons' places finely enough.
    FormatError
        If it is no EER file, or damaged; pages that are not of its camera (a sum at the end) are passed over.
    """
    size = size_of(path, "a movie")
    if fractions is not None and fractions < 1:
        raise InputError(f"{path}: {fractions} frames cannot be made of a movie.", "Ask for one at least.")
    if superres not in (1, 2, 4):
        raise InputError(f"{path}: {superres} pixels to a side of the camera's cannot be made.", "Ask for 1, 2 or 4.")
    with pages.opened_tiff(path, tolerant=tolerant) as (tiff, n, _):
        like: tuple[tuple[int, ...], tuple[int, int, int]] | None = None
        pixel_A: float | None = None
        places: list[Places] = []
        for at in range(n):
            try:
                with pages.named(path, f"page {at} is unreadable"):
                    page = tiff.pages[at]
                    if page.compression not in _RUN_BITS:
                        continue
                    found = (tuple(int(side) for side in page.shape), _bits(page))
                    if like is None:
                        like, pixel_A = found, _pixel_A(page)
                    if found != like:
                        raise ValueError(f"it has {found}, the first frame {like}")
                    pages.check_frame(page, found[0], page.dtype, size, events=True)
                    places.append(tuple(zip(page.dataoffsets, page.databytecounts, strict=True)))
            except FormatError:
                if not tolerant:
                    raise
                places.append(())
    if like is None or len(like[0]) != 2 or not 1 <= min(like[0]) <= max(like[0]) <= _MAX_SIDE:
        raise FormatError(f"{path}: no page of it holds electron events.", "Name a movie, or give it its own suffix.")
    shape, bits = like
    if superres > 1 << min(bits[1:]):
        raise InputError(f"{path}: it tells electrons' places to {1 << min(bits[1:])} in a pixel.", "Ask for no more.")
    number = min(DEFAULT_FRACTIONS if fractions is None else fractions, len(places))
    return EerFrames(
        path,
        number,
        len(places) // number,
        (shape[0] * superres, shape[1] * superres),
        superres,
        bits,
        tuple(places),
        None if pixel_A is None else pixel_A / superres,
    )


def _bits(page: Any) -> tuple[int, int, int]:
    if page.compression != _VARIABLE:
        return _RUN_BITS[page.compression], 2, 2
    usual = (_RUN_BITS[_VARIABLE], 2, 2)
    run, x, y = (int(page.tags.valueof(tag, value)) for tag, value in zip(_BITS_TAGS, usual, strict=True))
    if not (1 <= run <= 16 and 0 <= x <= 4 and 0 <= y <= 4):
        raise ValueError(f"its electrons have {run}, {x} and {y} bits")
    return run, x, y


def _pixel_A(page: Any) -> float | None:
    """Return the pixel size, from the camera's own words or else the page's resolution."""
    for key in ("sensorPixelSize.width", "sensorPixelSize.height"):
        said = (page.eer_tags or {}).get(key)
        if isinstance(said, int | float) and pages.PIXEL_RANGE_A[0] <= said * _A_PER_M <= pages.PIXEL_RANGE_A[1]:
            return float(said) * _A_PER_M
    return pages.pixel_A(page)


def _stored(file: BinaryIO, places: Places) -> bytes:
    parts = []
    for offset, count in places:
        file.seek(offset)
        parts.append(file.read(count))
        if len(parts[-1]) < count:
            raise ValueError("the file ends before it does")
    if sum(map(len, parts)) % 2:  # the codec takes pairs of bytes only; a run of ones holds no electron
        parts.append(b"\xff")
    return b"".join(parts)
