"""Our own file of an alignment: JSON that names its kind and version, and holds every field of the record."""

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from eucentric.core import Alignment, FormatError, Record, write_text
from eucentric.io._text import read_text


class _AlignmentFile(Record):
    kind: Literal["eucentric.alignment"] = "eucentric.alignment"
    version: Literal[1] = 1
    alignment: Alignment


def write_alignment(path: Path, alignment: Alignment) -> None:
    """Write an alignment, nothing rounded.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_text(Path(path), _AlignmentFile(alignment=alignment).model_dump_json(indent=1) + "\n")


def read_alignment(path: Path) -> Alignment:
    """Read an alignment.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is not an alignment of ours, or of a newer version.
    """
    try:
        return _AlignmentFile.model_validate_json(read_text(Path(path), "an alignment")).alignment
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise FormatError(
            f"{path}: not an alignment written by Eucentric ({where}: {first['msg']}).", "Write it again."
        ) from error
