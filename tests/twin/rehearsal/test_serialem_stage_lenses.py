"""Stage and lenses of the simulated SerialEM, held against SerialEM's help and against what is true of the twin."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serialem_cases import PIXEL_A, UM, Rig, make, matrix

from eucentric.twin.mechanics import StageErrors
from eucentric.twin.serialem.errors import NotSimulatedError, SEMerror

laws = settings(max_examples=20)
places_um = st.tuples(st.floats(-6, 6), st.floats(-6, 6))
tilts_deg = st.floats(-65, 65)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return make(tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder for microscopes that are made anew for each example."""
    return tmp_path_factory.mktemp("lenses")


# Matrices


@pytest.mark.parametrize(("first", "second"), [*itertools.combinations(["IS", "Stage", "Specimen", "Camera"], 2)])
def test_matrices_back_and_forth_are_inverses(rig: Rig, first: str, second: str) -> None:
    there, back = (matrix(getattr(rig.sem, f"{a}To{b}Matrix")(0)) for a, b in ((first, second), (second, first)))
    np.testing.assert_allclose(there @ back, np.eye(2), atol=1e-9)


def test_matrices_on_the_way_through_the_specimen_are_those_straight(rig: Rig) -> None:
    for first in ("IS", "Stage"):
        to_specimen = matrix(getattr(rig.sem, f"{first}ToSpecimenMatrix")(0))
        straight = matrix(getattr(rig.sem, f"{first}ToCameraMatrix")(0))
        np.testing.assert_allclose(matrix(rig.sem.SpecimenToCameraMatrix(0)) @ to_specimen, straight, atol=1e-9)


def test_the_camera_lies_as_the_tilt_axis_says_and_counts_pixels_of_its_area(rig: Rig) -> None:
    """X of the specimen is along the axis: IMOD's angle is from the camera's Y, counter-clockwise."""
    for area, pixel_A in (("R", PIXEL_A), ("V", 3 * PIXEL_A), ("S", 12 * PIXEL_A)):
        rig.sem.GoToLowDoseArea(area)
        along = matrix(rig.sem.SpecimenToCameraMatrix(0))[:, 0]
        assert np.hypot(*along) == pytest.approx(UM / pixel_A)
        axis_deg = math.degrees(math.atan2(along[1], along[0])) - 90
        assert axis_deg == pytest.approx(rig.twin.told_axis_deg, abs=1e-9)


# Image shift


@laws
@given(places_um, places_um)
def test_image_shifts_in_um_units_pixels_and_stage_moves_are_one(
    folder: Path, start: tuple[float, float], by: tuple[float, float]
) -> None:
    rig = make(folder)
    sem, told = rig.sem, []
    units, pixels = (matrix(values) @ by for values in (sem.SpecimenToISMatrix(0), sem.SpecimenToCameraMatrix(0)))
    for shift, amount in (
        (sem.ImageShiftByMicrons, by),
        (sem.ImageShiftByUnits, units),
        (sem.ImageShiftByPixels, pixels),
    ):
        sem.SetImageShift(*(matrix(sem.SpecimenToISMatrix(0)) @ start))
        assert shift(*amount) == 0.0
        told.append((*sem.ReportImageShift(), *sem.ReportSpecimenShift()))
    np.testing.assert_allclose(told[1:], [told[0]] * 2, atol=1e-6)
    now = np.array(start) + by
    np.testing.assert_allclose(told[0][6:], now, atol=1e-9)
    np.testing.assert_allclose(matrix(sem.ISToSpecimenMatrix(0)) @ told[0][:2], now, atol=1e-9)
    np.testing.assert_allclose(told[0][2:4], matrix(sem.SpecimenToCameraMatrix(0)) @ now, atol=1e-6)
    np.testing.assert_allclose(matrix(sem.StageToSpecimenMatrix(0)) @ told[0][4:6], now, atol=1e-9)


