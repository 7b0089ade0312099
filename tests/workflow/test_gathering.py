"""`gather`: one record from a session, an imported one, an .mdoc or a folder; a bad series costs only itself."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from eucentric.core import DataWarning, InputError
from eucentric.io import read_alignment
from eucentric.io.exchange.particle_table import write_particles
from eucentric.io.exchange.record_file import read_processed, write_processed
from eucentric.workflow.exchanging import imported_series
from eucentric.workflow.gathering import gather
from eucentric.workflow.records import ProcessOutcome
from phantoms.processed import processed_series


def test_a_processed_session_gives_all_that_its_stages_found(processed_movies: ProcessOutcome) -> None:
    session = processed_movies.folder.parents[1]
    (processed,) = gather(session)
    assert processed.series.name == processed_movies.series
    assert processed.alignment == read_alignment(processed_movies.folder / "alignment.json")
    assert processed.frames == (4,) * len(processed.series.tilts)
    assert processed.files.stack is not None
    assert processed.files.stack.resolve() == processed_movies.folder / f"{processed_movies.series}.mrc"
    assert all(movie is not None and movie.is_file() for movie in processed.files.movies)
    assert [movie.name for movie in processed.files.movies if movie] == [tilt.movie for tilt in processed.series.tilts]
    assert processed.volume is not None
    assert processed.volume.shape_zyx == processed_movies.shape_zyx
    assert processed.files.tomogram_even is not None


def test_particles_beside_a_series_belong_to_it(processed_movies: ProcessOutcome, tmp_path: Path) -> None:
    session = tmp_path / "session"
    shutil.copytree(processed_movies.folder.parents[1], session)
    particles = processed_series().particles
    write_particles(session / "series" / processed_movies.series / "particles.csv", particles)
    (processed,) = gather(session)
    assert processed.particles == particles


def test_an_mdoc_gives_what_it_says_with_its_movies_or_without(movie_session: Path, tmp_path: Path) -> None:
    (mdoc,) = (movie_session / "mdoc").glob("*.mdoc")
    (with_movies,) = gather(mdoc)
    alone = shutil.copy(mdoc, tmp_path)
    (without,) = gather(Path(alone))
    assert without.files.movies == ()
    assert without.series.shape_yx == with_movies.series.shape_yx == (128, 128)
    np.testing.assert_allclose(without.series.tilts_deg, with_movies.series.tilts_deg)
    assert [tilt.order for tilt in without.series.tilts] == [tilt.order for tilt in with_movies.series.tilts]
    assert without.frames == with_movies.frames == (4,) * 9
    assert gather(movie_session)[0].files.movies == with_movies.files.movies


def test_one_bad_mdoc_costs_itself_alone(movie_session: Path, tmp_path: Path) -> None:
    (mdoc,) = (movie_session / "mdoc").glob("*.mdoc")
    shutil.copy(mdoc, tmp_path / "good.mdoc")
    (tmp_path / "bad.mdoc").write_text("[ZValue = 0]\nTiltAngle = far\n")
    with pytest.warns(DataWarning, match=r"bad\.mdoc.*series-left-out"):
        found = gather(tmp_path)
    assert [one.series.name for one in found] == ["good"]


def test_what_is_not_there_is_said(tmp_path: Path, processed_movies: ProcessOutcome) -> None:
    with pytest.raises(InputError, match="no such session"):
        gather(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"no \.mdoc"):
        gather(tmp_path)
    with pytest.raises(InputError, match="no series TS_9"):
        gather(processed_movies.folder.parents[1], ["TS_9"])


def test_an_imported_series_says_what_to_reconstruct_it_from(tmp_path: Path) -> None:
    processed = processed_series()
    write_processed(tmp_path / "imported.json", processed)
    assert read_processed(tmp_path / "imported.json") == processed
    with pytest.raises(InputError, match="no stack"):
        imported_series(tmp_path)
    stack = tmp_path / "ts.mrc"
    write_processed(tmp_path / "imported.json", processed.replace(files=processed.files.replace(stack=stack)))
    found = imported_series(tmp_path)
    assert (found.stack, found.binning, found.size_yx) == (stack, 4, (102, 95))
    assert found.thickness_A == pytest.approx(61 * 10.8)
    with pytest.raises(InputError, match="not the folder"):
        imported_series(tmp_path / "elsewhere")


def test_a_name_that_cannot_be_a_series_is_told(movie_session: Path, tmp_path: Path) -> None:
    (mdoc,) = (movie_session / "mdoc").glob("*.mdoc")
    shutil.copy(mdoc, tmp_path / ".hidden.mdoc")
    with pytest.raises(InputError, match="name"):
        gather(tmp_path / ".hidden.mdoc")
