import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucentric.core.frames import rotation_about_y
from eucentric.specimen.matrix import Matrix
from eucentric.specimen.molecule import Molecule
from eucentric.specimen.sample import Beads, Placed, Sample, random_rotations, without_empty

laws = settings(max_examples=25, deadline=None, derandomize=True)
angles_deg = st.floats(-60, 60)
ATOM = Molecule("atom", [[0.0, 0.0, 0.0]], [6])
PAIR = Molecule("pair", [[0.0, 0.0, 5.0], [0.0, 3.0, -5.0]], [6, 8])


def placed(n: int, seed: int = 0) -> Placed:
    draw = np.random.default_rng(seed)
    return Placed(PAIR, draw.uniform(-90, 90, (n, 3)), random_rotations(n, draw), "pair")


def sample(n: int = 5) -> Sample:
    return Sample("some", Matrix.slab(200.0), (placed(n),), Beads(np.array([[50.0, 0, 20.0], [0.0, 9.0, 0]]), 40.0))


def test_copies_need_a_place_and_a_turn_each() -> None:
    part = placed(4)
    assert len(part) == 4
    assert sample().molecules == 5
    with pytest.raises(ValueError, match="pair: each copy"):
        Placed(PAIR, part.centres_A, part.rotations[:3])
    with pytest.raises(ValueError, match="pair: each copy"):
        Placed(PAIR, np.full((1, 3), np.inf), np.eye(3)[None])


def test_some_of_the_copies() -> None:
    part, which = placed(4), np.array([True, False, False, True])
    chosen = part.chosen(which)
    np.testing.assert_array_equal(chosen.centres_A, part.centres_A[which])
    np.testing.assert_array_equal(chosen.rotations, part.rotations[which])
    assert (chosen.label, chosen.molecule) == ("pair", PAIR)
    empty = part.chosen(np.zeros(4, bool))
    assert without_empty([empty, part]) == (part,)


def test_beads_have_one_diameter_or_one_each() -> None:
    beads = Beads(np.zeros((2, 3)), 100.0)
    np.testing.assert_array_equal(beads.radii_A, [50.0, 50.0])
    np.testing.assert_array_equal(Beads(np.zeros((2, 3)), [60.0, 100.0]).radii_A, [30.0, 50.0])
    assert len(Beads()) == 0


@pytest.mark.parametrize(("centre", "diameter"), [((np.nan, 0, 0), 50.0), ((0, 0, 0), 0.0), ((0, 0, 0), -3.0)])
def test_beads_that_cannot_be(centre: tuple[float, float, float], diameter: float) -> None:
    with pytest.raises(ValueError, match="beads"):
        Beads(np.array([centre], float), diameter)


@laws
@given(angles_deg)
def test_at_its_pre_tilt_a_sample_lies_as_it_did(pre_tilt_deg: float) -> None:
    """The stage turns by the pre-tilt what was turned by its opposite: atoms, gold and ice."""
    flat = sample()
    turned = flat.turned(pre_tilt_deg)
    back = rotation_about_y(pre_tilt_deg)
    assert turned.pre_tilt_deg == pre_tilt_deg
    np.testing.assert_allclose(turned.parts[0].centres_A @ back.T, flat.parts[0].centres_A, atol=1e-9)
    np.testing.assert_allclose(back @ turned.parts[0].rotations, flat.parts[0].rotations, atol=1e-12)
    np.testing.assert_allclose(turned.beads.centres_A @ back.T, flat.beads.centres_A, atol=1e-9)
    np.testing.assert_allclose(turned.matrix.frame @ back.T, np.eye(3), atol=1e-12)


@laws
@given(angles_deg, st.integers(0, 50))
def test_what_lay_in_the_ice_lies_in_it_turned(pre_tilt_deg: float, seed: int) -> None:
    flat = Sample("some", Matrix.slab(100.0), (placed(20, seed),))
    turned = flat.turned(pre_tilt_deg)
    before = flat.matrix.inside(flat.parts[0].centres_A)
    assert before.any()
    np.testing.assert_array_equal(turned.matrix.inside(turned.parts[0].centres_A), before)


@laws
@given(angles_deg, angles_deg)
def test_turns_add_up(first_deg: float, second_deg: float) -> None:
    twice, once = sample().turned(first_deg).turned(second_deg), sample().turned(first_deg + second_deg)
    np.testing.assert_allclose(twice.parts[0].centres_A, once.parts[0].centres_A, atol=1e-9)
    np.testing.assert_allclose(twice.matrix.frame, once.matrix.frame, atol=1e-12)
    assert twice.pre_tilt_deg == pytest.approx(once.pre_tilt_deg)


def test_random_turns_are_turns_and_favour_no_direction() -> None:
    turns = random_rotations(2000, np.random.default_rng(3))
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.tile(np.eye(3), (2000, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turns), 1, atol=1e-12)
    # Each element has mean 0 and variance 1/3: 2000 know them to 0.013 and 0.007.
    np.testing.assert_allclose(turns.mean(axis=0), 0, atol=0.06)
    np.testing.assert_allclose(np.square(turns).mean(axis=0), 1 / 3, atol=0.03)
    assert random_rotations(0, np.random.default_rng(3)).shape == (0, 3, 3)
    np.testing.assert_array_equal(
        random_rotations(3, np.random.default_rng(4)), random_rotations(3, np.random.default_rng(4))
    )
