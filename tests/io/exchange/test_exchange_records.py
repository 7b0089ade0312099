"""The record of a series: its images lie in a stack or one by one, one a section; its file can move with its stacks."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from eucentric.io.exchange import SeriesFiles
from eucentric.io.exchange.record_file import read_processed, write_processed
from phantoms.processed import processed_series

KINDS = [("stack", "images"), ("even", "even_images"), ("odd", "odd_images")]


@pytest.mark.parametrize(("stack", "images"), KINDS)
def test_images_lie_in_one_way_and_are_one_a_section(stack: str, images: str) -> None:
    one = processed_series(n=3)
    files = SeriesFiles.model_validate({images: (Path("a.mrc"), None, Path("c.mrc"))})
    assert getattr(one.replace(files=files).files, images)[1] is None
    with pytest.raises(ValidationError, match=r"2 .*images for 3 tilts"):
        one.replace(files=SeriesFiles.model_validate({images: (Path("a.mrc"), None)}))
    with pytest.raises(ValidationError, match="both in a stack and one by one"):
        files.replace(**{stack: Path("s.mrc")})


def test_stacks_beside_the_file_move_with_it(tmp_path: Path) -> None:
    here, away = tmp_path / "here", tmp_path / "away"
    files = SeriesFiles(stack=here / "s.mrc", even=tmp_path / "else/e.mrc", tomogram=here / "t.mrc")
    one = processed_series().replace(files=files)
    write_processed(here / "imported.json", one)
    assert read_processed(here / "imported.json") == one
    here.rename(away)
    moved = read_processed(away / "imported.json").files
    assert (moved.stack, moved.even) == (away / "s.mrc", tmp_path / "else/e.mrc")
