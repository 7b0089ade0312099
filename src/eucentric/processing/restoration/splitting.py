"""Whether two half tomograms are of frames or of tilts: told by where their power lies."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eucentric.processing.restoration.blocks import soft_edge
from eucentric.processing.restoration.records import HalfTomograms
from eucentric.processing.restoration.transfer import transfer

_LARGEST = 160  # voxels of the side of the cube that is looked at
_OWN, _FOREIGN = 0.7, 0.05  # coverage by the views of one half, and of the other, of a coefficient that tells
_FEWEST = 1000  # coefficients that must tell
_PLAIN = 2.0  # times as much power as the other half must either have on its own planes


def split_views(pair: HalfTomograms) -> tuple[int, ...] | None:
    """Return which views the even half was made of, or None where each half was made of all.

    On the planes of views that a half was not made of, it holds neither signal nor noise, where planes lie apart. Tried
    are every other view by angle, and every other one of the list, with either half first. Where no planes lie apart,
    it makes no difference of what the halves are.

    Parameters
    ----------
    pair
        Half tomograms of which that is not known; its middle is read.
    """
    side = min(_LARGEST, *(n - n % 2 for n in pair.shape))
    even, odd = (_power(half, side) for half in (pair.even, pair.odd))
    best, found = _PLAIN, None
    for views in _candidates(pair.tilts_deg):
        coverages = [
            transfer((side, 1, side), 1.0, pair.tilts_deg, counts=counts).expand(-1, side, -1)
            for counts in replace(pair, even_views=views).counts
        ]
        plain = min(_ratio(even, odd, *coverages), _ratio(odd, even, *reversed(coverages)))
        if plain > best:
            best, found = plain, views
    return found


def _power(half: NDArray[Any], side: int) -> Tensor:
    middle = tuple(slice(n // 2 - side // 2, n // 2 - side // 2 + side) for n in half.shape)
    cube = torch.from_numpy(np.array(half[middle], dtype=np.float32))
    power: Tensor = torch.fft.rfftn((cube - cube.mean()) * soft_edge(side, cube.device)).abs().square()
    return power


def _candidates(tilts_deg: Sequence[float]) -> Iterator[tuple[int, ...]]:
    by_angle = sorted(range(len(tilts_deg)), key=lambda view: tilts_deg[view])
    for order in (by_angle, list(range(len(tilts_deg)))):
        for first in (0, 1):
            yield tuple(sorted(order[first::2]))


def _ratio(one: Tensor, other: Tensor, own: Tensor, foreign: Tensor) -> float:
    """Return how much more power one half has than the other on its own planes."""
    tells = (own > _OWN) & (foreign < _FOREIGN)
    if int(tells.sum()) < _FEWEST:
        return 0.0
    return float(one[tells].sum() / other[tells].sum().clamp(min=1e-30))
