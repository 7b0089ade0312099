"""What each view's transform is multiplied by before back-projection, as a table over frequency across the axis."""

import torch
from torch import Tensor

from eucentric.processing.operators import HIGHEST, ramp_gain, window_gain
from eucentric.processing.reconstruction.settings import ReconstructSettings

_TABLE = 4097  # frequencies: a step of 1/5800 of a cycle per pixel, finer than any field here resolves


def quadrature(tilts: Tensor) -> Tensor:
    """Return the angle in radians that each of the sorted tilts stands for: half of the way to both neighbours.

    A gap where views were left out counts no more than twice the usual increment, or its two neighbours would
    streak through the volume.
    """
    steps = torch.diff(tilts)
    if not bool((steps > 0).any()):
        return torch.full_like(tilts, 1 / len(tilts))
    steps = torch.minimum(steps, 2 * steps[steps > 0].median())
    left, right = torch.cat([steps[:1], steps]), torch.cat([steps, steps[-1:]])
    return (left + right) / 2


def overlap(tilts: Tensor, depth: int, frequency: Tensor) -> Tensor:
    """Return how many views (each counted as its share) overlap with each view at each frequency, (n, m).

    A view of a slab `depth` voxels thick knows a band about its central line whose profile falls linearly to zero
    at ``1 / depth``; the bands of two views are ``f sin(angle between)`` apart (Harauz & van Heel 1986, in the
    usual linear form, with the tilts as they are).
    """
    apart = torch.sin(tilts[:, None] - tilts[None, :]).abs().float()
    total = torch.zeros((len(tilts), len(frequency)))
    for other in range(len(tilts)):
        total += torch.clamp(1 - depth * apart[:, other, None] * frequency[None, :], min=0)
    return total


def view_gains(tilts: Tensor, depth: int, settings: ReconstructSettings, reach_px: int) -> Tensor:
    """Return the tables (n, m) of the sorted `tilts` (radians), for `filter_across`.

    They make the sum of all back-projections the density, when projections are sums over voxels.
    """
    frequency = torch.linspace(0, HIGHEST, _TABLE)
    cutoff, falloff = 0.5 * settings.cutoff, 0.5 * settings.falloff
    window = window_gain(frequency, settings.filter, cutoff, 0.0 if settings.cutoff == 1 else falloff)
    # Beyond 0.5 lie the corners of an image turned against the axis, which no voxel can show.
    window = torch.where(frequency <= 0.5 + 1e-6, window, 0.0)
    if settings.weighting in ("uniform", "cosine"):
        weights = quadrature(tilts)
        if settings.weighting == "cosine":
            weights = weights * torch.cos(tilts)
        ramp = ramp_gain(torch.clamp(frequency, max=0.5), reach_px)
        return weights.float()[:, None] * (ramp * window)[None, :]
    overlaps = overlap(tilts, depth, frequency)
    inverse = 1 / overlaps
    if settings.weighting == "radial-sirt":
        # Each round of SIRT takes out the share of the error that views overlap with, of all n: a geometric sum.
        inverse = inverse * (1 - torch.clamp(1 - overlaps / len(tilts), min=0) ** settings.iterations)
    return inverse * window[None, :] / depth
