"""The driver over a fake module `serialem` that keeps SerialEM's units, coordinates and manners."""

import math
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_serialem import CAMERA, COMMANDS, FakeSerialEM, SEMerror, SEMexited, SEMmoduleError
from hypothesis import given, settings
from hypothesis import strategies as st

import eucentric.microscope.serialem as driver_module
from eucentric.core import DataWarning, InputError
from eucentric.microscope import (
    BeamLostError,
    ExposureRequest,
    Microscope,
    MicroscopeError,
    MicroscopeTimeoutError,
    MoveRefusedError,
    Purpose,
    StageLimits,
    StoppedError,
)
from eucentric.microscope.contract import MicroscopeContract
from eucentric.microscope.serialem import SerialEM

RATE = 4.0
laws = settings(max_examples=40, deadline=None, derandomize=True)
shifts = st.tuples(st.floats(-50_000, 50_000), st.floats(-50_000, 50_000))


def driver(fake: FakeSerialEM, **changes: Any) -> SerialEM:
    return SerialEM(fake, **{"dose_rate_e_A2_per_s": RATE, "view_dose_rate_e_A2_per_s": 0.02, **changes})


@pytest.fixture
def fake() -> FakeSerialEM:
    return FakeSerialEM()


# The contract. One frame is asked for: SerialEM keeps the movie, and gives the sum.


class TestSerialEM(MicroscopeContract):
    request = ExposureRequest(exposure_e_A2=1.0, frames=1)

    def make(self) -> Microscope:
        return driver(FakeSerialEM())


class TestSerialEMOnScopesWhereImageShiftAddsToBeamShift(MicroscopeContract):
    request = ExposureRequest(exposure_e_A2=1.0, frames=1)

    def make(self) -> Microscope:
        return driver(FakeSerialEM(-97.0, adds_to_beam_shift=True))


class TestSerialEMWithoutLowDose(MicroscopeContract):
    request = ExposureRequest(exposure_e_A2=1.0, frames=1)

    def make(self) -> Microscope:
        fake = FakeSerialEM(low_dose=False)
        fake.pixel_nm = dict.fromkeys(fake.pixel_nm, 100.0)
        return driver(fake)


def test_the_fake_knows_the_commands_that_the_driver_uses_and_no_more() -> None:
    text = Path(driver_module.__file__).read_text(encoding="utf-8")
    used = set(re.findall(r'\b(?:run|ask_one|matrix)\(\s*"(\w+)"', text)) | set(re.findall(r'ask\(\d, "(\w+)"', text))
    used.remove("SetBufferImageTimeout")  # of the module, and not in the list
    assert used | {"Record", "View", "Trial", "Focus", "Search"} == set(COMMANDS)


# Frames, units and signs


def test_an_image_shift_along_the_axis_is_along_serialems_x(fake: FakeSerialEM) -> None:
    scope = driver(fake)
    assert scope.set_image_shift_A((20_000.0, 5_000.0)) == pytest.approx((20_000.0, 5_000.0))
    assert fake.image_um == pytest.approx((2.0, -0.5))  # X along the axis; Y the other way from our x


def test_where_the_header_angle_is_turned_both_directions_are(fake: FakeSerialEM) -> None:
    fake.properties["InvertStageXAxis"] = 1.0  # RotateHeaderAngleBy180 is not set and follows it
    scope = driver(fake)
    scope.set_image_shift_A((20_000.0, 5_000.0))
    assert fake.image_um == pytest.approx((-2.0, 0.5))
    assert scope.expose(ExposureRequest(exposure_e_A2=1.0)).readback.axis_deg == pytest.approx(173.0)


def test_a_set_property_overrides_the_stages_axis(fake: FakeSerialEM) -> None:
    fake.properties.update(InvertStageXAxis=1.0, RotateHeaderAngleBy180=0.0)
    assert driver(fake).expose(ExposureRequest(exposure_e_A2=1.0)).readback.axis_deg == pytest.approx(-7.0)


