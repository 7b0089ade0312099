"""What the doctor's checks and the models of the consumers look at: one series, and what lies beside it."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eucentric.core import EucentricError, EucentricWarning, FormatError
from eucentric.io import MdocSection, open_mrc, read_angles
from eucentric.io.mdoc import MdocExamination
from eucentric.io.mdoc_text import RawSection
from eucentric.io.movies import MRC_SUFFIXES, TIFF_SUFFIXES, MovieFile, open_movie

STACK_SUFFIXES = (".mrc", ".st", ".mrcs", ".ali")
MOVIE_SUFFIXES = (*TIFF_SUFFIXES, *MRC_SUFFIXES, ".eer")

Met = tuple[str, Sequence[int], str]
"""A trap met: its name, its lines, and what stands there."""


class Folders:
    """The names in each folder, listed once; a folder that cannot be listed has none."""

    def __init__(self) -> None:
        self._names: dict[Path, frozenset[str]] = {}

    def names(self, folder: Path) -> frozenset[str]:
        """Return the names in `folder`."""
        if folder not in self._names:
            try:
                self._names[folder] = frozenset(entry.name for entry in folder.iterdir())
            except OSError:
                self._names[folder] = frozenset()
        return self._names[folder]


@dataclass(frozen=True)
class Stack:
    """A stack: its path, and its sections, size and pixel; or what is wrong with it."""

    path: Path
    n: int = 0
    shape_yx: tuple[int, int] = (0, 0)
    pixel_A: float | None = None
    tilts_deg: tuple[float, ...] | None = None
    wrong: str = ""
    is_cut: bool = False


@dataclass(frozen=True)
class Facts:
    """A series as it lies on disk.

    Attributes
    ----------
    path
        Its .mdoc, or its stack where it has none.
    examined
        What is in the .mdoc.
    stack, angles_path, angles_deg, angles_wrong
        The stack, and the list of angles beside it.
    movies
        By file name, those that the .mdoc names and that were found.
    movie_errors
        By file name, those found that cannot be opened.
    looked_in
        Where movies were looked for; empty where they were not.
    """

    path: Path
    examined: MdocExamination | None = None
    stack: Stack | None = None
    angles_path: Path | None = None
    angles_deg: tuple[float, ...] = ()
    angles_wrong: str = ""
    movies: dict[str, MovieFile] = field(default_factory=dict)
    movie_errors: dict[str, str] = field(default_factory=dict)
    looked_in: tuple[Path, ...] = ()

    @property
    def raw_sections(self) -> tuple[RawSection, ...]:
        """All sections of the .mdoc, as they stand."""
        return self.examined.raw.sections if self.examined else ()

    @property
    def sections(self) -> tuple[MdocSection, ...]:
        """Those sections that can be read, by ZValue."""
        return self.examined.series.sections if self.examined and self.examined.series else ()

    def lines_of(self, z_values: Iterable[int], key: str) -> list[int]:
        """Return where `key` stands in each section, or where the section begins; of duplicates the later counts."""
        by_z = {z_of(raw): raw for raw in self.raw_sections}
        return [by_z[z].lines.get(key, by_z[z].line) for z in z_values if z in by_z]

    @property
    def found(self) -> frozenset[str]:
        """The names of the movies that are on disk."""
        return frozenset((*self.movies, *self.movie_errors))


def z_of(section: RawSection) -> int | None:
    """Return the ZValue of a section, if it is a whole number."""
    text = section.get("ZValue", "").strip("[]").strip()
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return int(number) if (number := float(text)).is_integer() else None
    except (ValueError, OverflowError):
        return None


def short_name(name: str) -> str:
    """Return a name as RELION 5 compares it: without all that follows its first dot (`basename` of its file.py)."""
    while 0 < (dot := name.rfind(".")) < len(name) - 1:
        name = name[:dot]
    return name


def look_at_stack(path: Path) -> Stack:
    """Return what the header of a stack says."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EucentricWarning)
            image = open_mrc(path)
    except EucentricError as error:
        is_cut = isinstance(error, FormatError) and "the header promises" in error.what
        return Stack(path, wrong=error.what, is_cut=is_cut)
    n, y, x = image.data.shape
    return Stack(path, n, (y, x), image.pixel_A, image.tilts_deg)


def look_at_angles(path: Path) -> tuple[tuple[float, ...], str]:
    """Return a list of angles, or what is wrong with it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EucentricWarning)
            return read_angles(path), ""
    except EucentricError as error:
        return (), error.what


def stack_of(mdoc: Path, image_file: str | None, folders: Folders) -> Path | None:
    """Return the stack that an .mdoc belongs to, if it lies beside it."""
    names = folders.names(mdoc.parent)
    base = mdoc.name.removesuffix(".mdoc")
    wanted = [base] if base.lower().endswith(STACK_SUFFIXES) else [base + suffix for suffix in STACK_SUFFIXES]
    wanted += [image_file] if image_file and image_file.lower().endswith(STACK_SUFFIXES) else []
    for name in wanted:
        if name in names and (mdoc.parent / name).is_file():
            return mdoc.parent / name
    return None


def angles_of(stem: str, folder: Path, folders: Folders) -> Path | None:
    """Return the list of angles of a stack or series of this name."""
    names = folders.names(folder)
    for suffix in (".rawtlt", ".tlt"):
        if stem + suffix in names and (folder / (stem + suffix)).is_file():
            return folder / (stem + suffix)
    return None


def movie_folders(mdoc: Path, frames: Path | None) -> tuple[Path, ...]:
    """Return where the movies of an .mdoc are looked for, as by `io.movie_series`: no path in the file is followed."""
    if frames is not None:
        return (frames,)
    return (mdoc.parent, mdoc.parent / "frames", mdoc.parent.parent / "frames")


def look_at_movies(
    names: Sequence[str], places: Sequence[Path], folders: Folders
) -> tuple[dict[str, MovieFile], dict[str, str]]:
    """Return those movies of these names that can be opened, and what is wrong with the others that are there."""
    opened: dict[str, MovieFile] = {}
    errors: dict[str, str] = {}
    for name, path in _found(names, places, folders):
        if path.suffix.lower() not in MOVIE_SUFFIXES:
            errors[name] = f"{path}: this is no movie."
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", EucentricWarning)
                opened[name] = open_movie(path, tolerant=True)
        except EucentricError as error:
            errors[name] = error.what
    return opened, errors


def _found(names: Sequence[str], places: Sequence[Path], folders: Folders) -> Iterator[tuple[str, Path]]:
    for name in dict.fromkeys(names):
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            continue
        for place in places:
            if name in folders.names(place):
                yield name, place / name
                break
