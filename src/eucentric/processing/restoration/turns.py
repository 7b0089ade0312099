"""The 24 turns that map a cube onto itself: without interpolation, they look at the wedge from all sides."""

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Turn:
    """A rotation by right angles, about the voxel ``n // 2`` of cubes of even side.

    ``turned[i] = cube[...]`` with axes taken in the order of `axes`, and then those in `flips` the other way round.
    """

    axes: tuple[int, int, int]
    flips: tuple[int, ...]

    def of(self, cube: Tensor) -> Tensor:
        """Turn (..., n, n, n); what a flip takes beyond the border comes in at the other side."""
        lead = cube.ndim - 3
        turned = cube.permute(*range(lead), *(lead + axis for axis in self.axes))
        for axis in self.flips:
            turned = turned.flip(lead + axis).roll(1, lead + axis)
        return turned.contiguous()

    def of_spectrum(self, half: Tensor) -> Tensor:
        """Turn what is real and the same at k and -k, on the frequencies of a cube's `torch.fft.rfftn`."""
        n = half.shape[0]
        return self.of(whole_spectrum(half))[..., : n // 2 + 1]


def all_turns() -> tuple[Turn, ...]:
    """Return the turns, that by nothing first."""
    found = []
    for axes in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            matrix = np.zeros((3, 3))
            matrix[range(3), axes] = signs
            if np.linalg.det(matrix) > 0:
                found.append(Turn((axes[0], axes[1], axes[2]), tuple(i for i in range(3) if signs[i] < 0)))
    return tuple(found)


def upright_turns() -> tuple[Turn, ...]:
    """Return those that leave the tilt axis y and the beam along z where they are, or the other way round.

    They turn a wedge onto itself, but for how far the stage was tilted to either side.
    """
    return tuple(turn for turn in all_turns() if turn.axes == (0, 1, 2))


def whole_spectrum(half: Tensor) -> Tensor:
    """Return (n, n, n // 2 + 1) with its other half, which is the same at -k, on frequencies of `torch.fft.fftn`."""
    n = half.shape[0]
    opposite = (-torch.arange(n, device=half.device)) % n
    other = half[opposite][:, opposite][..., 1 : n // 2].flip(-1)
    return torch.cat([half, other], dim=-1)
