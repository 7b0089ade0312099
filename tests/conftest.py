"""Fixtures that every folder of tests shares."""

import os
import subprocess
from collections.abc import Iterator
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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of one MiB that can be filled; skip where mounting is not permitted."""
    place = tmp_path / "small-disk"
    place.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mount.returncode:
        pytest.skip(f"a disk that can be filled needs the right to mount one: {mount.stderr.strip()}")
    yield place
    # Lazily: a failing test may leave files open, and the mount must not outlive it all the same.
    subprocess.run(["umount", "--lazy", str(place)], check=True)
