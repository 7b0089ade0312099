from pathlib import Path

import pytest

from eucentric.core import FormatError, FormatWarning
from eucentric.io import TiltRow, read_tilt_table


def table(folder: Path, text: str) -> tuple[TiltRow, ...]:
    (folder / "t.csv").write_bytes(text.encode())
    return read_tilt_table(folder / "t.csv")


def test_real_table(real_data: Path) -> None:
    rows = read_tilt_table(real_data / "empiar-10499-ts01" / "ts01.csv")
    assert [row.section for row in rows] == list(range(41))
    first = min(rows, key=lambda row: row.acquisition_order)
    assert first.acquisition_order == 0
    assert first.pre_exposure_e_A2 == 0
    assert first.stage_tilt_deg == pytest.approx(0, abs=0.1)
    assert rows[0] == TiltRow(
        section=0,
        acquisition_order=39,
        stage_tilt_deg=-60.01,
        pre_exposure_e_A2=117,
        exposure_e_A2=3,
        movie="TS_01_041_-60.0.tif",
    )


@pytest.mark.parametrize(
    "text",
    [
        "section,acquisition_order,stage_tilt_deg\n0,1,-3.5\n1,0,0\n",
        "\ufeffsection;acquisition_order;stage_tilt_deg\r\n1;2;-3,5\r\n2;1;0,0\r\n\r\n",
        "acquisition_order\tsection\tstage_tilt_deg\n0\t1\t0\n1\t0\t-3.5\n",
    ],
)
def test_separators_and_counts_from_one(tmp_path: Path, text: str) -> None:
    assert table(tmp_path, text) == (
        TiltRow(section=0, acquisition_order=1, stage_tilt_deg=-3.5),
        TiltRow(section=1, acquisition_order=0, stage_tilt_deg=0),
    )


def test_two_columns_suffice_and_unknown_ones_are_named(tmp_path: Path) -> None:
    with pytest.warns(FormatWarning, match="colour"):
        rows = table(tmp_path, "section,acquisition_order,colour,movie\n0,0,red,\n1,1,blue,m.tif\n")
    assert [row.movie for row in rows] == [None, "m.tif"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("section,tilt\n0,1\n", "acquisition_order is missing; there are section, tilt"),
        ("section,acquisition_order\n", "no rows"),
        ("\n", "missing"),
        ("section,acquisition_order\n0,0\n1,0\n", "acquisition_order skip or repeat"),
        ("section,acquisition_order\n0,0\n2,1\n", "section skip or repeat"),
        ("section,acquisition_order\n2,0\n3,1\n", "section skip or repeat"),
        ("section,acquisition_order\n0,0\n1,x\n", "line 3: acquisition_order"),
        ("section,acquisition_order\n0,0\n1,²\n", "line 3: acquisition_order"),
        ("section,acquisition_order\n0,0,0\n", "line 2: 3 cells under 2"),
        ("section,acquisition_order,section\n0,0,0\n", "twice"),
        ("section,acquisition_order,stage_tilt_deg\n0,0,nan\n", "line 2: stage_tilt_deg"),
        ("section,acquisition_order,exposure_e_per_A2\n0,0,-1\n", "line 2: exposure_e_per_A2"),
    ],
)
def test_a_broken_table_is_refused_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        table(tmp_path, text)
