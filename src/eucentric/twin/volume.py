"""The undamaged specimen as a volume: what a tomogram of it would be, if there were no microscope in between."""

import numpy as np
from numpy.typing import NDArray

from eucentric.specimen.deposit import deposit
from eucentric.specimen.sample import Sample
from eucentric.specimen.scattering import ice_potential_V
from eucentric.specimen.solvent import GOLD_V
from eucentric.twin.scene import Scene

Floats = NDArray[np.float32]


def true_volume(sample: Sample, shape_zyx: tuple[int, int, int], voxel_A: float) -> Floats:
    """Return the sample's potential over that of ice, in V, on voxels centred on the sample's origin.

    Points spread over their voxels as they do in images along y and x, and lie in one voxel along z.

    Parameters
    ----------
    sample
        The specimen, before any exposure.
    shape_zyx, voxel_A
        Of the volume; its voxel ``shape // 2`` is the sample's origin.
    """
    scene = Scene.of(sample, voxel_A)
    potentials = scene.basis.at(0.0).astype(np.float32)  # V·Å³ of each channel
    volume = np.zeros(shape_zyx, np.complex64)
    centre = np.array([shape_zyx[0] // 2 + 0.5, shape_zyx[1] // 2, shape_zyx[2] // 2])
    half_A = np.array(shape_zyx) * voxel_A / 2
    for part, cloud in zip(sample.parts, scene.clouds, strict=True):
        near: NDArray[np.bool_] = np.all(np.abs(part.centres_A) < half_A + cloud.radius_A, axis=1)
        weights = np.zeros_like(cloud.weights)
        weights[:, 0] = cloud.weights @ potentials
        centres, turns = part.centres_A[near] / voxel_A + centre, part.rotations[near] / voxel_A
        deposit(cloud.positions_A, weights, centres, turns, cloud.radius_A / voxel_A, volume)
    found = np.ascontiguousarray(volume.real) / np.float32(voxel_A**3)
    for place, radius_A in zip(sample.beads.centres_A, sample.beads.radii_A, strict=True):
        _fill_sphere(found, place / voxel_A + np.array(shape_zyx) // 2, radius_A / voxel_A, GOLD_V - ice_potential_V())
    return found


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
