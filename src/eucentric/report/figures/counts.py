"""Counts over tilt, and the slab that they imply."""

import numpy as np
from matplotlib.axes import Axes

from eucentric.report.inputs import ReportInput
from eucentric.report.style import ACCENT, INK, MUTED, Plot, panel, svg


def counts(data: ReportInput) -> tuple[Plot, ...]:
    """Show the mean counts over tilt and, where a slab fits, over the path through it."""
    fit = data.thickness
    figure, axes = panel("stage tilt (°)", "mean counts per pixel")
    _points(axes, data.tilts_deg, data)
    if fit is None or fit.pre_tilt_deg is None or fit.mean_free_paths is None:
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        reason = "not asked for" if fit is None else fit.reason
        words = f"Mean counts of each view. No thickness is given: {reason}."
        return (Plot("counts-tilt", svg(figure, "counts-tilt"), words),)
    fine = np.linspace(data.tilts_deg.min(), data.tilts_deg.max(), 200)
    axes.plot(fine, fit.counts(fine), color=INK, lw=1, label="slab fitted")
    axes.set_ylim(bottom=0)
    axes.legend()
    over_tilt = Plot(
        "counts-tilt",
        svg(figure, "counts-tilt"),
        "Mean counts of each view and those of the slab fitted to them. Points should follow the curve; a dip is a "
        "blocked view or a beam that dropped, and a curve off centre a slab that is tilted on the stage.",
    )
    figure, axes = panel("path through the slab, 1 / cos(tilt − pre-tilt)", "ln (mean counts)")
    path = 1 / np.cos(np.deg2rad(data.tilts_deg - fit.pre_tilt_deg))
    _points(axes, path, data, np.log(np.maximum(data.mean_counts, 1e-9)))
    ends = np.array([path.min(), path.max()])
    if fit.incident_counts is not None:
        axes.plot(ends, np.log(fit.incident_counts) - fit.mean_free_paths * ends, color=INK, lw=1)
    over_path = Plot(
        "counts-path",
        svg(figure, "counts-path"),
        f"The same as a straight line, whose slope is the thickness in mean free paths ({fit.mean_free_paths:.2f}). "
        "Two branches that part are views to either side seeing different ice; a curve is a field whose "
        "thickness changes with tilt.",
    )
    return over_tilt, over_path


def _points(axes: Axes, x: np.ndarray, data: ReportInput, y: np.ndarray | None = None) -> None:
    values = data.mean_counts if y is None else y
    used = data.used
    axes.plot(x[used], values[used], "o", color=ACCENT, label="views")
    if not used.all():
        axes.plot(x[~used], values[~used], "o", mfc="none", color=MUTED, label="left out")
