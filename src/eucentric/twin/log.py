"""`TwinLog`: the twin's own record of what hit the specimen, and of its state, so that another process can take it up.

``exposures.jsonl`` has a line for each exposure, written and flushed to disk as the shutter opens; nobody but the twin
writes there. ``twin.jsonl`` has, before each of them, the state that the microscope will be in after it.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from eucentric.core import Degrees, ElectronsPerA2, FormatError, OutputError, Record, make_folder
from eucentric.microscope import ExposureRequest
from eucentric.twin.delivered import Spot
from eucentric.twin.states import TwinState
from eucentric.twin.truth import ExposureTruth

LOG = "exposures.jsonl"
STATES = "twin.jsonl"
TRUTHS = "truths.jsonl"


class LoggedExposure(Record):
    """An exposure that hit the specimen: for which target and tilt of the plan, at what tilt of the stage, how much."""

    target: str
    order: int | None
    tilt_deg: Degrees
    exposure_e_A2: ElectronsPerA2
    purpose: str


class Armed(Record):
    """An exposure about to be made: its beam, and the state after it."""

    spot: Spot
    state: TwinState


class TwinLog:
    """The files of one twin, in a folder; opened again, they say where it was left.

    Raises
    ------
    OutputError
        If the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = make_folder(folder)
        try:
            self._log, self._states, self._truths = (_Lines(folder / name) for name in (LOG, STATES, TRUTHS))
        except OSError as error:
            raise OutputError(f"{folder}: the twin's record cannot be kept here ({error.strerror}).") from error

    def hit(self, spot: Spot, state: TwinState, request: ExposureRequest) -> None:
        """Write the state after an exposure, then that the specimen is hit, which is on disk when this returns.

        Parameters
        ----------
        spot
            The beam.
        state
            Of the microscope after the exposure.
        request
            What is exposed.
        """
        self._states.add(Armed(spot=spot, state=state).model_dump(mode="json"))
        exposure = LoggedExposure(
            target=request.target,
            order=request.order,
            tilt_deg=state.stage.position.tilt_deg,
            exposure_e_A2=request.exposure_e_A2,
            purpose=request.purpose,
        )
        self._log.add(exposure.model_dump(mode="json"), sync=True)

    def tell(self, truth: ExposureTruth) -> None:
        """Write all that is true of an exposure, once its image is formed."""
        self._truths.add(truth.model_dump(mode="json"))

    def history(self) -> tuple[list[Spot], TwinState | None]:
        """Return the beams that hit the specimen so far, and the state after the last; None if there was none.

        An exposure that was armed and did not fire is not among them: the next one takes its number.
        """
        fired = len(read_log(self.folder))
        after: dict[int, Armed] = {}
        for line in _read(self.folder / STATES):
            armed = Armed.model_validate(line)
            after[armed.state.exposures] = armed  # a later one of the same number replaces one that never fired
        made = [after[number] for number in range(1, fired + 1) if number in after]
        if len(made) != fired:
            raise FormatError(
                f"{self.folder / STATES}: it tells of {len(made)} of {fired} exposures; the twin cannot go on from it.",
                "Put the file back, or begin a new session.",
            )
        return [one.spot for one in made], made[-1].state if made else None


def read_log(folder: Path) -> tuple[LoggedExposure, ...]:
    """Return what hit the specimen, in order, from a twin's folder of truth.

    Raises
    ------
    FormatError
        If a line is none of ours.
    """
    path = folder / LOG
    try:
        return tuple(LoggedExposure.model_validate(line) for line in _read(path))
    except ValidationError as error:
        raise FormatError(f"{path}: a line is no exposure ({error.errors()[0]['msg']}).") from error


def read_truths(folder: Path) -> tuple[ExposureTruth, ...]:
    """Return what is true of each exposure whose image was formed, in order, from a twin's folder of truth."""
    return tuple(ExposureTruth.model_validate(line) for line in _read(folder / TRUTHS))


class _Lines:
    """A file that lines are appended to, each whole, also after one that a power loss cut short."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("ab", buffering=0) as file:
            if path.stat().st_size and _last_byte(path) != b"\n":
                file.write(b"\n")

    def add(self, values: dict[str, Any], *, sync: bool = False) -> None:
        with self._path.open("ab", buffering=0) as file:
            file.write(json.dumps(values).encode() + b"\n")  # one call, which a kill cannot cut
            if sync:
                os.fsync(file.fileno())


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1)


def _read(path: Path) -> Iterator[dict[str, Any]]:
    """Give the lines of a file; what a power loss left of one is passed over."""
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue
