"""The journal: one SQLite file of events that are appended and never changed.

Write-ahead logging with ``synchronous=FULL``: an event that was appended survives the death of the process and of the
machine, and readers do not wait for the writer. The table of digests beside the events is a cache, not history.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple, Protocol, Self

from eucentric.core import EucentricError, FormatError, InputError, OutputError

JOURNAL = "session.db"

ENDS = ("stage.finished", "stage.failed", "stage.interrupted")
"""Kinds of event that end the run of a stage, of which each has one."""

_APPLICATION_ID = 0x45554345  # "EUCE" in the file's header, so that another program's database is known as such

# Applied in order; `PRAGMA user_version` counts those that a journal has seen. Append here, never edit.
# SQLite 3.26 (RHEL 8) must do: hence no STRICT tables.
_MIGRATIONS = (
    """
    CREATE TABLE events (
        id     INTEGER PRIMARY KEY CHECK (id > 0),
        at     TEXT NOT NULL,                   -- UTC, ISO 8601
        kind   TEXT NOT NULL,                   -- session.opened, stage.started, stage.finished, ...
        cause  INTEGER REFERENCES events (id),  -- the event that this one follows from
        series TEXT,
        stage  TEXT,
        body   TEXT NOT NULL                    -- JSON
    );
    CREATE INDEX events_by_stage ON events (series, stage);
    CREATE UNIQUE INDEX one_outcome_per_run ON events (cause)
        WHERE kind IN ('stage.finished', 'stage.failed', 'stage.interrupted');
    CREATE TRIGGER events_never_change BEFORE UPDATE ON events
        BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
    CREATE TRIGGER events_never_go BEFORE DELETE ON events
        BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
    -- INSERT OR REPLACE removes a row without firing the trigger on DELETE.
    CREATE TRIGGER events_are_never_replaced BEFORE INSERT ON events
        WHEN EXISTS (SELECT 1 FROM events WHERE id = NEW.id)
        BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
    CREATE TABLE digests (path TEXT PRIMARY KEY, stamp TEXT NOT NULL, sha256 TEXT NOT NULL);
    """,
    """
    CREATE UNIQUE INDEX one_outcome_per_exposure ON events (cause)
        WHERE kind IN ('exposure.delivered', 'exposure.uncertain', 'exposure.withheld');
    """,
)

# Both joins and, where they are given, series and stage are looked up in indices: of a thousand series, one is asked
# about some twenty times while it is processed.
_RUNS = """
    SELECT started.id, started.series, started.stage, started.at, started.body, opened.body, ended.kind, ended.body
    FROM events AS started
    JOIN events AS opened ON opened.id = started.cause
    LEFT JOIN events AS ended ON ended.cause = started.id
        AND ended.kind IN ('stage.finished', 'stage.failed', 'stage.interrupted')
    WHERE started.kind = 'stage.started' {of}
    ORDER BY started.id
