"""A power spectrum in polar bins, each knowing the mean over its coefficients of what the phase is made of."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.optics import wavelength_A

Array = NDArray[np.float64]

SECTORS = 48
"""Of half a turn: over 3.75° the phase of 1500 Å of astigmatism changes by less than a radian at 4 Å."""

_CUT_CORNERS = 0.98  # of Nyquist: beyond, rings are cut off by the spectrum's border


@dataclass(frozen=True, eq=False)
class PolarBins:
    """Where the coefficients of a spectrum (y, x // 2 + 1) go, and where the bins lie.

    The phase is ``chi = a1 mean + a1c a + a1s b + a2 + constant`` with ``a = A cos 2 azimuth``, ``b = A sin 2 azimuth``
    and A half the difference of the principal values: linear, hence exact in the mean over a bin.

    Attributes
    ----------
    bin_of
        Bin of each coefficient, flat int64; the last, ``rings * SECTORS``, collects what is left out.
    count
        Coefficients in each bin, (rings, SECTORS).
    k
        Mean frequency of each ring of bins, 1/Å, (rings,).
    angle
        Middle of each sector, radians from columns towards rows, (SECTORS,).
    k2, k2_cos, k2_sin, k4
        Means of k², k² cos 2 angle, k² sin 2 angle and k⁴ over each bin, (rings, SECTORS).
    """

    bin_of: Tensor
    count: Array
    k: Array
    angle: Array
    k2: Array
    k2_cos: Array
    k2_sin: Array
    k4: Array

    def mean(self, power: Tensor) -> Array:
        """Return the mean of a spectrum over each bin, (rings, SECTORS); 0 where there are no coefficients."""
        total = torch.zeros(self.count.size + 1, dtype=torch.float64, device=power.device)
        total.index_add_(0, self.bin_of.to(power.device), power.flatten().double())
        summed: Array = total[:-1].cpu().numpy().reshape(self.count.shape)
        return summed / np.maximum(self.count, 1)


@lru_cache(maxsize=4)  # images of a session have one shape; a 4096² one holds 70 MB
def polar_bins(shape_yx: tuple[int, int], pixel_A: float) -> PolarBins:
    """Return the bins for spectra of images of one shape: a step of the transform wide, up to Nyquist.

    Row 0 and column 0 are left out: there lie the traces of a camera's rows and columns.
    """
    n_y, n_x = shape_yx
    step = 1.0 / (max(n_y, n_x) * pixel_A)
    rings = max(1, int(_CUT_CORNERS * 0.5 / pixel_A / step))
    k_y = np.fft.fftfreq(n_y, pixel_A)[:, None]
    k_x = np.fft.rfftfreq(n_x, pixel_A)[None]
    k2 = k_y * k_y + k_x * k_x
    ring = (np.sqrt(k2) / step).astype(np.int64)
    angle = np.arctan2(k_y, np.broadcast_to(k_x, k2.shape))
    sector = np.floor((angle / math.pi + 0.5) * SECTORS).astype(np.int64) % SECTORS
    bins = rings * SECTORS
    bin_of = np.where((ring < rings) & (k_y != 0) & (k_x != 0), ring * SECTORS + sector, bins).ravel()
    count = np.bincount(bin_of, minlength=bins + 1)[:bins].astype(float)

    def mean(values: Array) -> Array:
        summed = np.bincount(bin_of, values.ravel(), minlength=bins + 1)[:bins]
        return np.asarray(summed / np.maximum(count, 1)).reshape(rings, SECTORS)

    double = 2 * angle
    return PolarBins(
        bin_of=torch.from_numpy(bin_of),
        count=count.reshape(rings, SECTORS),
        k=np.asarray((np.arange(rings) + 0.5) * step, dtype=np.float64),
        angle=((np.arange(SECTORS) + 0.5) / SECTORS - 0.5) * math.pi,
        k2=mean(k2),
        k2_cos=mean(k2 * np.cos(double)),
        k2_sin=mean(k2 * np.sin(double)),
        k4=mean(k2 * k2),
    )


@dataclass(frozen=True, eq=False)
class Phases:
    """What the phase of each bin is made of, in radians (per Å): see `PolarBins`; `fixed` holds the constant too."""

    mean: Array
    cosine: Array
    sine: Array
    fixed: Array

    @classmethod
    def of(cls, bins: PolarBins, voltage_kV: float, cs_mm: float, constant_rad: float) -> "Phases":
        """Return the parts for a lens whose phase shift and amplitude contrast add `constant_rad`."""
        wavelength = wavelength_A(voltage_kV)
        per_A = math.pi * wavelength
        fixed = constant_rad - 0.5 * math.pi * cs_mm * 1e7 * wavelength**3 * bins.k4
        return cls(per_A * bins.k2, per_A * bins.k2_cos, per_A * bins.k2_sin, fixed)

    def within(self, rings: slice) -> "Phases":
        """Return those of some rings of bins, contiguous in memory."""
        parts = (self.mean, self.cosine, self.sine, self.fixed)
        return Phases(*(np.ascontiguousarray(part[rings]) for part in parts))

    def at(self, defocus: "tuple[float, float, float]", shift_rad: float = 0.0) -> Array:
        """Return chi of each bin at (mean, a, b) in Å."""
        mean, a, b = defocus
        return self.mean * mean + self.cosine * a + self.sine * b + self.fixed + shift_rad
