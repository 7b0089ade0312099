import re
import warnings
from collections.abc import Callable
from pathlib import Path

import mdocfile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucentric.core import EucentricError, EucentricWarning, FormatError, FormatWarning, InputError
from eucentric.io import FindingName, MdocSeries, read_mdoc
from eucentric.io.mdoc import examine_mdoc

HEADER = """PixelSpacing = 2.5
Voltage = 300
ImageFile = TS_01.mrc
ImageSize = 4096 4096

[T = SerialEM: Digitized on a microscope                       30-Nov-2023  15:14:20    ]

[T =     Tilt axis angle = 85.3, binning = 1  spot = 8  camera = 2]
"""
TILTS = [0.0, 3.0, -3.0, -6.0, 6.0]


def section(i: int, tilt: float, time: str = "") -> str:
    return f"""
[ZValue = {i}]
TiltAngle = {tilt}
ExposureDose = 3
PriorRecordDose = {3 * i}
RotationAngle = 175.3
TargetDefocus = -4
SubFramePath = D:\\DATA\\frames\\TS_01_{i:03d}.tif
NumSubFrames = 8
DateTime = {time or f"05-Nov-2023  15:2{i}:00"}
"""


CLEAN = HEADER + "".join(section(i, tilt) for i, tilt in enumerate(TILTS))


def read_quietly(folder: Path, text: str | bytes, name: str = "TS_01.mdoc") -> MdocSeries:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FormatWarning)
        return read_mdoc(folder / name)


def test_scripts_that_count_exposures_begin_after_the_first_image(tmp_path: Path) -> None:
    series = read_quietly(tmp_path, CLEAN.replace("PriorRecordDose = 0\n", ""))
    assert series.findings == ()
    assert [one.pre_exposure_e_A2 for one in series.sections][:2] == [None, 3]


def test_a_clean_file_has_no_findings(tmp_path: Path) -> None:
    series = read_quietly(tmp_path, CLEAN)
    assert series.findings == ()
    assert (series.pixel_A, series.voltage_kV, series.tilt_axis_deg) == (2.5, 300, 85.3)
    assert (series.image_file, series.order_known) == ("TS_01.mrc", True)
    first = series.sections[3]
    assert (first.tilt_deg, first.order, first.exposure_e_A2, first.pre_exposure_e_A2) == (-6, 3, 3, 9)
    assert (first.movie, first.n_frames, first.target_defocus_A) == ("TS_01_003.tif", 8, 4e4)


def swap(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new)


def drop(pattern: str, count: int = 0) -> Callable[[str], str]:
    return lambda text: re.sub(pattern, "", text, count=count)


@pytest.mark.parametrize(
    ("change", "name", "severity"),
    [
        (lambda text: text + section(4, 6.5, "05-Nov-2023  15:30:00"), "duplicate-zvalue", "warning"),
        (swap("TS_01_002.tif", "TS_01_002_override.tif"), "override", "warning"),
        (drop("PriorRecordDose = 6\n"), "no-prior-exposure", "warning"),
        (swap("ExposureDose = 3", "ExposureDose = 0"), "no-exposure", "warning"),
        (swap("RotationAngle = 175.3", "RotationAngle = 2.0"), "tilt-axis", "warning"),
        (swap("Tilt axis angle", "Nothing"), "tilt-axis", "warning"),
        (swap("[T =     Tilt axis angle = 85.3,", "TiltAxisAngle = -5\n[T ="), "tilt-axis", "warning"),
        (swap("05-Nov-2023", "05-Nov-23"), "two-digit-year", "note"),
        (swap("05-Nov-2023  15:24", "06-Nov-2023  00:04"), "crosses-midnight", "note"),
        (swap("05-Nov-2023  15:24", "01-Dec-2023  00:04"), "crosses-month", "note"),
        (lambda text: text[: text.rindex("RotationAngle")], "half-written", "warning"),
        (swap("D:\\DATA\\frames\\TS_01_001", "..\\..\\TS_01_001"), "parent-in-path", "warning"),
        (drop(r"SubFramePath = .*003.tif\n"), "no-movie", "warning"),
        (lambda text: re.sub(r"TS_01_00\d", "TS_01_000", text), "repeated-movie", "warning"),
        (swap("PriorRecordDose = 3\n", "PriorRecordDose = 60\n"), "order-lost", "warning"),
    ],
)
def test_each_trap_is_named_and_only_it(tmp_path: Path, change: Callable[[str], str], name: str, severity: str) -> None:
    series = read_quietly(tmp_path, change(CLEAN))
    found = {(str(finding.name), finding.severity) for finding in series.findings}
    allowed = {("no-exposure", "warning"), ("no-prior-exposure", "warning"), ("no-movie", "warning")}
    assert (name, severity) in found
    assert found - {(name, severity)} <= (allowed if name == "half-written" else set())
    if severity == "warning":
        with pytest.warns(FormatWarning) as caught:
            read_mdoc(tmp_path / "TS_01.mdoc")
        assert any(f"[{name}]" in str(w.message) for w in caught)


