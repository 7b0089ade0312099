"""Power spectra of a low and a high tilt: before and after motion correction, and beside the CTF that was fitted."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage

from eucentric.optics import Aberrations, SeriesCTF, TiltCTF, even_phase_rad, plane_frequencies, wavelength_A
from eucentric.report.inputs import ReportInput
from eucentric.report.movies import TiltSpectrum
from eucentric.report.style import ACCENT, INK, MUTED, Plot, as_jpeg, grey, svg
from eucentric.report.words import degrees

_WIDTH_IN, _HEIGHT_IN = 7.6, 2.75
_COARSEST_A = 40.0  # coarser detail is the specimen's own and would set the grey values
_BEYOND = 1.35  # how far beyond the last ring seen the pictures go
_SMOOTHED_PX, _SMOOTHED_DEG = 0.7, 9.0  # across and along the rings, for the eye: at a tilt's exposure pixels are noise
_BACKGROUND = 6  # terms of the smooth curve under the rings


@dataclass(frozen=True)
class Rings:
    """A spectrum over its background, zero frequency in the middle: (k_y, k_x), and the curve around it."""

    image: NDArray[np.float64]
    curve: NDArray[np.float64]


def spectra(data: ReportInput) -> tuple[Plot, ...]:
    """Show each spectrum as halves: before and after, model and after; and as curves."""
    if data.movies is None:
        return ()
    plots = []
    for which, spectrum in enumerate(data.movies.spectra):
        name = f"spectrum-{which}"
        tilt = data.series.tilts[spectrum.section]
        ctf = data.movies.ctf
        drawing = svg(_figure(spectrum, ctf, ctf.tilts[spectrum.section] if ctf else None), name)
        beside = "" if ctf is None else "; middle: after, beside the model fitted to the series, on the left"
        words = (
            f"Power spectrum of view {tilt.order + 1} at {degrees(tilt.tilt_deg)}, over its smooth background and "
            "smoothed along the rings for the eye. Left: before motion correction, left half, and after it, right "
            f"half{beside}. Right: the mean along rings of one phase. Rings that are cut off in one direction before "
            "and whole after are movement undone; rings cut off after it too are movement that was missed"
        )
        words += ", and rings that the model does not meet a wrong defocus." if ctf else "."
        plots.append(Plot(name, as_jpeg(drawing), words, wide=True))
    return tuple(plots)


def _figure(spectrum: TiltSpectrum, ctf: SeriesCTF | None, tilt: TiltCTF | None) -> Figure:
    nyquist = 0.5 / spectrum.pixel_A
    last = nyquist
    if tilt is not None and tilt.fit_resolution_A is not None:
        last = min(nyquist, _BEYOND / tilt.fit_resolution_A)
    before, after = (rings(power, spectrum.pixel_A, tilt, last) for power in (spectrum.before, spectrum.after))
    figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN))
    figure.set_layout_engine("constrained", h_pad=0.08)
    pictures = [(before.image, after.image, "before | after")]
    if ctf is not None and tilt is not None:
        pictures.append((_model(spectrum, ctf, tilt), after.image, "model | after"))
    axes = figure.subplots(1, len(pictures) + 1, gridspec_kw={"width_ratios": [*([1.0] * len(pictures)), 1.3]})
    for place, (left, right, title) in zip(axes, pictures, strict=False):
        _halves(place, left, right, spectrum.pixel_A, last)
        place.text(0.5, 1.03, title, transform=place.transAxes, fontsize=9, color=MUTED, ha="center", va="bottom")
    _curves(axes[-1], before, after, spectrum, ctf, tilt, last)
    return figure


def _frequencies(n: int, pixel_A: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return plane_frequencies((n, n), pixel_A, half=True)


def _equivalent(
    ky: NDArray[np.float64], kx: NDArray[np.float64], tilt: TiltCTF | None
) -> NDArray[np.float64]:  # frequency at which the mean defocus has the phase that is here
    k = np.hypot(ky, kx)
    if tilt is None or tilt.mean_A <= 0:
        return k
    turned = np.arctan2(ky, kx) - np.deg2rad(tilt.azimuth_deg)
    return np.asarray(k * np.sqrt(np.maximum(1 + 0.5 * tilt.astigmatism_A / tilt.mean_A * np.cos(2 * turned), 0)))


def rings(power: NDArray[np.float64], pixel_A: float, tilt: TiltCTF | None, last: float) -> Rings:
    """Divide a spectrum by a smooth curve through its own mean along rings, and take that mean."""
    n = power.shape[0]
    ky, kx = _frequencies(n, pixel_A)
    k = _equivalent(ky, kx, tilt)
    step = 1 / (n * pixel_A)
    shell = np.rint(k / step).astype(int)
    counted = np.broadcast_to(kx > 0, shell.shape)  # the column at 0 holds every frequency twice
    shells = int(last / step) + 1
    kept = counted & (shell < shells) & (k > 0)
    number = np.bincount(shell[kept], minlength=shells)
    mean = np.bincount(shell[kept], weights=power[kept].astype(float), minlength=shells) / np.maximum(number, 1)
    at = np.arange(shells) * step
    seen = (number > 0) & (mean > 0) & (at >= 1 / _COARSEST_A)
    if seen.sum() <= _BACKGROUND + 2:
        return Rings(np.zeros((n, n)), np.zeros(shells))
    fit = np.polynomial.Chebyshev.fit(at[seen], np.log(mean[seen]), _BACKGROUND, w=np.sqrt(number[seen]))
    background = np.exp(fit(np.clip(at, at[seen].min(), at[seen].max())))
    over = power / np.interp(k, at, background) - 1
    over[k < 1 / _COARSEST_A] = 0
    return Rings(whole(over), np.where(seen, mean / background - 1, np.nan))


def whole(half: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the whole plane of a real transform's half, zero frequency at n // 2 of both axes."""
    n = half.shape[0]
    whole = np.empty((n, n))
    whole[:, : n // 2 + 1] = half
    # The spectrum at (-k_y, -k_x) is that at (k_y, k_x).
    mirrored = np.roll(half[::-1], 1, axis=0)[:, 1 : (n + 1) // 2]
    whole[:, n // 2 + 1 :] = mirrored[:, ::-1]
    return np.fft.fftshift(whole)


def _model(spectrum: TiltSpectrum, ctf: SeriesCTF, tilt: TiltCTF) -> NDArray[np.float64]:
    """Return CTF² over its mean, as tiles at all these heights have it together."""
    n = spectrum.after.shape[0]
    ky, kx = _frequencies(n, spectrum.pixel_A)
    aberrations = Aberrations(defocus_A=tilt.mean_A, astigmatism_A=tilt.astigmatism_A, astigmatism_deg=tilt.azimuth_deg)
    lens = ctf.lens.replace(phase_shift_deg=tilt.phase_shift_deg)
    chi = even_phase_rad(ky, kx, aberrations, lens)
    k2 = np.square(ky) + np.square(kx)
    model = -np.cos(2 * chi) * np.sinc(wavelength_A(lens.voltage_kV) * k2 * spectrum.spread_A)
    model[k2 < _COARSEST_A**-2] = 0
    return whole(model)


def _halves(axes: Axes, left: NDArray[np.float64], right: NDArray[np.float64], pixel_A: float, last: float) -> None:
    picture = compose(left, right, pixel_A, last)
    edge = (picture.shape[0] / 2 + 0.5) / (left.shape[0] * pixel_A)
    axes.imshow(
        picture,
        cmap="gray",
        vmin=0,
        vmax=255,
        origin="lower",
        extent=(-edge, edge, -edge, edge),
        interpolation="none",
    )
    axes.axvline(0, color=ACCENT, lw=0.7)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)


def compose(left: NDArray[np.float64], right: NDArray[np.float64], pixel_A: float, last: float) -> NDArray[np.uint8]:
    """Return the left half of one spectrum and the right half of another, up to a frequency, each with its own grey."""
    n = left.shape[0]
    reach = min(n // 2, int(np.ceil(last * n * pixel_A)))
    cut = slice(n // 2 - reach, n // 2 + reach)
    ky, kx = np.meshgrid(*(2 * [np.arange(-reach, reach) / (n * pixel_A)]), indexing="ij")
    k = np.hypot(ky, kx)
    pictures = []
    for image in (left, right):
        smooth = _along_rings(image)[cut, cut]
        ring = smooth[(k > 1.5 / _COARSEST_A) & (k < last)]
        limits = np.percentile(ring, (2, 98)) if ring.size else (-1.0, 1.0)
        smooth[k > 0.48 / pixel_A] = 0  # the corners have no whole rings
        pictures.append(grey(smooth, (float(limits[0]), float(limits[1]))))
    return np.where(kx < 0, pictures[0], pictures[1])


def _along_rings(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smooth a spectrum a little across its rings and more along them."""
    n = image.shape[0]
    angles = 360
    turn = np.deg2rad(np.arange(angles) * 360 / angles)
    away = np.arange(0, n // 2, 0.5)
    around = [n // 2 + away[:, None] * part for part in (np.sin(turn), np.cos(turn))]
    polar = ndimage.map_coordinates(image, around, order=1, mode="nearest")
    polar = ndimage.gaussian_filter1d(polar, _SMOOTHED_DEG * angles / 360, axis=1, mode="wrap")
    polar = ndimage.gaussian_filter1d(polar, 2 * _SMOOTHED_PX, axis=0, mode="nearest")
    ky, kx = np.meshgrid(np.arange(n) - n // 2, np.arange(n) - n // 2, indexing="ij")
    at = [2 * np.hypot(ky, kx), np.rad2deg(np.arctan2(ky, kx)) % 360 * angles / 360]
    wrapped = np.concatenate([polar, polar[:, :1]], axis=1)
    return np.asarray(ndimage.map_coordinates(wrapped, at, order=1, mode="nearest"))


def _curves(
    axes: Axes,
    before: Rings,
    after: Rings,
    spectrum: TiltSpectrum,
    ctf: SeriesCTF | None,
    tilt: TiltCTF | None,
    last: float,
) -> None:
    step = 1 / (spectrum.after.shape[0] * spectrum.pixel_A)
    k = np.arange(len(after.curve)) * step
    axes.plot(k, before.curve, color=MUTED, lw=2.2, alpha=0.6, label="before")
    axes.plot(k, after.curve, color=ACCENT, lw=1.2, label="after")
    inner = k > 1.5 / _COARSEST_A
    seen = np.concatenate([before.curve[inner], after.curve[inner]])
    seen = seen[np.isfinite(seen)]
    reach = 1.1 * float(np.percentile(np.abs(seen), 99)) if seen.size else 1.0
    if ctf is not None and tilt is not None:
        lens = ctf.lens.replace(phase_shift_deg=tilt.phase_shift_deg)
        chi = even_phase_rad(0.0, k, Aberrations(defocus_A=tilt.mean_A), lens)
        blur = np.sinc(wavelength_A(lens.voltage_kV) * k * k * spectrum.spread_A)
        fine = np.where(k >= 1 / _COARSEST_A, -np.cos(2 * chi) * blur * 0.6 * reach, np.nan)
        axes.plot(k, fine, color=INK, lw=0.8, ls=(0, (3, 2)), label="model")
        if tilt.fit_resolution_A is not None:
            axes.axvline(1 / tilt.fit_resolution_A, color=MUTED, lw=0.8, ls=(0, (1, 2)))
    axes.set_ylim(-reach, 1.25 * reach)
    axes.set_xlim(0, last)
    axes.set_xlabel("spatial frequency (1/Å)")
    axes.set_ylabel("power over background")
    axes.legend(ncols=3, loc="upper center", fontsize=7.5, handlelength=1.2, columnspacing=0.9)
