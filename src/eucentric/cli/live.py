"""`LiveTable`: an acquisition as it goes: a table on a terminal, a line a tilt in a log."""

import math
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from eucentric.acquisition import Happened

_MOST_ROWS = 24
_TROUBLES = 3


class LiveTable:
    """A listener that shows what happens; a context manager.

    Parameters
    ----------
    console
        Where it is shown, on standard error.
    targets
        Their names, in order, each with how many images it has already.
    tilts
        How many the plan has.
    """

    def __init__(self, console: Console, targets: Mapping[str, int], tilts: int) -> None:
        self._console = console
        self._rows: dict[str, Mapping[str, Any]] = {name: {} for name in targets}
        self._images = dict(targets)
        self._tilts = tilts
        self._tilt: Mapping[str, Any] = {}
        self._track = ""
        self._left_s: float | None = None
        self._troubles: list[str] = []
        self._line: list[Mapping[str, Any]] = []
        self._live = (
            Live(console=console, auto_refresh=False, transient=False, get_renderable=self._drawn)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_line()
        if self._live is not None and self._live.is_started:
            self._live.refresh()
            self._live.stop()

    def __call__(self, happened: Happened) -> None:
        """Take up what happened; the first thing that does brings the table up, below whatever was asked before."""
        if self._live is not None and not self._live.is_started:
            self._live.start(refresh=True)
        body = happened.body
        take: Callable[[Mapping[str, Any]], None] | None = {
            "acquisition.tilt": self._on_tilt,
            "acquisition.saw": self._on_saw,
            "acquisition.focused": self._on_focused,
            "acquisition.exposed": self._on_exposed,
            "acquisition.policy": self._on_policy,
            "acquisition.stopped": self._on_stopped,
        }.get(happened.kind)
        if take is not None:
            take(body)
            if self._live is not None:
                self._live.refresh()

    def _on_tilt(self, body: Mapping[str, Any]) -> None:
        self._end_line()
        self._tilt, self._track = body, ""

    def _on_saw(self, body: Mapping[str, Any]) -> None:
        if body["place"] not in self._rows:
            off_nm = math.dist(body["yx_A"], body["predicted_yx_A"]) / 10
            self._track = f"tracking: {_um(body['predicted_yx_A'])} µm predicted, {off_nm:.0f} nm off"

    def _on_focused(self, body: Mapping[str, Any]) -> None:
        self._track += f"; focus {body['off_A'] / 1e4:.2f} µm off"

    def _on_exposed(self, body: Mapping[str, Any]) -> None:
        self._rows[body["target"]] = body
        self._images[body["target"]] += 1
        self._left_s = body["remaining_s"]
        self._line.append(body)

    def _on_policy(self, body: Mapping[str, Any]) -> None:
        whom = f"{body['target']}: " if body.get("target") else ""
        self._trouble(f"{whom}{body['reason']} ({body['policy'].replace('_', ' ')}: {body['action']})")

    def _on_stopped(self, body: Mapping[str, Any]) -> None:
        self._trouble(f"{body['target']}: its {body['side']} side is given up")

    def _trouble(self, text: str) -> None:
        self._troubles = [*self._troubles, text][-_TROUBLES:]
        if self._live is None:
            self._console.print(f"  {text}", highlight=False, markup=False, soft_wrap=True)

    def _end_line(self) -> None:
        """Say in one line, where nothing can be redrawn, what became of a tilt."""
        if self._line and self._live is None:
            last = self._line[-1]
            offs = [off for off in map(_off_nm, self._line) if off is not None]
            miss = f", up to {max(offs):.0f} nm off" if offs else ""
            self._console.print(
                f"tilt {last['order'] + 1} of {self._tilts}: {last['tilt_deg']:+.2f}°, {len(self._line)} exposed"
                f"{miss}, "
                f"counts {100 * min(one['counts_share'] for one in self._line):.0f} %, "
                f"{last['received_e_A2']:.1f} e/Å² spent, {_minutes(self._left_s)} left",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
        self._line = []

    def _drawn(self) -> Group:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in (
            "target",
            "images",
            "tilt °",
            "predicted µm",
            "measured µm",
            "off nm",
            "lens µm",
            "counts",
            "e/Å²",
        ):
            table.add_column(title, justify="left" if title == "target" else "right", no_wrap=True)
        for name, body in list(self._rows.items())[:_MOST_ROWS]:
            table.add_row(name, f"{self._images[name]}", *(_cells(body) if body else ()))
        more = len(self._rows) - _MOST_ROWS
        if more > 0:
            table.add_row(f"and {more} more")
        order = self._tilt.get("order")
        head = (
            "" if order is None else f"tilt {order + 1} of {self._tilts}, {self._tilt['tilt_deg']:+.2f}°; {self._track}"
        )
        left = "" if self._left_s is None else f"{_minutes(self._left_s)} left, by the microscope's clock"
        lines = [Text(line, style="dim") for line in (head, left) if line]
        return Group(table, *lines, *(Text(line, style="yellow") for line in self._troubles))


def _cells(body: Mapping[str, Any]) -> tuple[str, ...]:
    off_nm = _off_nm(body)
    measured = body["measured_yx_A"]
    return (
        f"{body['tilt_deg']:+.1f}",
        _um(body["predicted_yx_A"]),
        _um(measured) if measured else "-",
        "-" if off_nm is None else f"{off_nm:.0f}",
        f"{body['defocus_A'] / 1e4:.2f}",
        f"{100 * body['counts_share']:.0f} %",
        f"{body['received_e_A2']:.1f}",
    )


def _off_nm(body: Mapping[str, Any]) -> float | None:
    """Return how far a target was from the centre of its image, which was put where it was predicted."""
    measured = body["measured_yx_A"]
    return math.dist(measured, body["predicted_yx_A"]) / 10 if measured else None


def _um(yx_A: Any) -> str:
    return f"{yx_A[0] / 1e4:+.3f} {yx_A[1] / 1e4:+.3f}"


def _minutes(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
