"""The true volume is the specimen's potential: atom by atom up to Nyquist, and as images project it."""

import numpy as np
import pytest
from twin_cases import at, ball, gold, in_vacuum

from eucentric.specimen.molecule import Molecule
from eucentric.specimen.sample import Sample
from eucentric.specimen.scattering import B_FACTOR_A2, ice_potential_V, potential_in_ice_VA3
from eucentric.specimen.solvent import GOLD_V
from eucentric.twin.volume import true_volume

VOXEL_A, SHAPE = 2.0, (36, 40, 44)


def potential_V(sample: Sample) -> np.ndarray:
    """Give the potential as a sum over atoms, one by one, from the curves that are published for their elements."""
    axes = [np.fft.fftfreq(n, VOXEL_A) for n in SHAPE]
    k = np.sqrt(sum(np.square(axis) for axis in np.meshgrid(*axes, indexing="ij")))
    total = np.zeros(SHAPE, complex)
    for part in sample.parts:
        curves = {
            number: potential_in_ice_VA3(number, k) * np.exp(-B_FACTOR_A2 * k**2 / 4)
            for number in set(part.molecule.elements.tolist())
        }
        for centre, turn in zip(part.centres_A, part.rotations, strict=True):
            for place, number in zip(part.molecule.positions_A @ turn.T + centre, part.molecule.elements, strict=True):
                waves = [np.exp(-2j * np.pi * axis * p) for axis, p in zip(axes, place, strict=True)]
                total += curves[int(number)] * np.einsum("z,y,x->zyx", *waves)
    return np.fft.fftshift(np.fft.ifftn(np.where(k <= 0.5 / VOXEL_A, total, 0)).real) / VOXEL_A**3


def test_the_volume_is_the_sum_of_its_atoms_potentials_shell_by_shell() -> None:
    sample = in_vacuum(at(ball(150, 9.0, seed=4), (-9.0, 4.3, 11.2), (8.1, -7.0, -12.9)))

    found, true = (np.fft.rfftn(volume) for volume in (true_volume(sample, SHAPE, VOXEL_A), potential_V(sample)))

    k = np.sqrt(
        np.fft.fftfreq(SHAPE[0])[:, None, None] ** 2
        + np.fft.fftfreq(SHAPE[1])[:, None] ** 2
        + np.fft.rfftfreq(SHAPE[2]) ** 2
    )
    for low, high, missed in ((0.0, 0.1, 0.02), (0.1, 0.25, 0.08), (0.25, 0.4, 0.16)):
        shell = (k > low) & (k <= high)
        error = np.linalg.norm((found - true)[shell]) / np.linalg.norm(true[shell])
        assert error < missed, (low, high)


@pytest.mark.parametrize("number", [6, 8, 15])
def test_an_atom_holds_its_potential(number: int) -> None:
    volume = true_volume(in_vacuum(at(Molecule("atom", [[0, 0, 0]], [number]), (0.0, 0.0, 0.0))), SHAPE, VOXEL_A)

    assert volume.sum() * VOXEL_A**3 == pytest.approx(float(potential_in_ice_VA3(number, 0.0)), rel=0.03)
    assert np.unravel_index(volume.argmax(), SHAPE) == tuple(n // 2 for n in SHAPE)


def test_what_lies_beyond_a_face_spreads_into_the_volume_and_not_round_to_the_other_face() -> None:
    top = SHAPE[0] / 2 * VOXEL_A
    volume = true_volume(in_vacuum(at(ball(200, 6.0, seed=1), (top + 1.0, 0.0, 0.0))), SHAPE, VOXEL_A)

    assert np.abs(volume[-3:]).max() > 20 * np.abs(volume[:3]).max() > 0


def test_gold_fills_its_spheres() -> None:
    volume = true_volume(in_vacuum(beads=gold((2.0, 4.0, -6.0), 20.0)), SHAPE, VOXEL_A)

    middle = tuple(n // 2 + step for n, step in zip(SHAPE, (1, 2, -3), strict=True))
    assert volume[middle] == pytest.approx(GOLD_V - ice_potential_V())
    assert volume.sum() * VOXEL_A**3 == pytest.approx(4 / 3 * np.pi * 10**3 * volume[middle], rel=0.03)
