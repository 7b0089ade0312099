import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from eucentric.core.frames import rotation_about_y
from eucentric.design import Bidirectional, Design, DoseSymmetric, Routine, Scheme, Stage, clock, parallax_A
from eucentric.microscope import MoveRefusedError, StageLimits, StagePosition
from eucentric.optics import defocus_of_point_A
from eucentric.twin.mechanics import MOVE_A_PER_S, PERFECT, REALISTIC, Mechanics, StageErrors

laws = settings(max_examples=40, deadline=None, derandomize=True)
tilts_deg = st.floats(-70, 70)
routes_deg = st.lists(tilts_deg, min_size=1, max_size=8)
places_A = st.floats(-50_000, 50_000)

ADDED = ["wander_A", "cross_axis_A", "wobble_A", "backlash_A", "drift_A_per_s", "drift_floor_A_per_s"]
"""Effects that move the specimen in the plane, whatever the others do."""

EVERYTHING = tuple(name for name in StageErrors.model_fields if name != "drift_settle_s")
DIGITS_A = 1e-6  # sums of numbers up to 1e5 Å are exact to far less


def arrived(errors: StageErrors, route_deg: Sequence[float], seed: int = 3) -> tuple[Mechanics, float]:
    """Give a stage after a route, and the time at which its last move had settled."""
    stage, now_s = Mechanics(errors, seed), 0.0
    for tilt_deg in route_deg:
        now_s += stage.tilt_to(tilt_deg, now_s) + 2.0
    return stage, now_s - 2.0


def offset_A(
    errors: StageErrors, route_deg: Sequence[float], seed: int = 3, later_s: float = 1.5
) -> NDArray[np.float64]:
    stage, now_s = arrived(errors, route_deg, seed)
    return stage.offset_zyx_A(now_s + later_s)


# --- geometry


@laws
@given(routes_deg, places_A, places_A, places_A)
def test_a_perfect_stage_turns_the_specimen_and_no_more(
    route_deg: list[float], y_A: float, x_A: float, z_A: float
) -> None:
    stage, now_s = arrived(PERFECT, route_deg)
    now_s += stage.move_to(now_s, y_A=y_A, x_A=x_A, z_A=z_A)
    turned = rotation_about_y(route_deg[-1]) @ (z_A, -y_A, -x_A)
    np.testing.assert_allclose(stage.offset_zyx_A(now_s), turned, atol=DIGITS_A)
    assert stage.position == StagePosition(y_A=y_A, x_A=x_A, z_A=z_A, tilt_deg=route_deg[-1])
    np.testing.assert_array_equal(stage.drift_yx_A(now_s + np.arange(3.0)), 0)


def test_the_stage_is_at_the_place_that_is_seen() -> None:
    """At 0° the specimen's place (y, x) lies on the optical axis when the stage says (y, x), tilted or not along y."""
    stage = Mechanics()
    stage.move_to(0.0, y_A=700.0, x_A=-300.0)
    np.testing.assert_allclose(stage.offset_zyx_A(9.0), (0, -700, 300), atol=DIGITS_A)
    stage.tilt_to(50.0, 9.0)
    assert stage.offset_zyx_A(30.0)[1] == pytest.approx(-700, abs=DIGITS_A)


@laws
@given(tilts_deg, st.floats(-20_000, 20_000), st.floats(-20_000, 20_000))
def test_height_and_axis_move_a_target_as_the_design_predicts(tilt_deg: float, z_A: float, x_A: float) -> None:
    errors = StageErrors(eucentric_z_A=z_A, axis_offset_x_A=x_A)
    height_A, y_A, across_A = offset_A(errors, [tilt_deg])
    assert y_A == 0
    assert across_A == pytest.approx(float(parallax_A(z_A, x_A, tilt_deg)), abs=DIGITS_A)
    # The optics count the tilt the other way round (see `parallax_A`).
    assert height_A == pytest.approx(float(defocus_of_point_A(0.0, x_A, z_A, -tilt_deg)), abs=DIGITS_A)


def test_at_0_degrees_a_centred_specimen_is_in_the_centre_and_high() -> None:
    errors = StageErrors(eucentric_z_A=3000.0, axis_offset_x_A=1000.0, cross_axis_A=400.0, wander_A=500.0)
    np.testing.assert_allclose(Mechanics(errors, 8).offset_zyx_A(0.0), (3000, 0, 0), atol=DIGITS_A)


