import math
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from eucentric.design import Stage
from eucentric.microscope import (
    BeamLostError,
    ExposureRequest,
    MicroscopeError,
    MicroscopeTimeoutError,
    MoveRefusedError,
    Movie,
    Readback,
    StageLimits,
    StagePosition,
)

laws = settings(max_examples=60, deadline=None, derandomize=True)
AXES = ["tilt_deg", "y_A", "x_A", "z_A"]

READBACK = Readback(
    purpose="record",
    stage=StagePosition(tilt_deg=-12.0),
    defocus_A=30_000.0,
    exposure_e_A2=3.0,
    dose_rate_e_px_s=5.0,
    began=datetime(2026, 3, 1),
    seconds=1.0,
)


@laws
@given(st.sampled_from(AXES), st.floats(-100, 100), st.floats(0.1, 100), st.floats(-300, 300))
def test_a_place_is_refused_where_it_is_beyond_its_own_limits(axis: str, low: float, span: float, to: float) -> None:
    limits = StageLimits(**{axis: (low, low + span)})
    if low <= to <= low + span:
        limits.check(**{axis: to})
    else:
        with pytest.raises(MoveRefusedError, match=axis):
            limits.check(**{axis: to})


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("place", [math.nan, math.inf, -math.inf])
def test_what_is_no_place_is_refused(axis: str, place: float) -> None:
    with pytest.raises(MoveRefusedError, match="nothing moved"):
        StageLimits().check(**{axis: place})


@laws
@given(st.floats(0, 360), st.floats(0, 2))
def test_a_shift_has_one_limit_in_every_direction(direction_deg: float, share: float) -> None:
    limits = StageLimits(shift_A=1000.0)
    direction = math.radians(direction_deg)
    yx_A = (share * 1000 * math.sin(direction), share * 1000 * math.cos(direction))
    if share < 1 - 1e-9:  # the last digits of sine and cosine decide nothing
        limits.check_shift(yx_A)
    elif share > 1 + 1e-9:
        with pytest.raises(MoveRefusedError, match="beam shift"):
            limits.check_shift(yx_A, "beam shift")


def test_nothing_asked_is_nothing_refused() -> None:
    StageLimits().check()


def test_the_tilts_are_those_that_a_design_may_ask_for() -> None:
    stage = Stage()
    assert StageLimits().tilt_deg == (stage.min_deg, stage.max_deg)


@pytest.mark.parametrize("axis", AXES)
def test_limits_that_leave_no_room_are_refused(axis: str) -> None:
    with pytest.raises(ValidationError, match="from the lower limit"):
        StageLimits(**{axis: (5.0, 5.0)})


@pytest.mark.parametrize("wrong", [{"exposure_e_A2": 0.0}, {"exposure_e_A2": math.nan}, {"frames": 0}, {"purpose": ""}])
def test_an_exposure_of_nothing_cannot_be_asked_for(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ExposureRequest(**{"exposure_e_A2": 1.0, **wrong})


@pytest.mark.parametrize("frames", [np.zeros((3, 4), np.uint8), np.zeros((1, 3, 4), np.int16), np.zeros((1, 3, 4))])
def test_frames_that_are_no_counts_are_refused_with_what_they_cost(frames: Any) -> None:
    with pytest.raises(MicroscopeError, match="unsigned counts") as refused:
        Movie(frames, 1.0, READBACK)
    assert refused.value.delivered_e_A2 == READBACK.exposure_e_A2


def test_a_readback_has_the_tilt_of_its_stage() -> None:
    assert Movie(np.zeros((1, 2, 2), np.uint16), 1.0, READBACK).readback.tilt_deg == -12.0


def test_only_a_timeout_does_not_know_what_was_delivered() -> None:
    assert MicroscopeTimeoutError("No answer.").delivered_e_A2 is None
    assert MicroscopeError("It failed.").delivered_e_A2 == 0.0
    assert BeamLostError("The beam went.", delivered_e_A2=1.5).delivered_e_A2 == 1.5
