import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.specimen.molecule import Molecule, Points
from eucentric.specimen.scattering import Basis

laws = settings(max_examples=25, deadline=None, derandomize=True)


def cloud(atoms: int, radius_A: float, seed: int) -> Molecule:
    draw = np.random.default_rng(seed)
    return Molecule("cloud", draw.uniform(-radius_A, radius_A, (atoms, 3)), draw.choice([6, 7, 8], size=atoms))


def transform(
    positions_A: NDArray[np.float32], weights: NDArray[np.float32], k: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Give the sum over points at frequencies (m, 3), for each channel: (m, channels)."""
    waves: NDArray[np.complex128] = np.exp(-2j * np.pi * (k @ positions_A.T.astype(float))) @ weights.astype(float)
    return waves


@laws
@given(st.integers(1, 60), st.floats(-1e4, 1e4), st.integers(0, 99))
def test_atoms_are_about_their_centre(atoms: int, aside_A: float, seed: int) -> None:
    given_ = cloud(atoms, 30.0, seed)
    moved = Molecule("moved", given_.positions_A + aside_A, given_.elements)
    np.testing.assert_allclose(moved.positions_A, given_.positions_A, atol=2e-3)  # single precision of 1e4 Å
    assert moved.positions_A.mean(axis=0) == pytest.approx(0, abs=1e-3)
    assert moved.radius_A == pytest.approx(float(np.linalg.norm(given_.positions_A, axis=1).max()), abs=4e-3)
    assert len(moved) == atoms


def test_atoms_stay_where_they_are_if_asked() -> None:
    molecule = Molecule("two", [[1, 2, 3], [5, 6, 7]], [6, 8], centred=False)
    np.testing.assert_array_equal(molecule.positions_A, [[1, 2, 3], [5, 6, 7]])


@pytest.mark.parametrize(
    ("positions", "elements", "why"),
    [
        (np.zeros((0, 3)), [], "atoms need"),
        ([[0, 0, 0]], [6, 6], "atoms need"),
        ([[0, 0]], [6], "atoms need"),
        ([[0, np.nan, 0]], [6], "not finite"),
    ],
)
def test_what_is_no_molecule(positions: object, elements: object, why: str) -> None:
    with pytest.raises(ValueError, match=f"wrong: .*{why}"):
        Molecule("wrong", positions, elements)  # type: ignore[arg-type]


def test_masses() -> None:
    """Benzene with and without the hydrogens of its model; where they are missing each heavy atom brings 0.95."""
    ring = Molecule("ring", np.eye(12, 3), [6] * 6 + [1] * 6)
    assert ring.has_hydrogens
    assert ring.mass_kDa == pytest.approx(0.0781, abs=1e-4)
    bare = Molecule("bare", np.eye(6, 3), [6] * 6)
    assert not bare.has_hydrogens
    assert bare.mass_kDa == pytest.approx((6 * 12.011 + 6 * 0.95 * 1.008) / 1e3)


# --- points


@pytest.mark.parametrize("pixel_A", [1.0, 2.9])
def test_small_pixels_keep_every_atom(pixel_A: float) -> None:
    molecule, basis = cloud(200, 40.0, 1), Basis.up_to(0.7 / pixel_A)
    points = molecule.points(basis, pixel_A)
    assert points.positions_A.shape == (200, 3)
    weights = basis.weights(molecule.elements)
    one = sorted(map(tuple, np.hstack([points.positions_A, points.weights]).tolist()))
    assert one == sorted(map(tuple, np.hstack([molecule.positions_A, weights]).tolist()))


@laws
@given(st.integers(1, 300), st.floats(3, 20), st.integers(0, 99))
def test_merged_points_weigh_as_much_and_reach_no_farther(atoms: int, pixel_A: float, seed: int) -> None:
    molecule, basis = cloud(atoms, 40.0, seed), Basis.up_to(0.7 / pixel_A)
    points: Points = molecule.points(basis, pixel_A)
    assert len(points.positions_A) <= atoms
    total = basis.weights(molecule.elements).sum(axis=0, dtype=float)
    np.testing.assert_allclose(points.weights.sum(axis=0, dtype=float), total, rtol=1e-5, atol=1e-4)
    assert np.linalg.norm(points.positions_A, axis=1).max() <= points.radius_A + 1e-3


@pytest.mark.parametrize("pixel_A", [4.0, 10.0])
def test_merging_takes_little_from_what_pixels_can_show(pixel_A: float) -> None:
    """10 % at Nyquist, a hundredth of that at a third of it: in the amplitude of a dense ball's atoms, rms."""
    molecule, basis = cloud(4000, 4 * pixel_A, 3), Basis.up_to(0.7 / pixel_A)
    points = molecule.points(basis, pixel_A)
    draw = np.random.default_rng(5)
    directions = draw.normal(size=(200, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    for share, most in ((1.0, 0.12), (1 / 3, 0.02)):
        k = directions * share / (2 * pixel_A)
        exact = transform(molecule.positions_A, basis.weights(molecule.elements), k)[:, 0]
        found = transform(points.positions_A, points.weights, k)[:, 0]
        assert np.linalg.norm(found - exact) < most * np.linalg.norm(exact)
    assert len(points.positions_A) < 4000


def test_points_next_to_each_other_follow_each_other() -> None:
    """Or at least belong to the same block: in most steps from one point to the next."""
    points = cloud(3000, 60.0, 2).points(Basis.up_to(0.3), 2.0)
    steps = np.linalg.norm(np.diff(points.positions_A, axis=0), axis=1)
    assert np.median(steps) < 16.0
