"""One progress reporter for every long step: a bar with time left on standard error, or nothing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")


class Reporter:
    """Reports progress; the base class is silent, so that numeric code can call it anywhere."""

    @contextmanager
    def task(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """Open a task of `total` steps; the function given is called once for each finished step."""
        yield lambda: None

    def each(self, items: Sequence[T], what: str) -> Iterator[T]:
        """Iterate over `items`, reporting each as a step of the task `what`."""
        with self.task(what, len(items)) as step:
            for item in items:
                yield item
                step()

    def say(self, message: str) -> None:
        """Tell the user one line, such as the outcome of a stage."""


class ConsoleReporter(Reporter):
    """Shows a bar with time left for each task, on standard error (standard output belongs to results)."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._progress: Progress | None = None

    @contextmanager
    def task(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """Show a bar while the task is open; nested tasks share one display."""
        if self._progress is not None:
            with self._row(self._progress, what, total) as step:
                yield step
            return
        self._progress = Progress(
            TextColumn("{task.description}", style="progress.description", markup=False),  # a file may be named "[a]"
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,  # a log file wants lines, not bars
        )
        try:
            with self._progress, self._row(self._progress, what, total) as step:
                yield step
        finally:
            self._progress = None

    @staticmethod
    @contextmanager
    def _row(progress: Progress, what: str, total: int) -> Iterator[Callable[[], None]]:
        row = progress.add_task(what, total=total)
        try:
            yield lambda: progress.advance(row)
        finally:
            progress.remove_task(row)

    def say(self, message: str) -> None:
        """Print one line above the bars."""
        self._console.print(message, highlight=False, markup=False, soft_wrap=True)


SILENT = Reporter()
"""The reporter to use where nobody watches."""
