"""How each consumer is said to read a series: a good one, and bad ones."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest
from doctor_cases import CLEAN, HEADER, TILTS, Change, look, section, write

from eucentric.io import write_mrc
from eucentric.workflow.doctor import ConsumerView


def views(path: Path) -> dict[str, ConsumerView]:
    return {view.consumer: view for view in look(path).views}


def test_a_good_series(tmp_path: Path) -> None:
    path = write(tmp_path, CLEAN, "TS_01.mrc.mdoc")
    write_mrc(tmp_path / "TS_01.mrc", np.ones((9, 48, 64), np.float32), 2.5, kind="stack")
    told = views(path)
    assert {name: view.imports for name, view in told.items()} == {
        "RELION-5": "wrongly",  # its released versions, with the dose of the .mdoc
        "Warp": "yes",
        "AreTomo3": "yes",
        "IMOD": "yes",
    }
    assert "off by one tilt" in told["RELION-5"].because[0]
    for name, view in told.items():
        assert view.order == tuple(range(9))
        assert view.n_tilts == 9
        assert (view.tilt_min_deg, view.tilt_max_deg) == (-12, 12), name
    before = {name: (view.first_pre_exposure_e_A2, view.last_pre_exposure_e_A2) for name, view in told.items()}
    assert before == {"RELION-5": (3, 27), "Warp": (0, 24), "AreTomo3": (None, None), "IMOD": (0, 24)}
    assert {name: view.axis_deg for name, view in told.items()} == {
        "RELION-5": None,
        "Warp": 85.3,
        "AreTomo3": None,
        "IMOD": 85.3,
    }
    assert told["IMOD"].frames == 9


def test_warp_turns_the_angles(tmp_path: Path) -> None:
    text = HEADER + "".join(section(i, tilt + 10) for i, tilt in enumerate(TILTS))
    told = views(write(tmp_path, text))
    assert (told["Warp"].tilt_min_deg, told["Warp"].tilt_max_deg, told["Warp"].tilt_sign) == (-22, 2, -1)
    assert (told["AreTomo3"].tilt_min_deg, told["AreTomo3"].tilt_max_deg) == (-2, 22)


BAD: list[tuple[Change, dict[str, tuple[str, str]]]] = [
    (
        lambda text: text + section(4, 6.5, "05-Nov-2023  15:30:00"),
        {"Warp": ("no", "twice"), "RELION-5": ("wrongly", "taken twice"), "AreTomo3": ("wrongly", "taken twice")},
    ),
    (lambda text: text.replace("\n\n[ZValue", "\n[ZValue"), {"Warp": ("wrongly", "1 of 9"), "AreTomo3": ("yes", "")}),
    (lambda text: text.replace("TiltAngle = 3.0", "TiltAngle=3.0"), {"Warp": ("no", "names no movie")}),
    (lambda text: text.replace("Tilt axis angle", "Nothing"), {"Warp": ("wrongly", "axis of 0")}),
    (
        lambda text: text.replace("[T =     Tilt axis angle = 85.3,", "TiltAxisAngle = -5 \n[T ="),
        {"Warp": ("wrongly", "Tomography 5"), "AreTomo3": ("yes", "")},
    ),
    (
        lambda text: re.sub("DateTime.*\n", "", text),
        {"Warp": ("no", "DateTime"), "RELION-5": ("no", "DateTime"), "AreTomo3": ("no", "DateTime")},
    ),
    (
        lambda text: text.replace("DateTime = 05-Nov-2023  15:22:00\n", ""),
        {
            "Warp": ("wrongly", "comes first"),
            "RELION-5": ("wrongly", "come last"),
            "AreTomo3": ("wrongly", "left out"),
        },
    ),
    (
        lambda text: text.replace("05-Nov-2023", "5-Nov-2023"),
        {"Warp": ("no", "DateTime"), "AreTomo3": ("yes", ""), "RELION-5": ("wrongly", "off by one")},
    ),
    (lambda text: text.replace("-2023", "-23"), {"Warp": ("yes", ""), "AreTomo3": ("yes", "")}),
    (
        lambda text: text.replace("-2023  15:28", "-23  15:28"),
        {"Warp": ("yes", ""), "AreTomo3": ("wrongly", "order of acquisition is wrong")},
    ),
    (lambda text: text.replace("NumSubFrames", "Other"), {"RELION-5": ("no", "NumSubFrames"), "Warp": ("yes", "")}),
    (lambda text: re.sub("ExposureTime.*\n", "", text), {"AreTomo3": ("no", "ExposureTime"), "Warp": ("yes", "")}),
    (lambda text: text[: text.index("\n[ZValue = 6]")], {"AreTomo3": ("no", "no fewer than 7"), "Warp": ("yes", "")}),
    (lambda text: text.replace("D:\\DATA\\frames\\", ""), {"AreTomo3": ("wrongly", "space"), "Warp": ("yes", "")}),
    (lambda text: re.sub(r"TS_01_00(\d)", r"TS_01.\1", text), {"RELION-5": ("wrongly", "same movie")}),
    (lambda text: text.replace("\\TS_01", "\\other"), {"RELION-5": ("wrongly", "dropped"), "Warp": ("yes", "")}),
    (lambda text: re.sub("SubFramePath.*\n", "", text), {"Warp": ("no", "names no movie"), "RELION-5": ("no", "Sub")}),
    (lambda text: text.replace("TiltAngle = 3.0", "TiltAngle = NaN"), {"RELION-5": ("wrongly", "NaN")}),
]


@pytest.mark.parametrize(("change", "told"), BAD)
def test_bad_series(tmp_path: Path, change: Change, told: dict[str, tuple[str, str]]) -> None:
    found = views(write(tmp_path, change(CLEAN)))
    for name, (imports, because) in told.items():
        assert found[name].imports == imports, found[name]
        assert not because or any(because in reason for reason in found[name].because), found[name]


def test_a_missing_movie(tmp_path: Path) -> None:
    path = write(tmp_path, CLEAN)
    (tmp_path / "frames").mkdir()
    for i in range(8):
        (tmp_path / "frames" / f"TS_01_{i:03d}.tif").write_bytes(b"x")
    told = views(path)
    assert told["Warp"].imports == "no"
    assert told["RELION-5"].n_tilts == 8
    assert told["AreTomo3"].frames == 8


def test_relions_order_and_doses_are_those_of_the_packages_that_it_uses(real_data: Path) -> None:
    """Its import is mdocfile, pandas' to_datetime, a sort and a sum; here from the same packages."""
    import mdocfile

    pandas = importlib.import_module("pandas")
    path = real_data / "mdoc" / "ts_017.mdoc"
    table = mdocfile.read(path)
    table["DateTime"] = pandas.to_datetime(table["DateTime"], format="%d-%b-%y  %H:%M:%S")
    table = table.sort_values(by="DateTime", ascending=True)
    told = views(path)["RELION-5"]
    assert told.order == tuple(table["ZValue"])
    before = np.cumsum(table["ExposureDose"].to_numpy())
    assert (told.first_pre_exposure_e_A2, told.last_pre_exposure_e_A2) == pytest.approx((before[0], before[-1]))
    assert told.n_tilts == len(table) == 60
