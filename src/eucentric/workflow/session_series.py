"""The series in a session's folder, as acquisition leaves them: ``mdoc/`` has stacks and .mdocs, ``frames/`` movies."""

import re
import warnings
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Literal

from eucentric.core import DataWarning, InputError, is_file

Source = Literal["auto", "movies", "stack"]
"""What processing starts from: movies where there are any, else the stack; or one of the two."""

PLAN = "plan.yaml"
_FIX = "Acquire a series first, or name stacks themselves."
_MOVIE = re.compile(rb"^\s*SubFramePath\s*=\s*(.*?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Acquired:
    """A series of a session: its .mdoc where it is to start `from_movies`, else its stack."""

    path: Path
    from_movies: bool


@dataclass(frozen=True)
class _Listed:
    """What is in ``mdoc/``, by the names of stacks: stacks with their .mdoc, .mdocs, and what is wrong with others."""

    stacks: dict[str, Path]
    mdocs: dict[str, Path]
    halves: dict[str, tuple[str, str]]


def find_acquired(folder: Path, source: Source = "auto", frames: Path | None = None) -> tuple[Acquired, ...]:
    """Return a session's series, by name, with what each is to start from; nothing but .mdocs is opened.

    A series without a stack, whose acquisition was stopped before it was written, can start from its movies. An .mdoc
    without a stack whose movies another .mdoc names too is the same series in another order, as scripts keep it beside
    a stack that they sorted: it is passed over.

    Parameters
    ----------
    folder
        A session, or any folder with the like in it.
    source
        What to start from.
    frames
        Where movies are, if not beside the .mdocs or in ``frames/``.

    Raises
    ------
    InputError
        If there is none; it says what is missing.

    Warns
    -----
    DataWarning
        `no-mdoc`, `no-stack`, `no-movies`: what there is of a series is not enough, and it was left out.
    """
    folder = Path(folder)
    listed = _list(folder)
    found = {} if source == "stack" else _with_movies(listed, frames)
    halves = dict(listed.halves)
    if source == "movies":
        for name in sorted(set(listed.mdocs) - set(found)):
            halves[name] = (f"{listed.mdocs[name]}: none of the movies that it names was found", "no-movies")
    else:
        found = {name: Acquired(stack, from_movies=False) for name, stack in listed.stacks.items()} | found
    left_out = [half for name, half in halves.items() if name not in found]
    if not found:
        why = ". ".join(what for what, _ in left_out) or f"{folder / 'mdoc'} holds no stacks (.mrc)"
        raise InputError(f"{folder}: there is no series in it. {why}.", _FIX)
    for what, name in left_out:
        warnings.warn(f"{what}; it was left out. [{name}]", DataWarning, stacklevel=2)
    return tuple(found[name] for name in sorted(found))


def plan_beside(mdoc: Path) -> Path | None:
    """Return the plan of the session that an .mdoc lies in, if it lies in one that has a plan."""
    plan = mdoc.absolute().parent.with_name(PLAN)
    return plan if mdoc.absolute().parent.name == "mdoc" and plan.is_file() else None


def _list(folder: Path) -> _Listed:
    place = folder / "mdoc"
    if not place.is_dir():
        raise InputError(f"{folder}: there is no series in it, for it has no folder mdoc.", _FIX)
    # What begins with a dot is half-written, or another system's own.
    files = sorted(path for path in place.iterdir() if path.is_file() and not path.name.startswith("."))
    names = {path.name: path for path in files}
    mdocs: dict[str, Path] = {}
    for path in files:
        if path.suffix == ".mdoc":
            whole = path.name.endswith(".mrc.mdoc")
            stack = path.stem if whole else f"{path.stem}.mrc"
            if whole or f"{stack}.mdoc" not in names:
                mdocs[stack] = path
    stacks = {path.name: path for path in files if path.suffix == ".mrc" and path.name in mdocs}
    for stack in _told_twice(mdocs, set(stacks)):
        del mdocs[stack]
    halves = {
        path.name: (f"{path}: this stack has no .mdoc beside it", "no-mdoc")
        for path in files
        if path.suffix == ".mrc" and path.name not in mdocs
    }
    for stack, mdoc in mdocs.items():
        if stack not in names and mdoc.name.endswith(".mrc.mdoc"):
            what = f"{mdoc}: there is no stack {stack} beside it; its acquisition may not have ended"
            halves[stack] = (what, "no-stack")
    return _Listed(stacks, mdocs, halves)


def _with_movies(listed: _Listed, frames: Path | None) -> dict[str, Acquired]:
    found = {}
    for stack, mdoc in listed.mdocs.items():
        folders = (frames,) if frames else (mdoc.parent, mdoc.parent.with_name("frames"))
        if any(is_file(folder / movie) for folder in folders for movie in _movies(mdoc)):
            found[stack] = Acquired(mdoc, from_movies=True)
    return found


def _told_twice(mdocs: dict[str, Path], whole: set[str]) -> list[str]:
    """Return the names of series without a stack whose movies are all in an .mdoc that stays."""
    if len(whole) == len(mdocs):
        return []
    movies = {name: _movies(mdoc) for name, mdoc in mdocs.items()}
    stays, twice = [movies[name] for name in whole], []
    for name in sorted(set(mdocs) - whole, key=lambda name: (-len(movies[name]), name)):
        if movies[name] and any(movies[name] <= others for others in stays):
            twice.append(name)
        else:
            stays.append(movies[name])
    return twice


def _movies(mdoc: Path) -> set[str]:
    """Return the file names of the movies that an .mdoc names."""
    try:
        named = _MOVIE.findall(mdoc.read_bytes())
    except OSError:  # it is told when the series is read
        return set()
    return {PureWindowsPath(path.decode("utf-8", "replace")).name for path in named} - {""}
