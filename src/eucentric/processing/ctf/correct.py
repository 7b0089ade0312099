"""Contrast transfer taken out of a tilt, each place with the defocus of its own height.

The image is corrected as a whole for a ladder of heights, and at each place the two corrections whose heights lie next
to its own are mixed: strips parallel to the tilt axis, with weights that run linearly and add up to one, so that there
are no seams and what no CTF has changed comes back as it was. A strip that is narrow is cut out first, with a margin as
wide as defocus spreads detail.

Cost: one Fourier transform, and one back for each height of the ladder (of the strip alone where it is narrow): at 60°
and 4 Å some 25 for a field of 1400 Å. No tilt, no ladder: one of each.
"""

import math
from collections.abc import Callable
from typing import Literal

import scipy.fft
import torch
from torch import Tensor

from eucentric.core import InputError
from eucentric.optics import CTFFit, Lens, TiltCTF, wavelength_A
from eucentric.processing.operators import inverse_transform, transform

Mode = Literal["phase-flip", "wiener"]
SSNR = float | Callable[[Tensor], Tensor]
"""Of the image, over CTF²: one number, or a function of frequency (1/Å) that gives a tensor of its shape."""

_PHASE_STEP = math.pi / 4  # of chi at the finest detail, from one height to the next: mixing then loses 2 % at most
_FINEST_A = 5.0  # detail to which the ladder's steps are fine enough, unless pixels are coarser or `finest_A` says
_MOST_MARGIN_A = 1200.0
_WORTH_CUTTING = 0.5  # of the image's area: a strip that is larger is corrected with the whole


def correct_tilt(
    image: Tensor,
    pixel_A: float,
    tilt_ctf: TiltCTF,
    axis_deg: float,
    hand: Literal[1, -1],
    lens: Lens,
    *,
    mode: Mode = "phase-flip",
    ssnr: SSNR = 10.0,
    local: bool = True,
    finest_A: float | None = None,
) -> Tensor:
    """Return a tilt, (y, x) float32, without what the CTF did to it.

    Parameters
    ----------
    image
        (y, x), on any device.
    pixel_A
        Pixel size.
    tilt_ctf
        Its CTF at the image's centre, with the tilt; the phase shift is the tilt's, in place of the lens's.
    axis_deg, hand
        Geometry of the plane, and which way defocus runs on it: decision 0007.
    lens
        Beam and lens.
    mode
        ``phase-flip`` turns round what is reversed; ``wiener`` also restores its amplitude,
        ``CTF / (CTF² + 1/SSNR)``.
    ssnr
        What ``wiener`` needs.
    local
        Whether places have their own defocus, or all that of the centre.
    finest_A
        Detail for which steps of height are to be fine enough: 5 Å, or what the pixels show.

    Raises
    ------
    InputError
        If the image is not two-dimensional, or the SSNR is not positive.
    """
    if image.ndim != 2:
        raise InputError(f"A tilt (y, x) is corrected, not an array of shape {tuple(image.shape)}.")
    if mode == "wiener" and not callable(ssnr) and not ssnr > 0:
        raise InputError("The SSNR must be positive.", "Give a number above 0, or use phase-flip.")
    values = image.float()
    corrector = _Corrector(pixel_A, tilt_ctf, lens, mode, ssnr)
    height, width = (int(n) for n in image.shape)
    axis, slope = math.radians(axis_deg), -math.tan(math.radians(tilt_ctf.tilt_deg)) * pixel_A if local else 0.0
    across = _Slope((height, width), slope * math.sin(axis), slope * math.cos(axis), image.device)
    low, high = across.range_A
    if high - low < 1e-3:
        return corrector.whole(values)(0.0)
    finest = finest_A or max(_FINEST_A, 2 * pixel_A)
    step = _PHASE_STEP * finest**2 / (math.pi * wavelength_A(lens.voltage_kV))
    steps = max(1, math.ceil((high - low) / step))
    step = (high - low) / steps
    result = torch.zeros_like(values)
    whole: _Filtered | None = None
    margin = corrector.margin_px(finest, max(abs(low), abs(high)))
    for z in (low + step * i for i in range(steps + 1)):
        top, bottom, left, right = across.box(z - step, z + step)
        if top >= bottom or left >= right:
            continue
        cut = (max(0, top - margin), min(height, bottom + margin), max(0, left - margin), min(width, right + margin))
        if (cut[1] - cut[0]) * (cut[3] - cut[2]) < _WORTH_CUTTING * height * width:
            part = corrector.whole(values[cut[0] : cut[1], cut[2] : cut[3]])(hand * z)
            part = part[top - cut[0] : bottom - cut[0], left - cut[2] : right - cut[2]]
        else:
            whole = whole or corrector.whole(values)
            part = whole(hand * z)[top:bottom, left:right]
        weight = across.heights(top, bottom, left, right).sub_(z).abs_().div_(-step).add_(1).clamp_(min=0)
        result[top:bottom, left:right].addcmul_(weight, part)
    return result