def test_the_eucentric_height_is_where_the_stage_takes_the_specimen() -> None:
    stage = Mechanics(StageErrors(eucentric_z_A=3000.0))
    stage.move_to(0.0, z_A=-3000.0)
    stage.tilt_to(60.0, 10.0)
    np.testing.assert_allclose(stage.offset_zyx_A(100.0), 0, atol=DIGITS_A)


# --- each error


def test_the_true_tilt_has_an_offset_and_a_new_draw_at_each_tilting() -> None:
    """1000 draws of unit spread: their mean is good to .03, their spread to .022; four times that is allowed."""
    stage = Mechanics(StageErrors(tilt_offset_deg=0.5, tilt_rms_deg=0.1), seed=5)
    off = []
    for i in range(1000):
        stage.tilt_to(float(1 + i % 2), 10.0 * i)
        off.append(stage.true_tilt_deg - stage.position.tilt_deg)
    assert np.mean(off) == pytest.approx(0.5, abs=0.013)
    assert np.std(off) == pytest.approx(0.1, abs=0.009)
    stage.move_to(1e5, x_A=500.0)
    assert stage.true_tilt_deg - stage.position.tilt_deg == pytest.approx(off[-1])


@laws
@given(st.integers(0, 1000), routes_deg, routes_deg, tilts_deg)
def test_a_stage_wanders_to_the_same_place_whichever_way_it_came(
    seed: int, one_deg: list[float], other_deg: list[float], tilt_deg: float
) -> None:
    errors = StageErrors(wander_A=500.0)
    one, other = (offset_A(errors, [*route, tilt_deg], seed) for route in (one_deg, other_deg))
    np.testing.assert_allclose(one, other, atol=DIGITS_A)


@laws
@given(st.integers(0, 1000), st.floats(-70, 67))
def test_a_wander_is_smooth_and_as_far_as_said(seed: int, tilt_deg: float) -> None:
    """Bernstein's bound: a trigonometric sum to the 4th order in twice the tilt changes by at most 8 times its largest.

    The largest is found on a grid of 1°, between whose points it can be 0.3 % larger.
    """
    wide = StageLimits(tilt_deg=(-90, 90))
    stage = Mechanics(StageErrors(wander_A=500.0), seed, limits=wide)
    farthest_A = 0.0
    for tilt in range(-90, 91):
        stage.tilt_to(float(tilt), 0.0)
        farthest_A = max(farthest_A, float(np.linalg.norm(stage.offset_zyx_A(0.0))))
    assert farthest_A == pytest.approx(500, rel=1e-9)
    one, next_one = (offset_A(StageErrors(wander_A=500.0), [tilt], seed) for tilt in (tilt_deg, tilt_deg + 3))
    assert np.linalg.norm(next_one - one) <= 500 * 1.003 * 8 * math.radians(3)


@laws
@given(tilts_deg)
def test_a_crooked_axis_takes_the_specimen_along_it(tilt_deg: float) -> None:
    moved = offset_A(StageErrors(cross_axis_A=600.0), [tilt_deg])
    np.testing.assert_allclose(moved, (0, 600 * math.sin(math.radians(tilt_deg)), 0), atol=DIGITS_A)


def test_wobble_is_new_at_each_move_and_the_same_in_both_directions() -> None:
    """2000 draws of unit spread: spread good to .016, correlation and mean to .022; four times that is allowed."""
    stage, places = Mechanics(StageErrors(wobble_A=100.0), seed=1), []
    for i in range(2000):
        stage.tilt_to(float(1 + i % 2), float(i))
        places.append(stage.offset_zyx_A(i + 1.0))
    height, y, x = np.transpose(places) / 100
    np.testing.assert_array_equal(height, 0)
    for along in (y, x):
        assert np.std(along) == pytest.approx(1, abs=0.064)
        assert np.mean(along) == pytest.approx(0, abs=0.09)
        assert np.corrcoef(along[1:], along[:-1])[0, 1] == pytest.approx(0, abs=0.09)
    assert np.corrcoef(y, x)[0, 1] == pytest.approx(0, abs=0.09)


