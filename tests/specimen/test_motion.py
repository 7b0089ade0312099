import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from eucentric.core import InputError
from eucentric.specimen.motion import STILL, TYPICAL, BeamMotion, MotionField

laws = settings(max_examples=40, deadline=None, derandomize=True)
seeds = st.integers(0, 10_000)
FIELD_A = 8000.0
LONG = 1e5  # e/Å²: thousands of times any exposure of settling
LOCAL = BeamMotion(local_A=15.0, local_length_A=2000.0)
DOME = BeamMotion(doming_A=40.0, dome_radius_A=5000.0, dome_centre_yx_A=(1000.0, -500.0))


def grid_A(n: int = 41) -> NDArray[np.float64]:
    side = np.linspace(-FIELD_A / 2, FIELD_A / 2, n)
    return np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)


# --- the local field


@laws
@given(seeds, st.floats(0.1, 200), st.floats(100, 1e6))
def test_the_local_field_has_the_rms_asked_for_and_no_mean(seed: int, local_A: float, length_A: float) -> None:
    """On a grid of its own, finer than the field's: waves shorter than either differ by a few per cent."""
    asked = BeamMotion(local_A=local_A, local_length_A=length_A)
    moved = MotionField(asked, seed, FIELD_A).displacement_zyx_A(grid_A(), LONG)
    np.testing.assert_allclose(np.sqrt(np.mean(moved**2, axis=0)), local_A, rtol=0.1)
    np.testing.assert_allclose(moved.mean(axis=0), 0, atol=0.1 * local_A)


def test_places_move_alike_within_the_length_asked_for() -> None:
    """Correlation exp(-r²/2L²), over 200 fields 20 lengths wide, whose mean says nothing.

    The mean of 600 components, each of some hundred independent patches, is good to about .01.
    """
    length_A, pairs_A = 400.0, np.array([0.0, 0.5, 1.0, 1.5, 2.0])
    asked = BeamMotion(local_A=1.0, local_length_A=length_A)
    starts = grid_A(12)
    seen = np.zeros(len(pairs_A))
    for seed in range(200):
        field = MotionField(asked, seed, FIELD_A)
        here = field.displacement_zyx_A(starts, LONG)
        there = [field.displacement_zyx_A(starts + np.array([apart * length_A, 0.0]), LONG) for apart in pairs_A]
        seen += [float(np.mean(here * other)) for other in there]
    np.testing.assert_allclose(seen / 200, np.exp(-0.5 * pairs_A**2), atol=0.04)


@laws
@given(seeds, st.floats(0.1, 100), st.floats(-4000, 4000), st.floats(-4000, 4000))
def test_the_local_field_is_smooth(seed: int, exposure: float, y_A: float, x_A: float) -> None:
    """Places a hundredth of a length apart move alike to a few hundredths of the rms.

    A gradient is local_A/length, rms; the steepest place of 600 specimens had 7.3 times that, and 8 is allowed.
    """
    field = MotionField(LOCAL, seed, FIELD_A)
    step_A = LOCAL.local_length_A / 100
    places = np.array([(y_A, x_A), (y_A + step_A, x_A), (y_A, x_A + step_A)])
    moved = field.displacement_zyx_A(places, exposure)
    assert np.abs(moved - moved[0]).max() <= 8 * LOCAL.local_A / 100


@laws
@given(seeds, st.floats(0, 100), st.floats(0, 1))
def test_movement_grows_without_jumps(seed: int, exposure: float, more: float) -> None:
    """Of 500 specimens the fastest place began at 5.8 rms per settling exposure along one axis; 8 is allowed.

    The dome begins with its height per settling exposure.
    """
    field = MotionField(TYPICAL, seed, FIELD_A)
    places = grid_A(5)
    step = field.displacement_zyx_A(places, exposure + more) - field.displacement_zyx_A(places, exposure)
    fastest_A = 8 * TYPICAL.local_A + TYPICAL.doming_A
    assert np.abs(step).max() <= fastest_A * more / TYPICAL.settle_e_A2 + 1e-9