@pytest.mark.parametrize(("rotation_deg", "axis_deg"), [(83.0, -7.0), (90.0, 0.0), (176.7, 86.7), (-100.0, 170.0)])
def test_the_axis_angle_is_that_of_the_mdoc(rotation_deg: float, axis_deg: float) -> None:
    scope = driver(FakeSerialEM(rotation_deg))  # the .mdoc has SerialEM's rotation less 90 degrees
    assert scope.expose(ExposureRequest(exposure_e_A2=1.0)).readback.axis_deg == pytest.approx(axis_deg)


def test_what_lies_along_the_axis_is_seen_where_the_axis_angle_says(fake: FakeSerialEM) -> None:
    scope = driver(fake)
    readback = scope.expose(ExposureRequest(exposure_e_A2=1.0)).readback
    scope.set_image_shift_A((10_000.0, 0.0))
    seen = fake.camera_from_specimen() @ fake.image_um  # where the place now centred was, in the camera, y upward
    axis = math.radians(readback.axis_deg)
    assert seen == pytest.approx((-math.sin(axis), math.cos(axis)))  # counter-clockwise from the image's y axis


@laws
@given(st.floats(-900, 900), st.floats(-900, 900), shifts)
def test_stage_and_image_shift_count_the_same_way(x_um: float, y_um: float, shift: tuple[float, float]) -> None:
    fake = FakeSerialEM()
    scope = driver(fake)
    fake.stage_um[:2] = x_um, y_um
    here = scope.stage()
    scope.set_image_shift_A(shift)
    # SerialEM's stage coordinate of a point is the readout that brings it to the centre: that of the point now seen.
    fake.stage_um[:2] += np.linalg.solve(fake.stage2specimen, fake.image_um)
    there = scope.stage()
    assert (there.y_A - here.y_A, there.x_A - here.x_A) == pytest.approx(shift, abs=0.1)


def test_the_stage_is_moved_in_serialems_coordinates(fake: FakeSerialEM) -> None:
    fake.stage2specimen = -np.eye(2)
    scope = driver(fake)
    fake.stage_um[:] = 0.0, 7.0, 12.0
    scope.move_stage(y_A=100_000.0)
    assert fake.stage_um == pytest.approx((-10.0, 7.0, 12.0))
    assert fake.log[-3] == ("MoveStageTo", pytest.approx(-10.0), pytest.approx(7.0))  # z is not named
    scope.move_stage(x_A=-30_000.0, z_A=50_000.0)
    assert fake.stage_um == pytest.approx((-10.0, -3.0, 5.0))
    before = len(fake.log)
    scope.move_stage()
    assert "MoveStageTo" not in {name for name, *_ in fake.log[before:]}


def test_underfocus_is_negative_for_serialem(fake: FakeSerialEM) -> None:
    scope = driver(fake)
    assert scope.defocus_A() == 30_000.0
    scope.set_defocus_A(45_000.0)
    assert fake.defocus_um == pytest.approx(-4.5)


@pytest.mark.parametrize("adds_to_beam_shift", [False, True])
@laws
@given(st.lists(st.tuples(st.booleans(), shifts), max_size=6), st.floats(-180, 180))
def test_the_beam_is_where_it_is_said_to_be(
    adds_to_beam_shift: bool, moves: list[tuple[bool, tuple[float, float]]], rotation_deg: float
) -> None:
    fake = FakeSerialEM(rotation_deg, adds_to_beam_shift=adds_to_beam_shift)
    scope = driver(fake)
    beam, image = (0.0, 0.0), (0.0, 0.0)
    for of_image, to in moves:
        if of_image:
            scope.set_image_shift_A(to)
            image = to
        else:
            scope.set_beam_shift_A(to)
            beam = to
        assert fake.beam_um() * 1e4 == pytest.approx((beam[0], -beam[1]), abs=0.1)
        assert scope.beam_shift_A() == pytest.approx(beam, abs=0.1)
        assert scope.image_shift_A() == pytest.approx(image, abs=0.1)


