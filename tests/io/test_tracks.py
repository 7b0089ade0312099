"""Tracks of beads in CSV and in IMOD's models: what is written is read, and half a pixel lies between the two."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucentric.core import FormatError, FormatWarning
from eucentric.io import (
    ImodModel,
    ImodObject,
    TrackTable,
    read_imod_model,
    read_tracks,
    write_fiducials,
    write_imod_model,
    write_tracks,
)

observations = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 60), st.integers(-5000, 5_000_000), st.integers(-5000, 5_000_000)),
    min_size=1,
    max_size=40,
    unique_by=lambda one: one[:2],
)


def table_of(rows: list[tuple[int, int, int, int]]) -> TrackTable:
    values = np.array(sorted(rows))
    return TrackTable(values[:, 0], values[:, 1], values[:, 2:] / 1000)


@settings(max_examples=50)
@given(observations)
def test_both_formats_give_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, int, int]]
) -> None:
    folder, table = tmp_path_factory.getbasetemp(), table_of(rows)
    write_tracks(folder / "t.csv", table)
    back = read_tracks(folder / "t.csv")
    np.testing.assert_array_equal(back.bead, table.bead)
    np.testing.assert_array_equal(back.view, table.view)
    np.testing.assert_allclose(back.yx_px, table.yx_px, atol=1e-9)
    write_fiducials(folder / "t.fid", table, 61, (400, 512), 10.0)
    from_model = read_tracks(folder / "t.fid")
    assert from_model.shape_yx == (400, 512)
    np.testing.assert_array_equal(from_model.view, table.view)
    np.testing.assert_array_equal(from_model.bead, np.unique(table.bead, return_inverse=True)[1])
    np.testing.assert_allclose(from_model.yx_px, table.yx_px, atol=5e-4)  # float32 of five thousand pixels


def test_conventions(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("bead,view,x_px,y_px\n4,2,10.0,20.5\n")
    table = read_tracks(tmp_path / "t.csv")
    assert table.yx_px.tolist() == [[20.5, 10.0]]
    write_fiducials(tmp_path / "t.fid", table, 3, (64, 64))
    model = read_imod_model(tmp_path / "t.fid")
    assert model.objects[0].contours[0].tolist() == [[10.5, 21.0, 2.0]]


@pytest.mark.parametrize(
    "text",
    [
        "bead,view,x_px,y_px\n1,0,3.5,7\n",
        "\ufeffView; Bead; y_px; x_px\r\n0;1;7,0;3,5\r\n\r\n",
        "y_px\tx_px\tview\tbead\n7\t3.5\t0\t1\n",
    ],
)
def test_order_separator_and_line_ends_are_free(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode())
    table = read_tracks(tmp_path / "t.csv")
    assert (table.bead.tolist(), table.view.tolist(), table.yx_px.tolist()) == ([1], [0], [[7.0, 3.5]])


def test_other_columns_are_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("bead,view,x_px,y_px,score\n1,0,3.5,7,0.9\n")
    with pytest.warns(FormatWarning, match="score"):
        read_tracks(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("bead,view,x_px\n1,0,3\n", "y_px is missing"),
        ("bead,view,x_px,y_px\n", "no rows"),
        ("bead,view,x_px,y_px\n1,0,3,4\n1,1,3\n", "line 3"),
        ("bead,view,x_px,y_px\n-1,0,3,4\n", "line 2"),
        ("bead,view,x_px,y_px\n1,0.5,3,4\n", "line 2"),
        ("bead,view,x_px,y_px\n1,0,nan,4\n", "line 2"),
        ("\n\n", "nothing in it"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(FormatError, match=says):
        read_tracks(tmp_path / "t.csv")


def test_points_between_sections_are_left_out(tmp_path: Path) -> None:
    contour = np.array([[10.5, 20.5, 0.0], [10.5, 20.5, 1.01], [10.5, 20.5, 2.5]], np.float32)
    write_imod_model(tmp_path / "a.mod", ImodModel(objects=(ImodObject(contours=(contour,)),), size_xyz=(0, 0, 0)))
    with pytest.warns(FormatWarning, match="1 points"):
        table = read_tracks(tmp_path / "a.mod")
    assert table.view.tolist() == [0, 1]
    assert table.shape_yx is None


def test_a_model_without_points_is_refused(tmp_path: Path) -> None:
    write_imod_model(tmp_path / "a.mod", ImodModel(objects=(ImodObject(contours=()),), size_xyz=(8, 8, 8)))
    with pytest.raises(FormatError, match="no contour"):
        read_tracks(tmp_path / "a.mod")