def test_what_is_set_as_image_shift_is_reported(rig: Rig) -> None:
    assert rig.sem.SetImageShift(2.5, -1.5) == 0.0
    assert rig.sem.ReportImageShift()[:2] == pytest.approx((2.5, -1.5))


@laws
@given(places_um)
def test_a_stage_move_and_the_image_shift_of_its_matrix_show_one_place(folder: Path, by: tuple[float, float]) -> None:
    moved, shifted = make(folder), make(folder)
    moved.sem.MoveStage(*by)
    shifted.sem.ImageShiftByMicrons(*(matrix(shifted.sem.StageToSpecimenMatrix(0)) @ by))
    centre_A = moved.centre_A()
    np.testing.assert_allclose(centre_A, shifted.centre_A(), atol=1e-3)
    assert float(np.linalg.norm(centre_A)) == pytest.approx(UM * math.hypot(*by), abs=1e-3)


def test_specimen_x_is_along_the_tilt_axis_and_y_stands_on_its_left(rig: Rig) -> None:
    """Ours are zyx with y the axis: y is X, x is -Y."""
    rig.sem.ImageShiftByMicrons(2.0, 0.5)
    np.testing.assert_allclose(rig.centre_A(), (0.0, 20_000.0, -5_000.0), atol=1e-6)


@pytest.mark.parametrize("command", ["ImageShiftByMicrons", "ImageShiftByUnits", "ImageShiftByPixels", "SetImageShift"])
def test_an_image_shift_beyond_the_limit_is_told_by_1_and_nothing_moves(rig: Rig, command: str) -> None:
    rig.sem.ImageShiftByMicrons(3.0, 4.0)
    before, state = rig.sem.ReportImageShift(), rig.twin.state()
    far = 25.0 * UM / PIXEL_A if command == "ImageShiftByPixels" else 25.0
    assert getattr(rig.sem, command)(far, 0.0) == 1.0
    assert rig.sem.ReportImageShift() == before
    assert rig.twin.state() == state
    assert rig.bench.refused == []  # SerialEM has no error for it


def test_the_limit_is_serialems_property_and_can_be_set(rig: Rig) -> None:
    assert rig.sem.ReportProperty("ImageShiftLimit") == 20.0
    rig.sem.SetProperty("ImageShiftLimit", 5)
    assert rig.sem.ImageShiftByMicrons(5.1, 0.0) == 1.0
    assert rig.sem.ImageShiftByMicrons(4.9, 0.0) == 0.0


def test_settling_takes_time_in_proportion_and_none_where_none_is_asked_for(rig: Rig) -> None:
    waits = []
    for settle in ((), (0.0,), (1.0,), (2.0,)):
        before = rig.twin.now()
        rig.sem.ImageShiftByMicrons(0.1, 0.0, *settle)
        waits.append((rig.twin.now() - before).total_seconds())
    assert waits[:2] == [0.0, 0.0]
    assert waits[2] > 0
    assert waits[3] == pytest.approx(2 * waits[2])


@pytest.mark.parametrize("tilt_deg", [0.0, 40.0, -60.0])
def test_resetting_the_image_shift_keeps_the_place_in_the_centre(rig: Rig, tilt_deg: float) -> None:
    """Across the axis the stage has farther to go where the specimen is seen foreshortened."""
    rig.sem.TiltTo(tilt_deg)
    rig.sem.ImageShiftByMicrons(3.0, 2.0)
    x, y, _ = rig.sem.ReportStageXYZ()
    needed = rig.sem.ReportImageShift()[4:6]
    before_A = rig.centre_A()
    rig.sem.ResetImageShift()
    np.testing.assert_allclose(rig.centre_A(), before_A, atol=1.0)
    assert rig.sem.ReportSpecimenShift() == pytest.approx((0.0, 0.0), abs=1e-9)
    assert rig.sem.ReportStageXYZ()[:2] == pytest.approx((x + needed[0], y + needed[1]))


# The stage


