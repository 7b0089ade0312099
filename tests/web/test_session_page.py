"""The session page's model: what the journal tells, found beside planned, alarms at thresholds, what is outdated."""

import asyncio
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from eucentric.core import InputError, Record, Tilt, TiltSeries
from eucentric.processing.alignment import AlignSettings
from eucentric.session import ExposureBook, Intent, Session, StagePlan
from eucentric.web import ReadOnlyError, Served
from eucentric.web.served import NotServedError
from eucentric.web.session import words
from eucentric.web.session.alarms import Limits, series_alarms, session_alarms
from eucentric.web.session.excluding import set_excluded
from eucentric.web.session.expected import expected_counts
from eucentric.web.session.figures import CHARTS, figure
from eucentric.web.session.filters import Filter
from eucentric.web.session.following import Following
from eucentric.web.session.model import SessionModel
from eucentric.web.session.records import AlarmKind, SeriesView, TiltView
from eucentric.web.session.routes import add_routes
from eucentric.web.tomogram.series import Version, find_versions
from eucentric.workflow.excluded import (
    BY_USER,
    BY_WATCHER,
    EXCLUDED,
    LATER,
    exclude,
    include,
    read_excluded,
)
from eucentric.workflow.live import SeriesState
from eucentric.workflow.live.preview import PreviewStage
from eucentric.workflow.records import AlignStage
from phantoms.live_session import SERIES, acquired, counts_at, make_preview, movie_of, plan, take_look


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Nothing(Record):
    """Settings of a stage without any."""


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return acquired(tmp_path / "raw")


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with Session.create_or_open(tmp_path / "session") as session:
        yield session


def seen(session: Session) -> SeriesView:
    model = SessionModel(session.folder, free_bytes=lambda _: 10**12)
    model.advance()
    return model.series[SERIES]


def run_stage(session: Session, stage: str, *inputs: Path, writes: str = "", text: str = "") -> Path:
    """Run a stage that writes a file."""
    asked = StagePlan(series=SERIES, stage=stage, version=1, settings=Nothing(), inputs=inputs)
    with session.run(asked) as run:
        path = run.folder / (writes or f"{stage}.json")
        path.write_text(text or stage)
        run.output(path)
    return path


def test_looks_are_shown_as_they_come_beside_what_was_planned(session: Session, raw: Path) -> None:
    for section in range(4):
        take_look(session, raw, section)
    view = seen(session)
    assert view.state is SeriesState.GROWING
    assert [tilt.tilt_deg for tilt in view.tilts] == [one.tilt_deg for one in plan()][:4]
    assert len(view.plan) == 7
    assert view.planned_e_A2 == pytest.approx(21)
    assert view.spent_e_A2 == pytest.approx(12)
    for tilt in view.tilts:
        assert tilt.predicted is not None
        assert tilt.predicted.tilt_deg == tilt.tilt_deg
        # The plan's own specimen is 2000 Å thick too, and its counts are brought to the camera's by one factor.
        assert tilt.predicted.counts == pytest.approx(tilt.counts, rel=0.02)
        assert tilt.expected_counts == pytest.approx(tilt.counts, rel=0.02)
        assert tilt.motion_A == 3.0
        assert tilt.defocus_off_A == 0
        assert tilt.picture is not None
        assert f"/looks/{tilt.section:03d}?v=" in tilt.picture
    assert view.alarms == ()


def test_nothing_is_missed_and_nothing_read_twice_by_one_who_comes_back(session: Session, raw: Path) -> None:
    following = Following(session.folder)
    take_look(session, raw, 0)
    assert following.advance() == {SERIES}
    last = following.last
    assert following.advance() == frozenset()
    assert following.last == last
    for section in (1, 2, 3):  # while nobody looks
        take_look(session, raw, section)
    assert following.advance() == {SERIES}
    assert sorted(following.told[SERIES].looks) == [0, 1, 2, 3]
    late = Following(session.folder)
    late.advance()
    assert late.last == following.last
    assert late.told[SERIES].looks.keys() == following.told[SERIES].looks.keys()


