"""The charts over tilt, as plotly takes them: what was measured as points, what the plan says as a line.

Colours are the style sheet's, which finds traces by their names: charts follow light and dark without being drawn anew.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from eucentric.web.session.records import Predicted, SeriesView, TiltView

Of = Callable[[TiltView], float | None]
OfPlan = Callable[[Predicted], float | None]


@dataclass(frozen=True)
class Chart:
    """A chart: its title with the unit, what it shows of a tilt and of the plan, and in which form it says it."""

    title: str
    measured: Of
    planned: OfPlan | None = None
    form: str = ".3g"
    from_zero: bool = True


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


CHARTS = (
    Chart("Counts", lambda tilt: tilt.counts, lambda plan: plan.counts),
    Chart("Exposure, e/Å²", lambda tilt: tilt.exposure_e_A2, lambda plan: plan.exposure_e_A2, ".2f"),
    Chart("Off its predicted place, nm", lambda tilt: _scaled(tilt.miss_A, 0.1), None, ".0f"),
    Chart("Drift within the exposure, Å", lambda tilt: tilt.motion_A, lambda plan: plan.motion_A, ".1f"),
    Chart(
        "Defocus, µm",
        lambda tilt: _scaled(tilt.defocus_A, 1e-4),
        lambda plan: plan.defocus_A * 1e-4,
        ".2f",
        from_zero=False,
    ),
    Chart("CTF rings seen to, Å", lambda tilt: tilt.fit_resolution_A, None, ".1f"),
    Chart("Alignment residual, Å", lambda tilt: tilt.residual_A, lambda plan: plan.alignment_error_A, ".1f"),
    Chart(
        "Path through the specimen, nm", lambda tilt: _scaled(tilt.path_A, 0.1), lambda plan: plan.path_A / 10, ".0f"
    ),
)


def figure(chart: Chart, view: SeriesView, faded: Collection[int], chosen: int | None) -> dict[str, Any]:
    """Return a chart of a series.

    Parameters
    ----------
    chart
        Which.
    view
        The series.
    faded
        Sections that do not pass the filter.
    chosen
        The section that is looked at.
    """
    known = [tilt for tilt in view.tilts if chart.measured(tilt) is not None]
    alarming = {alarm.section for alarm in view.alarms}
    groups = {
        "seen": [tilt for tilt in known if tilt.section not in faded and not tilt.excluded],
        "faded": [tilt for tilt in known if tilt.section in faded and not tilt.excluded],
        "excluded": [tilt for tilt in known if tilt.excluded],
        "alarm": [tilt for tilt in known if tilt.section in alarming],
        "chosen": [tilt for tilt in known if tilt.section == chosen],
    }
    traces = [_line(chart, view.plan)] if chart.planned is not None and view.plan else []
    low_deg, high_deg = _range(view)
    traces += [_points(chart, name, tilts) for name, tilts in groups.items() if tilts]
    return {
        "data": traces,
        "layout": {
            "height": 210,
            "margin": {"l": 46, "r": 8, "t": 6, "b": 36},
            "showlegend": False,
            "hovermode": "closest",
            "dragmode": False,
            "uirevision": view.name,
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": "system-ui, sans-serif", "size": 12},
            "xaxis": {
                "title": {"text": "Tilt, °", "standoff": 4},
                "zeroline": False,
                "range": [low_deg, high_deg],
                "dtick": 30 if high_deg - low_deg > 70 else 10,
            },
            "yaxis": {"zeroline": False, "rangemode": "tozero" if chart.from_zero else "normal", "nticks": 5},
        },
        "config": {"displayModeBar": False, "responsive": True, "scrollZoom": False},
    }


def says(chart: Chart, view: SeriesView) -> str:
    """Return what a chart shows, for those who do not see it."""
    values = [value for value in map(chart.measured, view.tilts) if value is not None]
    if not values:
        return f"{chart.title} over tilt: nothing was measured yet."
    return (
        f"{chart.title} over tilt: {min(values):{chart.form}} to {max(values):{chart.form}} at {len(values)} tilts. "
        "The table has them all."
    )


def _range(view: SeriesView) -> tuple[float, float]:
    degrees = [tilt.tilt_deg for tilt in view.tilts] + [one.tilt_deg for one in view.plan]
    return min(degrees, default=-60) - 4, max(degrees, default=60) + 4


def _line(chart: Chart, plan: Sequence[Predicted]) -> dict[str, Any]:
    ordered = sorted(plan, key=lambda one: one.tilt_deg)
    values = [chart.planned(one) if chart.planned else None for one in ordered]
    return {
        "uid": "planned",
        "type": "scatter",
        "mode": "lines",
        "x": [one.tilt_deg for one in ordered],
        "y": values,
        "line": {"width": 1.5, "dash": "dash"},
        "hoverinfo": "skip",
    }


def _points(chart: Chart, name: str, tilts: Sequence[TiltView]) -> dict[str, Any]:
    ring = name in ("alarm", "chosen")
    size = {"alarm": 13, "chosen": 17}.get(name, 7)
    hollow = "circle-open" if ring or name == "faded" else "circle"
    return {
        "uid": name,
        "type": "scatter",
        "mode": "markers",
        "cliponaxis": False,
        "x": [tilt.tilt_deg for tilt in tilts],
        "y": [chart.measured(tilt) for tilt in tilts],
        "customdata": [tilt.section for tilt in tilts],
        "marker": {
            "size": size,
            "symbol": "x-thin" if name == "excluded" else hollow,
            "line": {"width": 2},
        },
        **({"hoverinfo": "skip"} if ring else {"hovertemplate": f"%{{x:.1f}}°: %{{y:{chart.form}}}<extra></extra>"}),
    }