def test_the_beams_units_are_found_once_for_a_magnification(fake: FakeSerialEM) -> None:
    scope = driver(fake)
    for y_A in (100.0, 200.0, 300.0):
        scope.set_beam_shift_A((y_A, 0.0))
    assert sum(name == "MoveBeamByMicrons" for name, *_ in fake.log) == 2
    fake.pixel_nm["R"] = 0.2
    scope.set_beam_shift_A((0.0, 0.0))
    assert sum(name == "MoveBeamByMicrons" for name, *_ in fake.log) == 4
    assert fake.beam_shift == pytest.approx(fake.beam_zero)


def test_an_exposure_alone_never_moves_the_beam(fake: FakeSerialEM) -> None:
    driver(fake).expose(ExposureRequest(exposure_e_A2=1.0))
    assert not {name for name, *_ in fake.log} & {"MoveBeamByMicrons", "SetBeamShift", "ImageShiftByMicrons"}


def test_the_beam_tilt_goes_through_its_matrix(fake: FakeSerialEM) -> None:
    """From the operator's alignment, which the fake has at (0.2, 0.1) and which a later driver is told of."""
    first = driver(fake)
    first.set_beam_tilt_mrad((3.0, -4.0))
    assert fake.beam_tilt == pytest.approx((3.2, 4.1))  # the default: SerialEM's specimen axes, mrad
    zero = first.beam_tilt_zero()
    assert zero == pytest.approx((0.2, 0.1))
    # Per cent of full scale, a quarter turn off.
    scope = driver(fake, beam_tilt_matrix=((0.0, 5.0), (-5.0, 0.0)), beam_tilt_zero=zero)
    assert scope.set_beam_tilt_mrad((3.0, -4.0)) == pytest.approx((3.0, -4.0))
    assert fake.beam_tilt == pytest.approx((-19.8, -14.9))
    scope.set_beam_tilt_mrad((0.0, 0.0))
    assert fake.beam_tilt == pytest.approx((0.2, 0.1))


def test_limits_are_the_narrower_of_those_given_and_serialems(fake: FakeSerialEM) -> None:
    assert driver(fake).limits() == StageLimits(tilt_deg=(-69.9, 69.9), shift_A=150_000.0)
    given_limits = StageLimits(tilt_deg=(-60.0, 80.0), shift_A=1e4, beam_tilt_mrad=7.0)
    assert driver(fake, limits=given_limits).limits() == given_limits.replace(tilt_deg=(-60.0, 69.9))


def test_what_is_refused_never_reaches_serialem(fake: FakeSerialEM) -> None:
    scope = driver(fake)
    fake.log.clear()
    for refused in (
        lambda: scope.tilt_to(70.0),
        lambda: scope.move_stage(y_A=1e9),
        lambda: scope.set_image_shift_A((1.6e5, 0.0)),
        lambda: scope.set_beam_shift_A((0.0, math.nan)),
        lambda: scope.set_beam_tilt_mrad((21.0, 0.0)),
        lambda: scope.set_defocus_A(math.nan),
        lambda: scope.set_defocus_A(-6e7),
    ):
        with pytest.raises(MoveRefusedError, match="nothing"):
            refused()
    assert not fake.log


def test_lenses_are_those_of_the_record_area(fake: FakeSerialEM) -> None:
    scope = driver(fake)
    scope.view(50_000.0, 16)
    assert fake.area == "V"
    assert scope.defocus_A() == 30_000.0  # not that of the View area, 200 µm further down
    assert fake.area == "R"


# Exposures


