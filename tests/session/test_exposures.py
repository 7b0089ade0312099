"""Exposures in the journal: announced before the shutter, settled after, and never forgotten in between."""

import os
import signal
from pathlib import Path

import pytest
from session_cases import session as session

from eucentric.core import FormatError, InputError, OutputError
from eucentric.session import (
    ExposureBook,
    ExposureState,
    Intent,
    Session,
    read_events,
    read_exposures,
)

FIRST = Intent(target="TS_001", order=0, tilt_deg=0.0, exposure_e_A2=3.0)
SECOND = FIRST.replace(order=1, tilt_deg=3.0)
TRACK = Intent(target="tracking", order=1, tilt_deg=3.0, exposure_e_A2=0.5, purpose="track")


def states(folder: Path) -> list[tuple[str, int, str]]:
    return [(one.target, one.order, one.state.value) for one in read_exposures(folder)]


def test_what_was_delivered_is_what_was_read_back(session: Session) -> None:
    book = ExposureBook(session)
    number = book.intend(FIRST, frames=8)
    book.delivered(number, "TS_001", exposure_e_A2=2.9, tilt_deg=0.01, movie="a.tif")
    (record,) = book.records()
    assert (record.exposure_e_A2, record.tilt_deg, record.state) == (2.9, 0.01, ExposureState.DELIVERED)
    assert record.details == {"frames": 8, "movie": "a.tif"}
    assert record.number == number


def test_an_exposure_without_an_outcome_is_uncertain_and_counts(session: Session) -> None:
    ExposureBook(session).intend(FIRST)
    (record,) = read_exposures(session.folder)
    assert record.state is ExposureState.UNCERTAIN
    assert record.received
    assert "under way" in record.reason


def test_what_was_withheld_never_happened(session: Session) -> None:
    book = ExposureBook(session)
    book.withheld(book.intend(FIRST), "TS_001", "no beam")
    book.delivered(book.intend(FIRST), "TS_001", exposure_e_A2=3.0, tilt_deg=0.0)
    assert states(session.folder) == [("TS_001", 0, "delivered")]
    assert [event.kind for event in read_events(session.folder, "exposure.w")] == ["exposure.withheld"]


def test_skipped_ones_are_of_the_plan_and_not_received(session: Session) -> None:
    ExposureBook(session).skip(SECOND, "the stage refused")
    (record,) = read_exposures(session.folder)
    assert (record.state, record.reason, record.received) == (ExposureState.SKIPPED, "the stage refused", False)


def test_an_exposure_has_one_outcome(session: Session) -> None:
    book = ExposureBook(session)
    number = book.intend(FIRST)
    book.uncertain(number, "TS_001", "no answer")
    with pytest.raises(OutputError):
        book.delivered(number, "TS_001", exposure_e_A2=3.0, tilt_deg=0.0)
    assert states(session.folder) == [("TS_001", 0, "uncertain")]


def test_order_is_that_of_the_intents(session: Session) -> None:
    book = ExposureBook(session)
    for intent in (FIRST, TRACK, SECOND):
        book.delivered(book.intend(intent), intent.target, exposure_e_A2=1.0, tilt_deg=intent.tilt_deg)
    assert [one.purpose for one in book.records()] == ["record", "track", "record"]


def test_events_can_be_followed(session: Session) -> None:
    book = ExposureBook(session)
    number = book.intend(FIRST)
    seen = read_events(session.folder, "exposure.")
    assert [event.id for event in seen] == [number]
    book.uncertain(number, "TS_001", "no answer")
    (new,) = read_events(session.folder, "exposure.", after=number)
    assert (new.kind, new.cause, new.body) == ("exposure.uncertain", number, {"reason": "no answer"})
    assert read_events(session.folder, after=new.id) == []


def test_a_killed_process_leaves_its_exposure_uncertain(tmp_path: Path) -> None:
    """Seen so from outside before the session is opened again, and kept so after."""
    folder = tmp_path / "session"
    child = os.fork()
    if child == 0:
        opened = Session.create_or_open(folder)
        book = ExposureBook(opened)
        book.delivered(book.intend(FIRST), "TS_001", exposure_e_A2=3.0, tilt_deg=0.0)
        book.intend(SECOND)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    before = read_exposures(folder)
    assert [one.state.value for one in before] == ["delivered", "uncertain"]
    assert "killed" in before[1].reason
    with Session.create_or_open(folder) as again:
        assert ExposureBook(again).records() == before
    assert read_exposures(folder) == before


def test_a_folder_that_is_no_session_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a session"):
        read_exposures(tmp_path)


def test_an_exposure_that_makes_no_sense_is_told_as_damage(session: Session) -> None:
    session.note("exposure.intended", {"target": "TS_001", "order": -3})
    with pytest.raises(FormatError, match="makes no sense"):
        read_exposures(session.folder)
