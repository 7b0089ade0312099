"""The images of a Warp project: a stack of all tilts, or the averages of its movies, one by one.

Warp keeps averages below the folder in which frames were processed: average/NAME.mrc, and average/even and average/odd.
A .tomostar and an XML name each movie by its place in that folder (`Movie.AverageDir`).
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from eucentric.core import EucentricError, FormatWarning, is_file
from eucentric.io.exchange.records import SeriesFiles
from eucentric.io.mrc import MrcImage, open_mrc

_AGREE = 0.01  # of the size: averages are cut to even numbers of pixels, and pixels are told with few decimals

Images = tuple[Path | None, ...]


@dataclass(frozen=True)
class FoundImages:
    """Where images lie, and their pixel and shape."""

    files: SeriesFiles
    pixel_A: float
    shape_yx: tuple[int, int]


def find_images(
    folder: Path,
    stacks: Sequence[Path],
    movies: Sequence[str],
    n: int,
    size_xy_A: Sequence[float] | None,
    dropped: list[str],
) -> FoundImages | None:
    """Return the finer of a stack and the averages: Warp aligns by binned stacks, and reconstructs from averages.

    Parameters
    ----------
    folder
        Of the project; nothing outside it is opened.
    stacks
        Of this series.
    movies
        As the series names them, one a tilt; none where it does not.
    n
        How many tilts there are.
    size_xy_A
        Of the images that the alignment is for, where it says so.
    dropped
        Is added to: what was not taken, and why.
    """
    stack, found = _of_stack(stacks, n, dropped), _of_averages(folder, movies, size_xy_A, dropped)
    if stack is None or found is None:
        return stack or found
    if found.pixel_A < (1 - _AGREE) * stack.pixel_A:
        dropped.append(f"{stack.files.stack}: this stack was not taken; the averages of the movies are finer.")
        return found
    if found.shape_yx != stack.shape_yx or found.pixel_A > (1 + _AGREE) * stack.pixel_A:
        return stack
    halves = {kind: getattr(found.files, kind) for kind in ("even_images", "odd_images")}
    return FoundImages(stack.files.replace(**halves), stack.pixel_A, stack.shape_yx)


def _of_stack(stacks: Sequence[Path], n: int, dropped: list[str]) -> FoundImages | None:
    for path in stacks[:1]:
        stack = open_or_none(path)
        if stack is not None and stack.pixel_A and stack.data.shape[0] == n:
            return FoundImages(SeriesFiles(stack=path), stack.pixel_A, (stack.data.shape[1], stack.data.shape[2]))
        dropped.append(f"{path}: this stack was not taken; it does not have all {n} tilts, or no pixel size.")
    return None


def _of_averages(
    folder: Path, movies: Sequence[str], size_xy_A: Sequence[float] | None, dropped: list[str]
) -> FoundImages | None:
    even, odd = (_averages(folder, movies, half) for half in ("even", "odd"))
    images = _averages(folder, movies)
    opened = [one for path in images if path is not None and (one := open_or_none(path)) is not None]
    if not opened:
        return None
    (rows, columns), _ = Counter(one.data.shape[1:] for one in opened).most_common(1)[0]
    told_A, _ = Counter(one.pixel_A for one in opened if one.data.shape[1:] == (rows, columns)).most_common(1)[0]
    pixel_A = _pixel_A((columns, rows), told_A, size_xy_A)
    if size_xy_A is not None and (pixel_A is None or told_A not in (None, pixel_A)):
        told = f" of {told_A:g} Å" if told_A else ""
        dropped.append(
            f"{opened[0].path}: this average and others have {columns} x {rows} pixels{told}, but the"
            f" alignment is of images of {size_xy_A[0]:.0f} x {size_xy_A[1]:.0f} Å; "
            + (f"they were taken, with a pixel of {pixel_A:g} Å." if pixel_A else "they were not taken.")
        )
    if pixel_A is None:
        return None
    return FoundImages(SeriesFiles(images=images, even_images=even, odd_images=odd), pixel_A, (rows, columns))


def _averages(folder: Path, movies: Sequence[str], half: str = "") -> Images:
    """Return the average of each movie, or that of its even or odd frames; () where there is none at all.

    Of a movie's path, only its name and that of its own folder count.
    """
    others = [path.parent for path in sorted(folder.glob("*/average"))]
    found = []
    for movie in movies:
        named = PureWindowsPath(movie)  # which knows both kinds of slashes
        own = [folder / named.parent.name] if named.parent.name not in ("", "..") else []
        places = (place / "average" / half / f"{named.stem}.mrc" for place in (*own, folder, *others))
        found.append(next(filter(is_file, places), None) if named.stem not in ("", "..") else None)
    return tuple(found) if any(found) else ()


def _pixel_A(size_xy: tuple[int, int], told_A: float | None, size_xy_A: Sequence[float] | None) -> float | None:
    """Return the pixel with which images are as large as the alignment says; None where none is, or nobody says."""
    if size_xy_A is None:
        return told_A
    x_A, y_A = (size_A / n for size_A, n in zip(size_xy_A, size_xy, strict=True))
    if not 0.01 <= x_A <= 1e3 or abs(y_A / x_A - 1) > _AGREE:
        return None
    return told_A if told_A is not None and abs(x_A / told_A - 1) <= _AGREE else x_A


def open_or_none(path: Path) -> MrcImage | None:
    """Open an image that the series can do without."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FormatWarning)  # whoever reads its pixels will be told
            return open_mrc(path)
    except EucentricError:
        return None
