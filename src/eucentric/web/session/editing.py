"""The part of a tilt's panel that changes something: to exclude the tilt, or to take it back."""

from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui

from eucentric.core import EucentricError
from eucentric.web.session import words
from eucentric.web.session.records import SeriesView, TiltView
from eucentric.web.session.text import Text
from eucentric.workflow.excluded import LONGEST_REASON

_REASONS = ("grid bar", "drift", "blank", "contamination", "other")
_READ_ONLY = "To exclude tilts here, serve the session with `--allow-edit`."

# What is asked for is said by the button as it was when it was pressed: another visitor may have pressed it meanwhile.
_PRESSED = """(event) => {
  const form = event.target.closest(".exclude"), chosen = form.querySelector("select").value;
  emit([event.currentTarget.dataset.asks, chosen === "other" ? form.querySelector("input").value : chosen]);
}"""

Change = Callable[[int, str | None], Awaitable[None]]


class Editing:
    """Excludes the tilt that is shown by `change(section, reason)`, or takes it back, without a reason.

    Where that is not `allowed` it is hidden; `change` refuses it all the same.
    """

    def __init__(self, *, allowed: bool, change: Change) -> None:
        self._allowed, self._change = allowed, change
        self._section: int | None = None
        self._refused = ""
        self._follows = ""
        with ui.element("div").classes("exclude") as self._box:
            self._form = ui.element("div").classes("form")
            with self._form:
                with ui.element("label") as self._why:
                    ui.html("Reason", sanitize=False, tag="span")
                    with ui.element("select").props("aria-label=Reason"):
                        for reason in _REASONS:
                            ui.html(reason, sanitize=False, tag="option").props(f'value="{reason}"')
                    ui.element("input").props(f'type=text maxlength={LONGEST_REASON} aria-label="In words"')
                with ui.element("button").classes("plain").props("type=button") as self._button:
                    self._label = Text("span")
                self._button.on("click", self._pressed, js_handler=_PRESSED)
            self._said = Text("p", "caption").props("role=status")
        self._form.set_visibility(allowed)

    def show(self, view: SeriesView, tilt: TiltView) -> None:
        """Offer what can be done with a tilt of a series."""
        if tilt.section != self._section:
            self._refused = ""
        self._section = tilt.section
        self._box.set_visibility(view.can_exclude)
        self._why.set_visibility(not tilt.excluded)
        asks = "include" if tilt.excluded else "exclude"
        if self._button.props.get("data-asks") != asks:
            self._button.props["data-asks"] = asks
        self._label.show("Take it back" if tilt.excluded else "Exclude this tilt")
        self._follows = view.exclusions if self._allowed else _READ_ONLY
        self._say()

    def _say(self) -> None:
        self._said.show(words.with_commands(self._refused or self._follows))

    async def _pressed(self, event: Any) -> None:
        section, asked = self._section, event.args
        if section is None or not isinstance(asked, list) or [type(each) for each in asked] != [str, str]:
            return  # nothing that the page sends
        asks, reason = asked
        self._refused = ""
        try:
            await self._change(section, None if asks == "include" else reason)
        except EucentricError as error:
            self._refused = str(error)
        self._say()