def test_a_preview_is_shown_until_there_is_a_tomogram(session: Session, raw: Path) -> None:
    pictures = []
    for section in range(7):
        take_look(session, raw, section)
        if section in (4, 6):
            make_preview(session, section + 1)
            view = seen(session)
            assert view.state is SeriesState.GROWING  # it says nothing of how far the series is
            assert view.stages == ()
            assert view.preview is not None
            assert view.preview.tilts == section + 1
            pictures.append(view.preview.picture)
            assert f'<a href="/tomogram/{SERIES}">Preview from {section + 1} tilts</a>' in words.card(view)
            assert f"Preview from {section + 1} tilts" in words.links(view)
            assert pictures[-1] in words.preview(view)
            (version,) = find_versions(session.folder, SERIES)
            assert version == Version(name="preview", label=f"Preview from {section + 1} tilts")
    assert pictures[0] != pictures[1]
    with pytest.raises(OSError, match="no disk"), session.run(preview_plan()):
        raise OSError("no disk")
    assert seen(session).preview == view.preview  # one that failed takes nothing away
    run_stage(session, "reconstruct", writes="tomogram.mrc")
    view = seen(session)
    assert view.preview is None
    assert words.preview(view) == ""
    assert "Preview" not in words.card(view) + words.links(view)
    assert [version.label for version in find_versions(session.folder, SERIES)] == ["Full"]


def preview_plan() -> StagePlan:
    stage = PreviewStage(sections=(0,), tilts_deg=(0.0,))
    return StagePlan(series=SERIES, stage="preview", version=1, settings=stage)


def test_another_look_at_a_movie_replaces_the_first(session: Session, raw: Path) -> None:
    model = SessionModel(session.folder)
    take_look(session, raw, 0, way_A=3.0)
    model.advance()
    before = model.series[SERIES].tilts[0]
    movie_of(raw, 0).write_bytes(b"more electrons")
    take_look(session, raw, 0, way_A=8.0)
    model.advance()
    after = model.series[SERIES].tilts[0]
    assert (before.motion_A, after.motion_A) == (3.0, 8.0)
    assert before.picture != after.picture


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"counts": 0.45 * counts_at(20)}, AlarmKind.COUNTS),
        ({"way_A": 20.5}, AlarmKind.DRIFT),
        ({"defocus_A": plan()[1].defocus_A - 5500}, AlarmKind.DEFOCUS),
    ],
)
def test_a_tilt_beyond_a_threshold_is_alarming(
    session: Session, raw: Path, wrong: dict[str, float], kind: AlarmKind
) -> None:
    for section in range(5):
        take_look(session, raw, section, **(wrong if section == 1 else {}))
    alarms = seen(session).alarms
    assert [(alarm.kind, alarm.section) for alarm in alarms] == [(kind, 1)]


def test_a_tilt_short_of_every_threshold_is_not(session: Session, raw: Path) -> None:
    for section in range(5):
        take_look(session, raw, section)
    take_look(session, raw, 5, counts=0.55 * counts_at(plan()[5].tilt_deg), way_A=19.5, defocus_A=plan()[5].defocus_A)
    # Few rings tell no defocus: another may fit as well.
    take_look(session, raw, 6, defocus_A=2 * plan()[6].defocus_A, rings_A=18)
    assert seen(session).alarms == ()


def test_blocked_tilts_do_not_move_what_is_expected_of_the_others() -> None:
    tilts = list(range(-60, 61, 5))
    counts = [counts_at(tilt) for tilt in tilts]
    for blocked in (0, 1, 2, 22, 23, 24):
        counts[blocked] *= 0.1
    expected = expected_counts(tilts, counts, [3.0] * len(tilts))
    assert expected == pytest.approx([counts_at(tilt) for tilt in tilts], rel=0.05)
    assert expected_counts([0, 30], [30, 25], [3, 3]) is None


