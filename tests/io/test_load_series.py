import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eucentric.core import DataWarning, FormatWarning, InputError
from eucentric.io import LoadedSeries, load_series, write_angles, write_mrc

TILTS = (-3.0, 0.0, 3.0)
MDOC = """PixelSpacing = 4
Voltage = 300
[T = Tilt axis angle = 85.3, binning = 1]
""" + "".join(
    f"[ZValue = {i}]\nTiltAngle = {tilt}\nExposureDose = {dose}\nDateTime = 05-Nov-2023  15:2{order}:00\n"
    f"SubFramePath = X:\\f\\m{i}.tif\n"
    for i, (tilt, order, dose) in enumerate(((-3, 2, 2.0), (0, 0, 3.0), (3, 1, 2.5)))
)
TABLE = "section,acquisition_order,stage_tilt_deg,exposure_e_per_A2,movie\n0,1,-3,2,a\n1,0,0,2,b\n2,2,3,2,c\n"


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    write_mrc(tmp_path / "ts.mrc", np.zeros((3, 8, 10), np.int16), 4.0, kind="stack")
    return tmp_path / "ts.mrc"


def put(stack: Path, suffix: str, text: str) -> Path:
    path = stack.with_suffix(suffix)
    path.write_text(text)
    return path


def quietly(stack: Path, **given: Any) -> LoadedSeries:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FormatWarning)
        return load_series(stack, **given)


def test_a_list_of_angles_beside_the_stack_is_enough(stack: Path) -> None:
    write_angles(stack.with_suffix(".rawtlt"), TILTS)
    write_angles(stack.with_suffix(".tlt"), (1, 2, 3))
    loaded = load_series(stack)
    assert loaded.series.tilts_deg == TILTS
    assert (loaded.series.name, loaded.series.pixel_A, loaded.series.shape_yx) == ("ts", 4.0, (8, 10))
    assert (loaded.series.order_known, loaded.series.tilt_axis_deg) == (False, None)
    assert loaded.sources == (stack, stack.with_suffix(".rawtlt"))
    assert "ts.rawtlt was found beside the stack and read (and not ts.tlt)." in loaded.notes
    assert isinstance(loaded.images, np.memmap)


def test_an_mdoc_gives_order_exposures_axis_and_movies(stack: Path) -> None:
    put(stack, ".mrc.mdoc", MDOC)
    loaded = quietly(stack)
    series = loaded.series
    assert (series.order_known, series.tilt_axis_deg, series.voltage_kV) == (True, 85.3, 300)
    assert [tilt.order for tilt in series.tilts] == [2, 0, 1]
    assert [tilt.exposure_e_A2 for tilt in series.tilts] == [2.0, 3.0, 2.5]
    assert [tilt.pre_exposure_e_A2 for tilt in series.tilts] == [5.5, 0.0, 3.0]
    assert [tilt.movie for tilt in series.tilts] == ["m0.tif", "m1.tif", "m2.tif"]


def test_a_table_gives_order_and_angles(stack: Path) -> None:
    loaded = load_series(stack, tilts=put(stack, ".csv", TABLE), name="mine", pixel_A=7.0)
    assert (loaded.series.name, loaded.series.pixel_A) == ("mine", 7.0)
    assert loaded.series.tilts_deg == TILTS
    assert [tilt.pre_exposure_e_A2 for tilt in loaded.series.tilts] == [2, 0, 4]


def test_a_list_is_believed_over_an_mdoc_and_that_over_a_table(stack: Path) -> None:
    write_angles(stack.with_suffix(".rawtlt"), (-9, 0, 9))
    put(stack, ".mdoc", MDOC)
    put(stack, ".csv", TABLE)
    believed = r"section 0 is at -9° in .*ts\.rawtlt, at -3° in .*ts\."
    with pytest.warns(DataWarning, match=believed + "mdoc"), pytest.warns(DataWarning, match=believed + "csv"):
        loaded = quietly(stack)
    assert list(loaded.series.tilts_deg) == [-9, 0, 9]
    assert [tilt.order for tilt in loaded.series.tilts] == [1, 0, 2]  # the table's
    assert [path.suffix for path in loaded.sources] == [".mrc", ".rawtlt", ".mdoc", ".csv"]
    stack.with_suffix(".rawtlt").unlink()
    put(stack, ".csv", TABLE.replace("-3,", "-8,"))
    with pytest.warns(DataWarning, match="angles-disagree"):
        assert quietly(stack).series.tilts_deg == TILTS


