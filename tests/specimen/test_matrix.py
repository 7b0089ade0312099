import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.core.frames import rotation_about_y, rotation_about_z
from eucentric.specimen.matrix import Matrix

laws = settings(max_examples=25, deadline=None, derandomize=True)
tilts_deg = st.floats(-70, 70)
thicknesses_A = st.floats(50, 4000)
Array = NDArray[np.float64]


def lengths_A(
    matrix: Matrix,
    rotation: Array,
    *,
    origin_A: tuple[float, float, float] = (0.0, 0.0, 0.0),
    shape: tuple[int, int] = (12, 12),
    step_A: float = 100.0,
    slice_A: float = 60.0,
    reach_A: float = 12_000.0,
) -> tuple[Array, Array]:
    """Give how far the beam goes through ice and carbon at each place."""
    edges = np.arange(-reach_A, reach_A + slice_A, slice_A)
    ice, carbon = matrix.paths(rotation.T, np.array(origin_A), shape, step_A, edges)
    assert ice.shape == (len(edges) - 1, *shape)
    assert ice.max() <= slice_A * 1.001
    return ice.sum(axis=0, dtype=float), carbon.sum(axis=0, dtype=float)


@laws
@given(thicknesses_A, tilts_deg, st.floats(-180, 180), st.floats(-800, 800), st.floats(20, 300))
def test_a_slab_is_as_long_a_way_as_its_tilt_says(
    thickness_A: float, tilt_deg: float, axis_deg: float, height_A: float, slice_A: float
) -> None:
    """t / cos a everywhere, to 1e-3, however the slices lie against its faces."""
    rotation = rotation_about_z(axis_deg) @ rotation_about_y(tilt_deg)
    ice, carbon = lengths_A(
        Matrix.slab(thickness_A), rotation, origin_A=(height_A, 37.0, -90.0), slice_A=slice_A, shape=(6, 6)
    )
    np.testing.assert_allclose(ice, thickness_A / math.cos(math.radians(tilt_deg)), rtol=1e-3)
    assert not carbon.any()


@laws
@given(thicknesses_A, st.floats(-25, 25), st.floats(-45, 45))
def test_a_lamella_is_thinnest_at_its_pre_tilt(thickness_A: float, pre_tilt_deg: float, tilt_deg: float) -> None:
    """There it is a way of its thickness, elsewhere t / cos of how far the stage is from it."""
    lamella = Matrix.slab(thickness_A).turned(rotation_about_y(-pre_tilt_deg))
    flat, _ = lengths_A(lamella, rotation_about_y(pre_tilt_deg), shape=(4, 4))
    np.testing.assert_allclose(flat, thickness_A, rtol=1e-3)
    other, _ = lengths_A(lamella, rotation_about_y(tilt_deg), shape=(4, 4))
    np.testing.assert_allclose(other, thickness_A / math.cos(math.radians(tilt_deg - pre_tilt_deg)), rtol=1e-3)


def test_slices_share_the_ice_by_height() -> None:
    """Untilted ice of 300 Å about +50 Å, cut by slices that end at its faces and inside it."""
    ice, _ = Matrix.slab(300.0).paths(
        np.eye(3), np.array([50.0, 0.0, 0.0]), (1, 1), 1.0, np.array([-200.0, -100.0, 0.0, 100.0, 200.0, 300.0])
    )
    np.testing.assert_allclose(ice[:, 0, 0], [0, 100, 100, 100, 0], atol=1e-3)
    shifted, _ = Matrix.slab(300.0).paths(
        np.eye(3), np.array([80.0, 0.0, 0.0]), (1, 1), 1.0, np.array([-200.0, -100.0, 0.0, 100.0, 200.0, 300.0])
    )
    np.testing.assert_allclose(shifted[:, 0, 0], [0, 70, 100, 100, 30], atol=1e-3)


@laws
@given(st.floats(-50, 50), st.floats(-180, 180), st.integers(0, 5))
def test_the_way_is_what_lies_inside(tilt_deg: float, axis_deg: float, seed: int) -> None:
    """An oracle: ask `inside` at every 5 Å along the beam, through a rough slab."""
    matrix = Matrix.rough(800.0, 60.0, 500.0, 6000.0, seed, wedge=0.1).turned(rotation_about_y(12.0))
    rotation, origin = rotation_about_z(axis_deg) @ rotation_about_y(tilt_deg), np.array([100.0, -60.0, 30.0])
    ice, _ = lengths_A(matrix, rotation, origin_A=(100.0, -60.0, 30.0), shape=(5, 4), step_A=300.0, reach_A=4000.0)
    heights = np.arange(-4000.0, 4000.0, 5.0)
    for row in range(5):
        for column in range(4):
            yx = (row - 2) * 300.0, (column - 2) * 300.0
            beam = np.stack([heights, np.full_like(heights, yx[0]), np.full_like(heights, yx[1])], axis=1)
            inside = matrix.inside((beam - origin) @ rotation)
            # Half a step at either face, and the faces' slope within a quarter of a slice.
            assert ice[row, column] == pytest.approx(inside.sum() * 5.0, abs=12.0)


# --- faces


