"""Awkward moments, each of which went wrong once: stops on the way, drivers that answer nothing, lenses elsewhere."""

import math
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from acquisition_cases import (
    ALONE,
    TARGETS,
    acquired,
    assert_nothing_lost,
    beginning,
    policies_used,
    resumed,
    small_plan,
    states,
)

import eucentric.acquisition.judging as judging
import eucentric.acquisition.recorder as recorder
from eucentric.acquisition import Engine, Happened, ImageEyes, Seen
from eucentric.core import InputError
from eucentric.design import Acquisition, Design, Explicit, FocusPoint, Plan, Tracking
from eucentric.io import read_mdoc
from eucentric.microscope import Movie, StageLimits
from eucentric.session import Session, read_events, read_exposures
from eucentric.twin import Twin
from eucentric.twin.log import read_log, read_truths
from eucentric.workflow.acquire import acquire, begin
from eucentric.workflow.twin_eyes import TwinEyes

POINTS = tuple(FocusPoint(y_A=y, x_A=x) for y, x in ((15_000, -60_000), (15_000, 60_000), (-60_000, 0)))


class PauseAt:
    """Pauses an engine at the so-manieth event of a kind."""

    def __init__(self, kind: str, number: int) -> None:
        self.kind, self.left = kind, number
        self.engines: list[Engine] = []

    def __call__(self, happened: Happened) -> None:
        self.left -= happened.kind == self.kind
        if self.left == 0:
            self.engines[0].pause()
            self.left = -1


def paused(folder: Path, begun: Any, kind: str, number: int) -> None:
    pause = PauseAt(kind, number)
    with Session.create_or_open(folder) as session:
        begin(session, begun)
        assert acquire(session, begun, listeners=[pause], started=pause.engines.append).finish == "paused"


def far_plan() -> Plan:
    """Give a plan that begins at 40°, for targets that were picked at 0°."""
    return small_plan().replace(design=Design(scheme=Explicit(tilts_deg=(40.0, 45.0, 35.0))))


def worst_miss_A(folder: Path) -> float:
    """Give by how much an image of the plan missed its target at most."""
    return max(math.hypot(*one.view.shift_yx_A) for one in read_truths(folder / "truth") if one.purpose == "record")


@pytest.mark.parametrize("looks", [1, 2, 4, 9])
def test_a_run_that_was_paused_on_the_way_goes_the_rest_of_it(tmp_path: Path, looks: int) -> None:
    paused(tmp_path, beginning(far_plan()), "acquisition.saw", looks)
    assert not read_exposures_of_plan(tmp_path)
    assert resumed(tmp_path).finish == "finished"
    assert worst_miss_A(tmp_path) < 500
    tilts = [event.body["tilt_deg"] for event in read_events(tmp_path, "acquisition.tilt")]
    walked = tilts[: tilts.index(40.0) + 1]
    assert max(np.diff(walked)) <= 3.0 + 1e-6  # no step of the way is skipped


@pytest.mark.parametrize("looks", [1, 2])
def test_a_plane_that_a_pause_left_unmeasured_is_measured(tmp_path: Path, looks: int) -> None:
    asked = TARGETS.replace(focus_points=POINTS)
    paused(tmp_path, beginning(far_plan(), asked), "acquisition.saw", looks)
    assert resumed(tmp_path).finish == "finished"
    assert len(read_events(tmp_path, "acquisition.plane")) == 1
    names = [one.target for one in read_log(tmp_path / "truth") if one.target.startswith("focus-")]
    assert names == [f"focus-{at}" for at in (1, 1, 2, 2, 3, 3)]


def test_nothing_is_exposed_on_a_plane_that_cannot_be_measured(tmp_path: Path) -> None:
    """Nor on one that is measured later, once the lens works again."""
    asked = TARGETS.replace(focus_points=POINTS)
    first = acquired(tmp_path, beginning(targets=asked), faults=["beam-tilt after 4 times 6: refuse"])
    assert first.finish == "aborted"
    assert "plane cannot be told" in first.reason
    assert not read_exposures_of_plan(tmp_path)
    assert resumed(tmp_path).finish == "finished"


def read_exposures_of_plan(folder: Path) -> list[Any]:
    return [one for one in read_exposures(folder) if one.purpose == "record"]


def test_no_image_of_the_plan_is_taken_with_the_beam_tilted(tmp_path: Path) -> None:
    """Though the lens refused to go back after a focus pair, or never went."""
    for at, fault in enumerate(("beam-tilt after 5 times 2: refuse", "beam-tilt after 2: timeout-done")):
        folder = tmp_path / str(at)
        outcome = acquired(folder, faults=[fault])
        assert outcome.finish == "finished"
        for one in read_truths(folder / "truth"):
            if one.purpose in ("record", "track"):
                assert np.hypot(*one.beam_tilt_yx_mrad) < 0.5, fault  # what image shift brings of coma


