"""The sliders and switches of the explorer; each says its value in words."""

from collections.abc import Callable
from typing import Any

from nicegui import ui

from eucentric.web.explorer.state import LIMITS, Limits, State


class _Slider(ui.element):
    """The browser's own slider, which has its keys and its role by itself; NiceGUI's has them on two elements."""

    def __init__(self, title: str, limits: Limits, value: float, moved: Callable[[float], None]) -> None:
        super().__init__("input")
        # As an attribute (^), which is where it begins: a property would be set again by whatever is redrawn, and
        # pull the slider back while it is dragged.
        ends = {"min": limits.least, "max": limits.most, "step": limits.step}
        self.props.update({"type": "range", "aria-label": title, **ends, "^value": value})  # within the ends: last
        self.on("input", lambda event: moved(float(event.args)), throttle=_THROTTLE_S, js_handler=_VALUE)

    def set_value(self, value: float) -> None:
        """Bring the slider to a value."""
        self.client.run_javascript(f"document.getElementById('{self.html_id}').value = {value:g}")

    def say(self, words: str) -> None:
        """Tell a screen reader the value in words."""
        self.props["aria-valuetext"] = words

    def set_enabled(self, enabled: bool) -> None:
        """Let it be moved, or not."""
        if self.props.get("disabled", False) == enabled:
            self.props["disabled"] = not enabled


_THROTTLE_S = 0.04
_VALUE = "(event) => emit(event.target.value)"

_SLIDERS: dict[str, tuple[str, Callable[[State], str]]] = {
    "tilts": ("Tilts", lambda state: f"{state.tilts}, every {state.step_deg:.3g}°"),
    "half_range_deg": ("Range", lambda state: f"±{state.half_range_deg:g}°"),
    "group": ("Tilts on a side in turn", lambda state: f"{state.group}"),
    "exposure_e_A2": ("Exposure in all", lambda state: f"{state.exposure_e_A2:g} e/Å²"),
    "thickness_A": ("Thickness", lambda state: f"{state.thickness_A / 10:g} nm"),
    "defocus_A": ("Defocus", lambda state: f"{state.defocus_A / 1e4:.3g} µm under"),
    "noise": ("Noise", lambda state: f"{state.noise:.1f} ×" if state.noise else "off"),
    "view_deg": ("Stage tilt shown", lambda state: f"{state.view_deg:g}°".replace("-", "−")),
}
_CHOICES = {
    "scheme": ("Order", {name: name for name in ("dose-symmetric", "bidirectional", "unidirectional")}),
    "division": ("Exposure over tilt", {"constant": "the same", "inverse-cosine": "1 / cos"}),
}
_SWITCHES = {"weighted": "Dose weighting", "flipped": "CTF's signs corrected"}
_LAYOUT = (
    ("Tilt series", ("tilts", "half_range_deg", "scheme", "group", "exposure_e_A2", "division")),
    ("Specimen and lens", ("thickness_A", "defocus_A", "noise")),
    ("Stage", ("view_deg",)),
    ("Processing", ("weighted", "flipped")),
)


class Controls:
    """All that can be moved; `changed` is told of every new state, and whoever sets one tells the controls."""

    def __init__(self, state: State, changed: Callable[[State], None]) -> None:
        self.state = state
        self._changed = changed
        self._inputs: dict[str, Any] = {}
        self._outputs: dict[str, ui.html] = {}
        with ui.element("div").classes("controls"):
            for title, names in _LAYOUT:
                ui.html(title, sanitize=False, tag="h2").classes("group")
                for name in names:
                    self._add(name)
                if title == "Stage":
                    self.stage = ui.element("div")
            self.below = ui.element("div")
        self._say()

    def set(self, state: State) -> None:
        """Bring every control to a state, and have it shown."""
        self.state = state
        for name, control in self._inputs.items():
            control.set_value(getattr(state, name))
        self._say()
        self._changed(state)

    def _add(self, name: str) -> None:
        if name in _SLIDERS:
            title, limits = _SLIDERS[name][0], LIMITS[name]
            with ui.element("div").classes("control"):
                with ui.element("div").classes("said"):
                    ui.html(title, sanitize=False, tag="span")
                    self._outputs[name] = ui.html(sanitize=False, tag="output")
                control: Any = _Slider(title, limits, getattr(self.state, name), lambda value: self._moved(name, value))
        elif name in _CHOICES:
            title, options = _CHOICES[name]
            with ui.element("div").classes("choice"):
                ui.html(title, sanitize=False, tag="span").classes("caption")
                control = ui.radio(options).props(f'inline dense aria-label="{title}"')
        else:
            control = ui.switch(_SWITCHES[name]).props("dense")
        if name not in _SLIDERS:
            control.set_value(getattr(self.state, name))
            control.on_value_change(lambda event: self._moved(name, event.value))
        control.mark(name)
        self._inputs[name] = control

    def _moved(self, name: str, value: Any) -> None:
        if name in LIMITS:
            value = LIMITS[name].nearest(float(value))
            value = int(value) if name in ("tilts", "group") else value
        if value == getattr(self.state, name):
            return
        self.state = self.state.replace(**{name: value})
        self._say()
        self._changed(self.state)

    def _say(self) -> None:
        for name, output in self._outputs.items():
            output.content = words = _SLIDERS[name][1](self.state)
            self._inputs[name].say(words)
        self._inputs["group"].set_enabled(self.state.scheme == "dose-symmetric")
