"""Orders of tilts, against other programs, real series and laws."""

import csv
import re
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from design_cases import bidirectional, dose_symmetric, hybrids, increments, schemes, unidirectional
from hypothesis import given, settings
from hypothesis import strategies as st

from eucentric.design import (
    Bidirectional,
    ConstantIncrement,
    CosineIncrement,
    DoseSymmetric,
    Explicit,
    Hybrid,
    Increment,
    SaxtonIncrement,
    Scheme,
    Unidirectional,
    angles_between,
)

laws = settings(max_examples=100, deadline=None, derandomize=True)

Side = Literal["negative", "positive"]

TOUCH_DEG = 1e-6  # an end that a step reaches but for rounding is reached


def of_step(step_deg: float) -> ConstantIncrement:
    return ConstantIncrement(step_deg=step_deg)


# Known orders


def test_the_order_of_serialem() -> None:
    scheme = DoseSymmetric(min_deg=-8, max_deg=8, group=2, increment=of_step(2))
    assert scheme.order_taken == "serialem"
    assert scheme.angles_deg() == (0, -2, -4, 2, 4, -6, -8, 6, 8)


def test_the_order_of_pacetomo() -> None:
    scheme = DoseSymmetric(min_deg=-12, max_deg=12, group=2, order="pacetomo")
    assert scheme.angles_deg() == (0, 3, 6, -3, -6, 9, 12, -9, -12)


def test_the_order_of_hagen() -> None:
    scheme = DoseSymmetric(min_deg=-9, max_deg=9)
    assert scheme.order_taken == "hagen"
    assert scheme.angles_deg() == (0, 3, -3, -6, 6, 9, -9)
    assert scheme.replace(group=2, order="hagen", min_deg=-12, max_deg=12).angles_deg() == (
        0,
        3,
        6,
        -3,
        -6,
        -9,
        -12,
        9,
        12,
    )


@pytest.mark.parametrize("order", ["serialem", "pacetomo", "hagen"])
def test_the_first_side_mirrors_the_order(order: Literal["serialem", "pacetomo", "hagen"]) -> None:
    given_first = {
        side: DoseSymmetric(order=order, group=3, start_deg=3, min_deg=-57, max_deg=63, first=side).angles_deg()
        for side in ("negative", "positive")
    }
    assert given_first["negative"][1] < 3 < given_first["positive"][1]
    mirrored = [6 - angle for angle in given_first["negative"]]  # about the start
    np.testing.assert_allclose(given_first["positive"], mirrored, atol=1e-9)


def test_a_real_dose_symmetric_series_by_its_table(real_data: Path) -> None:
    with (real_data / "empiar-10499-ts01" / "ts01.csv").open() as table:
        rows = sorted(csv.DictReader(table), key=lambda row: int(row["acquisition_order"]))
    tilts_deg = [float(row["stage_tilt_deg"]) for row in rows]
    assert len(tilts_deg) == 41
    np.testing.assert_allclose(DoseSymmetric().angles_deg(), tilts_deg, rtol=0, atol=0.03)  # as the stage went


def test_a_real_dose_symmetric_series_by_its_times(real_data: Path) -> None:
    text = (real_data / "mdoc" / "tilt_series.mdoc").read_text()
    tilts_deg = [float(tilt) for tilt in re.findall(r"^TiltAngle = (\S+)", text, re.MULTILINE)]
    stamps = re.findall(r"^DateTime = (.+?)\s*$", text, re.MULTILINE)
    times = [datetime.strptime(stamp, "%d-%b-%y  %H:%M:%S") for stamp in stamps]
    assert len(tilts_deg) == len(set(times)) == 41
    in_time = [tilt for _, tilt in sorted(zip(times, tilts_deg, strict=True))]
    np.testing.assert_allclose(DoseSymmetric().angles_deg(), in_time, rtol=0, atol=0.03)


def test_bidirectional_from_minus_21() -> None:
    angles = Bidirectional(start_deg=-21).angles_deg()
    assert angles == (*range(-21, 61, 3), *range(-24, -61, -3))
    assert Bidirectional(start_deg=21).angles_deg() == tuple(-angle for angle in angles)
    assert Bidirectional().angles_deg()[:2] == (0, 3)
    assert Bidirectional(start_deg=-21, first="negative").angles_deg()[:2] == (-21, -24)


def test_unidirectional() -> None:
    assert Unidirectional().angles_deg() == tuple(range(-60, 61, 3))
    assert Unidirectional(first="positive").angles_deg() == tuple(range(60, -61, -3))
    # From the first end exactly; the other end is reached where a step falls on it.
    assert Unidirectional(min_deg=-10, max_deg=10).angles_deg() == (-10, -7, -4, -1, 2, 5, 8)
    assert Unidirectional(min_deg=-10, max_deg=10, first="positive").angles_deg() == (10, 7, 4, 1, -2, -5, -8)
    assert Unidirectional(min_deg=20, max_deg=30).angles_deg() == (20, 23, 26, 29)


def test_hybrid_takes_the_tilt_nearest_0_first_and_once() -> None:
    rest = Bidirectional(start_deg=-21)
    angles = Hybrid(rest=rest).angles_deg()
    assert angles == (0, *(angle for angle in rest.angles_deg() if angle != 0))
    assert Hybrid(rest=Explicit(tilts_deg=(30, -2, 1.5, -30))).angles_deg() == (1.5, 30, -2, -30)


def test_hagen_crosses_over_half_as_often() -> None:
    def crossings(scheme: DoseSymmetric) -> int:
        return sum(one * next_one < 0 for one, next_one in pairwise(scheme.angles_deg()))

    assert crossings(DoseSymmetric(order="serialem")) == 39
    assert crossings(DoseSymmetric(order="hagen")) == 20


# SerialEM's rule for groups


def as_serialem_groups(
    below: int,
    above: int,
    *,
    step_deg: float,
    group: int,
    first: Side,
    grow_by: int,
    grow_beyond_deg: float,
    grow_every_deg: float,
    run_out_beyond_deg: float | None,
) -> list[int]:
    """Give the steps from the start, as SerialEM's dose-symmetric dialog would take them.

    What it does: both sides have a turn each, first the one and then the other, and try a group of places; a side that
    fails to have one is done. After both turns the next place's distance is looked at, 0.1° short being enough: past
    the run-out, or with a side done, what is left comes in one group a side; past the angle of growth, groups grow
    and the angle moves on, or goes away. Nothing is looked at before the first turn.
    """
    signs = {"negative": -1, "positive": 1}
    order = [signs[first], -signs[first]]
    last = {-1: below, 1: above}
    done: set[int] = set()
    taken, at, size = [0], 1, group
    grow_at = grow_beyond_deg if grow_by else float("inf")
    while len(done) < 2:
        for side in order:
            for place in range(at, at + size):
                if side in done:
                    break
                if place > last[side]:
                    done.add(side)
                else:
                    taken.append(side * place)
        at += size
        reached = at * step_deg + 0.1
        if done or (run_out_beyond_deg is not None and reached >= run_out_beyond_deg):
            size = 10_000
        elif reached >= grow_at:
            size += grow_by
            grow_at = grow_at + grow_every_deg if grow_every_deg else float("inf")
    return taken


quarters_deg = st.integers(0, 240).map(lambda quarters: quarters / 4)  # none lies 0.1° from another


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    st.integers(0, 40),
    st.integers(0, 40),
    st.sampled_from([1.0, 1.5, 2.0, 2.5, 3.0]),
    st.integers(-8, 8),
    st.floats(0, 0.6),
    st.integers(1, 7),
    st.sampled_from(["negative", "positive"]),
    st.tuples(st.integers(0, 4), quarters_deg, st.just(0.0) | quarters_deg),
    st.none() | quarters_deg,
)
def test_groups_are_those_of_serialem(
    below: int,
    above: int,
    step_deg: float,
    start: int,
    left_over: float,
    group: int,
    first: Side,
    growth: tuple[int, float, float],
    run_out_beyond_deg: float | None,
) -> None:
    """Over many parameters; ends lie on a step or clear of the third of a step that SerialEM allows beyond them."""
    start_deg = start * step_deg
    # Within ±80°, and with a range that holds a step.
    reach = int(80 / step_deg) - abs(start) - 1
    below, above = max(1, min(below, reach)), min(above, reach)
    grow_by, grow_beyond_deg, grow_every_deg = growth
    scheme = DoseSymmetric(
        min_deg=start_deg - (below + left_over) * step_deg,
        max_deg=start_deg + (above + left_over) * step_deg,
        increment=of_step(step_deg),
        start_deg=start_deg,
        order="serialem",
        group=group,
        first=first,
        grow_by=grow_by,
        grow_beyond_deg=grow_beyond_deg,
        grow_every_deg=grow_every_deg,
        run_out_beyond_deg=run_out_beyond_deg,
    )
    steps = as_serialem_groups(
        below,
        above,
        step_deg=step_deg,
        group=group,
        first=first,
        grow_by=grow_by,
        grow_beyond_deg=grow_beyond_deg,
        grow_every_deg=grow_every_deg,
        run_out_beyond_deg=run_out_beyond_deg,
    )
    np.testing.assert_allclose(scheme.angles_deg(), start_deg + step_deg * np.array(steps), rtol=0, atol=1e-9)


