"""Our own file of a processed series: JSON that names its kind and version, and holds every field of the record."""

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from eucentric.core import FormatError, Record, write_text
from eucentric.io._text import read_text
from eucentric.io.exchange.records import ProcessedSeries


class _ProcessedFile(Record):
    kind: Literal["eucentric.processed-series"] = "eucentric.processed-series"
    version: Literal[1] = 1
    processed: ProcessedSeries


def write_processed(path: Path, processed: ProcessedSeries) -> None:
    """Write a processed series, nothing rounded.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_text(Path(path), _ProcessedFile(processed=processed).model_dump_json(indent=1) + "\n")


def read_processed(path: Path) -> ProcessedSeries:
    """Read a processed series; nothing that it names is opened.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is not a processed series of ours, or of a newer version.
    """
    try:
        return _ProcessedFile.model_validate_json(read_text(Path(path), "a processed series")).processed
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise FormatError(
            f"{path}: not a series written by Eucentric ({where}: {first['msg']}).", "Import it again."
        ) from error
