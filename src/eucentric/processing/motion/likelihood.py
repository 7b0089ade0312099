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
        ``|T|²`` summed over the coefficients of each ring: with the weights, that logarithm but for a constant.
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
    values = spectra.values[:, ::every].contiguous()
    fine = torch.as_tensor(grid.fine, device=values.device)[grid.rings[::every].long()]
    together = float(values.sum(dim=0).abs().square()[fine].sum())
    alone = float(values.abs().square().sum(dim=0)[fine].sum())
    return (together - alone) / (n - 1) / alone


def phases(k: NDArray[np.floating[Any]], shifts_A: NDArray[np.floating[Any]]) -> NDArray[np.complex64]:
    """Return ``exp(2 pi i k s)`` of shifts (n) and frequencies (m), (n, m): right to 1e-5 up to hundreds of turns."""
    angle = (2 * np.pi * shifts_A[:, None] * k).astype(np.float32)
    turned = np.empty(angle.shape, np.complex64)
    np.cos(angle, out=turned.real)
    np.sin(angle, out=turned.imag)
    return turned


def _by_numba(spectra: FrameSpectra, weights: Array | None, shifts_yx_A: Array) -> Evaluation:
    grid, n = spectra.grid, spectra.frames
    k_y, k_x = grid.k_y.numpy(), grid.k_x.numpy()
    gradient = np.zeros((_BLOCKS, n, 2))
    power = np.zeros((_BLOCKS, len(grid.ring_k)))
    _weigh(
        spectra.values.numpy(),
        grid.rings.numpy(),
        k_y,
        k_x.astype(np.float32),
        (np.zeros(0) if weights is None else weights).astype(np.float32),
        phases(k_y, shifts_yx_A[:, 0]),
        phases(k_x, shifts_yx_A[:, 1]),
        gradient,
        power,
    )
    return Evaluation(gradient.sum(axis=0), power.sum(axis=0))


@compiled(parallel=True)
def _weigh(
    frames: NDArray[np.complex64],
    rings: NDArray[np.int32],
    ky: Array,
    kx: NDArray[np.float32],
    weights: NDArray[np.float32],
    phase_y: NDArray[np.complex64],
    phase_x: NDArray[np.complex64],
    gradient: Array,
    power: Array,
) -> None:
    n, rows, columns = frames.shape
    blocks = len(gradient)  # each with sums of its own, so that they do not depend on the number of threads
    half = np.float32(np.sqrt(0.5))  # the first column counts half
    for block in parallel_range(blocks):
        moved = np.empty((n, columns), np.complex64)
        for row in range(block * rows // blocks, (block + 1) * rows // blocks):
            whole = np.zeros(columns, np.complex64)
            for f in range(n):
                along = phase_y[f, row]
                for column in range(columns):
                    value = frames[f, row, column] * (along * phase_x[f, column])
                    moved[f, column] = value
                    whole[column] += value
            whole[0] *= half
            for column in range(columns):
                power[block, rings[row, column]] += whole[column].real ** 2 + whole[column].imag ** 2
            if len(weights) == 0:
                continue
            whole[0] *= half
            for column in range(columns):
                whole[column] *= weights[rings[row, column]]
            for f in range(n):
                by_y, by_x = np.float32(0.0), np.float32(0.0)
                for column in range(columns):
                    turned = whole[column].real * moved[f, column].imag - whole[column].imag * moved[f, column].real
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
    power = grid.summed(whole.real.square() + whole.imag.square())
    if weights is None:
        return Evaluation(np.zeros((len(frames), 2)), power)
    table = torch.as_tensor(weights, device=frames.device)
    turned = (whole.conj() * moved).imag.double() * (half * table[rings.long()])
    gradient = torch.stack([(turned * k_y[:, None]).sum(dim=(1, 2)), (turned * k_x).sum(dim=(1, 2))], dim=1)
    return Evaluation((-4 * torch.pi * gradient).cpu().numpy(), power)
