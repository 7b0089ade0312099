"""What the page shows of a state: two pictures, six charts, and the design in numbers."""

import asyncio
import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nicegui import ui

from eucentric.web.explorer import figures, model
from eucentric.web.explorer.following import Follower, computed
from eucentric.web.explorer.model import SWEEP, Worth
from eucentric.web.explorer.state import State


@dataclass(frozen=True)
class _Said:
    """The words about a figure: its title, the keys to its curves (look and name), and what it means."""

    title: str
    keys: Sequence[tuple[str, str]]
    caption: str


_CHARTS: dict[Callable[[State], str], _Said] = {
    figures.exposures: _Said(
        "Exposure over tilt",
        [("full", "this image"), ("pale", "received before")],
        "The specimen ages from image to image: the order says which tilts see it fresh.",
    ),
    figures.transfer: _Said(
        "Signal transfer of this image",
        [("c0", "middle of the field"), ("c1", "left end"), ("c2", "right end"), ("muted dashed", "left by damage")],
        "CTF times what the exposure left. On a tilted slab the ends of the field have a defocus of their own.",
    ),
    figures.ssnr: _Said(
        "Signal to noise",
        [("c0", "40 Å"), ("c1", "20 Å"), ("c2", "10 Å"), ("c0 dashed", "tomogram, mean of directions")],
        "SSNR of each image for a complex of 1 MDa, and of the volume, whose gaps and wedge count as nothing.",
    ),
    figures.parallax: _Said(
        "Parallax",
        [("c0", "top"), ("c1", "middle"), ("c2", "bottom of the slab")],
        "Movement across the axis as the stage swings: height times the sine of the tilt.",
    ),
}
_SPOT = _Said(
    "Sweet spot in the number of tilts",
    [("ink", "worth"), ("c0 dashed", "perfect alignment"), ("c1 dashed", "no gaps"), ("c2", "neither costs")],
    "Information, less where directions are missing. Gaps take the left flank, weak images the right.",
)
_COVERAGE = _Said(
    "Fourier coverage",
    [],
    "SSNR across the tilt axis, from little (dark) to much (yellow); nothing is known of what is empty: the wedge "
    "above, and gaps between tilts.",
)


_REST_EVERY_S = 0.4


class Panels:
    """The figures of one visitor's page."""

    def __init__(self) -> None:
        self.follower = Follower(self._show)
        self.settled: Callable[[State], None] = lambda _: None
        self._complete_s = 0.0
        with ui.element("div").classes("shown"):
            with ui.element("div").classes("pictures"):
                self._slice, self._over_slice = _picture(
                    "slice", "Tomogram, a slice", "Across the tilt axis: the slab's faces, the beam's way."
                )
                self._projection, self._over_projection = _picture(
                    "projection", "Projection at this tilt", "With the tilt axis, and three beads at different heights."
                )
            self._numbers = ui.html(sanitize=False, tag="dl").classes("numbers")
            with ui.element("div").classes("charts"):
                with _figure(_COVERAGE), ui.element("div").classes("map"):
                    self._map = ui.element("img").props('alt="Map of Fourier coverage"')
                    self._over_map = ui.html(sanitize=False)
                self._charts = []
                for said in _CHARTS.values():
                    with _figure(said):
                        self._charts.append(ui.html(sanitize=False))
                with _figure(_SPOT):
                    self._spot_chart = ui.html(sanitize=False)
                    self._spot_words = ui.label().classes("caption")

    async def _show(self, state: State) -> None:
        """Show a state: the slice first; the rest now and then while a slider moves; and worth once it rests."""
        self._slice.props["src"] = await computed(figures.tomogram_slice, state)
        self._over_slice.content = figures.over_slice(state)
        now = asyncio.get_running_loop().time()
        if self.follower.behind and now < self._complete_s + _REST_EVERY_S:
            return
        self._projection.props["src"] = await computed(figures.projection, state)
        self._over_projection.content = figures.over_projection(state)
        drawn = await computed(_drawn, state)
        self._map.props["src"] = drawn.coverage
        self._over_map.content = figures.over_coverage(state)
        for chart, svg in zip(self._charts, drawn.charts, strict=True):
            chart.content = svg
        self._numbers.content = drawn.numbers
        self._complete_s = asyncio.get_running_loop().time()
        found: list[Worth] = []
        for tilts in sorted({*SWEEP, state.tilts}):
            if self.follower.behind:
                return
            found.append(await computed(model.worth, state, tilts))
        self._spot_chart.content = figures.sweet_spot(state, found)
        self._spot_words.text = figures.sweet_spot_words(state, found)
        self.settled(state)


def show_all(state: State) -> None:
    """Make all there is to show of a state."""
    figures.tomogram_slice(state)
    figures.projection(state)
    _drawn(state)
    model.worth(state, state.tilts)


@dataclass(frozen=True)
class _Drawn:
    coverage: str
    charts: list[str]
    numbers: str


def _drawn(state: State) -> _Drawn:
    """Return what is not looked at while a slider moves."""
    return _Drawn(figures.coverage(state), [draw(state) for draw in _CHARTS], _listed(figures.numbers(state)))


def _picture(name: str, title: str, caption: str) -> tuple[ui.element, ui.html]:
    with _figure(_Said(title, [], caption)), ui.element("div").classes("picture"):
        image = ui.element("img").props(f'alt="{title}" width=448 height=320').mark(name)
        image.props["id"] = f"explorer-{name}"
        return image, ui.html(sanitize=False)


def _figure(said: _Said) -> ui.element:
    """Return a figure's inside; its words are around it."""
    with ui.element("figure"):
        ui.html(html.escape(said.title), sanitize=False, tag="h3")
        if said.keys:
            keys = "".join(f'<span class="key {look}">{html.escape(name)}</span>' for look, name in said.keys)
            ui.html(keys, sanitize=False).classes("keys")
        inside = ui.element("div")
        ui.html(html.escape(said.caption), sanitize=False, tag="figcaption").classes("caption")
    return inside


def _listed(numbers: list[tuple[str, str]]) -> str:
    return "".join(f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>" for name, value in numbers)
