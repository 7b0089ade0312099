"""From the phantom to what the microscope records of it, line by line and image by image, and to a tomogram's slice.

Weak-phase images with the package's own optics: contrast is ``-2 sigma (potential along the beam) * CTF``, each piece
out of focus by its own height; what exposure leaves of it; and the noise of the electrons that pass the ice.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, irfft2, rfft, rfft2

from eucentric.core import stream
from eucentric.design import Camera, Prediction, parallax_A
from eucentric.optics import (
    Lens,
    ctf,
    defocus_of_point_A,
    interaction_rad_per_VA,
    surviving_amplitude,
    temporal_envelope,
)
from eucentric.processing.dose_weighting import dose_weights
from eucentric.web.explorer._kernels import add_balls, add_discs, backproject
from eucentric.web.explorer.phantom import Phantom, Pieces

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]
Spectra = NDArray[np.complex64]

PIXEL_A = 10.0
SLICE_ZX = (320, 448)
"""Pixels of the slice; the projection has as many, along and across the tilt axis."""

DETECTOR_PX = 576
"""Pixels of a line: more than the slice's diagonal, and more than the specimen is ever seen to move."""

SLICE_DEPTH_PX = 4
"""So many planes along the tilt axis are averaged to one slice, as one looks at tomograms."""

MOST_TILTS = 121

_LENGTH = 2 * DETECTOR_PX  # a line with as much of nothing, so that filters do not reach around
_FINER = 4
_RINGS = 2047  # finer than the transfer changes at the strongest defocus
_LAYER_A = 1500.0  # at 20 Å, 1 % of error where the CTF is taken as straight from one layer to the next


@dataclass(frozen=True, eq=False)
class Series:
    """What imaging needs of a plan, by rising tilt: angles, exposures, those before, share that passes, errors."""

    tilts_deg: Doubles
    exposure_e_A2: Doubles
    before_e_A2: Doubles
    passed: Doubles
    placement_A: Doubles
    defocus_A: float
    lens: Lens
    camera: Camera

    @classmethod
    def of(cls, prediction: Prediction) -> "Series":
        """Return it of a predicted plan."""
        design, plan = prediction.plan.design, prediction.plan
        rising = np.argsort(design.slab.stage_deg)
        return cls(
            design.slab.stage_deg[rising],
            np.array([one.exposure_e_A2 for one in plan])[rising],
            np.array([one.pre_exposure_e_A2 for one in plan])[rising],
            prediction.transmission[rising],
            prediction.alignment_error_A[rising],
            design.defocus.this_A(),
            design.lens,
            design.camera,
        )

    def noise_of(self, at: int | slice, k: Doubles) -> Doubles:
        """Return the standard deviation of a pixel's contrast at `k` in the image of a tilt, or of several (n, m)."""
        dqe = np.interp(k * 2 * self.camera.pixel_A, [0, 1], [self.camera.dqe_zero, self.camera.dqe_nyquist])
        counts = np.atleast_1d(self.exposure_e_A2[at] * self.passed[at]) * PIXEL_A**2
        return np.asarray(1 / np.sqrt(np.multiply.outer(counts, dqe)))

    def left(self, at: int | slice, k: Doubles) -> Doubles:
        """Return the amplitude that is left in the middle of an exposure, or of several (n, m)."""
        middle = np.atleast_1d(self.before_e_A2[at] + 0.5 * self.exposure_e_A2[at])
        middle = middle.reshape(-1, *(1,) * k.ndim)
        return surviving_amplitude(k, middle, self.lens.voltage_kV)


# The lines across the tilt axis of all tilts, and the slice made of them


