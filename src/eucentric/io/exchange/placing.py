"""Where exports put files that exist already: as links, which cost nothing, or as copies, which can be taken away."""

import shutil
from pathlib import Path

from eucentric.core import InputError, OutputError, make_folder, whole_or_nothing


def place(source: Path, destination: Path, *, copy: bool = False) -> Path:
    """Link `destination` to `source`, or copy it there, and return `destination`.

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
        if destination.exists() and destination.resolve() == source.resolve():
            return destination
        if not destination.is_symlink():
            raise OutputError(f"{destination}: another file stands here; it was not replaced.", "Export elsewhere.")
    with whole_or_nothing(destination) as partial:
        if copy:
            shutil.copyfile(source, partial)
        else:
            partial.symlink_to(source.resolve())
    return destination