def test_groups_grow_by_hand() -> None:
    """Groups of 1, one more from 6° on and another from 12°: the turn that begins at 6° is the first of two."""
    growing = DoseSymmetric(
        order="pacetomo", min_deg=-21, max_deg=21, grow_by=1, grow_beyond_deg=6, grow_every_deg=6
    ).angles_deg()
    assert growing == (0, 3, -3, 6, 9, -6, -9, 12, 15, 18, -12, -15, -18, 21, -21)


def test_the_rest_runs_out_by_hand() -> None:
    angles = DoseSymmetric(order="pacetomo", min_deg=-15, max_deg=15, run_out_beyond_deg=6).angles_deg()
    assert angles == (0, 3, -3, 6, 9, 12, 15, -6, -9, -12, -15)


def test_a_tenth_of_a_degree_short_is_near_enough() -> None:
    """As SerialEM has it: a stage does not come to 6.00°."""
    ends = DoseSymmetric(order="pacetomo", min_deg=-15, max_deg=15)
    near, too_far = (ends.replace(run_out_beyond_deg=beyond) for beyond in (6.05, 6.15))
    assert near.angles_deg() == ends.replace(run_out_beyond_deg=6).angles_deg()
    assert too_far.angles_deg() == ends.replace(run_out_beyond_deg=9).angles_deg() != near.angles_deg()
    grown, later = (ends.replace(grow_by=1, grow_beyond_deg=beyond) for beyond in (6.05, 6.15))
    assert grown.angles_deg() == ends.replace(grow_by=1, grow_beyond_deg=6).angles_deg()
    assert later.angles_deg() == ends.replace(grow_by=1, grow_beyond_deg=9).angles_deg() != grown.angles_deg()


# Increments


@laws
@given(increments(), st.floats(-80, 80), st.floats(-80, 80))
def test_a_side_is_stepped_through_to_its_end(increment: Increment, start_deg: float, end_deg: float) -> None:
    side = (start_deg, *angles_between(start_deg, end_deg, increment))
    direction = 1 if end_deg > start_deg else -1
    for one, next_one in pairwise(side):
        assert (next_one - one) * direction == pytest.approx(increment.after(one), rel=1e-9, abs=1e-9)
    assert abs(side[-1] - start_deg) <= abs(end_deg - start_deg) + TOUCH_DEG
    # No further step fits.
    assert abs(side[-1] - start_deg) + increment.after(side[-1]) > abs(end_deg - start_deg)


def test_many_constant_steps_do_not_drift() -> None:
    """600 tenths of a degree come to 60 exactly enough to be in the range, and the last is no rounding off."""
    angles = Unidirectional(increment=of_step(0.1)).angles_deg()
    assert len(angles) == 1201
    np.testing.assert_allclose(angles, np.arange(-600, 601) / 10, rtol=0, atol=1e-12)


def test_ends_that_steps_reach_but_for_rounding_are_reached() -> None:
    """Steps that divide 120° by any number come to both ends: 60 / (120 / 58) is a hair under 29 for a machine."""
    for tilts in range(3, 202, 2):
        scheme = DoseSymmetric(increment=of_step(120 / (tilts - 1)))
        assert len(scheme.angles_deg()) == tilts
        assert min(scheme.angles_deg()) == pytest.approx(-60, abs=1e-9)
        assert len(Unidirectional(increment=of_step(120 / (tilts - 1))).angles_deg()) == tilts


def test_cosine_steps_by_hand() -> None:
    above = angles_between(0.0, 61.0, CosineIncrement(step_deg=4.0))
    assert above[:2] == pytest.approx((4.0, 7.990256), abs=1e-6)
    at_60 = [next_one - one for one, next_one in pairwise(above) if abs(one - 60) < 2]
    assert at_60[0] == pytest.approx(2.0, abs=0.1)


