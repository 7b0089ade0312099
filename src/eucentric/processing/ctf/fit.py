"""The CTF of one image."""

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.core import InputError
from eucentric.optics import CTFFit, Lens, wavelength_A
from eucentric.processing.ctf.agreement import RadialCurves, agrees_to, ice_ring
from eucentric.processing.ctf.curves import radial_curves
from eucentric.processing.ctf.likelihood import CTFPrior, Likelihood, Spectrum, State
from eucentric.processing.ctf.polar import Array, Phases, PolarBins, polar_bins
from eucentric.processing.ctf.records import CTFSettings
from eucentric.processing.ctf.solving import most_likely
from eucentric.processing.ctf.spectra import field_spectrum, tile_spectra

_LEAST_PX = 64  # a side; fewer hold no ring of any usual defocus
_LEAST_RINGS = 12  # frequencies that have to be left: more than a background has terms
_TAPER = 0.08  # of each side, at either end: enough against the field's gradients, and little of it is lost
_WHOLE_PX = 4096  # a larger field is cut into tiles, whose transforms still resolve rings of 9 µm at 4 Å
_LARGE_TILE_PX = 2048
_PHASE_PRIOR_RAD = 1.0  # of a phase plate, about 90°: it ages over all of that
_LEAST_EVIDENCE = 20.0  # nats: the best of all that is tried has 8 to 12 in noise alone
_FIRST_RING = 0.5  # of 2 pi: what 2 chi has to turn by within the band, for anything to be a ring


@dataclass(frozen=True, eq=False)
class ImageCTF:
    """A fit, and what a picture of it shows.

    Attributes
    ----------
    fit
        The CTF.
    curves
        Rings, model and agreement along lines of one phase.
    spectrum
        Mean power spectrum as a real transform has it, (y, x // 2 + 1), float32, noise 1.
    background
        Of that spectrum, at the frequencies `background_k` (1/Å).
    background_k
        See `background`.
    ice_k
        From and to where a ring of ice was left out, 1/Å; None if there is none.
    pixel_A
        Pixel size.
    shape_yx
        Of what the spectrum was taken, in pixels.
    lens
        As given.
    """

    fit: CTFFit
    curves: RadialCurves
    spectrum: Tensor
    background: Array
    background_k: Array
    ice_k: tuple[float, float] | None
    pixel_A: float
    shape_yx: tuple[int, int]
    lens: Lens


def fit_image(image: Tensor, pixel_A: float, lens: Lens, settings: CTFSettings | None = None) -> CTFFit:
    """Find the CTF of one image.

    Parameters
    ----------
    image
        (y, x), any real type, contrast of either sign, not weighted by exposure.
    pixel_A
        Pixel size.
    lens
        Beam and objective lens; its phase shift is what a found one is added to.
    settings
        How to look; the defaults if not given.

    Raises
    ------
    InputError
        If there is nothing in which rings could be: too few pixels, one grey, values that are no numbers, or pixels so
        large that no ring lies within Nyquist.
    """
    return explain_image(image, pixel_A, lens, settings).fit


def explain_image(image: Tensor, pixel_A: float, lens: Lens, settings: CTFSettings | None = None) -> ImageCTF:
    """Find the CTF of one image, as `fit_image` does, and keep what a picture of it needs."""
    settings = settings or CTFSettings()
    _refuse_unusable(image)
    power, shape = _spectrum(image, settings)
    return explain_spectrum(power, shape, pixel_A, lens, settings)


def explain_spectrum(
    power: Tensor, shape_yx: tuple[int, int], pixel_A: float, lens: Lens, settings: CTFSettings | None = None
) -> ImageCTF:
    """Find the CTF whose rings a power spectrum (y, x // 2 + 1) of images of a shape shows."""
    settings = settings or CTFSettings()
    bins = polar_bins(shape_yx, pixel_A)
    constant = math.radians(lens.phase_shift_deg) + math.asin(lens.amplitude_contrast)
    phases = Phases.of(bins, lens.voltage_kV, lens.cs_mm, constant)
    used = _band(bins, pixel_A, lens, settings)
    mean = bins.mean(power)
    ring_count = bins.count.sum(axis=1)
    ring_power = (mean * bins.count).sum(axis=1) / np.maximum(ring_count, 1)
    ice = ice_ring(bins.k, ring_power, ring_count)
    count = np.where(ice[:, None], 0.0, bins.count)
    spectrum = Spectrum(
        bins.k[used],
        bins.angle,
        np.ascontiguousarray(mean[used]),
        np.ascontiguousarray(count[used]),
        phases.within(used),
    )
    prior = CTFPrior(shift_rad=_PHASE_PRIOR_RAD if settings.phase_plate else None)
    likelihood, state = most_likely(spectrum, prior, settings)
    state = _within_half_turn(state)
    fit, curves = _describe(state, likelihood, bins, phases, mean, ice, used, lens, settings)
    background = likelihood.basis @ state.background
    return ImageCTF(
        fit=fit,
        curves=curves,
        spectrum=power,
        background=np.exp(background),
        background_k=spectrum.k,
        ice_k=(float(bins.k[ice][0]), float(bins.k[ice][-1])) if ice.any() else None,
        pixel_A=pixel_A,
        shape_yx=shape_yx,
        lens=lens,
    )


