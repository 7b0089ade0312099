"""Pictures of what was acquired, made when a browser asks for them, of movies and stacks that may still be growing.

Nothing is written: what was made is kept in memory, for as long as its file stays as it was. A file is read only where
it lies in the session after links are resolved, and a small share of a large one.
"""

import io
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eucentric.core import DataWarning, EucentricError, FormatWarning, InputError
from eucentric.io import open_mrc
from eucentric.io.movies import MovieFile, open_movie
from eucentric.report.style import grey, shrunk, smoothed
from eucentric.web.served import NotServedError, under
from eucentric.web.tomogram.kept import Kept
from eucentric.web.volumes import ChangedError, Volumes, stamp_of

MOVIES, STACKS = "/session-movies", "/session-stacks"

SETTLED_S = 1.0
"""A movie that was written to later than this ago may not be whole: `eucentric watch` waits as long."""

LARGEST_BYTES = 4 << 30
"""Of a movie's file."""

_PICTURE_PX = 320  # as that of a look
_BINNED_PX = 2 * _PICTURE_PX  # what is smoothed: finer pixels are averaged before, and the eye sees no difference
_LARGEST_FRAME = 1 << 27  # pixels: larger than those of any camera
_MOST_PIXELS = 1 << 29  # of a movie: some seconds of reading; of a longer one, the first frames are shown
_KEPT_BYTES = 32 << 20
_AT_ONCE = 2
_PLACES = ("frames", "mdoc")  # where movies lie
_GAIN = "frames/gain.mrc"


def find_movie(session: Path, name: str) -> Path | None:
    """Return the movie of this file name that lies in the session, if there is one."""
    if "/" in name:
        return None
    for place in _PLACES:
        try:
            path = under(session, f"{place}/{name}")
        except NotServedError:
            continue
        if path.is_file():
            return path
    return None


def movie_address(path: Path) -> str | None:
    """Return the address of a movie's picture, another for every other content; None where it may not be whole."""
    try:
        found = path.stat()
    except OSError:
        return None
    if abs(time.time() - found.st_mtime) < SETTLED_S:
        return None
    return f"{MOVIES}/{quote(path.name, safe='')}?v={stamp_of(path)}"


def section_address(session: Path, series: str, section: int) -> str | None:
    """Return the address of the picture of a section of a series' stack; None where there is no stack.

    A stack grows by sections, and those that are there stay: the address changes where it is another file.
    """
    try:
        found = _stack(session, series).stat()
    except (NotServedError, OSError):
        return None
    return f"{STACKS}/{quote(series, safe='')}/{section}?v={found.st_ino:x}"


class Pictures:
    """Makes pictures of the session at `session`; threads may share it, and few work at a time."""

    def __init__(self, session: Path) -> None:
        self._session = session
        self._kept: Kept[bytes] = Kept(_KEPT_BYTES, len)
        self._volumes = Volumes()
        self._few = threading.Semaphore(_AT_ONCE)

    def movie(self, name: str) -> bytes:
        """Return the sum of a movie, small and smoothed, as JPEG.

        Raises
        ------
        NotServedError
            If the session has no such movie.
        InputError, FormatError, ChangedError
            If it is too large, or cannot be read, perhaps as it is still being written.
        """
        path = find_movie(self._session, name)
        if path is None:
            raise NotServedError(f"{name[:80]!r} is no movie of this session.", "Go back to the session's page.")
        stamp = stamp_of(path)

        def made() -> bytes:
            picture = self._of_movie(path)
            if stamp_of(path) != stamp:
                raise ChangedError(f"{path.name} was written to while it was read.", "Ask again.")
            return picture

        return self._made((path, stamp), made)

    def section(self, series: str, section: int) -> bytes:
        """Return a section of a series' stack, small and smoothed, as JPEG.

        Raises
        ------
        NotServedError
            If there is no such stack.
        InputError, FormatError, ChangedError
            As for `movie`; and if it has no such section yet.
        """
        path = _stack(self._session, series)

        def made() -> bytes:
            volume = self._volumes.open(path)
            if not 0 <= section < volume.shape_zyx[0]:
                raise InputError(f"{path.name} has no section {section} yet.", "Ask again.")
            pixel_A = volume.voxel_zyx_A[2] if volume.voxel_zyx_A else None
            return _jpeg(volume.read(0, section, section + 1)[0], pixel_A)

        return self._made((path, path.stat().st_ino, section), made)

    def _made(self, key: object, make: Callable[[], bytes]) -> bytes:
        def one_of_few() -> bytes:
            with self._few, warnings.catch_warnings():
                warnings.simplefilter("ignore", FormatWarning)  # told when it is processed
                warnings.simplefilter("ignore", DataWarning)
                return make()

        return self._kept.get(key, one_of_few)

    def _of_movie(self, path: Path) -> bytes:
        if path.stat().st_size > LARGEST_BYTES:
            raise InputError(f"{path.name} is too large for a picture.", "Process it to see it.")
        movie = open_movie(path)
        total = _summed(movie)
        gain = self._gain(movie.shape[1:])
        return _jpeg(total if gain is None else total * gain, movie.pixel_A)

    def _gain(self, shape_yx: tuple[int, int]) -> NDArray[np.float32] | None:
        """Return the session's own gain reference, by which counts are multiplied, where it fits."""
        try:
            image = open_mrc(under(self._session, _GAIN))
        except EucentricError:
            return None
        return np.asarray(image.data[0], np.float32) if image.data.shape[1:] == shape_yx else None


def _stack(session: Path, series: str) -> Path:
    return under(session, f"mdoc/{series}.mrc")


def _summed(movie: MovieFile) -> NDArray[np.float32]:
    """Return the sum of a movie's frames, shape (y, x); of a long one, of the first."""
    pixels = movie.shape[1] * movie.shape[2]
    if not 0 < pixels <= _LARGEST_FRAME:
        raise InputError(f"{movie.path.name} is too large for a picture.", "Process it to see it.")
    total = np.zeros(movie.shape[1:], np.float32)
    for _, frame in zip(range(_MOST_PIXELS // pixels), movie.frames(), strict=False):
        total += frame
    return total


def _jpeg(image: NDArray[np.generic], pixel_A: float | None) -> bytes:
    """Return an image (y, x), rows upward, as JPEG; it is smoothed where its pixel size (Å) is known."""
    rows, columns = image.shape
    n = max(1, max(rows, columns) // _BINNED_PX)
    rows, columns = rows // n, columns // n
    binned = image[: rows * n, : columns * n].astype(np.float32).reshape(rows, n, columns, n).mean((1, 3))
    seen = smoothed(binned, n * pixel_A) if pixel_A else binned
    shown = shrunk(grey(seen), _PICTURE_PX)
    encoded = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(shown[::-1])).save(encoded, format="JPEG", quality=80)
    return encoded.getvalue()
