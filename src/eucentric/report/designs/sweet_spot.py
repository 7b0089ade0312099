"""Worth over the number of tilts, and what takes it away at either side."""

import math
import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from eucentric.core import InputError
from eucentric.report.designs.palette import COLOURS, INK, MUTED, SMALL_PT, TEXT_PT, settled, standing_alone, tidy, tint

Array = NDArray[np.float64]

WITHIN = 0.01
"""Numbers of tilts this near to the best in worth are shaded."""

_ALL = "everything"
_LOOKS = {
    _ALL: (INK, 2.4, "solid"),
    "perfect alignment": (COLOURS[0], 1.2, (0, (5, 1.5))),
    "gapless sampling": (COLOURS[1], 1.2, (0, (6, 1.5, 1.2, 1.5))),
    "neither": (COLOURS[2], 1.2, "solid"),
}
_LABEL_SHARE = 0.055  # of the axis: what a label takes of its height
_CAPTION = (
    "The left flank is due to the gaps between few tilts, the right flank to the alignment of many weak images; where "
    "neither costs anything, the number of tilts hardly matters at a fixed exposure."
)


def sweet_spot_figure(curves: Mapping[str, tuple[Array, Array]], best_tilts: int, unit: str) -> Figure:
    """Return the figure of worth over the number of tilts.

    Parameters
    ----------
    curves
        Numbers of tilts, (n,), rising, and what they are worth, (n,), by name: "everything", "perfect alignment",
        "gapless sampling", "neither"; any other name is drawn too.
    best_tilts
        The number that is best, marked on the curve of everything.
    unit
        What worth is measured in.

    Raises
    ------
    InputError
        If there is no curve of everything, or the best number is not on it.
    """
    if _ALL not in curves:
        named = ", ".join(curves) or "none"
        raise InputError(f'There is no curve "{_ALL}" among those given ({named}).', "Give it.")
    tilts, worth = (np.asarray(part, dtype=float) for part in curves[_ALL])
    if not tilts[0] <= best_tilts <= tilts[-1]:
        raise InputError(
            f"{best_tilts} tilts cannot be marked on a curve from {tilts[0]:g} to {tilts[-1]:g}.",
            "Give a curve that holds the best number of tilts.",
        )
    with standing_alone():
        figure = Figure(figsize=(7.0, 4.4), layout="constrained")
        axes = figure.add_subplot()
        top = 1.08 * max(float(np.max(values)) for _, values in curves.values())
        ends = []
        for name, (numbers, values) in curves.items():
            colour, width, dash = _LOOKS.get(name, (MUTED, 1.0, "solid"))
            axes.plot(numbers, values, color=colour, lw=width, ls=dash, label=name)
            ends.append((float(values[-1]), name, colour))
        best = float(np.interp(math.log(best_tilts), np.log(tilts), worth))
        low, high = _within(np.log(tilts), worth, math.log(best_tilts), best)
        axes.axvspan(math.exp(low), math.exp(high), color=tint(INK, 0.1), lw=0)
        axes.plot([best_tilts], [best], "o", color=INK, ms=5.5)
        axes.annotate(
            f"{best_tilts} tilts", (best_tilts, best), xytext=(0, -9), textcoords="offset points",
            ha="center", va="top", size=TEXT_PT, weight="bold",
        )  # fmt: skip
        few, many = math.ceil(math.exp(low) - 1e-6), math.floor(math.exp(high) + 1e-6)
        axes.annotate(
            f"within {100 * WITHIN:g} %:\n{few} to {many} tilts", (best_tilts, 0), xytext=(0, 5),
            textcoords="offset points", ha="center", va="bottom", size=SMALL_PT, color=MUTED,
        )  # fmt: skip
        axes.set_xscale("log")
        axes.set_xlim(tilts[0], tilts[-1])
        axes.set_ylim(0, top)
        ticks = [at for at in (1, 2, 3, 5, 10, 20, 40, 80, 160, 320, 640, 1280) if tilts[0] <= at <= tilts[-1]]
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("number of tilts")
        axes.set_ylabel(unit)
        for (end, name, colour), place in zip(sorted(ends), _apart(sorted(ends), top), strict=True):
            axes.annotate(
                name, (1, end / top), xytext=(1.03, place / top), xycoords="axes fraction", va="center", size=TEXT_PT,
                color=colour, weight="bold" if name == _ALL else "normal", annotation_clip=False,
                arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.6, "shrinkA": 1, "shrinkB": 0},
            )  # fmt: skip
        figure.supxlabel(textwrap.fill(_CAPTION, 105), size=SMALL_PT + 0.5, color=MUTED, x=0.02, ha="left")
        tidy(axes)
        return settled(figure)


def _within(x: Array, worth: Array, at: float, best: float) -> tuple[float, float]:
    """Return the ends of the stretch about `at` on which the worth, straight between points, is within 1 % of best."""
    fine = np.union1d(np.linspace(x[0], x[-1], 4001), [at])
    near = np.abs(np.interp(fine, x, worth) / best - 1) <= WITHIN
    middle = int(np.searchsorted(fine, at))
    out = np.flatnonzero(~near)
    first = out[out < middle].max(initial=-1) + 1
    last = out[out > middle].min(initial=len(fine)) - 1
    return float(fine[first]), float(fine[last])


def _apart(ends: list[tuple[float, str, str]], top: float) -> list[float]:
    """Return heights for labels of rising ends, as near to them as labels that do not touch can be."""
    least = _LABEL_SHARE * top
    heights = [end for end, _, _ in ends]
    for _ in range(50):
        for low in range(len(heights) - 1):
            lacking = least - (heights[low + 1] - heights[low])
            if lacking > 0:
                heights[low] -= lacking / 2
                heights[low + 1] += lacking / 2
    return heights
