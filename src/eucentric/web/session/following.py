"""Follows the journal of a session, and keeps by series what it has told; nothing is read twice, and nothing missed.

The journal is append-only: what comes after the last number that was seen is all that is new, however long nobody
looked.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern
from typing import Any, NamedTuple

from eucentric.session import Event, RunStatus, read_events
from eucentric.session.journal import JOURNAL
from eucentric.workflow.live.preview import PREVIEW

LOOK = "look-"
"""What the names of stages begin with that look at one tilt."""

_ACQUIRING = {
    "acquisition.started": True,
    "acquisition.ended": False,
    "rehearsal.begun": True,
    "rehearsal.ended": False,
}
NO_STAMP = (0, 0)
"""Of a file that is not there."""

_FRESH_AFTER = 10  # looks in a row at a journal that seems unchanged, before it is read all the same


class File(NamedTuple):
    """A file that a stage was given or has made; a session has hundreds of thousands, so it is no `Fingerprint`."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(slots=True)
class Run:
    """The latest run of a stage."""

    stage: str
    number: int
    started_at: str
    settings: dict[str, Any]
    inputs: tuple[File, ...]
    status: RunStatus = RunStatus.RUNNING
    ended: int = 0
    seconds: float | None = None
    reason: str = ""
    outputs: tuple[File, ...] = ()
    metrics: dict[str, Any] = field(default_factory=dict)


@dataclass
class Told:
    """What the journal has told of a series.

    `runs` are the latest of each stage, `finished` the latest of those that came to an end with results; `looks` those
    that look at one tilt, by section; `preview` the latest preview that was made; `live` the last word of a watcher;
    `exposures` events of what hit the specimen, `exposed` what was seen of each, by its order; `policies` what
    acquisition decided when something went wrong.
    """

    name: str
    runs: dict[str, Run] = field(default_factory=dict)
    finished: dict[str, Run] = field(default_factory=dict)
    looks: dict[int, Run] = field(default_factory=dict)
    preview: Run | None = None
    live: Event | None = None
    queued: Event | None = None
    exposures: list[Event] = field(default_factory=list)
    exposed: dict[int, Event] = field(default_factory=dict)
    policies: list[Event] = field(default_factory=list)


@dataclass
class Following:
    """What the journal of the session at `folder` has told so far, up to the event of number `last`.

    `acquiring` and `watching` say what the process that holds the session does, as long as one does.
    """

    folder: Path
    last: int = 0
    told: dict[str, Told] = field(default_factory=dict)
    acquiring: bool = False
    watching: bool = False
    _running: dict[int, Run] = field(default_factory=dict)
    _seen: tuple[tuple[int, int], ...] | None = None
    _unchanged: int = 0

    def advance(self) -> frozenset[str]:
        """Take in what has been noted since, and return the names of the series that it is about.

        Raises
        ------
        InputError
            If the folder is not a session.
        FormatError
            If its journal is damaged or was written by a newer version.
        """
        # To open a journal is to check all of it: files that were not touched since say at no cost that nothing is new.
        now = tuple(stamp(self.folder / f"{JOURNAL}{ending}") for ending in ("", "-wal"))
        if now == self._seen and self._unchanged < _FRESH_AFTER:
            self._unchanged += 1
            return frozenset()
        changed = set()
        for event in read_events(self.folder, after=self.last):
            self.last = event.id
            self._take(event)
            if event.series is not None:
                changed.add(event.series)
            elif event.kind.startswith("acquisition."):
                changed.update(told.name for told in self.told.values() if told.exposures)
            elif event.kind.startswith("rehearsal."):
                changed.update(self.told)
        self._seen, self._unchanged = now, 0
        return frozenset(changed)

    def _take(self, event: Event) -> None:
        if event.kind in _ACQUIRING:
            self.acquiring = _ACQUIRING[event.kind]
        elif event.kind in ("session.opened", "watch.started"):
            self.acquiring, self.watching = False, event.kind == "watch.started"
        if event.series is None:
            return
        told = self.told.setdefault(event.series, Told(event.series))
        if event.kind == "stage.started" and event.stage is not None:
            self._started(told, event, event.stage)
        elif event.kind.startswith("stage.") and event.cause in self._running:
            _ended(told, self._running.pop(event.cause), event)
        elif event.kind.startswith("live."):
            told.live = event
            told.queued = event if event.kind == "live.queued" else told.queued
        elif event.kind.startswith("exposure."):
            told.exposures.append(event)
        elif event.kind == "acquisition.exposed":
            told.exposed[int(event.body["order"])] = event
        elif event.kind == "acquisition.policy":
            told.policies.append(event)

    def _started(self, told: Told, event: Event, stage: str) -> None:
        inputs = _files(event.body["inputs"])
        run = Run(stage, event.id, event.at, event.body["settings"], inputs)
        self._running[event.id] = run
        if stage.startswith(LOOK):
            # The one before stands until this one has its results.
            told.looks.setdefault(int(stage.removeprefix(LOOK)), run)
        elif stage != PREVIEW:  # which says nothing of how far the series is
            told.runs[stage] = run


def _ended(told: Told, run: Run, event: Event) -> None:
    body = event.body
    run.status, run.ended = RunStatus(event.kind.removeprefix("stage.")), event.id
    run.seconds, run.reason, run.metrics = body.get("seconds"), body.get("reason", ""), body.get("metrics", {})
    run.outputs = _files(body.get("outputs", ()))
    if run.stage.startswith(LOOK):
        section = int(run.stage.removeprefix(LOOK))
        if run.status is RunStatus.FINISHED or told.looks[section].status is not RunStatus.FINISHED:
            told.looks[section] = run
    elif run.stage == PREVIEW:
        told.preview = run if run.status is RunStatus.FINISHED else told.preview
    elif run.status is RunStatus.FINISHED:
        told.finished[run.stage] = run


def _files(told: Iterable[dict[str, Any]]) -> tuple[File, ...]:
    return tuple(File(intern(one["path"]), one["size_bytes"], intern(one["sha256"])) for one in told)


def stamp(path: Path) -> tuple[int, int]:
    """Return what tells whether a file has changed, without reading it."""
    try:
        info = path.stat()
    except OSError:
        return NO_STAMP
    return (info.st_size, info.st_mtime_ns)