def test_beam_tilt_that_never_works_costs_the_focus_and_no_image(tmp_path: Path) -> None:
    outcome = acquired(tmp_path, faults=["beam-tilt times 0: refuse"])
    assert outcome.finish == "finished"
    assert states(tmp_path) == "ddddddd"
    assert not read_events(tmp_path, "acquisition.focused")


@pytest.mark.parametrize("fault", ["beam-shift after 30 times 0: off 30000", "image-shift after 30 times 0: refuse"])
def test_nothing_is_exposed_at_a_place_that_is_not_the_one_meant(tmp_path: Path, fault: str) -> None:
    """Even where the plan says to go on."""
    acquired(tmp_path, beginning(small_plan(lens_refused={"action": "go-on"})), faults=[fault])
    for one in read_truths(tmp_path / "truth"):
        if one.purpose == "record":
            assert one.site == one.target
            assert np.hypot(*one.view.shift_yx_A) < 500
    assert "s" in states(tmp_path)
    assert_nothing_lost(tmp_path)


def test_two_listeners_that_fail_stop_nothing(tmp_path: Path) -> None:
    def bad(happened: Happened) -> None:
        raise ValueError("no screen")

    def worse(happened: Happened) -> None:
        raise OSError("no socket")

    assert acquired(tmp_path, listeners=[bad, worse]).finish == "finished"
    assert len(read_events(tmp_path, "acquisition.listener")) == 2


def test_a_camera_that_refuses_without_exposing_ends_the_run_and_gives_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eucentric.microscope import MicroscopeError

    original = Twin.expose

    def refuse(self: Twin, request: Any = None, **named: Any) -> Movie:
        if request.purpose == "record":
            raise MicroscopeError("The camera is warm; nothing was exposed.", delivered_e_A2=0.0)
        return original(self, request, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Twin, "expose", refuse)
        outcome = acquired(tmp_path)
    assert (outcome.finish, outcome.reason) == ("aborted", "The camera is warm; nothing was exposed.")
    assert not read_exposures_of_plan(tmp_path)
    assert resumed(tmp_path).finish == "finished"
    assert states(tmp_path) == "ddddddd"


@pytest.mark.parametrize("call", ["now", "stage", "beam_on", "wait", "limits"])
@pytest.mark.parametrize("after", [0, 40])
def test_a_microscope_that_no_longer_answers_ends_in_an_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, after: int
) -> None:
    from eucentric.microscope import MicroscopeTimeoutError

    original: Callable[..., Any] = getattr(Twin, call)
    calls = [0]

    def silent(self: Twin, *arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] > after:
            raise MicroscopeTimeoutError("no answer")
        return original(self, *arguments, **named)

    started: list[Engine] = []

    def begin_silence(engine: Engine) -> None:
        started.append(engine)
        patch.setattr(Twin, call, silent)

    with monkeypatch.context() as patch:
        outcome = acquired(tmp_path, started=begin_silence)
    assert outcome.finish in ("finished", "aborted", "failed")
    assert read_events(tmp_path, "acquisition.ended")
    assert_nothing_lost(tmp_path)
    assert resumed(tmp_path).finish == "finished"
    assert_nothing_lost(tmp_path)


