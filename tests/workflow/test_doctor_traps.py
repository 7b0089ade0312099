"""Every trap is met by name, at its line, in a clean file that was spoilt in one way."""

import re
from pathlib import Path

import numpy as np
import pytest
from doctor_cases import CLEAN, HEADER, TILTS, Change, line_of, look, named, section, write
from hypothesis import given, settings
from hypothesis import strategies as st

from eucentric.core import EucentricError
from eucentric.io import write_mrc
from eucentric.io.movies import write_movie
from eucentric.workflow.doctor import TRAPS, DoctorSettings, examine, mend_all, traps_as_markdown

CALM = {"movies-not-found"}  # the clean file has no movies beside it


def swap(old: str, new: str, count: int = -1) -> Change:
    return lambda text: text.replace(old, new, count)


def sub(pattern: str, new: str, count: int = 0) -> Change:
    return lambda text: re.sub(pattern, new, text, count=count)


def test_a_clean_file_has_no_findings(tmp_path: Path) -> None:
    report = look(write(tmp_path, CLEAN))
    assert set(named(report)) == CALM
    assert not report.is_sick


TEXTS: list[tuple[Change, str, str | None]] = [
    (lambda text: HEADER, "empty", None),
    (swap("[ZValue = 0]", "[FrameSet = 0]"), "frame-set", "FrameSet"),
    (lambda text: "Montage = 1\n" + text, "montage", "Montage"),
    (swap("TiltAngle = 3.0\n", "TiltAngle = 3.0.1\n"), "unreadable-section", "3.0.1"),
    (swap("TiltAngle = 3.0\n", "TiltAngle = NaN\n"), "nan-tilt", "ZValue = 1"),
    (swap("TiltAngle = 3.0\n", ""), "nan-tilt", "ZValue = 1"),
    (lambda text: text[: text.rindex("PriorRecordDose")], "half-written", "ZValue = 8"),
    (swap("TS_01_002.tif", "TS_01_002_override.tif"), "override", "override"),
    (lambda text: text + section(8, 12.5, "05-Nov-2023  15:30:00"), "duplicate-zvalue", "ZValue = 8"),
    (swap("[ZValue = 8]", "[ZValue = 9]"), "zvalue-gap", "ZValue = 9"),
    (swap("TiltAngle = 3.0", "TiltAngle=3.0"), "separator", "TiltAngle=3.0"),
    (swap("[ZValue = 4]", "[ZValue=4]"), "separator", "ZValue=4"),
    (swap("\n[ZValue = 4]", "[ZValue = 4]"), "no-blank-line", "ZValue = 4"),
    (swap("ExposureTime = 0.5\n", "NavigatorLabel = \n", 1), "section-ends-early", "NavigatorLabel"),
    (lambda text: text[: text.index("\n[ZValue = 5]")], "too-few-tilts", None),
    (sub(r"TiltAngle = .*", "TiltAngle = 2.0"), "all-tilts-equal", "TiltAngle"),
    (swap("TiltAngle = 6.0", "TiltAngle = 3.002"), "repeated-tilt", "TiltAngle = 3.0"),
    (lambda text: text + section(9, 24.0, "05-Nov-2023  15:40:00"), "tilt-gap", "TiltAngle = 12.0"),
    (swap("RotationAngle = 175.3", "RotationAngle = 2.0"), "tilt-axis", "Tilt axis"),
    (swap("[T =     Tilt axis angle = 85.3,", "TiltAxisAngle = -5 \n[T ="), "tomography5-axis", "TiltAxisAngle"),
    (swap("Tilt axis angle", "Nothing"), "no-axis-title", None),
    (lambda text: re.sub("Rotation.*\n", "", text.replace("Tilt axis", "")), "no-tilt-axis", None),
    (swap("DateTime = 05-Nov-2023  15:22:00\n", ""), "no-date-time", "ZValue = 2"),
    (swap("05-Nov-2023  15:22:00", "5-Nov-2023  15:22:00"), "unreadable-time", " 5-Nov"),
    (swap("05-Nov-2023  15:22:00", "2023-11-05 15:22:00"), "unreadable-time", "2023-11-05"),
    (swap("05-Nov-2023", "05-Nov-23"), "two-digit-year", "05-Nov-23"),
    (swap("05-Nov-2023", "05-Nov-23", 3), "mixed-years", "05-Nov-23 "),
    (swap("05-Nov-2023  15:28", "06-Nov-2023  00:04"), "crosses-midnight", None),
    (swap("05-Nov-2023  15:28", "01-Dec-2023  00:04"), "crosses-month", None),
    (swap("15:22:00", "15:21:00"), "equal-times", "15:21:00"),
    (lambda text: re.sub("DateTime.*\n|Prior.*\n", "", text), "order-lost", None),
    (lambda text: re.sub("15:2.:00", "15:20:00", re.sub("Prior.*\n", "", text)), "order-lost", None),
    (swap("PriorRecordDose = 3\n", "PriorRecordDose = 60\n"), "order-disagrees", "15:22:00"),
    (swap("ExposureDose = 3", "ExposureDose = 0"), "no-exposure", "ExposureDose"),
    (swap("ExposureDose = 3\n", "", 1), "no-exposure", "ZValue = 0"),
    (swap("PriorRecordDose = 6\n", ""), "no-prior-exposure", "ZValue = 2"),
    (sub(r"PriorRecordDose = (\d+)", lambda m: f"PriorRecordDose = {int(m[1]) + 3}"), "prior-exposure-off-by-one", ""),  # type: ignore[arg-type]
    (sub(r"PriorRecordDose = (\d+)", lambda m: f"PriorRecordDose = {int(m[1]) / 2}"), "prior-exposure-too-small", ""),  # type: ignore[arg-type]
    (sub(r"PriorRecordDose = (\d+)", lambda m: f"PriorRecordDose = {int(m[1]) + 9}"), "prior-exposure-not-the-sum", ""),  # type: ignore[arg-type]
    (lambda text: text.replace("ExposureDose = 3", "ExposureDose = 6", 1), "exposure-varies", "ExposureDose = 6"),
    (swap("ExposureTime = 0.5\n", "", 1), "no-exposure-time", "ZValue = 0"),
    (sub(r"SubFramePath = .*003.tif\n", ""), "no-movie", "ZValue = 3"),
    (sub(r"SubFramePath = .*\n", ""), "no-movies-named", None),
    (sub(r"TS_01_00\d", "TS_01_000"), "repeated-movie", "TS_01_000"),
    (swap("D:\\DATA\\frames\\TS_01_001", "..\\..\\TS_01_001"), "parent-in-path", "TS_01_001"),
    (swap("D:\\DATA\\frames\\TS_01_001", "TS_01_001"), "bare-movie-name", "TS_01_001"),
    (swap("DATA\\frames\\TS_01_001", "a=b\\TS_01_001"), "equals-in-path", "TS_01_001"),
    (swap("DATA\\frames\\TS_01_001", "d" * 250 + "\\TS_01_001"), "long-path", "TS_01_001"),
    (swap("TS_01_001.tif", "TS_01 001.tif"), "space-in-movie-name", "TS_01 001"),
    (sub(r"TS_01_00(\d).tif", r"TS_01.\1.tif"), "movie-names-clash", "TS_01.0"),
    (swap("\\TS_01_", "\\other_"), "series-not-in-movie-names", None),
    (swap("NumSubFrames = 8\n", ""), "no-frame-count", "ZValue = 0"),
    (swap("PixelSpacing = 2.5\n", ""), "no-pixel-size", None),
]


