"""Images of the simulated SerialEM: buffers, what is known of them, and their alignment against the twin's truth."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from serialem_cases import FRAMES, PIXEL_A, RECORD_S, SIDE, UM, Array, Rig, dotted, make, matrix

from eucentric.twin.serialem.errors import SEMerror

RATE = 3.0  # e/Å² a second, the twin's
SEEN_A = 60.0  # four times what an alignment told from the truth is off by, rms
PIXELS_A = 10.0  # half a pixel


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return make(tmp_path)


@pytest.fixture
def seen(tmp_path: Path) -> Rig:
    """Give a microscope with pixels, on a specimen with beads all over it."""
    return make(tmp_path, pixels=True, sample=dotted())


@pytest.fixture(params=["told from the truth", "by pixels"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    return make(tmp_path, pixels=request.param == "by pixels", sample=dotted())


def tolerance_A(rig: Rig) -> float:
    return PIXELS_A if rig.twin.pixels else SEEN_A


def step_um(rig: Rig) -> tuple[float, float]:
    """Give a shift that leaves most of the field in sight, or where there are no pixels, a usual one."""
    return (0.016, -0.011) if rig.twin.pixels else (1.6, -1.1)


def assert_shows(rig: Rig, place_A: Array, times: float = 1.0) -> None:
    """Check that the next image is of this place."""
    np.testing.assert_allclose(rig.centre_A(), place_A, atol=times * tolerance_A(rig))


# Buffers


def test_images_arrive_in_a_and_move_on_through_five_buffers(rig: Rig) -> None:
    for tilt_deg in range(6):
        rig.sem.TiltTo(tilt_deg)
        rig.sem.Record()
    assert [rig.bench.buffer(letter).tilt_deg for letter in "ABCDE"] == [5.0, 4.0, 3.0, 2.0, 1.0]
    with pytest.raises(SEMerror, match="no image in buffer F"):
        rig.sem.ImageProperties("F")
    assert rig.bench.buffer("2") is rig.bench.buffer("B")
    rig.sem.Copy("B", "Q")
    rig.sem.Record()
    assert rig.bench.buffer("Q").tilt_deg == 4.0
    for name in ("U", "AB", "0", "21", ""):
        with pytest.raises(SEMerror, match="no buffer"):
            rig.sem.ImageProperties(name)


def test_an_image_is_told_with_its_conditions(rig: Rig) -> None:
    assert rig.sem.Record() is None
    assert rig.sem.ImageProperties() == (SIDE, SIDE, 1.0, RECORD_S, PIXEL_A / 10, 3.0)
    assert rig.sem.ImageConditions("A") == pytest.approx((RATE * RECORD_S, rig.sem.ReportMag()[0]))
    rig.sem.View()
    assert rig.sem.ImageProperties("A")[4:] == pytest.approx((3 * PIXEL_A / 10, 0.0))
    assert rig.sem.ReportCurrentPixelSize("V") == pytest.approx(3 * PIXEL_A / 10)


@pytest.mark.parametrize(("command", "letter"), [("Record", "R"), ("Focus", "F"), ("Trial", "T"), ("Preview", "P")])
def test_an_exposure_is_as_long_and_as_strong_as_it_is_set(rig: Rig, command: str, letter: str) -> None:
    usual = rig.sem.ReportExposure(letter)[0]
    rig.sem.SetExposure(letter, 0.4)
    before = rig.twin.now()
    getattr(rig.sem, command)()
    assert rig.last.exposure_e_A2 == pytest.approx(0.4 * RATE)
    assert (rig.twin.now() - before).total_seconds() == pytest.approx(0.4)
    assert rig.sem.ImageProperties()[3] == 0.4
    rig.sem.RestoreCameraSet(letter)
    assert rig.sem.ReportExposure(letter)[0] == usual
    with pytest.raises(SEMerror, match="exposure"):
        rig.sem.SetExposure(letter, 0.0)


def test_a_record_has_the_frames_of_its_frame_time(rig: Rig) -> None:
    rig.sem.Record()
    assert len(rig.last.frames) == FRAMES
    rig.sem.SetFrameTime("R", RECORD_S / 10)
    rig.sem.Record()
    assert len(rig.last.frames) == 10


def test_binning_and_parts_of_the_camera(seen: Rig) -> None:
    seen.sem.SetBinning("R", 2)
    seen.sem.Record()
    assert seen.sem.ImageProperties()[:5] == pytest.approx((SIDE / 2, SIDE / 2, 2.0, RECORD_S, 2 * PIXEL_A / 10))
    assert np.asarray(seen.sem.bufferImage("A")).shape == (SIDE // 2, SIDE // 2)
    seen.sem.SetBinning("R", 1)
    seen.sem.SetCameraArea("R", "H")
    seen.sem.Record()
    half, columns = np.asarray(seen.sem.bufferImage("A")), SIDE // 2
    assert half.shape == (columns, columns)
    seen.sem.SetCameraArea("R", "F")
    seen.sem.Record()
    whole = np.asarray(seen.sem.bufferImage("A"))
    assert whole.shape == (SIDE, SIDE)
    middle = whole[columns // 2 : -columns // 2, columns // 2 : -columns // 2]
    assert float(np.corrcoef(half.ravel(), middle.ravel())[0, 1]) > 0.9
    seen.sem.CropCenterToSize("A", 20, 10)
    assert seen.sem.ImageProperties()[:2] == (20.0, 10.0)
    assert np.asarray(seen.sem.bufferImage("A")).shape == (10, 20)


def test_counts_are_those_of_the_pixels(seen: Rig) -> None:
    seen.sem.Record()
    counts = np.asarray(seen.sem.bufferImage("A"), dtype=float)
    assert seen.sem.ReportMeanCounts("A") == pytest.approx(counts.mean())
    mean, deviation, low, high = seen.sem.ReportMeanCounts("A", 2)
    assert (mean, deviation, low, high) == pytest.approx((counts.mean(), counts.std(), counts.min(), counts.max()))
    electrons = seen.sem.ElectronStats("A")
    assert electrons[2] == pytest.approx(
        counts.mean() / seen.sem.ReportCameraProperty(0, "CountsPerElectron"), rel=1e-3
    )
    assert electrons[2] == pytest.approx(seen.last.expected_e_px, rel=0.02)
    assert electrons[4] == pytest.approx(seen.last.expected_e_px / RECORD_S, rel=0.02)


@pytest.mark.parametrize("command", ["Record", "Preview", "View"])
def test_a_twin_without_pixels_tells_the_same_counts_in_the_mean(tmp_path: Path, command: str) -> None:
    rigs = [make(tmp_path, pixels=pixels) for pixels in (True, False)]
    for rig in rigs:
        getattr(rig.sem, command)()
    told = [rig.sem.ElectronStats("A")[2] for rig in rigs]
    assert told[1] == pytest.approx(told[0], rel=0.02)
    assert [rig.sem.ImageProperties() for rig in rigs][1] == rigs[0].sem.ImageProperties()


# Where things are in the pixels


def moved_px(before: NDArray[Any], now: NDArray[Any]) -> tuple[float, float]:
    """Give by how much content moved, in X to the right and Y upward; row 0 is at the top."""
    spectra = [np.fft.fft2(image - image.mean()) for image in (before, now)]
    peak = np.fft.ifft2(spectra[1] * spectra[0].conj()).real
    down, right = np.unravel_index(int(peak.argmax()), peak.shape)
    return (int(right) + SIDE // 2) % SIDE - SIDE // 2, -((int(down) + SIDE // 2) % SIDE - SIDE // 2)


@pytest.mark.parametrize("by", [(7, 0), (0, 6), (-5, 4)])
def test_an_image_shift_by_pixels_brings_what_lay_there_to_the_centre(seen: Rig, by: tuple[int, int]) -> None:
    seen.sem.Record()
    before = np.array(seen.sem.bufferImage("A"), dtype=float)
    seen.sem.ImageShiftByPixels(*by)
    seen.sem.Record()
    now = np.array(seen.sem.bufferImage("A"), dtype=float)
    assert moved_px(before, now) == pytest.approx((-by[0], -by[1]), abs=1)


# Alignment


@pytest.mark.parametrize("tilt_deg", [0.0, 40.0])
def test_after_aligning_the_next_image_shows_the_references_place(either: Rig, tilt_deg: float) -> None:
    sem = either.sem
    sem.TiltTo(tilt_deg)
    place_A = either.centre_A()
    sem.Copy("A", "P")
    sem.ImageShiftByMicrons(*step_um(either))
    sem.Record()
    assert sem.AlignTo("P") == 0.0
    assert_shows(either, place_A, 1 / np.cos(np.radians(tilt_deg)))


def test_a_stage_that_missed_is_made_up_for_by_image_shift(either: Rig) -> None:
    sem = either.sem
    place_A = either.centre_A()
    sem.Copy("A", "P")
    sem.MoveStage(*step_um(either))
    sem.Record()
    sem.AlignTo("P")
    assert_shows(either, place_A)
    stage_um = np.array(sem.ReportImageShift()[4:6])  # as the stage would have to move, to be where it was
    np.testing.assert_allclose(stage_um, -np.array(step_um(either)), atol=tolerance_A(either) / UM)


def test_what_is_told_of_an_alignment_is_by_how_much_it_shifted(either: Rig) -> None:
    sem = either.sem
    sem.Record()
    sem.Copy("A", "P")
    sem.ImageShiftByMicrons(*step_um(either))
    sem.Record()
    before_is, before_um = np.array(sem.ReportImageShift()), np.array(sem.ReportSpecimenShift())
    sem.AlignTo("P")
    change, change_um = sem.ReportImageShift() - before_is, sem.ReportSpecimenShift() - before_um
    np.testing.assert_allclose(change_um, -np.array(step_um(either)), atol=tolerance_A(either) / UM)
    np.testing.assert_allclose(sem.ReportISforBufferShift(), change[:2], atol=1e-9)
    told = np.array(sem.ReportAlignShift())
    np.testing.assert_allclose(told[:2], change[2:4], atol=1e-6)  # pixels, which the camera is told to go too
    np.testing.assert_allclose(told[4:], 1000 * change_um, atol=1e-6)
    assert np.hypot(*told[2:4]) == pytest.approx(np.hypot(*told[4:]), rel=1e-6)


def test_an_alignment_that_keeps_the_microscope_tells_the_shift_all_the_same(either: Rig) -> None:
    sem = either.sem
    sem.Record()
    sem.Copy("A", "P")
    sem.ImageShiftByMicrons(*step_um(either))
    sem.Record()
    state = either.twin.state()
    sem.AlignTo("P", 1)
    assert either.twin.state() == state
    np.testing.assert_allclose(
        np.array(sem.ReportAlignShift()[4:]) / 1000, -np.array(step_um(either)), atol=tolerance_A(either) / UM
    )


def test_aligning_an_image_again_shifts_nothing_more(either: Rig) -> None:
    """An image that was aligned lies, with its shift, where its reference does."""
    sem = either.sem
    place_A = either.centre_A()
    sem.Copy("A", "P")
    sem.ImageShiftByMicrons(*step_um(either))
    sem.Record()
    for _ in range(3):
        sem.AlignTo("P")
    assert_shows(either, place_A)


def test_a_reference_with_a_shift_stands_for_where_that_shift_went(either: Rig) -> None:
    sem = either.sem
    place_A = either.centre_A()
    sem.Copy("A", "P")
    sem.ImageShiftByMicrons(*step_um(either))
    sem.Record()
    sem.AlignTo("P")
    sem.Copy("A", "Q")  # of another place, with the shift that leads to the first
    sem.Record()
    sem.AlignTo("Q")
    assert_shows(either, place_A, 2)


def test_an_image_read_from_its_file_is_as_it_was_taken(either: Rig) -> None:
    """What A was shifted by when it was saved or later is not in the file."""
    sem = either.sem
    sem.Record()
    sem.Copy("A", "P")
    sem.ImageShiftByMicrons(*step_um(either))
    away_A = either.centre_A()
    raw = np.array(sem.bufferImage("A"))
    sem.OpenNewFile("one.mrc")
    sem.AlignTo("P")
    sem.Save()
    sem.ReadFile(0, "Q")
    np.testing.assert_array_equal(np.array(sem.bufferImage("Q")), raw)
    sem.Record()
    sem.AlignTo("Q")
    assert_shows(either, away_A)


@pytest.mark.parametrize("keep", [0, 1])
def test_clearing_an_alignment_takes_back_what_it_did(rig: Rig, keep: int) -> None:
    sem = rig.sem
    sem.Record()
    sem.Copy("A", "P")
    sem.ImageShiftByMicrons(1.0, 2.0)
    sem.Record()
    sem.AlignTo("P")
    aligned = sem.ReportSpecimenShift()
    sem.ClearAlignment(keep)
    assert sem.ReportAlignShift() == pytest.approx((0.0,) * 6, abs=1e-9)
    assert sem.ReportSpecimenShift() == pytest.approx(aligned if keep else (1.0, 2.0), abs=1e-9)


def test_the_next_alignment_can_be_limited_and_only_that(either: Rig) -> None:
    sem = either.sem
    place_A = either.centre_A()
    sem.Copy("A", "P")
    sem.ImageShiftByMicrons(*step_um(either))
    sem.Record()
    state = either.twin.state()
    sem.LimitNextAutoAlign(float(np.hypot(*step_um(either))) / 2)
    sem.AlignTo("P")
    if not either.twin.pixels:  # with pixels a lesser peak within the limit may be found
        assert either.twin.state() == state
        assert sem.ReportAlignShift() == (0.0,) * 6
    assert float(np.hypot(*sem.ReportAlignShift()[4:])) <= 500 * float(np.hypot(*step_um(either))) + 1e-6
    sem.AlignTo("P")
    assert_shows(either, place_A)


def test_an_alignment_beyond_the_image_shifts_limit_is_an_error_and_shifts_nothing(rig: Rig) -> None:
    rig.sem.Record()
    rig.sem.Copy("A", "P")
    rig.sem.MoveStage(25.0, 0.0)
    rig.sem.Record()
    state = rig.twin.state()
    with pytest.raises(SEMerror, match="limit"):
        rig.sem.AlignTo("P")
    assert rig.twin.state() == state


def test_autoalign_takes_the_image_before(either: Rig) -> None:
    place_A = either.centre_A()
    either.sem.ImageShiftByMicrons(*step_um(either))
    either.sem.Record()
    either.sem.AutoAlign()
    assert_shows(either, place_A)


def test_a_record_is_aligned_to_the_middle_of_a_view(either: Rig) -> None:
    sem = either.sem
    sem.View()
    place_A = either.twin.centre_zyx_A(either.last)
    sem.Copy("A", "P")
    sem.GoToLowDoseArea("R")
    sem.ImageShiftByMicrons(*step_um(either))
    sem.SetExposure("L", 1)
    sem.Preview()
    sem.AlignBetweenMags("P", -1, -1, 2.0)
    assert_shows(either, place_A, 2)  # pixels of the View are three times as large


def test_nothing_to_align_to_is_an_error(rig: Rig) -> None:
    with pytest.raises(SEMerror, match="no image in buffer P"):
        rig.sem.AlignTo("P")
    with pytest.raises(SEMerror, match="no image in buffer A"):
        rig.sem.ReportAlignShift()


def test_a_matrix_takes_pixels_of_an_alignment_to_image_shift(rig: Rig) -> None:
    """The way that scripts take: CameraToISMatrix on the pixels is what ReportISforBufferShift says."""
    rig.sem.Record()
    rig.sem.Copy("A", "P")
    rig.sem.ImageShiftByMicrons(0.5, 0.7)
    rig.sem.Record()
    rig.sem.AlignTo("P")
    units = matrix(rig.sem.CameraToISMatrix(0)) @ rig.sem.ReportAlignShift()[:2]
    np.testing.assert_allclose(units, rig.sem.ReportISforBufferShift(), atol=1e-9)


def test_a_strong_exposure_of_coarse_pixels_is_an_image_still(seen: Rig) -> None:
    """Counts beyond what an image can hold would make it even, and nothing could be aligned to it."""
    seen.sem.SetExposure("R", 10)
    seen.sem.Record()
    counts = np.asarray(seen.sem.bufferImage("A"), dtype=float)
    assert counts.std() > 0.03 * counts.mean()


@pytest.mark.parametrize("letter", ["V", "S"])
def test_a_view_takes_the_time_that_it_is_set_to(rig: Rig, letter: str) -> None:
    rig.sem.SetExposure(letter, 2.0)
    before = rig.twin.now()
    getattr(rig.sem, {"V": "View", "S": "Search"}[letter])()
    assert (rig.twin.now() - before).total_seconds() == pytest.approx(2.0)
