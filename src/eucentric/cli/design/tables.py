"""Designs as tables for a terminal."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from eucentric.design import Candidate, Optimum, Prediction, Summary

_COLUMNS = (
    "order", "tilt °", "e/Å²", "before", "frames", "µm", "path Å", "passes", "e/px", "SNR", "error Å", "clock",
)  # fmt: skip
"""Defocus in µm, counts in e/px; the error is that of placing the image, rms along each axis."""


def exposures_json(prediction: "Prediction") -> list[dict[str, Any]]:
    """Return each exposure with what is predicted of it."""
    low, high = prediction.transmission_range
    return [
        {
            **exposure.model_dump(),
            "slab_tilt_deg": float(prediction.plan.design.slab.slab_deg[i]),
            "thickness_A": float(prediction.thickness_A[i]),
            "transmission": float(prediction.transmission[i]),
            "transmission_range": [float(low[i]), float(high[i])],
            "counts_per_px": float(prediction.counts_per_px[i]),
            "snr": float(prediction.snr[i]),
            "alignment_error_A": float(prediction.alignment_error_A[i]),
            "time_s": float(prediction.clock.start_s[i]),
        }
        for i, exposure in enumerate(prediction.plan)
    ]


def print_plan(prediction: "Prediction") -> None:
    """Print a plan's exposures and its summary on standard output."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")  # a terminal of 80 columns holds it
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for i, exposure in enumerate(prediction.plan):
        seconds = float(prediction.clock.start_s[i])
        table.add_row(
            str(exposure.order),
            f"{exposure.tilt_deg:+.2f}".replace("+0.00", "0.00"),
            f"{exposure.exposure_e_A2:.2f}",
            f"{exposure.pre_exposure_e_A2:.1f}",
            str(exposure.frames),
            f"{exposure.defocus_A / 1e4:.2f}",
            f"{prediction.thickness_A[i]:.0f}",
            f"{prediction.transmission[i]:.3f}",
            f"{prediction.counts_per_px[i]:.2f}",
            f"{prediction.snr[i]:.2f}",
            f"{prediction.alignment_error_A[i]:.1f}",
            f"{int(seconds // 60)}:{int(seconds % 60):02d}",
        )
    out = _standard_output()
    out.print(table)
    for line in summary_lines(prediction):
        out.print(line, soft_wrap=True)


def summary_lines(prediction: "Prediction") -> list[str]:
    """Say in lines what a plan comes to."""
    s, design = prediction.summary, prediction.plan.design
    low, high = (bits / 1e6 for bits in s.information_bits_range)
    paths = " to ".join(f"{path:.0f}" for path in design.specimen.mean_free_path_range_A)
    sampled = "object" if design.specimen.diameter_A else "slab"
    lines = [
        f"{s.tilts} tilts, {s.exposure_e_A2:.1f} e/Å² in {s.duration_s / 60:.1f} min; the stage moves "
        f"{s.stage_travel_deg:.0f}° and turns back {s.reversals} times",
        f"missing wedge {s.missing_wedge_fraction:.1%}, elongation {_elongation(s)}, {sampled} sampled to "
        f"{_crowther(s)} (Crowther)",
        f"information {s.information_bits / 1e6:.2f} Mbit/µm² ({low:.2f} to {high:.2f} if the mean free path "
        f"is {paths} Å), {s.worth / 1e6:.2f} weighted by the directions measured",
        f"at 10 Å: signal transfer {s.transfer:.3f}, asymmetry {s.asymmetry:.2f}, "
        + (f"{s.particles:,.0f} particles to average" if s.particles else "not reached by averaging"),
    ]
    if len(design.defocus.session_A()) > 1:
        values = ", ".join(f"{value / 1e4:.2f}" for value in design.defocus.session_A())
        lines.append(
            f"defocus of the session {values} µm: CTF² together at least {s.lowest_session_ctf2:.2f} from 40 to 10 Å"
        )
    return lines


_ROWS: tuple[tuple[str, str], ...] = (
    ("tilts", "{s.tilts}"),
    ("exposure, e/Å²", "{s.exposure_e_A2:.1f}"),
    ("time, min", "{minutes:.1f}"),
    ("stage travel, °", "{s.stage_travel_deg:.0f}"),
    ("reversals", "{s.reversals}"),
    ("missing wedge", "{s.missing_wedge_fraction:.1%}"),
    ("elongation", "{elongation}"),
    ("sampled to", "{crowther}"),
    ("information, Mbit/µm²", "{bits:.3f}"),
    ("weighted by directions", "{worth:.3f}"),
    ("transfer at 20 Å", "{t20:.3f}"),
    ("transfer at 10 Å", "{s.transfer:.3f}"),
    ("transfer at 5 Å", "{t5:.3f}"),
    ("asymmetry at 10 Å", "{s.asymmetry:.2f}"),
    ("worst alignment, Å", "{s.largest_alignment_error_A:.1f}"),
    ("particles for 10 Å", "{particles}"),
)


