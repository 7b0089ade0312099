"""What a session has acquired, read from outside: its series for export, and a picture of how it went."""

import json
import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from eucentric.acquisition import Program, skip_uncertain
from eucentric.acquisition.past import past_of
from eucentric.acquisition.series_files import SeriesFiles, SeriesImage
from eucentric.core import SILENT, InputError, Reporter
from eucentric.io import read_plan
from eucentric.io.targets import read_targets
from eucentric.session import Event, ExposureRecord, ExposureState, read_events, read_exposures
from eucentric.workflow.acquire import PLAN, SERIES, TARGETS, gain_of

if TYPE_CHECKING:
    from eucentric.report.acquisition import TargetRun, Tracked


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


def write_acquisition_figure(folder: Path, path: Path) -> None:
    """Draw a session's acquisition, from its journal alone: tracking, misses, focus and exposure.

    Raises
    ------
    InputError
        If nothing was acquired there.
    OutputError
        If the picture cannot be written.
    """
    from eucentric.report.acquisition import acquisition_figure  # drawing loads for those who want a picture
    from eucentric.report.designs.files import write_figure

    plan, targets = read_plan(folder / PLAN), read_targets(folder / TARGETS)
    program = Program(plan, targets)
    events = read_events(folder, "acquisition.")
    if not any(event.kind == "acquisition.exposed" for event in events):
        raise InputError(f"{folder}: nothing was acquired in this session.", "Acquire first: eucentric acquire --help.")
    total_e_A2 = plan[-1].pre_exposure_e_A2 + plan[-1].exposure_e_A2
    runs = _runs(program, events, read_exposures(folder))
    write_figure(path, acquisition_figure(_tracked(program, events), runs, total_e_A2))


def _tracked(program: Program, events: Sequence[Event]) -> "Tracked":
    from eucentric.report.acquisition import Tracked

    looks, focused, tilt_deg, looked = [], [], 0.0, False
    for event in events:
        body = event.body
        if event.kind == "acquisition.tilt":
            tilt_deg, looked = body["tilt_deg"], False
        elif event.kind == "acquisition.saw" and body["place"] == program.tracked and not looked:
            looked = True  # the first look at a tilt is the one that was predicted
            looks.append((tilt_deg, *body["predicted_yx_A"], *body["yx_A"]))
        elif event.kind == "acquisition.focused":
            focused.append((tilt_deg, body["height_A"] - body["predicted_height_A"]))
    look, focus = np.array(looks).reshape(-1, 5), np.array(focused).reshape(-1, 2)
    return Tracked(look[:, 0], look[:, 1:3], look[:, 3:5], focus[:, 0], focus[:, 1])


def _runs(program: Program, events: Sequence[Event], records: Sequence[ExposureRecord]) -> "list[TargetRun]":
    from eucentric.report.acquisition import TargetRun

    exposed = [event for event in events if event.kind == "acquisition.exposed"]
    began = [_began(one) for one in records]
    start = min((time for time in began if time is not None), default=None)
    runs = []
    for name in program.names:
        images = [event.body for event in exposed if event.body["target"] == name]
        missed = [
            math.dist(one["measured_yx_A"], one["predicted_yx_A"]) if one["measured_yx_A"] else math.nan
            for one in images
        ]
        minutes, received, last = [], [], 0.0
        own = [(one, time) for one, time in zip(records, began, strict=True) if one.target == name and one.received]
        for one, time in own:
            last = (time - start).total_seconds() / 60 if time is not None and start is not None else last
            minutes.append(last)
            received.append(one.exposure_e_A2)
        runs.append(
            TargetRun(
                name,
                np.array([one["tilt_deg"] for one in images]),
                np.array(missed),
                np.array(minutes),
                np.cumsum(received),
                np.array([one.state is ExposureState.UNCERTAIN for one, _ in own], dtype=bool),
            )
        )
    return runs


def _began(record: ExposureRecord) -> datetime | None:
    """Return when an exposure began, by the microscope's clock; None where no readback tells."""
    readback = record.details.get("readback")
    return datetime.fromisoformat(readback["began"]) if readback else None
