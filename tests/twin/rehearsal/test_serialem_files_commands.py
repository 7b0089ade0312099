"""Files that a script writes through the simulated SerialEM, read back by our readers and by others."""

import math
import warnings
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from serialem_cases import FRAMES, PIXEL_A, SIDE, Rig, dotted, make

from eucentric.core import FormatWarning
from eucentric.io import open_mrc, read_mdoc
from eucentric.io.movies import open_movie
from eucentric.io.navigator import NavItem
from eucentric.twin.serialem.errors import NotSimulatedError, SEMerror

TILTS_DEG = (0.0, 3.0, -3.0, -6.0, 6.0)
DOSE = 3.0
SERIES = """
import serialem as sem
sem.SetFrameBaseName(0, 1, 0, 'TS_001')
sem.SetFrameNameFormat(-1, 1, 0x40 | 0x400)
sem.SetTargetDefocus(-4)
sem.SetDefocus(-4)
sem.OpenNewFile('TS_001.mrc')
sem.AccumulateRecordDose(0)
for tilt in (0, 3, -3, -6, 6):
    sem.TiltTo(tilt)
    sem.Record()
    sem.S()
    sem.AccumulateRecordDose(sem.ImageConditions('A')[0])
sem.CloseFile()
"""


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return make(tmp_path)


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    """Give a microscope on which a short series was taken, with pixels."""
    made = make(tmp_path_factory.mktemp("series"), pixels=True, sample=dotted())
    ended = made.run(SERIES)
    assert ended.ending == "finished", ended
    return made


def sections(mdoc: Path) -> list[dict[str, str]]:
    """Read an .mdoc plainly: the keys of each image."""
    blocks = mdoc.read_text().split("[ZValue = ")[1:]
    return [dict(line.split(" = ", 1) for line in block.splitlines()[1:] if " = " in line) for block in blocks]


# A series


def test_the_mdoc_has_angles_order_doses_and_movies(series: Rig) -> None:
    told = read_mdoc(series.folder / "mdoc" / "TS_001.mrc.mdoc")  # a warning would be an error
    assert told.pixel_A == pytest.approx(PIXEL_A, rel=1e-3)
    assert told.voltage_kV == 300
    assert told.tilt_axis_deg == pytest.approx(series.twin.told_axis_deg, abs=0.06)
    assert told.order_known
    assert [one.tilt_deg for one in told.sections] == pytest.approx(list(TILTS_DEG))
    assert [one.order for one in told.sections] == list(range(5))
    assert [one.exposure_e_A2 for one in told.sections] == pytest.approx([DOSE] * 5)
    assert [one.pre_exposure_e_A2 for one in told.sections] == pytest.approx([DOSE * at for at in range(5)])
    assert [one.target_defocus_A for one in told.sections] == pytest.approx([40_000.0] * 5)
    assert [one.n_frames for one in told.sections] == [FRAMES] * 5


def test_the_movies_that_it_names_are_there_and_are_those_of_its_images(series: Rig) -> None:
    told = read_mdoc(series.folder / "mdoc" / "TS_001.mrc.mdoc")
    names = [one.movie for one in told.sections]
    assert names == [f"TS_001_{number:04d}_{tilt:.1f}.tif" for number, tilt in enumerate(TILTS_DEG, 1)]
    assert sorted(path.name for path in (series.folder / "frames").glob("*.tif")) == sorted(map(str, names))
    stack = open_mrc(series.folder / "mdoc" / "TS_001.mrc").data
    for at, name in enumerate(names):
        movie = open_movie(series.folder / "frames" / str(name))
        assert movie.shape == (FRAMES, SIDE, SIDE)
        total = np.sum(list(movie.frames()), axis=0, dtype=float)
        assert float(np.corrcoef(total.ravel(), np.asarray(stack[at], float).ravel())[0, 1]) > 0.99


def test_the_stack_is_read_by_others_with_its_images_and_tilts(series: Rig) -> None:
    path = series.folder / "mdoc" / "TS_001.mrc"
    image = open_mrc(path)
    assert image.data.shape == (5, SIDE, SIDE)
    assert image.pixel_A == pytest.approx(PIXEL_A, rel=1e-3)
    assert [one.tilt_deg for one in image.sections] == pytest.approx(list(TILTS_DEG), abs=0.01)
    with mrcfile.open(path) as theirs:
        np.testing.assert_array_equal(theirs.data, image.data)
        assert float(theirs.voxel_size.x) == pytest.approx(PIXEL_A, rel=1e-3)
    means = [float(one["MinMaxMean"].split()[2]) for one in sections(path.with_name("TS_001.mrc.mdoc"))]
    assert means == pytest.approx([float(one.mean()) for one in image.data], rel=1e-3)


