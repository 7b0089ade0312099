"""`eucentric process` from movies: what it takes for what, and that a session can be processed either way."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import Run, stages_run
from command_line import run as run

import eucentric.workflow.loading
from eucentric.core import InputError
from eucentric.io import read_mdoc
from eucentric.session import Session
from eucentric.workflow.records import ProcessOutcome, ProcessSettings
from eucentric.workflow.session_series import Acquired, find_acquired, plan_beside

AS_PROCESSED = ("--axis", "84.3", "--rounds", "1", "--json")  # the settings of the fixture `processed_movies`
Begun = list[tuple[str, str, ProcessSettings, Any]]


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Begun:
    """Note each series that would be processed, from what, with which settings and plan, in place of processing it."""
    seen: Begun = []

    def noting(what: str) -> Any:
        def note(_: Session, loaded: Any, settings: ProcessSettings, **others: Any) -> None:
            seen.append((what, loaded.series.name, settings, others.get("plan")))
            raise InputError("Not in this test.")

        return note

    monkeypatch.setattr(eucentric.workflow.loading, "process_series", noting("stack"))
    monkeypatch.setattr(eucentric.workflow.loading, "process_movies", noting("movies"))
    return seen


@pytest.fixture
def acquired(movie_session: Path, tmp_path: Path) -> Path:
    """A copy of the session with the movies, which may be spoilt."""
    return shutil.copytree(movie_session, tmp_path / "acquired")


def test_a_session_is_processed_from_its_movies_and_then_from_its_stack(
    run: Run, movie_session: Path, processed_movies: ProcessOutcome, tmp_path: Path
) -> None:
    session = shutil.copytree(processed_movies.folder.parents[1], tmp_path / "session")
    for part in ("frames", "mdoc"):
        shutil.copytree(movie_session / part, session / part)
    shutil.copy(movie_session / "plan.yaml", session)
    ran = run("process", session, *AS_PROCESSED)
    assert ran.status == 0
    (series,) = ran.json["series"]
    assert (series["movies"]["tilts"], series["halves"]) == (9, "frames")
    # The options' defaults are those of the settings, and movies may be moved: all this was done before.
    assert [stage["stage"] for stage in series["stages"]][:4] == ["gain", "motion", "sums", "align"]
    assert stages_run(ran) == []
    assert "nothing had changed" in ran.err
    assert "Å a tilt (median)" in ran.err
    as_stack = run("process", session, "--from", "stack", *AS_PROCESSED)
    assert as_stack.status == 0
    assert as_stack.json["series"][0]["movies"] is None
    assert stages_run(as_stack) == ["align", "reconstruct", "assess", "report"]
    assert "motion-tracks" not in Path(as_stack.json["series"][0]["report"]).read_text(encoding="utf-8")


def test_movies_elsewhere_are_named_with_their_mdoc(run: Run, acquired: Path, tmp_path: Path, begun: Begun) -> None:
    (acquired / "frames").rename(tmp_path / "movies")
    (tmp_path / "movies" / "gain.mrc").rename(tmp_path / "reference.mrc")
    shutil.move(acquired / "mdoc" / "TS_1.mrc.mdoc", tmp_path / "cell.mdoc")
    places = ("--frames", tmp_path / "movies", "--gain", tmp_path / "reference.mrc", "--output", tmp_path / "session")
    run("process", tmp_path / "cell.mdoc", *places)
    ((what, name, _, plan),) = begun
    assert (what, name, plan) == ("movies", "cell", None)
    run("process", tmp_path / "cell.mdoc", *places, "--name", "TS_9")
    assert begun[-1][:2] == ("movies", "TS_9")


def test_the_plan_of_the_session_goes_along(run: Run, acquired: Path, begun: Begun) -> None:
    run("process", acquired)
    ((what, name, _, plan),) = begun
    assert (what, name) == ("movies", "TS_1")
    assert len(plan) == 9
    assert plan_beside(acquired / "mdoc" / "TS_1.mrc.mdoc") == acquired / "plan.yaml"
    assert plan_beside(acquired / "plan.yaml") is None


def test_options_reach_their_settings(run: Run, acquired: Path, begun: Begun) -> None:
    run(
        *("process", acquired, "--gain-rotation", "270", "--gain-flip", "--no-local-motion", "--no-dose-weighting"),
        *("--voltage", "200", "--cs", "1.2", "--amplitude-contrast", ".07", "--min-defocus", "5000"),
        *("--max-defocus", "60000", "--ctf-correction", "none", "--halves", "tilts"),
    )
    ((_, _, settings, _),) = begun
    assert (settings.gain.quarter_turns, settings.gain.flipped) == (3, True)
    assert (settings.motion.local, settings.dose_weighting) == (False, False)
    lens = settings.lens
    assert (lens.voltage_kV, lens.cs_mm, lens.amplitude_contrast) == (200, 1.2, 0.07)
    assert (settings.ctf.min_defocus_A, settings.ctf.max_defocus_A) == (5000, 60_000)
    assert (settings.ctf_correction, settings.halves) == ("none", "tilts")


def test_a_session_without_movies_is_processed_from_its_stack(run: Run, acquired: Path, begun: Begun) -> None:
    shutil.rmtree(acquired / "frames")
    run("process", acquired)
    assert [what for what, *_ in begun] == ["stack"]
    ran = run("process", acquired, "--from", "movies", "--json")
    assert (ran.status, len(begun)) == (1, 1)
    assert "none of the movies that it names was found" in ran.err


def test_a_session_whose_stack_was_not_written_is_processed_from_its_movies(acquired: Path) -> None:
    stack, mdoc = acquired / "mdoc" / "TS_1.mrc", acquired / "mdoc" / "TS_1.mrc.mdoc"
    assert find_acquired(acquired, "stack") == (Acquired(stack, from_movies=False),)
    stack.unlink()
    assert find_acquired(acquired) == (Acquired(mdoc, from_movies=True),)
    with pytest.raises(InputError, match=r"no stack TS_1\.mrc beside it"):
        find_acquired(acquired, "stack")


def test_movies_are_known_by_name_alone_whatever_wrote_the_path(acquired: Path) -> None:
    mdoc = acquired / "mdoc" / "TS_1.mrc.mdoc"
    text = mdoc.read_text(encoding="utf-8").replace("frames/", "X:\\data\\frames\\")
    mdoc.write_bytes(text.replace("\n", "\r\n").encode())
    assert find_acquired(acquired) == (Acquired(mdoc, from_movies=True),)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("x.mdoc", "--from", "stack"), "--from stack no movies are read"),
        (("x.mrc", "--from", "movies"), "--from movies no stacks are read"),
        (("x.mrc", "--gain", "gain.mrc"), "only stacks were given"),
        (("x.mrc", "--exposure", "3"), "only stacks were given"),
        (("x.mdoc", "--angles", "x.tlt"), "of movies, the .mdoc given says all that"),
        (("x.mdoc", "--min-defocus", "9000", "--max-defocus", "8000"), "--min-defocus 9000 must be below"),
        (("x.mdoc", "--voltage", "12"), "--voltage 12"),
        (("x.mdoc", "--halves", "framse"), 'Did you mean "frames"?'),
        (("x.mdoc", "--gain-rotation", "45"), "--gain-rotation"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(run: Run, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    ran = run("process", *arguments, "--output", tmp_path / "session")
    assert ran.status == 2
    assert said in " ".join(ran.err.split())
    assert not (tmp_path / "session").exists()


def test_frame_halves_of_a_stack_are_refused(run: Run, acquired: Path, begun: Begun) -> None:
    ran = run("process", acquired, "--from", "stack", "--halves", "frames")
    assert (ran.status, begun) == (2, [])
    assert "Use --halves tilts" in " ".join(ran.err.split())


def test_an_mdoc_without_its_movies_is_named_and_leaves_no_session(run: Run, acquired: Path, tmp_path: Path) -> None:
    mdoc = acquired / "mdoc" / "TS_1.mrc.mdoc"
    for section in read_mdoc(mdoc).sections:
        (acquired / "frames" / (section.movie or "")).unlink()
    ran = run("process", mdoc, "--output", tmp_path / "session", "--json")
    assert ran.status == 1
    assert f"Error: {mdoc}" in ran.err
    assert ran.json["failed"][0]["stack"] == str(mdoc)
    assert not (tmp_path / "session").exists()


def test_the_help_shows_each_way(capsys: pytest.CaptureFixture[str]) -> None:
    from eucentric.cli import main

    assert main(["process", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for word in ("eucentric process my-session", "--frames frames --gain gain.mrc", "--from", "--ctf-correction"):
        assert word in said