@laws
@given(st.floats(-80, 80), st.floats(0.1, 10))
def test_saxton_is_cosine_for_small_steps(angle_deg: float, step_deg: float) -> None:
    saxton, cosine = SaxtonIncrement(step_deg=step_deg), CosineIncrement(step_deg=step_deg)
    # They differ in the third power of the step: asin(sin s c) = s c (1 - s² (1 - c²)/6 ...).
    assert saxton.after(angle_deg) == pytest.approx(cosine.after(angle_deg), rel=np.deg2rad(step_deg) ** 2 / 5)
    assert saxton.after(angle_deg) == pytest.approx(saxton.after(-angle_deg))
    assert saxton.after(0.0) == pytest.approx(step_deg)


# Laws of every scheme


@settings(max_examples=200, deadline=None, derandomize=True)
@given(schemes())
def test_every_angle_once_and_within_the_range(scheme: Scheme) -> None:
    angles = scheme.angles_deg()
    assert len(angles) == len(set(angles)) > 0
    if len(angles) > 1:
        assert np.diff(np.sort(angles)).min() > 0.01
    plain = scheme.rest if isinstance(scheme, Hybrid) else scheme
    if not isinstance(plain, Explicit):
        assert min(angles) >= plain.min_deg - TOUCH_DEG
        assert max(angles) <= plain.max_deg + TOUCH_DEG


@laws
@given(bidirectional() | dose_symmetric())
def test_the_order_is_another_order_of_the_same_angles(scheme: Bidirectional | DoseSymmetric) -> None:
    """From the start, each side runs outwards, and together they are what steps from the start come to."""
    angles = scheme.angles_deg()
    start_deg = scheme.start_deg
    assert angles[0] == start_deg
    for sign, end_deg in ((-1, scheme.min_deg), (1, scheme.max_deg)):
        side = [angle for angle in angles if (angle - start_deg) * sign > 0]
        assert side == list(angles_between(start_deg, end_deg, scheme.increment))
    assert len(angles) == 1 + sum((angle < start_deg) + (angle > start_deg) for angle in angles)


@laws
@given(unidirectional())
def test_one_direction_never_turns(scheme: Unidirectional) -> None:
    angles = scheme.angles_deg()
    ends = (scheme.min_deg, scheme.max_deg)
    if isinstance(scheme.increment, ConstantIncrement):
        assert angles[0] == ends[scheme.first == "positive"]
    elif ends[0] <= 0 <= ends[1]:
        assert 0 in angles  # steps that change with the angle count from where the slab lies flat
    steps = np.diff(angles)
    assert (steps > 0).all() if scheme.first == "negative" else (steps < 0).all()
    other_side: Side = "negative" if scheme.first == "positive" else "positive"
    mirrored = scheme.replace(min_deg=-scheme.max_deg, max_deg=-scheme.min_deg, first=other_side).angles_deg()
    np.testing.assert_allclose(mirrored, [-angle for angle in angles], rtol=0, atol=1e-9)


@laws
@given(hybrids())
def test_a_hybrid_only_moves_one_tilt(scheme: Hybrid) -> None:
    first, *others = scheme.angles_deg()
    rest = list(scheme.rest.angles_deg())
    assert abs(first) == min(abs(angle) for angle in rest)
    rest.remove(first)
    assert others == rest


@laws
@given(st.floats(6, 80), increments(), st.integers(1, 6), st.sampled_from(["serialem", "pacetomo", "hagen"]))
def test_symmetric_ranges_give_symmetric_sides(
    half_deg: float, increment: Increment, group: int, order: Literal["serialem", "pacetomo", "hagen"]
) -> None:
    ends = {"min_deg": -half_deg, "max_deg": half_deg, "increment": increment}
    in_branches, in_turn = Bidirectional(**ends), DoseSymmetric(**ends, group=group, order=order)
    rising = np.sort(in_branches.angles_deg())
    np.testing.assert_allclose(rising, -rising[::-1], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(np.sort(in_turn.angles_deg()), rising)
    # Dose-symmetric: after each full turn of both sides, they are equally far.
    angles = in_turn.angles_deg()
    for turn in range(1, (len(angles) - 1) // (2 * group) + 1):
        assert sum(angles[: 1 + 2 * group * turn]) == pytest.approx(0, abs=1e-6)
