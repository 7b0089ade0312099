"""How likely a track is, and which way is better: frames as noisy, shifted copies of one unknown image.

Frame f is ``F_f(k) = exp(-2 pi i k s_f) X(k) + noise``, X of power S(k), noise of power N(k), both Gaussian. With X
integrated out, the logarithm of the likelihood of the shifts s is, but for a constant,

    L = sum_k w(k) |T(k)|²,   T = sum_f exp(2 pi i k s_f) F_f,   w = S / (N (N + n S)),

over half of Fourier space. So much, and no more, is each frequency worth: no cut-off and no B factor are chosen.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eucentric.core.jit import compiled, parallel_range
from eucentric.processing.motion.spectra import FrameSpectra

Array = NDArray[np.float64]

_NO_SPECIMEN_A = 6.0
_ROWS_SEEN = 64  # at the least: as many are enough to see a pattern
_BLOCKS = 16  # of rows, that are weighed apart


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A track weighed.

    Attributes
    ----------
    gradient
        Of the likelihood's logarithm, by each frame's shift, (n, 2), 1/Å; zero where it was not asked for.
    power
        ``|T|²`` summed over the coefficients of each ring, 0 for ring 0: with the weights, that logarithm but for a
        constant.
    """

    gradient: Array
    power: Array


def evaluate(spectra: FrameSpectra, weights: Array | None, shifts_yx_A: Array) -> Evaluation:
    """Weigh a track: numba on the CPU, torch elsewhere.

    Parameters
    ----------
    spectra
        Of n frames.
    weights
        Of each ring. None: only the power is wanted, which takes half the time.
    shifts_yx_A
        (n, 2).
    """
    if spectra.values.device.type == "cpu":
        return _by_numba(spectra, weights, shifts_yx_A)
    return _by_torch(spectra, weights, shifts_yx_A)


