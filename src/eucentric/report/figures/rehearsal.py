"""Pictures of a rehearsed script: how well it hit, how well it focused, what it exposed, and when."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from eucentric.report.designs.palette import COLOURS, DASHES
from eucentric.report.rehearsal_summary import (
    FAIR_NM,
    GOOD_NM,
    KINDS,
    LOST_NM,
    defocus_error_um,
    exposures_by_target,
    images_of_targets,
    merit,
    off_nm,
    places,
)
from eucentric.report.style import ACCENT, INK, MUTED, PANEL_IN, Plot, panel, svg
from eucentric.report.words import seconds
from eucentric.twin.serialem.doings import Doings, Taken

_NAMED = 5
"""Targets that lines can tell apart; where there are more, those that were missed by most are named."""

_MOST_PANELS, _COLUMNS = 9, 3

_LETTERS, _LETTERS_ACROSS = 16, 132  # of a target's name in a legend; that a wide figure has room for

_RAISED_PT = 3.5  # other kinds of exposure above Record, so that they are seen where many are at one time

_LEAST_DEG, _LEAST_MIN = 3.0, 0.5  # on either side, where there are few points

_LOOKS: dict[str, dict[str, Any]] = {
    "R": {"color": ACCENT, "marker": "o"},
    "V": {"color": COLOURS[2], "marker": "^"},
    "F": {"color": COLOURS[1], "marker": "s"},
    "T": {"color": COLOURS[3], "marker": "D"},
    "L": {"color": COLOURS[4], "marker": "v"},
    "S": {"color": INK, "marker": "x"},
}
"""By camera set; all are seen on white and on the page's dark."""


def off_target(doings: Doings) -> tuple[Plot, ...]:
    """Show how far targets lay from the centre of their images, over tilt."""
    images = [one for one in images_of_targets(doings) if off_nm(one) is not None]
    if not images:
        return ()
    distances = [off_nm(one) or 0.0 for one in images]
    far = max(distances) > LOST_NM
    figure, axes = panel("stage tilt (°)", "target off centre (nm)")
    # A lost target would press all others onto the axis: then the scale is logarithmic, and ends at 1 nm.
    _lines(axes, doings, images, lambda one: max(off_nm(one) or 0.0, 1.0) if far else off_nm(one) or 0.0)
    if far:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator())
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylim(bottom=10 if min(distances) > 10 else 1)
    else:
        axes.set_ylim(0, 1.12 * max(FAIR_NM, *distances))
    for limit, dash in ((GOOD_NM, DASHES[3]), (FAIR_NM, DASHES[1])):
        axes.axhline(limit, color=INK, lw=0.8, ls=dash)
        axes.annotate(
            f"{limit:.0f} nm", (1, limit), xycoords=("axes fraction", "data"), xytext=(4, 0),
            textcoords="offset points", va="center", color=MUTED, fontsize=8.5, annotation_clip=False,
        )  # fmt: skip
    words = (
        "How far the target really lay from the centre of each of its Record images, which only the twin knows. Low "
        "and flat is good; a growth towards high tilt is a height or a tilt axis that the script has wrong, a jump a "
        f"lost track, and one line above the others a target that is predicted badly.{_named(doings)}"
    )
    return (Plot("rehearsal-off", svg(figure, "rehearsal-off"), words),)


def defocus_error(doings: Doings) -> tuple[Plot, ...]:
    """Show true defocus less that asked for, over tilt."""
    images = [one for one in images_of_targets(doings) if defocus_error_um(one) is not None]
    if not images:
        return ()
    figure, axes = panel("stage tilt (°)", "defocus error (µm)")
    axes.axhline(0, color=INK, lw=0.8)
    _lines(axes, doings, images, lambda one: defocus_error_um(one) or 0.0)
    _at_least(axes, y=0.1)  # a spread of nanometres is not worth a zoom
    words = (
        "True defocus in the centre of each Record image, less what the script had asked for; positive is more "
        "underfocus. It should be near 0 and smooth: a slope over tilt is a target that is not at the height that the "
        f"script believes, an offset of all a focus that was measured wrongly.{_named(doings)}"
    )
    return (Plot("rehearsal-defocus", svg(figure, "rehearsal-defocus"), words),)


