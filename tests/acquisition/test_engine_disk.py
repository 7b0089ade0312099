"""A disk that fills up, at each place where something is written: nothing is lost, and nothing made twice."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from acquisition_cases import (
    ALONE,
    acquired,
    assert_nothing_lost,
    beginning,
    policies_used,
    resumed,
    small_plan,
    states,
)

import eucentric.acquisition.recorder as recorder
import eucentric.io.movies as movies
from eucentric.acquisition.series_files import SeriesFiles
from eucentric.core import DataWarning, OutputError
from eucentric.design import Plan
from eucentric.io.movies import open_movie
from eucentric.session import ExposureState, Session, read_events, read_exposures

SMALL: dict[str, Any] = {"pixels": True, "size": 32, "pixel_A": 20.0, "specimen": "beads"}
QUICK = {"disk_low": {"wait_s": 1.0, "tries": 3}}


def plan(**policies: Any) -> Plan:
    return small_plan(range_deg=10.0, **{**QUICK, **policies})


def failing(times: int, original: Callable[..., Any], only: Callable[..., bool] = lambda *a, **k: True) -> Any:
    """Make a function that finds the disk full so many times."""
    left = [times]

    def wrapped(*arguments: Any, **named: Any) -> Any:
        if left[0] and only(*arguments, **named):
            left[0] -= 1
            raise OutputError("the disk is full (a test says so)")
        return original(*arguments, **named)

    return wrapped


def test_a_movie_waits_in_memory_for_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "write_movie", failing(3, movies.write_movie))
    outcome = acquired(tmp_path, beginning(plan(), ALONE, **SMALL))
    assert outcome.finish == "finished"
    assert ("disk_low", "wait") in policies_used(tmp_path)
    assert [series.images for series in outcome.series] == [3]
    assert_nothing_lost(tmp_path)


def test_a_movie_that_finds_no_room_is_saved_elsewhere_and_the_run_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, elsewhere = tmp_path / "session", tmp_path / "elsewhere"
    monkeypatch.setattr(recorder, "gettempdir", lambda: str(elsewhere))
    monkeypatch.setattr(recorder, "write_movie", failing(4, movies.write_movie))
    outcome = acquired(session, beginning(plan(), ALONE, **SMALL))
    assert outcome.finish == "aborted"
    (saved,) = elsewhere.rglob("*.tif")
    assert str(saved) in outcome.reason
    assert open_movie(saved).shape == (8, 32, 32)
    assert states(session) == "d"
    again = resumed(session)
    assert again.finish == "finished", again.reason
    assert states(session) == "ddd"
    assert [event.body["order"] for event in read_events(session, "acquisition.lost")] == [0]
    assert_nothing_lost(session)


def test_nothing_is_exposed_while_the_disk_is_nearly_full(tmp_path: Path) -> None:
    """A disk cannot be as large as the policy wants it."""
    outcome = acquired(tmp_path, beginning(plan(disk_low={"least_GB": 1e6}), ALONE, pixels=False))
    assert outcome.finish == "aborted"
    assert read_exposures(tmp_path) == ()
    assert policies_used(tmp_path) == [("disk_low", "wait"), ("disk_low", "abort")]


def test_an_outcome_that_cannot_be_noted_is_uncertain_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_outcome(self: Session, kind: str, *arguments: Any, **named: Any) -> bool:
        return kind == "exposure.delivered"

    with monkeypatch.context() as patch:
        patch.setattr(Session, "note", failing(4, Session.note, is_outcome))
        outcome = acquired(tmp_path, beginning(plan(), ALONE, pixels=False))
    assert outcome.finish == "aborted"
    (one,) = read_exposures(tmp_path)
    assert one.state is ExposureState.UNCERTAIN
    assert resumed(tmp_path).finish == "finished"
    assert states(tmp_path) == "udd"
    assert_nothing_lost(tmp_path)


def test_an_outcome_is_noted_as_soon_as_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_outcome(self: Session, kind: str, *arguments: Any, **named: Any) -> bool:
        return kind == "exposure.delivered"

    monkeypatch.setattr(Session, "note", failing(3, Session.note, is_outcome))
    assert acquired(tmp_path, beginning(plan(), ALONE, pixels=False)).finish == "finished"
    assert states(tmp_path) == "ddd"


def test_an_intent_that_cannot_be_noted_exposes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_intent(self: Session, kind: str, *arguments: Any, **named: Any) -> bool:
        return kind == "exposure.intended"

    monkeypatch.setattr(Session, "note", failing(4, Session.note, is_intent))
    assert acquired(tmp_path, beginning(plan(), ALONE, pixels=False)).finish == "aborted"
    assert not (tmp_path / "truth" / "exposures.jsonl").read_text()
    assert_nothing_lost(tmp_path)


def test_an_mdoc_that_cannot_be_written_waits_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SeriesFiles, "write_mdoc", failing(2, SeriesFiles.write_mdoc))
    assert acquired(tmp_path, beginning(plan(), ALONE, pixels=False)).finish == "finished"
    assert policies_used(tmp_path) == [("disk_low", "wait")]


def test_a_disk_that_really_fills_up(small_disk: Path) -> None:
    """A file system of one MiB: the run ends by its policy, and the record holds what hit the specimen."""
    folder = small_disk / "session"
    whole = small_plan(range_deg=30.0, disk_low={"least_GB": 0.0, "wait_s": 1.0, "tries": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # the stack of what there is may find no room either
        outcome = acquired(folder, beginning(whole, ALONE, pixels=True, size=160, specimen="beads"))
    assert outcome.finish in ("aborted", "failed")
    assert_nothing_lost(folder)
