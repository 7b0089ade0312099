"""Pictures of a restoration: before and after, and how far it keeps to the data and goes beyond them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from eucentric.processing.restoration import Examination
from eucentric.report.designs.palette import COLOURS
from eucentric.report.figures.halves import mark_details
from eucentric.report.figures.slices import extent_nm, scale_bar
from eucentric.report.restoration_input import RestorationShown
from eucentric.report.restoration_words import THRESHOLD, how_it_ended
from eucentric.report.style import ACCENT, INK, MUTED, Plot, as_jpeg, grey, panel, shrunk, svg

AVERAGED_A = 30.0
"""Thickness that slices are averaged over: what a person would look at before restoration."""

_WIDTH_IN, _LABELS_IN, _TITLES_IN, _GAP_IN = 7.6, 0.62, 0.24, 0.07
_LARGEST_PX = 600  # of a slice as drawn
_CLIPPED = 0.5  # percent of a slice's values at either end that become black and white
_FLOOR = 1e-6  # of the largest power: what is fainter is rounding
_UNSEEN = COLOURS[1]
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

Slice = NDArray[np.float32]
Curve = tuple[float, ...]
Look = dict[str, Any]


def slices(data: RestorationShown) -> tuple[Plot, ...]:
    """Show central slices before, after, and their uncertainty, each on one grey scale for all three directions."""
    columns = [[_central(data, which, axis) for axis in range(3)] for which in ("before", "restored", "sigma")]
    limits = [_limits(columns[0]), _limits(columns[1]), (0.0, _limits(columns[2])[1])]
    shape = data.pair.shape
    nz, ny, nx = shape
    wide = max(nx, ny)
    per_px = (_WIDTH_IN - _LABELS_IN - 2 * _GAP_IN) / (3 * wide)
    height = _TITLES_IN + (ny + 2 * nz) * per_px + 2 * _GAP_IN + _LABELS_IN
    figure = Figure(figsize=(_WIDTH_IN, height))
    z_nm, y_nm, x_nm = (extent_nm(n, data.pair.voxel_A) for n in shape)
    rows = (("y (nm)", x_nm, y_nm, nx, ny), ("z (nm)", x_nm, z_nm, nx, nz), ("z (nm)", y_nm, z_nm, ny, nz))
    for column, (title, images, (low, high)) in enumerate(
        zip(("before", "restored", "uncertainty"), columns, limits, strict=True)
    ):
        top = height - _TITLES_IN
        left = _LABELS_IN + column * (wide * per_px + _GAP_IN)
        for row, (label, across_nm, up_nm, across, up) in enumerate(rows):
            top -= up * per_px
            place = (left / _WIDTH_IN, top / height, across * per_px / _WIDTH_IN, up * per_px / height)
            axes = figure.add_axes(place)
            _show(axes, images[row], (low, high), (*across_nm, *up_nm))
            if row == 0:
                axes.set_title(title, fontsize=9, color=MUTED)
            if column == 0:
                axes.set_ylabel(label)
                if row == 0:
                    scale_bar(axes, x_nm, y_nm)
            axes.tick_params(labelleft=column == 0, labelbottom=row == 2)
            top -= _GAP_IN
        axes.set_xlabel("x above, y in the lowest (nm)" if column == 1 else " ")
    white = limits[2][1] / max(limits[1][1] - limits[1][0], 1e-30)
    words = (
        f"Central slices, averaged over {_averaged(data) * data.pair.voxel_A / 10:.0f} nm: from above (xy), along the "
        "tilt axis (xz) and across it (yz). Left, the mean of both halves; middle, restored; right, the standard "
        f"deviation of the error of a voxel of it, from none (black) to {100 * white:.0f} % of the middle's range from "
        "black to white (white). A feature of the middle that is fainter than its uncertainty may not be there."
    )
    return (Plot("restored-slices", as_jpeg(svg(figure, "restored-slices")), words, wide=True),)


def misfit(data: RestorationShown) -> tuple[Plot, ...]:
    """Show what the restored tomogram leaves of the data, over noise."""
    found = data.examination
    figure, axes = _over_frequency(data, "left of the data, over noise")
    _by_decades(axes, (1.0, 2.0, 5.0))
    axes.plot(found.frequency_1_A, np.maximum(found.misfit, 1e-3), color=ACCENT)
    axes.axhline(1, color=INK, lw=1)
    low, high = min(found.misfit), max(found.misfit)
    axes.set_ylim(min(0.4, max(low, 0.01) / 1.3), max(2.5, 1.3 * high))
    words = (
        "Mean square of the difference between the data and the restored tomogram as the same tilts would have shown "
        "it, over the noise of the data, which the halves tell. On the line, only noise was taken away; far above it, "
        "structure was lost or made up; far below it, noise was kept."
    )
    return (Plot("misfit", svg(figure, "misfit"), words),)


def agreement(data: RestorationShown) -> tuple[Plot, ...]:
    """Show the correlation of the halves before, restored apart, and where the model was not trained."""
    found = data.examination
    figure, axes = _over_frequency(data, "Fourier shell correlation")
    for values, label, look in (
        (found.fsc_after, "restored apart", {"color": ACCENT}),
        (found.fsc_unseen, "the same, not trained on", {"color": _UNSEEN, "ls": (0, (4, 2))}),
        (found.fsc_before, "before", {"color": INK, "lw": 1.2}),
    ):
        if any(value is not None for value in values):
            axes.plot(found.frequency_1_A, _numbers(values), label=label, **look)
    axes.axhline(THRESHOLD, color=MUTED, lw=0.8, ls=(0, (4, 3)))
    axes.axhline(0, color=MUTED, lw=0.7)
    axes.set_ylim(min(-0.1, np.nanmin(_numbers(found.fsc_before))), 1.04)
    axes.legend(loc="best")
    words = (
        "Agreement of the two halves where some tilt measured, before and after each was restored apart by one model. "
        "Only the curve before says what the data hold (to where it falls through 0.143). What the others have above "
        "it is the model's, which has learned what such a specimen looks like; where it was not trained, it cannot "
        "have learned this specimen's noise."
    )
    return (Plot("halves-agreement", svg(figure, "halves-agreement"), words),)


def power(data: RestorationShown) -> tuple[Plot, ...]:
    """Show the power inside and outside the missing wedge, before and after."""
    found = data.examination
    figure, axes = _over_frequency(data, "power of a coefficient")
    _by_decades(axes, (1.0,))
    for measured, missing, label, look in _both(found):
        largest = max(*measured, *missing, 1e-30)
        axes.plot(found.frequency_1_A, _relative(measured, largest), label=f"measured, {label}", **look)
        look = {**look, "ls": (0, (3, 2))}
        axes.plot(found.frequency_1_A, _relative(missing, largest), label=f"missing, {label}", **look)
    axes.set_ylim(None, 1e3)  # room for the legend
    axes.legend(loc="upper center", ncol=2)
    words = (
        "Mean power of a coefficient that some tilt measured (lines) and of one in the missing wedge (dashes), each "
        "pair over its own largest. The tomogram before is dimmed by its CTF and holds noise, the restored one "
        "neither. No curve of the missing wedge means that the shell lies too near the measured ones to tell."
    )
    return (Plot("power", svg(figure, "power"), words),)


def filled(data: RestorationShown) -> tuple[Plot, ...]:
    """Show how full the missing wedge is, down to what the data support."""
    found = data.examination
    figure, axes = _over_frequency(data, "power, missing over measured")
    supported = np.array(found.frequency_1_A) <= (1 / found.supported_A if found.supported_A else np.inf)
    for measured, missing, label, look in _both(found):
        there = supported & (np.array(missing) > 0)
        ratio = np.where(there, np.array(missing) / np.maximum(measured, 1e-30), np.nan)
        axes.plot(found.frequency_1_A, np.minimum(ratio, 2), label=label, **look)
    axes.axhline(1, color=MUTED, lw=0.8, ls=(0, (4, 3)))
    axes.set_ylim(-0.03, 2)
    axes.legend(loc="best")
    words = (
        "Power of a coefficient in the missing wedge over that of a measured one, as far as the halves agree. Zero is "
        "an empty wedge, as before restoration; at one it is as full as the rest. All that is there was inferred."
    )
    return (Plot("filled", svg(figure, "filled"), words),)


def training(data: RestorationShown) -> tuple[Plot, ...]:
    """Show the loss in training and of held-out data over steps, if looks were taken."""
    looks = data.trained.looks
    if not looks:
        return ()
    figure, axes = panel("step", "loss, over that of noise")
    steps = [look.step for look in looks]
    held_out = np.array([look.held_out for look in looks])
    axes.plot(steps, [look.loss for look in looks], "o-", ms=3, color=MUTED, lw=1, label="training")
    axes.plot(steps, held_out, "o-", ms=3, color=ACCENT, label="held out")
    if np.isfinite(held_out).any():
        best = int(np.nanargmin(held_out))
        axes.plot(steps[best], held_out[best], "o", ms=7, mfc="none", color=INK)
    axes.legend(loc="best")
    words = (
        "Loss of the data in training and of the part held out, over what noise alone would give; the circle marks the "
        f"best look at what was held out. {how_it_ended(data.trained)} Held-out data that get worse while training "
        "goes on getting better mean that noise is being learned."
    )
    return (Plot("training-loss", svg(figure, "training-loss"), words),)


def _over_frequency(data: RestorationShown, label: str) -> tuple[Figure, Axes]:
    """Return axes over spatial frequency, with what the data support as a band."""
    figure, axes = panel("spatial frequency (1/Å)", label)
    mark_details(axes, np.array(data.examination.frequency_1_A))
    supported = data.examination.supported_A
    if supported is not None:
        axes.axvspan(0, 1 / supported, color=MUTED, alpha=0.1, lw=0, label="halves agree")
    return figure, axes


def _both(found: Examination) -> tuple[tuple[Curve, Curve, str, Look], ...]:
    """Return power measured and missing, before and after."""
    return (
        (found.power_before, found.missing_before, "before", {"color": INK, "lw": 1.2}),
        (found.power_after, found.missing_after, "restored", {"color": ACCENT}),
    )


def _by_decades(axes: Axes, marked: tuple[float, ...]) -> None:
    """Make the axis upwards a logarithmic one, with plain marks: those of mathematics take longer than the page."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=marked))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(_plain))