def fixed_pattern(spectra: FrameSpectra) -> float | None:
    """Return what frames share where they lie, of the power of their noise, in the finest quarter of frequencies.

    Finer than some 6 Å no specimen shows in a single exposure: what is shared is the camera's, and pulls every
    shift towards 0. None for coarser pixels, which cannot tell the two apart, and for a single frame.
    """
    n, grid = spectra.frames, spectra.grid
    if n < 2 or grid.ring_k[-1] < 1 / _NO_SPECIMEN_A:
        return None
    every = max(1, spectra.values.shape[1] // _ROWS_SEEN)
    values, rings = spectra.values[:, ::every], grid.rings[::every]
    if values.device.type == "cpu":
        together, alone = _shared(values.numpy(), rings.numpy(), grid.fine)
    else:
        fine = torch.as_tensor(grid.fine, device=values.device)[rings.long()]
        together = np.float64(values.sum(dim=0).abs().square()[fine].sum().item())
        alone = np.float64(values.abs().square().sum(dim=0)[fine].sum().item())
    return float((together - alone) / (n - 1) / alone)


@compiled()
def _shared(
    frames: NDArray[np.complex64], rings: NDArray[np.int32], fine: NDArray[np.bool_]
) -> tuple[np.float64, np.float64]:
    """Return the power of the sum of frames, and the sum of their powers, over the rings that are `fine`."""
    n, rows, columns = frames.shape
    together, alone = np.float64(0), np.float64(0)
    for row in range(rows):
        for column in range(columns):
            if fine[rings[row, column]]:
                whole = np.complex64(0)
                for f in range(n):
                    one = frames[f, row, column]
                    whole += one
                    alone += one.real * one.real + one.imag * one.imag
                together += whole.real * whole.real + whole.imag * whole.imag
    return together, alone


def turns(k: NDArray[np.floating[Any]], shifts_A: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Return real and imaginary parts of ``exp(2 pi i k s)`` of shifts (n) and frequencies (m), (2, n, m).

    Right to 1e-5 up to hundreds of turns; quick for frequencies that mostly follow each other in even steps.
    """
    turned = np.empty((2, len(shifts_A), len(k)), np.float32)
    _turn(k, np.ascontiguousarray(shifts_A), turned)
    return turned


@compiled()
def _turn(k: NDArray[np.floating[Any]], shifts: NDArray[np.floating[Any]], turned: NDArray[np.float32]) -> None:
    """Turn from each frequency to the next by the same step, and begin anew where the next one lies elsewhere."""
    even = k[1] - k[0] if len(k) > 1 else 0.0
    for f in range(len(shifts)):
        angle = 2 * np.pi * shifts[f]
        step_re, step_im = np.cos(angle * even), np.sin(angle * even)
        re, im = 0.0, 0.0
        for m in range(len(k)):
            if m > 0 and abs(k[m] - k[m - 1] - even) < 1e-6 * abs(even):
                re, im = re * step_re - im * step_im, re * step_im + im * step_re
            else:
                re, im = np.cos(angle * k[m]), np.sin(angle * k[m])
            turned[0, f, m] = re
            turned[1, f, m] = im


def phases(k: NDArray[np.floating[Any]], shifts_A: NDArray[np.floating[Any]]) -> NDArray[np.complex64]:
    """Return ``exp(2 pi i k s)`` of shifts (n) and frequencies (m), (n, m): see `turns`."""
    turned: NDArray[np.complex64] = np.moveaxis(turns(k, shifts_A), 0, -1).copy().view(np.complex64)[..., 0]
    return turned


def _in_rings(power: Array) -> Array:
    power[0] = 0.0  # what is in no ring
    return power


def _by_numba(spectra: FrameSpectra, weights: Array | None, shifts_yx_A: Array) -> Evaluation:
    grid, n = spectra.grid, spectra.frames
    k_y, k_x, rings = grid.arrays
    gradient = np.zeros((_BLOCKS, n, 2))
    power = np.zeros((_BLOCKS, len(grid.ring_k)))
    _weigh(
        spectra.values.numpy().view(np.float32),
        rings,
        grid.ends,
        k_y,
        k_x.astype(np.float32),
        (np.zeros(0) if weights is None else weights).astype(np.float32),
        turns(k_y, shifts_yx_A[:, 0]),
        turns(k_x, shifts_yx_A[:, 1]),
        gradient,
        power,
    )
    return Evaluation(gradient.sum(axis=0), _in_rings(power.sum(axis=0)))


@compiled(parallel=True)
def _weigh(
    frames: NDArray[np.float32],
    rings: NDArray[np.int32],
    ends: NDArray[np.int64],
    ky: Array,
    kx: NDArray[np.float32],
    weights: NDArray[np.float32],
    turn_y: NDArray[np.float32],
    turn_x: NDArray[np.float32],
    gradient: Array,
    power: Array,
) -> None:
    """Weigh a track; real and imaginary parts lie in turn in `frames`, and apart in turns: so loops are vectorised."""
    n, rows = len(frames), len(ends)
    blocks = len(gradient)  # each with sums of its own, so that they do not depend on the number of threads
    half = np.float32(0.5)  # the first column counts half
    for block in parallel_range(blocks):
        moved = np.empty((2, n, len(kx)), np.float32)
        whole = np.empty((2, len(kx)), np.float32)
        each = np.empty(len(kx), np.float32)
        for row in range(block * rows // blocks, (block + 1) * rows // blocks):
            end = ends[row]
            whole[:] = 0.0
            for f in range(n):
                y_re, y_im = turn_y[0, f, row], turn_y[1, f, row]
                for column in range(end):
                    turn_re = y_re * turn_x[0, f, column] - y_im * turn_x[1, f, column]
                    turn_im = y_re * turn_x[1, f, column] + y_im * turn_x[0, f, column]
                    re, im = frames[f, row, 2 * column], frames[f, row, 2 * column + 1]
                    moved_re = re * turn_re - im * turn_im
                    moved_im = re * turn_im + im * turn_re
                    moved[0, f, column] = moved_re
                    moved[1, f, column] = moved_im
                    whole[0, column] += moved_re
                    whole[1, column] += moved_im
            for column in range(end):
                each[column] = whole[0, column] * whole[0, column] + whole[1, column] * whole[1, column]
            each[0] *= half
            for column in range(end):
                power[block, rings[row, column]] += each[column]
            if len(weights) == 0:
                continue
            for column in range(end):
                each[column] = weights[rings[row, column]]
            each[0] *= half
            for column in range(end):
                whole[0, column] *= each[column]
                whole[1, column] *= each[column]
            for f in range(n):
                by_y, by_x = np.float32(0.0), np.float32(0.0)
                for column in range(end):
                    turned = whole[0, column] * moved[1, f, column] - whole[1, column] * moved[0, f, column]
                    by_y += turned
                    by_x += turned * kx[column]
                gradient[block, f, 0] -= 4 * np.pi * by_y * ky[row]
                gradient[block, f, 1] -= 4 * np.pi * by_x


def _by_torch(spectra: FrameSpectra, weights: Array | None, shifts_yx_A: Array) -> Evaluation:
    frames, grid = spectra.values, spectra.grid
    k_y, k_x, rings = grid.k_y, grid.k_x, grid.rings
    shifts = torch.as_tensor(shifts_yx_A, device=frames.device)
    angle = shifts[:, 0, None, None] * k_y[:, None] + shifts[:, 1, None, None] * k_x
    moved = frames * torch.polar(torch.ones_like(angle), 2 * torch.pi * angle).to(frames.dtype)
    whole = moved.sum(dim=0)
    half = torch.ones_like(k_x)
    half[0] = 0.5
    power = _in_rings(grid.summed(whole.real.square() + whole.imag.square()))
    if weights is None:
        return Evaluation(np.zeros((len(frames), 2)), power)
    table = torch.as_tensor(weights, device=frames.device)
    turned = (whole.conj() * moved).imag.double() * (half * table[rings.long()])
    gradient = torch.stack([(turned * k_y[:, None]).sum(dim=(1, 2)), (turned * k_x).sum(dim=(1, 2))], dim=1)
    return Evaluation((-4 * torch.pi * gradient).cpu().numpy(), power)
