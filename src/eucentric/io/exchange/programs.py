"""The programs that we exchange with, each by its name: who writes its files, who reads them, how they are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal, Protocol, cast, get_args

from eucentric.core import InputError
from eucentric.io.exchange.records import Exported, Imported, ProcessedSeries

Program = Literal["relion5", "warp", "imod", "aretomo", "cets", "portal"]
PROGRAMS: tuple[Program, ...] = get_args(Program)


class Writer(Protocol):
    """Writes series into a folder."""

    def __call__(self, folder: Path, series: Sequence[ProcessedSeries], *, copy: bool = False) -> Exported:
        """Write them; files that exist already are linked, or copied."""


class Reader(Protocol):
    """Reads the series of a project."""

    def __call__(self, path: Path) -> Imported:
        """Read them all."""


@dataclass(frozen=True)
class _Module:
    """Where a program's reader and writer are, and the files (as patterns below a folder) that are its own."""

    name: str
    marks: tuple[str, ...]


# The order in which a folder is looked through: a Warp project may hold RELION's files, and so on.
_MODULES: dict[Program, _Module] = {
    "cets": _Module("cets", ("*.cets.json",)),
    "portal": _Module("portal", ("**/tiltseries_metadata.json", "**/alignment_metadata.json")),
    "warp": _Module("warp", ("*.tomostar", "*/*.tomostar", "warp_tiltseries/*.xml")),
    "relion5": _Module(
        "relion", ("*tilt_series*.star", "tomograms.star", "*/job*/*tilt_series*.star", "*/job*/tomograms.star")
    ),
    "aretomo": _Module("aretomo", ("*.aln", "*/*.aln")),
    "imod": _Module("imod_project", ("*.edf", "*/*.edf", "tilt.com", "*/tilt.com", "*.xf", "*/*.xf")),
}


def writer(program: Program) -> Writer:
    """Return what writes a program's files."""
    return cast(Writer, _function("write", program))


def reader(program: Program) -> Reader:
    """Return what reads a program's files."""
    return cast(Reader, _function("read", program))


def recognise(path: Path) -> Program:
    """Return the program whose files a folder holds, or that a file is of, by their names alone.

    Raises
    ------
    InputError
        If there is no such path, or nothing there is known.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder.", "Check the path.")
    for program, module in _MODULES.items():
        for mark in module.marks:
            parent, _, name = mark.rpartition("/")
            if path.is_file() and path.match(name):
                return program
            # The folder may be that of the whole project, or the part of it where these files lie.
            inside = path.absolute().match(parent) if parent else False
            if path.is_dir() and any(next(path.glob(one), None) for one in ([mark, name] if inside else [mark])):
                return program
    raise InputError(
        f"{path}: nothing here is known to be of {', '.join(PROGRAMS)}.", "Say whose files these are with --from."
    )


def _function(verb: str, program: Program) -> object:
    # Imported by name when asked for: a command that needs one program does not wait for the others.
    module = _MODULES[program].name
    short = module.removesuffix("_project")
    return getattr(import_module(f"eucentric.io.exchange.{module}"), f"{verb}_{short}")
