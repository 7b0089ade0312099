"""The look of figures that stand alone: real colours on white, lines told apart by colour and by dash."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from eucentric.report.style import styled

INK, MUTED, GRID, PAPER = "#1b2430", "#5c6773", "#e3e7eb", "#ffffff"

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a67c00", "#3a3f47")
"""Okabe and Ito's (Wong 2011, 10.1038/nmeth.1618), seen by the colour-blind; orange darker, to show as a line."""

DASHES: tuple[Any, ...] = (
    "solid",
    (0, (5, 1.5)),
    (0, (6, 1.5, 1.2, 1.5)),
    (0, (2.2, 1.3)),
    (0, (6, 1.3, 1.2, 1.3, 1.2, 1.3)),
    (0, (1.1, 1.1)),
)
"""One for each colour, so that lines are told apart in grey, and both are seen where one lies on the other."""

SMALL_PT, TEXT_PT, TITLE_PT = 7.0, 8.0, 8.5

_LOOK: dict[Any, Any] = {  # Any: matplotlib types these keys in some versions only
    "font.size": TEXT_PT,
    "axes.labelsize": TEXT_PT,
    "axes.titlesize": TITLE_PT,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.facecolor": PAPER,
    "text.color": INK,
    "grid.color": GRID,
    "legend.fontsize": SMALL_PT,
    "lines.linewidth": 1.2,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "pdf.fonttype": 42,  # letters stay letters, which journals ask for
    "svg.hashsalt": "eucentric",  # the same figure gives the same text every time
}


@contextmanager
def standing_alone() -> Iterator[None]:
    """Draw or save inside this for the report's style in colours of its own."""
    with styled(), mpl.rc_context(_LOOK):
        yield


def settled(figure: Figure) -> Figure:
    """Lay a figure out for good, and return it: to draw or save it again, at any resolution, moves nothing."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        # The solver of the layout leaves the last digits to chance; the same figure is to give the same file.
        bounds = axes.get_position(original=True).bounds
        axes.set_position(tuple(round(value, 5) for value in bounds))
    return figure


def tidy(axes: Axes) -> None:
    """Give axes their ticks' look for good: those that are made while saving would take that of the moment."""
    axes.tick_params(
        which="both", labelsize=SMALL_PT, color=MUTED, labelcolor=MUTED, length=2.5, width=0.6, grid_color=GRID
    )


def tint(colour: str, share: float) -> str:
    """Return a colour mixed with paper; `share` is how much of it stays."""
    red, green, blue = (1 - share * (1 - part) for part in mpl.colors.to_rgb(colour))
    return mpl.colors.to_hex((red, green, blue))


def ssnr_colours() -> Colormap:
    """Return the colours of SSNR: dark is much, pale is little, and paper is left below the scale and for nothing."""
    # Viridis is even to the eye and safe for the colour-blind; reversed, so that it takes little ink on paper.
    return mpl.colormaps["viridis_r"].with_extremes(bad="none", under="none")