@pytest.mark.parametrize(
    ("purpose", "area", "seconds"),
    [("record", "R", 0.5), ("track", "T", 0.5), ("focus", "F", 0.5), ("view", "V", 100.0), ("search", "S", 100.0)],
)
def test_an_exposure_is_of_its_area_and_of_a_time_from_the_dose_rate(
    fake: FakeSerialEM, purpose: Purpose, area: str, seconds: float
) -> None:
    movie = driver(fake).expose(ExposureRequest(exposure_e_A2=2.0, purpose=purpose))
    [(shot, taken_s)] = fake.shots
    assert shot == area
    assert taken_s == pytest.approx(seconds)
    assert movie.readback.purpose == purpose
    assert movie.readback.exposure_e_A2 == pytest.approx(2.0)
    assert movie.pixel_A == pytest.approx(10 * fake.pixel_nm[area])


def test_the_exposure_is_what_the_camera_took_and_not_what_was_asked(fake: FakeSerialEM) -> None:
    fake.camera_step_s = 0.3
    readback = driver(fake).expose(ExposureRequest(exposure_e_A2=2.0)).readback
    assert (readback.seconds, readback.exposure_e_A2) == pytest.approx((0.6, 0.6 * RATE))


def test_views_count_with_records_rate_where_none_is_given(fake: FakeSerialEM) -> None:
    view = driver(fake, view_dose_rate_e_A2_per_s=None).view(50_000.0, 16)
    assert view.readback.exposure_e_A2 == pytest.approx(0.5 * RATE)


def test_frames_are_for_serialem_to_save(fake: FakeSerialEM) -> None:
    scope = driver(fake)
    movie = scope.expose(ExposureRequest(exposure_e_A2=2.0, frames=10))
    assert fake.frame_s == {"R": pytest.approx(0.05)}
    assert movie.frames.shape == (1, CAMERA[1], CAMERA[0])  # the sum, and nothing that was not measured
    order = [name for name, *_ in fake.log if name in ("SetExposure", "SetFrameTime", "Record")]
    assert order == ["SetExposure", "SetFrameTime", "Record"]
    scope.expose(ExposureRequest(exposure_e_A2=2.0))
    assert sum(name == "SetFrameTime" for name, *_ in fake.log) == 1


def test_row_0_is_at_the_bottom(fake: FakeSerialEM) -> None:
    shown = np.arange(CAMERA[0] * CAMERA[1], dtype=np.uint16).reshape(CAMERA[::-1])
    fake.next_image = lambda _: shown
    movie = driver(fake).expose(ExposureRequest(exposure_e_A2=1.0))
    assert np.array_equal(movie.frames[0, -1], shown[0])  # SerialEM has the top row first
    assert np.array_equal(movie.frames[0, 0], shown[-1])


@pytest.mark.parametrize(
    ("shown", "kind"),
    [
        (np.full((4, 6), 9, np.uint8), np.uint8),
        (np.full((4, 6), 9, np.int16), np.uint16),
        (np.full((4, 6), 9.4, np.float32), np.uint16),
        (np.full((4, 6), 70_000.0, np.float32), np.uint32),
    ],
)
def test_images_become_whole_counts(fake: FakeSerialEM, shown: Any, kind: Any) -> None:
    fake.next_image = lambda _: shown
    movie = driver(fake).expose(ExposureRequest(exposure_e_A2=1.0))
    assert movie.frames.dtype == kind
    assert np.all(movie.frames == round(float(shown[0, 0])))


def test_pixels_below_zero_are_cut_off_and_told(fake: FakeSerialEM) -> None:
    fake.next_image = lambda _: np.array([[-3, 4], [5, 6]], np.int16)
    with pytest.warns(DataWarning, match="below 0"):
        movie = driver(fake).expose(ExposureRequest(exposure_e_A2=1.0))
    assert movie.frames.tolist() == [[[5, 6], [0, 4]]]
    assert (movie.readback.counts_min, movie.readback.counts_max, movie.readback.counts_mean) == (0.0, 6.0, 3.75)


