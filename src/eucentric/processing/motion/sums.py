"""The sums of a movie's frames, laid on each other: weighted by exposure, of even and odd frames, and unweighted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.core import InputError
from eucentric.core.jit import compiled, parallel_range
from eucentric.optics import fading_A2_per_e
from eucentric.processing.motion.likelihood import turns
from eucentric.processing.motion.records import LocalField, MotionTrack
from eucentric.processing.motion.transforms import Frame, FrameTransform, transformed
from eucentric.processing.operators import inverse_transform, spline_gain, transform, warp

_TABLE = 8192  # entries of a weight over frequency
_TO_K = 0.75  # cycles a pixel, at the last entry: beyond the corner of Fourier space
_STEP_PX = 32  # of the grid at which a displacement is worked out: it is smooth over the field


@dataclass(frozen=True, eq=False)
class MovieSums:
    """The sums of one movie, each (y, x) float32, where the specimen lies at its mean place over the frames.

    Attributes
    ----------
    weighted
        By exposure; it is `even` and `odd` together. Without exposures, the plain sum.
    even, odd
        Of frames 0, 2, ... and 1, 3, ... of the movie, weighted alike.
    unweighted
        As if each frame had the mean weight: for the spectra that a CTF is fitted to.
    """

    weighted: Tensor
    even: Tensor
    odd: Tensor
    unweighted: Tensor


def sum_movie(
    frames: Iterable[Frame],
    track: MotionTrack,
    pixel_A: float,
    *,
    accumulated_e_A2: Sequence[float] | None = None,
    voltage_kV: float = 300.0,
) -> MovieSums:
    """Undo the movement of frames and sum them.

    Parameters
    ----------
    frames
        Those that the track is of; taken one by one.
    track
        How they lie against each other.
    pixel_A
        Pixel size.
    accumulated_e_A2
        What the specimen had received by each frame, by which they are weighted: see
        `dose_weighting.accumulated_e_A2`. None: all weights are 1.
    voltage_kV
        Of the beam.

    Raises
    ------
    InputError
        If there are more or fewer frames than the track has, or as many exposures.
    """
    n = len(track.frames)
    if accumulated_e_A2 is not None and len(accumulated_e_A2) != n:
        raise InputError(f"{len(accumulated_e_A2)} exposures were given for {n} frames.")
    mean_weight, own = _weights(n, accumulated_e_A2, pixel_A, voltage_kV)
    sums: _Sums | None = None
    count = 0
    for count, frame in enumerate(frames, 1):
        if count > n:
            break
        one = transformed(frame)
        if sums is None:
            sums = _Sums(one, pixel_A, track.local)
        elif one.shape_yx != sums.shape_yx:
            raise InputError(f"Frame {count - 1} has {one.shape_yx} pixels, the first {sums.shape_yx}.")
        which = count - 1
        sums.add(one.values, which, track.frames[which] % 2, track.shifts_yx_A[which], own[which])
    if sums is None or count != n:
        raise InputError(f"The track is of {n} frames, and {'more' if count > n else count} were given.")
    return sums.done(mean_weight)


def _weights(
    n: int, accumulated_e_A2: Sequence[float] | None, pixel_A: float, voltage_kV: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the mean weight of n frames over frequency, and what each frame's is of it: tables (t) and (n, t).

    Frames of one exposure have nearly the same weights: their mean is applied to the sums, after all else. By how
    little each differs from it, the nearest entry of the table says well enough.
    """
    if accumulated_e_A2 is None:
        return np.ones(_TABLE, np.float32), np.ones((n, _TABLE), np.float32)
    received = np.asarray(accumulated_e_A2, dtype=float)
    middle = received.mean()
    fading = _fading(pixel_A, voltage_kV)
    own = np.exp(np.multiply.outer((middle - received).astype(np.float32), fading.astype(np.float32)))
    mean = own.mean(axis=0)
    return (mean * np.exp(-middle * fading)).astype(np.float32), own / mean


@lru_cache(maxsize=4)
def _fading(pixel_A: float, voltage_kV: float) -> NDArray[np.float64]:
    """Return how fast signal fades with exposure at each entry of a table, 1/(e/Å²)."""
    return fading_A2_per_e(np.arange(_TABLE) * (_TO_K / (_TABLE - 1) / pixel_A), voltage_kV)