def test_bytes_of_windows_are_read_and_named(tmp_path: Path) -> None:
    series = read_quietly(tmp_path, CLEAN.replace("a microscope", "µscope").encode("cp1252"))
    assert [finding.name for finding in series.findings] == [FindingName.NOT_UTF8]
    assert len(series.sections) == 5


def test_an_override_duplicate_beside_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "TS_01_override.mdoc").write_text(CLEAN)
    series = read_quietly(tmp_path, CLEAN)
    assert [finding.name for finding in series.findings] == [FindingName.OVERRIDE]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (HEADER, "empty"),
        (CLEAN.replace("[ZValue = 0]", "[FrameSet = 0]"), "frame-set"),
        ("Montage = 1\n" + CLEAN, "montage"),
        (CLEAN.replace("TiltAngle = 3.0", "TiltAngle = 3.0\nPieceCoordinates = 0 0 0"), "montage"),
        (CLEAN.replace("TiltAngle = 3.0", "TiltAngle = NaN"), "unreadable-section"),
        (CLEAN.replace("TiltAngle = 3.0\n", ""), "unreadable-section"),
        (CLEAN.replace("TiltAngle = 3.0", "TiltAngle = 3.0.1"), "unreadable-section"),
        (CLEAN.replace("[ZValue = 2]", "[ZValue = two]"), "unreadable-section"),
    ],
)
def test_what_is_no_series_is_refused_by_name(tmp_path: Path, text: str, name: str) -> None:
    with pytest.raises(FormatError, match=re.escape(f"[{name}]")):
        read_quietly(tmp_path, text)


def test_empty_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="empty"):
        read_quietly(tmp_path, "")
    with pytest.raises(InputError, match="no such file"):
        read_mdoc(tmp_path / "absent.mdoc")


@pytest.mark.parametrize(("cut", "n"), [("TiltAngle = 6.0", 4), ("[ZValue = 4]", 4), ("DateTime", 5)])
def test_the_rest_of_a_half_written_file_is_read(tmp_path: Path, cut: str, n: int) -> None:
    text = CLEAN[: CLEAN.rindex(cut) + (len(cut) if cut.startswith("[") else 14)]
    if cut == "DateTime":
        text = CLEAN[: CLEAN.rindex("NumSubFrames")]
    assert len(read_quietly(tmp_path, text).sections) == n


def test_order_comes_from_times_else_from_exposures_else_is_unknown(tmp_path: Path) -> None:
    shuffled = HEADER + "".join(section(i, t, f"05-Nov-2023  15:2{(i + 2) % 5}:00") for i, t in enumerate(TILTS))
    assert [s.order for s in read_quietly(tmp_path, shuffled).sections] == [2, 3, 4, 0, 1]
    untimed = re.sub("DateTime.*\n", "", re.sub(r"Dose = (\d+)", lambda m: f"Dose = {20 - int(m[1])}", CLEAN))
    assert [s.order for s in read_quietly(tmp_path, untimed).sections] == [4, 3, 2, 1, 0]
    series = read_quietly(tmp_path, re.sub("DateTime.*\n|Prior.*\n", "", CLEAN))
    assert not series.order_known
    assert FindingName.ORDER_LOST in [finding.name for finding in series.findings]


