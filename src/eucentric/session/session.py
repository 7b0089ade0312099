"""`Session`: a folder, the lock that keeps it to one process, and its journal."""

import json
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from eucentric import __version__
from eucentric.core import SILENT, EucentricError, InputError, OutputError, Reporter, make_folder, remove_partials
from eucentric.session.changes import changes_of_code
from eucentric.session.exposures import unsettled
from eucentric.session.fingerprints import sha256, survey
from eucentric.session.history import KILLED, history_of
from eucentric.session.journal import JOURNAL, Event, Journal, Journaling
from eucentric.session.lock import LOCK, exclusive
from eucentric.session.records import (
    Fingerprint,
    Provenance,
    RunStatus,
    StagePlan,
    StageRecord,
    StageState,
    StageStatus,
)
from eucentric.session.remote import JournalAddress, JournalServer, RemoteJournal

# A file may change twice within one tick of its clock, and keep its stamp. The hash of a file that changed this
# recently is therefore not remembered. Two seconds is the coarsest tick in use (FAT).
_TICK = timedelta(seconds=2)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class StageRun:
    """What a running stage tells the journal: add to it while the stage runs.

    `folder` is the series' folder, where its outputs go.
    """

    folder: Path
    outputs: list[Path] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)

    def output(self, path: Path) -> None:
        """Name a file or folder, below the session folder, that this run has written or is about to."""
        self.outputs.append(path)

    def metric(self, name: str, value: object) -> None:
        """Note a figure, or anything that JSON can hold, that says how the run went; units go in the name (``rms_A``).

        Raises
        ------
        TypeError
            If JSON has no form for the value.
        """
        json.dumps(value)
        self.metrics[name] = value


