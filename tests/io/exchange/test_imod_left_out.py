"""What is said of a project of IMOD that is not read, or that contradicts itself."""

from collections.abc import Callable
from pathlib import Path

import pytest

from eucentric.io.exchange import Imported
from eucentric.io.exchange.imod_com import read_com, read_edf
from eucentric.io.exchange.imod_project import read_imod, write_imod
from phantoms.processed import processed_series


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_imod(tmp_path, [processed_series(name="a", n=5)])
    return tmp_path / "a"


def edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


def told(folder: Path) -> list[str]:
    """Return what is said of a project, without what is said of one that was left as it is."""
    found: Imported = read_imod(folder, pixel_A=2.7)
    assert not found.failures
    usual = ("etomo's files tell no order", "not read: ")
    return [one for one in found.dropped if not any(part in one for part in usual)]


def test_a_project_as_we_write_it_has_only_options_of_others(folder: Path) -> None:
    assert told(folder) == []
    dropped = read_imod(folder, pixel_A=2.7).dropped
    assert f"{folder / 'newst.com'}: not read: AntialiasFilter, InputFile," in "\n".join(dropped)
    assert len(dropped) == 5


def test_options_tell_what_nobody_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "tilt.com"
    path.write_text(
        "$setenv IMOD_OUTPUT_FORMAT MRC\n$tilt -StandardInput\nThickness 84\nLog 0.0\nMODE 1\nEXCLUDELIST 2\n"
        "EXCLUDELIST2 4\n$if (-e ./savework) ./savework\n"
    )
    com = read_com(path, "tilt")
    assert com.number("THICKNESS", 0) == 84
    assert com.text("EXCLUDE") == "2,4"
    assert com.unread() == [f"{path}: not read: Log, MODE, $setenv IMOD_OUTPUT_FORMAT MRC."]
    assert "mode" in com
    assert "Log" in com
    assert com.unread() == [f"{path}: not read: $setenv IMOD_OUTPUT_FORMAT MRC."]


def test_a_long_list_of_settings_is_cut_off_and_its_length_told(tmp_path: Path) -> None:
    path = tmp_path / "a.edf"
    path.write_text("".join(f"ProcessTrack.Step{i}=true\n" for i in range(347)))
    (sentence,) = read_edf(path).unread()
    assert sentence.endswith(" and 247 more.")
    assert len(sentence) < 4000


def test_a_line_of_defocus_that_does_not_fit_is_told(folder: Path) -> None:
    path = folder / "a.defocus"
    edit(path, lambda text: f"{text.rstrip()} 0.25\n")
    assert told(folder) == [f"{path}: 1 lines go on, such as with 0.25; that was not read."]
    edit(path, lambda text: text.replace(" 0.25", "").replace("   5    5 ", "   5    6 "))
    assert told(folder) == [f"{path}: 1 lines are of views that the .xf does not have."]


def test_tilts_of_defoci_are_held_against_the_views(folder: Path) -> None:
    path = folder / "a.defocus"
    head, *rows = path.read_text().splitlines()
    words = [row.split() for row in rows]
    words[2][3] = f"{float(words[2][3]) + 3:.2f}"
    path.write_text("\n".join([head, *(" ".join(row) for row in words)]))
    (sentence,) = told(folder)
    assert "up to 3.00° off" in sentence
    inverted = [[*row[:2], f"{-float(row[2]):.2f}", f"{-float(row[2]):.2f}", *row[4:]] for row in words]
    path.write_text("\n".join(["17 0 0 0 0 3", *(" ".join(row) for row in inverted)]))
    edit(folder / "ctfcorrection.com", lambda text: text.replace("InvertTiltAngles 0", "InvertTiltAngles 1"))
    assert told(folder) == []
    edit(folder / "ctfcorrection.com", lambda text: text.replace("InvertTiltAngles 1", "InvertTiltAngles 0"))
    (sentence,) = told(folder)
    assert "are inverted was not read" in sentence


def test_files_of_tilts_that_are_not_those_read_are_told(folder: Path) -> None:
    com = folder / "tilt.com"
    edit(com, lambda text: text.replace("TILTFILE a.tlt", "TILTFILE b.tlt"))
    assert told(folder) == [f"{com}: TILTFILE b.tlt was not read; a.tlt was."]
    edit(com, lambda text: text.replace("TILTFILE b.tlt", "TILTFILE a.tlt").replace("XTILTFILE a.xtilt\n", ""))
    assert told(folder) == [f"{folder / 'a.xtilt'}: not read, as tilt.com has no XTILTFILE."]


def test_another_binning_of_the_aligned_images_is_told(folder: Path) -> None:
    edit(folder / "newst.com", lambda text: text.replace("BinByFactor 4", "BinByFactor 2"))
    (sentence,) = told(folder)
    assert "BinByFactor is 2, IMAGEBINNED of tilt.com 4" in sentence


def test_each_data_set_of_a_folder_is_read(folder: Path) -> None:
    for path in list(folder.glob("a.*")):
        (folder / f"b{path.suffix}").write_bytes(path.read_bytes())
    edit(folder / "b.edf", lambda text: text.replace("DatasetName=a", "DatasetName=b"))
    assert [one.series.name for one in read_imod(folder, pixel_A=2.7).series] == ["a", "b"]
    edit(folder / "b.edf", lambda text: text.replace("DatasetName=b", "DatasetName=c"))
    assert [one.series.name for one in read_imod(folder, pixel_A=2.7).series] == ["a"]
    (folder / "a.edf").unlink()
    assert any("'c' has no .xf here; b was read" in one for one in told(folder))