@pytest.mark.parametrize(("change", "name", "at"), TEXTS, ids=[f"{name}-{i}" for i, (_, name, _) in enumerate(TEXTS)])
def test_each_trap_in_the_text_is_met_by_name(tmp_path: Path, change: Change, name: str, at: str | None) -> None:
    text = change(CLEAN)
    found = named(look(write(tmp_path, text)))
    assert name in found
    if at:
        assert found[name][0] == line_of(text, at)
    if at is None:
        assert name in ("empty", "montage") or found[name] == ()


def test_bytes_of_windows(tmp_path: Path) -> None:
    assert "not-utf8" in named(look(write(tmp_path, CLEAN.replace("a micro", "µ").encode("cp1252"))))


def test_an_empty_and_a_binary_file(tmp_path: Path) -> None:
    assert set(named(look(write(tmp_path, "")))) == {"empty"}
    assert set(named(look(write(tmp_path, b"\0" * 99)))) == {"unreadable-file"}


def test_exposures_as_1_over_cos_are_meant(tmp_path: Path) -> None:
    tilts = np.arange(-60.0, 61, 5)
    parts, before = [], 0.0
    for i, tilt in enumerate(tilts):
        exposure = 3 / np.cos(np.radians(tilt)) ** 0.5
        part = section(i, float(tilt), f"05-Nov-2023  15:{i:02d}:00").replace(
            "Dose = 3\n", f"Dose = {exposure:.4f}\n", 1
        )
        parts.append(re.sub("PriorRecordDose.*", f"PriorRecordDose = {before:.4f}", part))
        before += exposure
    assert set(named(look(write(tmp_path, HEADER + "".join(parts))))) == CALM