def print_comparison(summaries: "Mapping[str, Summary]") -> None:
    """Print designs side by side on standard output."""
    table = Table(box=None, padding=(0, 1), header_style="bold")
    table.add_column("")
    for name in summaries:
        table.add_column(name, justify="right", overflow="fold")
    for title, form in _ROWS:
        table.add_row(title, *(form.format(s=s, **_extra(s)) for s in summaries.values()))
    _standard_output().print(table)


def _elongation(s: "Summary") -> str:
    return "without end" if s.elongation is None else f"{s.elongation:.2f}"


def _crowther(s: "Summary") -> str:
    return "nothing" if s.crowther_A is None else f"{s.crowther_A:.0f} Å"


def _extra(s: "Summary") -> dict[str, Any]:
    return {
        "elongation": _elongation(s),
        "crowther": _crowther(s),
        "minutes": s.duration_s / 60,
        "bits": s.information_bits / 1e6,
        "worth": s.worth / 1e6,
        "t20": s.transfers["20 A"],
        "t5": s.transfers["5 A"],
        "particles": f"{s.particles:,.0f}" if s.particles else "none",
    }


def print_optimum(optimum: "Optimum") -> None:
    """Print which design wins, by how much, what limits it, how flat the optimum is, and the sweet spot."""
    out, best = _standard_output(), optimum.best
    policy = best.design.exposure
    weighting = f"{times:g} times at 60°" if (times := getattr(policy, "times_at_60", 0)) else "constant"
    out.print(
        f"[bold]{best.label}[/], {_range(best)} in steps of {best.step_deg:g}°: {best.tilts} tilts, "
        f"exposure {weighting}, {best.design.plan()[0].frames} frames, {best.minutes:.1f} min",
        soft_wrap=True,
    )
    refused = ", ".join(f"{count} by {name}" for name, count in optimum.refused.items())
    out.print(f"Best of {optimum.tried} designs{f' ({refused} refused)' if refused else ''}\n", soft_wrap=True)
    out.print("[bold]The best of each scheme[/]")
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for name in ("scheme", "tilts", "range", "step", "min", "behind"):
        table.add_column(name, justify="left" if name == "scheme" else "right")
    for one in optimum.rivals:
        behind = optimum.behind.get(one.label, 0.0)
        table.add_row(
            one.label, str(one.tilts), _range(one), f"{one.step_deg:g}°", f"{one.minutes:.1f}",
            "" if one is best else f"{behind:.1%}",
        )  # fmt: skip
    out.print(table)
    gains = ", ".join(f"{name} {gain:+.0%}" for name, gain in sorted(optimum.gains.items(), key=lambda item: -item[1]))
    out.print(f"\n[bold]Limited by {optimum.limited_by}[/]; without each cost it would gain: {gains}", soft_wrap=True)
    for flat in optimum.flatness:
        out.print(
            f"Within {flat.within:.0%} of it: {flat.designs} designs, {_span(flat.tilts)} tilts, "
            f"±{_span(flat.half_range_deg)}°, steps of {_span(flat.step_deg)}°; {_some(flat.schemes)}",
            soft_wrap=True,
        )
    _print_sweet_spot(out, optimum)


def _range(candidate: "Candidate") -> str:
    low, high = candidate.range_deg
    return f"±{high:g}°" if low == -high else f"{low:g}° to {high:g}°"


def _print_sweet_spot(out: Console, optimum: "Optimum") -> None:
    spot, top = optimum.sweet_spot, optimum.best.score
    out.print("\n[bold]The sweet spot[/]: score over the number of tilts, the best design being 1")
    table = Table(box=None, padding=(0, 1), header_style="bold")
    table.add_column("tilts", justify="right")
    for name in spot.curves:
        table.add_column(name, justify="right")
    for i, tilts in enumerate(spot.tilts):
        marks = " <" if tilts == spot.best_tilts else ""
        table.add_row(f"{tilts}", *(f"{curve[i] / top:.2f}" for curve in spot.curves.values()), marks)
    out.print(table)
    if optimum.objective.goal == "bits":
        words = (
            "Few tilts lose to the gaps between them (gapless sampling), many to the placement of weak images (perfect "
            "alignment); what is left with neither is flat where images cost nothing by themselves."
        )
    else:
        words = (
            "Averaging fills the gaps between tilts, and by itself asks for few strong images: what keeps their number "
            "up is the limits, since particles must be found first."
        )
    out.print(words, soft_wrap=True)


def _span(ends: Sequence[float]) -> str:
    low, high = ends
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _standard_output() -> Console:
    return Console(highlight=False)