"""


class Event(NamedTuple):
    """An entry: its number, when it was made, what it follows from, whom it is about, and what it says."""

    id: int
    at: str
    kind: str
    cause: int | None
    series: str | None
    body: dict[str, Any]
    stage: str | None = None


class Run(NamedTuple):
    """A run of a stage: its first event, what its session was opened with, and its last event if there is one."""

    id: int
    series: str
    stage: str
    at: str
    intent: dict[str, Any]
    provenance: dict[str, Any]
    ended: str | None
    outcome: dict[str, Any]


class Journaling(Protocol):
    """What a `Session` needs of a journal, be it here or in another process."""

    path: Path

    def append(
        self,
        at: datetime,
        kind: str,
        body: Mapping[str, Any],
        *,
        cause: int | None = None,
        series: str | None = None,
        stage: str | None = None,
    ) -> int:
        """Add an event and return its number; when this returns, the event is on disk."""
        ...

    def runs(self, series: str | None = None, stage: str | None = None) -> list[Run]:
        """Return the runs of all, or of one, series and stage, oldest first."""
        ...

    def events(self, prefix: str = "", *, after: int = 0) -> list[Event]:
        """Return the events whose kind begins so, of numbers above `after`, oldest first."""
        ...

    def known_sha256(self, path: str, stamp: str) -> str | None:
        """Return the hash of a file or folder if it was remembered under this stamp."""
        ...

    def remember_sha256(self, path: str, stamp: str, sha256: str) -> None:
        """Keep the hash of a file or folder under its stamp, in place of an earlier one."""
        ...


class Journal(Journaling):
    """An open journal; threads may share it.

    Every method raises `OutputError` if the journal cannot be written to or the disk is full, and `FormatError` if it
    is damaged.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._one_at_a_time = RLock()

    @classmethod
    def create_or_open(cls, path: Path) -> Self:
        """Open the journal at `path` for appending, made or brought up to date if need be."""
        with _explained(path):
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                version = _check(connection, path)
                for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                    connection.execute(f"PRAGMA {pragma}")
                for number, script in enumerate(_MIGRATIONS[version:], start=version + 1):
                    connection.executescript(
                        f"BEGIN IMMEDIATE; {script} PRAGMA application_id = {_APPLICATION_ID};"
                        f"PRAGMA user_version = {number}; COMMIT;"
                    )
            except BaseException:
                connection.close()
                raise
        return cls(path, connection)

    @classmethod
    def open_to_read(cls, path: Path) -> Self:
        """Open the journal at `path` without changing it, also while another process appends to it."""
        uri = f"{path.absolute().as_uri()}?mode=ro"
        in_log = 0
        with suppress(FileNotFoundError):
            in_log = path.with_name(f"{path.name}-wal").stat().st_size
        if in_log == 0:
            # All is in the file itself. On a read-only or full disk SQLite could not make the index of an absent log.
            uri += "&immutable=1"
        with _explained(path):
            connection = sqlite3.connect(uri, uri=True, isolation_level=None)
            try:
                if _check(connection, path) == 0:
                    raise InputError(f"{path}: the journal is still empty.", "Run the command that makes the session.")
            except BaseException:
                connection.close()
                raise
        return cls(path, connection)

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it."""
        self._connection.close()

    def append(
        self,
        at: datetime,
        kind: str,
        body: Mapping[str, Any],
        *,
        cause: int | None = None,
        series: str | None = None,
        stage: str | None = None,
    ) -> int:
        """Add an event and return its number; when this returns, the event is on disk."""
        row = (at.astimezone(UTC).isoformat(), kind, cause, series, stage, json.dumps(body))
        with self._one_at_a_time, _explained(self.path):
            cursor = self._connection.execute(
                "INSERT INTO events (at, kind, cause, series, stage, body) VALUES (?, ?, ?, ?, ?, ?)", row
            )
        return int(cursor.lastrowid or 0)

    def runs(self, series: str | None = None, stage: str | None = None) -> list[Run]:
        """Return the runs of all, or of one, series and stage, oldest first."""
        given = {"series": series, "stage": stage}
        asked = {column: value for column, value in given.items() if value is not None}
        query = _RUNS.format(of="".join(f"AND started.{column} = :{column} " for column in asked))
        with self._one_at_a_time, _explained(self.path):
            rows = self._connection.execute(query, asked).fetchall()
            return [
                Run(id_, series, stage, at, _parsed(intent), _parsed(opened), kind, _parsed(outcome or "{}"))
                for id_, series, stage, at, intent, opened, kind, outcome in rows
            ]

    def events(self, prefix: str = "", *, after: int = 0) -> list[Event]:
        """Return the events whose kind begins so, of numbers above `after`, oldest first."""
        with self._one_at_a_time, _explained(self.path):
            rows = self._connection.execute(
                "SELECT id, at, kind, cause, series, body, stage FROM events "
                "WHERE id > ? AND substr(kind, 1, ?) = ? ORDER BY id",
                (after, len(prefix), prefix),
            ).fetchall()
            return [
                Event(id_, at, kind, cause, series, _parsed(body), stage)
                for id_, at, kind, cause, series, body, stage in rows
            ]

    def known_sha256(self, path: str, stamp: str) -> str | None:
        """Return the hash of a file or folder if it was remembered under this stamp."""
        with self._one_at_a_time, _explained(self.path):
            row = self._connection.execute(
                "SELECT sha256 FROM digests WHERE path = ? AND stamp = ?", (path, stamp)
            ).fetchone()
        return str(row[0]) if row else None

    def remember_sha256(self, path: str, stamp: str, sha256: str) -> None:
        """Keep the hash of a file or folder under its stamp, in place of an earlier one."""
        with self._one_at_a_time, _explained(self.path):
            self._connection.execute("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", (path, stamp, sha256))


def _check(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of a journal that is whole, ours and not newer than this code; 0 for an empty file."""

    def ask(question: str) -> Any:
        return connection.execute(question).fetchone()[0]

    if (damage := ask("PRAGMA quick_check(1)")) != "ok":
        raise damaged(path, str(damage).splitlines()[-1])
    version = int(ask("PRAGMA user_version"))
    if ask("PRAGMA application_id") != _APPLICATION_ID and ask("SELECT count(*) FROM sqlite_master"):
        raise FormatError(
            f"{path}: this database belongs to another program; nothing was changed.", "Choose another --output."
        )
    if version > len(_MIGRATIONS):
        raise FormatError(
            f"{path}: this journal was written by a newer Eucentric (its version is {version}, this program knows "
            f"{len(_MIGRATIONS)}); nothing was changed.",
            "Update Eucentric, or choose another --output.",
        )
    return version


def damaged(path: Path, how: str) -> FormatError:
    """Return the error to raise for a journal that cannot be trusted."""
    return FormatError(
        f"{path}: the journal is damaged ({how}); the results in series/ are untouched.",
        f"Move {path.name} aside and run the same command again: every stage runs anew and a new journal is begun.",
    )


def _parsed(body: str) -> dict[str, Any]:
    values = json.loads(body)
    if not isinstance(values, dict):
        raise ValueError(f"an entry holds {body[:20]!r}")
    return values


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _explain(error, path) from error
    except ValueError as error:
        raise damaged(path, str(error)) from error


def _explain(error: sqlite3.Error, path: Path) -> EucentricError:
    extended = getattr(error, "sqlite_errorcode", 0)  # errors of Python's own module carry none
    code = extended & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged(path, str(error))
    # SHMSIZE: there is no room for the 32 kB that index the write-ahead log.
    if code == sqlite3.SQLITE_FULL or extended == sqlite3.SQLITE_IOERR_SHMSIZE:
        return OutputError(
            f"{path}: the disk is full; earlier results and the journal's earlier entries are untouched.",
            "Free some space and run the same command again: it carries on from the last finished step.",
        )
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return OutputError(
            f"{path}: the journal cannot be opened or written to here ({error}).",
            "Make the folder writable, or choose another --output.",
        )
    return OutputError(
        f"{path}: the journal could not be kept ({error}); earlier entries are untouched.",
        "Look at the disk and its free space, and run the same command again.",
    )