@laws
@given(places_um, st.floats(-20, 20))
def test_the_stage_is_where_it_was_told_to_go(folder: Path, to: tuple[float, float], z_um: float) -> None:
    rig = make(folder)
    rig.sem.MoveStageTo(*to, z_um)
    assert rig.sem.ReportStageXYZ() == pytest.approx((*to, z_um), abs=1e-6)
    rig.sem.MoveStageTo(*to[::-1])
    assert rig.sem.ReportStageXYZ() == pytest.approx((*to[::-1], z_um), abs=1e-6)
    rig.sem.MoveStage(1.0, -2.0)
    assert rig.sem.ReportStageXYZ() == pytest.approx((to[1] + 1, to[0] - 2, z_um), abs=1e-6)
    rig.sem.MoveStage(0.0, 0.0, 0.5)
    assert rig.sem.ReportStageXYZ()[2] == pytest.approx(z_um + 0.5)


def test_tilts_up_down_and_by(rig: Rig) -> None:
    told = []
    for tilt in (lambda: rig.sem.TiltTo(10), rig.sem.TiltUp, rig.sem.U, rig.sem.D, lambda: rig.sem.TiltBy(-20.5)):
        tilt()
        told.append(rig.sem.ReportTiltAngle())
    assert told == pytest.approx([10.0, 13.0, 16.0, 13.0, -7.5])


@pytest.mark.parametrize("tilt_deg", [75.0, -75.0, math.nan])
def test_a_tilt_beyond_the_limit_is_an_error_and_nothing_moves(rig: Rig, tilt_deg: float) -> None:
    rig.sem.TiltTo(12)
    state = rig.twin.state()
    with pytest.raises(SEMerror, match="limits are -70 and 70; nothing moved"):
        rig.sem.TiltTo(tilt_deg)
    assert rig.twin.state() == state
    assert [one.command for one in rig.bench.refused] == ["TiltTo"]


# Tilt, height and focus


@pytest.mark.parametrize("focus_um", [-3.0, 0.0, 1.5])
def test_underfocus_is_negative(rig: Rig, focus_um: float) -> None:
    rig.sem.SetDefocus(focus_um)
    rig.sem.Record()
    assert rig.last.defocus_A == pytest.approx(-focus_um * UM)
    assert rig.sem.ReportDefocus() == pytest.approx(focus_um)
    rig.sem.ChangeFocus(-0.5)
    assert rig.sem.ReportDefocus() == pytest.approx(focus_um - 0.5)
    rig.sem.SetTargetDefocus(-4)
    assert rig.sem.ReportTargetDefocus() == -4.0
    assert rig.sem.ReportDefocus() == pytest.approx(focus_um - 0.5)  # a target moves no lens


@laws
@given(st.floats(-8, 8), st.floats(-3, 3), tilts_deg)
def test_a_target_moves_and_goes_out_of_focus_by_pacetomos_formulas(
    folder: Path, across_um: float, height_um: float, tilt_deg: float
) -> None:
    """At specimen Y = n, height z: seen at n cos t - z sin t; its focus changes by z cos t + n sin t."""
    rig = make(folder, places_A={"target": (height_um * UM, 10_000.0, -across_um * UM)})
    tilt = math.radians(tilt_deg)
    seen_um = across_um * math.cos(tilt) - height_um * math.sin(tilt)
    raised_um = height_um * math.cos(tilt) + across_um * math.sin(tilt)
    rig.sem.TiltTo(tilt_deg)
    rig.sem.SetDefocus(-3)
    assert rig.sem.ImageShiftByMicrons(1.0, seen_um) == 0.0
    rig.sem.Record()
    assert rig.twin.seen_yx_A(rig.last, "target") == pytest.approx((0.0, 0.0), abs=1e-3)
    assert -rig.last.defocus_A / UM == pytest.approx(-3 + raised_um, abs=1e-6)
    rig.sem.ChangeFocus(-raised_um)
    rig.sem.Record()
    assert rig.last.defocus_A == pytest.approx(3 * UM, abs=0.01)