def test_what_the_whole_session_lacks_is_alarming() -> None:
    limits = Limits()
    waiting = SeriesView(name="TS_002", state=SeriesState.QUEUED)
    assert session_alarms(11 * 10**9, held=True, series=[waiting], limits=limits) == ()
    (disk,) = session_alarms(9 * 10**9, held=True, series=[waiting], limits=limits)
    assert disk.kind is AlarmKind.DISK
    assert "9.0 GB" in disk.text
    (stopped,) = session_alarms(11 * 10**9, held=False, series=[waiting], limits=limits)
    assert stopped.kind is AlarmKind.STOPPED
    assert "TS_002" in stopped.text
    failed = SeriesView(name="TS_003", state=SeriesState.FAILED, reason="a movie is torn")
    assert series_alarms(failed, limits)[0].text == "a movie is torn"
    lost = TiltView(section=3, tilt_deg=9, order=3, left_out="its movie is missing")
    (alarm,) = series_alarms(SeriesView(name="TS_004", state=SeriesState.DONE, tilts=(lost,)), limits)
    assert alarm.kind is AlarmKind.MOVIE
    assert alarm.section == 3


def test_states_follow_what_the_watcher_says(session: Session, raw: Path) -> None:
    take_look(session, raw, 0)
    states = [seen(session).state]
    session.note("live.queued", {"tilts": 1, "missing": 2}, series=SERIES)
    states.append(seen(session).state)
    assert "2 of its images" in seen(session).reason
    run_stage(session, "gain")
    states.append(seen(session).state)
    session.note("live.retried", {"reason": "the disk was full.", "tries": 1}, series=SERIES)
    states.append(seen(session).state)
    session.note("live.failed", {"reason": "no movie can be summed.", "digest": ""}, series=SERIES)
    states.append(seen(session).state)
    assert seen(session).alarms[0].kind is AlarmKind.FAILED
    session.note("live.done", {"digest": ""}, series=SERIES)
    states.append(seen(session).state)
    assert states == ["growing", "queued", "processing", "queued", "failed", "done"]


def test_a_stage_is_outdated_when_what_it_was_given_has_changed(session: Session, raw: Path) -> None:
    movie = movie_of(raw, 0)
    os.utime(movie, (time.time() - 60,) * 2)
    motion = run_stage(session, "motion", movie)
    sums = run_stage(session, "sums", motion, movie)
    run_stage(session, "align", sums)
    assert not seen(session).is_outdated
    run_stage(session, "motion", movie, text="the same stage with other results")
    outdated = {stage.name: stage.outdated for stage in seen(session).stages}
    assert outdated == {"motion": "", "sums": "motion has run again since", "align": "sums is outdated"}
    run_stage(session, "sums", motion, movie)  # gives what it gave before
    assert not seen(session).is_outdated
    movie.write_bytes(b"electrons" * 2)
    assert "was changed since" in {stage.name: stage.outdated for stage in seen(session).stages}["motion"]
    session.note("live.done", {"digest": ""}, series=SERIES)
    session.note("live.queued", {"tilts": 1, "missing": 0}, series=SERIES)
    assert "waits to be processed again" in seen(session).outdated


def fetch(folder: Path, path: str) -> str:
    """Return what the routes answer, without a server, to a browser that was given a nonce."""
    app = FastAPI()
    add_routes(app, folder)

    async def given(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": {"nonce": "n"}}, receive, send)

    async def ask() -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(given), base_url="http://127.0.0.1") as client:
            return (await client.get(path)).text

    with ThreadPoolExecutor(1) as aside:  # a browser's tests may have a loop running here
        return aside.submit(asyncio.run, ask()).result()


def test_a_restored_tomogram_is_linked_and_leaves_nothing_to_be_done(session: Session, raw: Path) -> None:
    even = run_stage(session, "reconstruct", writes="tomogram_even.mrc")
    run_stage(session, "report", even)
    page = run_stage(session, "restore_wedge", even, writes="restored_wedge.html")
    view = seen(session)
    assert (view.state, view.restored) == (SeriesState.DONE, ("wedge",))
    link = f"/session-files/{SERIES}/restored/wedge"
    assert f'<a href="{link}">Restored (wedge)</a>' in words.links(view)
    assert fetch(session.folder, link) == page.read_text()
    with pytest.raises(NotServedError):
        fetch(session.folder, link.replace("wedge", "cryogen"))
    run_stage(session, "reconstruct", writes="tomogram_even.mrc", text="another volume")
    outdated = {stage.name: stage.outdated for stage in seen(session).stages}
    assert outdated["restore_wedge"] == "reconstruct has run again since"


