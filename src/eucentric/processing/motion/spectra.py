"""The transforms of a movie's frames, cut to the frequencies that can tell of movement."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.core import InputError

Array = NDArray[np.float64]
_THREADS = 2
_LOWEST = 3  # waves across the field: what is coarser is the beam's own shape, which stays where it is
_RING_SHARE = 1.0  # width of a ring, in steps of the transform along the longer side


@dataclass(frozen=True, eq=False)
class FrameSpectra:
    """Transforms of frames of one exposure.

    Attributes
    ----------
    values
        (n, rows, columns) complex64, in units of the noise of a frame; columns from k_x = 0.
    k_y, k_x
        Frequencies of rows and columns, 1/Å, float64.
    rings
        Ring of each coefficient, (rows, columns) int32; ring 0 is left out of everything.
    ring_k
        Frequency of each ring, 1/Å.
    """

    values: Tensor
    k_y: Tensor
    k_x: Tensor
    rings: Tensor
    ring_k: Array

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return len(self.values)

    @cached_property
    def counts(self) -> Array:
        """Coefficients in each ring, over half of Fourier space."""
        half = torch.ones(self.rings.shape, dtype=torch.float64, device=self.rings.device)
        half[:, 0] = 0.5
        counted = torch.bincount(self.rings.flatten().long(), half.flatten(), minlength=len(self.ring_k))
        counts: Array = counted.cpu().numpy()
        return counts

    @cached_property
    def power(self) -> Array:
        """``sum_f |F_f|²``, summed over each ring."""
        squared = torch.zeros(self.rings.shape, dtype=torch.float32, device=self.rings.device)
        for frame in self.values:
            squared += frame.real.square() + frame.imag.square()
        squared[:, 0] *= 0.5
        summed = torch.bincount(self.rings.flatten().long(), squared.flatten().double(), minlength=len(self.ring_k))
        power: Array = summed.cpu().numpy()
        return power

    def fixed_pattern(self) -> float:
        """Return what frames share where they lie, of the power of their noise, in the finest quarter of frequencies.

        No specimen shows there in a single exposure: what is shared is the camera's, and pulls every shift towards 0.
        """
        n = self.frames
        whole = self.values.sum(dim=0)
        squared = (whole.real.square() + whole.imag.square()).double()
        squared[:, 0] *= 0.5
        power = torch.bincount(self.rings.flatten().long(), squared.flatten(), minlength=len(self.ring_k))
        fine = _fine(self)
        shared = float(np.sum(power.cpu().numpy()[fine]) - np.sum(self.power[fine])) / (n * (n - 1))
        return shared / max(float(np.sum(self.power[fine])) / n, 1e-30)

    def cut(self, resolution_A: float) -> "FrameSpectra":
        """Return what is not finer than a resolution: a copy, or these spectra themselves if nothing is."""
        rows = torch.nonzero(self.k_y.abs() <= 1 / resolution_A).flatten()
        columns = int((self.k_x <= 1 / resolution_A).sum())
        if len(rows) == len(self.k_y) and columns == len(self.k_x):
            return self
        last = int(np.searchsorted(self.ring_k, 1 / resolution_A, side="right"))
        rings = self.rings[rows, :columns]
        return FrameSpectra(
            values=self.values[:, rows, :columns].contiguous(),
            k_y=self.k_y[rows],
            k_x=self.k_x[:columns],
            rings=torch.where(rings < last, rings, 0).contiguous(),
            ring_k=self.ring_k[: max(last, 2)],
        )

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


def transform(image: Tensor) -> Tensor:
    """Return the transform of a real image (y, x), complex64 (y, x // 2 + 1); on the CPU, by the faster library."""
    if image.device.type != "cpu":
        on_device: Tensor = torch.fft.rfft2(image)
        return on_device
    return torch.from_numpy(scipy.fft.rfft2(image.numpy(), workers=_THREADS))


def inverse_transform(spectrum: Tensor, shape_yx: tuple[int, int]) -> Tensor:
    """Return the real image (y, x) of a transform; the CPU's is overwritten."""
    if spectrum.device.type != "cpu":
        on_device: Tensor = torch.fft.irfft2(spectrum, s=shape_yx)
        return on_device
    return torch.from_numpy(scipy.fft.irfft2(spectrum.numpy(), s=shape_yx, workers=_THREADS, overwrite_x=True))


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
    kept: list[Tensor] = []
    rows: Tensor | None = None
    shape: tuple[int, int] | None = None
    columns = 0
    for frame in frames:
        n_y, n_x = frame.shape
        if shape is None:
            shape = (n_y, n_x)
            k_y = torch.fft.fftfreq(n_y, pixel_A, dtype=torch.float64)
            k_x = torch.fft.rfftfreq(n_x, pixel_A, dtype=torch.float64)[: (n_x + 1) // 2]  # no lone Nyquist column
            finest = min(1 / resolution_A, 0.5 / pixel_A)
            rows = torch.nonzero(k_y.abs() <= finest).flatten().to(frame.device)
            columns = int((k_x <= finest).sum())
        elif (n_y, n_x) != shape:
            raise InputError(f"Frame {len(kept)} has {n_y} x {n_x} pixels, the first {shape[0]} x {shape[1]}.")
        spectrum = transform(frame)
        kept.append(spectrum[:, :columns][rows].contiguous())
    if shape is None or rows is None:
        raise InputError("A movie without frames cannot be aligned.", "Leave it out.")
    k_y, k_x = k_y[rows.cpu()], k_x[:columns]
    step = _RING_SHARE / (max(shape) * pixel_A)
    lowest = _LOWEST / (min(shape) * pixel_A)
    k = torch.sqrt(k_y[:, None] ** 2 + k_x[None] ** 2)
    rings = torch.round(k / step).to(torch.int32)
    last = int(finest / step)
    if last < 2 or columns < _LOWEST + 2:
        raise InputError(f"Frames of {shape[0]} x {shape[1]} pixels are too small to be aligned.", "Leave them as is.")
    rings[(k < lowest) | (rings > last)] = 0
    values = torch.stack(kept)
    device = values.device
    ring_k = np.arange(last + 1, dtype=np.float64) * step
    made = FrameSpectra(values, k_y.to(device), k_x.to(device), rings.to(device), ring_k)
    return _in_units_of_noise(made)


def _in_units_of_noise(spectra: FrameSpectra) -> FrameSpectra:
    """Scale by the power of the finest quarter of frequencies, where a frame is nearly all noise."""
    fine = _fine(spectra)
    noise = np.sum(spectra.power[fine]) / np.sum(spectra.counts[fine]) / spectra.frames if fine.any() else 0.0
    if not noise > 0:
        raise InputError("The frames hold nothing: all their pixels are alike.", "Leave this exposure out.")
    spectra.values.mul_(float(noise**-0.5))
    return FrameSpectra(spectra.values, spectra.k_y, spectra.k_x, spectra.rings, spectra.ring_k)


def _fine(spectra: FrameSpectra) -> NDArray[np.bool_]:
    """Return which rings are in the finest quarter of frequencies."""
    fine: NDArray[np.bool_] = (spectra.ring_k > 0.75 * spectra.ring_k[-1]) & (spectra.counts > 0)
    return fine
