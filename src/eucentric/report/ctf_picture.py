"""The picture of a CTF fit: half spectrum and half model, and the rings beside the model over frequency."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage

from eucentric.optics import Aberrations, CTFFit, even_phase_rad
from eucentric.processing.ctf.agreement import AGREES
from eucentric.processing.ctf.fit import ImageCTF
from eucentric.report.designs import write_figure
from eucentric.report.designs.palette import COLOURS, INK, MUTED, standing_alone
from eucentric.report.style import grey

_IMAGE, _ICE = COLOURS[0], COLOURS[1]
_SIZE_IN = (10.0, 4.6)
_SIDE_PX = 512  # of the spectrum as drawn: more would be noise to the eye
_SMOOTHED_PX = 1.6
_BEYOND = 1.3  # how far beyond the last ring seen the picture goes
_COARSEST_A = 40.0

Array = NDArray[np.float64]


def write_ctf_picture(path: Path, result: ImageCTF, title: str = "") -> None:
    """Write the picture of a fit as a file, whole or not at all.

    On the left, rings over their background: the model in the left half, the image in the right. On the right, the
    mean along lines of one phase with the model, and how far the two agree.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with standing_alone():
        figure = _drawn(result, title)
    write_figure(path, figure)


def _drawn(result: ImageCTF, title: str) -> Figure:
    last = _last_frequency(result)
    figure = Figure(figsize=_SIZE_IN, layout="constrained")
    parts = figure.add_gridspec(2, 2, width_ratios=(1.0, 1.25), height_ratios=(1.7, 1.0))
    _draw_plane(figure.add_subplot(parts[:, 0]), result, last)
    rings = figure.add_subplot(parts[0, 1])
    agreement = figure.add_subplot(parts[1, 1], sharex=rings)
    rings.tick_params(labelbottom=False)
    _draw_rings(rings, result, last)
    _draw_agreement(agreement, result, last)
    figure.suptitle("\n".join(line for line in (title, describe_fit(result.fit)) if line), fontsize=9.5)
    return figure


def describe_fit(fit: CTFFit) -> str:
    """Say in one line what was found."""
    phase = f", phase shift {fit.phase_shift_deg:.0f}°" if fit.phase_shift_deg else ""
    reach = "nowhere" if fit.fit_resolution_A is None else f"to {fit.fit_resolution_A:.1f} Å"
    defocus = f"defocus {fit.defocus_u_A:.0f} / {fit.defocus_v_A:.0f} Å at {fit.azimuth_deg:.0f}°{phase}"
    return f"{defocus}; rings and model agree {reach}".replace("-", "−")


def _last_frequency(result: ImageCTF) -> float:
    used, nyquist = float(result.background_k[-1]), float(result.curves.k[-1])
    reach = _BEYOND / result.fit.fit_resolution_A if result.fit.fit_resolution_A else used
    return min(max(reach, used), nyquist)


def _rings_on(k_y: Array, k_x: Array, result: ImageCTF) -> Array:
    """Return the spectrum over its background on a plane of frequencies, 1/Å."""
    n_y, n_x = result.shape_yx
    power = result.spectrum.cpu().numpy()
    flip = np.where(k_x < 0, -1.0, 1.0)  # the spectrum at (-k_y, -k_x) is that at (k_y, k_x)
    rows = (k_y * flip) * n_y * result.pixel_A % n_y
    columns = np.abs(k_x) * n_x * result.pixel_A
    width = max(1.0, float(k_x[0, 1] - k_x[0, 0]) * n_x * result.pixel_A)
    smooth = ndimage.gaussian_filter(power, _SMOOTHED_PX * width / 2, mode=("wrap", "nearest"))
    drawn = ndimage.map_coordinates(smooth, [rows, columns], order=1, mode="grid-wrap")
    curve, known = np.log(result.background), result.background_k
    under = np.exp(np.interp(np.hypot(k_y, k_x), known, curve))
    return np.asarray(drawn / under - 1)