@laws
@given(seeds, st.floats(0.1, 200), st.floats(1000, 1e5))
def test_a_field_on_its_way_is_not_far_beyond_its_end(seed: int, exposure: float, length_A: float) -> None:
    """As waves settle at different paces a field can pass its end: by 1.37 at the most in 500 specimens."""
    field = MotionField(BeamMotion(local_A=1.0, local_length_A=length_A), seed, FIELD_A)
    moved = field.displacement_zyx_A(grid_A(9), exposure)
    assert np.sqrt(np.mean(moved**2, axis=0)).max() < 1.6  # with what a coarse grid adds


@laws
@given(seeds)
def test_most_of_the_movement_is_early_and_it_ends(seed: int) -> None:
    field = MotionField(LOCAL, seed, FIELD_A)
    places = grid_A(9)
    rms = [
        float(np.sqrt(np.mean(field.displacement_zyx_A(places, share * LOCAL.settle_e_A2) ** 2)))
        for share in (0.25, 1.0, 8.0, 16.0, 1e4)
    ]
    # By 1/4, 1, 8 and 16 settling exposures the slowest wave has come 16, 51, 99.7 and 99.999 % of its way.
    assert rms[0] > 0.16 * rms[4]
    assert rms[1] > 0.51 * rms[4]
    assert rms[2] == pytest.approx(rms[4], rel=0.01)
    assert rms[3] == pytest.approx(rms[4], rel=1e-4)


def test_points_move_along_bent_paths() -> None:
    """Not all of a field settles at one pace: where a point is early on lies not on the line to where it ends."""
    field = MotionField(LOCAL, 4, FIELD_A)
    early, late = (field.displacement_zyx_A(grid_A(9), e)[:, 1:] for e in (5.0, LONG))
    lengths = np.linalg.norm(early, axis=1) * np.linalg.norm(late, axis=1)
    turned = np.abs(early[:, 0] * late[:, 1] - early[:, 1] * late[:, 0]) / lengths
    assert np.median(turned) > 0.05


# --- the dome


@laws
@given(st.floats(0, 2), st.floats(0, 360), st.floats(0, 200))
def test_the_dome_is_a_clamped_plate(outward: float, direction_deg: float, exposure: float) -> None:
    direction = math.radians(direction_deg)
    place = np.array(DOME.dome_centre_yx_A) + outward * 5000 * np.array([math.sin(direction), math.cos(direction)])
    moved = MotionField(DOME, 0, FIELD_A).displacement_zyx_A(place[None], exposure)[0]
    grown = 1 - math.exp(-exposure / DOME.settle_e_A2)
    expected = 40 * grown * (1 - outward**2) ** 2 if outward < 1 else 0.0
    assert moved[0] == pytest.approx(expected, abs=1e-9)
    assert not moved[1:].any()


def test_the_rim_of_the_dome_has_no_kink() -> None:
    """Height and slope are 0 on both sides of the rim: within 1 % of the radius the dome is below 4 parts in 10 000."""
    ring = np.array(DOME.dome_centre_yx_A) + np.array([[0, 4950.0], [0, 5000.0], [0, 5050.0]])
    heights = MotionField(DOME, 0, FIELD_A).displacement_zyx_A(ring, LONG)[:, 0]
    assert 0 < heights[0] < 4e-4 * 40
    np.testing.assert_array_equal(heights[1:], 0)


def test_a_dome_can_sink() -> None:
    up, down = (MotionField(DOME.replace(doming_A=height), 0, FIELD_A) for height in (40.0, -40.0))
    np.testing.assert_array_equal(up.displacement_zyx_A(grid_A(), 9.0), -down.displacement_zyx_A(grid_A(), 9.0))


# --- the burst


@laws
@given(seeds, st.integers(0, 100), st.floats(0, 10))
def test_a_burst_goes_one_way_and_slows_down(seed: int, order: int, exposure: float) -> None:
    field = MotionField(TYPICAL, seed, FIELD_A)
    whole = field.burst_yx_A(order, LONG)
    come = 1 - math.exp(-exposure / TYPICAL.burst_e_A2)
    np.testing.assert_allclose(field.burst_yx_A(order, exposure), come * whole, atol=1e-9)


def test_bursts_are_as_long_as_said_and_each_its_own() -> None:
    """4000 draws: the rms length is good to .8 %, a correlation to .016; four times that is allowed."""
    field = MotionField(BeamMotion(burst_A=3.0), 7, FIELD_A)
    bursts = np.array([field.burst_yx_A(order, LONG) for order in range(4000)])
    assert np.sqrt(np.mean(np.sum(bursts**2, axis=1))) == pytest.approx(3, rel=0.032)
    for one, other in ((bursts[:, 0], bursts[:, 1]), (bursts[1:, 0], bursts[:-1, 0])):
        assert np.corrcoef(one, other)[0, 1] == pytest.approx(0, abs=0.064)