def test_the_mdoc_is_read_by_mdocfile(series: Rig) -> None:
    mdocfile = pytest.importorskip("mdocfile", reason="mdocfile is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own deprecations
        table = mdocfile.read(series.folder / "mdoc" / "TS_001.mrc.mdoc")
    assert list(table["TiltAngle"]) == pytest.approx(list(TILTS_DEG))
    assert list(table["ExposureDose"]) == pytest.approx([DOSE] * 5)
    assert list(table["PriorRecordDose"]) == pytest.approx([DOSE * at for at in range(5)])


def test_what_was_saved_where_is_told_beside_the_truth(series: Rig) -> None:
    taken = series.bench.taken
    assert [(one.file, one.section) for one in taken] == [("TS_001.mrc", at) for at in range(5)]
    assert [one.tilt_deg for one in taken] == list(TILTS_DEG)
    assert [one.received_e_A2 for one in taken] == pytest.approx([DOSE * (at + 1) for at in range(5)])
    assert {one.line for one in taken} == {11}


# The dose before


def test_prior_dose_stands_only_where_a_script_counts_it(rig: Rig) -> None:
    sem = rig.sem

    def told() -> str | None:
        sem.Record()
        sem.Save()
        return sections(rig.folder / "mdoc" / "a.mrc.mdoc")[-1].get("PriorRecordDose")

    sem.OpenNewFile("a.mrc")
    assert told() is None
    sem.AccumulateRecordDose(0)
    assert float(told() or "nan") == 0.0
    sem.AccumulateRecordDose(2.5)
    sem.AccumulateRecordDose(1.5)
    assert float(told() or "nan") == 4.0
    sem.AreaForCumulRecordDose(2)
    sem.AccumulateRecordDose(0)
    assert float(told() or "nan") == 0.0
    sem.AreaForCumulRecordDose(1)
    assert float(told() or "nan") == 4.0
    sem.AccumulateRecordDose(-1)
    assert told() is None


def test_only_records_have_a_prior_dose(rig: Rig) -> None:
    rig.sem.OpenNewFile("a.mrc")
    rig.sem.AccumulateRecordDose(0)
    for shot in (rig.sem.Preview, rig.sem.Record):
        shot()
        rig.sem.Save()
    assert ["PriorRecordDose" in one for one in sections(rig.folder / "mdoc" / "a.mrc.mdoc")] == [False, True]


# Opening, closing, numbers


def test_a_file_that_exists_is_overwritten_only_where_that_is_allowed(rig: Rig) -> None:
    for _ in range(2):
        rig.sem.Record()
    rig.sem.OpenNewFile("a.mrc")
    for buffer in "AB":
        rig.sem.Save(buffer)
    with pytest.raises(SEMerror, match="open already"):
        rig.sem.OpenNewFile("a.mrc")
    rig.sem.CloseFile()
    with pytest.raises(SEMerror, match="AllowFileOverwrite"):
        rig.sem.OpenNewFile("a.mrc")
    rig.sem.AllowFileOverwrite(1)
    rig.sem.OpenNewFile("a.mrc")
    rig.sem.Save()
    assert rig.sem.ReportFileZsize() == 1.0
    assert len(sections(rig.folder / "mdoc" / "a.mrc.mdoc")) == 1
    rig.sem.CloseFile()
    rig.sem.AllowFileOverwrite(0)
    with pytest.raises(SEMerror, match="AllowFileOverwrite"):
        rig.sem.OpenNewFile("a.mrc")


def test_files_are_numbered_as_they_were_opened_and_the_last_is_the_current_one(rig: Rig) -> None:
    sem = rig.sem
    assert sem.ReportFileNumber() == -1.0
    sem.Record()
    for name in ("a.mrc", "b.mrc", "c.mrc"):
        sem.OpenNewFile(name)
    assert sem.ReportFileNumber() == 3.0
    sem.Save("A", 1)
    sem.Save()
    sem.SwitchToFile(1)
    assert sem.ReportFileZsize() == 1.0
    path, root, extension = sem.ReportCurrentFilename()
    assert (Path(path).name, Path(root).name, extension) == ("a.mrc", "a", ".mrc")
    assert sem.ReportFileNumber() == 1.0
    sem.CloseFile()
    assert sem.ReportCurrentFilename()[0].endswith("c.mrc")
    with pytest.raises(SEMerror, match="no open file 3"):
        sem.SwitchToFile(3)
    with pytest.raises(SEMerror, match="no open file 9"):
        sem.Save("A", 9)


def test_an_old_file_goes_on_where_it_ended(rig: Rig) -> None:
    for tilt_deg, opened in ((0, rig.sem.OpenNewFile), (3, rig.sem.OpenOldFile)):
        rig.sem.TiltTo(tilt_deg)
        rig.sem.Record()
        opened("a.mrc")
        rig.sem.Save()
        rig.sem.CloseFile()
    told = sections(rig.folder / "mdoc" / "a.mrc.mdoc")
    assert [float(one["TiltAngle"]) for one in told] == pytest.approx([0.0, 3.0])
    assert open_mrc(rig.folder / "mdoc" / "a.mrc").data.shape[0] == 2


def test_sections_are_counted_from_0_and_others_are_errors(rig: Rig) -> None:
    for tilt_deg in (0, 10, 20):
        rig.sem.TiltTo(tilt_deg)
        rig.sem.Record()
        if not tilt_deg:
            rig.sem.OpenNewFile("a.mrc")
        rig.sem.Save()
    rig.sem.ReadFile(1)
    assert rig.bench.buffer("M").tilt_deg == 10.0
    rig.sem.ReadFile(2, "Q")
    assert rig.bench.buffer("Q").tilt_deg == 20.0
    for section in (3, -1):
        with pytest.raises(SEMerror, match=r"there is no section|no section"):
            rig.sem.ReadFile(section)


def test_an_image_of_a_file_that_is_not_open_is_read_with_what_its_mdoc_says(tmp_path: Path) -> None:
    first = make(tmp_path, pixels=True)
    first.sem.TiltTo(9)
    first.sem.Record()
    first.sem.OpenNewFile("a.mrc")
    first.sem.Save()
    pixels = np.array(first.sem.bufferImage("A"))
    other = make(tmp_path, pixels=True)  # which did not take it
    other.sem.ReadOtherFile(0, "Q", "a.mrc")
    read = other.bench.buffer("Q")
    np.testing.assert_array_equal(np.array(other.sem.bufferImage("Q")), pixels)
    assert read.tilt_deg == 9.0
    assert read.pixel_A == pytest.approx(PIXEL_A, rel=1e-3)
    assert read.exposure_e_A2 == pytest.approx(DOSE)
    with pytest.raises(SEMerror, match="does not exist"):
        other.sem.ReadOtherFile(0, "Q", "b.mrc")


def test_without_a_file_nothing_is_saved(rig: Rig) -> None:
    rig.sem.Record()
    for command in (rig.sem.Save, rig.sem.ReportFileZsize, lambda: rig.sem.ReadFile(0), lambda: rig.sem.CloseFile("E")):
        with pytest.raises(SEMerror, match=r"no .*file"):
            command()
    rig.sem.CloseFile()  # which is no error
    rig.sem.OpenNewFile("a.mrc")
    assert rig.sem.ReportFileZsize() == 0.0
    with pytest.raises(SEMerror, match="no image in buffer Q"):
        rig.sem.Save("Q")
    with pytest.raises(SEMerror, match="no folder"):
        rig.sem.OpenNewFile("nowhere/b.mrc")


def test_other_kinds_of_files_are_told_not_to_be_simulated(rig: Rig) -> None:
    rig.sem.SetNewFileType(0)
    with pytest.raises(NotSimulatedError, match="MRC"):
        rig.sem.SetNewFileType(1)


# The .mdoc


def test_what_is_added_is_on_disk_when_it_is_written(rig: Rig) -> None:
    mdoc = rig.folder / "mdoc" / "a.mrc.mdoc"
    rig.sem.OpenNewFile("a.mrc")
    for _ in range(2):
        rig.sem.Record()
        rig.sem.Save()
    rig.sem.AddToAutodoc("SpecimenShift", "1.5 -2")
    assert "SpecimenShift" not in mdoc.read_text()
    rig.sem.WriteAutodoc()
    assert [one.get("SpecimenShift") for one in sections(mdoc)] == [None, "1.5 -2"]
    for key, value in (("A = B", "1"), ("", "1"), ("Two", "lines\nof it")):
        with pytest.raises(SEMerror, match="not added"):
            rig.sem.AddToAutodoc(key, value)


def test_places_in_the_mdoc_are_those_that_serialem_reports(rig: Rig) -> None:
    rig.sem.MoveStageTo(12.5, -7.25, 3.0)
    rig.sem.ImageShiftByMicrons(1.5, -0.5)
    rig.sem.Record()
    rig.sem.OpenNewFile("a.mrc")
    rig.sem.Save()
    (told,) = sections(rig.folder / "mdoc" / "a.mrc.mdoc")
    assert [float(one) for one in told["StagePosition"].split()] == pytest.approx([12.5, -7.25], abs=1e-3)
    assert float(told["StageZ"]) == pytest.approx(3.0, abs=1e-3)
    shift = [float(one) for one in told["ImageShift"].split()]
    assert shift == pytest.approx(rig.sem.ReportImageShift()[:2], abs=1e-3)
    assert float(told["Magnification"]) == rig.sem.ReportMag()[0]


def test_a_twin_without_pixels_writes_files_with_the_same_metadata(tmp_path: Path) -> None:
    told = []
    for pixels in (True, False):
        folder = tmp_path / str(pixels)
        folder.mkdir()
        assert make(folder, pixels=pixels).run(SERIES).ending == "finished"
        told.append(sections(folder / "mdoc" / "TS_001.mrc.mdoc"))
    for with_pixels, without in zip(*told, strict=True):
        assert with_pixels.keys() == without.keys()
        for key in ("TiltAngle", "PixelSpacing", "ExposureDose", "PriorRecordDose", "SubFramePath", "NumSubFrames"):
            assert with_pixels[key] == without[key]
    assert not list((tmp_path / "False" / "frames").iterdir())


# Names of movies


def test_movies_are_never_overwritten(tmp_path: Path) -> None:
    rig = make(tmp_path, pixels=True)
    rig.sem.SetFrameBaseName(0, 1, 0, "same")
    rig.sem.SetFrameNameFormat(-1, 1, 0)
    names = []
    for _ in range(3):
        rig.sem.Record()
        path, folder, name = rig.sem.ReportLastFrameFile()
        assert (Path(path).parent, Path(path).name) == (Path(folder), name)
        assert Path(path).is_file()
        names.append(name)
    assert len(set(names)) == 3
    assert rig.sem.ReportFrameBaseName() == (1.0, "same")
    assert rig.sem.ReportFrameSavingPath() == str(tmp_path / "frames")


def test_frames_are_saved_where_the_camera_set_says(tmp_path: Path) -> None:
    rig = make(tmp_path, pixels=True)
    with pytest.raises(SEMerror, match="No frame file"):
        rig.sem.ReportLastFrameFile()
    rig.sem.Preview()
    rig.sem.SetDoseFracParams("R", 1, 0)
    rig.sem.Record()
    assert not list((tmp_path / "frames").iterdir())
    rig.sem.SetDoseFracParams("R", 1, 1)
    rig.sem.SetFolderForFrames("more")
    rig.sem.Record()
    assert len(list((tmp_path / "frames" / "more").glob("*.tif"))) == 1
    with pytest.raises(NotSimulatedError, match="outside"):
        rig.sem.SetFolderForFrames("/somewhere/else")


# Folders


def test_the_working_directory_is_where_files_go(rig: Rig) -> None:
    sem = rig.sem
    assert sem.ReportDirectory() == str(rig.folder / "mdoc")
    sem.MakeDirectory("inner")
    sem.SetDirectory("inner")
    sem.Record()
    sem.OpenNewFile("a.mrc")
    sem.Save()
    assert (rig.folder / "mdoc" / "inner" / "a.mrc.mdoc").is_file()
    sem.SetDirectory("..")
    assert sem.ReportDirectory() == str(rig.folder / "mdoc")
    with pytest.raises(SEMerror, match="no folder"):
        sem.SetDirectory("nowhere")


# The Navigator, as far as files


def test_an_items_map_is_gone_back_to_and_found(tmp_path: Path) -> None:
    """RealignToOtherItem: the stage goes there, and image shift brings what the map shows."""
    item = NavItem(label="7", kind="map", stage_xyz_um=(2.0, -1.0, 0.0), note="grid", map_file="map.mrc", acquire=True)
    rig = make(tmp_path, items=(item,))
    sem = rig.sem
    sem.MoveStageTo(2.0, -1.0)
    sem.Preview()
    place_A = rig.twin.centre_zyx_A(rig.last)
    sem.OpenNewFile("map.mrc")
    sem.Save()
    sem.CloseFile()
    sem.MoveStageTo(0.0, 0.0)
    sem.ImageShiftByMicrons(3.0, 3.0)
    assert sem.ReportNavItem() == (1.0, 2.0, -1.0, 0.0, 2.0)
    assert (sem.GetVariable("navLabel"), sem.GetVariable("navNote")) == ("7", "grid")
    sem.RealignToOtherItem(1, 0)
    assert float(np.linalg.norm(rig.centre_A() - place_A)) < 150
    sem.SaveNavigator()
    with warnings.catch_warnings():
        warnings.simplefilter("error", FormatWarning)
        sem.ReadNavFile("targets.nav")
    assert sem.ReportNumTableItems() == 1.0
    assert math.isclose(sem.ReportOtherItem(-1)[1], 2.0)