def test_the_wobble_says_nothing_of_the_drift() -> None:
    """The angle between the two is any: over 500 moves its mean cosine is good to .032; four times that is allowed."""
    wobbly, drifting, cosines = Mechanics(StageErrors(wobble_A=1.0)), Mechanics(StageErrors(drift_A_per_s=1.0)), []
    for i in range(500):
        for stage in (wobbly, drifting):
            stage.tilt_to(float(1 + i % 2), 10.0 * i)
        one, other = (stage.offset_zyx_A(10.0 * i + 9.0) for stage in (wobbly, drifting))
        cosines.append(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
    assert np.mean(cosines) == pytest.approx(0, abs=0.127)


@laws
@given(st.floats(-50, 50), st.floats(-1000, 1000))
def test_backlash_is_what_the_way_of_arriving_changes(tilt_deg: float, backlash_A: float) -> None:
    errors = StageErrors(backlash_A=backlash_A)
    from_below, from_above = (offset_A(errors, [tilt_deg + side, tilt_deg]) for side in (-5, 5))
    np.testing.assert_allclose(from_above - from_below, (0, 0, backlash_A), atol=DIGITS_A)
    again = offset_A(errors, [tilt_deg + 20, tilt_deg - 9, tilt_deg])
    np.testing.assert_allclose(again, from_below, atol=DIGITS_A)


@laws
@given(st.floats(0.1, 50), st.floats(0.2, 20), st.floats(0, 100))
def test_drift_settles(rate: float, settle_s: float, later_s: float) -> None:
    """By its closed form: rate times settling time times (1 - exp(-t/settling time)), along one line."""
    stage, now_s = arrived(StageErrors(drift_A_per_s=rate, drift_settle_s=settle_s), [20.0])
    stopped_s = now_s - Stage().settle_s
    moved = stage.drift_yx_A([stopped_s, stopped_s + later_s, stopped_s + 1e6])
    lengths = np.linalg.norm(moved, axis=1)
    assert lengths[0] == 0
    assert lengths[1] == pytest.approx(rate * settle_s * (1 - math.exp(-later_s / settle_s)), abs=DIGITS_A)
    assert lengths[2] == pytest.approx(rate * settle_s)
    assert moved[1] @ moved[2] == pytest.approx(lengths[1] * lengths[2])


def test_a_floor_of_drift_goes_on_for_ever_the_same_way() -> None:
    stage, now_s = arrived(StageErrors(drift_floor_A_per_s=0.5), [20.0])
    first = stage.drift_yx_A(now_s + np.array([0.0, 10.0, 1000.0]))
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), (0, 5, 500))
    now_s += stage.tilt_to(-20.0, now_s)
    np.testing.assert_allclose(stage.drift_yx_A(now_s + np.array([0.0, 10.0, 1000.0])), first, atol=DIGITS_A)


@laws
@given(routes_deg, st.lists(st.floats(0, 60), min_size=1, max_size=5))
def test_drift_within_an_exposure_is_that_of_the_specimen(route_deg: list[float], times_s: list[float]) -> None:
    stage, now_s = arrived(REALISTIC, route_deg)
    seen = [stage.offset_zyx_A(now_s + time) for time in sorted(times_s)]
    expected = np.array(seen) - seen[0]
    np.testing.assert_array_equal(expected[:, 0], 0)
    np.testing.assert_allclose(stage.drift_yx_A(now_s + np.sort(times_s)), expected[:, 1:], atol=DIGITS_A)


def test_a_stage_that_never_moved_does_not_drift() -> None:
    assert not Mechanics(REALISTIC).drift_yx_A([0.0, 5.0, 50.0]).any()


# --- all together


@pytest.mark.parametrize("effect", ADDED)
@pytest.mark.parametrize("route_deg", [[12.0], [12.0, -15.0, 3.0], [0.0, 3.0, -3.0, -6.0, 6.0]])
def test_one_effect_switched_off_leaves_the_others_alone(effect: str, route_deg: list[float]) -> None:
    """What an effect adds to all the others is what it does alone."""
    alone = PERFECT.replace(**{effect: getattr(REALISTIC, effect)})
    added = offset_A(REALISTIC, route_deg) - offset_A(REALISTIC.replace(**{effect: 0.0}), route_deg)
    assert np.abs(added).max() > 0.1
    np.testing.assert_allclose(added, offset_A(alone, route_deg), atol=DIGITS_A)