def test_an_override_duplicate_and_movies_in_two_series(tmp_path: Path) -> None:
    write(tmp_path, CLEAN)
    write(tmp_path, CLEAN, "TS_01_override.mdoc")
    report, _ = examine([tmp_path])
    assert {"override", "movie-in-two-series"} <= set(named(report))


def movies(folder: Path, n: int = 9, frames: int = 8, size: int = 16, pixel_A: float = 2.5) -> None:
    folder.mkdir(exist_ok=True)
    for i in range(n):
        write_movie(folder / f"TS_01_{i:03d}.tif", np.ones((frames, size, size), np.uint8), pixel_A)


def test_movies_on_disk(tmp_path: Path) -> None:
    path = write(tmp_path, CLEAN)
    movies(tmp_path / "frames")
    assert named(look(path)) == {}
    (tmp_path / "frames" / "TS_01_004.tif").unlink()
    (tmp_path / "frames" / "TS_01_005.tif").write_bytes(b"no movie")
    write_movie(tmp_path / "frames" / "TS_01_006.tif", np.ones((5, 16, 16), np.uint8), 2.5)
    write_movie(tmp_path / "frames" / "TS_01_007.tif", np.ones((8, 8, 16), np.uint8), 2.5)
    found = named(look(path))
    assert found == {
        "movie-missing": (line_of(CLEAN, "_004"),),
        "movie-unreadable": (line_of(CLEAN, "_005"),),
        "movie-sizes": (line_of(CLEAN, "_007"),),
        "frame-count": (line_of(CLEAN, "NumSubFrames", 6),),
    }
    (tmp_path / "frames").rename(tmp_path / "elsewhere")
    assert set(named(look(path))) == CALM
    assert "movie-missing" in named(look(path, DoctorSettings(frames=tmp_path / "elsewhere")))


def test_the_pixel_of_the_movies(tmp_path: Path) -> None:
    path = write(tmp_path, CLEAN)
    movies(tmp_path / "frames", pixel_A=1.25)
    assert named(look(path)) == {"pixel-size": (1,)}


def stack(folder: Path, n: int = 9, shape: tuple[int, int] = (48, 64), pixel_A: float = 2.5) -> Path:
    write_mrc(folder / "TS_01.mrc", np.ones((n, *shape), np.float32), pixel_A, kind="stack")
    return folder / "TS_01.mrc"


def test_a_stack_and_its_angles(tmp_path: Path) -> None:
    path = write(tmp_path, CLEAN, "TS_01.mrc.mdoc")
    mrc = stack(tmp_path)
    assert set(named(look(mrc))) == CALM
    assert look(mrc).path == path
    angles = tmp_path / "TS_01.rawtlt"
    angles.write_text("".join(f"{tilt}\n" for tilt in TILTS))
    assert set(named(look(path))) == CALM
    angles.write_text("".join(f"{-tilt}\n" for tilt in TILTS))
    report = look(path)
    assert named(report)["angles-disagree"][0] == line_of(CLEAN, "TiltAngle = 3.0")
    assert "sign is turned" in next(f.message for f in report.findings if f.name == "angles-disagree")
    angles.write_text("1\n2\n")
    assert "angle-count" in named(look(path))
    angles.write_text("one\n")
    assert "angles-unreadable" in named(look(path))


def test_a_stack_that_does_not_fit(tmp_path: Path) -> None:
    path = write(tmp_path, CLEAN.replace("ImageFile = TS_01", "ImageFile = TS_02"), "TS_01.mrc.mdoc")
    mrc = stack(tmp_path, 7, (24, 32), 5.0)
    found = named(look(path))
    assert {"section-count", "image-size", "image-file", "pixel-size"} <= set(found)
    assert found["image-size"] == (line_of(CLEAN, "ImageSize"),)
    mrc.write_bytes(mrc.read_bytes()[:-5000])
    assert "stack-truncated" in named(look(path))
    mrc.write_bytes(b"no stack" * 200)
    assert "stack-unreadable" in named(look(path))


def test_a_stack_without_an_mdoc(tmp_path: Path) -> None:
    assert {"no-mdoc", "no-angles"} <= set(named(look(stack(tmp_path))))


