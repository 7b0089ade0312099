"""Small charts as SVG: the page's style sheet colours them, so that they follow light and dark without being redrawn.

A chart is a few kB of text that a browser draws at once, where a plotting library would take longer than a slider may.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

Doubles = NDArray[np.float64]

WIDTH, HEIGHT = 400, 236
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 12, 10, 40
_ANGLES = (1, 1.5, 3, 6, 10)


@dataclass(frozen=True)
class Axis:
    """What an axis says, from where to where it goes, and how."""

    label: str
    low: float
    high: float
    log: bool = False
    ticks: Sequence[tuple[float, str]] | None = None
    steps: Sequence[float] = (1, 2, 5, 10)

    def share(self, values: ArrayLike) -> Doubles:
        """Return where along the axis values are, from 0 to 1."""
        low, high, at = self.low, self.high, np.asarray(values, dtype=float)
        if self.log:
            low, high, at = math.log(low), math.log(high), np.log(np.maximum(at, 1e-30))
        return np.asarray(np.clip((at - low) / (high - low), -0.5, 1.5))

    def marks(self) -> Sequence[tuple[float, str]]:
        """Return the ticks with their labels."""
        if self.ticks is not None:
            return self.ticks
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            every = max(1, math.ceil((last - first) / 5))
            return [(10.0**power, _power(power)) for power in range(first, last + 1, every)]
        places = MaxNLocator(nbins=5, steps=list(self.steps)).tick_values(self.low, self.high)
        return [(at, f"{at:g}".replace("-", "−")) for at in places if self.low - 1e-9 <= at <= self.high + 1e-9]


def angle_axis(label: str, half_deg: float) -> Axis:
    """Return an axis of angles, with ticks every 15°, 30° and the like."""
    return Axis(label, -half_deg, half_deg, steps=_ANGLES)


@dataclass
class Chart:
    """A chart that is drawn piece by piece; `says` is what it shows, for those who do not see it."""

    says: str
    x: Axis
    y: Axis
    parts: list[str] = field(default_factory=list)

    def line(self, x: ArrayLike, y: ArrayLike, look: str) -> None:
        """Draw a curve; what is not finite is left out."""
        across, up = self._x(x), self._y(y)
        fine = np.isfinite(across) & np.isfinite(up)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across[fine], up[fine], strict=True))
        self.parts.append(f'<polyline class="line {look}" points="{points}"/>')

    def bars(self, x: Doubles, low: Doubles, high: Doubles, width: float, look: str, told: Sequence[str] = ()) -> None:
        """Draw a bar at each x; `told` are shown where one points at them."""
        half = 0.5 * width / (self.x.high - self.x.low) * self._span_x
        titles = [f"<title>{html.escape(text)}</title>" for text in told] or [""] * len(x)
        for across, bottom, top, title in zip(self._x(x), self._y(low), self._y(high), titles, strict=True):
            size = f'width="{2 * half:.1f}" height="{max(bottom - top, 0):.1f}"'
            self.parts.append(f'<rect class="bar {look}" x="{across - half:.1f}" y="{top:.1f}" {size}>{title}</rect>')

    def upright(self, x: float, look: str) -> None:
        """Draw an upright line from end to end."""
        at = float(self._x(x))
        self.parts.append(f'<path class="line {look}" d="M{at:.1f} {_TOP}V{HEIGHT - _BOTTOM}"/>')

    def level(self, y: float, look: str) -> None:
        """Draw a level line from end to end."""
        at = float(self._y(y))
        self.parts.append(f'<path class="line {look}" d="M{_LEFT} {at:.1f}H{WIDTH - _RIGHT}"/>')

    def dot(self, x: float, y: float, look: str) -> None:
        """Draw a dot."""
        self.parts.append(
            f'<circle class="dot {look}" cx="{float(self._x(x)):.1f}" cy="{float(self._y(y)):.1f}" r="4"/>'
        )

    def note(self, x: float, y: float, text: str, anchor: Literal["start", "middle", "end"] = "start") -> None:
        """Write a few words at a point."""
        place = f'x="{float(self._x(x)):.1f}" y="{float(self._y(y)):.1f}" text-anchor="{anchor}"'
        self.parts.append(f'<text class="note" {place}>{html.escape(text)}</text>')

    def svg(self) -> str:
        """Return the chart."""
        grid, words = [], []
        for at, text in self.x.marks():
            place = float(self._x(at))
            grid.append(f"M{place:.1f} {_TOP}V{HEIGHT - _BOTTOM}")
            words.append(f'<text x="{place:.1f}" y="{HEIGHT - _BOTTOM + 16}" text-anchor="middle">{text}</text>')
        for at, text in self.y.marks():
            place = float(self._y(at))
            grid.append(f"M{_LEFT} {place:.1f}H{WIDTH - _RIGHT}")
            words.append(f'<text x="{_LEFT - 6}" y="{place + 4:.1f}" text-anchor="end">{text}</text>')
        middle_x, middle_y = (_LEFT + WIDTH - _RIGHT) / 2, (_TOP + HEIGHT - _BOTTOM) / 2
        words.append(f'<text x="{middle_x}" y="{HEIGHT - 6}" text-anchor="middle">{html.escape(self.x.label)}</text>')
        turned = f'transform="translate(12 {middle_y}) rotate(-90)" text-anchor="middle"'
        words.append(f"<text {turned}>{html.escape(self.y.label)}</text>")
        frame = f'x="{_LEFT}" y="{_TOP}" width="{self._span_x}" height="{self._span_y}"'
        return (
            f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(self.says)}">'
            f'<path class="grid" d="{"".join(grid)}"/>{"".join(words)}'
            f'<svg {frame} viewBox="{_LEFT} {_TOP} {self._span_x} {self._span_y}">{"".join(self.parts)}</svg></svg>'
        )

    def _x(self, values: ArrayLike) -> Doubles:
        return _LEFT + self._span_x * self.x.share(values)

    def _y(self, values: ArrayLike) -> Doubles:
        return np.asarray(_TOP + self._span_y * (1 - self.y.share(values)))

    @property
    def _span_x(self) -> int:
        return WIDTH - _LEFT - _RIGHT

    @property
    def _span_y(self) -> int:
        return HEIGHT - _TOP - _BOTTOM


def _power(power: int) -> str:
    if -2 <= power <= 2:
        return f"{10.0**power:g}"
    return f'10<tspan class="up" dy="-4">{str(power).replace("-", "−")}</tspan>'
