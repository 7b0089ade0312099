"""`Watch` on a folder that fills: what is looked at when, what is processed again, what stops nothing else."""

import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from eucentric.core import write_text
from eucentric.io import read_mdoc
from eucentric.processing.alignment import AlignSettings
from eucentric.report import ReportInput
from eucentric.session import RunStatus, Session, read_events, read_history
from eucentric.workflow.excluded import BY_USER, BY_WATCHER, exclude, include, what_follows
from eucentric.workflow.live import Look, SeriesState, Watch, WatchSettings
from eucentric.workflow.live.arrivals import Arrivals
from eucentric.workflow.live.crew import WorkerLostError
from eucentric.workflow.live.records import TaskOutcome
from eucentric.workflow.records import ProcessOutcome, ProcessSettings

A = TypeVar("A")
R = TypeVar("R")

PROCESS = ProcessSettings(align=AlignSettings(axis_deg=84.3, rounds=1))
SETTINGS = WatchSettings(process=PROCESS, settle_s=0, quiet_s=20, late_s=100)
MDOC = Path("mdoc") / "TS_1.mrc.mdoc"


class Inline:
    """A crew that does a task when it is given it; `loses` so many workers first."""

    host = "127.0.0.1"
    size = 1

    def __init__(self, loses: int = 0) -> None:
        self.loses = loses
        self.asked: list[str] = []

    def submit(self, task: Callable[[A], R], request: A, *, urgent: bool = False) -> "Future[R]":
        future: Future[R] = Future()
        section = getattr(request, "section", None)
        self.asked.append(
            f"{task.__name__} {getattr(request, 'series', '')}" + ("" if section is None else f" {section}")
        )
        if self.loses and not urgent:
            self.loses -= 1
            future.set_exception(WorkerLostError("killed"))
        else:
            future.set_result(task(request))
        return future

    def close(self) -> None:
        pass


class Lab:
    """A microscope's folder, a watcher's session, and a clock that is set by hand."""

    def __init__(self, acquired: Path, folder: Path) -> None:
        self.acquired, self.folder, self.session = acquired, folder / "microscope", folder / "session"
        self.now_s = 0.0
        (self.folder / "frames").mkdir(parents=True)
        (self.folder / "mdoc").mkdir()
        shutil.copy(acquired / "plan.yaml", self.folder)
        for gain in (acquired / "frames").glob("gain*"):
            shutil.copy(gain, self.folder / "frames")
        text = (acquired / MDOC).read_text()
        self.head, *self.sections = re.split(r"(?=^\[ZValue)", text, flags=re.MULTILINE)
        self.movies = [re.findall(r"SubFramePath = .*?([^/\\\n]+)\n", section)[0] for section in self.sections]

    def expose(self, tilts: int, *, name: str = "TS_1", late: tuple[int, ...] = ()) -> None:
        """Have so many tilts in the .mdoc, with their movies but for those that are late."""
        write_text(self.folder / "mdoc" / f"{name}.mrc.mdoc", self.head + "".join(self.sections[:tilts]))
        for section, movie in enumerate(self.movies[:tilts]):
            if section not in late and not (self.folder / "frames" / movie).exists():
                shutil.copy(self.acquired / "frames" / movie, self.folder / "frames")

    @contextmanager
    def watching(self, crew: Inline, settings: WatchSettings = SETTINGS) -> Iterator[Callable[[float], Watch]]:
        """Give what lets so many seconds pass, and then has a watcher look."""
        with Session.create_or_open(self.session) as session, session.served() as server:
            arrivals = Arrivals(self.folder, settle_s=settings.settle_s)
            watch = Watch(session, server.address, arrivals, crew, settings, clock=lambda: self.now_s)

            def after(seconds: float) -> Watch:
                self.now_s += seconds
                watch.step()
                watch.step()  # what came of tasks is heard in the next step
                return watch

            yield after