def test_what_is_given_is_read_and_nothing_is_looked_for(stack: Path) -> None:
    put(stack, ".mdoc", MDOC)
    given = stack.with_name("other.tlt")
    write_angles(given, (-1, 0, 1))
    assert load_series(stack, angles=given).sources == (stack, given)


def test_the_same_tilt_twice_is_kept_and_named(stack: Path) -> None:
    write_angles(stack.with_suffix(".tlt"), (0, 3, 3))
    with pytest.warns(DataWarning, match="sections 1 and 2 at 3°"):
        assert load_series(stack).series.tilts_deg == (0, 3, 3)


@pytest.mark.parametrize(
    ("suffix", "text", "says"),
    [
        (".tlt", "0\n3\n", r"ts\.mrc has 3 sections, .*ts\.tlt has 2 angles"),
        (".tlt", "0\n0\n0\n", "all 3 sections are at 0°"),
        (".csv", TABLE[: TABLE.index("2,2,3")], "3 sections, .* 2 rows"),
        (".csv", TABLE.replace("stage_tilt_deg", "t"), "--angles"),
        (".csv", TABLE.replace(",-3,", ",,"), "has 2 tilt angles"),
        (".mdoc", MDOC[: MDOC.index("[ZValue = 2]")], "3 sections, .* 2 sections"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(stack: Path, suffix: str, text: str, says: str) -> None:
    put(stack, suffix, text)
    with pytest.raises(InputError, match=says):
        quietly(stack)


def test_without_angles_or_pixel_size_it_is_said_how_to_give_them(stack: Path) -> None:
    with pytest.raises(InputError, match="--angles"):
        load_series(stack)
    raw = bytearray(stack.read_bytes())
    raw[40:52] = bytes(12)
    stack.write_bytes(raw)
    write_angles(stack.with_suffix(".tlt"), TILTS)
    with pytest.raises(InputError, match="--pixel"):
        quietly(stack)
    with pytest.raises(InputError, match="pixel_A"):
        quietly(stack, pixel_A=-1.0)
    assert quietly(stack, pixel_A=2.0).series.pixel_A == 2.0
    stack.with_suffix(".tlt").unlink()
    put(stack, ".mdoc", MDOC)
    assert quietly(stack).series.pixel_A == 4.0


def test_another_pixel_in_the_mdoc_is_named(stack: Path) -> None:
    put(stack, ".mdoc", MDOC.replace("PixelSpacing = 4", "PixelSpacing = 8"))
    with pytest.warns(DataWarning, match="pixel-size"):
        assert quietly(stack).series.pixel_A == 4.0


def test_a_name_that_is_a_path_is_refused(stack: Path) -> None:
    write_angles(stack.with_suffix(".tlt"), TILTS)
    with pytest.raises(InputError, match="name"):
        load_series(stack, name="a/b")


def test_real_series(real_data: Path) -> None:
    loaded = load_series(real_data / "empiar-10499-ts01" / "ts01.mrc")
    series = loaded.series
    assert (len(series.tilts), series.order_known, series.pixel_A) == (41, True, 10.0)
    assert [tilt.pre_exposure_e_A2 for tilt in series.by_order()] == [3.0 * i for i in range(41)]
    assert abs(series.by_order()[0].tilt_deg) < 0.1
    needle = real_data / "haadf-needle" / "HAADF.mrc"
    loaded = quietly(needle)
    assert loaded.series.pixel_A == pytest.approx(33.6)
    assert loaded.series.tilts_deg == tuple(range(-76, 78, 2))


def test_the_needle_needs_no_list_its_extended_header_has_the_tilts(real_data: Path, tmp_path: Path) -> None:
    (tmp_path / "lone.mrc").symlink_to((real_data / "haadf-needle" / "HAADF.mrc").resolve())
    loaded = quietly(tmp_path / "lone.mrc")
    assert loaded.series.tilts_deg == tuple(range(-76, 78, 2))
    assert "Tilt angles are from the extended header." in loaded.notes
