"""What a tomogram holds of its specimen: a share of each frequency, by the tilts that saw it and what each let through.

Weighted back-projection puts the spectrum of view i on the plane through the origin that is turned by its tilt, times
the ramp and the angle that the view stands for. In a block of finite extent each plane is as thick as one over that
extent; the sum of all of them, each times what the view transfers (its CTF after phases were flipped, its dose weight),
is the factor by which the block's spectrum differs from the specimen's: the *transfer*. It is one where planes overlap
and all was let through, and nothing in the missing wedge (Natterer & Wübbeling 2001, chapter 3). The noise of a view
lies on its plane too, and its power goes with the square of the ramp: the *grain*.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Gain = Callable[[Tensor], Tensor]
"""What each view lets through, (views, *k.shape), at frequencies k in 1/Å."""

_NOT_CANCELLED = 0.5
"""Share of what comes from beyond the field that views which see the same of it leave of each other's.

At 45 and 55° and for a field as wide as the specimen is thick, half of what rays pass is .25 and .43 of what they pass
in the field. A slab of noise has less than .08 where 3° are fine enough for it, and .25 and .53 beyond; twin lamellae
have .1 and .15, twin cells, beside which there is gold, .27 and .54.
"""

_BEYOND = 0.15  # of what grain is where planes lie close: noise of a block reaches beyond the planes of its views


def transfer(
    shape_zyx: Sequence[int],
    voxel_A: float,
    tilts_deg: Sequence[float],
    gain: Gain | None = None,
    *,
    counts: Sequence[float] | None = None,
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
    counts
        How often each view counts, beside the angle that it stands for; once if absent.
    device
        Where to compute; the CPU if absent.

    Returns
    -------
    Tensor
        (z, y, x // 2 + 1), float32, at least 0.
    """
    device = device or torch.device("cpu")
    ky = torch.fft.fftfreq(shape_zyx[1], device=device)
    total = torch.zeros((*shape_zyx[:2], shape_zyx[2] // 2 + 1), device=device)
    through = None
    for plane in _planes(shape_zyx, tilts_deg, counts, device):
        if gain is not None and through is None:
            k_1_A = torch.sqrt(plane.across[:, None] ** 2 + ky[:, None] ** 2) / voxel_A
            through = _curves(gain, k_1_A, len(tilts_deg))
        total += (plane.weight * plane.share)[:, None] * (1.0 if through is None else through(plane.view))
    return total


def grain(
    shape_zyx: Sequence[int],
    tilts_deg: Sequence[float],
    *,
    counts: Sequence[float] | None = None,
    device: torch.device | None = None,
) -> Tensor:
    """Return the power of a block's noise in each coefficient, over that of one view's noise at its frequency.

    Parameters
    ----------
    shape_zyx, tilts_deg, counts, device
        As for `transfer`.

    Returns
    -------
    Tensor
        (z, y, x // 2 + 1), float32, the same for all y.
    """
    device = device or torch.device("cpu")
    total = torch.zeros((shape_zyx[0], shape_zyx[2] // 2 + 1), device=device)
    usual = torch.zeros_like(total)
    for plane in _planes(shape_zyx, tilts_deg, counts, device):
        power = plane.weight / plane.extent  # of white noise, whose planes are thinner in a larger block, and stronger
        total += plane.weight * power * plane.share
        torch.maximum(usual, power, out=usual)
    return torch.maximum(total, _BEYOND * usual)[:, None].expand(-1, shape_zyx[1], -1)


def share_in_field(
    shape_zyx: Sequence[int],
    tilts_deg: Sequence[float],
    field_zx: tuple[float, float] | None,
    *,
    counts: Sequence[float] | None = None,
    device: torch.device | None = None,
) -> Tensor:
    """Return the share of what tilts saw that lies in the field, by power; the rest came into view as the stage tilted.

    A tilted ray leaves the field at its sides, where the specimen goes on: what lies there is in the data, in halves of
    any kind, and not of what the tomogram shows.

    Parameters
    ----------
    shape_zyx, tilts_deg, counts, device
        As for `transfer`.
    field_zx
        How deep the specimen is, and how wide what was recorded, voxels; absent, all lies in the field.

    Returns
    -------
    Tensor
        (z, y, x // 2 + 1), float32, above 0 and at most 1, the same for all y.
    """
    if field_zx is None:
        return torch.ones((), device=device).expand(*shape_zyx[:2], shape_zyx[2] // 2 + 1)
    shape = (shape_zyx[0], 1, shape_zyx[2])
    views = [1.0] * len(tilts_deg) if counts is None else list(counts)
    beyond = [count * _beyond_the_field(tilt, *field_zx) for count, tilt in zip(views, tilts_deg, strict=True)]
    all_of_it, added = (transfer(shape, 1.0, tilts_deg, counts=each, device=device) for each in (views, beyond))
    share = all_of_it / (all_of_it + added)
    return torch.where(all_of_it > 0, share, torch.ones_like(share)).expand(-1, shape_zyx[1], -1)


def _beyond_the_field(tilt_deg: float, depth: float, width: float) -> float:
    """Return how much power a view adds from beyond the field, over that from the field, mean over its voxels.

    Rays through a slab of this depth move by `steps` widths across the field. How much of a ray lies within is a
    trapezoid over rays; its square over it is how much of the rays through a voxel does, in the mean.
    """
    steps = depth * abs(math.tan(math.radians(tilt_deg))) / width
    within = 1 - steps / 3 if steps < 1 else (1 - 1 / (3 * steps)) / steps
    return _NOT_CANCELLED * (1 / within - 1)


@dataclass(frozen=True)
class _Plane:
    """What a view adds to frequencies (z, x): by which `weight`, and how much of it off its plane (`share`).

    The block has `extent` voxels along the plane's normal; `across` is in cycles per voxel from the tilt axis.
    """

    view: int
    across: Tensor
    weight: Tensor
    share: Tensor
    extent: float


def _planes(
    shape_zyx: Sequence[int], tilts_deg: Sequence[float], counts: Sequence[float] | None, device: torch.device
) -> Iterator[_Plane]:
    """Return the planes of the views that count, by rising tilt."""
    depth, _, width = shape_zyx
    kz, kx = torch.fft.fftfreq(depth, device=device)[:, None], torch.fft.rfftfreq(width, device=device)
    across = torch.hypot(kz, kx)
    order = sorted(range(len(tilts_deg)), key=lambda i: tilts_deg[i])
    angles = torch.deg2rad(torch.tensor([tilts_deg[i] for i in order], dtype=torch.float64))
    steps = _quadrature(angles)
    nearest = 1 / float(steps.sum())  # the ramp's value in the cell at the axis, where all views share it
    for place, i in enumerate(order):
        count = 1.0 if counts is None else counts[i]
        if count == 0:
            continue
        cosine, sine = math.cos(float(angles[place])), math.sin(float(angles[place]))
        extent = 1 / math.hypot(cosine / depth, sine / width)  # of the block along the plane's normal, voxels
        off = (kz * cosine - kx * sine).abs() * extent
        ramp = torch.clamp(across * extent, min=nearest)
        yield _Plane(i, across, count * float(steps[place]) * ramp, torch.clamp(1 - off, min=0), extent)


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
