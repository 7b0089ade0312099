"""The journal keeps what it was told, and refuses what it cannot be trusted with."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from session_cases import finish
from session_cases import plan as plan
from session_cases import session as session

from eucentric.core import FormatError, InputError, OutputError
from eucentric.session import RunStatus, Session, StagePlan, StageStatus, journal, read_history
from eucentric.session.journal import Journal


@pytest.fixture
def folder(tmp_path: Path, plan: StagePlan) -> Path:
    """A closed session in which one stage has finished."""
    with Session.create_or_open(tmp_path / "session") as session:
        finish(session, plan)
    return tmp_path / "session"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET body = '{}'",
        "UPDATE events SET kind = 'stage.finished' WHERE id = 1",
        "DELETE FROM events",
        "DELETE FROM events WHERE id = 2",
        "INSERT OR REPLACE INTO events SELECT id, at, kind, cause, series, stage, '{}' FROM events WHERE id = 2",
        "REPLACE INTO events (id, at, kind, body) VALUES (1, '', '', '')",
    ],
)
def test_an_event_cannot_be_changed_by_any_program(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "session.db")) as connection:
        before = connection.execute("SELECT * FROM events").fetchall()
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
        assert connection.execute("SELECT * FROM events").fetchall() == before
    assert len(before) == 3


def test_a_run_ends_once(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "session.db")) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT INTO events (at, kind, cause, body) VALUES ('', 'stage.failed', 2, '{}')")


def test_events_only_grow_and_keep_their_order(folder: Path, plan: StagePlan) -> None:
    def events() -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(folder / "session.db")) as connection:
            return connection.execute("SELECT * FROM events ORDER BY id").fetchall()

    before = events()
    with Session.create_or_open(folder) as session:
        finish(session, plan)
    after = events()
    assert after[: len(before)] == before
    assert [row[2] for row in after[len(before) :]] == ["session.opened", "stage.started", "stage.finished"]


def test_the_journal_is_durable_by_its_settings(session: Session) -> None:
    with closing(sqlite3.connect(session.folder / "session.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    # `synchronous` belongs to a connection and is not in the file: look at the session's own.
    assert isinstance(session._journal, Journal)
    assert session._journal._connection.execute("PRAGMA synchronous").fetchone() == (2,)


def spoil_header(database: Path) -> None:
    database.write_bytes(b"not a database at all" * 500)


def cut_short(database: Path) -> None:
    database.write_bytes(database.read_bytes()[:6000])


def spoil_a_page(database: Path) -> None:
    data = bytearray(database.read_bytes())
    data[4096:8192] = b"\xff" * 4096
    database.write_bytes(data)


@pytest.mark.parametrize("spoil", [spoil_header, cut_short, spoil_a_page])
def test_a_damaged_journal_is_named_and_nothing_is_lost(
    folder: Path, plan: StagePlan, spoil: Callable[[Path], None]
) -> None:
    database = folder / "session.db"
    spoil(database)
    spoilt = database.read_bytes()
    for look in (Session.create_or_open, read_history):
        with pytest.raises(FormatError, match=r"session\.db: the journal is damaged.*Move session\.db aside"):
            look(folder)
    assert database.read_bytes() == spoilt
    assert (folder / "series" / "ts01" / "align.json").read_text() == "{}"
    # What the message says to do does work.
    database.rename(folder / "session.db.damaged")
    with Session.create_or_open(folder) as session:
        assert session.state(plan).status is StageStatus.MISSING
        finish(session, plan)
        assert session.state(plan).done


@pytest.mark.parametrize("body", ["{", '{"version": "one"}', "[]"])
def test_an_entry_that_makes_no_sense_is_damage(folder: Path, body: str) -> None:
    with closing(sqlite3.connect(folder / "session.db", isolation_level=None)) as connection:
        connection.execute(
            "INSERT INTO events (at, kind, cause, series, stage, body) VALUES ('', 'stage.started', 1, 'a', 'b', ?)",
            (body,),
        )
    with pytest.raises(FormatError, match="damaged"):
        read_history(folder)


def test_a_stale_write_ahead_log_beside_a_new_journal_does_no_harm(folder: Path) -> None:
    (folder / "session.db").rename(folder / "session.db.damaged")
    (folder / "session.db-wal").write_bytes(b"left over" * 1000)
    with Session.create_or_open(folder) as session:
        assert session.history() == ()


def test_a_journal_of_a_newer_version_is_left_alone(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "session.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = (folder / "session.db").read_bytes()
    with pytest.raises(FormatError, match=r"newer Eucentric.*version is 99.*Update"):
        Session.create_or_open(folder)
    assert (folder / "session.db").read_bytes() == before


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    database = tmp_path / "session.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE notes (text)")
    before = database.read_bytes()
    with pytest.raises(FormatError, match="belongs to another program"):
        Session.create_or_open(tmp_path)
    assert database.read_bytes() == before


def test_a_journal_whose_making_was_cut_short_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "session.db").touch()
    with pytest.raises(InputError, match="still empty"):
        read_history(tmp_path)
    with Session.create_or_open(tmp_path) as session:
        assert session.history() == ()


def test_a_migration_is_whole_or_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def schema() -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(folder / "session.db")) as connection:
            return connection.execute("SELECT * FROM sqlite_master").fetchall()

    before = schema()
    with monkeypatch.context() as patch:
        patch.setattr(journal, "_MIGRATIONS", (*journal._MIGRATIONS, "CREATE TABLE exposures (id); CREATE NONSENSE;"))
        with pytest.raises(OutputError, match="NONSENSE"):
            Session.create_or_open(folder)
    assert schema() == before
    with monkeypatch.context() as patch:
        patch.setattr(journal, "_MIGRATIONS", (*journal._MIGRATIONS, "CREATE TABLE exposures (id);"))
        with Session.create_or_open(folder) as session:
            assert len(session.history()) == 1
    assert len(schema()) == len(before) + 1
    with pytest.raises(FormatError, match="newer"):
        Session.create_or_open(folder)


def test_a_folder_of_other_things_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("final")
    with pytest.raises(OutputError, match=r"other things \(thesis\.tex\)"):
        Session.create_or_open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_new_nested_and_empty_folders_become_sessions(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "a" / "b" / "new"):
        with Session.create_or_open(folder) as session:
            assert session.history() == ()
        assert (folder / "session.db").is_file()


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "session", Path("/proc/session")):
        with pytest.raises(OutputError, match=str(folder)):
            Session.create_or_open(folder)


def test_the_opener_of_a_damaged_journal_lets_go_of_the_lock(folder: Path) -> None:
    whole = (folder / "session.db").read_bytes()
    spoil_header(folder / "session.db")
    with pytest.raises(FormatError):
        Session.create_or_open(folder)
    (folder / "session.db").write_bytes(whole)
    with Session.create_or_open(folder) as session:
        assert [record.status for record in session.history()] == [RunStatus.FINISHED]


@pytest.mark.parametrize("of", [{}, {"series": "ts1"}, {"series": "ts1", "stage": "align"}])
def test_runs_are_looked_up_and_not_looked_for(folder: Path, of: dict[str, str]) -> None:
    asked: list[str] = []
    with closing(Journal.create_or_open(folder / "session.db")) as here:
        here._connection.set_trace_callback(asked.append)
        here.runs(**of)
        here._connection.set_trace_callback(None)
        (query,) = asked
        steps = [row[3] for row in here._connection.execute("EXPLAIN QUERY PLAN " + query)]
    assert not any("AUTOMATIC" in step for step in steps)  # an index made for this one question
    assert sum(step.startswith("SCAN") for step in steps) == (not of)
