"""`eucentric export` and `eucentric import`: a session to every program's files and back, and on to a tomogram."""

import shutil
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import starfile
from command_line import Run, partials
from command_line import run as run
from numpy.typing import NDArray

from eucentric.io import read_alignment, write_alignment
from eucentric.io.exchange import Particle
from eucentric.io.exchange.particle_table import read_particles, write_particles
from eucentric.io.exchange.programs import PROGRAMS
from eucentric.workflow.records import ProcessOutcome
from phantoms.processed import points

PARTICLES = tuple(
    Particle(position_zyx_A=(z, y, x), rot_deg=31.0 * k, tilt_deg=20.0 * k + 3, psi_deg=-41.0 * k, label="ribosome")
    for k, (z, y, x) in enumerate(((0.0, 0.0, 0.0), (60.0, -110.0, 85.0), (-45.0, 33.0, 140.0)))
)
PIXEL_A = 5.0


@pytest.fixture(scope="module")
def session(processed_movies: ProcessOutcome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a processed session of one series, with particles."""
    folder = tmp_path_factory.mktemp("exchange") / "session"
    shutil.copytree(processed_movies.folder.parents[1], folder)
    write_particles(folder / "series" / "TS_1" / "particles.csv", PARTICLES)
    return folder


def seen_px(alignment: Path) -> NDArray[np.float64]:
    """Return where the views of an alignment see places, without local motion, which no program takes."""
    # By tilt: AreTomo's stacks are sorted by it.
    views = sorted(read_alignment(alignment).used, key=lambda view: view.tilt_deg)
    return np.array([view.sample2image()(points((128, 128), PIXEL_A))[:, 1:] for view in views]) / PIXEL_A


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_session_goes_out_and_comes_back(run: Run, session: Path, tmp_path: Path, program: str) -> None:
    out, back = tmp_path / "out", tmp_path / "back"
    exported = run("export", session, out, "--to", program, "--json")
    assert exported.status == 0, exported.err
    assert all(Path(path).exists() for path in exported.json["files"])
    assert not partials(out)
    for sentence in exported.json["dropped"]:
        assert sentence in (out / "eucentric-export.txt").read_text()
    imported = run("import", out, "-o", back, "--json")  # whose files these are is told from their names
    assert imported.status == 0, imported.err
    assert imported.json["program"] == program
    (series,) = imported.json["series"]
    folder = Path(series["folder"])
    ours = session / "series" / "TS_1"
    np.testing.assert_allclose(seen_px(folder / "alignment.json"), seen_px(ours / "alignment.json"), atol=0.1)
    if program != "aretomo":  # it has no particles
        theirs = read_particles(folder / "particles.csv")
        np.testing.assert_allclose(
            [one.position_zyx_A for one in theirs], [one.position_zyx_A for one in PARTICLES], atol=0.1 * PIXEL_A
        )
    again = run("import", out, "--from", program, "-o", back, "--json")
    assert again.json["series"] == imported.json["series"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_export_with_copies_can_be_done_again(run: Run, session: Path, tmp_path: Path, program: str) -> None:
    first = run("export", session, tmp_path / "out", "--to", program, "--copy", "--json")
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_symlink()]
    again = run("export", session, tmp_path / "out", "--to", program, "--copy", "--json")
    assert (first.status, again.status) == (0, 0), again.err
    assert again.json == first.json
    linked = run("export", session, tmp_path / "out", "--to", program)
    assert linked.status == 0, linked.err


def test_an_import_does_not_overwrite_what_a_session_made(run: Run, session: Path, tmp_path: Path) -> None:
    run("export", session, tmp_path / "out", "--to", "relion5")
    before = (session / "series/TS_1/TS_1.mrc").read_bytes(), (session / "series/TS_1/alignment.json").read_bytes()
    ran = run("import", tmp_path / "out", "-o", session)
    assert ran.status == 1
    assert "TS_1 was aligned in this session" in ran.err
    after = (session / "series/TS_1/TS_1.mrc").read_bytes(), (session / "series/TS_1/alignment.json").read_bytes()
    assert before == after


@pytest.mark.parametrize("program", ["relion5", "warp", "imod", "aretomo"])
def test_an_imported_project_gives_the_tomogram(run: Run, session: Path, tmp_path: Path, program: str) -> None:
    run("export", session, tmp_path / "out", "--to", program)
    series = run("import", tmp_path / "out", "-o", tmp_path / "back", "--json").json["series"][0]
    ours = session / "series" / "TS_1"
    write_alignment(tmp_path / "plain.json", read_alignment(ours / "alignment.json").replace(local=None))
    with mrcfile.open(ours / "tomogram.mrc") as file:
        depth = len(file.data)
    given = ("--thickness", depth * PIXEL_A) if program == "aretomo" else ()  # it has no volume
    assert run("reconstruct", series["folder"], "-o", tmp_path / "theirs.mrc", *given).status == 0
    command = ("reconstruct", ours / "TS_1.mrc", "--alignment", tmp_path / "plain.json", "-o", tmp_path / "ours.mrc")
    assert run(*command, "--thickness", depth * PIXEL_A).status == 0
    with mrcfile.open(tmp_path / "theirs.mrc") as theirs, mrcfile.open(tmp_path / "ours.mrc") as mine:
        assert theirs.data.shape == mine.data.shape
        assert np.corrcoef(theirs.data.ravel(), mine.data.ravel())[0, 1] > 0.999


def test_an_mdoc_alone_is_exported_before_any_processing(run: Run, movie_session: Path, tmp_path: Path) -> None:
    (mdoc,) = (movie_session / "mdoc").glob("*.mdoc")
    ran = run("export", mdoc, tmp_path / "out", "--to", "relion5", "--json")
    assert ran.status == 0
    assert ran.json["series"] == ["TS_1"]


def test_particles_are_of_one_series(run: Run, session: Path, tmp_path: Path) -> None:
    write_particles(tmp_path / "p.csv", PARTICLES[:2])
    ran = run("export", session, tmp_path / "out", "--to", "relion5", "--particles", tmp_path / "p.csv")
    assert ran.status == 0
    assert "TS_1" in ran.err
    ran = run("export", session, tmp_path / "out", "--to", "relion5", "--series", "TS_7")
    assert ran.status == 1
    assert "TS_7" in ran.err


def test_errors_say_what_to_do(run: Run, session: Path, tmp_path: Path) -> None:
    assert run("export", session, tmp_path / "x", "--to", "eman").status == 2
    nothing = run("import", tmp_path, "-o", tmp_path / "back")
    assert nothing.status == 1
    assert "--from" in nothing.err
    assert run("import", tmp_path / "absent", "-o", tmp_path / "back").status == 1
    wrong = run("reconstruct", tmp_path, "-o", tmp_path / "x.mrc")
    assert wrong.status == 1
    assert "eucentric import" in wrong.err


def test_a_real_mdoc_becomes_what_relion_made_of_its_data_set(run: Run, real_data: Path, tmp_path: Path) -> None:
    """EMPIAR-10164: our TS_01 from its .mdoc, RELION-5's own star of TS_43, recorded by the same scheme."""
    mdoc = real_data / "mdoc" / "tilt_series.mdoc"
    assert run("export", mdoc, tmp_path, "--to", "relion5", "--exposure", 3).status == 0
    (ours,) = starfile.read(tmp_path / "tilt_series/tilt_series.star", always_dict=True).values()
    (theirs,) = starfile.read(real_data / "relion-star/220728_TS_43.star", always_dict=True).values()
    # theirs is in the order of acquisition too, with less than half a degree between stage and nominal tilts
    theirs = theirs.sort_values("rlnMicrographPreExposure")
    ours = ours.sort_values("rlnMicrographPreExposure")
    assert len(ours) == len(theirs) == 41
    step = "rlnTomoNominalStageTiltAngle"
    np.testing.assert_allclose(ours[step], theirs[step], atol=0.5)
    np.testing.assert_allclose(ours["rlnMicrographPreExposure"], theirs["rlnMicrographPreExposure"], atol=1e-3)
    # Movies of this series have 8 frames by its NumSubFrames, of that one 10.
    assert set(ours["rlnTomoTiltMovieFrameCount"]) == {8}
    assert set(ours.columns) <= set(theirs.columns) | {"rlnMicrographId"}
