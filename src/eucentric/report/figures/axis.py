"""How the tilt axis was found."""

import numpy as np

from eucentric.report.inputs import ReportInput
from eucentric.report.style import ACCENT, INK, MUTED, Plot, panel, svg
from eucentric.report.words import degrees

ZOOM_DEG = 8.0
"""Half width of the close-up: what lies beyond is another hill."""


def axis_search(data: ReportInput) -> tuple[Plot, ...]:
    """Show the score over the axis angle, whole and near the best; nothing where the axis was given."""
    search = data.result.axis_search
    if search is None:
        return ()
    angles, scores = np.array(search.axes_deg), np.array(search.scores)
    near = np.abs(angles - search.best_deg) <= max(ZOOM_DEG, 4 * search.uncertainty_deg)
    plots = []
    for name, part, words in (
        (
            "axis-search",
            np.ones(angles.shape, dtype=bool),
            "Mean correlation of views that the volume had not seen, over the axis angle tried; the line marks the "
            "best. There should be one clear hill; two of one height mean that the series cannot tell them apart.",
        ),
        (
            "axis-zoom",
            near,
            "The same near the best, with its uncertainty as a band. The peak should lie inside the range that was "
            "tried, and the points around it should make a smooth hill.",
        ),
    ):
        if part.sum() < 3 or (name == "axis-zoom" and part.all()):
            continue
        figure, axes = panel("tilt-axis angle (°)", "held-out correlation")
        axes.plot(angles[part], scores[part], "o-", color=ACCENT, lw=1, ms=3.5)
        axes.axvline(search.best_deg, color=INK, lw=1)
        axes.axvspan(
            search.best_deg - search.uncertainty_deg,
            search.best_deg + search.uncertainty_deg,
            color=MUTED,
            alpha=0.2,
            lw=0,
        )
        axes.annotate(
            degrees(search.best_deg, 2),
            (search.best_deg, 1),
            xycoords=("data", "axes fraction"),
            xytext=(5, -2),
            textcoords="offset points",
            va="top",
            color=INK,
        )
        plots.append(Plot(name, svg(figure, name), words))
    return tuple(plots)
