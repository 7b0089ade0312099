"""What tilting does to a slab, to Fourier space and to where things appear (angles in degrees, lengths in Å)."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eucentric.optics import transmission

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TiltedSlab:
    """A slab at the tilts of a series, in the order of acquisition; a lamella's pre-tilt is in `slab_deg` already."""

    stage_deg: Array
    slab_deg: Array
    thickness_A: float
    mean_free_path_A: float

    @cached_property
    def path_A(self) -> Array:
        """Path of the beam through the slab at each tilt."""
        return path_A(self.thickness_A, self.slab_deg)

    @cached_property
    def transmission(self) -> Array:
        """Zero-loss share of the beam that passes at each tilt."""
        return transmission(self.path_A, self.mean_free_path_A)


def path_A(thickness_A: ArrayLike, slab_deg: ArrayLike) -> Array:
    """Return the path through a slab, ``t / cos a``, a measured from the slab's own plane."""
    path: Array = np.asarray(thickness_A, dtype=float) / np.cos(np.deg2rad(np.asarray(slab_deg, dtype=float)))
    return path


def missing_wedge_fraction(min_deg: float, max_deg: float) -> float:
    """Return the share of Fourier space that a range of tilts leaves out: ``1 - A/90`` for ±A."""
    return 1 - (max_deg - min_deg) / 180


def elongation(half_range_deg: float) -> float:
    """Return how much longer along the beam a point appears: ``sqrt((A + sin A cos A)/(A - sin A cos A))`` for ±A.

    Radermacher & Hoppe 1980; infinite for no range.
    """
    half = math.radians(half_range_deg)
    mixed = math.sin(half) * math.cos(half)
    return math.sqrt((half + mixed) / (half - mixed)) if half - mixed > 0 else math.inf


def crowther_A(diameter_A: float, increment_deg: float) -> float:
    """Return the resolution to which an object is fully sampled: ``D increment`` (Crowther 1970).

    For a slab, D is its thickness over the cosine of the largest tilt.
    """
    return diameter_A * math.radians(increment_deg)


def parallax_A(z_A: ArrayLike, x_A: ArrayLike, tilt_deg: ArrayLike) -> Array:
    """Return how far a point moves across the tilt axis from where it was at 0°: ``z sin a + x (cos a - 1)``.

    This is the sense in which `processing` projects, x' = x cos a + z sin a; the point's height is then
    z cos a - x sin a. `optics.defocus_of_point_A` and `target_move` count the tilt the other way round, as the
    formulas they are from do: for one specimen, give these -a.
    """
    tilt = np.deg2rad(np.asarray(tilt_deg, dtype=float))
    moved: Array = np.asarray(z_A, dtype=float) * np.sin(tilt) + np.asarray(x_A, dtype=float) * (np.cos(tilt) - 1)
    return moved


@dataclass(frozen=True)
class TargetMove:
    """How a beam-shift target moves from one tilt to the next: across the axis, and in focus (Å)."""

    dy_A: float
    dfocus_A: float


def target_move(n0_A: float, z0_A: float, from_deg: float, to_deg: float) -> TargetMove:
    """Return the move of a target at distance `n0_A` from the tilt axis and height `z0_A` over the eucentric plane.

    ``dY = n0 (cos t - cos t') - z0 (sin t - sin t')``, ``dFocus = z0 (cos t - cos t') + n0 (sin t - sin t')``, going
    from t' to t (PACEtomo, 10.1038/s41592-022-01690-1).
    """
    before, after = math.radians(from_deg), math.radians(to_deg)
    cosines, sines = math.cos(after) - math.cos(before), math.sin(after) - math.sin(before)
    return TargetMove(dy_A=n0_A * cosines - z0_A * sines, dfocus_A=z0_A * cosines + n0_A * sines)
