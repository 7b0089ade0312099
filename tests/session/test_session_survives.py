"""What a session makes of kill -9, of a second process, of a full disk and of a read-only one."""

import os
import platform
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from session_cases import finish
from session_cases import session as session

from eucentric.core import OutputError, Record
from eucentric.session import RunStatus, Session, StagePlan, StageStatus, read_history

RUN_AND_DIE = """
import os, signal, sys
from pathlib import Path
from eucentric.core import Record, whole_or_nothing
from eucentric.session import Session, StagePlan

class None_(Record): pass

with Session.create_or_open(Path(sys.argv[1])) as session:
    first = StagePlan(series="ts01", stage="align", version=1, settings=None_())
    with session.run(first) as run:
        (run.folder / "align.json").write_text("{}")
        run.output(run.folder / "align.json")
    with session.run(first.replace(stage="reconstruct")) as run:
        with whole_or_nothing(run.folder / "tomogram.mrc") as partial:
            partial.write_bytes(bytes(1000))
            os.kill(os.getpid(), signal.SIGKILL)
"""

HOLD = """
import sys
from pathlib import Path
from eucentric.session import Session
with Session.create_or_open(Path(sys.argv[1])):
    print("open", flush=True)
    sys.stdin.read()
"""


class NoSettings(Record):
    pass


ALIGN = StagePlan(series="ts01", stage="align", version=1, settings=NoSettings())
RECONSTRUCT = ALIGN.replace(stage="reconstruct")


def test_a_killed_run_is_interrupted_and_runs_again(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    dead = subprocess.run([sys.executable, "-c", RUN_AND_DIE, str(folder)], capture_output=True, check=False)
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    results = folder / "series" / "ts01"
    assert len(list(results.glob(".partial-*"))) == 1  # the death came in the middle of writing

    seen = read_history(folder)  # from outside, before anybody has opened it again
    assert [record.status for record in seen] == [RunStatus.FINISHED, RunStatus.INTERRUPTED]
    with Session.create_or_open(folder) as session:
        assert [path.name for path in results.iterdir()] == ["align.json"]
        assert session.state(ALIGN).done
        state = session.state(RECONSTRUCT)
        assert state.status is StageStatus.MISSING
        assert state.reason.startswith("last run interrupted: the process that ran it was killed")
        record = session.last("ts01", "reconstruct")
        assert record is not None
        assert (record.status, record.seconds) == (RunStatus.INTERRUPTED, None)
        finish(session, RECONSTRUCT)
        assert session.state(RECONSTRUCT).done
    with Session.create_or_open(folder) as session:  # and it is interrupted once, not at every opening
        assert [record.status for record in session.history(stage="reconstruct")] == [
            RunStatus.INTERRUPTED,
            RunStatus.FINISHED,
        ]


def test_a_second_process_is_kept_out_until_the_first_is_dead(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "open\n"
            with pytest.raises(OutputError, match=rf"session: process {holder.pid} on .* is working in this session"):
                Session.create_or_open(folder)
            assert read_history(folder) == ()
        finally:
            holder.kill()
    with Session.create_or_open(folder) as session:
        finish(session, ALIGN)


def test_a_session_is_opened_once_within_a_process_too(session: Session) -> None:
    with pytest.raises(OutputError, match="is working in this session"):
        Session.create_or_open(session.folder)
    finish(session, ALIGN)
    session.close()
    with Session.create_or_open(session.folder) as again:
        assert again.state(ALIGN).done


def test_the_holder_is_named_and_not_those_before_it(tmp_path: Path) -> None:
    (tmp_path / "session.lock").write_text("process 999999999 on a machine with a long name that is gone")
    named = rf"^{tmp_path}: process {os.getpid()} on {re.escape(platform.node())} is working in this session"
    with Session.create_or_open(tmp_path), pytest.raises(OutputError, match=named):
        Session.create_or_open(tmp_path)


def fill(disk: Path) -> Path:
    """Fill a disk to its last byte."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as handle, suppress(OSError):
        while handle.write(bytes(4096)):
            pass
    return ballast


def test_a_full_disk_loses_nothing_and_is_named(small_disk: Path) -> None:
    folder = small_disk / "session"
    with Session.create_or_open(folder) as session:
        finish(session, ALIGN)
        ballast = fill(small_disk)

        def go_on() -> None:
            for _ in range(100):  # some room is left in the pages that the journal already has
                with session.run(RECONSTRUCT):
                    pass

        with pytest.raises(OutputError, match="disk is full"):
            go_on()
        assert session.state(ALIGN).done
    ballast.unlink()
    with Session.create_or_open(folder) as session:
        assert session.state(ALIGN).done
        assert all(record.status is not RunStatus.RUNNING for record in session.history())
        finish(session, RECONSTRUCT)
        assert session.state(RECONSTRUCT).done


@pytest.mark.parametrize("free_kB", [0, 4, 32, 60])
def test_reopening_on_a_full_disk_says_so_and_can_still_be_looked_at(small_disk: Path, free_kB: int) -> None:
    folder = small_disk / "session"
    with Session.create_or_open(folder) as session:
        finish(session, ALIGN)
    ballast = fill(small_disk)
    os.truncate(ballast, ballast.stat().st_size - free_kB * 1024)
    with pytest.raises(OutputError, match="disk is full"), Session.create_or_open(folder) as session:
        finish(session, RECONSTRUCT)
    assert read_history(folder)[0].status is RunStatus.FINISHED


def test_a_new_session_on_a_full_disk_is_refused_and_works_once_there_is_room(small_disk: Path) -> None:
    folder = small_disk / "session"
    folder.mkdir()
    ballast = fill(small_disk)
    with pytest.raises(OutputError, match="disk is full"):
        Session.create_or_open(folder)
    ballast.unlink()
    with Session.create_or_open(folder) as session:
        assert session.history() == ()


def test_when_even_the_failure_cannot_be_recorded_the_first_error_is_told(small_disk: Path) -> None:
    folder = small_disk / "session"
    reason = "the beam was off " * 2000  # more than the journal's own pages have room for
    with Session.create_or_open(folder) as session:

        def align() -> None:
            with session.run(ALIGN):
                fill(small_disk)
                raise RuntimeError(reason)

        with pytest.raises(RuntimeError, match="the beam was off"):
            align()
        (small_disk / "ballast").unlink()
    with Session.create_or_open(folder) as session:
        record = session.last("ts01", "align")
        assert record is not None
        assert record.status is RunStatus.INTERRUPTED


def test_a_session_on_a_read_only_disk_can_be_looked_at_but_not_worked_in(small_disk: Path) -> None:
    folder = small_disk / "session"
    with Session.create_or_open(folder) as session:
        finish(session, ALIGN)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert [record.status for record in read_history(folder)] == [RunStatus.FINISHED]
    with pytest.raises(OutputError, match="cannot be written to"):
        Session.create_or_open(folder)
