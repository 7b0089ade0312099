"""Corrected copies: what is mended is gone, the tilts are the same, and others read them."""

import re
import warnings
from pathlib import Path

import mdocfile
import pytest
from doctor_cases import CLEAN, Change, named, section, write

from eucentric.core import FormatWarning, OutputError
from eucentric.io import MdocSeries, read_mdoc
from eucentric.workflow.doctor import MendedCopy, examine, mend_all


def quietly(path: Path) -> MdocSeries:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FormatWarning)
        return read_mdoc(path)


def mended(path: Path, out: Path) -> MendedCopy:
    report, patients = examine([path])
    (copy,) = mend_all(patients, report, out)
    return copy


CASES: list[tuple[Change, str]] = [
    (lambda text: text[: text.rindex("PriorRecordDose")], "half-written"),
    (lambda text: text + section(4, 6.5, "05-Nov-2023  15:30:00"), "duplicate-zvalue"),
    (lambda text: text.replace("TiltAngle = 3.0", "TiltAngle=3.0").replace("[ZValue = 4]", "[ZValue=4]"), "separator"),
    (lambda text: text.replace("\n\n[ZValue", "\n[ZValue"), "no-blank-line"),
    (lambda text: text.replace("ExposureTime = 0.5\n", "ExposureTime = 0.5\nNote = \n"), "section-ends-early"),
    (lambda text: text.replace("Tilt axis angle", "Nothing"), "no-axis-title"),
    (lambda text: text.replace("05-Nov-2023", "5-Nov-2023"), "unreadable-time"),
    (lambda text: text.replace("05-Nov-2023", "05-Nov-23"), "two-digit-year"),
    (lambda text: text.replace("05-Nov-2023", "05-Nov-23", 3), "mixed-years"),
    (lambda text: re.sub("PriorRecordDose.*\n", "", text), "no-prior-exposure"),
    (lambda text: text.replace("PriorRecordDose = 6\n", ""), "no-prior-exposure"),
    (
        lambda text: re.sub(r"PriorRecordDose = (\d+)", lambda m: f"PriorRecordDose = {int(m[1]) + 3}", text),
        "prior-exposure-off-by-one",
    ),
    (
        lambda text: re.sub(r"PriorRecordDose = (\d+)", lambda m: f"PriorRecordDose = {int(m[1]) / 2}", text),
        "prior-exposure-too-small",
    ),
    (lambda text: text.replace("D:\\DATA\\frames", "..\\.."), "parent-in-path"),
    (lambda text: text.replace("D:\\DATA\\frames\\", ""), "bare-movie-name"),
    (lambda text: text.replace("D:\\DATA\\frames", "D:\\" + "d" * 250), "long-path"),
]


@pytest.mark.parametrize(("change", "name"), CASES, ids=[f"{name}-{i}" for i, (_, name) in enumerate(CASES)])
def test_what_is_mended_is_gone_and_the_tilts_are_the_same(tmp_path: Path, change: Change, name: str) -> None:
    text = change(CLEAN)
    path = write(tmp_path, text)
    copy = mended(path, tmp_path / "out")
    assert path.read_text() == text
    assert copy.changes
    assert copy.left == ()
    again, _ = examine([copy.copy_path])
    assert set(named(again)) <= {"movies-not-found"}
    was, now = quietly(path), quietly(copy.copy_path)
    tilts = [section.tilt_deg for section in was.sections]
    assert [section.tilt_deg for section in now.sections] == (tilts[:-1] if name == "half-written" else tilts)
    movies = [section.movie for section in was.sections]
    assert [section.movie for section in now.sections] == movies[: len(now.sections)]
    assert [section.pre_exposure_e_A2 for section in now.sections] == [3 * section.order for section in now.sections]
    theirs = mdocfile.read(copy.copy_path).sort_values("ZValue")
    assert theirs["TiltAngle"].tolist() == [section.tilt_deg for section in now.sections]


def test_bytes_of_windows_become_utf8(tmp_path: Path) -> None:
    path = write(tmp_path, CLEAN.replace("a micro", "µ").encode("cp1252"))
    copy = mended(path, tmp_path / "out")
    assert "µ" in copy.copy_path.read_text(encoding="utf-8")
    assert set(named(examine([copy.copy_path])[0])) == {"movies-not-found"}


def test_sections_keep_their_order_and_sums_follow_the_times(tmp_path: Path) -> None:
    text = CLEAN.replace("PriorRecordDose", "Nothing")
    for i in range(9):
        text = text.replace(f"15:2{i}:00", f"15:3{(i + 4) % 9}:00")
    copy = mended(write(tmp_path, text), tmp_path / "out")
    now = quietly(copy.copy_path)
    assert [one.z_value for one in now.sections] == list(range(9))
    assert [one.pre_exposure_e_A2 for one in now.sections] == [3.0 * ((i + 4) % 9) for i in range(9)]


def test_what_would_be_guessing_is_left_and_said(tmp_path: Path) -> None:
    text = CLEAN.replace("ExposureDose = 3", "ExposureDose = 0").replace("PriorRecordDose", "Nothing")
    text = text.replace("05-Nov-2023", "05-Nov-23").replace("TiltAngle = 3.0", "TiltAngle = NaN")
    path = write(tmp_path, text)
    report, _ = examine([path])
    assert not next(finding for finding in report.findings if finding.name == "no-prior-exposure").mended
    copy = mended(path, tmp_path / "out")
    assert {"nan-tilt", "no-exposure", "no-prior-exposure"} <= {finding.name for finding in copy.left}
    assert "NaN" in copy.copy_path.read_text()


def test_what_view_images_have_added_stays(tmp_path: Path) -> None:
    text = re.sub(r"PriorRecordDose = (\d+)", lambda m: f"PriorRecordDose = {int(m[1]) + 9}", CLEAN)
    copy = mended(write(tmp_path, text.replace("-2023", "-23")), tmp_path / "out")
    assert [one.pre_exposure_e_A2 for one in quietly(copy.copy_path).sections] == [9 + 3 * i for i in range(9)]


def test_an_original_is_never_written_over(tmp_path: Path) -> None:
    path = write(tmp_path, CLEAN.replace("-2023", "-23"))
    before = path.read_bytes()
    report, patients = examine([path])
    with pytest.raises(OutputError, match="never changed"):
        mend_all(patients, report, tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OutputError, match="never changed"):
        mend_all(patients, report, tmp_path / "link")
    assert path.read_bytes() == before
    other = write(tmp_path / "other", CLEAN.replace("-2023", "-23"))
    report, patients = examine([path, other])
    with pytest.raises(OutputError, match="another file of this name"):
        mend_all(patients, report, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_clean_file_is_not_copied(tmp_path: Path) -> None:
    report, patients = examine([write(tmp_path, CLEAN)])
    assert mend_all(patients, report, tmp_path / "out") == ()


def test_real_files_are_mended(real_data: Path, tmp_path: Path) -> None:
    for name in ("tilt_series.mdoc", "ts_017.mdoc"):
        path = real_data / "mdoc" / name
        copy = mended(path, tmp_path)
        was, now = quietly(path), quietly(copy.copy_path)
        for key in ("tilt_deg", "order", "movie", "recorded", "exposure_e_A2", "n_frames", "target_defocus_A"):
            assert [getattr(one, key) for one in now.sections] == [getattr(one, key) for one in was.sections]
        assert not {"two-digit-year", "bare-movie-name"} & set(named(examine([copy.copy_path])[0]))
        theirs, first = mdocfile.read(copy.copy_path), mdocfile.read(path)
        assert theirs["StageZ"].tolist() == first["StageZ"].tolist()