def _model_on(k_y: Array, k_x: Array, result: ImageCTF) -> Array:
    fit = result.fit
    aberrations = Aberrations(defocus_A=fit.mean_A, astigmatism_A=fit.astigmatism_A, astigmatism_deg=fit.azimuth_deg)
    lens = result.lens.replace(phase_shift_deg=fit.phase_shift_deg)
    return np.asarray(-np.cos(2 * even_phase_rad(k_y, k_x, aberrations, lens)))


def _draw_plane(axes: Axes, result: ImageCTF, last: float) -> None:
    line = np.linspace(-last, last, _SIDE_PX)
    k_y, k_x = np.meshgrid(line, line, indexing="ij")
    k = np.hypot(k_y, k_x)
    shown = (k > 1 / _COARSEST_A) & (k < last)
    rings = np.where(shown, _rings_on(k_y, k_x, result), 0.0)
    # Rings fade with frequency; each is drawn at the contrast that it has there.
    size = np.sqrt(ndimage.gaussian_filter(np.square(rings), _SIDE_PX / 40) + 1e-12)
    evened = rings / np.maximum(size, 1e-3)
    model = np.where(shown, _model_on(k_y, k_x, result), 0.0)
    halves = np.where(k_x < 0, grey(model, (-1.3, 1.3)), grey(evened, (-2.0, 2.0)))
    halves = np.where(k < last, halves, 255)
    axes.imshow(halves, cmap="gray", vmin=0, vmax=255, origin="lower", extent=(-last, last, -last, last))
    axes.axvline(0, color=_IMAGE, lw=0.7)
    reached = result.fit.fit_resolution_A
    if reached is not None:
        turn = np.linspace(0, 2 * np.pi, 361)
        axes.plot(np.cos(turn) / reached, np.sin(turn) / reached, color=_IMAGE, lw=0.8, ls=(0, (4, 3)))
    axes.set_title("model | image", fontsize=9, color=MUTED)
    axes.set_xlim(-last, last)
    axes.set_ylim(-last, last)
    axes.set_axis_off()


def _draw_rings(axes: Axes, result: ImageCTF, last: float) -> None:
    curves = result.curves
    shown = curves.k <= last
    k, rings = curves.k[shown], curves.rings[shown]
    sigma = max(0.5, 0.0006 / float(k[1] - k[0]))
    smooth = ndimage.gaussian_filter1d(rings, sigma, mode="nearest")
    depth = curves.depth[shown]
    depth = np.where(np.isfinite(depth), depth, depth[np.isfinite(depth)][-1])
    axes.plot(k, smooth, color=_IMAGE, lw=1.2, label="image")
    axes.plot(k, curves.model[shown] * depth, color=INK, lw=0.9, ls=(0, (3, 2)), label="model")
    reach = 1.15 * float(np.percentile(np.abs(smooth), 96))
    axes.set_ylim(-max(reach, 1e-3), 1.2 * max(reach, 1e-3))
    axes.set_ylabel("power over background")
    axes.legend(ncols=2, loc="upper right")
    _mark(axes, result)


def _draw_agreement(axes: Axes, result: ImageCTF, last: float) -> None:
    shown = result.curves.k <= last
    axes.plot(result.curves.k[shown], result.curves.agreement[shown], color=INK)
    axes.axhline(AGREES, color=MUTED, lw=0.8, ls=(0, (4, 3)))
    axes.set_ylim(-0.4, 1.05)
    axes.set_xlim(0, last)
    axes.set_xlabel("spatial frequency (1/Å)")
    axes.set_ylabel("agreement")
    _mark(axes, result)


def _mark(axes: Axes, result: ImageCTF) -> None:
    if result.ice_k is not None:
        axes.axvspan(*result.ice_k, color=_ICE, alpha=0.12, lw=0)
    if result.fit.fit_resolution_A is not None:
        axes.axvline(1 / result.fit.fit_resolution_A, color=_IMAGE, lw=0.8, ls=(0, (4, 3)))
