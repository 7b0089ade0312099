"""`Watch` on series that come as stacks: section by section, copied in whole, or in place of movies that are gone."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from test_live_watch import SETTINGS, Inline, Lab, state

from eucentric.core import write_text
from eucentric.io import open_mrc
from eucentric.report import ReportInput
from eucentric.session import RunStatus, read_events, read_history
from eucentric.workflow.live import Look, SeriesState
from eucentric.workflow.live.arrivals import Arrivals
from eucentric.workflow.live.records import SectionRequest, SeriesRequest, TaskOutcome
from eucentric.workflow.live.stacks import SeenStack, stack_of

AT_ONCE = SETTINGS.replace(quiet_s=0, late_s=0)


class StackLab(Lab):
    """A microscope that leaves a stack; the movies come too where they are exposed."""

    def __init__(self, acquired: Path, folder: Path) -> None:
        super().__init__(acquired, folder)
        self.whole = (acquired / "mdoc" / "TS_1.mrc").read_bytes()
        image = open_mrc(acquired / "mdoc" / "TS_1.mrc").data
        self.means = image.mean(axis=(1, 2), dtype=np.float64)
        self.section_bytes = image[0].nbytes
        self.stack = self.folder / "mdoc" / "TS_1.mrc"

    def save(self, sections: float, *, told: int | None = None, counted: int | None = None) -> None:
        """Have so many sections in the stack, the last of them perhaps in part, and as many told of in its .mdoc."""
        size = len(self.whole) - round((len(self.sections) - sections) * self.section_bytes)
        header = self.whole[:8] + int(counted or sections).to_bytes(4, "little") + self.whole[12:1024]
        self.stack.write_bytes(header + self.whole[1024:size])
        self.tell(int(sections) if told is None else told)

    def tell(self, sections: int) -> None:
        """Have an .mdoc that names no movies."""
        text = self.head + "".join(self.sections[:sections])
        write_text(self.stack.with_name("TS_1.mrc.mdoc"), re.sub(r"SubFramePath = .*\n", "", text))


def pretend(monkeypatch: pytest.MonkeyPatch, *tasks: str) -> list[SeriesRequest | SectionRequest]:
    """Have these tasks do nothing, where what they do is not asked; return the list of what they will be asked."""
    asked: list[SeriesRequest | SectionRequest] = []

    def done(request: SeriesRequest | SectionRequest) -> TaskOutcome:
        asked.append(request)
        return TaskOutcome()

    for task in tasks:
        monkeypatch.setattr(f"eucentric.workflow.live.watch.{task}", done)
    return asked


@pytest.fixture
def lab(movie_session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StackLab:
    def write(path: Path, data: ReportInput, _: object) -> None:
        path.write_text("\n".join(data.warnings))  # pictures take longer than all the rest

    monkeypatch.setattr("eucentric.workflow.process.write_report", write)
    return StackLab(movie_session, tmp_path)


def test_sections_are_seen_as_they_come_and_the_series_is_done_when_it_has_ended(lab: StackLab) -> None:
    crew, n = Inline(), len(lab.sections)
    with lab.watching(crew) as after:
        lab.save(1)
        assert state(after(0)) is SeriesState.GROWING
        lab.save(2.5, told=3, counted=1)  # the .mdoc is ahead of the pixels, the header behind
        after(10)
        assert crew.asked == ["take_look TS_1 0", "take_look TS_1 1"]
    again = Inline()
    with lab.watching(again) as after:
        lab.save(3)
        after(0)
        assert again.asked == ["take_look TS_1 2"]  # the others are in the journal, though their file has grown
        lab.save(n)
        after(10)
        assert again.asked == [*(f"take_look TS_1 {section}" for section in range(2, n)), "make_preview TS_1"]
        assert state(after(29)) is SeriesState.GROWING
        assert state(after(2)) is SeriesState.DONE
        after(500)
        assert again.asked[n - 1 :] == ["process_one TS_1"]
    third = Inline()
    with lab.watching(third) as after:
        after(0)
        assert state(after(30)) is SeriesState.DONE
    assert third.asked == []
    ended = [(run.stage, run.status) for run in read_history(lab.session)]
    assert len(ended) == len(set(ended))
    assert {status for _, status in ended} == {RunStatus.FINISHED}
    folder = lab.session / "series" / "TS_1"
    assert (folder / "tomogram.mrc").is_file()
    for section in range(n):
        look = Look.model_validate_json((folder / "looks" / f"{section:03d}.json").read_text())
        assert look.counts == pytest.approx(lab.means[section])
        assert look.track is None
        assert (folder / "looks" / f"{section:03d}.jpg").read_bytes().startswith(b"\xff\xd8")
    assert {run.metrics["motion_A"] for run in read_history(lab.session) if run.stage.startswith("look")} == {None}
    assert lab.stack.read_bytes() == lab.whole


def test_a_stack_that_is_missing_or_cut_off_is_waited_for_and_told_of_and_tried_again(
    lab: StackLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, "take_look")
    n = len(lab.sections)
    with lab.watching(Inline()) as after:
        lab.tell(n)
        after(0)
        assert state(after(60)) is SeriesState.GROWING
        watch = after(70)
        assert state(watch) is SeriesState.FAILED
        assert "there is no stack TS_1.mrc beside it" in watch.progress()[0].reason
        lab.save(n - 0.5, told=n, counted=n)
        assert state(after(60)) is SeriesState.GROWING
        watch = after(130)
        assert state(watch) is SeriesState.FAILED
        assert f"promises {n} sections, the file holds {n - 1} whole" in watch.progress()[0].reason
        lab.save(n, told=n - 1)
        after(1)
        watch = after(130)
        assert f"{n} sections" in watch.progress()[0].reason
        pretend(monkeypatch, "process_one")
        lab.save(n)
        after(1)
        assert state(after(1000)) is SeriesState.DONE


def test_what_had_ended_before_it_was_seen_is_not_looked_at(lab: StackLab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = pretend(monkeypatch, "take_look", "process_one")
    lab.save(len(lab.sections))
    with lab.watching(Inline(), AT_ONCE) as after:
        assert state(after(1)) is SeriesState.DONE
    (request,) = asked
    assert isinstance(request, SeriesRequest)
    assert request.source.stack == lab.stack


def test_movies_are_waited_for_although_the_stack_is_there(lab: StackLab) -> None:
    crew, n = Inline(), len(lab.sections)
    with lab.watching(crew) as after:
        lab.save(3)
        lab.expose(3, late=(0, 1, 2))
        after(0)
        lab.save(n)
        lab.expose(n, late=tuple(range(n)))
        after(10)
        assert state(after(110)) is SeriesState.GROWING
        assert crew.asked == []
        lab.expose(n, late=tuple(range(1, n)))
        after(5)
        assert state(after(100)) is SeriesState.GROWING  # one movie, and no more talk of the stack
        assert crew.asked == ["take_look TS_1 0"]
        assert not read_events(lab.session, "live.queued")


def test_a_series_without_one_movie_is_done_from_its_stack_and_again_when_they_come(
    lab: StackLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = len(lab.sections)
    with lab.watching(Inline()) as after:
        lab.save(n)
        lab.expose(n, late=tuple(range(n)))
        after(0)
        assert state(after(130)) is SeriesState.DONE
        report = (lab.session / "series" / "TS_1" / "report.html").read_text()
        assert "none of the movies that it names was found; the stack was used" in report
        asked = pretend(monkeypatch, "take_look", "process_one")
        lab.expose(n)
        after(1)
        assert state(after(1000)) is SeriesState.DONE
        assert isinstance(asked[-1], SeriesRequest)
        assert asked[-1].source.stack is None
        assert len(asked) == n + 1
        shutil.rmtree(lab.folder / "frames")  # for want of room: what was made of them stays
        after(1)
        assert state(after(1000)) is SeriesState.DONE
    with lab.watching(Inline()) as after:
        after(0)
        assert state(after(1000)) is SeriesState.DONE
    assert len(asked) == n + 1


@pytest.mark.parametrize(
    ("mdoc", "stack"),
    [("TS.mrc.mdoc", "TS.mrc"), ("TS.st.mdoc", "TS.st"), ("TS.mdoc", "TS.st"), ("a.1.mdoc", "a.1.mrc")],
)
def test_the_stack_goes_by_the_name_of_its_mdoc(lab: StackLab, mdoc: str, stack: str) -> None:
    lab.save(2)
    place = lab.folder / "mdoc"
    lab.stack.rename(place / stack)
    (place / "TS_1.mrc.mdoc").rename(place / mdoc)
    arrivals = Arrivals(lab.folder, settle_s=2.0)
    arrivals.look(0.0)
    (one,) = arrivals.series.values()
    assert one.movies == {}  # the sections may be on their way
    arrivals.look(2.0)
    assert one.movies == {0: place / stack, 1: place / stack}
    assert one.waiting == {}
    assert stack_of(place / "other.mdoc", ()) == place / "other.mrc"


def test_a_stack_that_was_begun_anew_has_other_sections(lab: StackLab) -> None:
    seen = SeenStack(lab.stack)
    stamps = []
    for number, sections in enumerate((2, 4, 3, 4)):
        lab.save(sections)
        info = lab.stack.stat()
        seen.look((info.st_size, 1000 + number), float(number))
        stamps.append(seen.section_stamp)
    assert stamps[0] == stamps[1]
    assert stamps[2] == stamps[3] != stamps[0]
    assert [seen.whole(4.0, settle_s) for settle_s in (0, 1.5, 3)] == [4, 3, 0]