def test_raising_the_stage_is_towards_overfocus(rig: Rig) -> None:
    """So that a specimen that is found too low, too far under focus, is raised."""
    rig.sem.SetDefocus(-3)
    rig.sem.MoveStage(0, 0, 1.0)
    rig.sem.Record()
    assert rig.last.defocus_A == pytest.approx(2 * UM)


@pytest.mark.parametrize("offset_um", [1.0, -0.6])
def test_with_the_tilt_axis_offset_what_lies_in_the_centre_stays_there(tmp_path: Path, offset_um: float) -> None:
    errors = StageErrors(axis_offset_x_A=offset_um * UM)
    rig = make(tmp_path, errors=errors, axis_offset_um=offset_um)
    told, across_A = [], []
    for tilt_deg in (0, 30, 60, -60):
        rig.sem.TiltTo(tilt_deg)
        across_A.append(rig.centre_A())
        told.append(rig.sem.ReportSpecimenShift())
    np.testing.assert_allclose(across_A, [across_A[0]] * 4, atol=1e-3)
    np.testing.assert_allclose(told, 0.0, atol=1e-9)
    without = make(tmp_path, errors=errors)
    places_A = []
    for tilt_deg in (0, 60):
        without.sem.TiltTo(tilt_deg)
        places_A.append(without.centre_A())
    assert float(np.linalg.norm(places_A[1] - places_A[0])) == pytest.approx(
        abs(offset_um) * UM
    )  # d (1 - cos t) / cos t


def test_the_tilt_axis_offset_is_told_in_all_coordinates_and_can_be_set(rig: Rig) -> None:
    rig.sem.ImageShiftByMicrons(1.0, 1.0)
    rig.sem.SetTiltAxisOffset(0.7)
    assert rig.sem.ReportSpecimenShift() == pytest.approx((1.0, 1.0))
    y_um, stage_x, stage_y, is_x, is_y, on = rig.sem.ReportTiltAxisOffset()
    assert (y_um, on) == (pytest.approx(0.7), 1.0)
    np.testing.assert_allclose(matrix(rig.sem.StageToSpecimenMatrix(0)) @ (stage_x, stage_y), (0, 0.7), atol=1e-9)
    np.testing.assert_allclose(matrix(rig.sem.ISToSpecimenMatrix(0)) @ (is_x, is_y), (0, 0.7), atol=1e-9)
    assert rig.twin.image_shift_A() == pytest.approx((1.0 * UM, -1.7 * UM))
    rig.sem.SetUserSetting("ShiftToTiltAxis", 0)
    assert rig.sem.ReportTiltAxisOffset()[5] == 0.0
    assert rig.twin.image_shift_A() == pytest.approx((1.0 * UM, -1.0 * UM))


# Low-dose areas


def test_view_has_its_defocus_offset_and_record_has_its_focus_back(rig: Rig) -> None:
    rig.sem.SetDefocus(-3)
    offset_um = rig.sem.ReportLDDefocusOffset("V")
    assert offset_um < -5
    for _ in range(3):
        rig.sem.View()
        assert rig.last.defocus_A == pytest.approx((3 - offset_um) * UM)
        assert rig.sem.ReportLowDose() == (1.0, 0.0)
        rig.sem.Record()
        assert rig.last.defocus_A == pytest.approx(3 * UM)
        assert rig.sem.ReportLowDose() == (1.0, 3.0)
        assert rig.sem.ReportDefocus() == pytest.approx(-3.0)


