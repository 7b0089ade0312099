"""The signal-to-noise ratio of the reconstructed volume, by frequency and direction.

A tilt measures the central section of Fourier space across its beam. An object of diameter D makes that section
1/D thick; a slab of thickness t makes it 1/t thick along the slab's normal, and so ``cos(a)/t`` across itself. A
cell of Fourier space has the sum of what the tilts whose sections hold it measured there, and nothing where there
is none: the missing wedge, and the gaps between tilts beyond the Crowther frequency.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eucentric.core.jit import compiled, parallel_range

Array = NDArray[np.float64]

# Gauss-Legendre nodes between the plane across the tilt axis and the axis: bits to 0.1 %
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)


@dataclass(frozen=True, eq=False)
class VolumeSSNR:
    """Means over all directions at each frequency, (m,): bits of a cell, its SSNR, and the share that was measured.

    `measured` is the share of directions that the section of any tilt holds: it falls with the missing wedge, and
    with gaps between tilts beyond the Crowther frequency.
    """

    bits: Array
    ssnr: Array
    measured: Array


def section_half_width(k: float, slab_deg: Array, thickness_A: float, diameter_A: float | None) -> Array:
    """Return the half-angle (rad) about each tilt within which its section holds a cell at `k` from the tilt axis."""
    extent_A = thickness_A / np.cos(np.deg2rad(slab_deg)) if diameter_A is None else np.full_like(slab_deg, diameter_A)
    with np.errstate(divide="ignore"):
        half: Array = np.arcsin(np.minimum(1.0, 1 / (2 * extent_A * k)))
    return half


def volume_ssnr(
    k: Array,
    information: Array,
    slab_deg: Array,
    thickness_A: float,
    diameter_A: float | None = None,
    *,
    gapless: bool = False,
) -> VolumeSSNR:
    """Return what a series knows of the volume at each frequency, averaged over directions.

    Parameters
    ----------
    k
        Frequency in 1/Å, (m,).
    information
        SSNR of each tilt's own image at each frequency, (n, m).
    slab_deg
        Tilts of the slab, (n,), in any order.
    thickness_A, diameter_A
        The slab, or, where given, the object to be sampled.
    gapless
        Spread what each tilt measured evenly to half-way to its neighbours where its section ends before, as finer
        sampling would: what is lost to gaps is the difference.
    """
    rising = np.argsort(slab_deg, kind="stable")
    angles = np.deg2rad(slab_deg[rising])
    extent_A = thickness_A / np.cos(angles) if diameter_A is None else np.full(len(angles), float(diameter_A))
    across = np.sqrt(1 - (0.5 * (_NODES + 1)) ** 2)  # the share of k across the tilt axis
    bits, ssnr, measured = _directions(
        np.asarray(k, dtype=float),
        np.ascontiguousarray(information[rising].T),
        angles,
        extent_A,
        _to_neighbours(angles) if gapless else np.zeros_like(angles),
        across,
        0.5 * _WEIGHTS,
    )
    return VolumeSSNR(bits=bits, ssnr=ssnr, measured=measured)


def ssnr_map(
    k: Array, directions_deg: Array, information: Array, slab_deg: Array, thickness_A: float, diameter_A: float | None
) -> Array:
    """Return the SSNR in the plane across the tilt axis, (directions, m); directions from the slab's own plane."""
    out = np.zeros((len(directions_deg), len(k)))
    apart = np.deg2rad(np.abs((directions_deg[:, None] - slab_deg + 90) % 180 - 90))
    for at, frequency in enumerate(k):
        holds = apart <= section_half_width(float(frequency), slab_deg, thickness_A, diameter_A)
        out[:, at] = holds @ information[:, at]
    return out


def _to_neighbours(angles: Array) -> Array:
    """Return half the way to the farther neighbour of each angle (rising, rad); half a circle for a lone one."""
    steps = np.diff(angles)
    if not len(steps):
        return np.array([np.pi / 2])
    return np.asarray(0.5 * np.maximum(np.concatenate([steps[:1], steps]), np.concatenate([steps, steps[-1:]])))


