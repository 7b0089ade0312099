"""From the contrast of an exposure to the expected electrons in each of its frames: damage, motion, beam, camera."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucentric.core.jit import compiled, parallel_range
from eucentric.optics import critical_exposure_e_A2
from eucentric.specimen.solvent import ice_memory
from eucentric.twin.field import Field
from eucentric.twin.formation import Spectra, image_of, resized

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

WARP_PX = 32  # local motion is given at every 32nd pixel
_INELASTIC_BLUR_A = 40.0  # electrons that lost some 20 eV are 0.2 µm out of focus: they keep coarse contrast only
_INELASTIC_PASSED = 0.9  # share of them that the aperture lets through: chosen, they scatter by less than 1 mrad


@dataclass(frozen=True, eq=False)
class FrameMotion:
    """How a frame lies against the exposure's view.

    Attributes
    ----------
    shift_yx_A
        Where what the view shows is seen, on the whole, in the image frame.
    during_yx_A
        How far it goes during the frame: blur.
    local_yx_A
        What places do besides, (rows, columns, 2), on a grid of every `WARP_PX`-th pixel; or nothing.
    """

    shift_yx_A: tuple[float, float]
    during_yx_A: tuple[float, float] = (0.0, 0.0)
    local_yx_A: Array | None = None


@dataclass(frozen=True, eq=False)
class FrameConditions:
    """What is the same for all frames of an exposure.

    Attributes
    ----------
    exposures_e_A2
        Of each frame, on the specimen.
    pre_exposure_e_A2
        What the place had received before the first.
    voltage_kV
        Of the beam.
    mean_free_path_A
        Inelastic; infinite where no loss is counted.
    filtered
        Whether electrons that lost energy are kept out.
    damage, ice_motion
        Whether molecules fade, and ice moves.
    beam
        Share of the beam's intensity in each pixel (y, x), or nothing for an even one.
    mtf
        Amplitude that the camera leaves at each place of the padded half transform.
    elastic_A
        Elastic mean free path, over which the contrast of molecules and ice is lost; infinite where it is not.
    """

    exposures_e_A2: tuple[float, ...]
    pre_exposure_e_A2: float
    voltage_kV: float
    mean_free_path_A: float
    filtered: bool
    damage: bool
    ice_motion: bool
    beam: Floats | None
    mtf: Array
    elastic_A: float = math.inf


def expected_frames(
    spectra: Spectra, field: Field, motions: list[FrameMotion], conditions: FrameConditions
) -> Iterator[Floats]:
    """Yield the electrons that arrive in each pixel (y, x) of each frame, in the mean, after the camera's blur.

    Parameters
    ----------
    spectra
        What the exposure's view shows.
    field
        The grid.
    motions
        Of the frames.
    conditions
        Of the exposure.
    """
    ky, kx = field.frequencies(half=True)
    passed = np.exp(-spectra.path_A / np.float32(conditions.mean_free_path_A))
    lit = passed if conditions.beam is None else passed * conditions.beam
    mtf = conditions.mtf.astype(np.float32)
    # The path hardly varies over a field; were it taken pixel by pixel, every frame would need a second transform.
    coherent = np.float32(np.exp(-spectra.path_A.mean(dtype=np.float64) / conditions.elastic_A))
    critical = critical_exposure_e_A2(field.k, conditions.voltage_kV)
    before = conditions.pre_exposure_e_A2
    for exposure, motion in zip(conditions.exposures_e_A2, motions, strict=True):
        since = before - conditions.pre_exposure_e_A2 + exposure / 2
        molecules = spectra.molecules
        if conditions.damage:
            molecules = molecules * _surviving(critical, before, exposure)
        ice = spectra.ice[0]
        if conditions.ice_motion:
            memory = ice_memory(field.k, since).astype(np.float32)
            ice = ice * memory + spectra.ice[1] * np.sqrt(1 - memory * memory)
        contrast = coherent * (molecules + ice) + spectra.lasting
        y, x = motion.shift_yx_A
        contrast *= np.exp(-2j * math.pi * (ky * y + kx * x)).astype(np.complex64) * mtf
        if any(motion.during_yx_A):
            contrast *= np.sinc(ky * motion.during_yx_A[0] + kx * motion.during_yx_A[1]).astype(np.float32)
        if motion.local_yx_A is not None:
            contrast /= _sampled_spline(ky * field.pixel_A) * _sampled_spline(kx * field.pixel_A)
        image = image_of(contrast, field)
        if not conditions.filtered and math.isfinite(conditions.mean_free_path_A):
            blurred = image_of(contrast * np.exp(-0.5 * (field.k * _INELASTIC_BLUR_A) ** 2).astype(np.float32), field)
            lost = _INELASTIC_PASSED * (1 / passed - 1)
            image = image + lost * (1 + blurred)
        if motion.local_yx_A is not None:
            image = warped(image, motion.local_yx_A / field.pixel_A)
        yield _lit(image, lit * np.float32(exposure * field.pixel_A**2))
        before += exposure


def _surviving(critical: Array, before_e_A2: float, exposure_e_A2: float) -> Floats:
    """Return the amplitude that is left at each frequency, in the mean over a frame."""
    with np.errstate(invalid="ignore"):  # at k = 0: infinity times zero
        mean = 2 * critical / exposure_e_A2 * -np.expm1(-exposure_e_A2 / (2 * critical))
    left = np.where(np.isfinite(critical), mean * np.exp(-before_e_A2 / (2 * critical)), 1.0)
    return np.asarray(left, dtype=np.float32)


def _lit(contrast: Floats, electrons: Floats) -> Floats:
    """Return the electrons of each pixel: no pixel has fewer than none, and as many arrive in all as without contrast.

    Where ice is thick the weak-phase picture takes more away than there is, in a few pixels in a thousand.
    """
    bright = 1 + contrast
    wanted = float(bright.mean(dtype=np.float64))
    np.maximum(bright, 0, out=bright)
    have = float(bright.mean(dtype=np.float64))
    if have > 0:
        bright *= np.float32(max(wanted, 0.0) / have)
    return np.asarray(bright * electrons, dtype=np.float32)


def _sampled_spline(cycles_per_px: Array) -> Floats:
    """Return the transform of a cubic B-spline at whole pixels: what its coefficients are divided by."""
    return np.asarray((4 + 2 * np.cos(2 * np.pi * cycles_per_px)) / 6, dtype=np.float32)


def warped(coefficients: Floats, moved_px: Array) -> Floats:
    """Return the image (y, x) with its contents moved by a smooth field, given at every `WARP_PX`-th pixel, in pixels.

    Cubic B-spline interpolation of an image that is given by its coefficients: what it blurs is 1 % at half the Nyquist
    frequency.
    """
    rows, columns = coefficients.shape
    shift = [resized(moved_px[..., axis].astype(np.float32), WARP_PX, (rows, columns)) for axis in range(2)]
    out = np.empty_like(coefficients)
    _warp(coefficients, shift[0], shift[1], out)
    return out


@compiled()
def _cubic(u: Any) -> tuple[Any, Any, Any, Any]:
    """Return the cubic B-spline at 1 + u, u, 1 - u and 2 - u."""
    first, last = (1 - u) ** 3 / 6, u**3 / 6
    second = (4 - 6 * u * u + 3 * u**3) / 6
    return first, second, 1 - first - second - last, last


@compiled(parallel=True)
def _warp(coefficients: Floats, down: Floats, across: Floats, out: Floats) -> None:
    rows, columns = out.shape
    for row in parallel_range(rows):
        for column in range(columns):
            y, x = row - down[row, column], column - across[row, column]
            j, i = int(np.floor(y)), int(np.floor(x))
            wy0, wy1, wy2, wy3 = _cubic(np.float32(y - j))
            wx0, wx1, wx2, wx3 = _cubic(np.float32(x - i))
            total = np.float32(0)
            for a in range(4):
                line = min(max(j - 1 + a, 0), rows - 1)
                wy = wy0 if a == 0 else wy1 if a == 1 else wy2 if a == 2 else wy3
                i0, i1 = min(max(i - 1, 0), columns - 1), min(max(i, 0), columns - 1)
                i2, i3 = min(max(i + 1, 0), columns - 1), min(max(i + 2, 0), columns - 1)
                total += wy * (
                    wx0 * coefficients[line, i0]
                    + wx1 * coefficients[line, i1]
                    + wx2 * coefficients[line, i2]
                    + wx3 * coefficients[line, i3]
                )
            out[row, column] = total
