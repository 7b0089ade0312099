"""The picture of an acquisition: where the stage took the targets, by how much they were missed, what they received."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eucentric.report.designs.palette import COLOURS, DASHES, INK, MUTED, settled, standing_alone, tidy

_ALARM = "#b00020"
_GOOD_NM = 50.0  # tracking error of beam-shift acquisition, PACEtomo: 10.1038/s41592-022-01690-1
_NAMED = 6  # targets that the legend has room for


@dataclass(frozen=True, eq=False)
class Tracked:
    """The tracked place at each look: tilt (°), predicted and measured yx (Å), and the defocus's error where measured.

    `tilts_deg` (n,), `predicted_yx_A` and `measured_yx_A` (n, 2); `focus_tilts_deg` and `focus_off_A` (m,).
    """

    tilts_deg: NDArray[np.float64]
    predicted_yx_A: NDArray[np.float64]
    measured_yx_A: NDArray[np.float64]
    focus_tilts_deg: NDArray[np.float64]
    focus_off_A: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TargetRun:
    """A target: by image, its tilt (°) and by how much it was missed (Å, NaN where that cannot be told).

    `minutes` and `received_e_A2` are of every exposure that fell on it, `uncertain` says of which nobody knows.
    """

    name: str
    tilts_deg: NDArray[np.float64]
    missed_A: NDArray[np.float64]
    minutes: NDArray[np.float64]
    received_e_A2: NDArray[np.float64]
    uncertain: NDArray[np.bool_]


def acquisition_figure(tracked: Tracked, targets: Sequence[TargetRun], planned_e_A2: float) -> Figure:
    """Return the figure of a session's acquisition.

    Parameters
    ----------
    tracked
        The tracked place.
    targets
        In order.
    planned_e_A2
        What the plan gives each target.
    """
    with standing_alone():
        figure = Figure(figsize=(9.6, 5.6), layout="constrained")
        axes = figure.subplots(2, 2)
        _where(axes[0, 0], tracked)
        _missed(axes[0, 1], targets)
        _focus(axes[1, 0], tracked)
        _received(axes[1, 1], targets, planned_e_A2)
        for one in axes.flat:
            tidy(one)
        return settled(figure)


def _where(axes: Axes, tracked: Tracked) -> None:
    order = np.argsort(tracked.tilts_deg, kind="stable")
    for axis, name in ((1, "across the tilt axis"), (0, "along it")):
        colour = COLOURS[1 - axis]
        moved = (tracked.measured_yx_A[:, axis] - tracked.measured_yx_A[0, axis]) / 1e4 if len(order) else []
        predicted = (tracked.predicted_yx_A[:, axis] - tracked.measured_yx_A[0, axis]) / 1e4 if len(order) else []
        axes.plot(tracked.tilts_deg[order], np.array(predicted)[order], "x", color=MUTED, markersize=3.5)
        axes.plot(tracked.tilts_deg[order], np.array(moved)[order], ".", color=colour, label=name)
    axes.plot([], [], "x", color=MUTED, markersize=3.5, label="predicted")
    axes.set(title="Where the stage took the tracked place (µm)", xlabel="stage tilt (°)")
    axes.legend()


def _missed(axes: Axes, targets: Sequence[TargetRun]) -> None:
    for at, target in enumerate(targets):
        axes.plot(target.tilts_deg, target.missed_A / 10, ".", color=COLOURS[at % len(COLOURS)], alpha=0.8)
    axes.axhline(_GOOD_NM, color=INK, linewidth=0.8, linestyle=DASHES[1])
    axes.annotate("50 nm", (0.995, _GOOD_NM), xycoords=("axes fraction", "data"), ha="right", va="bottom", color=MUTED)
    axes.set(title="Missed by, as its image shows (nm)", xlabel="stage tilt (°)", ylim=(0, None))


def _focus(axes: Axes, tracked: Tracked) -> None:
    axes.axhline(0, color=MUTED, linewidth=0.7)
    axes.plot(tracked.focus_tilts_deg, tracked.focus_off_A / 1e4, ".", color=COLOURS[0])
    axes.set(title="Height measured from predicted, by focus (µm)", xlabel="stage tilt (°)")


def _received(axes: Axes, targets: Sequence[TargetRun], planned_e_A2: float) -> None:
    for at, target in enumerate(targets):
        style = {"color": COLOURS[at % len(COLOURS)], "linestyle": DASHES[at % len(DASHES)]}
        label = target.name if at < _NAMED else None
        axes.step(target.minutes, target.received_e_A2, where="post", label=label, **style)
        unsure = target.uncertain
        axes.plot(target.minutes[unsure], target.received_e_A2[unsure], "o", color=_ALARM, zorder=3)
    if any(target.uncertain.any() for target in targets):
        axes.plot([], [], "o", color=_ALARM, label="uncertain")
    axes.axhline(planned_e_A2, color=INK, linewidth=0.8, linestyle=DASHES[1])
    title = "Received over time (e/Å²)"
    axes.set(title=title, xlabel="minutes by the microscope's clock", ylim=(0, None))
    axes.legend(title=f"and {len(targets) - _NAMED} more" if len(targets) > _NAMED else None)
