"""Designs side by side on one page: a row for each, then what they come to on common axes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

from eucentric.core import InputError
from eucentric.design import Prediction
from eucentric.report.designs import curves, rows
from eucentric.report.designs.palette import COLOURS, DASHES, MUTED, SMALL_PT, TITLE_PT, settled, standing_alone, tidy
from eucentric.report.designs.wording import in_two_lines, shortened, wrapped

MOST_DESIGNS = len(COLOURS)
"""More lines on one axis are not told apart."""

_WIDTH_IN = 11.0
_WORDS_IN, _TEXT_IN = 2.0, 1.6  # the column of words at the left, and the longest line in it
_SWATCH_IN = 0.24  # the piece of line before a name
_ROW_IN, _BAR_IN, _CURVES_IN = 1.3, 0.08, 2.0
_LETTERS_IN = 1.75  # titles, ticks and labels of rows and curves together

_TITLES = ("a  Exposure before and of each image", "b  Stage, exposures marked", "c  SSNR across the tilt axis")
_NOTES = (
    "a: pale, what the specimen received before; full, the image's own exposure.",
    "c: along the slab to the sides, along its normal upwards; white below the scale.",
    "d: mean over tilts of the cosine times the amplitude that survives (Hagen 2017).",
    "f: of all directions at a frequency, those that the section of any tilt holds.",
    "g: within a particle, all frequencies to 20 Å.",
    "i: lines for the mean free path assumed, bands for the range published.",
)


def compare_figure(predictions: Sequence[Prediction], names: Sequence[str]) -> Figure:
    """Return the figure that compares designs.

    Parameters
    ----------
    predictions
        One to six of them.
    names
        What to call each; a long one is shortened.

    Raises
    ------
    InputError
        If there are none, too many to tell apart, or not as many names.
    """
    count = len(predictions)
    if not 1 <= count <= MOST_DESIGNS:
        raise InputError(
            f"A figure compares 1 to {MOST_DESIGNS} designs, and {count} were given; nothing was drawn.",
            f"Choose up to {MOST_DESIGNS} of them.",
        )
    if len(names) != count:
        raise InputError(
            f"There are {count} designs and {len(names)} names; nothing was drawn.", "Give each design a name."
        )
    with standing_alone():
        return _drawn(predictions, names)


def _drawn(predictions: Sequence[Prediction], names: Sequence[str]) -> Figure:
    count = len(predictions)
    heights = [*[_ROW_IN] * count, _BAR_IN, _CURVES_IN, _CURVES_IN]
    figure = Figure(figsize=(_WIDTH_IN, sum(heights) + _LETTERS_IN), layout="constrained")
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(w_pad=0.06, h_pad=0.04, wspace=0.02, hspace=0.01)  # type: ignore[call-arg]
    panel_in = (_WIDTH_IN - _WORDS_IN) / 3
    grid = figure.add_gridspec(len(heights), 4, height_ratios=heights, width_ratios=[_WORDS_IN, *[panel_in] * 3])
    reach = rows.Reach.of(predictions)
    scale = rows.ssnr_scale(predictions, reach)
    for row, (prediction, name) in enumerate(zip(predictions, names, strict=True)):
        colour, dash = COLOURS[row], DASHES[row]
        _words(_blank(figure, grid[row, 0]), prediction, name, colour, dash)
        panels = [figure.add_subplot(grid[row, column]) for column in (1, 2, 3)]
        last = row == count - 1
        rows.exposures(panels[0], prediction, reach, colour, last=last)
        rows.path(panels[1], prediction, reach, colour, last=last)
        drawn = rows.ssnr(panels[2], prediction, reach, scale, last=last)
        for column, (axes, title) in enumerate(zip(panels, _TITLES, strict=True), start=1):
            tidy(axes)
            if row == 0:  # where the panel's slot begins, whatever the shape of the panel
                _blank(figure, grid[0, column]).set_title(title, pad=8)
    bar = figure.add_subplot(grid[count, 3])
    figure.colorbar(drawn, cax=bar, orientation="horizontal", extend="max", label="SSNR")
    tidy(bar)
    draws = (curves.transfer, curves.bits, curves.measured, curves.snr, curves.alignment_error, curves.transmission)
    for place, (letter, draw) in enumerate(zip("defghi", draws, strict=True)):
        axes = figure.add_subplot(grid[count + 1 + place // 3, 1 + place % 3])
        axes.set_title(f"{letter}  {draw(axes, predictions)}")
        tidy(axes)
    if count > 1:
        _key(_blank(figure, grid[count + 1, 0]), names)
    _notes(_blank(figure, grid[count + 2, 0]))
    figure.align_ylabels()
    return settled(figure)


def _blank(figure: Figure, place: SubplotSpec) -> Axes:
    """Return a place for words, whose width the layout does not follow."""
    axes = figure.add_subplot(place)
    axes.axis("off")
    return axes


def _notes(axes: Axes) -> None:
    lines = "\n".join(wrapped(note, _TEXT_IN, SMALL_PT - 0.5) for note in _NOTES)
    axes.text(0, 1, lines, va="top", size=SMALL_PT - 0.5, color=MUTED, linespacing=1.35).set_in_layout(False)


def _words(axes: Axes, prediction: Prediction, name: str, colour: str, dash: Any) -> None:
    summary = prediction.summary
    reversals = f"{summary.reversals} reversal{'' if summary.reversals == 1 else 's'}"
    tilts = f"{summary.tilts} tilt{'' if summary.tilts == 1 else 's'}"
    facts = (
        f"{tilts}, {summary.exposure_e_A2:.4g} e/Å²",
        f"{summary.duration_s / 60:.1f} min, {reversals}",
        f"missing wedge {100 * summary.missing_wedge_fraction:.0f} %",
    )
    title = in_two_lines(name, _TEXT_IN, TITLE_PT)
    axes.plot([0, 2 * _SWATCH_IN / _WORDS_IN], [1, 1], color=colour, ls=dash, lw=2, clip_on=False)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    shown = axes.annotate(
        title, (0, 1), xytext=(0, -5), xycoords="axes fraction", textcoords="offset points", va="top", size=TITLE_PT,
        weight="bold", linespacing=1.25, parse_math=False,
    )  # fmt: skip
    lines = title.count("\n") + 1
    told = axes.annotate(
        "\n".join(facts), (0, 1), xytext=(0, -9 - lines * TITLE_PT * 1.35), xycoords="axes fraction",
        textcoords="offset points", va="top", size=SMALL_PT + 0.5, color=MUTED, linespacing=1.45,
    )  # fmt: skip
    for text in (shown, told):
        text.set_in_layout(False)


def _key(axes: Axes, names: Sequence[str]) -> None:
    """Name the lines of the common axes."""
    axes.set_xlim(0, 1)
    places = 1 - 0.115 * np.arange(len(names)) - 0.06
    for place, name, colour, dash in zip(places, names, COLOURS, DASHES, strict=False):
        axes.plot([0, _SWATCH_IN / _WORDS_IN], [place, place], color=colour, ls=dash, lw=1.6)
        text = axes.text(
            (_SWATCH_IN + 0.08) / _WORDS_IN,
            place,
            shortened(name, _TEXT_IN - _SWATCH_IN - 0.08, SMALL_PT + 0.5),
            size=SMALL_PT + 0.5,
            va="center",
            parse_math=False,
        )
        text.set_in_layout(False)
    axes.set_ylim(0, 1)
