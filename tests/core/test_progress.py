"""The reporter: each finished step counts once, nothing goes to standard output, and silence is complete."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from eucentric.core import SILENT, ConsoleReporter, Reporter


def watched() -> tuple[ConsoleReporter, io.StringIO]:
    """A reporter on a terminal that is a string."""
    shown = io.StringIO()
    return ConsoleReporter(Console(file=shown, force_terminal=True, width=100)), shown


class Counter(Reporter):
    def __init__(self) -> None:
        self.total = 0
        self.steps = 0

    @contextmanager
    def task(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        def step() -> None:
            self.steps += 1

        self.total += total
        yield step


@given(items=st.lists(st.integers(), max_size=5))
def test_each_gives_every_item_and_counts_it_once(items: list[int]) -> None:
    counter = Counter()
    assert list(counter.each(items, "tilts")) == items
    assert counter.steps == counter.total == len(items)
    assert list(SILENT.each(items, "tilts")) == items
    assert list(ConsoleReporter(Console(file=io.StringIO())).each(items, "tilts")) == items


def test_a_step_counts_when_it_is_finished_and_not_when_it_is_begun() -> None:
    counter = Counter()
    seen = [counter.steps for _ in counter.each("abc", "tilts")]
    assert seen == [0, 1, 2]


def redraw(reporter: Reporter) -> None:
    """Have the display drawn now, and not at the next tick of its timer."""
    with reporter.task("another", 1):
        pass


def test_the_bar_names_the_task_its_steps_and_the_time_left() -> None:
    reporter, shown = watched()
    with reporter.task("Aligning", 41) as step:
        step()
        step()
        redraw(reporter)
    assert "Aligning" in shown.getvalue()
    assert "2/41" in shown.getvalue()
    assert "-:--:--" in shown.getvalue()  # time left, where it cannot yet be told


def test_tasks_can_be_nested_and_come_after_each_other() -> None:
    reporter, shown = watched()
    for _ in range(2):
        with reporter.task("outer", 2) as outer:
            for _ in range(2):
                with reporter.task("inner", 3) as inner:
                    inner()
                    redraw(reporter)
                outer()
            redraw(reporter)
    assert shown.getvalue().count("1/3") >= 4
    assert shown.getvalue().count("2/2") >= 2


def test_a_failure_inside_a_task_passes_through_and_leaves_the_reporter_usable() -> None:
    reporter, shown = watched()

    def fail() -> None:
        with reporter.task("first", 1):
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    with reporter.task("second", 1) as step:
        step()
        redraw(reporter)
    assert "1/1" in shown.getvalue()


def test_a_message_is_shown_as_it_is() -> None:
    reporter, shown = watched()
    reporter.say("wrote [ts01].mrc: 1.2 Å")
    assert shown.getvalue() == "wrote [ts01].mrc: 1.2 Å\n"


def test_standard_output_stays_free_for_results(capsys: pytest.CaptureFixture[str]) -> None:
    for reporter in (ConsoleReporter(), SILENT):
        with reporter.task("Aligning", 1) as step:
            step()
            reporter.say("done")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("done") == 1  # the silent one says nothing
