import re
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path, PureWindowsPath
from typing import Any

import mdocfile
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from eucentric.core import InputError
from eucentric.io import read_mdoc
from eucentric.io.mdoc_writer import MdocHeader, MdocImage, write_mdoc

HEADER = MdocHeader(
    pixel_A=1.7005,
    voltage_kV=300,
    image_file="TS_01.mrc",
    shape_yx=(3838, 3710),
    tilt_axis_deg=84.3,
    data_mode=6,
    scheme="dosym",
)
START = datetime(2024, 12, 31, 23, 58, 30)
WRITTEN = 5e-7  # six decimals are written


def image(i: int, **changes: Any) -> MdocImage:
    values: dict[str, Any] = {
        "tilt_deg": 3.0 * (i if i % 2 else -i),
        "exposure_e_A2": 3.0,
        "pre_exposure_e_A2": 3.0 * i,
        "defocus_A": 35_000.0,
        "target_defocus_A": 40_000.0,
        "exposure_s": 0.8,
        "recorded": START + timedelta(seconds=60 * i),
        "frame_path": rf"X:\twin\frames\TS_01_{i:03d}.tif",
        "n_frames": 10,
        "pixel_A": 1.7005,
        "spot_size": 5,
        "stage_xy_A": (-1_371_750.0, 3_671_990.0),
        "stage_z_A": 177_518.0,
        "image_shift_xy_A": (-733.0, 1.0),
        "dose_rate_e_px_s": 10.8,
        "frame_exposures": ((0.2, 5), (0.4, 5)),
        "magnification": 64000,
        "intensity": 0.186771,
        "camera_index": 1,
        "min_max_mean": (0, 12, 3.25),
        "slit": (10.0, 0.0),
        "counts_per_electron": 1.0,
        "navigator_label": "114-A",
    }
    return MdocImage(**{**values, **changes})


IMAGES = [image(i) for i in range(7)]


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")


@st.composite
def series(draw: st.DrawFn) -> tuple[MdocHeader, list[MdocImage]]:
    n = draw(st.integers(2, 5))
    moment = draw(st.datetimes(datetime(2001, 1, 1), datetime(2090, 1, 1)))
    folder = draw(st.sampled_from(["D:\\DATA\\été\\", "/data/a b=c/", "X:/frames/", "", "[T = x]\\"]))
    prior, images = draw(st.floats(0, 50)), []
    for i in range(n):
        exposure = draw(st.floats(1e-3, 20))
        images.append(
            image(
                i,
                tilt_deg=draw(st.floats(-90, 90)),
                exposure_e_A2=exposure,
                pre_exposure_e_A2=prior,
                target_defocus_A=draw(st.floats(-1e5, 1e5)),
                defocus_A=draw(st.floats(-1e6, 1e6)),
                recorded=moment,
                frame_path=f"{folder}TS_{i}.tif",
                n_frames=10,
            )
        )
        prior += exposure
        moment += draw(st.timedeltas(timedelta(seconds=1), timedelta(days=3)))
    axis = draw(st.floats(-360, 360))
    return HEADER.replace(tilt_axis_deg=axis, pixel_A=draw(st.floats(0.1, 1e4))), images


@settings(max_examples=60, deadline=None, derandomize=True)
@given(case=series())
def test_what_is_written_is_read_back_without_a_finding(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[MdocHeader, list[MdocImage]]
) -> None:
    header, images = case
    path = tmp_path_factory.getbasetemp() / "round-trip.mdoc"
    write_mdoc(path, header, images)
    read = read_mdoc(path)  # a warning would be an error
    # A series may really cross a midnight or a month, of which the reader makes a note.
    assert {str(finding.name) for finding in read.findings} <= {"crosses-midnight", "crosses-month"}
    assert read.order_known
    assert (read.image_file, read.voltage_kV) == ("TS_01.mrc", 300)
    assert read.pixel_A == pytest.approx(header.pixel_A, abs=WRITTEN)
    assert read.tilt_axis_deg == pytest.approx(header.tilt_axis_deg, abs=0.0501)  # one decimal, as SerialEM has it
    for i, (ours, section) in enumerate(zip(images, read.sections, strict=True)):
        assert (section.z_value, section.order) == (i, i)
        assert section.tilt_deg == pytest.approx(ours.tilt_deg, abs=WRITTEN)
        assert section.exposure_e_A2 == pytest.approx(ours.exposure_e_A2, abs=WRITTEN)
        assert section.pre_exposure_e_A2 == pytest.approx(ours.pre_exposure_e_A2, abs=WRITTEN)
        assert section.target_defocus_A == pytest.approx(ours.target_defocus_A, abs=WRITTEN * 1e4)
        assert section.recorded == ours.recorded.replace(microsecond=0)
        assert (section.frame_path, section.movie) == (ours.frame_path, f"TS_{i}.tif")
        assert section.n_frames == 10