def shadows(discs: Pieces, tilts_deg: Doubles) -> tuple[Spectra, Doubles]:
    """Return the transforms (n, layers, m) of the potential along the beam, V pixels, and the layers' heights in Å."""
    x, z = discs.centre_A[:, 0], discs.centre_A[:, 2]
    angle = tilts_deg[:, None]
    across = x + parallax_A(z, x, angle)
    height = defocus_of_point_A(0.0, x, z, -angle)  # which counts tilts the other way round: see `parallax_A`
    seen = np.abs(across) < PIXEL_A * DETECTOR_PX / 2 + discs.outer_A
    layers, at = _layers(height, seen)
    lines = np.zeros((len(tilts_deg), len(layers), DETECTOR_PX), np.float32)
    scale = 1 / PIXEL_A
    add_discs(across * scale, at, discs.outer_A * scale, discs.inner_A * scale, discs.contrast_V, lines)
    return np.asarray(rfft(lines, _LENGTH)), layers


def _layers(height_A: Doubles, seen: NDArray[np.bool_]) -> tuple[Doubles, Doubles]:
    """Return layers that hold the heights of what is seen, and where among them each height is."""
    low, high = (float(end) for end in (height_A[seen].min(initial=0), height_A[seen].max(initial=0)))
    count = 2 + int((high - low) / _LAYER_A)
    step = max(high - low, 1.0) / (count - 1)
    return np.asarray(low + step * np.arange(count)), np.asarray((height_A - low) / step)


def recorded(discs: Pieces, series: Series, noise: float, seed: int = 0) -> Spectra:
    """Return the transforms (n, m) of what is recorded of each line: contrast, from its middle on as `DETECTOR_PX`.

    `noise` multiplies that of the electrons, and the errors of placement.
    """
    k = line_frequencies()
    potential, layers = shadows(discs, series.tilts_deg)
    transfer = ctf(k, series.defocus_A + layers[:, None], series.lens) * temporal_envelope(k, series.lens)
    scale = -2 * interaction_rad_per_VA(series.lens.voltage_kV) * PIXEL_A
    lines = np.einsum("nlm,lm->nm", potential, transfer.astype(np.float32)) * (scale * series.left(slice(None), k))
    if noise:
        rows, errors = _drawn(seed)
        n = len(series.tilts_deg)
        lines += noise / SLICE_DEPTH_PX**0.5 * series.noise_of(slice(None), k) * rows[:n]
        misplaced = noise * errors[:n] * series.placement_A
        lines *= np.exp(-2j * np.pi * k * misplaced[:, None])
    return np.asarray(lines, np.complex64)