class _Slope:
    """Heights of the pixels of a tilted plane: z = per_row * row + per_column * column, from the middle."""

    def __init__(self, shape: tuple[int, int], per_row: float, per_column: float, device: torch.device) -> None:
        self._per, self._shape = (per_row, per_column), shape
        self._along = [
            (torch.arange(n, device=device, dtype=torch.float32) - n // 2) * per
            for n, per in zip(shape, self._per, strict=True)
        ]
        self._ends = [
            sorted((-(n // 2) * per, (n - 1 - n // 2) * per)) for n, per in zip(shape, self._per, strict=True)
        ]
        self.range_A = (sum(end[0] for end in self._ends), sum(end[1] for end in self._ends))

    def heights(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """Return z of the pixels of a box, (y, x)."""
        return self._along[0][top:bottom, None] + self._along[1][None, left:right]

    def box(self, low: float, high: float) -> tuple[int, int, int, int]:
        """Return rows and columns, first and past the last, outside of which no pixel's z lies between two values."""
        bounds: list[int] = []
        for axis in (0, 1):
            other = self._ends[1 - axis]
            n, per = self._shape[axis], self._per[axis]
            if abs(per) < 1e-12:
                bounds += [0, n]
                continue
            ends = sorted(((low - other[1]) / per, (high - other[0]) / per))
            bounds += [max(0, math.floor(ends[0]) + n // 2), min(n, math.ceil(ends[1]) + n // 2 + 1)]
        return bounds[0], bounds[1], bounds[2], bounds[3]


class _Corrector:
    """Filters pieces of one tilt."""

    def __init__(self, pixel_A: float, ctf: CTFFit, lens: Lens, mode: Mode, ssnr: SSNR) -> None:
        self.pixel_A, self._ctf, self._mode, self._ssnr = pixel_A, ctf, mode, ssnr
        self._wavelength = wavelength_A(lens.voltage_kV)
        self._spherical = 0.5 * math.pi * lens.cs_mm * 1e7 * self._wavelength**3
        self._constant = math.radians(ctf.phase_shift_deg) + math.asin(lens.amplitude_contrast)

    def margin_px(self, finest_A: float, deviation_A: float) -> int:
        """Return how far defocus spreads detail."""
        spread = self._wavelength * (abs(self._ctf.mean_A) + deviation_A) / finest_A
        return math.ceil(min(spread, _MOST_MARGIN_A) / self.pixel_A)

    def whole(self, piece: Tensor) -> "_Filtered":
        """Return a piece that can be corrected for several heights, transformed once."""
        return _Filtered(self, piece)

    def phases(self, shape: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Return chi at the centre's defocus, what an Å more adds to it, and the frequency, on a half transform."""
        y = torch.fft.fftfreq(shape[0], self.pixel_A, device=device)[:, None]
        x = torch.fft.rfftfreq(shape[1], self.pixel_A, device=device)[None]
        x2, y2 = x.square(), y.square()
        k2 = x2 + y2
        azimuth = 2 * math.radians(self._ctf.azimuth_deg)
        half = self._ctf.astigmatism_A / 2
        # k² cos 2(angle - azimuth), without the angle.
        stretched = (x2 - y2) * math.cos(azimuth) + 2 * x * y * math.sin(azimuth)
        chi = math.pi * self._wavelength * (self._ctf.mean_A * k2 + half * stretched)
        chi = chi - self._spherical * k2.square() + self._constant
        return chi, math.pi * self._wavelength * k2, k2.sqrt()

    def filter(self, transfer: Tensor, k: Tensor) -> Tensor:
        """Return what a spectrum is multiplied by."""
        if self._mode == "phase-flip":
            return torch.where(transfer < 0, -1.0, 1.0)
        noise = 1 / (self._ssnr(k) if callable(self._ssnr) else torch.full_like(k, float(self._ssnr)))
        return transfer / (transfer.square() + noise).clamp(min=1e-12)


class _Filtered:
    """A piece of an image and its transform."""

    def __init__(self, corrector: _Corrector, piece: Tensor) -> None:
        self._corrector, self._shape = corrector, (int(piece.shape[0]), int(piece.shape[1]))
        self._mean = piece.mean()  # is no contrast, and stays
        self._size = (_fast(self._shape[0]), _fast(self._shape[1]))
        self._spectrum = _forward(piece - self._mean, self._size)
        self._chi, self._per_A, self._k = corrector.phases(self._size, piece.device)

    def __call__(self, deviation_A: float) -> Tensor:
        """Return the piece corrected for a defocus that is so much larger than the centre's."""
        transfer = torch.sin(self._chi + self._per_A * deviation_A)
        corrected = inverse_transform(self._spectrum * self._corrector.filter(transfer, self._k), self._size)
        return corrected[: self._shape[0], : self._shape[1]] + self._mean


def _fast(n: int) -> int:
    return int(scipy.fft.next_fast_len(n, real=True))


def _forward(values: Tensor, size: tuple[int, int]) -> Tensor:
    below, beside = size[0] - values.shape[0], size[1] - values.shape[1]
    if below or beside:
        values = torch.nn.functional.pad(values[None, None], (0, beside, 0, below), mode="circular")[0, 0]
    return transform(values)