class _Sums:
    """Frames on their way into the sums."""

    def __init__(self, first: FrameTransform, pixel_A: float, local: LocalField | None) -> None:
        self.shape_yx, device = first.shape_yx, first.values.device
        self._pixel_A, self._local = pixel_A, local
        n_y, n_x = self.shape_yx
        self._k_y, self._k_x = np.fft.fftfreq(n_y), np.fft.rfftfreq(n_x)  # cycles a pixel
        self._entries = _entries(self.shape_yx, device)
        if local is None:
            self._halves = torch.zeros((2, n_y, n_x // 2 + 1), dtype=torch.complex64, device=device)
        else:
            self._gains = [spline_gain(torch.from_numpy(k)).float().numpy() for k in (self._k_y, self._k_x)]
            self._halves = torch.zeros((2, n_y, n_x), dtype=torch.float32, device=device)

    def add(
        self, spectrum: Tensor, which: int, parity: int, shift_yx_A: tuple[float, float], weight: NDArray[np.float32]
    ) -> None:
        turn_y, turn_x = (
            turns(k, np.array([shift_A / self._pixel_A]))[:, 0]
            for k, shift_A in zip((self._k_y, self._k_x), shift_yx_A, strict=True)
        )
        if self._local is None:
            self._accumulate(self._halves[parity], spectrum, turn_y, turn_x, weight)
            return
        coefficients = torch.zeros_like(spectrum)
        gain_y, gain_x = self._gains
        self._accumulate(coefficients, spectrum, turn_y * gain_y, turn_x * gain_x, weight)
        warped = warp(inverse_transform(coefficients, self.shape_yx), self._displacement_px(which), _STEP_PX)
        self._halves[parity] += warped

    def done(self, mean_weight: NDArray[np.float32]) -> MovieSums:
        halves = self._halves if self._local is None else transform(self._halves)
        whole = self._weigh(halves, mean_weight)
        even, odd = (inverse_transform(half, self.shape_yx) for half in halves)
        if self._local is None:
            unweighted = inverse_transform(whole, self.shape_yx)
        else:
            unweighted = self._halves[0] + self._halves[1]
        return MovieSums(weighted=even + odd, even=even, odd=odd, unweighted=unweighted)

    def _weigh(self, halves: Tensor, table: NDArray[np.float32]) -> Tensor:
        """Return the sum of both halves, and then weigh each of them by a table over frequency, linear in between."""
        k_y, k_x = (k.astype(np.float32) for k in (self._k_y, self._k_x))
        if halves.device.type == "cpu":
            whole = torch.empty_like(halves[0])
            _weigh_halves(halves[0].numpy(), halves[1].numpy(), table, k_y, k_x, whole.numpy())
            return whole
        whole = halves[0] + halves[1]
        at = np.hypot(k_y[:, None], k_x) * np.float32((_TABLE - 1) / _TO_K)
        gain = np.interp(at, np.arange(_TABLE), table).astype(np.float32)
        halves *= torch.as_tensor(gain, device=halves.device)
        return whole

    def _displacement_px(self, which: int) -> NDArray[np.float64]:
        if self._local is None:
            raise ValueError("there is no local movement")
        sides = [np.arange(-(-n // _STEP_PX) + 1) * _STEP_PX - n // 2 for n in self.shape_yx]
        places = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1) * self._pixel_A
        return self._local.displacement_yx_A(places, which) / self._pixel_A

    def _accumulate(
        self,
        into: Tensor,
        spectrum: Tensor,
        turn_y: NDArray[np.float32],
        turn_x: NDArray[np.float32],
        table: NDArray[np.float32],
    ) -> None:
        """Add a spectrum, turned by phases of rows and columns and weighted by a table over frequency."""
        if into.device.type == "cpu":
            from_, to = (one.numpy().view(np.float32) for one in (spectrum, into))
            _add_moved(from_, turn_y, turn_x, self._entries.numpy(), table, to)
            return
        device = into.device
        phase_y, phase_x = (torch.complex(*torch.as_tensor(turn, device=device)) for turn in (turn_y, turn_x))
        into += spectrum * phase_y[:, None] * phase_x * torch.as_tensor(table, device=device)[self._entries.long()]


@lru_cache(maxsize=2)
def _entries(shape_yx: tuple[int, int], device: torch.device) -> Tensor:
    """Return which entry of a table over frequency is nearest for each coefficient of a transform, uint16."""
    k = np.hypot(np.fft.fftfreq(shape_yx[0])[:, None], np.fft.rfftfreq(shape_yx[1]))
    return torch.from_numpy(np.round(k * ((_TABLE - 1) / _TO_K)).astype(np.uint16)).to(device)


@compiled(parallel=True)
def _weigh_halves(
    even: NDArray[np.complex64],
    odd: NDArray[np.complex64],
    table: NDArray[np.float32],
    k_y: NDArray[np.float32],
    k_x: NDArray[np.float32],
    whole: NDArray[np.complex64],
) -> None:
    """See `_Sums._weigh`; all in one go."""
    last = np.uint32(len(table) - 2)
    scale = np.float32((len(table) - 1) / _TO_K)
    for row in parallel_range(len(k_y)):
        gain = np.empty(len(k_x), np.float32)
        for column in range(len(k_x)):
            at = np.sqrt(k_y[row] * k_y[row] + k_x[column] * k_x[column]) * scale
            entry = min(np.uint32(at), last)
            gain[column] = table[entry] + (at - np.float32(entry)) * (table[entry + 1] - table[entry])
        for column in range(len(k_x)):
            whole[row, column] = even[row, column] + odd[row, column]
            even[row, column] *= gain[column]
            odd[row, column] *= gain[column]


@compiled(parallel=True)
def _add_moved(
    spectrum: NDArray[np.float32],
    turn_y: NDArray[np.float32],
    turn_x: NDArray[np.float32],
    entries: NDArray[np.uint16],
    table: NDArray[np.float32],
    into: NDArray[np.float32],
) -> None:
    """Add a spectrum, moved and weighted; real and imaginary parts lie in turn in spectra, and apart in turns."""
    rows, columns = entries.shape
    for row in parallel_range(rows):
        gain = np.empty(columns, np.float32)
        for column in range(columns):  # by itself, so that what follows is vectorised
            gain[column] = table[entries[row, column]]
        y_re, y_im = turn_y[0, row], turn_y[1, row]
        for column in range(columns):
            turn_re = (y_re * turn_x[0, column] - y_im * turn_x[1, column]) * gain[column]
            turn_im = (y_re * turn_x[1, column] + y_im * turn_x[0, column]) * gain[column]
            re, im = spectrum[row, 2 * column], spectrum[row, 2 * column + 1]
            into[row, 2 * column] += re * turn_re - im * turn_im
            into[row, 2 * column + 1] += re * turn_im + im * turn_re
