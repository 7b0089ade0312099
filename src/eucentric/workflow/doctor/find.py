"""What there is to look at: the .mdoc files and stacks that paths on a command line mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eucentric.workflow.doctor.facts import STACK_SUFFIXES, Folders, angles_of

_SAID = 5  # folders that are named


@dataclass(frozen=True)
class Found:
    """Files to look at, and what to say of folders in which there are none."""

    files: tuple[Path, ...]
    empty: dict[Path, str]


def find(paths: Sequence[Path], folders: Folders) -> Found:
    """Find the .mdoc files and stacks that `paths` mean, each once.

    A folder means the .mdoc files in it and in its ``mdoc`` (as a session has), and the stacks in it that have a list
    of angles and no .mdoc. Deeper folders are not searched; where nothing is found, those that have some are named.
    """
    files: dict[Path, None] = {}
    empty: dict[Path, str] = {}
    for path in paths:
        if not path.is_dir():
            files[_mdoc_of(path, folders)] = None
            continue
        inside = _inside(path, folders)
        if (path / "mdoc").is_dir():
            inside += _inside(path / "mdoc", folders)
        if not inside:
            empty[path] = _where_else(path, folders)
        files.update(dict.fromkeys(inside))
    return Found(tuple(files), empty)


def _inside(folder: Path, folders: Folders) -> list[Path]:
    names = sorted(folders.names(folder))
    found = [folder / name for name in names if name.lower().endswith(".mdoc") and not name.startswith(".")]
    have_mdoc = {path.name.removesuffix(".mdoc") for path in found}
    for name in names:
        stem, dot, _ = name.rpartition(".")
        if not dot or not name.lower().endswith(STACK_SUFFIXES) or {name, stem} & have_mdoc:
            continue
        if angles_of(stem, folder, folders) is not None:
            found.append(folder / name)
    return found


def _mdoc_of(path: Path, folders: Folders) -> Path:
    """Return the .mdoc of a stack, or the path itself."""
    if path.suffix.lower() not in STACK_SUFFIXES:
        return path
    names = folders.names(path.parent)
    for name in (f"{path.name}.mdoc", f"{path.stem}.mdoc"):
        if name in names:
            return path.parent / name
    return path


def _where_else(folder: Path, folders: Folders) -> str:
    below = [
        name
        for name in sorted(folders.names(folder))
        if (folder / name).is_dir() and any(one.lower().endswith(".mdoc") for one in folders.names(folder / name))
    ]
    if not below:
        return f"{folder} holds no .mdoc."
    more = ", ..." if len(below) > _SAID else ""
    return f"{folder} holds no .mdoc; there are some in {', '.join(below[:_SAID])}{more} below it."
