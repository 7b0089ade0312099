"""Fixtures that every folder of tests shares."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Give the folder of recorded data, which is kept outside the project; skip where it is absent."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("EUCENTRIC_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no recorded data at {folder}; set EUCENTRIC_DATA to their folder")
    return folder
