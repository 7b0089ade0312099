"""A series beside its plan: exposures that disagree are told, and what the .mdoc does not give is the plan's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eucentric.core import Tilt, TiltSeries
from eucentric.design import ConstantExposure, ConstantIncrement, Design, DoseSymmetric, Plan
from eucentric.workflow.plan_check import compared_with_plan, planned

PLAN = Design(
    scheme=DoseSymmetric(increment=ConstantIncrement(step_deg=15)), exposure=ConstantExposure(total_e_A2=120)
).plan()


def series_of(plan: Plan, *, times: float = 1.0, known: bool = True) -> TiltSeries:
    tilts = tuple(
        Tilt(
            section=exposure.order,
            order=exposure.order,
            tilt_deg=exposure.tilt_deg + 0.03,
            exposure_e_A2=times * exposure.exposure_e_A2 if known else None,
            pre_exposure_e_A2=times * exposure.pre_exposure_e_A2 if known else None,
        )
        for exposure in plan
    )
    return TiltSeries(name="TS_1", pixel_A=2.0, shape_yx=(64, 64), tilts=tilts, order_known=True)


def test_exposures_that_are_not_those_of_the_plan_are_told() -> None:
    for times in (0.92, 1.0, 1.08):
        series = series_of(PLAN, times=times)
        assert compared_with_plan(series, PLAN, "x.mdoc") == (series, ())
    series = series_of(PLAN, times=1.2)
    kept, (said,) = compared_with_plan(series, PLAN, "x.mdoc")
    assert kept == series
    assert "9 of 9 tilts differ by more than 10 %" in said
    assert "16.00 e/Å², and 13.33 were planned" in said


def test_exposures_that_the_mdoc_does_not_give_are_those_of_the_plan() -> None:
    completed, (said,) = compared_with_plan(series_of(PLAN, known=False), PLAN, "x.mdoc")
    assert "those of the plan were taken" in said
    assert [tilt.exposure_e_A2 for tilt in completed.tilts] == pytest.approx([one.exposure_e_A2 for one in PLAN])
    received = [tilt.pre_exposure_e_A2 for tilt in completed.tilts]
    assert received == pytest.approx([one.pre_exposure_e_A2 for one in PLAN])


def test_skipped_tilts_and_tilts_of_no_plan_are_matched_by_angle() -> None:
    series = series_of(PLAN)
    left = [tilt.replace(section=at, order=at) for at, tilt in enumerate((*series.tilts[:3], *series.tilts[5:]))]
    left[1] = left[1].replace(tilt_deg=7.0)
    found = planned(series.replace(tilts=tuple(left)), PLAN)
    assert [one and one.order for one in found] == [0, None, 2, 5, 6, 7, 8]


@given(skipped=st.sets(st.integers(0, 8), max_size=7), off_deg=st.floats(-1, 1))
def test_every_tilt_finds_its_own_exposure_whatever_was_skipped(skipped: set[int], off_deg: float) -> None:
    left = [exposure for exposure in PLAN if exposure.order not in skipped]
    tilts = tuple(
        Tilt(section=at, order=at, tilt_deg=exposure.tilt_deg + off_deg, exposure_e_A2=3.0)
        for at, exposure in enumerate(left)
    )
    series = TiltSeries(name="TS_1", pixel_A=2.0, shape_yx=(64, 64), tilts=tilts, order_known=True)
    assert planned(series, PLAN) == tuple(left)
