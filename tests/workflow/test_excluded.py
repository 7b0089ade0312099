"""Tilts excluded from a series and taken back: what is run again, what not, and what is refused."""

import json
import shutil
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from test_process_movies import MDOC, STAGES, acquired, process, ran

from eucentric.core import DataWarning, FormatError, InputError
from eucentric.core.series import FEWEST_TILTS
from eucentric.io import open_mrc, read_mdoc
from eucentric.io.exchange import ProcessedSeries
from eucentric.report import ReportInput
from eucentric.session import RunStatus, Session, read_history
from eucentric.workflow.excluded import (
    BY_USER,
    EXCLUDED,
    LATER,
    LONGEST_REASON,
    Excluded,
    exclude,
    excluded_stamp,
    include,
    known_tilts,
    read_excluded,
    what_follows,
)
from eucentric.workflow.gathering import gather
from eucentric.workflow.records import AlignStage, ProcessOutcome
from phantoms import live_session

__all__ = ["acquired"]

AGAIN = ["align", "reconstruct", "assess", "check", "report"]
SERIES = "TS_1"


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have reports say why views are left out, and show no pictures, which take longer than all the rest."""

    def write(path: Path, data: ReportInput, _: object) -> None:
        path.write_text("\n".join(view.reason for view in data.result.alignment.tilts))

    monkeypatch.setattr("eucentric.workflow.process.write_report", write)


@pytest.fixture
def done(processed_movies: ProcessOutcome, tmp_path: Path) -> Path:
    """A copy of a session in which all is done."""
    return shutil.copytree(processed_movies.folder.parents[1], tmp_path / "done")


def results(session: Path) -> dict[str, bytes]:
    """Return the content of the files of the series."""
    files = (path for path in (session / "series" / SERIES).iterdir() if path.is_file())
    return {path.name: path.read_bytes() for path in files if path.name != ".excluded.lock"}


def as_exported(session: Path) -> ProcessedSeries:
    """Return what would be exported, of which nothing may be doubtful."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        (one,) = gather(session)
    return one


# What is run again


def test_only_what_depends_on_it_is_done_again_and_taken_back_all_is_as_before(
    done: Path, processed_movies: ProcessOutcome, movie_session: Path
) -> None:
    before, tilts_deg = results(done), as_exported(done).series.tilts_deg
    untilted = min(range(len(tilts_deg)), key=lambda section: abs(tilts_deg[section]))
    assert exclude(done, SERIES, [2], "grid  bar\n") == {2: "grid bar"}
    assert exclude(done, SERIES, [untilted], "drift") == {2: "grid bar", untilted: "drift"}
    assert what_follows(done, SERIES) == BY_USER
    with pytest.warns(DataWarning, match=r"TS_1.*\[excluded-since\]"):
        gather(done)
    outcome, _ = process(done, movie_session)
    assert [stage.stage for stage in outcome.stages] == STAGES
    assert ran(outcome) == AGAIN  # neither what comes before, nor the CTF: the axis is given
    assert "excluded" in outcome.stages[3].reason
    assert outcome.tilts_left_out == {2: "excluded: grid bar", untilted: "excluded: drift"}
    assert "excluded: grid bar" in outcome.report.read_text()
    assert what_follows(done, SERIES).startswith("The alignment has it so")
    alignment = as_exported(done).alignment
    assert alignment is not None
    assert {view.section for view in alignment.tilts if not view.used} == {2, untilted}
    with_all = open_mrc(processed_movies.tomogram).data
    assert not np.array_equal(open_mrc(outcome.tomogram).data, with_all)
    assert ran(process(done, movie_session)[0]) == []
    assert include(done, SERIES, [2]) == {untilted: "drift"}
    assert include(done, SERIES, []) == {}
    assert ran(process(done, movie_session)[0]) == AGAIN
    after = results(done)
    assert after.keys() == before.keys()
    assert after["alignment.json"] == before["alignment.json"]
    assert np.array_equal(open_mrc(outcome.tomogram).data, with_all)


def test_what_was_aligned_before_tilts_could_be_excluded_is_not_outdated(done: Path) -> None:
    (aligned,) = (run for run in read_history(done, SERIES) if run.stage == "align")
    assert set(aligned.settings) == {"series", "align"}  # as the journals of that time have it
    stage = AlignStage.model_validate(aligned.settings)
    assert stage.model_dump(mode="json") == aligned.settings
    without = stage.replace(excluded={3: "drift"})
    assert without.model_dump(mode="json") == {**aligned.settings, "excluded": {"3": "drift"}}
    assert AlignStage.model_validate_json(without.model_dump_json()) == without


