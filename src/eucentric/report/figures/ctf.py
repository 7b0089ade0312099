"""The contrast transfer over tilt: defocus, astigmatism, and how far the rings go."""

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from eucentric.optics import SeriesCTF
from eucentric.report.inputs import ReportInput
from eucentric.report.style import ACCENT, INK, MUTED, Plot, panel, svg
from eucentric.report.words import degrees

_A_PER_UM = 1e4


def defocus(data: ReportInput) -> tuple[Plot, ...]:
    """Show defocus over tilt beside what was asked for, and what the hand was found to be."""
    ctf = _ctf(data)
    if data.movies is None or ctf is None:
        return ()
    figure, axes = panel("stage tilt (°)", "defocus (µm)")
    mean = np.array([tilt.mean_A for tilt in ctf.tilts]) / _A_PER_UM
    sigma = np.array([tilt.sigma_A or 0.0 for tilt in ctf.tilts]) / _A_PER_UM
    tilts_deg, used = np.array([tilt.tilt_deg for tilt in ctf.tilts]), _used(ctf)
    order = np.argsort(tilts_deg)
    asked = np.array([np.nan if d is None else d for d in data.movies.target_defocus_A], dtype=float) / _A_PER_UM
    known = np.isfinite(asked).any()
    if known:
        axes.plot(tilts_deg[order], asked[order], color=INK, lw=1, label="asked for")
    axes.errorbar(
        tilts_deg[used], mean[used], sigma[used], fmt="o", color=ACCENT, ecolor=ACCENT, elinewidth=1, label="fitted"
    )
    _left_out(axes, tilts_deg, mean, used, "from its neighbours")
    axes.legend()
    low, high = axes.get_ylim()
    middle, half = (low + high) / 2, max(0.6 * (high - low), 0.1)  # a spread of nanometres is not worth a zoom
    axes.set_ylim(middle - half, middle + half)
    against = "" if not known else f" It differs from what was asked for by {_apart_nm(asked, mean, used)}."
    words = (
        "Defocus of the specimen's plane in the middle of each view, underfocus positive, with one standard "
        f"deviation.{against} It should be smooth: a step is where focusing changed it, a slope a tilt axis that is "
        f"not where the microscope thinks. {_hand(ctf)} {_thickness(ctf)}"
    ).strip()
    return (Plot("defocus", svg(figure, "defocus"), words),)


def astigmatism(data: ReportInput) -> tuple[Plot, ...]:
    """Show the difference of the principal values over tilt."""
    ctf = _ctf(data)
    if ctf is None:
        return ()
    figure, axes = panel("stage tilt (°)", "astigmatism (nm)")
    tilts_deg, used = np.array([tilt.tilt_deg for tilt in ctf.tilts]), _used(ctf)
    size = np.array([tilt.astigmatism_A for tilt in ctf.tilts]) / 10
    axes.vlines(tilts_deg[used], 0, size[used], color=ACCENT, lw=1)
    axes.plot(tilts_deg[used], size[used], "o", color=ACCENT)
    _left_out(axes, tilts_deg, size, used, "from its neighbours")
    axes.set_ylim(0, max(1.15 * float(size.max()), 10.0))
    axes.grid(visible=False, axis="x")
    doubled = np.deg2rad([2 * tilt.azimuth_deg for tilt in ctf.tilts])
    azimuth = float(np.rad2deg(np.angle(np.sum(size[used] * np.exp(1j * doubled[used])))) / 2) if used.any() else 0.0
    words = (
        "Difference of the two principal values of the defocus. It belongs to the microscope and should hardly "
        f"change over the series; the larger value lies, on average, {degrees(azimuth, 0)} from the image's x axis."
    )
    return (Plot("astigmatism", svg(figure, "astigmatism"), words),)


def fit_resolution(data: ReportInput) -> tuple[Plot, ...]:
    """Show how fine the detail is to which rings and model agree, over tilt."""
    ctf = _ctf(data)
    if ctf is None:
        return ()
    figure, axes = panel("stage tilt (°)", "rings agree to (Å)")
    tilts_deg = np.array([tilt.tilt_deg for tilt in ctf.tilts])
    found = np.array([tilt.fit_resolution_A or np.nan for tilt in ctf.tilts])
    seen = np.isfinite(found) & _used(ctf)
    nyquist_A = 2 * ctf.pixel_A
    axes.plot(tilts_deg[seen], found[seen], "o", color=ACCENT)
    axes.axhline(nyquist_A, color=MUTED, lw=0.8, ls=(0, (4, 3)))
    axes.annotate(
        f"Nyquist, {nyquist_A:.1f} Å", (1, nyquist_A), xycoords=("axes fraction", "data"), xytext=(0, 3),
        textcoords="offset points", ha="right", color=MUTED, fontsize=8.5,
    )  # fmt: skip
    axes.set_ylim(0, 1.15 * max(nyquist_A, float(found[seen].max()) if seen.any() else nyquist_A))
    axes.set_xlim(tilts_deg.min() - 3, tilts_deg.max() + 3)
    nowhere = int((~seen).sum())
    also = f" In {nowhere} of {len(ctf.tilts)} views alone they nowhere do." if nowhere else ""
    words = (
        "Finest detail to which the rings of each view, taken alone, agree with the model; lower is better. It should "
        f"rise gently to either side as the ice gets thicker; a lone high one is a view that moved or drifted.{also}"
    )
    return (Plot("fit-resolution", svg(figure, "fit-resolution"), words),)


def _ctf(data: ReportInput) -> SeriesCTF | None:
    return data.movies.ctf if data.movies else None


def _used(ctf: SeriesCTF) -> NDArray[np.bool_]:
    return np.array([tilt.used for tilt in ctf.tilts])


def _left_out(
    axes: Axes, tilts_deg: NDArray[np.float64], values: NDArray[np.float64], used: NDArray[np.bool_], label: str
) -> None:
    if not used.all():
        axes.plot(tilts_deg[~used], values[~used], "o", mfc="none", color=MUTED, label=label)
        axes.legend()


def _apart_nm(asked: NDArray[np.float64], mean: NDArray[np.float64], used: NDArray[np.bool_]) -> str:
    both = used & np.isfinite(asked)
    if not both.any():
        return "an unknown amount"
    apart = 1e3 * (mean - asked)[both]
    return f"{float(np.median(apart)):+.0f} nm (median), with a spread of {float(apart.std()):.0f} nm".replace("-", "−")


def _hand(ctf: SeriesCTF) -> str:
    if ctf.hand is None:
        return "No view is tilted enough to tell the defocus hand."
    sign = "+1 (higher along the beam is more underfocus)" if ctf.hand.hand == 1 else "−1 (higher is less underfocus)"
    if ctf.hand.sure:
        return f"The defocus hand is {sign}: log odds of {ctf.hand.log_odds:.0f} against its opposite."
    return (
        f"The defocus hand may be {sign}, but the log odds of {ctf.hand.log_odds:.1f} against its opposite are too "
        "small to rely on it."
    )


def _thickness(ctf: SeriesCTF) -> str:
    if ctf.thickness_A is None:
        return "No node of the rings tells the thickness."
    return f"The node of the rings tells a thickness of {ctf.thickness_A / 10:.0f} nm."