@pytest.fixture
def lab(movie_session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    def write(path: Path, data: ReportInput, _: object) -> None:
        path.write_text(data.series.name)  # pictures take longer than all the rest

    monkeypatch.setattr("eucentric.workflow.process.write_report", write)
    return Lab(movie_session, tmp_path)


def state(watch: Watch, name: str = "TS_1") -> SeriesState:
    return {one.series: one.state for one in watch.progress()}[name]


def test_tilts_are_seen_as_they_come_and_the_series_is_done_when_it_has_ended(lab: Lab) -> None:
    crew = Inline()
    with lab.watching(crew) as after:
        lab.expose(2)
        assert state(after(0)) is SeriesState.GROWING
        assert crew.asked == ["take_look TS_1 0", "take_look TS_1 1"]
        lab.expose(4, late=(2,))
        after(10)
        assert crew.asked[2:] == ["take_look TS_1 3"]  # what is late holds up no other
        lab.expose(len(lab.sections))
        after(10)
        assert crew.asked[-1] == "make_preview TS_1"  # after all that there is to be looked at
        assert (lab.session / "series" / "TS_1" / "preview.mrc").is_file()
        assert state(after(29)) is SeriesState.GROWING
        assert "process_one TS_1" not in crew.asked
        assert state(after(2)) is SeriesState.DONE  # it was quiet for three times its longest wait
        assert crew.asked.count("process_one TS_1") == 1
        after(500)
        assert len(crew.asked) == len(set(crew.asked)) == len(lab.sections) + 2
    folder = lab.session / "series" / "TS_1"
    assert (folder / "tomogram.mrc").is_file()
    sections = read_mdoc(lab.acquired / MDOC).sections
    for section in range(len(lab.sections)):
        look = Look.model_validate_json((folder / "looks" / f"{section:03d}.json").read_text())
        assert look.tilt_deg == sections[section].tilt_deg
        assert look.track is not None
        assert look.frames == len(look.track.frames) > 1
        assert look.counts > 0
        assert (folder / "looks" / f"{section:03d}.jpg").read_bytes().startswith(b"\xff\xd8")


def test_started_again_it_repeats_nothing(lab: Lab) -> None:
    lab.expose(3)
    with lab.watching(Inline()) as after:
        after(0)
    again = Inline()
    with lab.watching(again) as after:
        after(0)
        assert again.asked == []  # looks are in the journal
        lab.expose(len(lab.sections))
        after(1)
        after(30)
    third = Inline()
    with lab.watching(third) as after:
        after(0)
        assert state(after(30)) is SeriesState.DONE
        assert third.asked == []
    ended = [(run.stage, run.status) for run in read_history(lab.session)]
    assert len(ended) == len(set(ended))
    assert {status for _, status in ended} == {RunStatus.FINISHED}


def test_a_late_movie_is_waited_for_and_then_done_without_and_again_with_it(lab: Lab) -> None:
    with lab.watching(Inline()) as after:
        lab.expose(len(lab.sections), late=(1,))
        after(0)
        assert state(after(60)) is SeriesState.GROWING
        assert state(after(70)) is SeriesState.DONE
        assert state(after(5000)) is SeriesState.DONE
        lab.expose(len(lab.sections))
        after(1)
        assert state(after(SETTINGS.quiet_s * 1000)) is SeriesState.DONE
    kept = [run.metrics["tilts"] for run in read_history(lab.session) if run.stage == "sums"]
    assert kept == [len(lab.sections) - 1, len(lab.sections)]


def test_with_the_number_of_tilts_known_nothing_is_waited_for(lab: Lab) -> None:
    settings = SETTINGS.replace(tilts=len(lab.sections))
    with lab.watching(Inline(), settings) as after:
        lab.expose(len(lab.sections) - 1)
        assert state(after(50)) is SeriesState.GROWING
        lab.expose(len(lab.sections))
        watch = after(0)
        assert state(watch) is SeriesState.DONE
        assert watch.progress()[0].looked_at == len(lab.sections)  # the last as well


def test_what_had_ended_before_it_was_seen_is_not_looked_at(lab: Lab) -> None:
    crew = Inline()
    lab.expose(len(lab.sections))
    with lab.watching(crew, SETTINGS.replace(quiet_s=0, late_s=0)) as after:
        assert state(after(1)) is SeriesState.DONE
    assert crew.asked == ["process_one TS_1"]


def test_a_done_series_is_done_again_without_a_tilt_that_was_excluded(
    lab: Lab, processed_movies: ProcessOutcome
) -> None:
    shutil.copytree(processed_movies.folder.parents[1], lab.session)
    lab.expose(len(lab.sections))
    with lab.watching(Inline(), SETTINGS.replace(quiet_s=0, late_s=0)) as after:
        after(0)
        assert state(after(1)) is SeriesState.DONE
        done = len(read_history(lab.session))
        exclude(lab.session, "TS_1", [2], "drift")
        assert state(after(1)) is SeriesState.DONE
    again = [run.stage for run in read_history(lab.session)[done:]]
    assert again == ["align", "reconstruct", "assess", "check", "report"]


def test_whenever_tilts_are_excluded_or_taken_back_the_series_is_sent_again(
    lab: Lab, processed_movies: ProcessOutcome
) -> None:
    class Idle(Inline):
        """A crew that does nothing, and says that it is done."""

        def submit(self, task: Callable[[A], R], request: A, *, urgent: bool = False) -> "Future[R]":
            return super().submit(cast("Callable[[A], R]", lambda _: TaskOutcome()), request, urgent=urgent)

    def sent(change: Callable[[], object]) -> bool:
        before = len(crew.asked)
        change()
        assert state(after(1)) is SeriesState.DONE
        return len(crew.asked) > before

    shutil.copytree(processed_movies.folder.parents[1], lab.session)
    lab.expose(len(lab.sections))
    settings, crew = SETTINGS.replace(quiet_s=0, late_s=0), Idle()
    with lab.watching(crew, settings) as after:
        assert sent(lambda: None)
        assert not sent(lambda: None)
        assert sent(lambda: exclude(lab.session, "TS_1", [2], "drift"))
    crew = Idle()
    with lab.watching(crew, settings) as after:  # started again, it knows what was done last
        assert not sent(lambda: None)
        assert sent(lambda: include(lab.session, "TS_1", [2]))
        assert what_follows(lab.session, "TS_1").startswith("The alignment has it so")
        assert sent(lambda: exclude(lab.session, "TS_1", [2], "drift"))  # as it was when the watcher was started
        assert what_follows(lab.session, "TS_1") == BY_USER  # nobody has said that he watches
        after(0).run(once=True, poll_s=0)
        assert what_follows(lab.session, "TS_1") == BY_WATCHER
    assert what_follows(lab.session, "TS_1") == BY_USER


def test_a_series_that_cannot_be_processed_stops_no_other(lab: Lab) -> None:
    with lab.watching(Inline(), SETTINGS.replace(quiet_s=0, late_s=0)) as after:
        lab.expose(len(lab.sections))
        poisoned = lab.folder / "mdoc" / "poisoned.mrc.mdoc"
        junk = lab.folder / "frames" / "junk.tif"
        junk.write_bytes(b"no movie")
        poisoned.write_text(lab.head + lab.sections[0].replace(lab.movies[0], junk.name))
        (lab.folder / "mdoc" / "empty.mdoc").write_text("")
        after(0)
        watch = after(1)
        assert state(watch) is SeriesState.DONE
        assert state(watch, "poisoned") is SeriesState.FAILED
        progress = {one.series: one for one in watch.progress()}
        assert "junk.tif" in progress["poisoned"].reason
        assert "empty.mdoc" in progress["empty"].reason
        asked = len(watch._crew.asked)  # type: ignore[attr-defined]
        after(1000)
        assert len(watch._crew.asked) == asked  # type: ignore[attr-defined]
    (failed,) = read_events(lab.session, "live.failed")
    assert failed.series == "poisoned"
    assert "junk.tif" in failed.body["reason"]


def test_a_series_none_of_whose_movies_come_is_given_up_and_done_when_they_do(lab: Lab) -> None:
    with lab.watching(Inline(), SETTINGS.replace(settle_s=1, quiet_s=0, late_s=0)) as after:
        lab.expose(len(lab.sections), late=tuple(range(len(lab.sections))))
        assert state(after(0)) is SeriesState.GROWING
        assert state(after(2)) is SeriesState.FAILED  # so that `--once` ends
        lab.expose(len(lab.sections))
        after(1)
        assert state(after(1)) is SeriesState.GROWING  # whole now, and looked at
        assert state(after(2)) is SeriesState.DONE


def test_lost_workers_are_replaced_so_often_and_no_more(lab: Lab) -> None:
    settings = SETTINGS.replace(quiet_s=0, late_s=0)
    lab.expose(len(lab.sections))
    with lab.watching(Inline(loses=2), settings) as after:
        after(0)
        assert state(after(1)) is SeriesState.QUEUED  # it is given a moment
        after(3)
        assert state(after(10)) is SeriesState.DONE
    assert [event.kind for event in read_events(lab.session, "live.")] == [
        "live.queued",
        "live.retried",
        "live.retried",
        "live.done",
    ]
    (lab.folder / "frames" / lab.movies[0]).touch()
    with lab.watching(Inline(loses=9), settings) as after:
        for _ in range(8):
            watch = after(20)
        assert state(watch) is SeriesState.FAILED
        assert "lost" in {one.series: one for one in watch.progress()}["TS_1"].reason


@pytest.mark.parametrize(
    ("outcome", "then", "noted"),
    [
        (TaskOutcome(), SeriesState.DONE, ["live.queued", "live.done"]),
        (TaskOutcome(reason="Its disk is full.", again=True), SeriesState.QUEUED, ["live.queued"]),
    ],
)
def test_what_workers_still_do_while_the_watcher_ends_is_noted(
    lab: Lab, outcome: TaskOutcome, then: SeriesState, noted: list[str]
) -> None:
    class Busy(Inline):
        def submit(self, task: Callable[[A], R], request: A, *, urgent: bool = False) -> "Future[R]":
            future: Future[Any] = Future()
            self.under_way = future
            return future

    lab.expose(len(lab.sections))
    crew = Busy()
    with lab.watching(crew, SETTINGS.replace(quiet_s=0, late_s=0)) as after:
        watch = after(0)
        assert state(watch) is SeriesState.PROCESSING
        crew.under_way.set_result(outcome)
        assert state(watch) is SeriesState.PROCESSING  # it is heard by this thread, when it listens
        assert {one.series: one.state for one in watch.finish()} == {"TS_1": then}
    assert [event.kind for event in read_events(lab.session, "live.")] == noted


def test_a_series_has_not_ended_because_nobody_looked(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    look = Arrivals.look

    def look_for_long(arrivals: Arrivals, now_s: float) -> None:  # as at a thousand series for the first time
        look(arrivals, now_s)
        lab.now_s += 60.0

    monkeypatch.setattr(Arrivals, "look", look_for_long)
    monkeypatch.setattr("eucentric.workflow.live.watch.process_one", lambda _: TaskOutcome())
    lab.expose(len(lab.sections))
    with lab.watching(Inline(), SETTINGS.replace(settle_s=1.0, quiet_s=0, late_s=0)) as after:
        assert state(after(0)) is SeriesState.GROWING  # its movies are seen to stay as they are by the second look
        assert state(after(0)) is SeriesState.DONE
    (queued,) = read_events(lab.session, "live.queued")
    assert queued.body == {"tilts": len(lab.sections), "missing": 0}
