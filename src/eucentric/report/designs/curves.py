"""What designs come to, on common axes; each function draws one panel and returns its title."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, StrMethodFormatter
from numpy.typing import NDArray

from eucentric.design import Prediction, signal_transfer
from eucentric.report.designs.palette import COLOURS, DASHES, SMALL_PT
from eucentric.report.designs.rows import Reach, angles
from eucentric.report.designs.wording import resolution_axis

Array = NDArray[np.float64]

FINEST_A = 3.0
"""To where transfer is shown, as in Hagen 2017."""

_ALL_BUT = 0.01  # of the bits lie beyond the axis of information
_MILLION = 1e6
_LOG_STEPS = ((8, (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)), (300, (1.0, 2.0, 5.0)), (math.inf, (1.0,)))
_LINEAR_WITHIN = 1.5
_PLAIN_WITHIN = 1e4  # a range of values whose ticks need no powers of ten


def transfer(axes: Axes, predictions: Sequence[Prediction]) -> str:
    """Draw the mean signal transfer, the quantity of Hagen 2017 (10.1016/j.jsb.2016.06.007), figure 1D."""
    for prediction, line in _lines(predictions):
        axes.plot(prediction.k, signal_transfer(prediction.plan, prediction.k), **line)
    resolution_axis(axes, min(1 / FINEST_A, max(float(one.k[-1]) for one in predictions)))
    axes.set_ylim(0, 1)
    axes.set_ylabel("share of the amplitude")
    return "Mean signal transfer"


def bits(axes: Axes, predictions: Sequence[Prediction]) -> str:
    """Draw the bits at each frequency, with their sum in the legend."""
    for prediction, line in _lines(predictions):
        total = f"{prediction.information_bits / _MILLION:.3g}"
        axes.plot(prediction.k, prediction.bits_per_A / _MILLION, label=total, **line)
    resolution_axis(axes, _most_informative_per_A(predictions))
    axes.set_ylim(bottom=0)
    axes.set_ylabel("Mbit/µm² for each Å⁻¹")
    axes.legend(
        title="total (Mbit/µm²)", title_fontsize=SMALL_PT, loc="upper right", borderaxespad=0.1, labelspacing=0.3
    )
    return "Information by frequency"


def measured(axes: Axes, predictions: Sequence[Prediction]) -> str:
    """Draw the share of directions that the section of any tilt holds at each frequency."""
    for prediction, line in _lines(predictions):
        axes.plot(prediction.k, 100 * prediction.volume.measured, **line)
    resolution_axis(axes, _most_informative_per_A(predictions))
    axes.set_ylim(bottom=0)
    axes.set_ylabel("share (%)")
    return "Directions measured"


def snr(axes: Axes, predictions: Sequence[Prediction]) -> str:
    """Draw the SNR of each image over the stage's tilt."""
    _over_tilt(axes, predictions, [one.snr for one in predictions])
    axes.set_ylabel("SNR to 20 Å")
    return "SNR of each image"


def alignment_error(axes: Axes, predictions: Sequence[Prediction]) -> str:
    """Draw the error of placement of each image over the stage's tilt."""
    _over_tilt(axes, predictions, [one.alignment_error_A for one in predictions])
    axes.set_ylabel("rms along an axis (Å)")
    return "Alignment error of each image"


def transmission(axes: Axes, predictions: Sequence[Prediction]) -> str:
    """Draw the share of the beam that passes over the stage's tilt, and its range over mean free paths."""
    widest: dict[object, tuple[float, Prediction, str]] = {}
    for prediction, line in _lines(predictions):
        # Designs for one specimen have the same band: once is enough, or it would darken with each of them.
        span, design = float(np.ptp(prediction.plan.design.slab.stage_deg)), prediction.plan.design
        if span > widest.get(same := (design.specimen, design.lens.voltage_kV), (-1.0,))[0]:
            widest[same] = (span, prediction, line["color"])
        rising = np.argsort(prediction.plan.design.slab.stage_deg)
        tilts = prediction.plan.design.slab.stage_deg[rising]
        axes.plot(tilts, 100 * prediction.transmission[rising], **line, **_dots(prediction))
    for _, prediction, colour in widest.values():
        rising = np.argsort(prediction.plan.design.slab.stage_deg)
        low, high = (100 * end[rising] for end in prediction.transmission_range)
        tilts = prediction.plan.design.slab.stage_deg[rising]
        axes.fill_between(tilts, low, high, color=colour, alpha=0.13, lw=0)
        if len(tilts) == 1:  # a band of no width
            axes.vlines(tilts, low, high, color=colour, alpha=0.3)
    _tilt_axis(axes, predictions)
    axes.set_ylim(0, 100)
    axes.set_ylabel("zero-loss share (%)")
    return "Transmission, by mean free path"


def _lines(predictions: Sequence[Prediction]) -> Iterator[tuple[Prediction, dict[str, Any]]]:
    for prediction, colour, dash in zip(predictions, COLOURS, DASHES, strict=False):
        yield prediction, {"color": colour, "ls": dash}


def _dots(prediction: Prediction) -> dict[str, Any]:
    """Mark the tilts of a design that has few of them: a line through a lone one is nothing."""
    return {"marker": "o", "ms": 2.5} if len(prediction.plan) < 10 else {}


def _over_tilt(axes: Axes, predictions: Sequence[Prediction], values: Sequence[Array]) -> None:
    for (prediction, line), of_tilts in zip(_lines(predictions), values, strict=True):
        rising = np.argsort(prediction.plan.design.slab.stage_deg)
        tilts = prediction.plan.design.slab.stage_deg[rising]
        axes.plot(tilts, of_tilts[rising], **line, **_dots(prediction))
    _tilt_axis(axes, predictions)
    every = np.concatenate(values)
    if every.max() <= _LINEAR_WITHIN * every.min() or every.min() <= 0:
        axes.set_ylim(0, max(1.3 * float(every.max()), 1e-3))
        return
    low, high = float(every.min()) / 1.15, float(every.max()) * 1.15
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    steps = next(steps for within, steps in _LOG_STEPS if high / low < within)
    axes.yaxis.set_major_locator(LogLocator(subs=steps))
    if high / low < _PLAIN_WITHIN:
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())


def _tilt_axis(axes: Axes, predictions: Sequence[Prediction]) -> None:
    axes.set_xlim(*Reach.of(predictions).tilts_deg)
    axes.xaxis.set_major_locator(angles())
    axes.set_xlabel("stage tilt (°)")


def _most_informative_per_A(predictions: Sequence[Prediction]) -> float:
    """Return the frequency that holds all but a few of every design's bits."""
    ends = []
    for prediction in predictions:
        sums = np.cumsum(prediction.bits_per_A)
        ends.append(float(prediction.k[np.searchsorted(sums, (1 - _ALL_BUT) * sums[-1])]))
    return max(ends)
