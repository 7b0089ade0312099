import numpy as np
import pytest
from scipy.spatial.distance import pdist

from eucentric.core import TiltAlignment
from phantoms import Phantom, cell_phantom, density, project
from phantoms.parts import (
    ACTIN,
    GOLD_DENSITY,
    LEAFLET_A,
    MICROTUBULE,
    Helix,
    filament,
    gold_beads,
    ribosomes,
    vesicle,
)

FIELD_A, THICKNESS_A = 2000.0, 1000.0


@pytest.fixture(scope="module")
def cell() -> Phantom:
    return cell_phantom(4, field_A=FIELD_A, thickness_A=THICKNESS_A)


def of_gold(phantom: Phantom) -> Phantom:
    return phantom.chosen(phantom.amplitude > 5)


def test_the_specimen_fills_its_slab_and_ends(cell: Phantom) -> None:
    reach = np.abs(cell.positions_A).max(axis=0)
    assert 0.9 * THICKNESS_A / 2 < reach[0] <= THICKNESS_A / 2
    assert reach[1] <= 0.6 * FIELD_A
    assert reach[2] <= FIELD_A + 0.9 * THICKNESS_A


@pytest.mark.parametrize("tilt_deg", [0, 60, -60])
def test_the_specimen_reaches_the_edge_of_every_view(cell: Phantom, tilt_deg: float) -> None:
    image = project(cell, TiltAlignment(section=0, tilt_deg=tilt_deg, axis_deg=0), (100, 100), FIELD_A / 100)
    cell_side, ice_side = image[:20, :5], image[-20:, -5:]
    assert (cell_side > 0).all()
    assert cell_side.mean() > 10 * np.median(ice_side)


def test_beads_lie_at_both_faces_in_the_number_asked_for() -> None:
    beads = of_gold(cell_phantom(1, field_A=FIELD_A, thickness_A=THICKNESS_A, beads=40))
    z, y, x = beads.positions_A.T
    assert (np.abs(z) > THICKNESS_A / 2 - 60).all()
    assert min((z > 0).sum(), (z < 0).sum()) > 0.3 * len(beads)
    in_field = (np.abs(y) < FIELD_A / 2) & (np.abs(x) < FIELD_A / 2)
    assert in_field.sum() == pytest.approx(40, abs=4 * np.sqrt(40))
    assert len(of_gold(cell_phantom(1, field_A=FIELD_A, thickness_A=THICKNESS_A, beads=0))) == 0


def test_the_seed_chooses_the_specimen_and_its_beads_do_not_move_the_rest(cell: Phantom) -> None:
    again = cell_phantom(4, field_A=FIELD_A, thickness_A=THICKNESS_A)
    np.testing.assert_array_equal(again.positions_A, cell.positions_A)
    np.testing.assert_array_equal(again.amplitude, cell.amplitude)
    more = cell_phantom(4, field_A=FIELD_A, thickness_A=THICKNESS_A, beads=50)
    rest = len(cell) - len(of_gold(cell))
    np.testing.assert_array_equal(more.positions_A[:rest], cell.positions_A[:rest])
    other = cell_phantom(5, field_A=FIELD_A, thickness_A=THICKNESS_A)
    assert not np.isin(other.positions_A[:, 0], cell.positions_A[:, 0]).any()


@pytest.mark.parametrize(("field_A", "thickness_A"), [(300.0, 80.0), (300.0, 2000.0), (3000.0, 150.0)])
def test_small_and_thin_specimens_can_be_made(field_A: float, thickness_A: float) -> None:
    phantom = cell_phantom(field_A=field_A, thickness_A=thickness_A)
    assert len(phantom) > 0
    assert (np.abs(phantom.positions_A[:, 0]) <= thickness_A / 2).all()


@pytest.mark.parametrize(("field_A", "thickness_A"), [(0.0, 100.0), (100.0, -1.0), (np.nan, 100.0), (100.0, np.inf)])
def test_a_slab_without_a_size_is_refused(field_A: float, thickness_A: float) -> None:
    with pytest.raises(ValueError, match="field"):
        cell_phantom(field_A=field_A, thickness_A=thickness_A)


