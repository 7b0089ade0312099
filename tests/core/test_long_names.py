"""A file name that the file system does not take is an error in words."""

from pathlib import Path

import pytest

from eucentric.core import OutputError, write_text


def test_a_name_too_long_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_text(tmp_path / ("x" * 300), "text")
