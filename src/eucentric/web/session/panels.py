"""The parts of a series' page that are more than words: filters, pictures, charts."""

from collections.abc import Callable, Collection
from functools import partial
from html import escape
from typing import Any

from nicegui import ui
from nicegui.elements.plotly import Plotly

from eucentric.web.session import words
from eucentric.web.session.editing import Change, Editing
from eucentric.web.session.figures import CHARTS, Chart, figure, says
from eucentric.web.session.filters import Filter
from eucentric.web.session.records import SeriesView, TiltView
from eucentric.web.session.text import Text

_THROTTLE_S = 0.05
_VALUE = "(event) => emit(event.target.value)"
_KEYS = (
    '<span>found</span><span class="faded">does not pass</span><span class="ring">alarm</span>'
    '<span class="planned">planned</span>'
)
_EXCLUDED_KEY = '<span class="out">excluded</span>'


class _Slider(ui.element):
    """The browser's own slider, from 0 to 100, which has its keys and its role by itself."""

    def __init__(self, title: str, at: int, moved: Callable[[int], None]) -> None:
        super().__init__("input")
        # An attribute (^) is where it begins: a property would pull it back whenever something is redrawn.
        self.props.update({"type": "range", "aria-label": title, "^value": at, "min": 0, "max": 100, "step": 1})
        self.on("input", lambda event: moved(int(event.args)), throttle=_THROTTLE_S, js_handler=_VALUE)