# --- all together


@laws
@given(seeds, st.floats(0, 1e4))
def test_what_is_off_does_not_move(seed: int, exposure: float) -> None:
    field = MotionField(STILL, seed, FIELD_A)
    assert not field.displacement_zyx_A(grid_A(5), exposure).any()
    assert not field.burst_yx_A(3, exposure).any()


@laws
@given(seeds)
def test_without_exposure_nothing_has_moved(seed: int) -> None:
    field = MotionField(TYPICAL, seed, FIELD_A)
    assert not field.displacement_zyx_A(grid_A(5), 0.0).any()
    assert not field.burst_yx_A(0, 0.0).any()


@laws
@given(seeds, st.floats(0.1, 100))
def test_one_movement_switched_off_leaves_the_others_alone(seed: int, exposure: float) -> None:
    whole, no_dome, no_local, no_burst = (
        MotionField(TYPICAL.replace(**{off: 0.0} if off else {}), seed, FIELD_A)
        for off in ("", "doming_A", "local_A", "burst_A")
    )
    places = grid_A(5)
    apart = no_dome.displacement_zyx_A(places, exposure) + no_local.displacement_zyx_A(places, exposure)
    np.testing.assert_allclose(whole.displacement_zyx_A(places, exposure), apart, atol=1e-9)
    same = no_burst.displacement_zyx_A(places, exposure)
    np.testing.assert_array_equal(whole.displacement_zyx_A(places, exposure), same)
    for other in (no_dome, no_local):
        np.testing.assert_array_equal(whole.burst_yx_A(2, exposure), other.burst_yx_A(2, exposure))


@laws
@given(seeds, st.floats(0.1, 100))
def test_the_same_seed_is_the_same_specimen_and_another_is_not(seed: int, exposure: float) -> None:
    one, again, other = (MotionField(TYPICAL, s, FIELD_A) for s in (seed, seed, seed + 1))
    places = grid_A(5)
    # In another order and on its own, a place moves as it did among others, but for the last digits of a sum.
    moved = again.displacement_zyx_A(places[::-1], exposure)[::-1]
    np.testing.assert_allclose(one.displacement_zyx_A(places, exposure), moved, rtol=1e-9, atol=1e-12)
    assert np.abs(one.displacement_zyx_A(places, exposure) - other.displacement_zyx_A(places, exposure)).max() > 1e-3
    assert np.abs(one.burst_yx_A(5, exposure) - other.burst_yx_A(5, exposure)).max() > 1e-6


def test_typical_motion_is_of_the_published_order() -> None:
    """Local motion up to ±80 Å over a series, at most some Å within one exposure of 3 e/Å²."""
    largest, within = [], []
    for seed in range(20):
        field = MotionField(TYPICAL.replace(doming_A=0.0), seed, FIELD_A)
        largest.append(np.abs(field.displacement_zyx_A(grid_A(15), 120.0)).max())
        within.append(np.linalg.norm(field.burst_yx_A(0, 3.0)))
    assert 25 < np.mean(largest) < 80
    assert 1 < np.mean(within) < 6


@pytest.mark.parametrize("field_A", [0.0, -1.0, math.nan, math.inf])
def test_a_field_of_no_size_is_refused(field_A: float) -> None:
    with pytest.raises(InputError, match="cannot move"):
        MotionField(TYPICAL, 0, field_A)


@pytest.mark.parametrize("exposure", [-0.1, math.nan, math.inf])
def test_an_exposure_that_cannot_be_is_refused(exposure: float) -> None:
    field = MotionField(TYPICAL, 0, FIELD_A)
    with pytest.raises(InputError, match="moves nothing"):
        field.displacement_zyx_A([(0.0, 0.0)], exposure)
    with pytest.raises(InputError, match="moves nothing"):
        field.burst_yx_A(0, exposure)


@pytest.mark.parametrize(
    "wrong", [{"local_A": -1.0}, {"settle_e_A2": 0.0}, {"burst_e_A2": 0.0}, {"local_length_A": 0.0}, {"dome_A": 1.0}]
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        BeamMotion(**wrong)
