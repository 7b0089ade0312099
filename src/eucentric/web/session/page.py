"""The pages of a session: all its series, and each of them, brought after the journal twice a second."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from fastapi import Response
from nicegui import app, run, ui

from eucentric.web.look import frame
from eucentric.web.served import Served
from eucentric.web.session import words
from eucentric.web.session.excluding import set_excluded
from eucentric.web.session.model import SessionModel
from eucentric.web.session.panels import Charts, Filters, Strip, Tilt
from eucentric.web.session.records import Alarm, SeriesView, SessionView
from eucentric.web.session.routes import add_routes
from eucentric.web.session.style import CSS
from eucentric.web.session.text import Text

_TITLE = "Session"
_EVERY_S = 0.5
_MOST_ALARMS = 50  # on one page; how many more there are is said


def add_pages(served: Served, session: Path) -> None:
    """Add the page of all series of the session that is served, the pages of each, and what they fetch."""
    model = SessionModel(session)
    add_routes(app, session)

    @app.get("/session.css")
    def style() -> Response:
        return Response(CSS, media_type="text/css")

    @ui.page("/session")
    def every() -> None:
        ui.add_head_html('<link rel="stylesheet" href="/session.css">')
        with frame(_TITLE, served), ui.element("div").classes("session"):
            page = _Every(model)
        ui.timer(_EVERY_S, page.update)

    @ui.page("/session/{series}")
    def one(series: str) -> None:
        ui.add_head_html('<link rel="stylesheet" href="/session.css">')
        with frame(_TITLE, served), ui.element("div").classes("session"):
            page = _One(model, series, served)
        ui.timer(_EVERY_S, page.update)


async def _advanced(model: SessionModel, first: str | None = None) -> SessionView | None:
    """Bring the model after the journal, off the event loop; None where the server is about to end."""
    return await run.io_bound(model.advance, first)


class _Alarms:
    """A box that is there as long as something is alarming."""

    def __init__(self, *, named: bool) -> None:
        self._named = named
        with (
            ui.element("div").classes("warnings").props('role=region aria-label="Alarms" aria-live=polite') as self._box
        ):
            self._list = Text("ul")

    def show(self, alarms: Sequence[Alarm]) -> None:
        """Show these."""
        more = len(alarms) - _MOST_ALARMS
        said = words.alarms(alarms[:_MOST_ALARMS], named=self._named)
        self._list.show(said + (f"<li>and {more} more</li>" if more > 0 else ""))
        self._box.set_visibility(bool(alarms))


class _Every:
    """The page of all series, for one visitor."""

    def __init__(self, model: SessionModel) -> None:
        self._model = model
        self._shown: dict[str, SeriesView] = {}
        self._cards: dict[str, Text] = {}
        _heading(1, model.folder.name)
        self._alarms = _Alarms(named=True)
        self._numbers = Text("dl", "numbers")
        self._quiet = Text("p", "quiet")
        self._list = ui.element("ul").classes("series")
        Text("p", "caption").show(escape(words.thresholds(model.limits)))

    async def update(self) -> None:
        """Show what has changed."""
        session = await _advanced(self._model)
        if session is None:
            return
        series = self._model.series
        alarms = [*session.alarms, *(alarm for view in series.values() for alarm in view.alarms)]
        self._alarms.show(alarms)
        self._numbers.show(words.session_numbers(session, series.values()))
        nothing = "Nothing has come yet; what comes appears here by itself." if not series else ""
        waiting = f"{self._model.behind} more series are being read." if self._model.behind else ""
        self._quiet.show(nothing or waiting)
        for name, view in sorted(series.items()):
            if self._shown.get(name) is not view:
                self._shown[name] = view
                self._card(name).show(words.card(view))

    def _card(self, name: str) -> Text:
        if name not in self._cards:
            with self._list:
                self._cards[name] = Text("li")
            at = sorted(self._cards).index(name)
            if at < len(self._cards) - 1:
                self._cards[name].move(target_index=at)
        return self._cards[name]


class _One:
    """The page of one series, for one visitor."""

    def __init__(self, model: SessionModel, name: str, served: Served) -> None:
        self._model, self._name, self._served = model, name, served
        self._shown: SeriesView | None = None
        with ui.element("div"):
            self._links = Text("p", "links")
            with ui.element("div").classes("title"):
                _heading(1, name)
                self._state = Text("span", "marks")
        self._reason = Text("p", "quiet")
        self._alarms = _Alarms(named=False)
        self._numbers = Text("dl", "numbers")
        self._preview = Text("figure", "preview")
        self._stages = Text("ol", "stages").props('aria-label="Stages"')
        _heading(2, "Tilts in the order of acquisition")
        self._filters = Filters(self._redraw)
        self._tilt = Tilt(allow_edit=served.allow_edit, change=self._exclude)
        self._strip = Strip(self._choose)
        _heading(2, "Over tilt")
        self._charts = Charts(self._choose)
        with ui.element("details"):
            with ui.element("summary"):
                ui.label("All figures as a table")
            with ui.element("div").classes("over").props('tabindex=0 role=region aria-label="Table of tilts"'):
                self._table = Text("table")
        Text("p", "caption").show(escape(words.thresholds(model.limits)))
        self._chosen: int | None = None

    async def update(self) -> None:
        """Show what has changed."""
        session = await _advanced(self._model, self._name)
        if session is None:
            return
        view = self._model.series.get(self._name)
        if view is None:
            reading = (
                "The session is being read." if self._model.behind else "This session knows no series of that name."
            )
            self._links.show('<a href="/session">All series</a>')
            self._reason.show(escape(reading))
            self._alarms.show(session.alarms)
            return
        self._alarms.show((*session.alarms, *view.alarms))
        if view is not self._shown:
            self._shown = view
            self._show(view)

    def _show(self, view: SeriesView) -> None:
        self._links.show(words.links(view))
        self._state.show(words.state(view))
        self._reason.show(words.with_commands(" ".join(filter(None, (view.reason, view.outdated, view.exclusions)))))
        self._numbers.show(words.series_numbers(view))
        self._preview.show(words.preview(view))
        self._stages.show(words.stages(view))
        self._table.show(words.table(view))
        self._filters.scale(view)
        self._redraw()

    def _redraw(self) -> None:
        if self._shown is None:
            return
        faded = self._filters.faded(self._shown)
        self._strip.show(self._shown, faded, self._chosen)
        self._charts.show(self._shown, faded, self._chosen)
        self._tilt.show(self._shown, self._chosen)

    def _choose(self, section: int) -> None:
        self._chosen = None if section == self._chosen else section
        self._redraw()

    async def _exclude(self, section: int, reason: str | None) -> None:
        await run.io_bound(set_excluded, self._served, self._name, section, reason)
        await self.update()


def _heading(level: int, text: str) -> None:
    ui.html(escape(text), sanitize=False, tag=f"h{level}")
