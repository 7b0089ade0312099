"""Workers of this machine: a lost one costs its task, and urgent ones go first."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from eucentric.core import InputError
from eucentric.workflow.live import LocalCrew
from eucentric.workflow.live.crew import WorkerLostError


def double(number: int) -> int:
    return 2 * number


def refuse(what: str) -> None:
    raise InputError(what, "Mend it.")


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def press_ctrl_c(_: int) -> str:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.05)
    return "finished"


def write_down(given: tuple[str, str, float]) -> int:
    path, word, seconds = given
    time.sleep(seconds)
    with Path(path).open("a") as file:
        file.write(f"{word}\n")
    return os.getpid()


@pytest.fixture(scope="module")
def crew() -> Iterator[LocalCrew]:
    crew = LocalCrew(1)
    yield crew
    crew.close()


def test_results_and_errors_come_back(crew: LocalCrew) -> None:
    assert [future.result(60) for future in [crew.submit(double, i) for i in range(5)]] == [0, 2, 4, 6, 8]
    with pytest.raises(InputError, match="no stack") as caught:
        crew.submit(refuse, "no stack").result(60)
    assert caught.value.fix == "Mend it."


def test_a_lost_worker_costs_its_task_and_no_other(crew: LocalCrew) -> None:
    lost, next_one = crew.submit(die, 0), crew.submit(double, 4)
    with pytest.raises(WorkerLostError):
        lost.result(60)
    assert next_one.result(60) == 8


def test_ctrl_c_in_the_terminal_leaves_workers_at_their_task(crew: LocalCrew) -> None:
    assert crew.submit(press_ctrl_c, 0).result(60) == "finished"


def test_urgent_tasks_go_before_those_that_wait(crew: LocalCrew, tmp_path: Path) -> None:
    path = str(tmp_path / "order")
    under_way = threading.Event()
    first = crew.submit(write_down, (path, "first", 0.3))
    while not first.running():
        under_way.wait(0.01)
    others = [
        crew.submit(write_down, (path, "waits", 0.0)),
        crew.submit(write_down, (path, "urgent", 0.0), urgent=True),
    ]
    for future in others:
        future.result(60)
    assert Path(path).read_text().split() == ["first", "urgent", "waits"]


def test_what_was_not_begun_is_let_go_when_it_closes(tmp_path: Path) -> None:
    crew = LocalCrew(1)
    path = str(tmp_path / "order")
    first, second = (crew.submit(write_down, (path, word, 0.2)) for word in ("first", "second"))
    while not first.running():
        time.sleep(0.01)
    crew.close()
    crew.close()
    assert first.result(0)
    assert not second.running()
    assert not second.done() or second.cancelled()