# Tilts that are excluded


def align(session: Session, *, excluded: dict[int, str] | None = None) -> None:
    """Align the series, as far as the journal can tell."""
    tilts = tuple(Tilt(section=at, tilt_deg=one.tilt_deg, order=at) for at, one in enumerate(plan()))
    series = TiltSeries(name=SERIES, pixel_A=5, shape_yx=(64, 64), tilts=tilts)
    settings = AlignStage(series=series, align=AlignSettings(), excluded=excluded or {})
    with session.run(StagePlan(series=SERIES, stage="align", version=1, settings=settings)) as run:
        (run.folder / "alignment.json").write_text(str(excluded))
        run.output(run.folder / "alignment.json")


def test_an_excluded_tilt_is_marked_everywhere_at_once_and_alarms_nobody(session: Session, raw: Path) -> None:
    for section in range(7):
        take_look(session, raw, section, way_A=25.0 if section == 3 else 3.0)
    model = SessionModel(session.folder, free_bytes=lambda _: 10**12)
    model.advance(SERIES)
    before = model.series[SERIES]
    assert before.can_exclude
    assert [alarm.section for alarm in before.alarms] == [3]
    exclude(session.folder, SERIES, [3], "<drift>")
    model.advance(SERIES)  # nothing is new in the journal
    view = model.series[SERIES]
    assert [tilt.section for tilt in view.tilts if tilt.excluded] == [3]
    assert view.alarms == ()
    assert view.exclusions == LATER
    assert not view.is_outdated
    assert "Excluded: &lt;drift&gt;" in words.tilt_facts(view.tilts[3])
    assert words.table(view).count("excluded ") == 1
    assert "7 of 7, 1 excluded" in words.series_numbers(view)
    chart = next(chart for chart in CHARTS if chart.title.startswith("Drift"))
    drift = {trace["uid"]: trace for trace in figure(chart, view, {1, 3}, None)["data"]}
    assert drift["excluded"]["customdata"] == [3]
    assert drift["excluded"]["marker"]["symbol"] not in {drift[name]["marker"]["symbol"] for name in ("seen", "faded")}
    assert 3 not in drift["seen"]["customdata"] + drift["faded"]["customdata"]
    include(session.folder, SERIES, [3])
    model.advance(SERIES)
    assert model.series[SERIES] == before


def test_a_series_is_outdated_until_it_is_aligned_without_the_excluded_tilt(session: Session, raw: Path) -> None:
    take_look(session, raw, 0)
    align(session)
    run_stage(session, "reconstruct", session.folder / "series" / SERIES / "alignment.json")
    assert not seen(session).is_outdated
    exclude(session.folder, SERIES, [5], "blank")
    view = seen(session)
    assert view.is_outdated
    assert {stage.name: stage.outdated for stage in view.stages} == {
        "align": "other tilts are excluded now",
        "reconstruct": "align is outdated",
    }
    assert view.exclusions == BY_USER
    assert "outdated" in words.state(view)
    session.note("watch.started", {})
    assert seen(session).exclusions == BY_USER  # of another series, perhaps
    session.note("live.done", {"digest": ""}, series=SERIES)
    assert seen(session).exclusions == BY_WATCHER
    align(session, excluded={5: "blank"})
    view = seen(session)
    assert view.exclusions == ""
    assert {stage.name: stage.outdated for stage in view.stages} == {
        "align": "",
        "reconstruct": "align has run again since",
    }
    include(session.folder, SERIES, [])
    assert seen(session).exclusions == BY_WATCHER


