"""Our own file of a processed series. Stacks beside it are named without their folder: all can move together."""

from pathlib import Path
from typing import Literal

from eucentric.core import Record
from eucentric.io._record_json import read_record_file, write_record_file
from eucentric.io.exchange.records import ProcessedSeries

_STACKS = ("stack", "even", "odd")


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
    folder = Path(path).parent
    stacks = {kind: getattr(processed.files, kind) for kind in _STACKS}
    beside = {kind: Path(stack.name) for kind, stack in stacks.items() if stack is not None and stack.parent == folder}
    files = processed.files.replace(**beside)
    write_record_file(path, _ProcessedFile(processed=processed.replace(files=files)))


def read_processed(path: Path) -> ProcessedSeries:
    """Read a processed series; nothing that it names is opened.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is not a processed series of ours, or of a newer version.
    """
    processed = read_record_file(path, _ProcessedFile, "a series", "Import it again.").processed
    stacks = {kind: getattr(processed.files, kind) for kind in _STACKS}
    placed = {kind: Path(path).parent / stack for kind, stack in stacks.items() if stack is not None}
    return processed.replace(files=processed.files.replace(**placed))
