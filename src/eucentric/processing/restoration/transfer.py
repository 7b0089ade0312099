"""What a tomogram holds of its specimen: a share of each frequency, by the tilts that saw it and what each let through.

Weighted back-projection puts the spectrum of view i on the plane through the origin that is turned by its tilt, times
the ramp and the angle that the view stands for. In a block of finite extent each plane is as thick as one over that
extent; the sum of all of them, each times what the view transfers (its CTF after phases were flipped, its dose weight),
is the factor by which the block's spectrum differs from the specimen's: the *transfer*. It is one where planes overlap
and all was let through, and nothing in the missing wedge (Natterer & Wübbeling 2001, chapter 3).
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Gain = Callable[[Tensor], Tensor]
"""What each view lets through, (views, *k.shape), at frequencies k in 1/Å."""


def transfer(
    shape_zyx: Sequence[int],
    voxel_A: float,
    tilts_deg: Sequence[float],
    gain: Gain | None = None,
    *,
    device: torch.device | None = None,
) -> Tensor:
    """Return the transfer of a block, on the frequencies of its `torch.fft.rfftn`.

    Parameters
    ----------
    shape_zyx, voxel_A
        Of the block; y along the tilt axis.
    tilts_deg
        Of the views that the tomogram was made of, in any order.
    gain
        What each view lets through, in the order of the tilts; all of everything if absent.
    device
        Where to compute; the CPU if absent.

    Returns
    -------
    Tensor
        (z, y, x // 2 + 1), float32, at least 0.
    """
    device = device or torch.device("cpu")
    kz, ky, kx = _frequencies(shape_zyx, device)
    across = torch.hypot(kz[:, None], kx)  # cycles per voxel, from the tilt axis
    k_1_A = torch.sqrt(across[:, None] ** 2 + ky[:, None] ** 2) / voxel_A
    total = torch.zeros_like(k_1_A)
    angles = torch.deg2rad(torch.tensor(sorted(tilts_deg), dtype=torch.float64))
    order = sorted(range(len(tilts_deg)), key=lambda i: tilts_deg[i])
    steps = _quadrature(angles)
    nearest = 1 / float(steps.sum())  # the ramp's value in the cell at the axis, where all views share it
    through = _curves(gain, k_1_A, len(order)) if gain is not None else None
    depth, width = shape_zyx[0], shape_zyx[2]
    for place, i in enumerate(order):
        angle, step = float(angles[place]), float(steps[place])
        cosine, sine = math.cos(angle), math.sin(angle)
        extent = 1 / math.hypot(cosine / depth, sine / width)  # of the block along the plane's normal, voxels
        off = (kz[:, None] * cosine - kx * sine).abs() * extent
        ramp = torch.clamp(across * extent, min=nearest)
        plane = step * ramp * torch.clamp(1 - off, min=0)
        total += plane[:, None] * (1.0 if through is None else through(i))
    return total


def _frequencies(shape_zyx: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return the frequencies along z, y and (half) x, in cycles per voxel."""
    depth, rows, columns = shape_zyx
    return (
        torch.fft.fftfreq(depth, device=device),
        torch.fft.fftfreq(rows, device=device),
        torch.fft.rfftfreq(columns, device=device),
    )


def _quadrature(angles: Tensor) -> Tensor:
    """Return the angle that each view stands for, from sorted ones: half the gap to either neighbour."""
    if len(angles) == 1:
        return torch.ones(1, dtype=torch.float64)
    gaps = torch.diff(angles)
    ends = torch.cat([gaps[:1], gaps, gaps[-1:]])
    return (ends[:-1] + ends[1:]) / 2


def _curves(gain: Gain, k_1_A: Tensor, views: int) -> Callable[[int], Tensor]:
    """Return a function from a view to its gain at all k: read off curves that are fine enough to be straight."""
    top = float(k_1_A.max())
    ticks = torch.linspace(0, top, 1024, dtype=torch.float64)
    curves = gain(ticks).to(k_1_A)
    if curves.shape != (views, len(ticks)):
        raise ValueError(f"gains of shape {tuple(curves.shape)} are not those of {views} views")
    place = k_1_A * (len(ticks) - 1) / top
    below = torch.clamp(place.long(), max=len(ticks) - 2)
    share = place - below

    def through(view: int) -> Tensor:
        curve = curves[view]
        return torch.lerp(curve[below], curve[below + 1], share)

    return through