def test_the_draws_of_the_tilt_are_its_own() -> None:
    alone = StageErrors(tilt_rms_deg=REALISTIC.tilt_rms_deg)
    one, _ = arrived(alone, [5.0, 9.0])
    other, _ = arrived(REALISTIC, [5.0, 9.0])
    assert other.true_tilt_deg - one.true_tilt_deg == pytest.approx(REALISTIC.tilt_offset_deg)
    assert one.true_tilt_deg != 9.0


@pytest.mark.parametrize("effect", EVERYTHING)
def test_a_realistic_stage_has_every_error_and_a_perfect_one_none(effect: str) -> None:
    assert getattr(REALISTIC, effect) > 0
    assert getattr(PERFECT, effect) == 0


@laws
@given(st.integers(0, 1000), routes_deg, places_A)
def test_the_same_calls_give_the_same_places(seed: int, route_deg: list[float], x_A: float) -> None:
    places = []
    for _ in range(2):
        stage, now_s = arrived(REALISTIC, route_deg, seed)
        now_s += stage.move_to(now_s, x_A=x_A)
        places.append((*stage.offset_zyx_A(now_s + 3.0), stage.true_tilt_deg, now_s, stage.moves))
    assert places[0] == places[1]


def test_another_seed_is_another_stage() -> None:
    one, other = (offset_A(REALISTIC, [9.0, -9.0], seed) for seed in (1, 2))
    assert np.linalg.norm(one - other) > 1


# --- moves


@laws
@given(routes_deg, st.floats(70.001, 1e6), st.sampled_from([1, -1]))
def test_a_refused_move_moves_nothing(route_deg: list[float], beyond_deg: float, side: int) -> None:
    stage, now_s = arrived(REALISTIC, route_deg)
    before = (*stage.offset_zyx_A(now_s + 5.0), stage.true_tilt_deg, stage.moves, stage.position)
    with pytest.raises(MoveRefusedError, match="nothing moved"):
        stage.tilt_to(side * beyond_deg, now_s)
    with pytest.raises(MoveRefusedError, match="x_A"):
        stage.move_to(now_s, y_A=10.0, x_A=side * 1e9)
    assert (*stage.offset_zyx_A(now_s + 5.0), stage.true_tilt_deg, stage.moves, stage.position) == before


def test_the_limits_of_tilt_are_those_of_the_design() -> None:
    stage = Mechanics(stage=Stage(min_deg=-40.0, max_deg=50.0))
    stage.tilt_to(50.0, 0.0)
    with pytest.raises(MoveRefusedError, match="-40 and 50"):
        stage.tilt_to(-41.0, 10.0)


def test_a_move_to_where_it_is_is_no_move() -> None:
    stage, now_s = arrived(REALISTIC, [9.0])
    before = stage.offset_zyx_A(now_s + 50.0)
    assert stage.tilt_to(9.0, now_s + 20.0) == 0
    assert stage.move_to(now_s + 20.0) == 0
    assert stage.move_to(now_s + 20.0, y_A=0.0, z_A=0.0) == 0
    assert stage.moves == 1
    np.testing.assert_array_equal(stage.offset_zyx_A(now_s + 50.0), before)


@pytest.mark.parametrize("scheme", [DoseSymmetric(group=2), Bidirectional(start_deg=0.0)])
def test_moves_take_as_long_as_the_design_says(scheme: Scheme) -> None:
    design = Design(
        scheme=scheme,
        stage=Stage(speed_deg_per_s=4.0, settle_s=2.5, reversal_s=1.5),
        routine=Routine(tracking_s=0, focus_s=0, overhead_s=0),
    )
    plan = design.plan()
    stage, now_s, starts = Mechanics(stage=design.stage), 0.0, []
    for exposure in plan:
        now_s += stage.tilt_to(exposure.tilt_deg, now_s)
        starts.append(now_s)
        now_s += exposure.exposure_e_A2 / design.routine.dose_rate_e_A2_per_s
    np.testing.assert_allclose(starts, clock(plan).start_s, rtol=1e-9)


def test_a_move_along_the_grid_takes_its_length_and_settles() -> None:
    stage = Mechanics(stage=Stage(settle_s=0.5))
    assert stage.move_to(0.0, y_A=-2e6, x_A=1e6) == pytest.approx(2e6 / MOVE_A_PER_S + 0.5)


@pytest.mark.parametrize("wrong", [{"wobble_A": -1.0}, {"drift_settle_s": 0.0}, {"wander_A": math.nan}, {"woble_A": 1}])
def test_errors_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        StageErrors(**wrong)