def _plain(value: float, _place: int) -> str:
    return f"{value:g}" if 1e-3 < value < 1e4 else "10" + f"{np.log10(value):.0f}".translate(_RAISED)


def _numbers(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values])


def _relative(power: Sequence[float], largest: float) -> NDArray[np.float64]:
    """Return power over the largest, and NaN where there is none."""
    share = np.array(power) / largest
    return np.where(share > 0, np.maximum(share, _FLOOR), np.nan)


def _averaged(data: RestorationShown) -> int:
    return max(1, round(AVERAGED_A / data.pair.voxel_A))


def _central(data: RestorationShown, which: str, axis: int) -> Slice:
    """Return the mean of slices about the centre of an axis, z upwards where it has z."""
    n = data.pair.shape[axis]
    thick = min(_averaged(data), n)
    first = n // 2 - thick // 2
    index = (slice(None),) * axis + (slice(first, first + thick),)
    if which == "before":
        slab = (data.pair.even[index].astype(np.float32) + data.pair.odd[index].astype(np.float32)) / 2
    else:
        slab = (data.restored.full if which == "restored" else data.restored.sigma)[index]
    return np.asarray(slab.mean(axis=axis, dtype=np.float32))


def _limits(images: Sequence[Slice]) -> tuple[float, float]:
    """Return the black and the white point of slices: robust, and of their inner parts, for edges have streaks."""
    values = np.concatenate([_inner(image).ravel() for image in images])
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values, (_CLIPPED, 100 - _CLIPPED))
    return float(low), float(high)


def _inner(image: Slice) -> Slice:
    rows, columns = image.shape[0] // 10, image.shape[1] // 10
    return image[rows : image.shape[0] - rows, columns : image.shape[1] - columns]


def _show(axes: Axes, image: Slice, limits: tuple[float, float], extent: tuple[float, float, float, float]) -> None:
    axes.imshow(
        shrunk(grey(image, limits), _LARGEST_PX), cmap="gray", vmin=0, vmax=255, origin="lower", extent=extent,
        aspect="auto", interpolation="none",
    )  # fmt: skip
    axes.grid(visible=False)
    for side in axes.spines.values():
        side.set_visible(False)
