"""Procedures of the simulated SerialEM, which it does by itself with images of its own: focus, eucentricity, CTF."""

from pathlib import Path

import numpy as np
import pytest
from serialem_cases import UM, Rig, dotted, make

from eucentric.twin.mechanics import StageErrors
from eucentric.twin.serialem.errors import NotSimulatedError, SEMerror

FOCUS_UM = 0.2  # five times what a focus told from the truth is off by, rms


@pytest.mark.parametrize(("target_um", "raised_um"), [(-3.0, 0.0), (-1.5, 2.0), (-5.0, -1.0)])
def test_autofocus_brings_the_specimen_to_the_target(tmp_path: Path, target_um: float, raised_um: float) -> None:
    """Whatever its height is: the lens takes up the difference."""
    rig = make(tmp_path)
    rig.sem.MoveStage(0, 0, raised_um)
    rig.sem.SetTargetDefocus(target_um)
    assert rig.sem.AutoFocus(1) is None
    rig.sem.Record()
    assert rig.last.defocus_A == pytest.approx(-target_um * UM, abs=FOCUS_UM * UM)
    assert rig.sem.ReportDefocus() == pytest.approx(target_um - raised_um, abs=FOCUS_UM)


def test_autofocus_may_measure_only(tmp_path: Path) -> None:
    rig = make(tmp_path)
    rig.sem.SetDefocus(-2.0)
    rig.sem.SetTargetDefocus(-5.0)
    with pytest.raises(SEMerror, match="no autofocus"):
        rig.sem.ReportAutoFocus()
    rig.sem.AutoFocus(-1)
    measured_um, failed = rig.sem.ReportAutoFocus()
    assert (failed, rig.sem.ReportDefocus()) == (0.0, pytest.approx(-2.0))
    assert measured_um == pytest.approx(-2.0, abs=FOCUS_UM)


def test_autofocus_exposes_the_focus_area_and_leaves_beam_tilt_and_image_shift(tmp_path: Path) -> None:
    rig = make(tmp_path)
    rig.sem.SetAxisPosition("F", 3.0)
    rig.sem.ImageShiftByMicrons(1.0, 0.5)
    rig.sem.SetBeamTilt(0.5, -0.5)
    rig.sem.AutoFocus()
    assert {one.camera_set for one in rig.bench.taken} == {"F"}
    assert len(rig.bench.taken) >= 2
    assert rig.sem.ReportBeamTilt() == pytest.approx((0.5, -0.5))
    assert rig.sem.ReportSpecimenShift() == pytest.approx((1.0, 0.5))
    rig.sem.Record()
    assert rig.last.pre_exposure_e_A2 == 0.0  # 3 µm beside what was exposed for the focus


def test_the_drift_is_that_of_the_specimen_between_the_first_and_the_third_image(tmp_path: Path) -> None:
    rig = make(tmp_path, errors=StageErrors(drift_floor_A_per_s=400.0))
    rig.sem.MoveStage(1, 0)
    rig.sem.SetExposure("F", 3.0)
    before_A = np.array(rig.centre_A())
    began_s = rig.bench.elapsed_s()
    rig.sem.AutoFocus(-1)
    speed_nm_s = np.linalg.norm(rig.centre_A() - before_A) / (rig.bench.elapsed_s() - began_s) / 10
    assert np.linalg.norm(rig.sem.ReportFocusDrift()) == pytest.approx(speed_nm_s, rel=0.1)
    assert speed_nm_s > 20


def test_without_drift_protection_no_drift_is_told(tmp_path: Path) -> None:
    rig = make(tmp_path)
    rig.sem.SetUserSetting("DriftProtection", 0)
    rig.sem.AutoFocus(-1)
    assert len(rig.bench.taken) == 2
    with pytest.raises(SEMerror, match="DriftProtection"):
        rig.sem.ReportFocusDrift()


def test_autofocus_by_pixels_finds_the_defocus(tmp_path: Path) -> None:
    """The shift between two beam tilts: 10 mrad apart over 4 µm of defocus is 400 Å."""
    rig = make(tmp_path, pixels=True, sample=dotted())
    rig.sem.SetDefocus(-4.0)
    rig.sem.SetExposure("F", 1.0)
    rig.sem.AutoFocus(-1)
    assert rig.sem.ReportAutoFocus()[0] == pytest.approx(-4.0, abs=0.15)


@pytest.mark.parametrize("height_um", [2.0, -1.5])
def test_eucentricity_takes_the_height_out(tmp_path: Path, height_um: float) -> None:
    errors = StageErrors(eucentric_z_A=height_um * UM)
    rig = make(tmp_path, errors=errors)
    rig.sem.TiltTo(5)
    rig.sem.Eucentricity(3)
    assert rig.sem.ReportTiltAngle() == 5.0
    assert rig.sem.ReportStageXYZ()[2] == pytest.approx(-height_um, abs=0.05)
    assert {one.camera_set for one in rig.bench.taken} == {"V"}


def test_a_place_at_eucentric_height_stays_where_it_is(tmp_path: Path) -> None:
    rig = make(tmp_path, errors=StageErrors(eucentric_z_A=3 * UM))
    rig.sem.Eucentricity(3)
    places_A = []
    for tilt_deg in (-40, 0, 40):
        rig.sem.TiltTo(tilt_deg)
        places_A.append(rig.centre_A())
    assert float(np.abs(np.diff(places_A, axis=0)).max()) < 1000  # 3 µm too high it would be 25 000


@pytest.mark.parametrize("command", ["CtfFind", "Ctfplotter"])
def test_the_ctf_of_an_image_is_told_with_serialems_sign(tmp_path: Path, command: str) -> None:
    rig = make(tmp_path)
    rig.sem.SetDefocus(-3.5)
    rig.sem.Record()
    told = getattr(rig.sem, command)("A", -0.5, -8.0)
    assert told[0] == pytest.approx(-3.5, abs=0.25)
    assert len(told) == 6


def test_what_the_twin_cannot_do_is_told(tmp_path: Path) -> None:
    rig: Rig = make(tmp_path)
    for name, arguments in (("AutoFocus", (1, 2)), ("Eucentricity", (4,))):
        with pytest.raises(NotSimulatedError, match=name):
            getattr(rig.sem, name)(*arguments)
    assert [one.not_simulated for one in rig.bench.refused] == [True, True]