def test_folders_are_searched_no_deeper_than_their_mdoc(tmp_path: Path) -> None:
    write(tmp_path / "session" / "mdoc", CLEAN)
    write(tmp_path / "session" / "mdoc" / "old", CLEAN)
    report, _ = examine([tmp_path / "session"])
    assert [one.path for one in report.series] == [tmp_path / "session" / "mdoc" / "TS_01.mdoc"]
    (tmp_path / "other").mkdir()
    write(tmp_path / "other" / "deep", CLEAN)
    (finding,) = examine([tmp_path / "other"])[0].findings
    assert finding.name == "nothing-found"
    assert "deep" in finding.message


def test_only_what_concerns_the_consumers_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, CLEAN.replace("TiltAngle = 3.0", "TiltAngle=3.0"))
    assert "separator" not in named(look(path, DoctorSettings(consumers=("RELION-5",))))
    assert "separator" in named(look(path, DoctorSettings(consumers=("Warp",))))


def test_real_files(real_data: Path) -> None:
    folder = real_data / "mdoc"
    report, _ = examine([folder])
    by_name = {one.path.name: one for one in report.series}
    for name in ("frame_set_single.mdoc", "frame_set_multiple.mdoc"):
        assert set(named(by_name[name])) == {"frame-set"}
    for name in ("gm.mrc.mdoc", "montage_section.mdoc", "montage_section_multiple.mdoc"):
        assert set(named(by_name[name])) == {"montage"}
    assert set(named(by_name["tilt_series.mdoc"])) == CALM | {
        "no-exposure",
        "no-prior-exposure",
        "two-digit-year",
        "series-not-in-movie-names",
    }
    assert set(named(by_name["ts_017.mdoc"])) == CALM | {
        "two-digit-year",
        "bare-movie-name",
        "prior-exposure-not-the-sum",
        "series-not-in-movie-names",
    }
    assert set(named(look(real_data / "empiar-10499-ts01" / "ts01.mrc"))) == {"no-mdoc"}


REAL: list[tuple[Change, str, str]] = [
    (lambda text: text + text[text.rindex("[ZValue") :], "duplicate-zvalue", "[ZValue = 40]"),
    (lambda text: text[:-120], "half-written", "[ZValue = 40]"),
    (swap("RotationAngle = 175.3", "RotationAngle = 85.3"), "tilt-axis", "Tilt axis"),
    (swap("TiltAngle = 3.00113", "TiltAngle = nan"), "nan-tilt", "[ZValue = 1]"),
    (swap("30-Nov-15  15:22:37", "30-Nov-15  15:21:38"), "equal-times", "15:21:38"),
    (swap("D:\\DATA\\Flo", "..\\.."), "parent-in-path", "SubFramePath"),
    (sub(r"TS_01_\d+_.*mrc", "TS_01_000_0.0.mrc"), "repeated-movie", "SubFramePath"),
]


@pytest.mark.parametrize(("change", "name", "at"), REAL, ids=[name for _, name, _ in REAL])
def test_a_real_file_that_was_spoilt(real_data: Path, tmp_path: Path, change: Change, name: str, at: str) -> None:
    text = change((real_data / "mdoc" / "tilt_series.mdoc").read_text())
    assert named(look(write(tmp_path, text)))[name][0] == line_of(text, at)


def test_every_trap_is_met_somewhere_here_and_told_in_the_documentation() -> None:
    here = Path(__file__).read_text()
    assert [name for name in TRAPS if f'"{name}"' not in here] == []
    assert traps_as_markdown() in (Path(__file__).parents[2] / "docs" / "doctor.md").read_text()


edits = st.lists(
    st.tuples(
        st.integers(0, 4000),
        st.integers(0, 30),
        st.one_of(
            st.binary(max_size=30),
            st.sampled_from(
                [b"\n", b"=", b" = ", b"9" * 400, b"nan", b"inf", b"1e400", b"-", b"[ZValue = 1.0]\n", b"..\\", b"\r"]
            ),
        ),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(edits=edits)
def test_damaged_files_are_looked_at_and_mended_without_a_crash(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, int, bytes]]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    damaged = bytearray(CLEAN.encode())
    for at, cut, what in edits:
        at %= len(damaged) + 1
        damaged[at : at + cut] = what
    path = write(folder, bytes(damaged))
    report, patients = examine([path])
    try:
        mend_all(patients, report, folder / "mended")
    except EucentricError as error:
        pytest.fail(str(error))