def test_the_cameras_dose_rate_is_measured_or_else_expected(fake: FakeSerialEM) -> None:
    scope = driver(fake)
    assert scope.expose(ExposureRequest(exposure_e_A2=1.0)).readback.dose_rate_e_px_s == 12.0
    fake.counts_per_electron, fake.binning = 0.0, 2.0
    movie = scope.expose(ExposureRequest(exposure_e_A2=1.0))
    assert movie.readback.dose_rate_e_px_s == pytest.approx(RATE * 1.5**2)  # of the camera's pixel, and not of
    assert movie.pixel_A == pytest.approx(3.0)  # the image's


def test_a_view_is_the_mean_over_the_middle_of_the_image(fake: FakeSerialEM) -> None:
    rows, columns = np.indices(CAMERA[::-1])
    fake.next_image = lambda _: (1000 + 2 * (rows[::-1] - 32) + 3 * (columns - 48)).astype(np.uint16)
    view = driver(fake).view(32_000.0, 8)  # View pixels are 1000 Å: 32 of them, 4 in each of ours
    yx = np.indices((8, 8)) - 4
    assert view.pixels == pytest.approx(1000 + 2 * 4 * yx[0] + 3 * 4 * yx[1], abs=0.01)
    assert view.pixel_A == 4000.0
    assert ("SetCameraArea", "V", "F") in fake.log


@laws
@given(st.floats(1.0, 64.0), st.integers(1, 90))
def test_a_view_of_something_even_is_even(field_um: float, pixels: int) -> None:
    fake = FakeSerialEM()
    fake.pixel_nm["V"] = 1000.0
    fake.next_image = lambda _: np.full(CAMERA[::-1], 123, np.uint16)
    view = driver(fake).view(field_um * 1e4, pixels)
    assert view.pixels.shape == (pixels, pixels)
    assert view.pixels == pytest.approx(123.0)


def test_a_view_wider_than_the_view_area_is_refused_unexposed(fake: FakeSerialEM) -> None:
    scope = driver(fake)
    with pytest.raises(MicroscopeError, match="nothing was exposed") as refused:
        scope.view(64_001.0, 8)
    assert refused.value.delivered_e_A2 == 0
    for field_A, pixels in ((0.0, 8), (math.inf, 8), (100.0, 0)):
        with pytest.raises(InputError, match="no view"):
            scope.view(field_A, pixels)
    assert not fake.shots


# What goes wrong


ONE = ExposureRequest(exposure_e_A2=1.0, frames=2)
BEFORE = ["ReportStageXYZ", "ReportDefocus", "SetExposure", "SetFrameTime", "ReportCurrentPixelSize"]
AFTER = ["Record", "ImageProperties", "bufferImage"]
EVERY_ERROR = [SEMerror("it failed"), SEMmoduleError("PySEMSocket: send error 10054"), SEMexited("User STOP")]