@compiled()
def _sort(places: Array, owners: NDArray[np.int64], count: int) -> None:
    """Sort by insertion: edges come in the order of the tilts, or nearly so."""
    for i in range(1, count):
        place, owner = places[i], owners[i]
        j = i - 1
        while j >= 0 and places[j] > place:
            places[j + 1], owners[j + 1] = places[j], owners[j]
            j -= 1
        places[j + 1], owners[j + 1] = place, owner


@compiled()
def _at_one(
    k: float, information: Array, angles: Array, extent_A: Array, least: Array, across: Array, weights: Array
) -> tuple[float, float, float]:
    """Integrate over directions exactly: between the edges of sections, the sum of what they hold is constant.

    The edges where sections begin and those where they end are merged, each in order; the circle of directions has
    half a turn. A section narrower than `least` to each side is spread as far, and holds less in each direction.
    """
    tilts = len(information)
    bits, ssnr, measured = 0.0, 0.0, 0.0
    half, own = np.empty(tilts), np.empty(tilts)
    starts, ends = np.empty(tilts), np.empty(tilts)
    start_of, end_of = np.empty(tilts, np.int64), np.empty(tilts, np.int64)
    for node in range(len(across)):
        level, held = 0.0, 0
        for j in range(tilts):
            inverse = 2 * extent_A[j] * k * across[node]
            section = math.asin(1 / inverse) if inverse > 1 else math.pi / 2
            half[j] = max(section, least[j])
            own[j] = information[j] * section / half[j]
            if half[j] > 0.999999 * math.pi / 2:  # it holds every direction
                half[j] = -1.0
                level += own[j]
                held += 1
            elif angles[j] - half[j] < -math.pi / 2 or angles[j] + half[j] > math.pi / 2:
                level += own[j]  # this section holds the direction where the circle is cut
                held += 1
        count = 0
        for wrapped in range(2):  # those not wrapped first, for order
            for j in range(tilts):
                start = angles[j] - half[j]
                if half[j] > 0 and (start < -math.pi / 2) == (wrapped == 1):
                    starts[count] = start + math.pi * wrapped
                    start_of[count] = j
                    count += 1
        _sort(starts, start_of, count)
        count = 0
        for wrapped in range(1, -1, -1):
            for j in range(tilts):
                end = angles[j] + half[j]
                if half[j] > 0 and (end > math.pi / 2) == (wrapped == 1):
                    ends[count] = end - math.pi * wrapped
                    end_of[count] = j
                    count += 1
        _sort(ends, end_of, count)
        here = -math.pi / 2
        opened, closed = 0, 0
        share = weights[node] / math.pi
        while here < math.pi / 2:
            following = math.pi / 2
            opens = opened < count and starts[opened] <= following
            if opens:
                following = starts[opened]
            closes = closed < count and ends[closed] <= following
            if closes:
                following = ends[closed]
            if following > here and held > 0:
                width, known = share * (following - here), max(level, 0.0)
                bits += width * math.log2(1 + known)
                ssnr += width * known
                measured += width
            here = max(here, following)
            if closes:
                level -= own[end_of[closed]]
                held -= 1
                closed += 1
            elif opens:
                level += own[start_of[opened]]
                held += 1
                opened += 1
            else:
                break
    return bits, ssnr, measured


@compiled(parallel=True)
def _directions(
    k: Array, information: Array, angles: Array, extent_A: Array, least: Array, across: Array, weights: Array
) -> tuple[Array, Array, Array]:
    """Integrate over directions at each frequency; a function of its own does it, or compiling takes twice as long."""
    bits, ssnr, measured = np.zeros(len(k)), np.zeros(len(k)), np.zeros(len(k))
    for at in parallel_range(len(k)):
        bits[at], ssnr[at], measured[at] = _at_one(k[at], information[at], angles, extent_A, least, across, weights)
    return bits, ssnr, measured
