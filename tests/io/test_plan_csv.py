import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from plan_cases import designs

from eucentric.core import OutputError
from eucentric.design import Design, Exposure
from eucentric.io import write_plan_csv


@settings(max_examples=25, deadline=None, derandomize=True)
@given(designs())
def test_every_exposure_is_a_row_and_comes_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, design: Design
) -> None:
    path = tmp_path_factory.getbasetemp() / "plan.csv"
    write_plan_csv(path, design.plan())
    with path.open(newline="", encoding="utf-8") as file:
        back = [Exposure.model_validate(row) for row in csv.DictReader(file)]
    assert tuple(back) == design.plan().exposures


def test_the_header_is_one_line_in_the_promised_order(tmp_path: Path) -> None:
    write_plan_csv(tmp_path / "plan.csv", Design().plan())
    lines = (tmp_path / "plan.csv").read_text(encoding="utf-8").split("\n")
    assert lines[0] == "order,tilt_deg,exposure_e_A2,pre_exposure_e_A2,frames,defocus_A"
    assert len(lines) == 1 + 41 + 1
    assert lines[2].startswith("1,3.0,")  # after 0°, to the positive side first: Hagen's order


def test_a_file_in_the_way_of_a_folder_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError):
        write_plan_csv(tmp_path / "file" / "plan.csv", Design().plan())
