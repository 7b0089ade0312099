from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.core import Alignment, Frame, TiltAlignment, Transform
from eucentric.core.frames import rotation_about_x, rotation_about_y, rotation_about_z

lengths_A = st.floats(-1e4, 1e4)
angles_deg = st.floats(-360, 360)
points = st.tuples(lengths_A, lengths_A, lengths_A)
views = st.builds(
    TiltAlignment,
    section=st.just(0),
    tilt_deg=st.floats(-90, 90),
    x_tilt_deg=st.floats(-20, 20),
    axis_deg=angles_deg,
    shift_yx_A=st.tuples(lengths_A, lengths_A),
    magnification=st.floats(0.8, 1.2),
)
ROTATIONS = [rotation_about_x, rotation_about_y, rotation_about_z]
laws = settings(max_examples=60, deadline=None, derandomize=True)


def within(frame: Frame, view: TiltAlignment) -> Transform:
    """Return some map of a frame to itself."""
    matrix = np.eye(4)
    matrix[:3, :3] = view.sample2image().linear
    matrix[:3, 3] = view.sample2image().shift_A
    return Transform(frame, frame, matrix)


@laws
@given(view=views, point=points)
def test_identity_changes_nothing_on_either_side(view: TiltAlignment, point: tuple[float, float, float]) -> None:
    seen = view.sample2image()
    for same in (seen @ Transform.identity(Frame.SAMPLE), Transform.identity(Frame.IMAGE) @ seen):
        np.testing.assert_allclose(same(point), seen(point), rtol=0, atol=1e-9)


@laws
@given(a=views, b=views, c=views, point=points)
def test_chaining_is_associative_and_means_one_after_the_other(
    a: TiltAlignment, b: TiltAlignment, c: TiltAlignment, point: tuple[float, float, float]
) -> None:
    first, second, third = a.sample2image(), within(Frame.IMAGE, b), c.image2sample()
    chained = third @ second @ first
    np.testing.assert_allclose(chained(point), (third @ (second @ first))(point), rtol=0, atol=1e-6)
    np.testing.assert_allclose(chained(point), third(second(first(point))), rtol=0, atol=1e-6)
    assert (chained.source, chained.target) == (Frame.SAMPLE, Frame.SAMPLE)


@laws
@given(view=views, point=points)
def test_the_inverse_leads_back_both_ways(view: TiltAlignment, point: tuple[float, float, float]) -> None:
    there, back = view.sample2image(), view.image2sample()
    np.testing.assert_allclose(back(there(point)), point, rtol=0, atol=1e-7)
    np.testing.assert_allclose(there(back(point)), point, rtol=0, atol=1e-7)
    assert (back.source, back.target) == (there.target, there.source)


def test_maps_chain_only_where_their_frames_meet() -> None:
    seen = TiltAlignment(section=0, tilt_deg=10, axis_deg=80).sample2image()
    with pytest.raises(ValueError, match="cannot chain a map to image with one from sample"):
        seen @ seen
    with pytest.raises(ValueError, match="cannot chain"):
        seen.inverse() @ Transform.identity(Frame.SAMPLE)


@pytest.mark.parametrize("matrix", [np.eye(3), np.ones((4, 4)), np.zeros((2, 4, 4))])
def test_what_is_not_affine_is_refused(matrix: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="affine"):
        Transform(Frame.SAMPLE, Frame.IMAGE, matrix)


def test_a_map_cannot_be_changed_from_outside() -> None:
    matrix = np.eye(4)
    seen = Transform(Frame.SAMPLE, Frame.IMAGE, matrix)
    matrix[0, 3] = seen.linear[0, 0] = seen.shift_A[0] = 9.0
    np.testing.assert_array_equal(seen((0, 0, 0)), (0, 0, 0))
    np.testing.assert_array_equal(seen.linear, np.eye(3))


@laws
@given(angle=angles_deg, other=angles_deg)
@pytest.mark.parametrize("rotation", ROTATIONS)
def test_rotations_are_orthogonal_right_handed_and_add_up(
    rotation: Callable[[float], NDArray[np.float64]], angle: float, other: float
) -> None:
    matrix = rotation(angle)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)
    np.testing.assert_allclose(matrix @ rotation(other), rotation(angle + other), atol=1e-12)


@pytest.mark.parametrize(
    ("rotation", "turned", "onto", "axis"),
    [
        (rotation_about_z, (0, 0, 1), (0, 1, 0), (1, 0, 0)),  # x towards y
        (rotation_about_y, (1, 0, 0), (0, 0, 1), (0, 1, 0)),  # z towards x
        (rotation_about_x, (0, 1, 0), (1, 0, 0), (0, 0, 1)),  # y towards z
    ],
)
def test_rotations_turn_as_a_right_hand_does(
    rotation: Callable[[float], NDArray[np.float64]],
    turned: tuple[int, int, int],
    onto: tuple[int, int, int],
    axis: tuple[int, int, int],
) -> None:
    np.testing.assert_allclose(rotation(90) @ turned, onto, atol=1e-12)
    np.testing.assert_allclose(rotation(33) @ axis, axis, atol=1e-12)
    # The cross product in xyz order, whose right-handedness numpy knows nothing of our zyx.
    np.testing.assert_array_equal(np.cross(turned[::-1], onto[::-1]), axis[::-1])


def test_the_view_follows_its_docstring() -> None:
    """Tilt 30° lifts z into x; then the axis turns by 90°: what lay along x lies along y, and y along -x."""
    view = TiltAlignment(section=0, tilt_deg=30, axis_deg=90, shift_yx_A=(7, 5), magnification=2)
    _, y, x = view.sample2image()((10, 20, 40))
    assert y == pytest.approx(2 * (40 * np.cos(np.pi / 6) + 10 * 0.5) + 7)
    assert x == pytest.approx(2 * -20 + 5)


@laws
@given(tilts=st.lists(views, min_size=1, max_size=4), move=points, point=points)
def test_moving_the_origin_moves_no_projection(
    tilts: list[TiltAlignment], move: tuple[float, float, float], point: tuple[float, float, float]
) -> None:
    alignment = Alignment(pixel_A=3, shape_yx=(64, 64), tilts=tuple(tilts))
    moved = alignment.moved(move)
    for before, after in zip(alignment.tilts, moved.tilts, strict=True):
        _, y, x = before.sample2image()(point)
        _, moved_y, moved_x = after.sample2image()(np.subtract(point, move))
        assert (moved_y, moved_x) == pytest.approx((y, x), abs=1e-6)
    for before, back in zip(alignment.tilts, moved.moved((-move[0], -move[1], -move[2])).tilts, strict=True):
        assert back.shift_yx_A == pytest.approx(before.shift_yx_A, abs=1e-6)
