"""A session that others join: their stages are journalled as if its holder ran them, whatever becomes of them."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from eucentric.core import InputError, OutputError, Record
from eucentric.session import JournalAddress, RunStatus, Session, StagePlan, read_events, read_history


class Settings(Record):
    number: int = 0


def plan(series: str = "TS_1", stage: str = "motion", number: int = 0, *inputs: Path) -> StagePlan:
    return StagePlan(series=series, stage=stage, version=1, settings=Settings(number=number), inputs=inputs)


def run(address: JournalAddress, of: StagePlan) -> None:
    with Session.join(address) as joined, joined.run(of) as begun:
        path = begun.folder / f"{of.stage}.txt"
        path.write_text("result")
        begun.output(path)
        begun.metric("rms_A", 1.5)


def test_a_worker_runs_a_stage_as_the_holder_would(tmp_path: Path) -> None:
    movie = tmp_path / "movie"
    movie.write_bytes(b"frames")
    with Session.create_or_open(tmp_path / "s") as session, session.served() as server:
        run(server.address, plan("TS_1", "motion", 0, movie))
        assert session.state(plan("TS_1", "motion", 0, movie)).done
        with Session.join(server.address) as joined:
            assert joined.state(plan("TS_1", "motion", 0, movie)).done
            assert "number changed from 0 to 1" in joined.state(plan("TS_1", "motion", 1, movie)).reason
            assert joined.history() == session.history()
            assert [event.kind for event in joined.events("session.")] == ["session.opened", *["session.joined"] * 2]
    (record,) = read_history(tmp_path / "s")
    assert record.status is RunStatus.FINISHED
    assert record.metrics == {"rms_A": 1.5}
    assert [output.path for output in record.outputs] == ["series/TS_1/motion.txt"]


def test_many_workers_at_once_lose_nothing(tmp_path: Path) -> None:
    with Session.create_or_open(tmp_path / "s") as session, session.served() as server:

        def work(name: str) -> None:
            for number in range(6):
                run(server.address, plan(name, f"stage-{number}"))

        threads = [threading.Thread(target=work, args=(f"TS_{i}",)) for i in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ended = [(one.series, one.stage) for one in session.history() if one.status is RunStatus.FINISHED]
    assert len(ended) == len(set(ended)) == 30


def test_what_goes_wrong_at_the_holder_is_told_to_the_worker(tmp_path: Path) -> None:
    with Session.create_or_open(tmp_path / "s") as session, session.served() as server:
        with Session.join(server.address) as first, Session.join(server.address) as second, first.run(plan()):
            with pytest.raises(OutputError, match="run by another worker"), second.run(plan()):
                pass
            with second.run(plan("TS_2")):  # of another series it may
                pass
        absent = plan("TS_1", "motion", 0, tmp_path / "absent")
        with Session.join(server.address) as joined, pytest.raises(InputError, match="not there"), joined.run(absent):
            pass
        assert [one.status for one in session.history("TS_1")] == [RunStatus.FINISHED]


KILLED = """
import sys, time
sys.path.insert(0, {here!r})
from test_remote import plan
from eucentric.session import JournalAddress, Session
with Session.join(JournalAddress.model_validate_json(sys.stdin.readline())) as joined, joined.run(plan()) as begun:
    print("begun", flush=True)
    time.sleep(60)
"""


def test_a_killed_worker_costs_its_run_and_no_more(tmp_path: Path) -> None:
    with Session.create_or_open(tmp_path / "s") as session, session.served() as server:
        code = KILLED.format(here=str(Path(__file__).parent))
        worker = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(server.address.model_dump_json() + "\n")
        worker.stdin.flush()
        assert worker.stdout.readline() == "begun\n"
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
        deadline = time.monotonic() + 10
        while not session.last("TS_1", "motion", RunStatus.INTERRUPTED) and time.monotonic() < deadline:
            time.sleep(0.01)
        (record,) = session.history()
        assert record.status is RunStatus.INTERRUPTED
        assert "worker" in record.reason
        run(server.address, plan())  # and another can do it
        assert session.state(plan()).done


def test_only_who_has_the_key_comes_in(tmp_path: Path) -> None:
    with Session.create_or_open(tmp_path / "s") as session:
        with session.served() as server:
            with pytest.raises(OutputError, match="key"):
                Session.join(server.address.replace(key="0" * 64))
            for rubbish in (b"", b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096)):
                with socket.create_connection(("127.0.0.1", server.address.port)) as peer:
                    peer.sendall(rubbish)
            run(server.address, plan())  # it still serves
        with pytest.raises(OutputError, match="cannot be reached"):
            Session.join(server.address)
        with pytest.raises(OutputError, match="address"):
            session.served("192.0.2.1")
    assert [event.kind for event in read_events(tmp_path / "s", "session.")] == ["session.opened", "session.joined"]


def test_a_question_that_makes_no_sense_ends_one_connection_only(tmp_path: Path) -> None:
    with Session.create_or_open(tmp_path / "s") as session, session.served() as server:
        with Session.join(server.address) as joined:
            with pytest.raises(InputError, match="__class__"):
                joined._journal._ask("__class__")  # type: ignore[attr-defined]
            with pytest.raises(OutputError, match="reached"):
                joined._journal._ask("append", unknown=1)  # type: ignore[attr-defined]
        run(server.address, plan())
        with Session.join(server.address) as joined, pytest.raises(ValueError, match="holds"):
            joined.served()


def test_a_worker_whose_holder_is_gone_says_so(tmp_path: Path) -> None:
    with Session.create_or_open(tmp_path / "s") as session:
        server = session.served()
        joined = Session.join(server.address)
        server.close()
        joined.note("still", {})  # who is connected goes on
        joined.close()
