"""Where targets lie on the specimen, against hand-made points that are turned and looked at."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from eucentric.core import InputError
from eucentric.core.frames import rotation_about_y
from eucentric.design import FocusPoint, Place, Targets

PLACES = st.floats(-60_000, 60_000)


def targets(**changes: object) -> Targets:
    return Targets.model_validate({"targets": [{"name": "TS_001"}], **changes})


@given(PLACES, PLACES, st.floats(-40, 40), st.floats(-180, 180), st.floats(-30, 30))
def test_a_place_on_the_specimen_is_seen_where_it_was_picked(
    y_A: float, x_A: float, pre_tilt_deg: float, rotation_deg: float, tilt_deg: float
) -> None:
    """And lies in the plane, whichever way that is turned."""
    made = targets(pre_tilt_deg=pre_tilt_deg, rotation_deg=rotation_deg, tilt_deg=tilt_deg)
    place = Place(y_A=y_A, x_A=x_A)
    point = made.on_specimen_zyx_A(place, 99.0)
    seen = rotation_about_y(tilt_deg) @ point
    assert seen[1:] == pytest.approx([y_A, x_A], abs=1e-5)
    up_y, up_x = made.slopes_yx(99.0)
    assert point[0] == pytest.approx(up_y * point[1] + up_x * point[2], abs=1e-5)


def test_a_lamella_is_flat_at_its_pre_tilt() -> None:
    """That of the plan, where the targets name none; all its places are then at one height."""
    made = targets()
    heights = [
        (rotation_about_y(8.0) @ made.on_specimen_zyx_A(Place(y_A=y, x_A=x), 8.0))[0]
        for y, x in ((0, 40_000), (30_000, -40_000), (0, 0))
    ]
    assert np.ptp(heights) < 1e-6


@given(st.floats(-25, 25), st.floats(-25, 25), st.floats(-20, 20))
def test_the_plane_of_focus_points_is_that_which_they_were_taken_from(
    pre_tilt_deg: float, rotation_deg: float, tilt_deg: float
) -> None:
    """Points of a plane, tilted, measured, and given: the same slopes at 0°."""
    true = targets(pre_tilt_deg=pre_tilt_deg, rotation_deg=rotation_deg)
    points = []
    for y, x in ((0.0, 0.0), (30_000.0, 0.0), (0.0, 40_000.0), (-20_000.0, -30_000.0)):
        z, y_seen, x_seen = rotation_about_y(tilt_deg) @ true.on_specimen_zyx_A(Place(y_A=y, x_A=x), 0.0)
        points.append(FocusPoint(y_A=float(y_seen), x_A=float(x_seen), height_A=float(z)))
    found = targets(focus_points=tuple(points), tilt_deg=tilt_deg)
    assert found.slopes_yx(50.0) == pytest.approx(true.slopes_yx(50.0), abs=1e-6)


def test_the_plan_s_pre_tilt_is_only_for_targets_without_one() -> None:
    assert targets(pre_tilt_deg=5.0).slopes_yx(20.0)[1] == pytest.approx(math.tan(math.radians(5.0)))
    assert targets().slopes_yx(20.0)[1] == pytest.approx(math.tan(math.radians(20.0)))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"targets": []}, "at least 1"),
        ({"targets": [{"name": "A"}, {"name": "a"}]}, r"targets\[1\].name"),
        ({"targets": [{"name": "tracking"}]}, "taken"),
        ({"targets": [{"name": "a/b"}]}, "match"),
        ({"targets": [{"name": "A", "x_um": 3}]}, "no field 'x_um'"),
        ({"targets": [{"name": "A", "x_A": 3e5}]}, "200000"),
        ({"focus_points": [{"height_A": 1}] * 2}, "three or more"),
        ({"focus_points": [{"height_A": 1, "x_A": x} for x in (0, 1000, 2000)]}, "not along one line"),
        ({"focus_points": [{"height_A": 1}], "pre_tilt_deg": 3}, "one of both"),
        ({"focus_points": [{"x_A": 1e4}, {"y_A": 1e4}, {"height_A": 1}]}, "all with one, or none"),
        ({"targets": [{"name": "focus-1"}]}, "taken"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, object], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        targets(**changes)


def test_no_target_is_picked_edge_on() -> None:
    made = targets(pre_tilt_deg=-60.0, tilt_deg=30.0)
    with pytest.raises(InputError, match="edge on"):
        made.on_specimen_zyx_A(Place(), 0.0)


def test_points_without_heights_are_to_be_measured() -> None:
    """Until then the plane is the plan's."""
    points = (FocusPoint(), FocusPoint(y_A=1e4), FocusPoint(x_A=1e4))
    made = targets(focus_points=points)
    assert list(made.to_measure) == ["focus-1", "focus-2", "focus-3"]
    assert made.slopes_yx(10.0)[1] == pytest.approx(math.tan(math.radians(10.0)))
    assert targets(focus_points=tuple(point.replace(height_A=0.0) for point in points)).to_measure == {}
