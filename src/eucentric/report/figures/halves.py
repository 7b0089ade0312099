"""How far the two halves agree."""

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from eucentric.assessment import BOTH_HALVES, HalvesOf
from eucentric.report.inputs import ReportInput
from eucentric.report.style import ACCENT, INK, MUTED, Plot, panel, svg

MARKS_A = (500, 200, 100, 60, 40, 30, 20, 15, 10, 8, 6, 5, 4, 3, 2)
"""Resolutions written along the axis, as far as they fit."""

_WORDS: dict[HalvesOf, str] = {
    "tilts": "These halves share neither wedge nor artefacts, each has half the views, and the differences of their "
    "sampling count against them: the resolution read here is a lower bound, not to be set beside that of frame "
    "halves.",
    "frames": "These halves share the views and their alignment, with its errors, but not the noise: what is read here "
    "is the resolution of what was recorded, not to be set beside that of tilt halves.",
    "counts": "Each view was split at random into two of half its counts, so these halves share the views and their "
    "alignment, with its errors, but not the noise: what is read here is the resolution of what was recorded, not to "
    "be set beside that of tilt halves.",
}


def shell_correlation(data: ReportInput) -> tuple[Plot, ...]:
    """Show the Fourier shell correlation, if it was taken."""
    fsc = data.fsc
    if fsc is None:
        return ()
    figure, axes = panel("spatial frequency (1/Å)", "Fourier shell correlation")
    frequency, noise = np.array(fsc.frequency_1_A), 2 * np.array(fsc.noise_error)
    axes.fill_between(frequency, -noise, noise, color=MUTED, alpha=0.2, lw=0, label="noise alone (2 s.e.)")
    axes.axhline(0, color=MUTED, lw=0.7)
    axes.plot(frequency, fsc.correlation, color=ACCENT)
    for threshold in (0.5, 0.143):
        axes.axhline(threshold, color=MUTED, lw=0.8, ls=(0, (4, 3)))
        resolution = fsc.resolution_A(threshold)
        if resolution is not None:
            axes.plot(1 / resolution, threshold, "o", color=INK)
            axes.annotate(
                f"{resolution:.0f} Å at {threshold:g}",
                (1 / resolution, threshold),
                xytext=(6, 4),
                textcoords="offset points",
                color=INK,
            )
    axes.set_ylim(min(-0.1, min(fsc.correlation)), 1.04)
    mark_details(axes, frequency)
    axes.legend(loc="upper right")
    where = "" if fsc.tilt_range_deg is None else ", counted only where some view has looked"
    words = (
        f"Agreement of the tomograms of {BOTH_HALVES[data.halves]} over "
        f"{' × '.join(map(str, fsc.box_zyx))} voxels{where}. {_WORDS[data.halves]} A curve that stays above zero up "
        "to the end is shared noise or a shared edge."
    )
    return (Plot("fsc", svg(figure, "fsc"), words),)


def mark_details(axes: Axes, frequency: NDArray[np.float64]) -> None:
    """Give an axis of frequencies (1/Å, of shells from the first to Nyquist) its range, and details as its marks."""
    axes.set_xlim(0, frequency[-1])
    marks: list[int] = []
    for mark in MARKS_A:
        apart = 1 / mark - (1 / marks[-1] if marks else 0)
        if 1 / mark <= 1.001 * frequency[-1] + 0.5 * frequency[0] and apart > 0.09 * frequency[-1]:
            marks.append(mark)
    axes.set_xticks([1 / mark for mark in marks], [f"1/{mark}" for mark in marks])