def test_sections_are_those_of_the_mdoc_also_where_a_movie_is_missing(acquired: Path, tmp_path: Path) -> None:
    (acquired / "frames" / (read_mdoc(acquired / MDOC).sections[1].movie or "")).unlink()
    session, place = tmp_path / "session", 6
    with Session.create_or_open(session) as made:
        excluded = Excluded(reasons={1: "no movie", place + 1: "blank"})
        (made.series_folder(SERIES) / EXCLUDED).write_text(excluded.model_dump_json())
    outcome, _ = process(session, acquired)
    assert outcome.tilts_left_out == {place: "excluded: blank"}
    known = known_tilts(session, SERIES)
    assert known.in_stack == set(range(9)) - {1}
    assert known.aligned_without == {place + 1: "blank"}
    assert what_follows(session, SERIES).startswith("The alignment has it so")


# What is refused


def test_what_cannot_be_is_refused_and_leaves_everything_as_it_was(done: Path, tmp_path: Path) -> None:
    n = 9
    exclude(done, SERIES, [0])
    before = results(done)
    refused: list[tuple[Callable[[], object], str]] = [
        (lambda: exclude(done, SERIES, [n]), "no section 9; .* 0–8"),
        (lambda: include(done, SERIES, [-1]), "no section -1"),
        (lambda: exclude(done, "TS_2", [0]), "no series TS_2 in it; it has TS_1"),
        (lambda: exclude(done, "../TS_1", [0]), "no series"),
        (lambda: exclude(done, SERIES, [1], "x" * (LONGEST_REASON + 1)), "201 characters"),
        (lambda: exclude(done, SERIES, range(n - FEWEST_TILTS + 1)), "4 of 9 tilts would be left"),
        (lambda: exclude(tmp_path, SERIES, [0]), "not a session"),
    ]
    for attempt, said in refused:
        with pytest.raises(InputError, match=said):
            attempt()
    assert results(done) == before
    assert len(exclude(done, SERIES, range(n - FEWEST_TILTS))) == n - FEWEST_TILTS


def test_too_few_tilts_are_told_by_the_alignment_too_and_nothing_is_lost(done: Path, movie_session: Path) -> None:
    (done / "series" / SERIES / EXCLUDED).write_text(json.dumps({"reasons": {str(at): "drift" for at in range(5)}}))
    before = results(done)
    with pytest.raises(InputError, match=r"Only 4 of 9 views.*\[0, 1, 2, 3, 4\]: excluded: drift.*Take some back"):
        process(done, movie_session)
    assert results(done) == before
    last = read_history(done, SERIES)[-1]
    assert (last.stage, last.status) == ("align", RunStatus.FAILED)
    include(done, SERIES, [])
    assert ran(process(done, movie_session)[0]) == []


def test_a_file_that_cannot_be_read_is_told(done: Path, movie_session: Path) -> None:
    path = done / "series" / SERIES / EXCLUDED
    path.write_text('{"reasons": {"-1": "drift"}}')
    attempts: tuple[Callable[[], object], ...] = (
        lambda: process(done, movie_session),
        lambda: exclude(done, SERIES, [0]),
    )
    for attempt in attempts:
        with pytest.raises(FormatError, match=r"excluded\.json.*Remove the file"):
            attempt()
    assert excluded_stamp(path.parent)


def test_changes_at_once_are_all_kept(done: Path) -> None:
    with ThreadPoolExecutor(4) as at_once:
        list(at_once.map(lambda section: exclude(done, SERIES, [section], f"by {section}"), range(4)))
    assert read_excluded(done / "series" / SERIES) == {section: f"by {section}" for section in range(4)}


# Before it was processed


def test_tilts_of_a_series_that_grows_can_be_excluded(tmp_path: Path) -> None:
    raw = live_session.acquired(tmp_path / "raw")
    with Session.create_or_open(tmp_path / "session") as session:
        for section in range(3):
            live_session.take_look(session, raw, section)
        # Held by the watcher meanwhile, and as few as there are: how many there will be is not known.
        assert len(exclude(session.folder, live_session.SERIES, range(3), "blank")) == 3
        with pytest.raises(InputError, match="no section 3; its sections known so far are 0–2"):
            exclude(session.folder, live_session.SERIES, [3])
        assert what_follows(session.folder, live_session.SERIES) == LATER
