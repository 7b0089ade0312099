"""The undamaged specimen as a volume: what a tomogram of it would be, if there were no microscope in between."""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftfreq, irfftn, rfftfreq, rfftn

from eucentric.specimen.deposit import SUPPORT, deposit, spline_transfer, spline_weights
from eucentric.specimen.sample import Sample
from eucentric.specimen.scattering import Basis, ice_potential_V
from eucentric.specimen.solvent import GOLD_V
from eucentric.twin.scene import Scene

Floats = NDArray[np.float32]
Complex = NDArray[np.complex64]

_MARGIN = 8  # voxels on all sides, for what lies beyond a face and spreads into it
_FINE = 4  # slices of a voxel in which points lie before they spread along z
_SLICES = 24  # fine ones, that are filled at a time
_WORKERS = -1


def true_volume(sample: Sample, shape_zyx: tuple[int, int, int], voxel_A: float) -> Floats:
    """Return the sample's potential over that of ice, in V, on voxels centred on the sample's origin.

    Parameters
    ----------
    sample
        The specimen, before any exposure.
    shape_zyx, voxel_A
        Of the volume; its voxel ``shape // 2`` is the sample's origin. Frequencies beyond Nyquist's sphere are cut, as
        those beyond its circle are in images.
    """
    scene = Scene.of(sample, voxel_A)
    points = _deposited(sample, scene, (shape_zyx[0], shape_zyx[1], shape_zyx[2]), voxel_A)
    found = _potential(points, scene.basis, voxel_A)[(slice(_MARGIN, -_MARGIN),) * 3]
    found = np.ascontiguousarray(found)
    for place, radius_A in zip(sample.beads.centres_A, sample.beads.radii_A, strict=True):
        _fill_sphere(found, place / voxel_A + np.array(shape_zyx) // 2, radius_A / voxel_A, GOLD_V - ice_potential_V())
    return found


def _deposited(sample: Sample, scene: Scene, shape_zyx: tuple[int, int, int], voxel_A: float) -> Complex:
    """Return the points of all molecules, spread over voxels by one spline along all axes; curves as in images."""
    volume = np.zeros([n + 2 * _MARGIN for n in shape_zyx], np.complex64)
    middle = np.array(shape_zyx) // 2 + _MARGIN
    half_A = (np.array(volume.shape) / 2 + SUPPORT / 2) * voxel_A
    copies = []
    for part, cloud in zip(sample.parts, scene.clouds, strict=True):
        near: NDArray[np.bool_] = np.all(np.abs(part.centres_A) < half_A + cloud.radius_A, axis=1)
        copies.append((cloud, part.centres_A[near] / voxel_A + middle, part.rotations[near] / voxel_A))
    fine = np.array([_FINE, 1, 1])
    for first in range(0, _FINE * len(volume), _SLICES):
        slices = np.zeros((min(_SLICES, _FINE * len(volume) - first), *volume.shape[1:]), np.complex64)
        # Whole numbers are a voxel's middle in `copies`, and a slice's edge where points are deposited.
        edge = np.array([first - _FINE / 2, 0, 0])
        for cloud, centres, turns in copies:
            z, reach = centres[:, 0] * _FINE - edge[0], cloud.radius_A / voxel_A * _FINE
            near = (z > -reach) & (z < len(slices) + reach)
            if near.any():
                radius = cloud.radius_A / voxel_A
                deposit(cloud.positions_A, cloud.weights, centres[near] * fine - edge, turns[near] * fine[:, None],
                        radius, slices)  # fmt: skip
        for which, plane in enumerate(slices):
            _spread(plane, (first + which + 0.5) / _FINE - 0.5, volume)
    return volume


def _spread(plane: Complex, z: float, volume: Complex) -> None:
    """Add a plane at height z, in voxels, to the planes of a volume, as `deposit` spreads a point along y and x."""
    if not plane.any():
        return
    below = int(np.floor(z))
    for at, weight in enumerate(spline_weights(z - below), below - SUPPORT // 2 + 1):
        if 0 <= at < len(volume):
            volume[at] += plane * np.float32(weight)


def _potential(points: Complex, basis: Basis, voxel_A: float) -> Floats:
    """Return the potential in V of points spread over voxels: what each curve is of, times that curve."""
    one, other = (rfftn(part, workers=_WORKERS) for part in (points.real, points.imag))
    k_z, k_y = (fftfreq(n) for n in points.shape[:2])
    k_x = rfftfreq(points.shape[2])
    across = np.multiply.outer(spline_transfer(k_y), spline_transfer(k_x)) * voxel_A**3
    for z, k in enumerate(k_z):
        all_k = np.sqrt(k**2 + k_y[:, None] ** 2 + k_x**2)
        spread = across * spline_transfer(np.array(k)) * np.sinc(k / _FINE)
        curves = np.where(all_k <= 0.5, basis.at(all_k / voxel_A) / spread, 0).astype(np.float32)
        one[z] = curves[0] * one[z] + curves[1] * other[z]
    return np.asarray(irfftn(one, points.shape, workers=_WORKERS, overwrite_x=True), dtype=np.float32)


def _fill_sphere(volume: Floats, centre: NDArray[np.float64], radius: float, value: float) -> None:
    low = np.maximum(np.floor(centre - radius - 1).astype(int), 0)
    high = np.minimum(np.ceil(centre + radius + 2).astype(int), volume.shape)
    if (low >= high).any():
        return
    z, y, x = (np.square(np.arange(a, b) - c) for a, b, c in zip(low, high, centre, strict=True))
    away = np.sqrt(z[:, None, None] + y[:, None] + x)
    share = np.clip(radius - away + 0.5, 0, 1)  # of a voxel on the surface that is inside, about
    block = volume[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    block += (share * value).astype(np.float32)