def exposures(doings: Doings) -> tuple[Plot, ...]:
    """Show what each target received over time, by kind of exposure."""
    exposed = {name: taken for name, taken in exposures_by_target(doings).items() if taken}
    if not exposed:
        return ()
    names = list(exposed)
    if len(names) > _MOST_PANELS:
        most = sorted(names, key=lambda name: -sum(one.exposure_e_A2 for one in exposed[name]))[:_MOST_PANELS]
        names = [name for name in names if name in most]
    columns = min(_COLUMNS, len(names))
    rows = -(-len(names) // columns)
    # One panel alone is as wide as two, so that its letters are not blown up by the page.
    figure = Figure(figsize=(2 * PANEL_IN[0], 0.5 + 2.4 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, name in zip(grid.flat, names, strict=False):
        _stack(axes, name, exposed[name], doings.seconds, letters=_LETTERS_ACROSS // columns)
    for place, axes in enumerate(grid.flat):
        if place >= len(names):
            axes.set_axis_off()
        elif place + columns >= len(names):
            axes.set_xlabel("minutes since the script began")
            axes.tick_params(labelbottom=True)
    grid[0, 0].set_ylim(bottom=0)
    _at_least(grid[0, 0], x=_LEAST_MIN)
    figure.supylabel("exposure received (e/Å²)", fontsize=9.5, color=INK)
    _legend(figure, grid[0, 0], {one.camera_set for name in names for one in exposed[name]})
    left_out = (
        f" Shown are the {len(names)} of {len(exposed)} places that received most." if len(exposed) > len(names) else ""
    )
    words = (
        "What each target had received by then, from the exposures that fell on it: the areas are kinds of "
        "exposure, on each other, and marks are those by other than Record images. Such images should be taken beside "
        f"the target; each one on it costs detail that Record images could have had.{left_out}"
    )
    return (Plot("rehearsal-exposure", svg(figure, "rehearsal-exposure"), words, wide=True),)


def clock(doings: Doings) -> tuple[Plot, ...]:
    """Show all exposures over the clock, at the tilt that they were made at."""
    taken = sorted(doings.taken, key=lambda one: (not one.before, one.began_s))
    if not taken:
        return ()
    figure = Figure(figsize=(2 * PANEL_IN[0], PANEL_IN[1]), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel="minutes since the script began", ylabel="stage tilt (°)")
    minutes = np.array([one.began_s for one in taken]) / 60
    tilts_deg = np.array([one.tilt_deg for one in taken])
    axes.plot(minutes, tilts_deg, color=MUTED, lw=0.6, alpha=0.6)
    by_kind = {letter: [i for i, one in enumerate(taken) if one.camera_set == letter] for letter in KINDS}
    raised = axes.transData + ScaledTranslation(0, _RAISED_PT / 72, figure.dpi_scale_trans)
    for letter, at in sorted(by_kind.items(), key=lambda item: (item[0] != "R", -len(item[1]))):  # rare ones on top
        if at:
            place = axes.transData if letter == "R" else raised
            axes.plot(minutes[at], tilts_deg[at], ls="none", ms=3.6, mew=0.8, transform=place, **_LOOKS[letter])
    for border_s in (0.0, doings.seconds):
        axes.axvline(border_s / 60, color=INK, lw=0.8, ls=DASHES[3])
    axes.margins(x=0.02, y=0.1)
    _at_least(axes, x=_LEAST_MIN, y=_LEAST_DEG)
    _legend(figure, axes, {one.camera_set for one in taken})
    during = [one for one in taken if not one.before]
    words = (
        "Every exposure by the microscope's clock, at the tilt of the stage (those by other than Record images a "
        "little above it, so that they can be seen); broken lines are the script's begin and end. Gaps are where time "
        "went into anything but exposures: tilting, waiting for the stage to settle, computing."
        f"{_longest_gap(during)}"
    )
    return (Plot("rehearsal-clock", svg(figure, "rehearsal-clock"), words, wide=True),)


def _lines(axes: Axes, doings: Doings, images: Sequence[Taken], value: Callable[[Taken], float]) -> None:
    """Draw a line for each target over tilt; those beyond what can be told apart in grey."""
    names = _worst_first(doings)
    told_apart = [name for name in places(doings) if name in names[:_NAMED]]
    for name in reversed(names):
        own = sorted((one for one in images if one.place == name), key=lambda one: (one.tilt_deg, one.number))
        points = [one.tilt_deg for one in own], [value(one) for one in own]
        if name in told_apart:
            at = told_apart.index(name)
            axes.plot(*points, marker=".", ms=3.5, lw=1.1, color=COLOURS[at], ls=DASHES[at], zorder=2.5)
        else:
            axes.plot(*points, marker=".", ms=2, lw=0.6, color=MUTED, alpha=0.6)
    for at, name in enumerate(told_apart):
        axes.plot([], [], marker=".", ms=3.5, lw=1.1, color=COLOURS[at], ls=DASHES[at], label=_label(name))
    if len(names) > _NAMED:
        axes.plot([], [], color=MUTED, lw=0.6, label=f"{len(names) - _NAMED} more")
    _at_least(axes, x=_LEAST_DEG)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2, handlelength=2.4)


def _at_least(axes: Axes, *, x: float = 0.0, y: float = 0.0) -> None:
    """Widen axes to this much on either side of their middle, so that one point does not make them a close-up."""
    for least, limits, set_limits in ((x, axes.get_xlim(), axes.set_xlim), (y, axes.get_ylim(), axes.set_ylim)):
        middle, half = sum(limits) / 2, (limits[1] - limits[0]) / 2
        if half < least:
            set_limits(middle - least, middle + least)


def _worst_first(doings: Doings) -> list[str]:
    """Return the targets that have images, that missed by most first, the same for every figure."""
    images = images_of_targets(doings)
    off = {
        name: merit([one for one in images if one.place == name]).off_p95_nm or 0.0
        for name in dict.fromkeys(one.place for one in images)
    }
    return sorted(off, key=lambda name: -off[name])


def _named(doings: Doings) -> str:
    count = len(_worst_first(doings))
    return f" Of the {count} targets the {_NAMED} that were missed by most are named." if count > _NAMED else ""


def _stack(axes: Axes, name: str, taken: Sequence[Taken], until_s: float, letters: int) -> None:
    """Draw what a target received: kinds on each other, those that should not be there at the bottom.

    `letters` is how many of them have room above the axes.
    """
    minutes = np.array([one.began_s for one in taken]) / 60
    drawn = np.append(minutes, max(minutes[-1], until_s / 60))
    by_kind = {
        letter: np.cumsum([one.exposure_e_A2 if one.camera_set == letter else 0.0 for one in taken])
        for letter in [*(letter for letter in KINDS if letter != "R"), "R"]
    }
    total = np.zeros(len(taken))
    for letter, own in by_kind.items():
        if not own[-1]:
            continue
        colour = _LOOKS[letter]["color"]
        low, high = (np.append(values, values[-1]) for values in (total, total + own))
        axes.fill_between(drawn, low, high, step="post", color=colour, alpha=0.35 if letter == "R" else 0.9, lw=0)
        total = total + own
    axes.step(drawn, np.append(total, total[-1]), where="post", color=MUTED, lw=0.7)
    for letter in by_kind:
        at = [i for i, one in enumerate(taken) if one.camera_set == letter]
        if letter != "R" and at:
            axes.plot(minutes[at], total[at], ls="none", ms=4, mew=0.8, zorder=3, **_LOOKS[letter])
    sums = [f"{kind} {by_kind[letter][-1]:.1f}" for letter, kind in KINDS.items() if by_kind[letter][-1]]
    words = fill(f"{', '.join(sums)} e/Å²" if sums else "nothing", letters)
    axes.annotate(
        words, (0, 1), xycoords="axes fraction", xytext=(0, 4), textcoords="offset points", fontsize=8, color=MUTED
    )  # fmt: skip
    pad = 4 + 10 * len(words.splitlines())
    axes.set_title(_label(name, 28), fontsize=9.5, loc="left", color=INK, pad=pad)


def _legend(figure: Figure, axes: Axes, letters: set[str]) -> None:
    """Name the kinds of exposure above a figure."""
    handles = [axes.plot([], [], ls="none", ms=4.5, label=KINDS[k], **_LOOKS[k])[0] for k in KINDS if k in letters]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), columnspacing=1.4, handletextpad=0.2)


def _longest_gap(taken: Sequence[Taken]) -> str:
    if len(taken) < 2:
        return ""
    gap_s, after = max(
        ((two.began_s - one.began_s, two) for one, two in pairwise(taken)),
        key=lambda pair: pair[0],
    )
    at = "" if after.line is None else f" at line {after.line}"
    return (
        f" The longest time from one exposure to the next was {seconds(gap_s)}, before the {KINDS[after.camera_set]} "
        f"image {after.began_s / 60:.0f} min from the begin{at}."
    )


def _label(name: str, letters: int = _LETTERS) -> str:
    """Return a name as a legend can show it: short, no formula in it, and not hidden by an underscore."""
    short = name if len(name) <= letters else f"{name[: letters - 1]}…"
    short = short.replace("$", r"\$")
    return f" {short}" if short.startswith("_") else short