@pytest.mark.parametrize("area", "VFTRS")
def test_going_to_an_area_and_back_changes_no_lens(rig: Rig, area: str) -> None:
    rig.sem.SetAxisPosition("F", 2.0)
    rig.sem.ImageShiftByMicrons(1.0, -2.0)
    rig.sem.SetDefocus(-4)
    before = rig.twin.state()
    rig.sem.GoToLowDoseArea(area)
    assert rig.sem.ReportLowDose() == (1.0, float("VFTRS".index(area)))
    assert rig.sem.ReportSpecimenShift() == pytest.approx((1.0, -2.0))
    rig.sem.GoToLowDoseArea("R")
    after = rig.twin.state()
    assert after.defocus_A == pytest.approx(before.defocus_A)
    assert after.image_shift_yx_A == pytest.approx(before.image_shift_yx_A)
    assert after.beam_shift_yx_A == pytest.approx(before.beam_shift_yx_A)


def test_an_offset_is_set_from_another_area(rig: Rig) -> None:
    rig.sem.SetDefocus(-3)
    rig.sem.SetLDDefocusOffset("V", -50)
    rig.sem.View()
    assert rig.last.defocus_A == pytest.approx(53 * UM)
    with pytest.raises(SEMerror, match="another"):
        rig.sem.SetLDDefocusOffset("V", 0)


def test_focus_lies_where_its_axis_position_says_and_is_exposed_there(rig: Rig) -> None:
    rig.sem.SetAxisPosition("F", 4.0)
    assert rig.sem.ReportAxisPosition("F")[0] == 4.0
    before_A = rig.centre_A()
    rig.sem.Focus()
    np.testing.assert_allclose(rig.twin.centre_zyx_A(rig.last) - before_A, (0, 40_000, 0), atol=1e-6)
    rig.sem.Record()
    np.testing.assert_allclose(rig.twin.centre_zyx_A(rig.last), before_A, atol=1e-6)
    assert rig.last.pre_exposure_e_A2 == pytest.approx(3.0)  # of the first Record alone


def test_no_other_area_and_no_other_magnification_is_there(rig: Rig) -> None:
    with pytest.raises(SEMerror, match="no low-dose area"):
        rig.sem.GoToLowDoseArea("X")
    with pytest.raises(NotSimulatedError, match="SetMag"):
        rig.sem.SetMag(123)
    assert rig.bench.refused[-1].not_simulated


# The beam


def test_the_beam_goes_with_the_image(rig: Rig) -> None:
    rig.sem.ImageShiftByMicrons(6.0, -3.0)
    rig.sem.Record()
    rig.sem.Record()
    assert rig.last.pre_exposure_e_A2 == pytest.approx(3.0)
    assert rig.twin.beam_shift_A() == pytest.approx(rig.twin.image_shift_A())


def test_a_beam_that_is_shifted_away_misses_what_is_seen_until_it_is_back(rig: Rig) -> None:
    zero = rig.sem.ReportBeamShift()
    rig.sem.SetBeamShift(zero[0] + 3.0, zero[1])
    rig.sem.Record()
    rig.sem.ImageShiftByMicrons(1.0, 0.0)
    rig.sem.ImageShiftByMicrons(-1.0, 0.0)
    assert rig.sem.ReportBeamShift() == pytest.approx((zero[0] + 3.0, zero[1]))
    rig.sem.SetBeamShift(*zero)
    rig.sem.Record()
    assert rig.last.pre_exposure_e_A2 == 0.0
    rig.sem.ImageShiftByMicrons(3.0, 0.0)
    rig.sem.Record()
    assert rig.last.pre_exposure_e_A2 == pytest.approx(3.0)  # where the shifted beam was


def test_the_beam_is_moved_by_um_along_the_cameras_axes(rig: Rig) -> None:
    rig.sem.MoveBeamByMicrons(0.6, 0.8)
    moved = rig.sem.ReportBeamShift()
    camera = matrix(rig.sem.SpecimenToCameraMatrix(0)) * PIXEL_A / UM
    np.testing.assert_allclose(camera @ moved, (0.6, 0.8), atol=1e-9)


