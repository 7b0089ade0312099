"""Our own file of an alignment."""

from pathlib import Path
from typing import Literal

from eucentric.core import Alignment, Record
from eucentric.io._record_json import read_record_file, write_record_file


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
    write_record_file(path, _AlignmentFile(alignment=alignment))


def read_alignment(path: Path) -> Alignment:
    """Read an alignment.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is not an alignment of ours, or of a newer version.
    """
    return read_record_file(path, _AlignmentFile, "an alignment", "Write it again.").alignment
