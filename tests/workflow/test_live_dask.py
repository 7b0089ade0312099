"""A Dask cluster as crew: its scheduler may go and come back, its workers may come late."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from eucentric.core import InputError, OutputError, Reporter
from eucentric.workflow.live import DaskCrew

distributed: Any = pytest.importorskip("distributed")

_under_way: set[int] = set()
_most_at_once = [0]
_begun = threading.Event()


def double(number: int) -> int:
    return 2 * number


def refuse(what: str) -> None:
    raise InputError(what, "Mend it.")


def count_those_under_way(number: int) -> int:
    _under_way.add(number)
    _most_at_once[0] = max(_most_at_once[0], len(_under_way))
    time.sleep(0.02)
    _under_way.discard(number)
    return number


def take_a_while(number: int) -> int:
    _begun.set()
    time.sleep(0.2)
    return number


def import_what_is_not_there(_: int) -> None:
    fail_to_import()


def fail_to_import() -> None:
    raise ModuleNotFoundError("No module named 'eucentric'")


class Lines(Reporter):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


@contextmanager
def cluster(port: int, workers: int = 1, threads: int = 1) -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=workers, threads_per_worker=threads, processes=False, protocol="tcp://", host="127.0.0.1",
        scheduler_port=port, dashboard_address="127.0.0.1:0", silence_logs=50,
    ) as one:  # fmt: skip
        yield one


def wait_until(true: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    assert true()


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_each_worker_does_one_task_at_once_and_errors_come_back(port: int) -> None:
    with cluster(port, threads=2):
        crew = DaskCrew(f"tcp://127.0.0.1:{port}")
        assert (crew.size, crew.host) == (1, "127.0.0.1")
        assert sorted(one.result(20) for one in [crew.submit(count_those_under_way, i) for i in range(6)]) == [
            *range(6)
        ]
        assert _most_at_once == [1]
        with pytest.raises(InputError, match="no stack"):
            crew.submit(refuse, "no stack").result(20)
        with pytest.raises(OutputError, match=r"No module named 'eucentric'.*Python that this Eucentric"):
            crew.submit(import_what_is_not_there, 0).result(20)
        crew.close()


def test_work_waits_for_a_scheduler_that_comes_back(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eucentric.workflow.live.dask_crew._POLL_S", 0.05)
    told = Lines()
    with cluster(port, workers=0):
        crew = DaskCrew(f"tcp://127.0.0.1:{port}", at_most=3, reporter=told)
        assert crew.size == 3
        before = crew.submit(double, 1)
    wait_until(lambda: any("is gone" in line for line in told.lines))
    meanwhile = crew.submit(double, 2)
    with cluster(port):
        assert (before.result(20), meanwhile.result(20)) == (2, 4)
        crew.close()
    assert [line.rpartition(f"{port} ")[2].partition(".")[0] for line in told.lines] == ["is gone", "is there again"]


def test_it_is_told_that_no_worker_comes(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eucentric.workflow.live.dask_crew._POLL_S", 0.05)
    monkeypatch.setattr("eucentric.workflow.live.dask_crew._EMPTY_S", 0.1)
    told = Lines()
    with cluster(port, workers=0) as empty:
        crew = DaskCrew(f"tcp://127.0.0.1:{port}", reporter=told)
        waits = crew.submit(double, 3)
        wait_until(lambda: any("has no workers" in line for line in told.lines))
        empty.scale(1)
        assert waits.result(20) == 6
        wait_until(lambda: told.lines[-1].endswith("has workers."))
        crew.close()


def test_it_ends_while_the_scheduler_is_away(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eucentric.workflow.live.dask_crew._POLL_S", 0.05)
    told = Lines()
    with cluster(port):
        crew = DaskCrew(f"tcp://127.0.0.1:{port}", wait_s=0.2, reporter=told)
    wait_until(lambda: told.lines)
    waits = crew.submit(double, 4)
    crew.close()
    assert not waits.done()
    assert not any(thread.name == "Dask cluster" for thread in threading.enumerate())


def test_what_a_worker_is_at_is_waited_for_when_it_closes(port: int) -> None:
    with cluster(port):
        crew = DaskCrew(f"tcp://127.0.0.1:{port}", at_most=2)
        first, second = crew.submit(take_a_while, 1), crew.submit(take_a_while, 2)
        assert _begun.wait(10)
        crew.close()
        crew.close()
        assert (first.done(), second.done()) == (True, False)


def test_no_scheduler_is_said(port: int) -> None:
    with pytest.raises(OutputError, match=f"127.0.0.1:{port}: no Dask scheduler answers there"):
        DaskCrew(f"tcp://127.0.0.1:{port}", wait_s=0.2)
    with pytest.raises(OutputError, match=r"no certificates on this machine.*distributed\.comm\.tls"):
        DaskCrew(f"tls://127.0.0.1:{port}", wait_s=0.2)


def test_a_scheduler_without_eucentric_is_refused(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eucentric.workflow.live.dask_crew._nothing", fail_to_import)
    with cluster(port), pytest.raises(OutputError, match=r"cannot import Eucentric \(No module named 'eucentric'\)"):
        DaskCrew(f"tcp://127.0.0.1:{port}")
