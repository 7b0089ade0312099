"""How the specimen moved while each tilt was exposed."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from eucentric.processing.motion.records import LocalField, MotionTrack
from eucentric.report.inputs import ReportInput
from eucentric.report.style import ACCENT, ALARM, INK, MUTED, Plot, panel, svg
from eucentric.report.words import degrees

_COLUMNS, _CELL_IN = 9, 0.95
_ARROWS = 9  # a side, at most: more would hide each other


def tracks(data: ReportInput) -> tuple[Plot, ...]:
    """Show the way of each tilt, in the order of acquisition, all on one scale."""
    if data.movies is None or not any(len(track.frames) > 1 for track in data.movies.tracks):
        return ()
    by_order = data.series.by_order()
    columns = min(_COLUMNS, len(by_order))
    rows = -(-len(by_order) // columns)
    ways = [np.array(data.movies.tracks[tilt.section].shifts_yx_A) for tilt in by_order]
    ways = [way - (way.min(0) + way.max(0)) / 2 for way in ways]
    reach = max(*(float(np.abs(way).max()) for way in ways), 1e-3)
    bar = _round_below(reach)
    wide, high = 2.3 * reach, 2.9 * reach  # of a cell, with room for its words
    figure = Figure(figsize=(_CELL_IN * columns, _CELL_IN * high / wide * rows))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for place, (tilt, way) in enumerate(zip(by_order, ways, strict=True)):
        x, y = wide * (place % columns), -high * (place // columns)
        axes.plot(x + way[:, 1], y + way[:, 0], ".-", color=ACCENT, lw=1.1, ms=2.5)
        axes.plot(x + way[0, 1], y + way[0, 0], "o", mfc="none", mew=0.9, ms=4.5, color=INK)
        words = f"{tilt.order + 1}: {degrees(tilt.tilt_deg, 0)}"
        axes.text(x, y + 1.18 * reach, words, fontsize=7.5, color=MUTED, ha="center", va="bottom")
    left, low = -reach, -high * (rows - 1) - 1.25 * reach
    axes.plot([left, left + bar], [low, low], color=INK, lw=1.6, solid_capstyle="butt")
    axes.text(left + bar + 0.08 * wide, low, f"{bar:g} Å", fontsize=8, color=INK, va="center")
    axes.set_xlim(-wide / 2, wide * (columns - 0.5))
    axes.set_ylim(low - 0.2 * reach, 1.18 * reach + 0.45 * reach)
    axes.set_aspect("equal")
    caption = (
        "Where the specimen was seen in each frame of each tilt, in the order of acquisition (number: stage tilt), "
        "all on the scale of the bar; circles mark the first frame, x goes to the right and y up as in the images. "
        "The first frames after the beam comes on usually move most; a long straight way is a stage that had not come "
        "to rest, a lone jump a frame that was followed wrongly."
    )
    return (Plot("motion-tracks", svg(figure, "motion-tracks"), caption, wide=True),)


def motion_over_order(data: ReportInput) -> tuple[Plot, ...]:
    """Show how far each tilt moved, and how well that is known."""
    if data.movies is None or not any(len(track.frames) > 1 for track in data.movies.tracks):
        return ()
    by_order = data.series.by_order()
    ordered = [data.movies.tracks[tilt.section] for tilt in by_order]
    orders = np.array([tilt.order + 1 for tilt in by_order])
    figure, axes = panel("order of acquisition", "movement (Å)")
    total = np.array([track.total_A for track in ordered])
    axes.vlines(orders, 0, total, color=ACCENT, lw=1)
    axes.plot(orders, total, "o", color=ACCENT, label="way from first to last frame")
    axes.plot(orders, [_largest_step_A(track) for track in ordered], "_", color=INK, mew=1.3, label="largest step")
    axes.plot(orders, [float(np.mean(track.sigma_A)) for track in ordered], color=MUTED, lw=1, label="uncertainty")
    axes.axhline(float(np.median(total)), color=ACCENT, lw=0.8, ls=(0, (4, 3)))
    axes.set_ylim(0, 1.35 * max(float(total.max()), 1e-3))  # with room for the legend
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=False, axis="x")
    axes.legend(loc="upper right", ncols=2)
    words = (
        "Length of the way within each tilt (the broken line is the median), its largest step from frame to frame, "
        "and the uncertainty of one frame's shift along an axis. Steps below the uncertainty are noise; a tilt far "
        "above the others was exposed while the stage still moved."
    )
    return (Plot("motion-order", svg(figure, "motion-order"), words),)


def local_motion(data: ReportInput) -> tuple[Plot, ...]:
    """Show how places moved against each other in the tilt where they did most, from the first frame to the last."""
    if data.movies is None:
        return ()
    fields = {tilt.section: data.movies.tracks[tilt.section].local for tilt in data.series.tilts}
    moved = {section: _first_to_last_A(field) for section, field in fields.items() if field is not None}
    if not moved:
        return ()
    worst = max(moved, key=lambda section: float(np.linalg.norm(moved[section][1], axis=-1).max()))
    places, by = moved[worst]
    size = np.linalg.norm(by, axis=-1)
    figure, axes = panel("x (nm)", "y (nm)")
    _arrows(axes, places / 10, by)
    axes.set_aspect("equal", adjustable="box")
    tilt = data.series.tilts[worst]
    rms = float(np.sqrt(np.mean(np.square(size))))
    words = (
        f"Movement of places against the whole field in view {tilt.order + 1} at {degrees(tilt.tilt_deg)}, where it "
        f"is largest of the {len(moved)} views in which it was followed: from the first frame to the last, "
        f"{float(size.max()):.1f} Å at most and {rms:.1f} Å rms. It should be smooth; ice that domes moves outwards "
        "from, or towards, a middle."
    )
    return (Plot("motion-local", svg(figure, "motion-local"), words),)


def _largest_step_A(track: MotionTrack) -> float:
    steps = np.linalg.norm(np.diff(np.array(track.shifts_yx_A), axis=0), axis=1)
    return float(steps.max()) if steps.size else 0.0


def _first_to_last_A(field: LocalField) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return places (n, n, 2) and how far each moved, both yx in Å."""
    sides = [((np.arange(_ARROWS) + 0.5) / _ARROWS - 0.5) * length for length in field.field_yx_A]
    places = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1)
    last = len(field.time) - 1
    return places, field.displacement_yx_A(places, last) - field.displacement_yx_A(places, 0)


def _arrows(axes: Axes, places_nm: NDArray[np.float64], by_A: NDArray[np.float64]) -> None:
    """Draw arrows, the longest as long as the places are apart, with one of a round length as the measure."""
    apart = float(places_nm[0, 1, 1] - places_nm[0, 0, 1])
    longest = max(float(np.linalg.norm(by_A, axis=-1).max()), 1e-6)
    scale = longest / apart
    drawn = axes.quiver(
        places_nm[..., 1],
        places_nm[..., 0],
        by_A[..., 1],
        by_A[..., 0],
        angles="xy",
        scale_units="xy",
        scale=scale,
        color=ACCENT,
        width=0.006,
    )
    measure = _round_below(longest)
    axes.quiverkey(drawn, 0.86, 1.04, measure, f"{measure:g} Å", labelpos="E", color=ALARM, labelcolor=INK)
    axes.grid(visible=False)


def _round_below(value: float) -> float:
    """Return the largest of 1, 2, 5, 10, ... that is not above a value."""
    power = 10.0 ** np.floor(np.log10(max(value, 1e-3)))
    return float(power * max(step for step in (1, 2, 5) if step * power <= max(value, 1e-3) * (1 + 1e-9)))