def test_mdocfile_reads_every_value(tmp_path: Path) -> None:
    write_mdoc(tmp_path / "a.mdoc", HEADER, IMAGES)
    theirs = mdocfile.read(tmp_path / "a.mdoc")
    assert theirs["ZValue"].tolist() == list(range(7))
    np.testing.assert_allclose(theirs["TiltAngle"], [i.tilt_deg for i in IMAGES])
    first = theirs.iloc[1]
    assert first["StagePosition"] == (-137.175, 367.199)  # µm
    assert first["ImageShift"] == (-0.0733, 0.0001)
    assert (first["StageZ"], first["Defocus"], first["TargetDefocus"]) == (17.7518, -3.5, -4.0)  # under is negative
    assert (first["ExposureDose"], first["PriorRecordDose"], first["DoseRate"]) == (3.0, 3.0, 10.8)
    assert first["MinMaxMean"] == (0, 12, 3.25)
    assert first["FilterSlitAndLoss"] == (10.0, 0.0)
    assert (first["ImageSize"], first["DataMode"], first["Voltage"]) == ((3710, 3838), 6, 300)
    assert first["SubFramePath"] == PureWindowsPath(r"X:\twin\frames\TS_01_001.tif")
    assert (first["NavigatorLabel"], first["Intensity"], first["Binning"]) == ("114-A", 0.186771, 1.0)
    doses = np.array(first["FrameDosesAndNumber"])
    assert (doses[:, 0] * doses[:, 1]).sum() == pytest.approx(3.0)


def relion(path: Path) -> list[dict[str, Any]]:
    """RELION-5's import: one table, sorted by time; first prior exposure 0."""
    table = mdocfile.read(path)
    table["when"] = pd.to_datetime(table["DateTime"], format="%d-%b-%Y  %H:%M:%S")
    needed = ["TiltAngle", "SubFramePath", "NumSubFrames", "when"]
    return [{str(key): row[key] for key in needed} for _, row in table.sort_values("when").iterrows()]


