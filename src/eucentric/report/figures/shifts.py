"""Where each view saw the specimen."""

import numpy as np
from numpy.typing import NDArray

from eucentric.report.inputs import ReportInput
from eucentric.report.style import ACCENT, MUTED, Plot, panel, svg


def shifts(data: ReportInput) -> tuple[Plot, ...]:
    """Show coarse and refined shifts over tilt and over the order of acquisition."""
    order = np.array([tilt.order + 1 for tilt in data.series.tilts])
    return (
        Plot(
            "shifts-tilt",
            _draw(data, data.tilts_deg, "stage tilt (°)", "shifts-tilt"),
            "Shift of each view along the rows (x) and columns (y) of the recorded image: dots after the coarse "
            "alignment, lines after refinement. Both should be smooth and close; a lone outlier is a wrong match, a "
            "steady drift between dots and line a wrong axis.",
        ),
        Plot(
            "shifts-order",
            _draw(data, order, "order of acquisition", "shifts-order"),
            "The same in the order of acquisition, as the stage moved. Zigzags between the two sides are normal for "
            "a dose-symmetric series; a jump is lost tracking.",
        ),
    )


def _draw(data: ReportInput, along: NDArray[np.generic], label: str, name: str) -> str:
    used = data.used
    refined = np.array([tilt.shift_yx_A for tilt in data.result.alignment.tilts]) / 10
    coarse = np.array([tilt.coarse_shift_yx_A for tilt in data.result.tilts]) / 10
    figure, axes = panel(label, "shift (nm)")
    sequence = np.argsort(along)
    sequence = sequence[used[sequence]]
    for column, letter, colour in ((1, "x", ACCENT), (0, "y", MUTED)):
        axes.plot(along[sequence], coarse[sequence, column], "o", ms=3.2, mfc="none", mew=0.8, color=colour)
        axes.plot(along[sequence], refined[sequence, column], color=colour, label=letter)
    axes.legend(ncols=2)
    return svg(figure, name)