def test_a_target_that_is_far_off_in_its_image_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model does not believe it, the policy on the field does."""
    original = TwinEyes.look

    def jumped(self: TwinEyes, place: str, movie: Movie, side: Any) -> Seen | None:
        seen = original(self, place, movie, side)
        return Seen((4000.0, 0.0), 15.0) if seen and place == "TS_002" and movie.readback.tilt_deg > 5 else seen

    monkeypatch.setattr(TwinEyes, "look", jumped)
    monkeypatch.setattr(judging, "field_of", lambda movie: 7000.0)
    acquired(tmp_path)
    assert ("field_lost", "stop-side") in policies_used(tmp_path)
    assert states(tmp_path, "TS_002") == "ddddssd"
    assert states(tmp_path) == "ddddddd"


def test_a_dark_first_image_is_no_reference(tmp_path: Path) -> None:
    outcome = acquired(tmp_path, faults=["track: dark"])
    assert outcome.finish == "finished"
    assert policies_used(tmp_path) == [("tracking_failed", "retry")]
    assert worst_miss_A(tmp_path) < 500


def test_a_dark_image_is_not_kept_to_compare_others_with() -> None:
    from eucentric.microscope import Readback, StagePosition

    readback = Readback(
        purpose="track",
        stage=StagePosition(),
        defocus_A=3e4,
        exposure_e_A2=1.0,
        dose_rate_e_px_s=0.0,
        began=datetime(2026, 1, 1),
        seconds=1.0,
    )
    assert not ImageEyes(0.0).shows(Movie(np.zeros((1, 64, 64), np.uint8), 10.0, readback))


def test_movies_of_two_sessions_are_saved_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eucentric.core import OutputError

    def full(path: Path, *arguments: Any, **named: Any) -> None:
        if "rescued" not in str(path):
            raise OutputError("the disk is full (a test says so)")
        path.write_bytes(b"a movie")

    monkeypatch.setattr(recorder, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(recorder, "write_movie", full)
    impatient = small_plan(range_deg=10.0, disk_low={"tries": 1, "wait_s": 0.0})
    for name in ("one", "other"):
        begun = beginning(impatient, ALONE, pixels=True, size=32, pixel_A=20.0, specimen="beads")
        assert acquired(tmp_path / name / "session", begun).finish == "aborted"
    assert len(list((tmp_path / "eucentric-rescued").rglob("*.tif"))) == 2


def test_backlash_goes_no_further_than_the_microscope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Twin, "limits", lambda self: StageLimits(tilt_deg=(-31.0, 31.0)))
    assert acquired(tmp_path).finish == "finished"
    assert states(tmp_path) == "ddddddd"


def test_a_side_that_was_given_up_stays_so_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed when it was noted that the side is given up, and before its exposures were."""

    def killed(self: Engine) -> None:
        if self.past.stopped:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_finish_stopped", killed)
        acquired(tmp_path, faults=["record order 1 target TS_002: dim 0.01"])
    assert resumed(tmp_path).finish == "finished"
    assert states(tmp_path, "TS_002") == "ddddssd"
    assert states(tmp_path) == "ddddddd"


def test_frames_that_are_missing_take_none_of_the_others_dose(tmp_path: Path) -> None:
    acquired(tmp_path, faults=["record order 1 target TS_001: dropped-frames 4"])
    text = (tmp_path / "mdoc" / "TS_001.mrc.mdoc").read_text()
    assert [line for line in text.splitlines() if line.startswith("FrameDosesAndNumber")][:2] == [
        "FrameDosesAndNumber = 0.25 8",
        "FrameDosesAndNumber = 0.25 4",
    ]
    assert read_mdoc(tmp_path / "mdoc" / "TS_001.mrc.mdoc").sections[1].n_frames == 4


def test_without_a_tracking_area_targets_are_picked_near_the_first_tilt(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing shows where they are by then"):
        acquired(tmp_path, beginning(far_plan(), ALONE))


def test_targets_of_another_tilt_than_the_stage_s_are_not_what_they_are_called(tmp_path: Path) -> None:
    def tilt(engine: Engine) -> None:
        engine._microscope.tilt_to(12.0)

    outcome = acquired(tmp_path, started=tilt)
    assert outcome.finish == "aborted"
    assert "the stage is at 12.00°" in outcome.reason
    assert not read_log(tmp_path / "truth")


def test_a_tracking_image_never_grows_beyond_four_times_its_exposure(tmp_path: Path) -> None:
    many = small_plan(tracking_failed={"tries": 12})
    acquired(tmp_path, beginning(many), faults=["track after 5 times 9: dark"])
    assert max(one.exposure_e_A2 for one in read_log(tmp_path / "truth") if one.purpose == "track") == 4.0


def test_targets_tracked_on_exposures_keep_what_was_seen_over_a_pause(tmp_path: Path) -> None:
    """The stage has not moved: what the first target showed at this tilt still holds for the second."""
    by_exposure = small_plan().replace(acquisition=Acquisition(tracking=Tracking(by="exposure")))
    paused(tmp_path, beginning(by_exposure), "acquisition.exposed", 5)
    assert resumed(tmp_path).finish == "finished"
    second = [one for one in read_truths(tmp_path / "truth") if (one.target, one.order) == ("TS_002", 2)]
    assert np.hypot(*second[0].view.shift_yx_A) < 300


def test_the_mdoc_has_the_last_image_though_the_run_was_killed_before_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eucentric.acquisition.series_files import SeriesFiles

    original = SeriesFiles.write_mdoc

    def killed(self: SeriesFiles, images: Any) -> Path:
        if len(images) == 7:
            raise KeyboardInterrupt
        return original(self, images)

    with monkeypatch.context() as patch:
        patch.setattr(SeriesFiles, "write_mdoc", killed)
        with pytest.raises(KeyboardInterrupt):
            acquired(tmp_path, beginning(targets=ALONE))
    assert resumed(tmp_path).finish == "finished"
    assert len(read_mdoc(tmp_path / "mdoc" / "TS_001.mrc.mdoc").sections) == 7