def test_times_sort_across_a_change_of_clocks_and_a_month(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    text = re.sub("Prior.*\n", "", CLEAN)
    for i, time in enumerate(["31-Oct-2023  23:59:59", "01-Nov-2023  00:00:10", "01-Nov-2023  02:30:00"]):
        text = text.replace(f"05-Nov-2023  15:2{i}:00", time)
    assert [s.order for s in read_quietly(tmp_path, text).sections] == [0, 1, 2, 3, 4]


def test_real_series_agree_with_mdocfile(real_data: Path) -> None:
    for name, n, names in (
        ("tilt_series.mdoc", 41, {"no-exposure", "no-prior-exposure", "two-digit-year"}),
        ("ts_017.mdoc", 60, {"two-digit-year"}),
    ):
        path = real_data / "mdoc" / name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FormatWarning)
            series = read_mdoc(path)
        theirs = mdocfile.read(path)
        assert {str(finding.name) for finding in series.findings} == names
        assert len(series.sections) == n
        np.testing.assert_array_equal([s.tilt_deg for s in series.sections], theirs["TiltAngle"])
        assert [s.n_frames for s in series.sections] == theirs["NumSubFrames"].tolist()
    # Of the second: it is sorted by tilt, and its prior exposures tell the same order as its times.
    assert [s.order for s in series.sections] == np.argsort(np.argsort(theirs["PriorRecordDose"])).tolist()
    assert series.tilt_axis_deg == 82.9


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("frame_set_single.mdoc", "frame-set"),
        ("frame_set_multiple.mdoc", "frame-set"),
        ("gm.mrc.mdoc", "montage"),
        ("montage_section.mdoc", "montage"),
        ("montage_section_multiple.mdoc", "montage"),
    ],
)
def test_real_files_of_other_kinds_are_refused(real_data: Path, name: str, says: str) -> None:
    with pytest.raises(FormatError, match=re.escape(f"[{says}]")):
        read_mdoc(real_data / "mdoc" / name)


def damage_and_read(folder: Path, raw: bytes, edits: list[tuple[str, int, bytes]]) -> None:
    damaged = bytearray(raw)
    for action, at, what in edits:
        at %= max(1, len(damaged))
        damaged[at : at + (0 if action == "insert" else len(what))] = b"" if action == "delete" else what
    path = folder / "damaged.mdoc"
    path.write_bytes(damaged)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EucentricWarning)
        try:
            series = read_mdoc(path)
        except EucentricError:
            return
    assert sorted(s.order for s in series.sections) == list(range(len(series.sections)))


edits = st.lists(
    st.tuples(
        st.sampled_from(["set", "insert", "delete"]),
        st.integers(0, 100_000),
        st.one_of(
            st.binary(min_size=1, max_size=30),
            st.sampled_from([b"\n", b"=", b"9" * 400, b"nan", b"1e400", b"-", b"[ZValue = 1]\n", "²".encode()]),
        ),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(edits=edits)
def test_a_damaged_file_is_read_or_refused_in_our_own_words(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[str, int, bytes]]
) -> None:
    damage_and_read(tmp_path_factory.getbasetemp(), CLEAN.encode(), edits)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(name=st.sampled_from(["tilt_series.mdoc", "ts_017.mdoc", "gm.mrc.mdoc", "frame_set_single.mdoc"]), edits=edits)
def test_a_damaged_real_file_too(
    real_data: Path, tmp_path_factory: pytest.TempPathFactory, name: str, edits: list[tuple[str, int, bytes]]
) -> None:
    damage_and_read(tmp_path_factory.getbasetemp(), (real_data / "mdoc" / name).read_bytes(), edits)


def test_findings_tell_their_lines(tmp_path: Path) -> None:
    text = CLEAN.replace("ExposureDose = 3\n", "ExposureDose = 0\n", 1).replace("PriorRecordDose = 6\n", "")
    text += section(4, 6.5, "05-Nov-2023  15:30:00")
    lines = text.split("\n")
    found = {str(finding.name): finding for finding in read_quietly(tmp_path, text).findings}
    assert found["no-exposure"].lines == (lines.index("ExposureDose = 0") + 1,)
    assert found["no-prior-exposure"].line == lines.index("[ZValue = 2]") + 1
    twice = tuple(number for number, line in enumerate(lines, start=1) if line == "[ZValue = 4]")
    assert found["duplicate-zvalue"].lines == twice
    assert read_quietly(tmp_path, CLEAN.replace("a micro", "µ").encode("cp1252")).findings[0].line is None


def test_a_refused_file_can_still_be_examined(tmp_path: Path) -> None:
    text = CLEAN.replace("TiltAngle = 3.0", "TiltAngle = 3.0.1")
    (tmp_path / "TS_01.mdoc").write_text(text)
    examined = examine_mdoc(tmp_path / "TS_01.mdoc")
    (refusal,) = examined.refusals
    assert (refusal.severity, refusal.line) == ("error", text.split("\n").index("TiltAngle = 3.0.1") + 1)
    assert examined.series is not None
    assert len(examined.series.sections) == 4
    (tmp_path / "TS_01.mdoc").write_text(CLEAN[: CLEAN.rindex("NumSubFrames")])
    growing = examine_mdoc(tmp_path / "TS_01.mdoc", growing=True)
    assert growing.series is not None
    assert growing.series.findings == ()
    assert len(growing.series.sections) == 4
