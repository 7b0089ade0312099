"""What is known of half tomograms before a voxel is read."""

from dataclasses import replace
from pathlib import Path

import pytest

from eucentric.core import Alignment
from eucentric.io import write_alignment
from eucentric.session import Session
from eucentric.workflow.restoration.inputs import FilePair, subject_of_files, subject_of_series
from phantoms.half_tomograms import SIDE, TILTS_DEG, VOXEL_A, alignment_of, write_pair, write_session


def test_the_field_is_that_of_the_images_of_the_series(tmp_path: Path) -> None:
    folder = write_session(tmp_path / "session", {"TS_01": 1})
    with Session.create_or_open(folder) as session:
        pair = subject_of_series(session, "TS_01").pair
    assert pair.field_A == SIDE * VOXEL_A
    assert pair.tilts_deg == TILTS_DEG


@pytest.mark.parametrize(("axis_deg", "across_px"), [(2.0, 80), (88.0, 40)])
def test_it_is_told_by_an_alignment_across_the_axis_and_not_by_a_list_of_angles(
    tmp_path: Path, axis_deg: float, across_px: int
) -> None:
    even, odd = write_pair(tmp_path)
    views = tuple(view.replace(axis_deg=axis_deg) for view in alignment_of().tilts)
    write_alignment(tmp_path / "alignment.json", Alignment(pixel_A=3.0, shape_yx=(40, 80), tilts=views))
    (tmp_path / "angles.tlt").write_text("\n".join(map(str, TILTS_DEG)) + "\n")
    files = FilePair(even, odd, tmp_path / "alignment.json")
    assert subject_of_files(files).pair.field_A == across_px * 3.0
    assert subject_of_files(replace(files, tilts=tmp_path / "angles.tlt")).pair.field_A is None
