"""Records are frozen and strict, and a changed copy is checked as the first was."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from eucentric.core import Angstrom, Degrees, ElectronsPerA2, Record

finite = st.floats(allow_nan=False, allow_infinity=False)
not_finite = st.sampled_from([math.nan, math.inf, -math.inf])


class Inner(Record):
    shift_yx_A: tuple[Angstrom, Angstrom] = (0.0, 0.0)


class Exposure(Record):
    tilt_deg: Degrees
    exposure_e_A2: ElectronsPerA2 = 3.0
    inner: Inner = Inner()


records = st.builds(
    Exposure,
    tilt_deg=finite,
    exposure_e_A2=finite.map(abs),
    inner=st.builds(Inner, shift_yx_A=st.tuples(finite, finite)),
)


@given(record=records)
def test_json_and_back_is_the_same(record: Exposure) -> None:
    assert Exposure.model_validate_json(record.model_dump_json()) == record


@given(record=records, tilt_deg=finite)
def test_replace_changes_one_field_of_a_copy(record: Exposure, tilt_deg: float) -> None:
    before = record.model_dump()
    changed = record.replace(tilt_deg=tilt_deg)
    assert changed.model_dump() == {**before, "tilt_deg": tilt_deg}
    assert record.model_dump() == before
    assert record.replace() == record
    assert changed.replace(tilt_deg=record.tilt_deg) == record


@given(record=records, bad=not_finite)
def test_replace_checks_again(record: Exposure, bad: float) -> None:
    for change in ({"tilt_deg": bad}, {"exposure_e_A2": -1.0}, {"tilt": 0.0}, {"inner": {"shift_yx_A": (bad, 0.0)}}):
        with pytest.raises(ValidationError):
            record.replace(**change)


def test_a_record_cannot_be_changed_and_can_be_a_key() -> None:
    record = Exposure(tilt_deg=3)
    with pytest.raises(ValidationError, match="frozen"):
        record.tilt_deg = 4.0  # type: ignore[misc]  # that it is refused is the point
    assert {record: 1}[Exposure(tilt_deg=3)] == 1


def test_a_misspelt_field_is_an_error_at_any_depth() -> None:
    with pytest.raises(ValidationError, match="tilt_degrees"):
        Exposure.model_validate({"tilt_deg": 0, "tilt_degrees": 3})
    with pytest.raises(ValidationError, match="shift_A"):
        Exposure.model_validate({"tilt_deg": 0, "inner": {"shift_A": (0, 0)}})


def test_a_default_is_checked_too() -> None:
    class Wrong(Record):
        exposure_e_A2: ElectronsPerA2 = -1.0

    with pytest.raises(ValidationError):
        Wrong()


def test_values_that_are_not_finite_survive_json_where_a_field_allows_them() -> None:
    class Score(Record):
        residual_A: float

    text = Score(residual_A=math.nan).model_dump_json()
    assert math.isnan(Score.model_validate_json(text).residual_A)
    assert Score.model_validate_json(Score(residual_A=-math.inf).model_dump_json()).residual_A == -math.inf
