"""The CTF of a whole tilt series, fitted together: what one tilt is too weak to tell, the others do."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.core import SILENT, InputError, Reporter
from eucentric.optics import Lens, SeriesCTF, TiltCTF, wavelength_A
from eucentric.processing.ctf.hand import solve_both
from eucentric.processing.ctf.records import CTFSettings
from eucentric.processing.ctf.series_evidence import SeriesEvidence, tilt_evidence
from eucentric.processing.ctf.series_fit import SeriesFit, SeriesState
from eucentric.processing.ctf.thickness import thickness_A
from eucentric.processing.ctf.tilted import RingGrid, field_rings

Array = NDArray[np.float64]

_NYQUIST_SHARE = 0.95
_LEAST_RANGE = 1.25  # of frequency, from the coarsest to the finest detail, for rings to be told from background
_GRID_STEPS = 0.9  # radians of 2 chi at the finest detail, from one value of defocus to the next
_RINGS_SEEN = 3.0  # standard deviations by which a tilt's rings stand out of its noise, if it is to count as used
_AGREEMENT = 3.0  # the same of a band of frequencies, if rings are said to reach so far
_BANDS = 24
_UNDERSTATED = 1.3  # errors of twin series over what the likelihood makes of them: bins are not independent

Image = Callable[[int], Tensor] | Sequence[Tensor]
"""Gives the image (y, x) of a section; read one by one."""


def fit_series(
    images: Image,
    pixel_A: float,
    tilts_deg: Sequence[float],
    axis_deg: float,
    lens: Lens,
    settings: CTFSettings | None = None,
    *,
    nominal_defocus_A: Sequence[float] | None = None,
    order: Sequence[int] | None = None,
    device: torch.device | None = None,
    reporter: Reporter = SILENT,
) -> SeriesCTF:
    """Return the CTF of all tilts, the defocus hand and, where its rings show it, the specimen's thickness.

    Every tilt's rings are brought to the defocus of its centre (`tilted`), for either hand. Defocus is near a trend
    over the series, each tilt with a deviation whose size the series teaches; astigmatism, and the shift of a phase
    plate, are the microscope's and shared; the depth of the rings is shared by tilts that are alike.

    Parameters
    ----------
    images
        One for each tilt, (y, x), as recorded: not weighted by exposure.
    pixel_A
        Pixel size.
    tilts_deg, axis_deg
        Geometry, as decision 0001 has it.
    lens
        Beam and lens; its phase shift is where a phase plate's is looked for from.
    settings
        How the CTF is looked for.
    nominal_defocus_A
        What the microscope was asked for, underfocus positive, where known.
    order
        When each tilt was recorded.
    device
        Where spectra are computed; the images' own if absent.
    reporter
        Where progress goes.

    Raises
    ------
    InputError
        If the numbers of images, tilts and defocus values differ; if pixels are too coarse for rings; or if no image
        can be used. One bad image is left out: `used` is false, `reason` says why, and its values are its neighbours'.
    """
    settings = settings or CTFSettings()
    tilts = np.asarray(tilts_deg, dtype=float)
    _check(images, tilts, nominal_defocus_A, order)
    grid = _grid(pixel_A, lens, settings)
    found, reasons = [], {}
    with reporter.task("Spectra of tilts", len(tilts)) as step:
        for section, tilt in enumerate(tilts):
            image = images(section) if callable(images) else images[section]
            reason = _unusable(image)
            if reason:
                reasons[section] = reason
            else:
                image = image.to(device=device, dtype=torch.float32)
                rings = field_rings(image, pixel_A, float(tilt), axis_deg, lens.voltage_kV, grid)
                found.append(tilt_evidence(rings, grid))
            step()
    used = np.array([section for section in range(len(tilts)) if section not in reasons], dtype=int)
    if not len(used):
        raise InputError(
            f"No image of the series can be used for its CTF: {reasons[0]} (section 0, and the others alike).",
            "Look at the images, or process the series without a CTF.",
        )
    evidence = SeriesEvidence(found, grid, lens)
    nominal = None if nominal_defocus_A is None else np.asarray(nominal_defocus_A, dtype=float)
    fit = SeriesFit(
        evidence,
        tilts[used],
        None if order is None else np.asarray(order, dtype=float)[used],
        None if nominal is None else nominal[used],
        _defocus_grid(grid, lens, settings),
    )
    prior, phase = fit.start(search_phase=settings.phase_plate)
    state, verdict = solve_both(fit, prior, phase, tilts[used], fit_phase=settings.phase_plate)
    quality = _Quality(evidence, state)
    records = []
    for section, tilt in enumerate(tilts):
        if section in reasons:
            mean, sigma = _from_neighbours(tilt, tilts[used], state)
            score, resolution, reason = 0.0, None, reasons[section]
        else:
            at = int(np.searchsorted(used, section))
            mean, sigma = float(state.mean_A[at]), _UNDERSTATED * float(state.sigma_A[at])
            score, resolution = quality.score(at), quality.resolution_A(at)
            reason = quality.reason(at)
            if reason:
                mean, sigma = state.near_trend(at)
                sigma *= _UNDERSTATED
        u, v, azimuth = _principal(mean, state.astigmatism_A, settings.max_astigmatism_A)
        records.append(
            TiltCTF(
                defocus_u_A=u,
                defocus_v_A=v,
                azimuth_deg=azimuth,
                phase_shift_deg=(lens.phase_shift_deg + math.degrees(state.shift_rad)) % 180.0,
                fit_resolution_A=resolution,
                score=score,
                sigma_A=sigma,
                section=section,
                tilt_deg=float(tilt),
                used=not reason,
                reason=reason,
            )
        )
    return SeriesCTF(
        lens=lens,
        pixel_A=pixel_A,
        axis_deg=axis_deg,
        tilts=tuple(records),
        hand=verdict,
        thickness_A=thickness_A(evidence, state, tilts[used]),
    )


def _check(images: Image, tilts: Array, nominal: Sequence[float] | None, order: Sequence[int] | None) -> None:
    if not len(tilts):
        raise InputError("There are no tilts to fit a CTF to.")
    if not np.isfinite(tilts).all() or np.abs(tilts).max() >= 89.5:
        raise InputError(
            "Tilt angles must be numbers between -89.5 and 89.5 degrees.", "Check the .mdoc or angle file."
        )
    for name, values in (("images", images), ("defocus values", nominal), ("places in the order", order)):
        if values is not None and not callable(values) and len(values) != len(tilts):
            raise InputError(f"There are {len(values)} {name} for {len(tilts)} tilts.", "Give one for each.")


def _grid(pixel_A: float, lens: Lens, settings: CTFSettings) -> RingGrid:
    finest = max(settings.high_resolution_A, 2 * pixel_A / _NYQUIST_SHARE)
    if finest * _LEAST_RANGE > settings.low_resolution_A:
        raise InputError(
            f"Pixels of {pixel_A:.2f} Å show no detail between {settings.low_resolution_A:.0f} Å and their limit: "
            "no rings to fit.",
            "Fit the CTF to images with smaller pixels.",
        )
    wavelength = wavelength_A(lens.voltage_kV)
    return RingGrid.spanning(settings.low_resolution_A, finest, settings.max_defocus_A, wavelength)


def _defocus_grid(grid: RingGrid, lens: Lens, settings: CTFSettings) -> Array:
    step = _GRID_STEPS / (2 * math.pi * wavelength_A(lens.voltage_kV) * float(grid.k2[-1]))
    low, high = settings.min_defocus_A, settings.max_defocus_A
    if high - low < 10 * step:
        raise InputError(
            f"Defocus from {low:.0f} to {high:.0f} Å leaves nothing to search.",
            "Widen min_defocus_A and max_defocus_A.",
        )
    return np.linspace(low, high, math.ceil((high - low) / step) + 1)


def _unusable(image: Tensor) -> str:
    """Return why an image says nothing, or nothing if it may."""
    if image.ndim != 2 or min(image.shape) < 64:
        return f"the image has the shape {tuple(image.shape)}, which is too small for rings"
    values = image.float()
    if not bool(torch.isfinite(values).all()):
        return "the image holds values that are not numbers"
    if float(values.std()) <= 1e-6 * abs(float(values.mean())) + 1e-30:
        return "the image is blank"
    return ""


def _from_neighbours(tilt: float, tilts: Array, state: SeriesState) -> tuple[float, float]:
    """Return the trend at a tilt that has no say of its own, and how far tilts are from it."""
    order = np.argsort(tilts)
    mean = float(np.interp(tilt, tilts[order], state.prior.centre_A[order]))
    return mean, float(state.prior.width_A)


def _principal(mean: float, astigmatism_A: Array, most_A: float) -> tuple[float, float, float]:
    size = min(float(np.hypot(*astigmatism_A)), most_A)
    azimuth = 0.5 * math.degrees(math.atan2(float(astigmatism_A[1]), float(astigmatism_A[0])))
    return mean + size / 2, mean - size / 2, azimuth


class _Quality:
    """How well the rings of each tilt agree with the model, and how far."""

    def __init__(self, evidence: SeriesEvidence, state: SeriesState) -> None:
        rings = evidence.collapsed(state.astigmatism_A, state.hand, state.phase_rad)
        phase = evidence.per_A * state.mean_A[:, None]
        self._matched = -0.5 * (rings * np.exp(-1j * phase)).real
        self._weight, self._depth = evidence.weights(state.hand), np.maximum(state.depth, 0)
        self._power, self._k = evidence.power, np.sqrt(evidence.grid.k2)

    def _standing(self, at: int, where: slice) -> float:
        depth = self._depth[at, where] + 1e-6
        spread = math.sqrt(max(float((depth**2 * self._weight[at, where]).sum()), 1e-30))
        return float((depth * self._matched[at, where]).sum()) / spread

    def reason(self, at: int) -> str:
        """Return why a tilt counts as not used: no rings; or nothing."""
        seen = self._standing(at, slice(None)) >= _RINGS_SEEN
        return "" if seen else "no rings stand out of its noise: its defocus is what the series suggests"

    def score(self, at: int) -> float:
        """Return the correlation of rings and model."""
        return float(np.clip(self._standing(at, slice(None)) / math.sqrt(max(self._power[at], 1e-30)), -1, 1))

    def resolution_A(self, at: int) -> float | None:
        """Return the finest detail of a run of bands, from the coarsest, in which rings stand out."""
        edges = np.linspace(0, len(self._k), _BANDS + 1).astype(int)
        finest = None
        for last in range(2, _BANDS + 1):
            # Two bands at a time, so that a zero of the rings' depth does not end them.
            if self._standing(at, slice(int(edges[max(0, last - 4)]), int(edges[last]))) < _AGREEMENT:
                break
            finest = 1 / float(self._k[edges[last] - 1])
        return finest
