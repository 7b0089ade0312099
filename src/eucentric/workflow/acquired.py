"""What a session has acquired, read from outside: its series, for export."""

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from eucentric.acquisition import skip_uncertain
from eucentric.acquisition.past import past_of
from eucentric.acquisition.series_files import SeriesFiles, SeriesImage
from eucentric.core import SILENT, InputError, Reporter
from eucentric.session import read_events, read_exposures
from eucentric.workflow.acquire import SERIES, gain_of


def acquired_series(folder: Path) -> Iterator[tuple[SeriesFiles, list[SeriesImage]]]:
    """Give the files of each series of a session, with its images in the order of acquisition.

    Raises
    ------
    InputError
        If the folder is no session, or nothing was acquired in it.
    FormatError
        If its journal is damaged.
    """
    described = {event.series: event.body for event in read_events(folder, SERIES)}
    if not described:
        raise InputError(f"{folder}: nothing was acquired in this session.", "Acquire first: eucentric acquire --help.")
    past, _ = past_of(
        read_exposures(folder), has_movie=lambda name: (folder / "frames" / name).is_file(), retake=skip_uncertain
    )
    for body in described.values():
        try:
            files = SeriesFiles.model_validate_json(json.dumps({**body, "folder": str(folder)}))
        except ValidationError as error:
            raise InputError(f"{folder}: its series were described by another version.") from error
        yield files, past.images.get(files.name, [])


def export_sorted(folder: Path, output: Path, reporter: Reporter = SILENT) -> list[Path]:
    """Write the stack of each series of a session sorted by tilt, with its angles and .mdoc, and return the files.

    Raises
    ------
    InputError
        If there is nothing to export, or the output is where the unsorted stacks are.
    OutputError
        If a file cannot be written.

    Warns
    -----
    DataWarning
        `movie-left-out`, `no-movies`: as for `SeriesFiles.write_stack`.
    """
    gain = gain_of(folder)
    series = [(files, images) for files, images in acquired_series(folder) if images]
    if not series:
        raise InputError(
            f"{folder}: there is no movie of its exposures to make a stack of.",
            "A run with --no-pixels makes none.",
        )
    return [path for files, images in series for path in files.write_sorted(images, output, gain, reporter)]
