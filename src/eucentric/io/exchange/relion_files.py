"""The files that a RELION project names: looked for inside the folders given, and nowhere else."""

import warnings
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from eucentric.core import EucentricError, FormatWarning
from eucentric.io.exchange.star import MISSING
from eucentric.io.mrc import open_mrc


def find(name: str, folders: Sequence[Path]) -> Path | None:
    """Return the file that a project calls `name`, looked for inside `folders` alone.

    Names are counted from where RELION was run, which may lie above the folders: leading parts are left off one by one.
    """
    name = name.removesuffix(":mrc").removesuffix(":mrcs").replace("\\", "/")
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", ".")][-20:]
    if not parts or name == MISSING or ".." in parts:
        parts = [part for part in parts[-1:] if part not in ("..", MISSING)]
    for i in range(len(parts)):
        for folder in folders:
            path = folder.joinpath(*parts[i:])
            try:
                if path.is_file():
                    return path
            except (OSError, ValueError):  # a name too long, or with letters that no file can have
                continue
    return None


def mrc_size(path: Path | None) -> tuple[int, int, int] | None:
    """Return the size of an MRC file, or None where it cannot be told."""
    if path is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FormatWarning)  # only its size is wanted
            n, rows, columns = open_mrc(path).data.shape
    except EucentricError:
        return None
    return n, rows, columns
