"""Fixtures that every folder of tests shares."""

from __future__ import annotations

import os
import subprocess
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

# The same examples every time: a change that lands is judged by what it changes, not by the luck of a draw.
hypothesis.settings.register_profile("house", derandomize=True, deadline=None)
hypothesis.settings.load_profile("house")

if TYPE_CHECKING:  # these load torch, which the tests of a reader need not wait for
    from collections.abc import Iterator

    from eucentric.workflow.records import ProcessOutcome
    from phantoms.series import WrittenPhantom


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


@pytest.fixture(scope="session")
def one_thread() -> Iterator[None]:
    """Compute on one thread: on images this small threads wait for each other more than they work."""
    import numba
    import torch

    before = torch.get_num_threads(), numba.get_num_threads()
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    yield
    torch.set_num_threads(before[0])
    numba.set_num_threads(before[1])


@pytest.fixture(scope="session")
def movie_session(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    """Give a session with the movies of nine tilts of beads, not processed; copy it before changing it."""
    from eucentric.design import ConstantIncrement, Design, DoseSymmetric, FrameCount, Specimen
    from eucentric.session import Session
    from eucentric.workflow.simulate import SimulateSettings, simulate

    scheme = DoseSymmetric(increment=ConstantIncrement(step_deg=15))
    plan = Design(scheme=scheme, frames=FrameCount(frames=4), specimen=Specimen(thickness_A=1000)).plan()
    folder = tmp_path_factory.mktemp("movies") / "session"
    with Session.create_or_open(folder) as session:
        simulate(session, plan, SimulateSettings(specimen="beads", name="TS_1", size=128, pixel_A=5.0, seed=3))
    return folder


@pytest.fixture(scope="session")
def processed_movies(movie_session: Path, tmp_path_factory: pytest.TempPathFactory) -> ProcessOutcome:
    """Give what became of these movies, in a session of its own; copy that before changing it."""
    from eucentric.core import EucentricWarning
    from eucentric.io import read_plan
    from eucentric.io.movie_series import load_movie_series
    from eucentric.processing.alignment import AlignSettings
    from eucentric.session import Session
    from eucentric.workflow.movies import process_movies
    from eucentric.workflow.records import ProcessSettings

    settings = ProcessSettings(align=AlignSettings(axis_deg=84.3, rounds=1))
    folder = tmp_path_factory.mktemp("processed-movies") / "session"
    with warnings.catch_warnings(), Session.create_or_open(folder) as session:
        warnings.simplefilter("ignore", EucentricWarning)
        movies = load_movie_series(movie_session / "mdoc" / "TS_1.mrc.mdoc")
        return process_movies(session, movies, settings, plan=read_plan(movie_session / "plan.yaml"))


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> WrittenPhantom:
    """Give a phantom series that is processed in a second or two; never write to it."""
    from phantoms.series import write_phantom_series

    tilts_deg = [float(tilt) for tilt in range(-60, 61, 6)]
    return write_phantom_series(
        tmp_path_factory.mktemp("phantom"), tilts_deg=tilts_deg, size=96, pixel_A=53.0, name="ts"
    )


@pytest.fixture(scope="session")
def processed(phantom: WrittenPhantom, tmp_path_factory: pytest.TempPathFactory) -> ProcessOutcome:
    """Give what became of the phantom series, its axis given; copy its session before changing it."""
    from eucentric.core import DataWarning
    from eucentric.io import load_series
    from eucentric.processing.alignment import AlignSettings
    from eucentric.session import Session
    from eucentric.workflow.process import process_series
    from eucentric.workflow.records import ProcessSettings

    settings = ProcessSettings(align=AlignSettings(axis_deg=84.3))
    folder = tmp_path_factory.mktemp("processed") / "session"
    with warnings.catch_warnings(), Session.create_or_open(folder) as session:
        warnings.simplefilter("ignore", DataWarning)
        return process_series(session, load_series(phantom.stack), settings)