class Filters:
    """Sliders that say what a tilt must have; `changed` is told when one was moved."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._share = {"drift": 1.0, "rings": 1.0, "counts": 0.0}
        self._largest = {"drift": 20.0, "rings": 30.0, "counts": 1.0}
        self._outputs: dict[str, ui.html] = {}
        titles = {"drift": "Drift at most", "rings": "Rings at least to", "counts": "Counts at least"}
        with ui.element("div").classes("filters").props('role=group aria-label="Filters"'):
            for name, title in titles.items():
                with ui.element("div"):
                    with ui.element("div").classes("said"):
                        ui.html(title, sanitize=False, tag="span")
                        self._outputs[name] = ui.html("any", sanitize=False, tag="output")
                    _Slider(title, round(100 * self._share[name]), partial(self._moved, name))
        self._pass = Text("p", "pass").props("role=status")

    def scale(self, view: SeriesView) -> None:
        """Let the sliders reach all that there is."""
        drift = [tilt.motion_A for tilt in view.tilts if tilt.motion_A is not None]
        rings = [tilt.fit_resolution_A for tilt in view.tilts if tilt.fit_resolution_A is not None]
        self._largest["drift"] = _rounded(max(drift, default=20.0))
        self._largest["rings"] = _rounded(max(rings, default=30.0))
        self._say()

    def faded(self, view: SeriesView) -> frozenset[int]:
        """Return the sections of the tilts that do not pass, and say how many do."""
        asked = self._asked()
        out = frozenset(tilt.section for tilt in view.tilts if not asked.passes(tilt))
        n = len(view.tilts)
        some = asked != Filter()
        self._pass.show(f"{n - len(out)} of {n} tilts pass." if some and n else "")
        return out

    def _asked(self) -> Filter:
        drift, rings, counts = (self._share[name] * self._largest[name] for name in ("drift", "rings", "counts"))
        return Filter(
            most_drift_A=drift if self._share["drift"] < 1 else None,
            most_resolution_A=rings if self._share["rings"] < 1 else None,
            least_counts_share=counts if self._share["counts"] > 0 else None,
        )

    def _moved(self, name: str, at: int) -> None:
        self._share[name] = min(100, max(0, at)) / 100
        self._say()
        self._changed()

    def _say(self) -> None:
        asked = self._asked()
        drift, rings, counts = asked.most_drift_A, asked.most_resolution_A, asked.least_counts_share
        said = {
            "drift": "any" if drift is None else f"{drift:.1f} Å",
            "rings": "any" if rings is None else f"{rings:.1f} Å",
            "counts": "any" if counts is None else f"{100 * counts:.0f} % of expected",
        }
        for name, output in self._outputs.items():
            output.content = said[name]


class Strip:
    """Pictures of the tilts, each a button; `chosen` is told which was pressed."""

    def __init__(self, chosen: Callable[[int], None]) -> None:
        self._chosen = chosen
        self._buttons: dict[int, tuple[ui.element, ui.html, list[object]]] = {}
        self._list = ui.element("ul").classes("strip")
        self._items: dict[int, ui.element] = {}

    def show(self, view: SeriesView, faded: Collection[int], chosen: int | None) -> None:
        """Show the tilts of a series in the order of acquisition."""
        alarming = {alarm.section: alarm.kind for alarm in reversed(view.alarms)}
        for at, tilt in enumerate(view.tilts):
            if tilt.section not in self._buttons:
                self._add(tilt.section, at)
            button, inside, now = self._buttons[tilt.section]
            alarm = alarming.get(tilt.section)
            inside.content = _picture(tilt, str(alarm or ""))
            wanted = [tilt.section == chosen, tilt.section in faded, alarm is not None, bool(tilt.excluded)]
            if wanted != now:
                now[:] = wanted
                names = [name for name, on in zip(("faded", "alarm", "excluded"), wanted[1:], strict=True) if on]
                button.classes(replace=" ".join(names))
                button.props["aria-pressed"] = "true" if wanted[0] else "false"
        for gone in self._buttons.keys() - {tilt.section for tilt in view.tilts}:
            self._items.pop(gone).delete()
            del self._buttons[gone]

    def _add(self, section: int, at: int) -> None:
        with self._list, ui.element("li") as item:
            button = ui.element("button").props("type=button aria-pressed=false")
            button.on("click", lambda: self._chosen(section))
            with button:
                inside = ui.html("", sanitize=False, tag="span")
        if at < len(self._items):
            item.move(target_index=at)
        self._items[section] = item
        self._buttons[section] = (button, inside, [False, False, False, False])


def _picture(tilt: TiltView, alarm: str) -> str:
    angle = f"{tilt.tilt_deg:.0f}°".replace("-", "−")
    image = f'<img src="{escape(tilt.picture)}" alt="" loading="lazy">' if tilt.picture else ""
    note = "excluded" if tilt.excluded else alarm or ("left out" if tilt.left_out else "")
    return f'<span class="picture">{image}</span><span class="words">{angle}<i>{escape(note)}</i></span>'


class Tilt:
    """The tilt that is looked at: its picture, large, all that is known of it, and what can be done with it."""

    def __init__(self, *, allow_edit: bool, change: Change) -> None:
        self._section = ui.element("section").classes("tilt").props('aria-label="Chosen tilt" aria-live=polite')
        with self._section:
            self._image = Text("div")
            with ui.element("div"):
                self._title = Text("h3")
                self._facts = Text("div")
                self._editing = Editing(allowed=allow_edit, change=change)
        self._section.set_visibility(False)

    def show(self, view: SeriesView, chosen: int | None) -> None:
        """Show a tilt of a series, or nothing."""
        tilt = next((tilt for tilt in view.tilts if tilt.section == chosen), None)
        self._section.set_visibility(tilt is not None)
        if tilt is not None:
            angle = f"{tilt.tilt_deg:+.1f}°".replace("-", "−")
            image = f'<img src="{escape(tilt.picture)}" alt="The image at {angle}">' if tilt.picture else ""
            self._image.show(image or '<span class="quiet">No picture of it yet.</span>')
            self._title.show(f"Tilt {angle}")
            self._facts.show(words.tilt_facts(tilt))
            self._editing.show(view, tilt)


class Charts:
    """Charts over tilt; `chosen` is told which tilt was clicked."""

    def __init__(self, chosen: Callable[[int], None]) -> None:
        self._chosen = chosen
        self._drawn: dict[Chart, dict[str, Any]] = {}
        self._plots: dict[Chart, Plotly] = {}
        self._keys = Text("p", "keys")
        with ui.element("div").classes("charts"):
            self._boxes = {chart: ui.element("figure") for chart in CHARTS}
        for box in self._boxes.values():
            box.set_visibility(False)

    def show(self, view: SeriesView, faded: Collection[int], chosen: int | None) -> None:
        """Draw the charts that something has changed in; those of which nothing is known are not shown."""
        self._keys.show(_KEYS + (_EXCLUDED_KEY if any(tilt.excluded for tilt in view.tilts) else ""))
        for chart, box in self._boxes.items():
            known = any(chart.measured(tilt) is not None for tilt in view.tilts)
            box.set_visibility(known)
            drawn = figure(chart, view, faded, chosen)
            if not known or drawn == self._drawn.get(chart):
                continue
            self._drawn[chart] = drawn
            if chart not in self._plots:  # not before there is something: to draw is what takes a browser long
                self._plots[chart] = self._add(chart, box, drawn)
            else:
                self._plots[chart].update_figure(drawn)
            self._plots[chart].props["aria-label"] = says(chart, view)

    def _add(self, chart: Chart, box: ui.element, drawn: dict[str, Any]) -> Plotly:
        with box:
            ui.html(escape(chart.title), sanitize=False, tag="h3")
            plot = ui.plotly(drawn).classes("plot").props("role=img")
            plot.on("plotly_click", lambda event: _clicked(event.args, self._chosen))
        return plot


def _clicked(told: Any, chosen: Callable[[int], None]) -> None:
    points = told.get("points") if isinstance(told, dict) else None
    section = points[0].get("customdata") if points else None
    if isinstance(section, int):
        chosen(section)


def _rounded(largest: float) -> float:
    """Return the largest value that a slider is to reach, a little more than there is."""
    step = 1.0 if largest < 20 else 5.0
    return step * (int(largest / step) + 1)
