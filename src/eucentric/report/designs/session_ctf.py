"""The contrast transfer of one series and of the whole session, whose series fill each other's zeros."""

import numpy as np
from matplotlib.figure import Figure

from eucentric.design import Prediction
from eucentric.optics import ctf
from eucentric.report.designs.palette import COLOURS, MUTED, settled, standing_alone, tidy, tint
from eucentric.report.designs.wording import resolution_axis

FINEST_A = 8.0
"""To where it is shown: beyond, a usual defocus has more zeros than a page can show."""

_FINER = 31  # odd, so that the middle of each bin is among the finer ones; the shortest period has forty points


def session_ctf_figure(prediction: Prediction) -> Figure:
    """Return the figure of CTF² over frequency: of this series, and the mean over the session's."""
    design = prediction.plan.design
    width = 2 * prediction.k[0] / _FINER
    k = (np.arange(_FINER * len(prediction.k)) + 0.5) * width
    most = min(1 / FINEST_A, float(k[-1]))
    k = k[k <= most + width]
    own_A, session_A = design.defocus.this_A(), design.defocus.session_A()
    mean = prediction.session_ctf2(k)
    with standing_alone():
        figure = Figure(figsize=(7.0, 3.2), layout="constrained")
        axes = figure.add_subplot()
        several = len(session_A) > 1
        if several:
            low, high = min(session_A) / 1e4, max(session_A) / 1e4
            axes.fill_between(k, mean, color=tint(COLOURS[0], 0.25), lw=0)
            axes.plot(
                k, mean, color=COLOURS[0], lw=1.6, label=f"mean of {len(session_A)} series, {low:.3g} to {high:.3g} µm"
            )
        own = ctf(k, own_A, design.lens) ** 2
        what = "this series" if several else "every series of the session"
        axes.plot(k, own, color=COLOURS[1] if several else COLOURS[0], lw=0.9, label=f"{what}, {own_A / 1e4:.3g} µm")
        resolution_axis(axes, most)
        axes.set_ylim(0, 1.02)
        axes.set_ylabel("CTF²")
        axes.set_title("Contrast transfer")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1.0), ncols=2, borderaxespad=0, labelcolor=MUTED)
        tidy(axes)
        return settled(figure)
