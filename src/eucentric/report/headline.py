"""The key numbers and what must not be overlooked."""

from dataclasses import dataclass

import numpy as np

from eucentric.assessment import BOTH_HALVES
from eucentric.report.inputs import ReportInput, summarise_alignment
from eucentric.report.words import degrees, seconds


@dataclass(frozen=True)
class Number:
    """One key number: its name, its value with the unit, and what it means here."""

    key: str
    label: str
    value: str
    note: str


def headline(data: ReportInput) -> tuple[Number, ...]:
    """Return the key numbers, in the order of a reader's questions."""
    alignment = summarise_alignment(data.result)
    tilts = data.tilts_deg
    left_out = f"{len(alignment.left_out)} left out" if alignment.left_out else "none left out"
    shape = " × ".join(str(n) for n in data.tomogram.shape)
    worst = data.series.tilts[alignment.worst_section].tilt_deg
    uncertain = alignment.axis_uncertainty_deg
    axis = degrees(alignment.axis_deg, 2) + ("" if uncertain is None else f" ± {uncertain:.2f}°")
    return (
        Number(
            "tilts",
            "Tilts used",
            f"{alignment.used} of {len(tilts)}",
            f"{degrees(tilts.min())} to {degrees(tilts.max())}; {left_out}",
        ),
        _resolution(data),
        Number(
            "residual",
            "Residual shift",
            f"{alignment.median_residual_A:.1f} Å",
            f"median; largest {alignment.worst_residual_A:.1f} Å, at {degrees(worst)}; "
            f"mean correlation {alignment.mean_correlation:.2f}",
        ),
        Number("axis", "Tilt axis", axis, "as given" if uncertain is None else "found by search"),
        *_lies(data),
        *_of_movies(data),
        _thickness(data),
        _sharpness(data),
        Number(
            "pixel", "Voxel", f"{data.pixel_A:.2f} Å", f"tomogram {shape} (z y x); images {data.series.pixel_A:.2f} Å"
        ),
        Number("time", "Time taken", seconds(sum(data.timings.values())), f"in {len(data.timings)} stages")
        if data.timings
        else Number("time", "Time taken", "–", "not recorded"),
    )


def _lies(data: ReportInput) -> tuple[Number, ...]:
    """Return how the specimen lies and what the alignment rests on, where that was found."""
    result = data.result
    if not result.why:
        return ()
    motion = f"; local motion {result.local_motion}" if result.local_motion else ""
    flat = degrees(-result.tilt_offset_deg, 1)
    return (Number("lies", "Specimen flat at", flat, f"of the stage; aligned {result.why}{motion}"),)


def notices(data: ReportInput) -> tuple[str, ...]:
    """Return the warnings given, and those that the results themselves call for."""
    found = list(data.warnings)
    for view in data.result.alignment.tilts:
        if not view.used:
            tilt = data.series.tilts[view.section]
            found.append(
                f"View {tilt.order + 1} at {degrees(tilt.tilt_deg)} was left out: {view.reason or 'no reason given'}."
            )
    if not data.series.order_known:
        found.append("The order of acquisition was not given; it is taken to be that of the sections.")
    search = data.result.axis_search
    if search is not None and not min(search.axes_deg) < search.best_deg < max(search.axes_deg):
        found.append("The best tilt axis lies at the end of the range that was searched; search a wider one.")
    median_A = summarise_alignment(data.result).median_residual_A
    if median_A > 2 * data.series.pixel_A:
        found.append(
            f"The median residual shift, {median_A:.1f} Å, is more than two pixels: the alignment limits this tomogram."
        )
    return tuple(found)


def _resolution(data: ReportInput) -> Number:
    label, halves = "Halves agree to", BOTH_HALVES[data.halves]
    bound = "a lower bound" if data.halves == "tilts" else "of what was recorded"
    if data.fsc is None:
        return Number("fsc", label, "–", "no halves were compared")
    resolution = data.fsc.resolution_A(0.143)
    if resolution is not None:
        return Number("fsc", label, f"{resolution:.0f} Å", f"{halves}, FSC 0.143; {bound}")
    if data.fsc.correlation[0] < 0.143:
        return Number("fsc", label, "–", f"{halves} do not agree at any frequency")
    return Number("fsc", label, f"{2 * data.fsc.pixel_A:.0f} Å", f"Nyquist: the FSC of {halves} stays above 0.143")


def _of_movies(data: ReportInput) -> tuple[Number, ...]:
    """Return movement, defocus and defocus hand, where processing started from movies."""
    if data.movies is None:
        return ()
    total_A = np.array([track.total_A for track in data.movies.tracks])
    lost = data.movies.tilts - len(total_A)
    moved = Number(
        "motion",
        "Movement in a tilt",
        f"{float(np.median(total_A)):.1f} Å",
        f"median way from first to last frame; largest {float(total_A.max()):.1f} Å"
        + (f"; {lost} of {data.movies.tilts} movies could not be used" if lost else ""),
    )
    ctf = data.movies.ctf
    if ctf is None:
        return moved, Number("defocus", "Defocus", "–", data.movies.ctf_reason or "not fitted")
    used = [tilt for tilt in ctf.tilts if tilt.used]
    mean_A = np.array([tilt.mean_A for tilt in used or ctf.tilts])
    finest = [tilt.fit_resolution_A for tilt in used if tilt.fit_resolution_A is not None]
    defocus = Number(
        "defocus",
        "Defocus",
        f"{float(np.median(mean_A)) / 1e4:.2f} µm",
        f"median; {mean_A.min() / 1e4:.2f} to {mean_A.max() / 1e4:.2f} µm over {len(used)} views"
        + (f"; rings fitted to {min(finest):.1f} Å at best" if finest else ""),
    )
    if ctf.hand is None:
        return moved, defocus, Number("hand", "Defocus hand", "–", "no view is tilted enough to tell")
    sign = "+1" if ctf.hand.hand == 1 else "−1"
    sure = "" if ctf.hand.sure else ": too small to rely on"
    note = f"log odds of {ctf.hand.log_odds:.1f} against the opposite{sure}"
    return moved, defocus, Number("hand", "Defocus hand", sign if ctf.hand.sure else f"{sign}?", note)


def _thickness(data: ReportInput) -> Number:
    fit, label = data.thickness, "Thickness"
    depth = f"the views agree best in a volume {data.result.specimen_depth_A / 10:.0f} nm deep"
    if fit is None or fit.thickness_A is None or fit.thickness_range_A is None or fit.pre_tilt_deg is None:
        return Number("thickness", label, "–", f"{'not estimated' if fit is None else fit.reason}; {depth}")
    low, high = fit.thickness_range_A
    if data.movies and data.movies.ctf and data.movies.ctf.thickness_A:
        depth = f"{data.movies.ctf.thickness_A / 10:.0f} nm by the node of the rings; {depth}"
    return Number(
        "thickness",
        label,
        f"{fit.thickness_A / 10:.0f} nm",
        f"{low / 10:.0f} to {high / 10:.0f} nm over the published mean free paths; "
        f"slab tilted by {degrees(fit.pre_tilt_deg)}; {depth}",
    )


def _sharpness(data: ReportInput) -> Number:
    found, label = data.sharpness, "Compact features"
    if found is None or found.width_zyx_A is None:
        return Number("sharpness", label, "–", "not measured" if found is None else found.reason)
    z, y, x = (width / 10 for width in found.width_zyx_A)
    return Number(
        "sharpness",
        label,
        f"{x:.1f} × {y:.1f} × {z:.1f} nm",
        f"full width at half height, x y z, of {found.features} {found.polarity} features such as beads",
    )
