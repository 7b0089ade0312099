"""How likely a track is, and which way is better: frames as noisy, shifted copies of one unknown image.

Frame f is ``F_f(k) = exp(-2 pi i k s_f) X(k) + noise``, X of power S(k), noise of power N(k), both Gaussian. With X
integrated out, the logarithm of the likelihood of the shifts s is, but for a constant,

    L = sum_k w(k) |T(k)|²,   T = sum_f exp(2 pi i k s_f) F_f,   w = S / (N (N + n S)),

over half of Fourier space. So much, and no more, is each frequency worth: no cut-off and no B factor are chosen.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from eucentric.core.jit import compiled, parallel_range
from eucentric.processing.motion.spectra import FrameSpectra

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A track weighed.

    Attributes
    ----------
    gradient
        Of the likelihood's logarithm, by each frame's shift, (n, 2), 1/Å.
    power
        ``|T|²`` summed over the coefficients of each ring: with the weights, that logarithm but for a constant.
    """

    gradient: Array
    power: Array


def evaluate(spectra: FrameSpectra, weights: Array, shifts_yx_A: Array) -> Evaluation:
    """Weigh a track: numba on the CPU, torch elsewhere.

    Parameters
    ----------
    spectra
        Of n frames.
    weights
        Of each ring.
    shifts_yx_A
        (n, 2).
    """
    if spectra.values.device.type == "cpu":
        return _by_numba(spectra, weights, shifts_yx_A)
    return _by_torch(spectra, weights, shifts_yx_A)


def _by_numba(spectra: FrameSpectra, weights: Array, shifts_yx_A: Array) -> Evaluation:
    ky, kx = spectra.grid.k_y.numpy(), spectra.grid.k_x.numpy()
    phase_y = np.exp(2j * np.pi * ky * shifts_yx_A[:, :1]).astype(np.complex64)
    phase_x = np.exp(2j * np.pi * kx * shifts_yx_A[:, 1:]).astype(np.complex64)
    gradient = np.zeros((len(ky), spectra.frames, 2))
    power = np.zeros((len(ky), len(weights)))
    _weigh(
        spectra.values.numpy(),
        spectra.grid.rings.numpy(),
        ky.astype(np.float32),
        kx.astype(np.float32),
        weights.astype(np.float32),
        phase_y,
        phase_x,
        gradient,
        power,
    )
    return Evaluation(gradient.sum(axis=0), power.sum(axis=0))


@compiled(parallel=True)
def _weigh(
    frames: NDArray[np.complex64],
    rings: NDArray[np.int32],
    ky: NDArray[np.float32],
    kx: NDArray[np.float32],
    weights: NDArray[np.float32],
    phase_y: NDArray[np.complex64],
    phase_x: NDArray[np.complex64],
    gradient: Array,
    power: Array,
) -> None:
    n, rows, columns = frames.shape
    for row in parallel_range(rows):
        moved = np.empty((n, columns), np.complex64)
        whole = np.zeros(columns, np.complex64)
        for f in range(n):
            along = phase_y[f, row]
            for column in range(columns):
                value = frames[f, row, column] * (along * phase_x[f, column])
                moved[f, column] = value
                whole[column] += value
        counted = np.empty(columns, np.float32)
        for column in range(columns):
            half = 0.5 if column == 0 else 1.0
            ring = rings[row, column]
            squared = half * (whole[column].real ** 2 + whole[column].imag ** 2)
            power[row, ring] += squared
            counted[column] = half * weights[ring]
        for f in range(n):
            by_y, by_x = np.float32(0.0), np.float32(0.0)
            for column in range(columns):
                turned = counted[column] * (
                    whole[column].real * moved[f, column].imag - whole[column].imag * moved[f, column].real
                )
                by_y += turned
                by_x += turned * kx[column]
            gradient[row, f, 0] = -4 * np.pi * by_y * ky[row]
            gradient[row, f, 1] = -4 * np.pi * by_x


def _by_torch(spectra: FrameSpectra, weights: Array, shifts_yx_A: Array) -> Evaluation:
    frames, grid = spectra.values, spectra.grid
    k_y, k_x, rings = grid.k_y, grid.k_x, grid.rings
    shifts = torch.as_tensor(shifts_yx_A, device=frames.device)
    angle = shifts[:, 0, None, None] * k_y[:, None] + shifts[:, 1, None, None] * k_x
    moved = frames * torch.polar(torch.ones_like(angle), 2 * torch.pi * angle).to(frames.dtype)
    whole = moved.sum(dim=0)
    half = torch.ones_like(k_x)
    half[0] = 0.5
    table = torch.as_tensor(weights, device=frames.device)
    squared = (whole.abs().double() ** 2) * half
    power = torch.zeros(len(weights), dtype=torch.float64, device=frames.device)
    power.index_add_(0, rings.flatten().long(), squared.flatten())
    turned = (whole.conj() * moved).imag.double() * (half * table[rings.long()])
    gradient = torch.stack([(turned * k_y[:, None]).sum(dim=(1, 2)), (turned * k_x).sum(dim=(1, 2))], dim=1)
    return Evaluation((-4 * torch.pi * gradient).cpu().numpy(), power.cpu().numpy())
