"""The explorer's page: sliders on one side, what they come to on the other."""

import json
from pathlib import PurePath

from fastapi import Request, Response
from nicegui import app, ui

from eucentric.core import EucentricError
from eucentric.web.explorer.controls import Controls
from eucentric.web.explorer.following import computed, warm_up
from eucentric.web.explorer.handing_over import FORMS, Form, as_file, save
from eucentric.web.explorer.look import CSS
from eucentric.web.explorer.panels import Panels, show_all
from eucentric.web.explorer.presets import PRESETS, Preset
from eucentric.web.explorer.state import LIMITS, State
from eucentric.web.look import frame
from eucentric.web.served import Served

_SWING_S, _SWING_DEG = 0.12, 3.0
_COPY = """() => navigator.clipboard.writeText(location.href).then(
  () => emitEvent("explorer-copied", true), () => emitEvent("explorer-copied", false))"""


def register(served: Served) -> None:
    """Serve the page and its style sheet."""

    @app.get("/explorer.css")
    def style() -> Response:
        return Response(CSS, media_type="text/css")

    if served.session is None:  # beside a session, whoever comes for that is not to wait for what others may open
        app.on_startup(lambda: warm_up(lambda: show_all(State())))

    @ui.page("/")
    def explorer(request: Request) -> None:
        state, wrong = State.from_query(request.query_params)
        ui.add_head_html('<link rel="stylesheet" href="/explorer.css">')
        with frame("Explorer", served):
            _Page(served, state, wrong)


class _Page:
    """One visitor's page."""

    def __init__(self, served: Served, state: State, wrong: tuple[str, ...]) -> None:
        self._served = served
        self._swing = 0.0
        ui.html("What a tilt series comes to", sanitize=False, tag="h1")
        if wrong:
            with ui.element("div").classes("warnings").props("role=alert"):
                for remark in wrong:
                    with ui.element("p"):
                        ui.label(remark)
        with ui.element("div").classes("explorer"):
            self._story()
            self._controls = Controls(state, self._changed)
            self._panels = Panels()
        with self._controls.stage:
            self._play_button = _button("Swing the stage", self._play).props("aria-pressed=false")
        with self._controls.below:
            self._hand_over()
        self._panels.settled = self._settled
        self._client = ui.context.client
        self._timer = ui.timer(_SWING_S, self._swung, active=False)
        self._changed(state)

    # The story

    def _story(self) -> None:
        self._steps = {}
        with ui.element("div").classes("story"):
            with ui.element("div").classes("steps").props('role=group aria-label="The story in seven steps"'):
                for number, preset in enumerate(PRESETS, 1):
                    button = _button(f"{number} {preset.name}", lambda preset=preset: self._tell(preset))
                    self._steps[preset.name] = button.props("aria-pressed=false")
            self._look = ui.label(
                "Move the sliders, or follow the story from 1 to 7. All figures come from the same physics as "
                "eucentric design; the slice and the projection are of a piece of cell, seen through it."
            ).classes("look")
            self._look.props("aria-live=polite")

    def _tell(self, preset: Preset) -> None:
        self._look.text = preset.look
        self._press(preset.name)
        self._controls.set(preset.state)

    def _press(self, name: str | None) -> None:
        for step, button in self._steps.items():
            button.props["aria-pressed"] = "true" if step == name else "false"

    # What is shown

    def _changed(self, state: State) -> None:
        self._panels.follower.want(state)

    def _settled(self, state: State) -> None:
        """Have the address hold what is shown: it can be shared, and comes back when the page is loaded again."""
        if not self._client.has_socket_connection:  # the visitor has gone, or is not quite there
            return
        address = f"/?{state.query}" if state.query else "/"
        self._client.run_javascript(f'history.replaceState(history.state, "", {json.dumps(address)})')

    # The stage

    def _play(self) -> None:
        self._timer.active = not self._timer.active
        self._swing = self._swing or _SWING_DEG
        self._play_button.props["aria-pressed"] = "true" if self._timer.active else "false"

    def _swung(self) -> None:
        """Move the stage on, to and fro over the range; not while an image is still being made."""
        state = self._controls.state
        if not self._panels.follower.idle:
            return
        if abs(state.view_deg + self._swing) > state.half_range_deg:
            self._swing = -self._swing
        limits = LIMITS["view_deg"]
        self._controls.set(state.replace(view_deg=limits.nearest(state.view_deg + self._swing)))

    # Handing over

    def _hand_over(self) -> None:
        ui.html("Take it with you", sanitize=False, tag="h2").classes("group")
        with ui.element("div").classes("hand"):
            for form in FORMS:
                _button(form.label, lambda form=form: self._download(form))
            _button("Copy link", None).on("click", js_handler=_COPY)
            if self._served.allow_edit and self._served.session is not None:
                _button("Save in the session", self._save)
        self._told = ui.label().classes("caption").props("role=status")
        ui.on("explorer-copied", lambda event: self._copied(event.args))

    def _copied(self, done: object) -> None:
        self._told.text = "Copied." if done is True else "The browser keeps its clipboard: copy the page's address."

    async def _download(self, form: Form) -> None:
        try:
            data = await computed(as_file, self._controls.state, form)
        except EucentricError as error:
            self._told.text = str(error)
            return
        ui.download.content(data, form.file_name)
        self._told.text = f"{form.file_name}: {self._controls.state.tilts} tilts. {form.remark}"

    async def _save(self) -> None:
        try:
            path: PurePath = await computed(save, self._controls.state, self._served)
        except EucentricError as error:
            self._told.text = str(error)
            return
        self._told.text = f"Saved as {path.name}."


def _button(label: str, pressed: object) -> ui.element:
    with ui.element("button").classes("plain").props("type=button") as button:
        ui.html(label, sanitize=False, tag="span")
    if callable(pressed):
        button.on("click", pressed)
    return button
