"""Whole-or-nothing writing: a file or folder appears under its name only when all of it is on disk."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eucentric.core.errors import OutputError

_PARTIAL = ".partial-"  # prefix of temporary names; `remove_partials` clears what a killed run left


def _explain(error: OSError, path: Path) -> OutputError:
    if error.errno == errno.ENOSPC:
        return OutputError(
            f"{path}: the disk is full; nothing of this file was kept, earlier results are untouched.",
            "Free some space and run the same command again: it carries on from the last finished step.",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"{path}: this place cannot be written to ({error.strerror}).", "Choose another --output.")
    return OutputError(f"{path}: writing failed ({error.strerror or error}); nothing of this file was kept.")


def make_folder(path: Path) -> Path:
    """Make a folder and its parents, and return it.

    Raises
    ------
    OutputError
        If the folder cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(
            f"{path}: a file of this name is in the way of a folder.", "Choose another --output."
        ) from error
    except NotADirectoryError as error:
        raise OutputError(f"{path}: one of its parents is a file.", "Choose another --output.") from error
    except OSError as error:
        raise _explain(error, path) from error
    return path


@contextmanager
def whole_or_nothing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on leaving without an error, flush it and rename it to `path`.

    Works for a file and for a folder (such as a Zarr group). If the body fails, the temporary is removed
    and whatever stood at `path` before still stands there.

    Raises
    ------
    OutputError
        If the place cannot be written to or the disk is full.
    """
    make_folder(path.parent)
    partial = path.parent / f"{_PARTIAL}{uuid.uuid4().hex[:8]}-{path.name}"
    try:
        try:
            yield partial
            _flush(partial)
            _put_in_place(partial, path)
        except OSError as error:
            raise _explain(error, path) from error
    finally:
        _remove(partial)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all."""
    with whole_or_nothing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def remove_partials(folder: Path) -> list[Path]:
    """Remove the temporaries that a killed run left anywhere below `folder`, and return their paths."""
    left = [path for path in sorted(folder.rglob(f"{_PARTIAL}*")) if path.name.startswith(_PARTIAL)]
    for path in left:
        _remove(path)
    return left


def _flush(path: Path) -> None:
    """Force a file, or every file of a folder, to disk, so that the rename cannot outrun the data."""
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())


def _put_in_place(partial: Path, path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        # A folder cannot be replaced in one step: the old one is moved aside first and removed last.
        old = path.parent / f"{_PARTIAL}{uuid.uuid4().hex[:8]}-old-{path.name}"
        path.rename(old)
        partial.rename(path)
        _remove(old)
    else:
        partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
