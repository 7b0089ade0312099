"""Sums over rings of spatial frequency, and products that are weighted ring by ring.

One interface and two forms, numba on the CPU and torch anywhere else.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.core.jit import compiled, parallel_range

Complexes = NDArray[np.complex64]
Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]
Integers = NDArray[np.int32]


@dataclass(frozen=True)
class Rings:
    """The rings of the transforms of real images of one shape, of which the conjugate half is left out.

    `ring` (rows, columns // 2 + 1) int32 numbers each frequency's, one cycle per field wide; `multiplicity` is how many
    frequencies of the full plane stand there; `count` (rings,) how many there are in each ring.
    """

    ring: Tensor
    multiplicity: Tensor
    count: Tensor

    @classmethod
    def of(cls, shape_yx: tuple[int, int], field: int, n_rings: int, device: torch.device) -> "Rings":
        """Return the rings of images of this shape, numbered by their cycles per `field` pixels."""
        rows, columns = shape_yx
        ky = torch.fft.fftfreq(rows, device=device)[:, None]
        kx = torch.fft.rfftfreq(columns, device=device)[None, :]
        ring = (torch.sqrt(ky**2 + kx**2) * field).round().int()
        multiplicity = torch.full(ring.shape, 2.0, device=device)  # the transform leaves out the conjugate half
        multiplicity[:, 0] = 1
        if columns % 2 == 0:
            multiplicity[:, -1] = 1
        count = torch.zeros(n_rings, device=device)
        count.index_add_(0, ring.reshape(-1).long(), multiplicity.reshape(-1))
        return cls(ring, multiplicity, count)

    def sums(self, a: Tensor, b: Tensor) -> Tensor:
        """Add up the real part of ``conj(a) b`` of spectra (n, rows, columns // 2 + 1) by ring, to (n, rings)."""
        if a.device.type == "cpu":
            sums = np.zeros((len(a), len(self.count)))
            ring, multiplicity = self.ring.numpy(), self.multiplicity.numpy()
            _sums(_flat(a), _flat(b), ring.reshape(-1), multiplicity.reshape(-1), sums)
            return torch.from_numpy(sums).float()
        values = (a.real * b.real + a.imag * b.imag) * self.multiplicity
        out = torch.zeros((len(a), len(self.count)), device=a.device)
        return out.index_add_(1, self.ring.reshape(-1).long(), values.reshape(len(a), -1))

    def weighted(self, a: Tensor, b: Tensor, gain: Tensor) -> Tensor:
        """Return ``conj(a) b`` times the gain (n, rings) of its rings."""
        if a.device.type == "cpu":
            out = torch.empty_like(a)
            _weighted(_flat(a), _flat(b), self.ring.numpy().reshape(-1), gain.contiguous().numpy(), _flat(out))
            return out
        product: Tensor = a.conj() * b * gain[:, self.ring.long()]
        return product


def _flat(spectra: Tensor) -> Complexes:
    """Return the numbers of contiguous spectra, one line each."""
    flat: Complexes = spectra.contiguous().numpy().reshape(len(spectra), -1)
    return flat


@compiled(parallel=True)
def _sums(a: Complexes, b: Complexes, ring: Integers, multiplicity: Floats, sums: Doubles) -> None:
    for i in parallel_range(len(a)):
        one, other, mine = a[i], b[i], sums[i]
        for k in range(len(ring)):
            mine[ring[k]] += multiplicity[k] * (one[k].real * other[k].real + one[k].imag * other[k].imag)


@compiled(parallel=True)
def _weighted(a: Complexes, b: Complexes, ring: Integers, gain: Floats, out: Complexes) -> None:
    for i in parallel_range(len(a)):
        one, other, mine, product = a[i], b[i], gain[i], out[i]
        for k in range(len(ring)):
            product[k] = one[k].conjugate() * other[k] * mine[ring[k]]