def test_pages_exclude_tilts_only_where_they_may_and_only_in_the_session(session: Session, raw: Path) -> None:
    take_look(session, raw, 0)
    path = session.folder / "series" / SERIES / EXCLUDED
    for served in (Served(session=session.folder, port=1), Served(allow_edit=True, port=1)):
        for reason in ("drift", None):
            with pytest.raises(ReadOnlyError, match="nothing was changed"):
                set_excluded(served, SERIES, 0, reason)
    assert not path.exists()
    served = Served(session=session.folder, allow_edit=True, port=1)
    (raw / SERIES).mkdir()
    (session.folder / "series" / "away").symlink_to(raw)
    for series in ("..", f"../series/{SERIES}", "away", str(session.folder / "series" / SERIES), "TS_999", ""):
        with pytest.raises(InputError):
            set_excluded(served, series, 0, "drift")
    with pytest.raises(InputError, match="no section 7"):
        set_excluded(served, SERIES, 7, "drift")
    assert not path.exists()
    set_excluded(served, SERIES, 0, "drift")
    assert read_excluded(path.parent) == {0: "drift"}
    set_excluded(served, SERIES, 0, None)
    assert not path.exists()
    path.write_text("torn")
    assert seen(session).tilts[0].excluded == ""


def test_what_runs_when_its_process_dies_is_interrupted(tmp_path: Path) -> None:
    clock = Clock()
    model = SessionModel(tmp_path / "session", clock=clock, free_bytes=lambda _: 10**12)
    with Session.create_or_open(tmp_path / "session") as session:
        intent = {"version": 1, "settings": {}, "inputs": []}
        session._journal.append(session._clock(), "stage.started", intent, cause=1, series=SERIES, stage="align")
        assert model.advance().alarms == ()
        assert model.series[SERIES].stages[0].status == "running"
        assert model.series[SERIES].state == "processing"
    clock.now_s = 3.0
    (alarm,) = model.advance().alarms
    assert alarm.kind is AlarmKind.STOPPED
    assert model.series[SERIES].stages[0].status == "interrupted"
    assert model.series[SERIES].state == "queued"


def test_exposures_are_shown_as_an_acquisition_makes_them(session: Session) -> None:
    book = ExposureBook(session)
    session.note("acquisition.started", {"steps": 3, "targets": [SERIES]})
    for order, tilt_deg in enumerate((0.0, 3.0)):
        number = book.intend(Intent(target=SERIES, order=order, tilt_deg=tilt_deg, exposure_e_A2=3.0))
        book.delivered(number, SERIES, exposure_e_A2=3.1, tilt_deg=tilt_deg, movie="a.tif")
        said = {"order": order, "counts_share": 0.9 - 0.5 * order, "defocus_A": 3e4, "wanted_defocus_A": 3e4}
        session.note("acquisition.exposed", said, series=SERIES)
    book.skip(Intent(target=SERIES, order=2, tilt_deg=-3.0, exposure_e_A2=3.0), "the stage refused")
    view = seen(session)
    assert view.state is SeriesState.GROWING
    assert view.spent_e_A2 == pytest.approx(6.2)
    # What the journal has is the lens's defocus; the image's own is not known.
    assert [tilt.defocus_A for tilt in view.tilts] == [None, None, None]
    assert [tilt.left_out for tilt in view.tilts] == ["", "", "skipped: the stage refused"]
    assert [(alarm.kind, alarm.section) for alarm in view.alarms] == [(AlarmKind.COUNTS, 1), (AlarmKind.MOVIE, 2)]
    session.note("acquisition.ended", {"finish": "finished", "reason": "", "seconds": 1.0})
    assert seen(session).state is SeriesState.DONE


def test_a_filter_lets_pass_what_is_known_to_be_good() -> None:
    tilt = TiltView(section=0, tilt_deg=0, order=0, motion_A=5, counts=8, expected_counts=10)
    assert Filter().passes(tilt)
    assert Filter(most_drift_A=5, least_counts_share=0.8).passes(tilt)
    assert not Filter(most_drift_A=4.9).passes(tilt)
    assert not Filter(least_counts_share=0.81).passes(tilt)
    assert not Filter(most_resolution_A=10).passes(tilt)  # no rings were seen
