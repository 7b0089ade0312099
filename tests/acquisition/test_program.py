"""A program: what is refused before anything moves, the way to each tilt, its side, and how long it all takes."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from eucentric.acquisition.program import Program
from eucentric.acquisition.timing import predicted_seconds, tilt_seconds
from eucentric.core import InputError
from eucentric.design import (
    TRACKING,
    Acquisition,
    Approach,
    Bidirectional,
    ConstantExposure,
    ConstantIncrement,
    Design,
    DoseSymmetric,
    Focusing,
    Routine,
    Scheme,
    Specimen,
    Stage,
    Targets,
    Tracking,
    Unidirectional,
)
from eucentric.microscope import StageLimits

SMALL = DoseSymmetric(min_deg=-3.0, max_deg=3.0, increment=ConstantIncrement(step_deg=3.0))
"""0, +3, -3."""

STAGE = Stage(speed_deg_per_s=10.0, settle_s=1.0, reversal_s=2.0)
ROUTINE = Routine(dose_rate_e_A2_per_s=3.0, overhead_s=5.0, focus_every=2)
TWO = {"targets": [{"name": "TS_1"}, {"name": "TS_2", "y_A": 30_000, "x_A": -40_000}], "tracking": {"y_A": -60_000}}

tilts_deg = st.floats(-60, 60)


def program(
    scheme: Scheme = SMALL, *, acquisition: Acquisition | None = None, pre_tilt_deg: float = 0.0, **targets: object
) -> Program:
    """Give a program of 3 e/Å² at each of three tilts, unless told otherwise."""
    design = Design(
        scheme=scheme,
        exposure=ConstantExposure(total_e_A2=3.0 * len(scheme.angles_deg())),
        specimen=Specimen(pre_tilt_deg=pre_tilt_deg),
        stage=STAGE,
        routine=ROUTINE,
    )
    plan = design.plan().replace(acquisition=acquisition or Acquisition())
    return Program(plan, Targets.model_validate({**TWO, **targets}))


def approaching(**settings: object) -> Program:
    return program(acquisition=Acquisition(approach=Approach.model_validate(settings)))


# --- steps and places


@pytest.mark.parametrize(
    ("scheme", "pre_tilt_deg", "tilts_and_sides"),
    [
        (SMALL, 0.0, [(0, "start"), (3, "up"), (-3, "down")]),
        (SMALL, 12.0, [(12, "start"), (15, "up"), (9, "down")]),
        (
            Bidirectional(min_deg=-9, max_deg=3, start_deg=-3, increment=ConstantIncrement(step_deg=3)),
            0.0,
            [(-3, "start"), (0, "up"), (3, "up"), (-6, "down"), (-9, "down")],
        ),
        (
            Unidirectional(min_deg=-3, max_deg=3, increment=ConstantIncrement(step_deg=3), first="positive"),
            0.0,
            [(3, "start"), (0, "down"), (-3, "down")],
        ),
    ],
)
def test_each_tilt_lies_on_a_side_of_the_first(
    scheme: Scheme, pre_tilt_deg: float, tilts_and_sides: list[tuple[float, str]]
) -> None:
    made = program(scheme, pre_tilt_deg=pre_tilt_deg)
    assert [(round(step.tilt_deg, 6), step.side) for step in made.steps] == tilts_and_sides
    assert [step.order for step in made.steps] == list(range(len(tilts_and_sides)))
    assert tuple(step.exposure for step in made.steps) == made.plan.exposures


def test_the_places_are_those_of_the_targets_on_the_specimen() -> None:
    """The tracking area's beside them, all in the plane of the plan's pre-tilt."""
    made = program(pre_tilt_deg=12.0, tilt_deg=5.0)
    assert made.names == ("TS_1", "TS_2")
    assert set(made.places_zyx_A) == {"TS_1", "TS_2", TRACKING}
    second, area = made.targets.targets[1], made.targets.tracking
    assert area is not None
    np.testing.assert_array_equal(made.places_zyx_A["TS_2"], made.targets.on_specimen_zyx_A(second, 12.0))
    np.testing.assert_array_equal(made.places_zyx_A[TRACKING], made.targets.on_specimen_zyx_A(area, 12.0))
    z, _, x = made.places_zyx_A["TS_2"]
    assert z == pytest.approx(math.tan(math.radians(12)) * x)


def test_what_is_tracked_is_the_area_where_there_is_one_and_it_is_wanted() -> None:
    assert program().tracked == TRACKING
    assert program(tracking=None).tracked == "TS_1"
    by_exposure = program(acquisition=Acquisition(tracking=Tracking(by="exposure")))
    assert by_exposure.tracked == "TS_1"
    assert TRACKING in by_exposure.places_zyx_A


@pytest.mark.parametrize(
    ("targets", "slab_deg"),
    [
        ({}, -12.0),  # the plan's
        ({"pre_tilt_deg": -7.0}, 7.0),
        ({"rotation_deg": 180.0}, 12.0),
        ({"rotation_deg": 90.0}, 0.0),  # it rises along the axis: across it is level
        ({"focus_points": [{"height_A": 0}, {"y_A": 9e4, "height_A": 0}, {"x_A": 9e4, "height_A": 9e4}]}, -45.0),
    ],
)
def test_the_plane_is_tilted_by_minus_the_pre_tilt(targets: dict[str, object], slab_deg: float) -> None:
    made = Program(program(pre_tilt_deg=12.0).plan, Targets.model_validate({**TWO, **targets}))
    assert made.slab_deg == pytest.approx(slab_deg, abs=1e-9)


# --- checks


def test_a_program_within_the_limits_is_accepted() -> None:
    program().check(StageLimits(tilt_deg=(-3.0, 3.0)))


@pytest.mark.parametrize(("limits_deg", "beyond"), [((-2.9, 70.0), "-3°"), ((-70.0, 2.0), "3°")])
def test_a_tilt_beyond_the_microscope_s_limits_is_refused(limits_deg: tuple[float, float], beyond: str) -> None:
    """The plan knows the stage that it was made for; the microscope may be another one."""
    with pytest.raises(InputError, match=f"goes to {beyond}.*nothing was moved"):
        program().check(StageLimits(tilt_deg=limits_deg))


def test_thirty_thousand_A_of_image_shift_are_kept_for_the_stage_s_errors() -> None:
    made = program(targets=[{"name": "far", "y_A": 60_000, "x_A": 80_000}])  # 100,000 Å from the axis at 0°
    made.check(StageLimits(shift_A=130_001.0))
    with pytest.raises(InputError, match=r"far would need 10\.0 µm of image shift at 0°.*Nothing was moved"):
        made.check(StageLimits(shift_A=129_999.0))


def test_the_shift_is_checked_at_every_tilt_of_the_plan_and_for_the_tracking_area() -> None:
    """Picked at 60°, a place is twice as far from the axis at 0°."""
    picked_high = program(targets=[{"name": "near", "x_A": 60_000}], tilt_deg=60.0)
    with pytest.raises(InputError, match=r"near would need 12\.0 µm"):
        picked_high.check(StageLimits(shift_A=140_000.0))
    with pytest.raises(InputError, match=f"{TRACKING} would need 15"):
        program(tracking={"y_A": 150_000}).check(StageLimits(shift_A=170_000.0))


# --- the way


@given(tilts_deg, st.floats(0.5, 30))
def test_the_walk_goes_in_equal_steps_and_leaves_out_both_ends(picked_deg: float, walk_deg: float) -> None:
    made = program(acquisition=Acquisition(approach=Approach(walk_deg=walk_deg)), tilt_deg=picked_deg)
    way = [picked_deg, *made.walk(), 0.0]
    steps = np.diff(way)
    assert np.abs(steps).max() <= walk_deg * (1 + 2e-6)
    np.testing.assert_allclose(steps, -picked_deg / len(steps), atol=1e-9)
    assert len(steps) <= max(1, math.ceil(abs(picked_deg) / walk_deg))


def test_the_walk_by_hand() -> None:
    assert list(program(tilt_deg=9.0).walk()) == pytest.approx([6.0, 3.0])
    assert list(program(tilt_deg=-4.0, pre_tilt_deg=3.0).walk()) == pytest.approx([-4 + 7 / 3, -4 + 14 / 3])
    assert list(program(tilt_deg=3.0).walk()) == []
    assert list(program(tilt_deg=0.0).walk()) == []


@given(tilts_deg, tilts_deg, st.floats(0.1, 20), st.sampled_from(["upward", "downward"]))
def test_every_move_ends_in_the_plan_s_direction(
    from_deg: float, to_deg: float, backlash_deg: float, ends: str
) -> None:
    assume(abs(to_deg - from_deg) > 1e-3)
    by_deg = approaching(ends=ends, backlash_deg=backlash_deg).backlash_from_deg(from_deg, to_deg)
    last_deg = from_deg if by_deg is None else by_deg
    assert (to_deg > last_deg) is (ends == "upward")
    if by_deg is not None:
        assert (to_deg > from_deg) is not (ends == "upward")
        wanted_deg = to_deg - backlash_deg if ends == "upward" else to_deg + backlash_deg
        assert by_deg == pytest.approx(min(max(wanted_deg, STAGE.min_deg), STAGE.max_deg))


def test_there_is_no_further_move_where_none_is_needed() -> None:
    upward = approaching(ends="upward", backlash_deg=3.0)
    assert upward.backlash_from_deg(0.0, 3.0) is None
    assert upward.backlash_from_deg(3.0, 0.0) == -3.0
    assert upward.backlash_from_deg(3.0, 3.0) is None
    downward = approaching(ends="downward", backlash_deg=2.0)
    assert downward.backlash_from_deg(3.0, 0.0) is None
    assert downward.backlash_from_deg(0.0, 3.0) == 5.0
    assert approaching(backlash_deg=0.0).backlash_from_deg(3.0, 0.0) is None


def test_a_further_move_stays_within_the_stage_s_limits() -> None:
    assert approaching(ends="upward", backlash_deg=3.0).backlash_from_deg(0.0, -68.0) == -70.0
    assert approaching(ends="downward", backlash_deg=3.0).backlash_from_deg(0.0, 68.5) == 70.0


# --- time


@pytest.mark.parametrize(
    ("from_deg", "to_deg", "direction", "seconds", "ended"),
    [
        (0.0, 3.0, 0, 0.3 + 1 + 3, 1),  # upward, and the wait of the approach
        (0.0, 3.0, 1, 0.3 + 1 + 3, 1),
        (0.0, 3.0, -1, 0.3 + 1 + 2 + 3, 1),  # turning back costs 2 s
        (3.0, 0.0, 0, (0.6 + 1) + (0.3 + 1 + 2) + 3, 1),  # to -3 and back
        (3.0, 0.0, 1, (0.6 + 1 + 2) + (0.3 + 1 + 2) + 3, 1),
        (3.0, 3.0, -1, 3.0, -1),  # it stays
        (0.0, -70.0, 1, (7.0 + 1 + 2) + 3, -1),  # no room for more
    ],
)
def test_a_move_takes_its_way_its_settling_and_its_turns(
    from_deg: float, to_deg: float, direction: int, seconds: float, ended: int
) -> None:
    took_s, turned = tilt_seconds(program(), from_deg, to_deg, direction)
    assert took_s == pytest.approx(seconds)
    assert turned == ended


def acquisition(**tracking: object) -> Acquisition:
    """Give tracking images of 5.2 s, focus of 10.2 s; no second tracking image unless told otherwise."""
    return Acquisition(
        tracking=Tracking.model_validate({"exposure_e_A2": 0.6, "rounds": 1, **tracking}),
        focusing=Focusing(exposure_e_A2=0.3),
    )


def test_the_time_of_a_small_run_by_hand() -> None:
    """Picked at 6°, walked over 3° to 0; then +3 and -3; two targets of 6 s, tracking 5.2 s, focus 10.2 s."""
    looked = 5.2 + 10.2
    walked = (0.6 + 1) + (0.3 + 1 + 2) + 3 + 5.2
    first = (0.6 + 1 + 2) + (0.3 + 1 + 2) + 3 + 5.2 + 10.2 + 12
    second = (0.3 + 1) + 3 + 5.2 + 12  # the focus is measured at every other tilt
    third = (0.9 + 1 + 2) + (0.3 + 1 + 2) + 3 + 5.2 + 10.2 + 12
    made = program(acquisition=acquisition(), tilt_deg=6.0)
    assert predicted_seconds(made) == pytest.approx([looked + walked + first, second, third])


def test_a_second_tracking_image_is_counted_as_often_as_it_is_likely() -> None:
    """The first one is off by more than `close_A`, of an error of 1000 Å along each axis, every other time."""
    again = acquisition(rounds=2, stage_error_A=1000.0, close_A=1000 * math.sqrt(2 * math.log(2)))
    once, twice = (predicted_seconds(program(acquisition=one, tilt_deg=6.0)) for one in (acquisition(), again))
    # Where it stands still from the pick there is one image; on the walk and at each tilt one and a half.
    assert np.subtract(twice, once) == pytest.approx([2 * 2.6, 2.6, 2.6])


def test_without_a_tracking_area_there_are_only_moves_and_exposures() -> None:
    made = program(acquisition=acquisition(), tracking=None)
    moves = [3.0, 0.3 + 1 + 3, (0.9 + 1 + 2) + (0.3 + 1 + 2) + 3]
    assert predicted_seconds(made) == pytest.approx([move + 12 for move in moves])


@given(st.integers(1, 5))
def test_more_targets_take_the_time_of_their_exposures(count: int) -> None:
    """Moves, tracking and focus are shared."""
    names = [{"name": f"TS_{number}", "y_A": 1000 * number} for number in range(count)]
    alone, together = (predicted_seconds(program(targets=some)) for some in (names[:1], names))
    assert np.subtract(together, alone) == pytest.approx([6.0 * (count - 1)] * 3)


def test_the_directions_of_a_whole_series_are_those_of_its_moves() -> None:
    """Walked through by hand, move by move, with the stage's own memory of where it last went."""
    made = program(DoseSymmetric(min_deg=-30.0, max_deg=30.0), acquisition=acquisition(), tracking=None)
    here, direction, seconds = 0.0, 0, []
    for step in made.steps:
        way = [here] if step.tilt_deg >= here else [here, step.tilt_deg - 3.0]
        took = 3.0 + 12.0
        for start, end in pairwise([*way, step.tilt_deg]):
            if end != start:
                turned = 1 if end > start else -1
                took += abs(end - start) / 10 + 1 + (2 if turned * direction < 0 else 0)
                direction = turned
        seconds.append(took)
        here = step.tilt_deg
    assert predicted_seconds(made) == pytest.approx(seconds)