def test_beam_tilt_adjusted_for_image_shift_leaves_no_coma(tmp_path: Path) -> None:
    rig = make(tmp_path, on=("coma",), axis_offset_um=0.5)
    rig.sem.ImageShiftByMicrons(8.0, -5.0)
    rig.sem.Record()
    assert math.hypot(*rig.last.beam_tilt_yx_mrad) == pytest.approx(0.05 * math.hypot(8.0, -4.5), rel=1e-6)
    for shift in ((0.0, 0.0), (-10.0, 3.0), (2.0, 2.0)):
        rig.sem.ImageShiftByMicrons(*shift)
        rig.sem.AdjustBeamTiltforIS()
        rig.sem.Record()
        assert rig.last.beam_tilt_yx_mrad == pytest.approx((0.0, 0.0), abs=1e-9)


@pytest.mark.parametrize("command", ["ImageShiftByMicrons", "ImageShiftByUnits", "ImageShiftByPixels", "SetImageShift"])
def test_an_image_shift_adjusts_the_beam_tilt_where_it_is_asked_to(tmp_path: Path, command: str) -> None:
    """The help's #A: the change of coma that this shift brings is taken out, and what was there before is left."""
    rig = make(tmp_path, on=("coma",))
    getattr(rig.sem, command)(8.0, -5.0, 0.0, 1)
    rig.sem.Record()
    assert rig.last.beam_tilt_yx_mrad == pytest.approx((0.0, 0.0), abs=1e-9)
    rig.sem.ImageShiftByMicrons(1.0, 0.0)
    rig.sem.ImageShiftByMicrons(0.0, 2.0, 0.0, 1)
    rig.sem.Record()
    assert math.hypot(*rig.last.beam_tilt_yx_mrad) == pytest.approx(0.05, rel=1e-6)


def test_the_beam_tilt_is_read_back_and_restored(rig: Rig) -> None:
    rig.sem.SetBeamTilt(1.0, -2.0)
    assert rig.sem.ReportBeamTilt() == pytest.approx((1.0, -2.0))
    rig.sem.SaveBeamTilt()
    rig.sem.SetBeamTilt(5.0, 5.0)
    rig.sem.RestoreBeamTilt()
    assert rig.sem.ReportBeamTilt() == pytest.approx((1.0, -2.0))


def test_closed_valves_are_told_and_nothing_is_exposed(rig: Rig) -> None:
    assert rig.sem.ReportColumnOrGunValve() == 1.0
    rig.sem.SetColumnOrGunValve(0)
    assert rig.sem.ReportColumnOrGunValve() == 0.0
    with pytest.raises(SEMerror, match="valves are closed"):
        rig.sem.Record()
    assert rig.twin.exposures == 0
    rig.sem.SetColumnOrGunValve(1)
    rig.sem.Record()
    assert rig.twin.exposures == 1


@pytest.mark.parametrize("tilt_deg", [0.0, 50.0])
def test_an_image_shift_by_a_stage_move_shows_what_the_move_would(tmp_path: Path, tilt_deg: float) -> None:
    moved, shifted = make(tmp_path), make(tmp_path)
    for rig in (moved, shifted):
        rig.sem.TiltTo(tilt_deg)
    moved.sem.MoveStage(1.5, -2.5)
    shifted.sem.ImageShiftByStageDiff(1.5, -2.5)
    np.testing.assert_allclose(shifted.centre_A(), moved.centre_A(), atol=1.0)


def test_a_focus_is_saved_and_restored_whatever_is_called_0_meanwhile(rig: Rig) -> None:
    rig.sem.SetDefocus(-3)
    rig.sem.SaveFocus()
    rig.sem.SetDefocus(-1)
    rig.sem.ResetDefocus()
    assert rig.sem.ReportDefocus() == pytest.approx(0.0)
    rig.sem.Record()
    assert rig.last.defocus_A == pytest.approx(1 * UM)  # the lens did not move
    rig.sem.RestoreFocus()
    rig.sem.Record()
    assert rig.last.defocus_A == pytest.approx(3 * UM)
