"""How well each view agrees with the others."""

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from eucentric.report.inputs import ReportInput
from eucentric.report.style import ACCENT, INK, MUTED, Plot, panel, svg


def residuals(data: ReportInput) -> tuple[Plot, ...]:
    """Show each view's residual and correlation over tilt, and how the refinement settled."""
    used, tilts_deg = data.used, data.tilts_deg
    plots = []
    for name, label, values, words in (
        (
            "residual",
            "residual shift (Å)",
            np.array([tilt.residual_A for tilt in data.result.tilts]),
            "Shift still found between each view and the projection of a volume that has not seen it; the line is "
            "the median. Below a pixel is good; a growth towards high tilt is thick ice, one far above a bad view.",
        ),
        (
            "correlation",
            "correlation with the others",
            np.array([tilt.correlation for tilt in data.result.tilts]),
            "Correlation of each view with that projection. It should fall gently to either side; a lone low one is "
            "a view that does not belong, and it may be better left out.",
        ),
    ):
        figure, axes = panel("stage tilt (°)", label)
        axes.vlines(tilts_deg[used], 0, values[used], color=ACCENT, lw=1)
        axes.plot(tilts_deg[used], values[used], "o", color=ACCENT)
        if not used.all():
            axes.plot(tilts_deg[~used], values[~used], "x", color=MUTED, label="left out")
            axes.legend()
        if used.any():
            axes.axhline(float(np.median(values[used])), color=INK, lw=0.8)
        axes.set_ylim(bottom=min(0.0, float(values.min())))
        axes.grid(visible=False, axis="x")
        plots.append(Plot(name, svg(figure, name), words))
    rounds = np.array(data.result.rounds_rms_A)
    if rounds.size > 1:
        figure, axes = panel("round of refinement", "rms change of the shifts (Å)")
        axes.plot(np.arange(1, rounds.size + 1), rounds, "o-", color=ACCENT)
        if (rounds > 0).all():
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        words = "How much each round moved the views. It should fall and stay low; a rise means that it did not settle."
        plots.append(Plot("rounds", svg(figure, "rounds"), words))
    return tuple(plots)