def test_a_membrane_is_two_leaflets_with_a_gap() -> None:
    ball = vesicle((10.0, 20.0, 30.0), 300.0, np.random.default_rng(0))
    volume = density(ball, (81, 81, 81), 10.0, (10.0, 20.0, 30.0))
    z, y, x = np.indices(volume.shape) - 40
    radius_A = 10.0 * np.sqrt(z**2 + y**2 + x**2)
    shell = {r: volume[np.abs(radius_A - r) < 5].mean() for r in (200, 280, 300, 320, 400)}
    assert shell[280] > 1.5 * shell[300]
    assert shell[320] > 1.5 * shell[300]
    assert shell[200] < 0.01 * shell[280]
    assert shell[400] < 0.01 * shell[320]
    assert abs(280 - 300) == LEAFLET_A


def test_ribosomes_are_turned_copies_of_one_chiral_particle() -> None:
    two = ribosomes(np.array([[0.0, 0.0, 0.0], [900.0, -500.0, 200.0]]), np.random.default_rng(1))
    first, second = np.split(two.positions_A, 2)
    np.testing.assert_allclose(pdist(first), pdist(second), atol=1e-6)
    assert 200 < pdist(first).max() + 4 * two.sigma_A.mean() < 350
    # Equal distances allow a mirror image; equal signed volumes do not.
    corners = [np.linalg.det(particle[1:4] - particle[0]) for particle in (first, second)]
    assert corners[0] == pytest.approx(corners[1], rel=1e-6)
    assert np.abs(first / first.std() - (second - [900, -500, 200]) / first.std()).max() > 0.5


def straight(lattice: Helix, heading_deg: float = 90.0) -> Phantom:
    return filament(lattice, (0.0, 0.0, 0.0), heading_deg, 1000.0, slope=0.0, bend_per_A=0.0)


def test_actin_rises_and_turns_as_it_should() -> None:
    z, y, x = straight(ACTIN).positions_A.T  # along +y
    np.testing.assert_allclose(np.diff(y), 27.5)
    np.testing.assert_allclose(np.hypot(z, x), 16.0)
    # Right-handed about +y turns z towards x; the short-pitch helix of actin is left-handed, 166.6 degrees a subunit.
    turned_deg = np.rad2deg(np.diff(np.unwrap(np.arctan2(x, z))))
    np.testing.assert_allclose(turned_deg, -166.6)


def test_a_microtubule_has_thirteen_protofilaments_of_monomers_40_A_apart() -> None:
    tube = straight(MICROTUBULE)
    z, y, x = tube.positions_A.T
    around = np.round(np.rad2deg(np.arctan2(x, z)) / (360 / 13), 6) % 13
    rows = np.round(around - around[0]) % 13
    assert set(rows) == set(range(13))
    for row in range(13):
        np.testing.assert_allclose(np.diff(np.sort(y[rows == row])), 40.0)
    # Its three-start helix is left-handed: the neighbour 9.2 A further along y is turned from x towards z.
    start = len(tube) // 2
    neighbours = np.flatnonzero(np.isclose(y - y[start], 120 / 13))
    assert len(neighbours) == 1
    assert rows[neighbours[0]] == (rows[start] - 1) % 13


def test_a_filament_goes_where_it_is_headed() -> None:
    climbing = filament(ACTIN, (5.0, 6.0, 7.0), 30.0, 2000.0, slope=0.1, bend_per_A=0.0)
    ahead = climbing.positions_A[-13] - climbing.positions_A[12]
    ahead /= np.linalg.norm(ahead)
    np.testing.assert_allclose(ahead, np.array([0.1, 0.5, np.sqrt(0.75)]) / np.hypot(1, 0.1), atol=0.03)
    np.testing.assert_allclose(climbing.positions_A.mean(axis=0), (5, 6, 7), atol=30)
    bent = filament(ACTIN, (0.0, 0.0, 0.0), 0.0, 2000.0, slope=0.0, bend_per_A=1e-4).positions_A
    # The ends of an arc of 2000 A with a radius of 1e4 A lie 50 A off the tangent at its middle.
    np.testing.assert_allclose(bent[[0, -1], 1], 50, atol=20)


def test_a_bead_has_the_mass_and_radius_of_gyration_of_a_gold_sphere() -> None:
    bead = gold_beads(np.zeros((1, 3)), 100.0)
    assert bead.mass_A3 == pytest.approx(GOLD_DENSITY * 4 / 3 * np.pi * 50**3)
    assert np.sqrt(3) * bead.sigma_A[0] == pytest.approx(np.sqrt(3 / 5) * 50)
