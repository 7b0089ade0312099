import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from eucentric.core import Alignment, Tilt, TiltAlignment, TiltSeries


def series(orders: list[int]) -> TiltSeries:
    tilts = tuple(Tilt(section=i, tilt_deg=3.0 * i, order=order) for i, order in enumerate(orders))
    return TiltSeries(name="a", pixel_A=1, shape_yx=(2, 3), tilts=tilts)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 12).flatmap(lambda n: st.permutations(list(range(n)))))
def test_acquisition_order_is_the_inverse_of_the_sections(orders: list[int]) -> None:
    acquired = series(orders).by_order()
    assert [tilt.order for tilt in acquired] == list(range(len(orders)))
    assert [orders[tilt.section] for tilt in acquired] == list(range(len(orders)))
    assert series(orders).tilts_deg == tuple(3.0 * i for i in range(len(orders)))


@pytest.mark.parametrize("orders", [[0, 0], [1, 2], [0, 2], []])
def test_orders_that_skip_or_repeat_are_refused(orders: list[int]) -> None:
    with pytest.raises(ValidationError):
        series(orders)


def test_sections_must_come_in_order() -> None:
    with pytest.raises(ValidationError, match="sections must be"):
        series([0, 1]).replace(tilts=series([0, 1]).tilts[::-1])


def test_records_are_frozen_strict_and_validate_replacements() -> None:
    tilt = Tilt(section=0, tilt_deg=3, order=0)
    with pytest.raises(ValidationError, match="frozen"):
        tilt.order = 1  # type: ignore[misc]  # that it is refused is the point
    with pytest.raises(ValidationError, match="there is no field"):
        tilt.replace(tilt_angle=4)
    for tilt_deg in (181, float("nan"), float("inf")):
        with pytest.raises(ValidationError):
            tilt.replace(tilt_deg=tilt_deg)
    assert tilt.replace(order=4).order == 4


def test_used_views_are_those_not_left_out() -> None:
    tilts = tuple(TiltAlignment(section=i, tilt_deg=i, axis_deg=0, used=i != 1) for i in range(3))
    assert [view.section for view in Alignment(pixel_A=1, shape_yx=(2, 2), tilts=tilts).used] == [0, 2]