@pytest.mark.parametrize("error", EVERY_ERROR, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("command", BEFORE + AFTER)
def test_what_was_delivered_is_unknown_from_the_command_on(fake: FakeSerialEM, command: str, error: Exception) -> None:
    scope = driver(fake)
    fake.failing[command] = [error, error]
    with pytest.raises(MicroscopeError, match=re.escape(str(error))) as raised:
        scope.expose(ONE)
    assert isinstance(raised.value, MicroscopeTimeoutError) == isinstance(error, SEMmoduleError)
    assert isinstance(raised.value, StoppedError) == isinstance(error, SEMexited)
    assert raised.value.delivered_e_A2 == (0.0 if command in BEFORE else None)
    assert bool(fake.shots) == (command in ("ImageProperties", "bufferImage"))


def test_a_command_that_exposes_is_never_repeated_but_an_image_is_fetched_again(fake: FakeSerialEM) -> None:
    scope = driver(fake)
    fake.failing["bufferImage"] = [SEMmoduleError("PySEMSocket: Timeout while receiving image")]
    assert scope.expose(ONE).frames.any()
    fake.failing["Record"] = [SEMmoduleError("PySEMSocket: recv error 10060 on trial 1")]
    with pytest.raises(MicroscopeTimeoutError, match="not known"):
        scope.expose(ONE)
    assert sum(name == "Record" for name, *_ in fake.log) == 2


@pytest.mark.parametrize("valve", [0.0, -1.0])
def test_no_open_valve_is_no_beam(fake: FakeSerialEM, valve: float) -> None:
    fake.valve = valve
    scope = driver(fake)
    assert not scope.beam_on()
    with pytest.raises(BeamLostError, match="nothing was exposed") as lost:
        scope.expose(ONE)
    assert lost.value.delivered_e_A2 == 0
    assert not fake.shots


@pytest.mark.parametrize("with_an_error", [False, True])
def test_a_beam_lost_while_exposing_leaves_the_exposure_unknown(
    fake: FakeSerialEM, with_an_error: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope = driver(fake)

    def record() -> None:
        fake.valve = 0.0
        if with_an_error:
            raise SEMerror("no image")

    monkeypatch.setattr(fake, "do_Record", record)
    with pytest.raises(BeamLostError, match="not known") as lost:
        scope.expose(ONE)
    assert lost.value.delivered_e_A2 is None


@pytest.mark.parametrize("shown", [np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.complex64)])
def test_a_buffer_without_an_image_of_counts_is_refused(fake: FakeSerialEM, shown: Any) -> None:
    fake.next_image = lambda _: shown
    fake.instead["ImageProperties"] = (6.0, 4.0, 1.0, 1.0, 0.15, 3.0)
    with pytest.raises(MicroscopeError, match="no image of counts") as refused:
        driver(fake).expose(ONE)
    assert refused.value.delivered_e_A2 is None


@pytest.mark.parametrize("said", [None, 1.0, (4.0, 6.0, 1.0), (6.0, 4.0, 1.0, 0.0, 0.15, 3.0), (6.0, "x", 1, 1, 1)])
def test_properties_that_are_none_leave_the_exposure_unknown(fake: FakeSerialEM, said: Any) -> None:
    fake.instead["ImageProperties"] = said
    with pytest.raises(MicroscopeError) as raised:
        driver(fake).expose(ONE)
    assert raised.value.delivered_e_A2 is None


def test_what_is_not_calibrated_is_told_before_anything_moves(fake: FakeSerialEM) -> None:
    scope = driver(fake)
    fake.failing["MoveBeamByMicrons"] = [SEMerror("a beam shift calibration is not available for line:")] * 2
    for move in (scope.set_beam_shift_A, scope.set_image_shift_A):
        with pytest.raises(MicroscopeError, match="calibration is not available"):
            move((1000.0, 0.0))
    assert not fake.image_um.any()
    assert fake.beam_shift == pytest.approx(fake.beam_zero)
    fake.instead["SpecimenToCameraMatrix"] = (0.0, 0.0, 0.0, 0.0)
    with pytest.raises(MicroscopeError, match="not calibrated") as raised:
        scope.expose(ONE)
    assert raised.value.delivered_e_A2 == 0
    assert not fake.shots


def test_a_pixel_size_that_is_none_is_told_before_the_exposure(fake: FakeSerialEM) -> None:
    fake.instead["ReportCurrentPixelSize"] = 0.0
    with pytest.raises(MicroscopeError, match="nothing was exposed"):
        driver(fake).expose(ONE)
    assert not fake.shots


def test_refusals_of_serialem_itself_moved_nothing(fake: FakeSerialEM) -> None:
    scope = driver(fake)
    fake.properties.update(MaximumTiltAngle=40.0, ImageShiftLimit=1.0)  # changed behind the driver's back
    with pytest.raises(MoveRefusedError, match="too high"):
        scope.tilt_to(50.0)
    beam = fake.beam_um()
    with pytest.raises(MoveRefusedError, match="nothing moved"):
        scope.set_image_shift_A((20_000.0, 0.0))
    assert not fake.image_um.any()
    assert fake.beam_um() == pytest.approx(beam)


@pytest.mark.parametrize("error", [TimeoutError("no reply"), SEMerror("Timed out waiting for stage ready")])
def test_a_move_without_an_answer_is_a_timeout_that_exposed_nothing(fake: FakeSerialEM, error: Exception) -> None:
    scope = driver(fake)
    fake.failing["TiltTo"] = [error]
    with pytest.raises(MicroscopeTimeoutError, match="whether it was done is not known") as raised:
        scope.tilt_to(10.0)
    assert raised.value.delivered_e_A2 == 0


def test_the_clock_stands_still_when_another_script_resets_it(fake: FakeSerialEM) -> None:
    scope = driver(fake)
    scope.wait(60.0)
    before = scope.now()
    fake.do_ResetClock()
    assert scope.now() == before
    scope.wait(90.0)
    assert timedelta(seconds=29) < scope.now() - before < timedelta(seconds=31)


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("name", ["dose_rate_e_A2_per_s", "view_dose_rate_e_A2_per_s"])
def test_a_dose_rate_that_is_none_is_refused(fake: FakeSerialEM, name: str, rate: float) -> None:
    with pytest.raises(InputError, match="dose rate"):
        driver(fake, **{name: rate})
    assert not fake.log


def test_a_beam_tilt_matrix_without_an_inverse_is_refused(fake: FakeSerialEM) -> None:
    with pytest.raises(InputError, match="inverted"):
        driver(fake, beam_tilt_matrix=((1.0, 2.0), (2.0, 4.0)))


# Connecting


def test_without_the_module_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serialem", None)
    with pytest.raises(MicroscopeError, match="PythonModules") as raised:
        SerialEM.connect(dose_rate_e_A2_per_s=RATE)
    assert raised.value.delivered_e_A2 == 0


def test_connecting_comes_first_and_control_is_given_back(monkeypatch: pytest.MonkeyPatch, fake: FakeSerialEM) -> None:
    monkeypatch.setitem(sys.modules, "serialem", fake)
    scope = SerialEM.connect("10.0.0.5", 48890, dose_rate_e_A2_per_s=RATE)
    assert fake.log[:2] == [("ConnectToSEM", 48890, "10.0.0.5"), ("NoMessageBoxOnError",)]
    assert ("SetBufferImageTimeout", 30.0) in fake.log
    scope.close()
    assert fake.log[-1] == ("Exit", 1)


@pytest.mark.parametrize(
    "error", [SEMmoduleError("PySEMSocket: Error connecting to Server socket (10061)"), ConnectionRefusedError("no")]
)
def test_a_refused_connection_says_what_to_look_at(
    monkeypatch: pytest.MonkeyPatch, fake: FakeSerialEM, error: Exception
) -> None:
    monkeypatch.setitem(sys.modules, "serialem", fake)
    fake.failing["ConnectToSEM"] = [error]
    with pytest.raises(MicroscopeError, match="EnableExternalPython"):
        SerialEM.connect(dose_rate_e_A2_per_s=RATE)


def test_an_older_module_without_a_time_limit_for_images_will_do(
    fake: FakeSerialEM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(FakeSerialEM, "SetBufferImageTimeout")
    assert driver(fake).beam_on()


def test_a_busy_serialem_is_said_to_be_busy(monkeypatch: pytest.MonkeyPatch, fake: FakeSerialEM) -> None:
    monkeypatch.setitem(sys.modules, "serialem", fake)
    fake.failing["NoMessageBoxOnError"] = [SEMmoduleError("SerialEM is busy and not ready to run a script")]
    with pytest.raises(MicroscopeError, match="busy"):
        SerialEM.connect(dose_rate_e_A2_per_s=RATE)
