"""The transforms of a movie's frames, cut to the frequencies that can tell of movement."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.core import InputError
from eucentric.core.jit import compiled, parallel_range
from eucentric.processing.motion.transforms import Frame, transformed
from eucentric.processing.operators import inverse_transform, transform

Array = NDArray[np.float64]
_ROOM = 8  # for frames, to begin with
_LOWEST = 3  # waves across the field: what is coarser is the beam's own shape, which stays where it is


@dataclass(frozen=True, eq=False)
class FrequencyGrid:
    """The coefficients of a transform that are kept, and the rings that they belong to.

    Attributes
    ----------
    k_y, k_x
        Frequencies of rows and columns, 1/Å, float64.
    rings
        Ring of each coefficient, (rows, columns) int32; ring 0 is left out of everything.
    ring_k
        Frequency of each ring, 1/Å.
    counts
        Coefficients in each ring, over half of Fourier space: the first column counts half.
    """

    k_y: Tensor
    k_x: Tensor
    rings: Tensor
    ring_k: Array
    counts: Array

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """Columns of each row up to the last one that is in a ring: what lies beyond counts nowhere."""
        columns = torch.arange(1, self.rings.shape[1] + 1, device=self.rings.device)
        return np.asarray(torch.where(self.rings > 0, columns, 0).amax(dim=1).cpu().numpy())

    @cached_property
    def arrays(self) -> tuple[Array, Array, NDArray[np.int32]]:
        """`k_y`, `k_x` and `rings` for numba."""
        return self.k_y.cpu().numpy(), self.k_x.cpu().numpy(), self.rings.cpu().numpy()

    @cached_property
    def fine(self) -> NDArray[np.bool_]:
        """Which rings are in the finest quarter of frequencies."""
        fine: NDArray[np.bool_] = (self.ring_k > 0.75 * self.ring_k[-1]) & (self.counts > 0)
        return fine

    def summed(self, squared: Tensor, rings: Tensor | None = None) -> Array:
        """Return the sum of values (rows, columns) over each ring; of some rows only, with `rings` theirs."""
        rings = self.rings if rings is None else rings
        values = np.zeros(len(self.ring_k))
        if squared.device.type == "cpu":
            _sum_rings(squared.numpy(), rings.numpy(), values)
            return values
        half = squared.double()
        half[:, 0] *= 0.5
        summed = torch.bincount(rings.flatten(), half.flatten(), minlength=len(values))
        return np.asarray(summed.cpu().numpy())

    def cut(self, resolution_A: float) -> "tuple[FrequencyGrid, Tensor, int]":
        """Return what is not finer than a resolution, and which rows and how many columns these are."""
        return _cut_grid(self, resolution_A)


@compiled()
def _sum_rings(squared: NDArray[np.float32], rings: NDArray[np.int32], values: Array) -> None:
    rows, columns = rings.shape
    for row in range(rows):
        values[rings[row, 0]] += 0.5 * squared[row, 0]
        for column in range(1, columns):
            values[rings[row, column]] += squared[row, column]


@compiled(parallel=True)
def _keep(
    spectrum: NDArray[np.complex64],
    kept: NDArray[np.int64],
    values: NDArray[np.complex64],
    squared: NDArray[np.float32],
) -> None:
    """Copy some rows and the first columns of a transform, and add their squares, in one go."""
    rows, columns = values.shape
    for row in parallel_range(rows):
        source = kept[row]
        for column in range(columns):
            value = spectrum[source, column]
            values[row, column] = value
            squared[row, column] += value.real**2 + value.imag**2


@lru_cache(maxsize=64)
def _cut_grid(grid: FrequencyGrid, resolution_A: float) -> tuple[FrequencyGrid, Tensor, int]:
    rows = torch.nonzero(grid.k_y.abs() <= 1 / resolution_A).flatten()
    columns = int((grid.k_x <= 1 / resolution_A).sum())
    last = max(2, int(np.searchsorted(grid.ring_k, 1 / resolution_A, side="right")))
    rings = grid.rings[rows, :columns]
    rings = torch.where(rings < last, rings, 0).contiguous()
    # Rings that are kept are kept whole, but for the last, of which corners may lie outside.
    counts = grid.counts[:last]
    return FrequencyGrid(grid.k_y[rows], grid.k_x[:columns], rings, grid.ring_k[:last], counts), rows, columns


@lru_cache(maxsize=8)
def _grid(
    shape: tuple[int, int], pixel_A: float, resolution_A: float, device: torch.device
) -> tuple[FrequencyGrid, Tensor]:
    """Return the grid of frames of a shape, and which rows of their transforms it keeps: the same for all movies."""
    n_y, n_x = shape
    k_y = torch.fft.fftfreq(n_y, pixel_A, dtype=torch.float64)
    k_x = torch.fft.rfftfreq(n_x, pixel_A, dtype=torch.float64)[: (n_x + 1) // 2]  # no lone Nyquist column
    finest = min(1 / resolution_A, 0.5 / pixel_A)
    rows = torch.nonzero(k_y.abs() <= finest).flatten()
    k_y, k_x = k_y[rows], k_x[k_x <= finest]
    step = 1 / (max(shape) * pixel_A)
    lowest = _LOWEST / (min(shape) * pixel_A)
    k = torch.sqrt(k_y[:, None] ** 2 + k_x[None] ** 2)
    rings = torch.round(k / step).to(torch.int32)
    last = int(finest / step)
    if last < 2 or len(k_x) < _LOWEST + 2:
        raise InputError(f"Frames of {shape[0]} x {shape[1]} pixels are too small to be aligned.", "Leave them as is.")
    rings[(k < lowest) | (rings > last)] = 0
    half = torch.ones(rings.shape, dtype=torch.float64)
    half[:, 0] = 0.5
    counts = torch.bincount(rings.flatten(), half.flatten(), minlength=last + 1).numpy()
    ring_k = np.arange(last + 1, dtype=np.float64) * step
    return FrequencyGrid(k_y.to(device), k_x.to(device), rings.to(device), ring_k, counts), rows.to(device)


@dataclass(frozen=True, eq=False)
class FrameSpectra:
    """Transforms of frames of one exposure.

    Attributes
    ----------
    values
        (n, rows, columns) complex64; columns from k_x = 0.
    grid
        Their frequencies.
    power
        ``sum_f |F_f|²``, summed over each ring.
    noise
        Power of a frame's coefficient in the finest quarter of frequencies, where it is nearly all noise.
    shape_yx
        Of the frames that were transformed.
    """

    values: Tensor
    grid: FrequencyGrid
    power: Array
    noise: float
    shape_yx: tuple[int, int]

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return self.values.shape[0]

    def cut(self, resolution_A: float) -> "FrameSpectra":
        """Return what is not finer than a resolution: a copy, or these spectra themselves if nothing is."""
        grid, rows, columns = self.grid.cut(resolution_A)
        if grid.rings.shape == self.grid.rings.shape:
            return self
        values = torch.empty((self.frames, len(rows), columns), dtype=self.values.dtype, device=self.values.device)
        below = len(rows) // 2  # negative frequencies, at the end of the rows
        values[:, : len(rows) - below] = self.values[:, : len(rows) - below, :columns]
        values[:, len(rows) - below :] = self.values[:, self.values.shape[1] - below :, :columns]
        return FrameSpectra(values, grid, self.power[: len(grid.ring_k)], self.noise, self.shape_yx)

    def as_images(self) -> Tensor:
        """Return the frames again, (n, y, x) float32, on a grid just fine enough for what is kept of them."""
        _, rows, columns = self.values.shape
        fast_rows = scipy.fft.next_fast_len(rows, real=True)
        fast_columns = scipy.fft.next_fast_len(2 * columns - 1, real=True)
        below = rows // 2  # negative frequencies, at the end of the rows
        spectra = torch.zeros(
            (self.frames, fast_rows, fast_columns // 2 + 1), dtype=self.values.dtype, device=self.values.device
        )
        spectra[:, : rows - below, :columns] = self.values[:, : rows - below]
        spectra[:, fast_rows - below :, :columns] = self.values[:, rows - below :]
        return inverse_transform(spectra, (fast_rows, fast_columns))


def frame_spectra(frames: Iterable[Frame], pixel_A: float, resolution_A: float) -> FrameSpectra:
    """Transform frames one by one, keeping what is coarser than a resolution.

    Parameters
    ----------
    frames
        Taken one by one; they are not kept.
    pixel_A
        Pixel size.
    resolution_A
        Finest detail that is kept; twice the pixel size is the finest there is.

    Raises
    ------
    InputError
        If there are no frames, their shapes differ, or they are so small that nothing is left.
    """
    shape: tuple[int, int] | None = None
    n = 0
    for frame in frames:
        one = transformed(frame)
        if shape is None:
            shape, device = one.shape_yx, one.values.device
            grid, rows = _grid(shape, pixel_A, resolution_A, device)
            values = torch.empty((_ROOM, *grid.rings.shape), dtype=torch.complex64, device=device)
            squared = torch.zeros(grid.rings.shape, dtype=torch.float32, device=device)
        elif one.shape_yx != shape:
            y, x = one.shape_yx
            raise InputError(f"Frame {n} has {y} x {x} pixels, the first {shape[0]} x {shape[1]}.")
        if n == len(values):  # how many frames come is not known before
            values = torch.cat([values, torch.empty_like(values)])
        if one.values.device.type == "cpu":
            _keep(one.values.numpy(), rows.numpy(), values[n].numpy(), squared.numpy())
        else:
            values[n] = one.values[rows, : len(grid.k_x)]
            squared += values[n].real.square() + values[n].imag.square()
        n += 1
    if shape is None:
        raise InputError("A movie without frames cannot be aligned.", "Leave it out.")
    return _spectra(values[:n], squared, grid, shape)


def stack_spectra(frames: Tensor, pixel_A: float) -> FrameSpectra:
    """Transform frames (n, y, x) that are in memory and small, all at once; else as `frame_spectra`."""
    shape = (int(frames.shape[1]), int(frames.shape[2]))
    grid, rows = _grid(shape, pixel_A, 2 * pixel_A, frames.device)
    values = transform(frames)[:, rows, : len(grid.k_x)]
    return _spectra(values, (values.real.square() + values.imag.square()).sum(dim=0), grid, shape)


def _spectra(values: Tensor, squared: Tensor, grid: FrequencyGrid, shape_yx: tuple[int, int]) -> FrameSpectra:
    """Return transforms with what is in their rings; `squared` is the sum of their squares over frames."""
    power = grid.summed(squared)
    fine = grid.fine
    noise = float(np.sum(power[fine]) / np.sum(grid.counts[fine]) / len(values)) if fine.any() else 0.0
    if not noise > 0:
        raise InputError("The frames hold nothing: all their pixels are alike.", "Leave this exposure out.")
    return FrameSpectra(values, grid, power, noise, shape_yx)
