"""Whole-or-nothing writing: a file or folder appears under its name only when all of it is on disk."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from eucentric.core.errors import OutputError

# Prefixes of temporary names, before eight hexadecimal digits; `remove_partials` clears what a killed run left.
_PARTIAL = ".partial-"  # a result in the making
_ASIDE = ".aside-"  # a whole folder on its way to be replaced


def _explain(error: OSError, path: Path) -> OutputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
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


def is_file(path: Path) -> bool:
    """Whether there is such a file; no name that another file gives, too long for any disk say, is an error."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


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
    partial = _temporary(_PARTIAL, path)
    try:
        try:
            yield partial
            _flush(partial)
            _put_in_place(partial, path)
        except OSError as error:
            if _names_another_file(error, path, partial):
                raise
            raise _explain(error, path) from error
    finally:
        _remove(partial)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all."""
    with whole_or_nothing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def remove_partials(folder: Path) -> list[Path]:
    """Clear the temporaries that a killed run left anywhere below `folder`, and return their paths.

    A folder that had been moved aside and not yet replaced is put back.
    """
    aside = sorted(folder.rglob(f"{_ASIDE}????????-*"))
    for old in aside:
        path = old.with_name(old.name[len(_ASIDE) + 9 :])
        if path.exists():
            _remove(old)
        else:
            old.rename(path)
    partials = sorted(folder.rglob(f"{_PARTIAL}????????-*"))
    for partial in partials:
        _remove(partial)
    return aside + partials


def _temporary(prefix: str, path: Path) -> Path:
    return path.with_name(f"{prefix}{uuid.uuid4().hex[:8]}-{path.name}")


def _names_another_file(error: OSError, path: Path, partial: Path) -> bool:
    """Whether an error from the body is about a file that it reads, say, and not about writing this one."""
    if not isinstance(error.filename, str) or error.errno in (errno.ENOSPC, errno.EDQUOT):
        return False
    named = Path(error.filename).absolute()
    return named not in (path.absolute(), path.parent.absolute()) and not named.is_relative_to(partial.absolute())


def _flush(path: Path) -> None:
    """Force a file, or a folder with all that is in it, to disk, so that the rename cannot outrun the data."""
    for part in (path, *path.rglob("*")):
        if not part.is_symlink():
            _sync(part)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _put_in_place(partial: Path, path: Path) -> None:
    if partial.is_dir() and path.is_dir() and not path.is_symlink():
        # A folder cannot be replaced in one step: the old one is moved aside first and removed last.
        old = _temporary(_ASIDE, path)
        path.rename(old)
        try:
            partial.rename(path)
        except OSError:
            old.rename(path)
            raise
        _remove(old)
    else:
        partial.replace(path)
    _sync(path.parent)


def _remove(path: Path) -> None:
    with suppress(OSError):  # what cannot be removed must not hide why it is being removed
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
