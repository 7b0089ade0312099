"""Runs as the journal tells them, read by the session itself or from outside."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pydantic import ValidationError

from eucentric.core import InputError
from eucentric.session.exposures import UNDER_WAY, ExposureRecord, exposures_of
from eucentric.session.journal import JOURNAL, Event, Journal, Journaling, Run, damaged
from eucentric.session.lock import LOCK, is_held
from eucentric.session.records import RunStatus, StageRecord

KILLED = "the process that ran it was killed, or the machine stopped"


def history_of(journal: Journaling, series: str | None = None, stage: str | None = None) -> tuple[StageRecord, ...]:
    """Return the runs of all, or of one, series and stage, oldest first.

    Raises
    ------
    FormatError
        If the journal is damaged.
    """
    try:
        return tuple(_record(run) for run in journal.runs(series, stage))
    except ValidationError as error:
        raise damaged(journal.path, f"an entry makes no sense: {error.errors()[0]['msg']}") from error


def read_history(folder: Path, series: str | None = None) -> tuple[StageRecord, ...]:
    """Return all runs, or those of one series, of the session at `folder`, oldest first; nothing is changed there.

    Unlike `Session`, this works beside a process that holds the session, and on a read-only copy. A run whose
    process was killed is given as interrupted, although the journal does not say so until it is next opened.

    Raises
    ------
    InputError
        If the folder is not a session.
    FormatError
        If its journal is damaged or was written by a newer version.
    """
    lock = folder / LOCK
    held_before = is_held(lock)
    with _journal_of(folder) as journal:
        records = history_of(journal, series)
    if not held_before and not is_held(lock):  # a holder that just left had ended its runs; one that just came is alive
        killed = {"status": RunStatus.INTERRUPTED, "reason": KILLED}
        return tuple(record.replace(**killed) if record.status is RunStatus.RUNNING else record for record in records)
    return records


def read_events(folder: Path, prefix: str = "", *, after: int = 0) -> list[Event]:
    """Return the events of the session at `folder` whose kind begins so, of numbers above `after`, oldest first.

    Works beside a process that appends to them: asked again and again with the number of the last event seen, it
    follows a run as it goes.

    Raises
    ------
    InputError
        If the folder is not a session.
    FormatError
        If its journal is damaged or was written by a newer version.
    """
    with _journal_of(folder) as journal:
        return journal.events(prefix, after=after)


def read_exposures(folder: Path) -> tuple[ExposureRecord, ...]:
    """Return all exposures of the session at `folder`, oldest first, without changing anything there.

    One whose process was killed before its outcome was known is uncertain, although the journal does not say so until
    it is next opened; so is one that is under way.

    Raises
    ------
    InputError
        If the folder is not a session.
    FormatError
        If its journal is damaged or was written by a newer version.
    """
    held = is_held(folder / LOCK)
    try:
        found = exposures_of(read_events(folder, "exposure."))
    except ValidationError as error:
        raise damaged(folder / JOURNAL, f"an exposure makes no sense: {error.errors()[0]['msg']}") from error
    if held or is_held(folder / LOCK):
        return found
    return tuple(one.replace(reason=KILLED) if one.reason == UNDER_WAY else one for one in found)


@contextmanager
def _journal_of(folder: Path) -> Iterator[Journal]:
    """Open the journal of a session to read it."""
    if not (folder / JOURNAL).is_file():
        raise InputError(f"{folder}: not a session, for it has no {JOURNAL}.", "Name the folder of a session.")
    with closing(Journal.open_to_read(folder / JOURNAL)) as journal:
        yield journal


def _record(run: Run) -> StageRecord:
    status = RunStatus.RUNNING if run.ended is None else run.ended.removeprefix("stage.")
    return StageRecord.model_validate(
        {
            "series": run.series,
            "stage": run.stage,
            "started_at": run.at,
            "provenance": run.provenance,
            "status": status,
            **run.intent,
            **run.outcome,
        }
    )
