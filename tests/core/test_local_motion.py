"""What `LocalMotion` promises: no part that other unknowns hold, and nothing that depends on where the origin is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from eucentric.core import Alignment, LocalMotion, TiltAlignment
from eucentric.core.local_motion import powers, spatial_basis, temporal_basis

Array = NDArray[np.float64]
EXPOSURES_e_A2 = tuple(1.5 + 3.0 * order for order in (6, 4, 2, 0, 1, 3, 5))
RADIUS_A = 1000.0


def motion(seed: int = 0, degree: int = 2, decays_e_A2: tuple[float, ...] = (8.0, 30.0)) -> LocalMotion:
    drawn = np.random.default_rng(seed).normal(0, 40, (3, len(powers(degree)), len(decays_e_A2)))
    return LocalMotion(
        degree=degree,
        centre_yx_A=(50.0, -80.0),
        radius_A=RADIUS_A,
        decays_e_A2=decays_e_A2,
        exposures_e_A2=EXPOSURES_e_A2,
        coefficients_A=tuple(tuple(tuple(power) for power in axis) for axis in drawn.tolist()),
    )


def alignment(local: LocalMotion | None) -> Alignment:
    """Views that are tilted about both axes, turned, magnified and moved: no map of theirs is a simple one."""
    tilts = tuple(
        TiltAlignment(
            section=i,
            tilt_deg=tilt,
            x_tilt_deg=2.0,
            axis_deg=-35.0,
            magnification=1.01,
            shift_yx_A=(30.0 * i, -20.0 * i),
        )
        for i, tilt in enumerate((-60.0, -40.0, -20.0, 0.0, 20.0, 40.0, 60.0))
    )
    return Alignment(pixel_A=10.0, shape_yx=(200, 180), tilts=tilts, local=local)


places: st.SearchStrategy[Array] = st.lists(st.tuples(*[st.floats(-900, 900)] * 2), min_size=1, max_size=5).map(
    np.array
)
seeds = st.integers(0, 10_000)


@pytest.mark.parametrize("degree", [1, 2, 3, 6])
def test_a_polynomial_has_all_powers_once_but_no_constant(degree: int) -> None:
    assert sorted(powers(degree)) == sorted(
        (a, b) for a in range(degree + 1) for b in range(degree + 1) if 0 < a + b <= degree
    )


@given(yx=places, degree=st.integers(1, 6))
def test_the_basis_is_those_powers_of_places(yx: Array, degree: int) -> None:
    yx = yx / RADIUS_A
    expected = np.array([[y**a * x**b for a, b in powers(degree)] for y, x in yx])
    np.testing.assert_allclose(spatial_basis(yx, degree), expected, atol=1e-12)
    assert not spatial_basis(np.zeros((1, 2)), degree).any()


@given(far=st.floats(1.5, 1e6), degree=st.integers(1, 6))
def test_nothing_grows_where_nothing_was_measured(far: float, degree: int) -> None:
    np.testing.assert_array_equal(
        spatial_basis(np.array([[far, -far]]), degree), spatial_basis(np.array([[1.5, -1.5]]), degree)
    )


@given(seed=seeds, yx=places)
def test_its_mean_over_the_views_is_nothing(seed: int, yx: Array) -> None:
    moved = [motion(seed).displacement_zyx_A(yx, section) for section in range(len(EXPOSURES_e_A2))]
    assert np.abs(moved).max() > 0.01
    np.testing.assert_allclose(np.mean(moved, axis=0), 0, atol=1e-9)


@given(seed=seeds)
def test_the_middle_does_not_move(seed: int) -> None:
    local = motion(seed)
    for section in range(len(EXPOSURES_e_A2)):
        np.testing.assert_allclose(local.displacement_zyx_A([local.centre_yx_A], section), 0, atol=1e-12)


def test_a_movement_comes_to_rest_by_its_decay() -> None:
    exposures = np.array([0.0, 20.0, 200.0])
    (first,), (second,), (last,) = temporal_basis(exposures, [20.0])
    assert first - last == pytest.approx(1.0, abs=1e-4)
    assert second - last == pytest.approx(np.exp(-1.0), abs=1e-4)


def test_one_coefficient_moves_one_axis_by_its_power() -> None:
    """The formula of the docstring, written out for the power y x along the axis x."""
    at = powers(2).index((1, 1))
    drawn = np.zeros((3, len(powers(2)), 1))
    drawn[2, at, 0] = 60.0
    local = LocalMotion(
        degree=2,
        radius_A=500.0,
        decays_e_A2=(15.0,),
        exposures_e_A2=EXPOSURES_e_A2,
        coefficients_A=tuple(tuple(tuple(power) for power in axis) for axis in drawn.tolist()),
    )
    time = np.exp(-np.array(EXPOSURES_e_A2) / 15.0)
    expected = 60.0 * 0.5 * -0.4 * (time[1] - time.mean())
    np.testing.assert_allclose(local.displacement_zyx_A([(250.0, -200.0)], 1), [[0, 0, expected]], atol=1e-12)


@given(seed=seeds, yx=places, by=st.tuples(*[st.floats(-2000, 2000)] * 2))
def test_about_another_origin_the_same_places_move_as_before(seed: int, yx: Array, by: tuple[float, float]) -> None:
    local = motion(seed)
    for section in (0, 3):
        np.testing.assert_allclose(
            local.about(by).displacement_zyx_A(yx - by, section), local.displacement_zyx_A(yx, section), atol=1e-6
        )


@given(seed=seeds, yx=places, by=st.tuples(st.just(0.0), *[st.floats(-800, 800)] * 2))
def test_a_moved_alignment_sees_the_same_motion_at_the_same_places_of_images(
    seed: int, yx: Array, by: tuple[float, float, float]
) -> None:
    before = alignment(motion(seed))
    after = before.moved(by)
    for view in before.tilts:
        np.testing.assert_allclose(
            after.local_shift_yx_A(view.section, yx), before.local_shift_yx_A(view.section, yx), atol=1e-6
        )


@given(seed=seeds, yx=places)
def test_what_a_view_sees_move_is_the_projected_displacement(seed: int, yx: Array) -> None:
    """Oracle: the view's own map of a place of the middle plane, before and after it has moved."""
    seen = alignment(motion(seed))
    assert seen.local is not None
    for view in seen.tilts:
        still = np.column_stack([np.zeros(len(yx)), yx])
        moved = still + seen.local.displacement_zyx_A(yx, view.section)
        at, gone = (view.sample2image()(where)[:, 1:] for where in (still, moved))
        np.testing.assert_allclose(seen.local_shift_yx_A(view.section, at), gone - at, atol=1e-6)