def split_sections(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Cut as readers that look for ' = ' do."""
    header: list[str] = []
    sections: list[dict[str, str]] = []
    for line in lines_of(path):
        if line.startswith("[ZValue = "):
            sections.append({"ZValue": line[10:-1]})
        elif not sections:
            header.append(line)
        elif line:
            key, _, value = line.partition(" = ")
            sections[-1][key] = value
    return header, sections


def warp(path: Path) -> list[dict[str, Any]]:
    """Warp's import: exact separator, unique ZValues, the movie's name, the axis between '=' and ',' of a title."""
    header, sections = split_sections(path)
    title = next(line for line in header if "Tilt axis angle = " in line)
    axis = float(title.split("Tilt axis angle = ")[1].split(",")[0])
    assert len({section["ZValue"] for section in sections}) == len(sections)
    return [
        {
            "TiltAngle": float(section["TiltAngle"]),
            "SubFramePath": re.split(r"[\\/]", section["SubFramePath"])[-1],
            "when": datetime.strptime(section["DateTime"], "%d-%b-%Y  %H:%M:%S"),
            "axis": axis,
        }
        for section in sections
    ]


def aretomo(path: Path) -> list[dict[str, Any]]:
    """AreTomo3's: all five keys in every section, at least seven sections."""
    _, sections = split_sections(path)
    assert len(sections) >= 7
    return [
        {
            "TiltAngle": float(section["TiltAngle"]),
            "ExposureDose": float(section["ExposureDose"]),
            "SubFramePath": re.split(r"[\\/]", section["SubFramePath"])[-1],
            "ExposureTime": float(section["ExposureTime"]),
            "when": datetime.strptime(section["DateTime"], "%d-%b-%Y  %H:%M:%S"),
        }
        for section in sections
    ]


def imod(path: Path) -> list[dict[str, Any]]:
    """IMOD's: pixel and size before the sections, a title of 80 at most with the axis, numbers by the section."""
    header, sections = split_sections(path)
    pairs = dict(line.split(" = ", 1) for line in header if " = " in line and not line.startswith("["))
    titles = [line[5:-1] for line in header if line.startswith("[T = ") and line.endswith("]")]
    assert all(len(title) <= 80 for title in titles)
    words = next(title for title in titles if "Tilt axis angle" in title).replace(",", " ").split()
    values = {words[k - 1]: float(words[k + 1]) for k, word in enumerate(words) if word == "="}
    assert float(pairs["PixelSpacing"]) > 0
    assert [int(side) for side in pairs["ImageSize"].split()] == [3710, 3838]
    return [
        {
            "TiltAngle": float(section["TiltAngle"]),
            "dose": [float(part) for part in section["FrameDosesAndNumber"].split()],
            "ExposureDose": float(section["ExposureDose"]),
            "PriorRecordDose": float(section["PriorRecordDose"]),
            "rotation": float(section["RotationAngle"]),
            **values,
        }
        for section in sections
    ]


@pytest.mark.parametrize("reader", [relion, warp, aretomo, imod])
@pytest.mark.parametrize("folder", ["X:\\twin\\frames\\", "/twin/frames/", "frames/"])
def test_each_consumer_finds_what_it_needs(
    tmp_path: Path, reader: Callable[[Path], list[dict[str, Any]]], folder: str
) -> None:
    images = [one.replace(frame_path=f"{folder}TS_01_{i:03d}.tif") for i, one in enumerate(IMAGES)]
    write_mdoc(tmp_path / "a.mdoc", HEADER, images)
    found = reader(tmp_path / "a.mdoc")
    assert [row["TiltAngle"] for row in found] == [one.tilt_deg for one in images]
    for ours, row in zip(images, found, strict=True):
        if "SubFramePath" in row:
            assert PureWindowsPath(row["SubFramePath"]).name == PureWindowsPath(ours.frame_path).name
        expected = {
            "when": ours.recorded,
            "axis": 84.3,
            "angle": 84.3,
            "dosym": 0.0,
            "binning": 1.0,
            "spot": 5.0,
            "camera": 1.0,
            "dose": [0.2, 5, 0.4, 5],
            "ExposureDose": 3.0,
            "ExposureTime": 0.8,
            "NumSubFrames": 10,
            "PriorRecordDose": ours.pre_exposure_e_A2,
            "rotation": 174.3,
        }
        for key in set(row) & set(expected):
            assert row[key] == expected[key], key
        assert set(row) <= set(expected) | {"TiltAngle", "SubFramePath"}
    if reader is imod:
        assert {"angle", "dosym", "binning", "spot", "camera"} <= set(found[0])


@pytest.mark.parametrize(("axis_deg", "rotation_deg"), [(85.3, 175.3), (-86.7, 3.3), (90.6, -179.4), (-95, -5)])
def test_rotation_counts_from_x_as_in_recorded_files(tmp_path: Path, axis_deg: float, rotation_deg: float) -> None:
    # The first three pairs stand in files that SerialEM wrote (the second is 3.349 there, with more decimals).
    write_mdoc(tmp_path / "a.mdoc", HEADER.replace(tilt_axis_deg=axis_deg), IMAGES[:2])
    _, sections = split_sections(tmp_path / "a.mdoc")
    assert float(sections[0]["RotationAngle"]) == pytest.approx(rotation_deg, abs=1e-5)


@pytest.mark.parametrize("name", ["ts_017.mdoc", "tilt_series.mdoc"])
def test_titles_and_keys_are_those_of_recorded_files(real_data: Path, tmp_path: Path, name: str) -> None:
    theirs, their_sections = split_sections(real_data / "mdoc" / name)
    title = next(line for line in theirs if "Tilt axis" in line)
    number = {key: float(value) for key, value in re.findall(r"(\w+) = (-?[\d.]+)", title)}
    header = HEADER.replace(tilt_axis_deg=number["angle"], scheme="dosym" if "dosym" in number else None)
    header = header.replace(scheme_start_deg=number.get("dosym", 0.0))
    changes = {"spot_size": int(number["spot"]), "camera_index": int(number["camera"]), "binning": number["binning"]}
    write_mdoc(tmp_path / "a.mdoc", header, [image(0, **changes)])
    ours, our_sections = split_sections(tmp_path / "a.mdoc")
    assert next(line for line in ours if "Tilt axis" in line) == title
    digitized = [next(line for line in lines if line.startswith("[T = SerialEM: ")) for lines in (theirs, ours)]
    assert len(digitized[0]) == len(digitized[1])
    # The keys that both have stand in the same order.
    both = [key for key in their_sections[0] if key in our_sections[0]]
    moved = {"MinMaxMean"}  # older SerialEM wrote it further down
    assert [k for k in our_sections[0] if k in both and k not in moved] == [k for k in both if k not in moved]
    unknown = set(their_sections[0]) - set(our_sections[0])
    assert unknown <= {"MagIndex", "OperatingMode", "LowDoseConSet", "UncroppedSize"}  # settings of one microscope


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be in a time zone with summer time, in which stamps made through the system's clock would be an hour off."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
def test_dates_have_four_digits_and_stamps_count_from_2020(tmp_path: Path) -> None:
    when = [datetime(2020, 1, 1, 0, 0, 1, 999_999), datetime(2023, 10, 29, 2, 30), datetime(2024, 5, 31, 23, 59, 59)]
    write_mdoc(tmp_path / "a.mdoc", HEADER, [image(i, recorded=moment) for i, moment in enumerate(when)])
    _, sections = split_sections(tmp_path / "a.mdoc")
    dates = ["01-Jan-2020  00:00:01", "29-Oct-2023  02:30:00", "31-May-2024  23:59:59"]
    assert [section["DateTime"] for section in sections] == dates
    # 1096 + 301 days and 2 h 30 min; 1461 + 152 days less a second.
    stamps = [1, 1397 * 86_400 + 9_000, 1613 * 86_400 - 1]
    assert [int(section["TimeStamp"]) for section in sections] == stamps


def test_months_are_english(tmp_path: Path) -> None:
    images = [image(i, recorded=datetime(2024, i + 1, 1)) for i in range(12)]
    write_mdoc(tmp_path / "a.mdoc", HEADER, images)
    months = [section["DateTime"][3:6] for section in split_sections(tmp_path / "a.mdoc")[1]]
    assert months == ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    required = {name: getattr(IMAGES[0], name) for name, f in MdocImage.model_fields.items() if f.is_required()}
    write_mdoc(tmp_path / "a.mdoc", HEADER.replace(scheme=None), [MdocImage(**required)])
    text = (tmp_path / "a.mdoc").read_text()
    assert "None" not in text
    assert "dosym" not in text
    for key in ("StagePosition", "NominalStageXY", "DoseRate", "MinMaxMean", "FilterSlitAndLoss", "NavigatorLabel"):
        assert key not in text
    assert read_mdoc(tmp_path / "a.mdoc").findings == ()


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ([], "no images"),
        ([image(0), image(1, recorded=START)], "whole seconds"),
        ([image(0), image(1, recorded=START + timedelta(milliseconds=900))], "whole seconds"),
        ([image(1), image(2, pre_exposure_e_A2=0.0)], "had received less"),
        ([image(0), image(1, slit=None)], "slit"),
        ([image(0), image(1, frame_path="/elsewhere/TS_01_000.tif")], "TS_01_000.tif"),
    ],
)
def test_what_would_be_misread_is_refused_and_nothing_written(
    tmp_path: Path, images: list[MdocImage], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        write_mdoc(tmp_path / "a.mdoc", HEADER, images)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"frame_path": "a.tif\n[ZValue = 9]"},
        {"frame_path": " a.tif"},
        {"frame_path": "..\\a.tif"},
        {"frame_path": "D:\\"},
        {"frame_path": "frames/[a]"},
        {"exposure_e_A2": 0.0},
        {"tilt_deg": float("nan")},
        {"frame_exposures": ((0.3, 9),)},
        {"recorded": "2024-01-01T00:00:00+01:00"},
        {"misspelt": 1},
    ],
)
def test_impossible_images_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        image(0, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"image_file": "a=b.mrc"},
        {"image_file": "a\n"},
        {"image_file": "folder/a.mrc"},
        {"title": "x]"},
        {"title": "µ"},
        {"title": " x"},
        {"title": "x" * 45},
        {"data_mode": 0},
        {"tilt_axis_deg": float("inf")},
    ],
)
def test_impossible_headers_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HEADER.replace(**changes)


def test_no_number_has_an_exponent_or_a_negative_zero(tmp_path: Path) -> None:
    tiny = image(0, tilt_deg=-1e-9, image_shift_xy_A=(-1e-4, 1e-3), defocus_A=0.0, intensity=1e-5, stage_z_A=1e12)
    write_mdoc(tmp_path / "a.mdoc", HEADER.replace(tilt_axis_deg=-0.01), [tiny])
    _, sections = split_sections(tmp_path / "a.mdoc")
    numbers = [sections[0][key] for key in ("TiltAngle", "ImageShift", "Defocus", "Intensity", "StageZ")]
    assert numbers == ["0", "0 0", "0", "0.00001", "100000000"]
    assert "angle = 0.0," in (tmp_path / "a.mdoc").read_text()


def test_reading_warns_of_nothing_in_a_series_of_one_evening(tmp_path: Path) -> None:
    images = [image(i, recorded=datetime(2024, 3, 1, 20, i)) for i in range(7)]
    write_mdoc(tmp_path / "a.mdoc", HEADER, images)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_mdoc(tmp_path / "a.mdoc").findings == ()
