"""The picture of predicted beside measured beside true."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from eucentric.report.designs.palette import COLOURS, settled, standing_alone, tidy

_PREDICTED, _MEASURED, _TRUE = COLOURS[0], COLOURS[1], "#1b2430"


def comparison_figure(
    tilts_deg: Sequence[float],
    counts: dict[str, Sequence[float]],
    defocus_A: dict[str, Sequence[float]],
    shift_errors_A: Sequence[float | None],
) -> Figure:
    """Return counts, defocus and errors of alignment over tilt.

    Parameters
    ----------
    tilts_deg
        (n,), in any order, which is that of all the others.
    counts
        Of "predicted", "measured" and "true": electrons a pixel.
    defocus_A
        Of "predicted" and "true".
    shift_errors_A
        None where a view was left out.
    """
    order = np.argsort(tilts_deg)
    tilts = np.array(tilts_deg)[order]
    with standing_alone():
        figure = Figure(figsize=(9.6, 2.9), layout="constrained")
        axes = figure.subplots(1, 3)
        for name, style in (
            ("true", {"color": _TRUE}),
            ("predicted", {"color": _PREDICTED, "linestyle": (0, (5, 1.5))}),
        ):
            axes[0].plot(tilts, np.array(counts[name])[order], label=name, **style)
            axes[1].plot(tilts, np.array(defocus_A[name])[order] / 1e4, label=name, **style)
        axes[0].plot(tilts, np.array(counts["measured"])[order], ".", color=_MEASURED, label="measured")
        axes[0].set(title="Electrons counted in a pixel", xlabel="stage tilt (°)", ylim=(0, None))
        axes[1].set(title="Defocus in the image's centre (µm)", xlabel="stage tilt (°)")
        errors = np.array([np.nan if error is None else error for error in shift_errors_A])[order]
        axes[2].bar(tilts, errors, width=0.7 * float(np.diff(tilts).mean()), color=_MEASURED)
        axes[2].set(title="Alignment: measured from true (Å)", xlabel="stage tilt (°)")
        for one in axes[:2]:
            one.legend()
        for one in axes:
            tidy(one)
        return settled(figure)