def test_without_local_motion_nothing_moves() -> None:
    assert not alignment(None).local_shift_yx_A(2, [(3.0, 4.0), (100.0, 200.0)]).any()
    assert alignment(None).moved((1.0, 2.0, 3.0)).local is None


@given(seed=seeds, degree=st.integers(1, 6), decays=st.lists(st.floats(0.1, 1e3), min_size=1, max_size=3))
def test_json_and_back_is_the_same(seed: int, degree: int, decays: list[float]) -> None:
    record = alignment(motion(seed, degree, tuple(decays)))
    assert Alignment.model_validate_json(record.model_dump_json()) == record


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"degree": 1}, "shape"),
        ({"decays_e_A2": (8.0,)}, "shape"),
        ({"coefficients_A": ((((0.0, 0.0),) * 5),) * 2}, "shape"),
        ({"degree": 0}, "degree"),
        ({"degree": 7}, "degree"),
        ({"radius_A": 0.0}, "radius_A"),
        ({"radius_A": float("nan")}, "radius_A"),
        ({"decays_e_A2": (8.0, 0.0)}, "decays_e_A2"),
        ({"decays_e_A2": ()}, "decays_e_A2"),
        ({"exposures_e_A2": ()}, "exposures_e_A2"),
        ({"coefficients_A": ((((float("inf"), 0.0),) * 5),) * 3}, "coefficients_A"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        motion().replace(**change)


def test_ragged_coefficients_are_refused() -> None:
    even = motion().coefficients_A
    with pytest.raises(ValidationError):
        motion().replace(coefficients_A=(even[0], even[1], even[2][:-1]))


def test_local_motion_of_another_series_is_refused() -> None:
    other = motion().replace(exposures_e_A2=EXPOSURES_e_A2[:-1])
    with pytest.raises(ValidationError, match="exposure"):
        alignment(other)
