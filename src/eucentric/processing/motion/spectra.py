"""The transforms of a movie's frames, cut to the frequencies that can tell of movement."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.core import InputError
from eucentric.processing.operators import inverse_transform, transform

Array = NDArray[np.float64]
_NO_SPECIMEN_A = 6.0
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

    @property
    def fine(self) -> NDArray[np.bool_]:
        """Which rings are in the finest quarter of frequencies."""
        fine: NDArray[np.bool_] = (self.ring_k > 0.75 * self.ring_k[-1]) & (self.counts > 0)
        return fine

    def summed(self, squared: Tensor) -> Array:
        """Return the sum of values (rows, columns) over each ring."""
        half = squared.double()
        half[:, 0] *= 0.5
        summed = torch.bincount(self.rings.flatten(), half.flatten(), minlength=len(self.ring_k))
        values: Array = summed.cpu().numpy()
        return values

    def cut(self, resolution_A: float) -> "tuple[FrequencyGrid, Tensor, int]":
        """Return what is not finer than a resolution, and which rows and how many columns these are."""
        return _cut_grid(self, resolution_A)


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
        (n, rows, columns) complex64, in units of the noise of a frame; columns from k_x = 0.
    grid
        Their frequencies.
    power
        ``sum_f |F_f|²``, summed over each ring.
    shape_yx
        Of the frames that were transformed.
    """

    values: Tensor
    grid: FrequencyGrid
    power: Array
    shape_yx: tuple[int, int]

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return len(self.values)

    def fixed_pattern(self) -> float | None:
        """Return what frames share where they lie, of the power of their noise, in the finest quarter of frequencies.

        Finer than some 6 Å no specimen shows in a single exposure: what is shared is the camera's, and pulls every
        shift towards 0. None for coarser pixels, which cannot tell the two apart, and for a single frame.
        """
        if self.frames < 2 or self.grid.ring_k[-1] < 1 / _NO_SPECIMEN_A:
            return None
        n, fine = self.frames, self.grid.fine
        whole = self.values.sum(dim=0)
        power = self.grid.summed(whole.real.square() + whole.imag.square())
        shared = float(np.sum(power[fine]) - np.sum(self.power[fine])) / (n * (n - 1))
        return shared / max(float(np.sum(self.power[fine])) / n, 1e-30)

    def cut(self, resolution_A: float) -> "FrameSpectra":
        """Return what is not finer than a resolution: a copy, or these spectra themselves if nothing is."""
        grid, rows, columns = self.grid.cut(resolution_A)
        if grid.rings.shape == self.grid.rings.shape:
            return self
        values = torch.empty((self.frames, len(rows), columns), dtype=self.values.dtype, device=self.values.device)
        below = len(rows) // 2  # negative frequencies, at the end of the rows
        values[:, : len(rows) - below] = self.values[:, : len(rows) - below, :columns]
        values[:, len(rows) - below :] = self.values[:, self.values.shape[1] - below :, :columns]
        return FrameSpectra(values, grid, self.power[: len(grid.ring_k)], self.shape_yx)

    def as_images(self) -> Tensor:
        """Return the frames again, (n, y, x) float32, on a grid just fine enough for what is kept of them."""
        _, rows, columns = self.values.shape
        fast_rows = scipy.fft.next_fast_len(rows, real=True)
        fast_columns = scipy.fft.next_fast_len(2 * columns - 1, real=True)
        below = rows // 2  # negative frequencies, at the end of the rows
        images = []
        for frame in self.values:
            spectrum = torch.zeros((fast_rows, fast_columns // 2 + 1), dtype=frame.dtype, device=frame.device)
            spectrum[: rows - below, :columns] = frame[: rows - below]
            spectrum[fast_rows - below :, :columns] = frame[rows - below :]
            images.append(inverse_transform(spectrum, (fast_rows, fast_columns)))
        return torch.stack(images)


def frame_spectra(frames: Iterable[Tensor], pixel_A: float, resolution_A: float) -> FrameSpectra:
    """Transform frames one by one, keeping what is coarser than a resolution.

    Parameters
    ----------
    frames
        Each (y, x), float32, gain corrected; they are not kept.
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
    kept: list[Tensor] = []
    for frame in frames:
        if shape is None:
            shape = (int(frame.shape[0]), int(frame.shape[1]))
            grid, rows = _grid(shape, pixel_A, resolution_A, frame.device)
            columns = len(grid.k_x)
            squared = torch.zeros(grid.rings.shape, dtype=torch.float32, device=frame.device)
        elif tuple(frame.shape) != shape:
            y, x = frame.shape
            raise InputError(f"Frame {len(kept)} has {y} x {x} pixels, the first {shape[0]} x {shape[1]}.")
        spectrum = transform(frame)[:, :columns][rows]
        squared += spectrum.real.square() + spectrum.imag.square()
        kept.append(spectrum)
    if shape is None:
        raise InputError("A movie without frames cannot be aligned.", "Leave it out.")
    power = grid.summed(squared)
    # In the finest quarter of frequencies a frame is nearly all noise.
    noise = np.sum(power[grid.fine]) / np.sum(grid.counts[grid.fine]) / len(kept) if grid.fine.any() else 0.0
    if not noise > 0:
        raise InputError("The frames hold nothing: all their pixels are alike.", "Leave this exposure out.")
    values = torch.stack(kept)
    values.mul_(float(noise**-0.5))
    return FrameSpectra(values, grid, power / noise, shape)