def _refuse_unusable(image: Tensor) -> None:
    if image.ndim != 2 or min(image.shape) < _LEAST_PX:
        raise InputError(
            f"An image of {' x '.join(str(n) for n in image.shape)} pixels is too small for Thon rings.",
            f"Give one (y, x) of at least {_LEAST_PX} pixels a side.",
        )
    low, high = (float(value) for value in torch.aminmax(image))
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError(
            "Some pixels of the image are no numbers, so that it has no spectrum.",
            "Replace them, or take the image from the movie again.",
        )
    if low == high:
        raise InputError(
            f"All pixels of the image are {low:g}: there are no rings in it.", "Leave it out, or look at its exposure."
        )


def _spectrum(image: Tensor, settings: CTFSettings) -> tuple[Tensor, tuple[int, int]]:
    tile = settings.tile_px or (_LARGE_TILE_PX if max(image.shape) > _WHOLE_PX else None)
    if tile is None or tile >= max(image.shape):
        return field_spectrum(image, _TAPER), (int(image.shape[0]), int(image.shape[1]))
    total: Tensor | None = None
    strips = max(1, image.shape[0] // (2 * tile))  # a strip at a time, so that not all tiles are kept at once
    edges = np.linspace(0, image.shape[0], strips + 1).astype(int)
    for first, last in itertools.pairwise(edges.tolist()):
        strip = tile_spectra(image[first : min(last + tile // 2, image.shape[0])], tile).power.mean(dim=0)
        total = strip if total is None else total + strip
    if total is None:
        raise InputError("The image has no rows.")
    return total / strips, (tile, tile)


def _band(bins: PolarBins, pixel_A: float, lens: Lens, settings: CTFSettings) -> slice:
    """Return the rings of bins that are fitted."""
    low, high = 1 / settings.low_resolution_A, min(1 / settings.high_resolution_A, float(bins.k[-1]))
    first, last = int(np.searchsorted(bins.k, low)), int(np.searchsorted(bins.k, high, side="right"))
    turns = wavelength_A(lens.voltage_kV) * settings.max_defocus_A * max(high * high - low * low, 0)
    if turns < _FIRST_RING:
        raise InputError(
            f"At {pixel_A:g} Å a pixel, Nyquist is {2 * pixel_A:g} Å: no ring of a defocus up to "
            f"{settings.max_defocus_A:g} Å lies between that and {settings.low_resolution_A:g} Å.",
            "Give an image with smaller pixels, or check the pixel size.",
        )
    if last - first < _LEAST_RINGS:
        raise InputError(
            f"Between {settings.low_resolution_A:g} and {1 / high:.3g} Å, this image resolves {max(0, last - first)} "
            "frequencies: too few for rings.",
            "Give a larger image, or a wider range of resolution.",
        )
    return slice(first, last)


def _within_half_turn(state: State) -> State:
    """Bring the phase shift to between 0 and 180°, where CTF² repeats."""
    ctf = state.ctf.copy()
    ctf[3] %= math.pi
    return replace(state, ctf=ctf)


def _describe(
    state: State,
    likelihood: Likelihood,
    bins: PolarBins,
    phases: Phases,
    mean: Array,
    ice: NDArray[np.bool_],
    used: slice,
    lens: Lens,
    settings: CTFSettings,
) -> tuple[CTFFit, RadialCurves]:
    defocus, a, b, shift = (float(value) for value in state.ctf)
    half = math.hypot(a, b)
    curves = radial_curves(state, likelihood, bins, phases, mean, used)
    skip = np.interp(curves.k, bins.k, ice) > 0.5
    reached = agrees_to(curves.k, curves.agreement, skip, float(bins.k[used][0]))
    evidence = likelihood.evidence(state)
    if evidence < _LEAST_EVIDENCE:
        reached = None
    inside = (curves.k >= bins.k[used][0]) & (curves.k <= bins.k[used][-1]) & ~skip
    azimuth = math.degrees(0.5 * math.atan2(b, a))
    fit = CTFFit(
        defocus_u_A=defocus + half,
        defocus_v_A=defocus - half,
        azimuth_deg=azimuth,
        phase_shift_deg=lens.phase_shift_deg + (math.degrees(shift) if settings.phase_plate else 0.0),
        fit_resolution_A=None if reached is None else 1 / reached,
        score=_correlation(curves.rings[inside], (curves.model * curves.depth)[inside], curves.coefficients[inside]),
        sigma_A=None if state.sigma is None else float(state.sigma[0]),
        evidence=evidence,
    )
    return fit, curves


def _correlation(x: Array, y: Array, weight: Array) -> float:
    seen = (weight > 0) & np.isfinite(x) & np.isfinite(y)
    if seen.sum() < 3:
        return 0.0
    x, y, w = x[seen], y[seen], weight[seen] / weight[seen].sum()
    x, y = x - w @ x, y - w @ y
    norm = math.sqrt(float(w @ (x * x)) * float(w @ (y * y)))
    return float(w @ (x * y)) / norm if norm > 0 else 0.0
