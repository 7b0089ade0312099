"""Files of our own that hold one record: JSON that names its kind and version, every field there, nothing rounded."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from eucentric.core import FormatError, Record, write_text
from eucentric.io._text import read_text

F = TypeVar("F", bound=Record)


def write_record_file(path: Path, file: Record) -> None:
    """Write the record of a file.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_text(Path(path), file.model_dump_json(indent=1) + "\n")


def read_record_file(path: Path, kind: type[F], what: str, fix: str) -> F:
    """Read the record of a file; `what` it should be, and how to `fix` it, are told where it is none.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is of another kind, or of a newer version.
    """
    try:
        return kind.model_validate_json(read_text(Path(path), what))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise FormatError(f"{path}: not {what} written by Eucentric ({where}: {first['msg']}).", fix) from error