class Session:
    """An open session folder, held by this process until it is closed; use it from one thread, as a context manager.

    Made by `create_or_open`. Methods raise `OutputError` where the journal cannot be written, and `FormatError` where
    it is found damaged.
    """

    def __init__(self, folder: Path, journal: Journaling, clock: Callable[[], datetime], reporter: Reporter) -> None:
        self.folder = folder
        self._journal = journal
        self._clock = clock
        self._reporter = reporter
        self._opened = 0  # the number of the event that every run of this opening follows from
        self._resources = ExitStack()

    @classmethod
    def create_or_open(
        cls, folder: Path, *, clock: Callable[[], datetime] = _utc_now, reporter: Reporter = SILENT
    ) -> Self:
        """Open the session at `folder`, made if it is not there; clear what a killed process left.

        Parameters
        ----------
        folder
            A session, an empty folder, or nothing yet.
        clock
            Tells the time, with its zone.
        reporter
            Shows progress where large files are read to see whether they changed.

        Raises
        ------
        OutputError
            If the folder holds other things, another process works in it, or it cannot be written to.
        FormatError
            If its journal is damaged or was written by a newer version.
        """
        folder = make_folder(folder).resolve()
        _refuse_other_things(folder)
        with ExitStack() as resources:
            resources.enter_context(exclusive(folder / LOCK))
            journal = resources.enter_context(closing(Journal.create_or_open(folder / JOURNAL)))
            remove_partials(folder)
            session = cls(folder, journal, clock, reporter)
            session._begin()
            session._resources = resources.pop_all()
        return session

    @classmethod
    def join(
        cls, address: JournalAddress, *, clock: Callable[[], datetime] = _utc_now, reporter: Reporter = SILENT
    ) -> Self:
        """Work in a session that another process holds and serves.

        Raises
        ------
        OutputError
            If it cannot be reached, or its key is another.
        """
        with ExitStack() as resources:
            journal = resources.enter_context(closing(RemoteJournal(address)))
            session = cls(address.folder, journal, clock, reporter)
            session._open("session.joined")
            session._resources = resources.pop_all()
        return session

    def served(self, host: str = "127.0.0.1") -> JournalServer:
        """Let other processes join, until what is given is closed (a context manager).

        Raises
        ------
        ValueError
            If this session is itself held by another process.
        OutputError
            If there is no such address here.
        """
        if not isinstance(self._journal, Journal):
            raise ValueError("only the process that holds a session serves it")
        return JournalServer(self._journal, self.folder, host)

    def close(self) -> None:
        """Close the journal and let other processes in."""
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def series_folder(self, series: str) -> Path:
        """Return the folder of a series' results, made if it is not there."""
        return make_folder(self.folder / "series" / series)

    def history(self, series: str | None = None, stage: str | None = None) -> tuple[StageRecord, ...]:
        """Return all runs, or those of one series or stage, oldest first."""
        return history_of(self._journal, series, stage)

    def last(self, series: str, stage: str, status: RunStatus | None = None) -> StageRecord | None:
        """Return the latest run of a stage, or the latest that ended as `status`."""
        runs = [run for run in self.history(series, stage) if status in (None, run.status)]
        return runs[-1] if runs else None

    def state(self, plan: StagePlan) -> StageState:
        """Say whether a stage has been done as planned, and if not, why not.

        `MISSING` if it never finished, `OUTDATED` if its settings, inputs or version are not those it last finished
        with, `DAMAGED` if it would be `DONE` but for an output that has changed or gone.

        Raises
        ------
        InputError
            If an input cannot be read. One that is not there is no error here: its stage may be yet to run.
        """
        done = self.last(plan.series, plan.stage, RunStatus.FINISHED)
        if done is None:
            tried = self.last(plan.series, plan.stage)
            why = "never ran" if tried is None else f"last run {tried.status}: {tried.reason}".removesuffix(": ")
            return StageState(status=StageStatus.MISSING, reason=why)
        if changes := [*changes_of_code(done, plan), *self._changes_of_inputs(done, plan)]:
            return StageState(status=StageStatus.OUTDATED, reason="; ".join(changes))
        if damage := list(self._damage(done)):
            return StageState(status=StageStatus.DAMAGED, reason="; ".join(damage))
        return StageState(status=StageStatus.DONE, reason=f"finished {done.started_at:%Y-%m-%d}, nothing has changed")

    @contextmanager
    def run(self, plan: StagePlan) -> Iterator[StageRun]:
        """Record that a stage starts; on leaving, its outputs and metrics, or why it failed.

        Whatever the body raises is raised again.

        Raises
        ------
        InputError
            If an input is not there or cannot be read; nothing is recorded then.
        OutputError
            If a named output is not there at the end.
        ValueError
            If a named output lies outside the session folder.
        """
        intent = {
            "version": plan.version,
            "settings": plan.settings.model_dump(mode="json"),
            "inputs": [self._input(path).model_dump() for path in plan.inputs],
        }
        run = StageRun(self.series_folder(plan.series))
        begun = self._clock()
        number = self._journal.append(
            begun, "stage.started", intent, cause=self._opened, series=plan.series, stage=plan.stage
        )

        def end(status: RunStatus, **outcome: Any) -> None:
            seconds = (self._clock() - begun).total_seconds()
            self._end(number, plan.series, plan.stage, status, seconds=seconds, metrics=run.metrics, **outcome)

        try:
            yield run
            outputs = [self._output(path).model_dump() for path in run.outputs]
        except BaseException as error:
            status = RunStatus.FAILED if isinstance(error, Exception) else RunStatus.INTERRUPTED
            # Where even this cannot be written (the disk is full, say), the first error is the one to be told;
            # the next opening finds a run without an end and calls it interrupted.
            with suppress(EucentricError):
                end(status, reason=_printable(str(error)) or type(error).__name__)
            raise
        end(RunStatus.FINISHED, outputs=outputs)

    def note(self, kind: str, body: Mapping[str, Any], *, cause: int | None = None, series: str | None = None) -> int:
        """Add an event to the journal and return its number; when this returns, it is on disk.

        Parameters
        ----------
        kind
            What it is, such as ``acquisition.started``.
        body
            What it says, as JSON can hold it.
        cause
            The number of the event that it follows from; the opening of the session if absent.
        series
            Whom it is about.
        """
        return self._journal.append(self._clock(), kind, body, cause=cause or self._opened, series=series)

    def events(self, prefix: str = "", *, after: int = 0) -> list[Event]:
        """Return the events whose kind begins so, of numbers above `after`, oldest first."""
        return self._journal.events(prefix, after=after)

    def _begin(self) -> None:
        for run in self._journal.runs():
            if run.ended is None:
                self._end(run.id, run.series, run.stage, RunStatus.INTERRUPTED, reason=KILLED)
        for number, intent in unsettled(self._journal.events("exposure.")):
            self._journal.append(
                self._clock(), "exposure.uncertain", {"reason": KILLED}, cause=number, series=intent.target
            )
        self._open("session.opened")

    def _open(self, kind: str) -> None:
        made_with = Provenance(eucentric=__version__, python=platform.python_version(), platform=platform.platform())
        self._opened = self._journal.append(self._clock(), kind, made_with.model_dump())

    def _end(self, number: int, series: str, stage: str, status: RunStatus, **outcome: Any) -> None:
        self._journal.append(self._clock(), f"stage.{status}", outcome, cause=number, series=series, stage=stage)

    def _fingerprint(self, path: Path) -> Fingerprint:
        path = path.parent.resolve() / path.name  # a link itself is not followed: it may point out of the folder
        name = _printable(str(path.relative_to(self.folder) if path.is_relative_to(self.folder) else path))
        found = survey(path)
        content = self._journal.known_sha256(name, found.stamp)
        if content is None:
            asked_at = self._clock()
            content = sha256(path, self._reporter)
            if datetime.fromtimestamp(found.changed_ns / 1e9, UTC) + _TICK < asked_at:
                self._journal.remember_sha256(name, found.stamp, content)
        return Fingerprint(path=name, size_bytes=found.size_bytes, sha256=content)

    def _input(self, path: Path) -> Fingerprint:
        try:
            return self._fingerprint(path)
        except FileNotFoundError as error:
            raise InputError(f"{path}: this input is not there; nothing was run.", "Put it back.") from error
        except OSError as error:
            raise InputError(f"{path}: this input cannot be read ({error.strerror}); nothing was run.") from error

    def _output(self, path: Path) -> Fingerprint:
        try:
            fingerprint = self._fingerprint(path)
        except OSError as error:
            raise OutputError(f"{path}: this result cannot be read back ({error.strerror}).") from error
        if Path(fingerprint.path).is_absolute():
            raise ValueError(f"{path} lies outside the session {self.folder}")
        return fingerprint

    def _changes_of_inputs(self, done: StageRecord, plan: StagePlan) -> Iterator[str]:
        for old, path in zip_longest(done.inputs, plan.inputs):
            if path is None:
                yield f"input {Path(old.path).name} is no longer given"
            elif old is None:
                yield f"input {path.name} is new"
            elif not path.exists():
                yield f"input {path.name} is not there"
            elif self._input(path).sha256 != old.sha256:
                before = Path(old.path).name
                yield f"input {path.name} changed" if before == path.name else f"input {before} is now {path.name}"

    def _damage(self, done: StageRecord) -> Iterator[str]:
        for output in done.outputs:
            try:
                if self._fingerprint(self.folder / output.path).sha256 != output.sha256:
                    yield f"{output.path} was changed since"
            except FileNotFoundError:
                yield f"{output.path} is missing"
            except OSError as error:
                yield f"{output.path} cannot be read ({error.strerror})"


def _printable(text: str) -> str:
    """Spell out bytes of a file's name that are not UTF-8, for which neither JSON nor SQLite has a form."""
    return text.encode("utf-8", "backslashreplace").decode()


def _refuse_other_things(folder: Path) -> None:
    try:
        names = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise OutputError(f"{folder}: cannot be looked into ({error.strerror}).", "Choose another --output.") from error
    if names and names.isdisjoint({JOURNAL, LOCK}):
        raise OutputError(
            f"{folder}: this folder holds other things ({min(names)}) and is not a session; nothing was changed.",
            "Choose an --output that is empty or does not exist yet.",
        )
