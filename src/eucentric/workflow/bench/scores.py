"""How near results are to the truth, whatever the program's own conventions."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from eucentric.assessment import fourier_shell_correlation, score_alignment
from eucentric.core import Alignment

Floats = NDArray[np.float32]

BANDS = ((0.01, 0.05), (0.05, 0.1), (0.1, 0.15), (0.15, 0.2), (0.2, 0.25), (0.25, 0.3), (0.3, 0.4))
"""Cycles per voxel whose mean correlations are averaged, so that low and high frequencies count alike."""

_INSIDE = 0.975  # of the tilt range: the outermost views' planes are half outside it
_BORDER = 0.09  # of each side across the beam, where programs differ in what they take to lie outside the images
_COARSEST = 0.25  # cycles per voxel: beyond, results of programs differ more by their filters than by their place


def score_volume(volume: Floats, truth: Floats, tilts_deg: tuple[float, ...], *, place_known: bool) -> dict[str, float]:
    """Return the mean Fourier shell correlation inside the measured wedge.

    Parameters
    ----------
    volume, truth
        (z, y, x), y the tilt axis.
    tilts_deg
        What was measured.
    place_known
        Whether the volume's frame is that of the truth. Other programs' differ by a hand and by parts of a voxel: the
        best of the mirrored volumes is taken, and moved onto the truth.
    """
    box = tuple(
        slice(round(_BORDER * n), n - round(_BORDER * n)) if axis else slice(n) for axis, n in enumerate(truth.shape)
    )
    true = np.ascontiguousarray(truth[box])
    if place_known:
        best = volume[box]
    else:
        mirrored = [volume[:: 1 - 2 * z, :: 1 - 2 * y] for z in range(2) for y in range(2)]
        best = max((_onto(one[box], true) for one in mirrored), key=lambda moved: moved[0])[1]
    lowest, highest = _INSIDE * min(tilts_deg), _INSIDE * max(tilts_deg)
    fsc = fourier_shell_correlation(best, true, 1.0, tilt_range_deg=(lowest, highest))
    frequency, correlation = np.array(fsc.frequency_1_A), np.array(fsc.correlation)
    means = [correlation[(frequency >= low) & (frequency < high)] for low, high in BANDS]
    return {"fsc": float(np.mean([band.mean() for band in means if band.size]))}


def score_views(found: Alignment, truth: Alignment) -> dict[str, float]:
    """Return the rms error of shifts (px) once the free translation is taken out, and that of the axis (degrees)."""
    score = score_alignment(found, truth)
    return {"shift_rms_px": score.shift_rms_px, "axis_error_deg": score.axis_error_deg}


def _onto(volume: Floats, truth: Floats) -> tuple[float, Floats]:
    """Move a volume onto the truth by whole voxels and parts; return how well they then agree, and the volume."""
    shape = truth.shape
    a, b = (fft.rfftn(part - part.mean(dtype=np.float64), workers=-1) for part in (truth, volume))
    k = [fft.fftfreq(n) for n in shape[:2]] + [fft.rfftfreq(shape[2])]
    grid = np.meshgrid(*k, indexing="ij", sparse=True)
    coarse = sum(axis**2 for axis in grid) < _COARSEST**2
    cross = np.where(coarse, np.conj(a) * b, 0)
    phases = cross / np.maximum(np.abs(cross), 1e-12 * np.abs(cross).max())
    peak = np.unravel_index(fft.irfftn(phases, shape, workers=-1).argmax(), shape)
    shift = np.array([p - n if p > n // 2 else p for p, n in zip(peak, shape, strict=True)], dtype=float)
    for _ in range(3):  # Newton's steps towards the largest correlation: from within a voxel, two are enough
        turned = cross * np.exp(2j * np.pi * sum(axis * s for axis, s in zip(grid, shift, strict=True)))
        slope = np.array([-(2 * np.pi * axis * turned.imag).sum() for axis in grid])
        bend = np.array([[-((2 * np.pi) ** 2 * p * q * turned.real).sum() for q in grid] for p in grid])
        shift += np.clip(np.linalg.solve(bend, -slope), -0.5, 0.5)
    turn = np.exp(2j * np.pi * sum(axis * s for axis, s in zip(grid, shift, strict=True)))
    agreement = float((cross * turn).real.sum() / np.sqrt((np.abs(a) ** 2).sum() * (np.abs(b) ** 2).sum()))
    moved: Floats = fft.irfftn(b * turn, shape, workers=-1).astype(np.float32)
    return agreement, moved