def test_rough_faces_have_the_mean_and_the_roughness_asked_for() -> None:
    """Over 40 x 40 lengths the mean is known to 3 Å and the roughness to 1 Å; no face follows the other."""
    matrix = Matrix.rough(2000.0, 50.0, 300.0, 12_000.0, 3)
    assert matrix.thickness_A == pytest.approx(2000.0, abs=12.0)
    ice, _ = lengths_A(matrix, np.eye(3), shape=(60, 60), step_A=200.0)
    assert ice.mean() == pytest.approx(matrix.thickness_A, abs=2.0)
    for face, middle in ((matrix.lower_A, -1000.0), (matrix.upper_A, 1000.0)):
        assert face.mean() == pytest.approx(middle, abs=8.0)
        assert face.std() == pytest.approx(50.0, abs=4.0)
    assert abs(np.corrcoef(matrix.lower_A.ravel(), matrix.upper_A.ravel())[0, 1]) < 0.1


def test_a_face_is_alike_over_its_length() -> None:
    """Its correlation is 0.6 or more within half a length, and gone at three."""
    face = Matrix.rough(2000.0, 50.0, 300.0, 12_000.0, 3).upper_A - 1000.0

    def likeness(steps: int) -> float:
        return float(np.corrcoef(face[steps:].ravel(), face[: len(face) - steps].ravel())[0, 1])

    assert likeness(1) > 0.8  # a third of a length
    assert abs(likeness(9)) < 0.15


def test_seeds_choose_faces_and_roughness_0_makes_a_slab() -> None:
    first, again, other = (Matrix.rough(500.0, 30.0, 300.0, 3000.0, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.upper_A, again.upper_A)
    assert not np.array_equal(first.upper_A, other.upper_A)
    smooth = Matrix.rough(500.0, 0.0, 300.0, 3000.0, 1)
    assert (smooth.reach_A, smooth.thickness_A) == ((-250.0, 250.0), 500.0)


def test_a_wedge_gets_thicker_along_x() -> None:
    wedge = Matrix.rough(1000.0, 0.0, 300.0, 6000.0, 1, wedge=0.2)
    ice, _ = lengths_A(wedge, np.eye(3), shape=(3, 9), step_A=300.0)
    np.testing.assert_allclose(ice[1], 1000.0 + 0.2 * 300.0 * (np.arange(9) - 4), rtol=2e-3)


def test_faces_that_would_cross_leave_no_ice() -> None:
    thin = Matrix.rough(10.0, 40.0, 300.0, 3000.0, 1)
    assert (thin.upper_A >= thin.lower_A).all()
    with pytest.raises(ValueError, match="upper face"):
        Matrix(np.zeros((2, 2)), np.full((2, 2), -1.0))
    with pytest.raises(ValueError, match="upper face"):
        Matrix(np.zeros((2, 2)), np.zeros((3, 3)))


def test_no_ice_is_no_way() -> None:
    ice, carbon = lengths_A(Matrix.none(), rotation_about_y(30.0))
    assert not ice.any()
    assert not carbon.any()
    assert not Matrix.none().inside(np.array([[1.0, 0.0, 0.0], [-1.0, 5.0, 5.0]])).any()


def test_growing_ice_settles_on_both_faces() -> None:
    grown = Matrix.slab(500.0).thickened(40.0)
    assert (grown.reach_A, grown.thickness_A) == ((-270.0, 270.0), 540.0)


@laws
@given(tilts_deg, st.floats(-500, 500), st.floats(-500, 500), st.floats(-500, 500))
def test_a_turn_takes_the_inside_along(turn_deg: float, z: float, y: float, x: float) -> None:
    matrix, turn = Matrix.slab(400.0), rotation_about_y(turn_deg)
    place = np.array([[z, y, x]])
    if abs(abs(z) - 200.0) > 1e-6:
        assert matrix.turned(turn).inside(place @ turn.T)[0] == (abs(z) < 200.0)


# --- carbon


@pytest.mark.parametrize("tilt_deg", [0.0, 40.0])
def test_carbon_lies_outside_its_hole_only(tilt_deg: float) -> None:
    """Below the ice, which goes on over it; tilted, the hole is an ellipse."""
    matrix = Matrix(
        np.full((2, 2), -100.0),
        np.full((2, 2), 100.0),
        hole_radius_A=900.0,
        hole_centre_yx_A=(200.0, -300.0),
        carbon_A=150.0,
    )
    assert matrix.reach_A == (-250.0, 100.0)
    ice, carbon = lengths_A(matrix, rotation_about_y(tilt_deg), shape=(40, 40), step_A=100.0)
    longer = 1 / math.cos(math.radians(tilt_deg))
    np.testing.assert_allclose(ice, 200.0 * longer, rtol=1e-3)
    y, x = (np.arange(40) - 20)[:, None] * 100.0, (np.arange(40) - 20)[None] * 100.0
    # Where the beam meets the middle of the film, 175 Å below the slab's.
    own_x = (x - 175.0 * math.sin(math.radians(-tilt_deg)) * 1.0) * longer
    away = np.hypot(y - 200.0, own_x + 300.0)
    thick = 150.0 * math.tan(math.radians(tilt_deg)) + 10.0  # the beam goes so far aside within the film
    np.testing.assert_allclose(carbon[away > 900 + thick], 150.0 * longer, rtol=1e-3)
    np.testing.assert_array_equal(carbon[away < 900 - thick], 0)
    assert (away < 900 - thick).sum() > 50
    assert (away > 900 + thick).sum() > 50