def line_frequencies() -> Doubles:
    """Return those of a line's transform, 1/Å."""
    return np.arange(_LENGTH // 2 + 1) / (_LENGTH * PIXEL_A)


@lru_cache(maxsize=4)
def _drawn(seed: int) -> tuple[Spectra, Doubles]:
    """Return transforms of unit noise and unit errors of placement: the same whatever a slider says."""
    rows = stream(seed, "explorer", "lines").normal(size=(MOST_TILTS, DETECTOR_PX)).astype(np.float32)
    return rfft(rows, _LENGTH), stream(seed, "explorer", "placement").normal(size=MOST_TILTS)


def reconstructed(lines: Spectra, tilts_deg: Doubles) -> Floats:
    """Return the slice (z, x) by weighted back-projection, in what the lines are of, for each pixel of depth.

    With the ramp's window of Hann to Nyquist, and each tilt counting for half of the way to both neighbours.
    """
    import torch

    from eucentric.processing.operators import ramp_gain, window_gain

    frequency = torch.arange(_LENGTH // 2 + 1) / _LENGTH
    ramp = (ramp_gain(frequency, DETECTOR_PX) * window_gain(frequency, "hann", 0.5, 0.0)).numpy()
    angles = np.deg2rad(tilts_deg)
    steps = np.diff(angles)
    shares = 0.5 * (np.append(steps, steps[-1]) + np.insert(steps, 0, steps[0]))
    fine = np.zeros((len(lines), _FINER * _LENGTH // 2 + 1), np.complex64)
    fine[:, : lines.shape[1]] = lines * (ramp * (_FINER * shares[:, None])).astype(np.float32)
    # A line begins where its detector does, and so its middle is a quarter of what was padded: brought to the half.
    centred = np.roll(irfft(fine), _FINER * (_LENGTH - DETECTOR_PX) // 2, axis=1)
    out = np.zeros(SLICE_ZX, np.float32)
    backproject(centred, np.cos(angles), np.sin(angles), _FINER, out)
    return out


def corrected(lines: Spectra, series: Series, *, weighted: bool, flipped: bool) -> Spectra:
    """Return lines weighed by what exposure left, keeping their noise as strong, and with the CTF's signs set right."""
    k = line_frequencies()
    if flipped:
        lines = lines * np.sign(ctf(k, series.defocus_A, series.lens)).astype(np.float32)
    if weighted:
        middle = series.before_e_A2 + 0.5 * series.exposure_e_A2
        weights = dose_weights(k, list(middle), series.lens.voltage_kV, keep_noise=True)
        lines = lines * weights.astype(np.float32)
    return lines


# One projection


def projection(phantom: Phantom, series: Series, view_deg: float, noise: float, seed: int = 0) -> Floats:
    """Return the image (y, x) at a tilt: contrast, exposed as the nearest of the plan's tilts is."""
    at = int(np.argmin(np.abs(series.tilts_deg - view_deg)))
    radial, place = _rings()
    images, layers = _image_layers(phantom, view_deg)
    transfer = ctf(radial, series.defocus_A + layers[:, None], series.lens) * temporal_envelope(radial, series.lens)
    transfer *= -2 * interaction_rad_per_VA(series.lens.voltage_kV) * series.left(at, radial)
    spectrum = np.zeros(place.shape, np.complex64)
    for image, of_layer in zip(images, transfer.astype(np.float32), strict=True):
        spectrum += rfft2(image) * of_layer[place]
    if noise:
        spectrum += noise * series.noise_of(at, radial)[0].astype(np.float32)[place] * _drawn_image(seed)
    return np.asarray(irfft2(spectrum, SLICE_ZX))


def _image_layers(phantom: Phantom, view_deg: float) -> tuple[Floats, Doubles]:
    """Return the potential along the beam in V Å, by layers of height (l, y, x), and the layers' heights in Å."""
    seen: list[tuple[Pieces, Doubles, Doubles]] = []
    for part in (phantom.balls, phantom.tubes):
        x, z = part.centre_A[:, 0], part.centre_A[:, 2]
        across, height = x + parallax_A(z, x, view_deg), defocus_of_point_A(0.0, x, z, -view_deg)
        inside = np.abs(across) < PIXEL_A * SLICE_ZX[1] / 2 + part.outer_A
        seen.append((part.those(inside), across[inside] / PIXEL_A, height[inside]))
    (balls, balls_px, _), (tubes, tubes_px, _) = seen
    heights = np.concatenate([height for _, _, height in seen])
    layers, at = _layers(heights, np.ones(len(heights), bool))
    images = np.zeros((len(layers), *SLICE_ZX), np.float32)
    place = np.column_stack([balls_px, balls.centre_A[:, 1] / PIXEL_A])
    scale = 1 / PIXEL_A
    add_balls(place, at[: len(balls)], balls.outer_A * scale, balls.inner_A * scale, balls.contrast_V, images)
    images *= PIXEL_A
    if len(tubes):
        lines = np.zeros((1, len(layers), SLICE_ZX[1]), np.float32)
        around = tubes.outer_A * scale, tubes.inner_A * scale, tubes.contrast_V
        add_discs(tubes_px[None], at[None, len(balls) :], *around, lines)
        images += lines[0][:, None] * PIXEL_A
    return images, layers


@lru_cache(maxsize=1)
def _rings() -> tuple[Doubles, NDArray[np.int16]]:
    """Return frequencies by which functions of the radius are tabulated, and which is nearest to each of an image's."""
    rows, columns = SLICE_ZX
    k = np.hypot(np.fft.fftfreq(rows, PIXEL_A)[:, None], np.fft.rfftfreq(columns, PIXEL_A))
    step = float(k.max()) / _RINGS
    return np.asarray(np.arange(_RINGS + 1) * step), np.asarray(np.rint(k / step), np.int16)


@lru_cache(maxsize=4)
def _drawn_image(seed: int) -> Spectra:
    return np.asarray(rfft2(stream(seed, "explorer", "image").normal(size=SLICE_ZX)), np.complex64)
