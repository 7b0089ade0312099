"""Where exports put files that exist already: as links, which cost nothing, or as copies, which can be taken away.

A folder keeps a list of the copies that an export made in it, so that a later export replaces these and nothing else.
"""

import json
import shutil
from pathlib import Path

from eucentric.core import InputError, OutputError, make_folder, whole_or_nothing, write_text

COPIES = ".eucentric-copies.json"
"""The list of copies in a folder: for each name its size in bytes and its time in ns, as they were left."""

_MAX_BYTES = 64 << 20


def place(source: Path, destination: Path, *, copy: bool = False) -> Path:
    """Link `destination` to `source`, or copy it there, and return `destination`.

    A link, or a copy that an earlier export made and nobody changed since, is replaced.

    Raises
    ------
    InputError
        If there is no such source.
    OutputError
        If another file stands there, or it cannot be written; nothing was replaced.
    """
    source, destination = Path(source), Path(destination)
    if not source.is_file():
        raise InputError(f"{source}: no such file.", "Process the series again, or leave it out of the export.")
    make_folder(destination.parent)
    if destination.exists() or destination.is_symlink():
        same = destination.exists() and destination.resolve() == source.resolve()
        if same and (not copy or not destination.is_symlink()):
            return destination
        if not destination.is_symlink() and _copies(destination.parent).get(destination.name) != _left(destination):
            raise OutputError(f"{destination}: another file stands here; it was not replaced.", "Export elsewhere.")
    with whole_or_nothing(destination) as partial:
        if copy:
            shutil.copyfile(source, partial)
            # Before the copy has its name: after a crash between the two, the list names what is not there.
            copies = _copies(destination.parent) | {destination.name: _left(partial)}
            write_text(destination.parent / COPIES, json.dumps(copies, indent=1) + "\n")
        else:
            partial.symlink_to(source.resolve())
    return destination


def _left(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def _copies(folder: Path) -> dict[str, list[int]]:
    """Return the list of a folder; nothing where there is none that can be read, for then no file is ours for sure."""
    path = folder / COPIES
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.stat().st_size <= _MAX_BYTES else None
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
