"""A run from its beginning to its end, paused and taken up, and what it leaves."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from acquisition_cases import (
    ALONE,
    TARGETS,
    acquired,
    assert_nothing_lost,
    beginning,
    records,
    resumed,
    small_plan,
    states,
)

from eucentric.acquisition import Engine, Happened, Program, predicted_seconds
from eucentric.core import InputError, OutputError
from eucentric.design import Design, FocusPoint, Plan, Specimen, Target, Targets
from eucentric.io import read_mdoc
from eucentric.io.targets import read_targets
from eucentric.session import Session, read_events, read_exposures
from eucentric.twin.log import read_log, read_truths
from eucentric.workflow.acquire import acquire, begin, take_up
from eucentric.workflow.acquire_records import AcquireSettings, Beginning

ROOT = Path(__file__).parents[2]


def _flat_until_measured(original: Callable[..., tuple[float, float]]) -> Callable[..., tuple[float, float]]:
    """Let the engine believe that a specimen is flat until it has measured it; the twin has it without focus points."""

    def slopes(self: Targets, pre_tilt_deg: float) -> tuple[float, float]:
        return (0.0, 0.0) if self.to_measure else original(self, pre_tilt_deg)

    return slopes


class PauseAfter:
    """Pauses an engine after so many images."""

    def __init__(self, images: int) -> None:
        self.left = images
        self.engines: list[Engine] = []

    def __call__(self, happened: Happened) -> None:
        self.left -= happened.kind == "acquisition.exposed"
        if self.left == 0:
            self.engines[0].pause()


def test_a_run_is_recorded_as_the_twin_saw_it(tmp_path: Path) -> None:
    """All of it, tracking and focus too, in the same order."""
    outcome = acquired(tmp_path)
    assert (outcome.finish, outcome.reason) == ("finished", "14 images of 14 planned")
    keys = ("target", "order", "tilt_deg", "exposure_e_A2", "purpose")
    noted = [tuple(getattr(one, key) for key in keys) for one in read_exposures(tmp_path)]
    assert noted == [tuple(getattr(one, key) for key in keys) for one in read_log(tmp_path / "truth")]
    assert {one.purpose for one in read_log(tmp_path / "truth")} == {"record", "track", "focus"}


def test_the_mdoc_of_each_target_has_its_images_in_order(tmp_path: Path) -> None:
    acquired(tmp_path)
    plan = small_plan()
    for name in ("TS_001", "TS_002"):
        sections = read_mdoc(tmp_path / "mdoc" / f"{name}.mrc.mdoc").sections
        assert [section.tilt_deg for section in sections] == pytest.approx([one.tilt_deg for one in plan])
        before = [section.pre_exposure_e_A2 for section in sections]
        assert before == pytest.approx([one.pre_exposure_e_A2 for one in plan])


def test_a_paused_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """And ends with what a run without a pause has: the twin was taken up too."""
    pause = PauseAfter(5)
    begun = beginning()
    with Session.create_or_open(tmp_path) as session:
        begin(session, begun)
        first = acquire(session, begun, listeners=[pause], started=pause.engines.append)
    assert first.finish == "paused"
    assert len(states(tmp_path)) == 3
    last = resumed(tmp_path)
    assert (last.finish, states(tmp_path), states(tmp_path, "TS_002")) == ("finished", "ddddddd", "ddddddd")
    assert_nothing_lost(tmp_path)
    sections = read_mdoc(tmp_path / "mdoc" / "TS_001.mrc.mdoc").sections
    assert [section.pre_exposure_e_A2 for section in sections] == pytest.approx([2.0 * at for at in range(7)])


def test_going_on_with_what_is_finished_exposes_nothing(tmp_path: Path) -> None:
    acquired(tmp_path)
    before = read_log(tmp_path / "truth")
    assert resumed(tmp_path).finish == "finished"
    assert read_log(tmp_path / "truth") == before


@pytest.mark.parametrize(("retake", "end"), [(False, "dddudd" + "d"), (True, "ddddddd")])
def test_an_uncertain_exposure_is_made_again_only_if_asked_for(tmp_path: Path, retake: bool, end: str) -> None:
    acquired(tmp_path, faults=["record order 3 target TS_001: crash"])
    assert states(tmp_path) == "dddu"
    asked: list[tuple[str, int]] = []

    def decide(record: object) -> bool:
        asked.append((record.target, record.order))  # type: ignore[attr-defined]
        return retake

    resumed(tmp_path, retake=decide)
    assert states(tmp_path) == end
    assert asked == [("TS_001", 3)]
    assert_nothing_lost(tmp_path)  # the crash came before the twin exposed: made again, it is made once
    before = read_mdoc(tmp_path / "mdoc" / "TS_001.mrc.mdoc").sections[-1].pre_exposure_e_A2
    assert before == pytest.approx(14.0 if retake else 12.0)  # an uncertain exposure counts as received


def test_targets_stay_in_their_images_and_in_focus(tmp_path: Path) -> None:
    """On a stage as it is found, 41 tilts on a lamella: benchmarks/acquire.py has three seeds of nine targets."""
    every = read_targets(ROOT / "docs" / "targets-example.yaml")
    begun = Beginning(
        Design(specimen=Specimen(pre_tilt_deg=8.0)).plan(),
        every.replace(targets=every.targets[1:3]),
        AcquireSettings(pixels=False),
    )
    outcome = acquired(tmp_path, begun)
    truths = [one for one in read_truths(tmp_path / "truth") if one.purpose == "record"]
    assert len(truths) == 82
    off_A = np.array([np.hypot(*one.view.shift_yx_A) for one in truths])
    defocus_A = np.array([one.defocus_A for one in truths]) - 30_000
    assert np.mean(off_A < 500) >= 0.95
    assert off_A.max() < 2000
    assert np.sqrt(np.mean(defocus_A**2)) < 3000
    assert max(one.pre_exposure_e_A2 for one in truths) < 118.0  # nothing but the plan's own falls on targets
    assert outcome.seconds == pytest.approx(outcome.predicted_s, rel=0.1)


def test_a_pre_tilt_that_is_wrong_is_found_out_by_the_images(tmp_path: Path) -> None:
    """Given 8° for a flat specimen, targets 8 µm apart: nine of them have .08 µm rms of defocus and 31 nm at worst."""
    every = read_targets(ROOT / "docs" / "targets-example.yaml")
    acquired(tmp_path, beginning(small_plan(), every.replace(targets=every.targets[:3], pre_tilt_deg=8.0)))
    truths = [one for one in read_truths(tmp_path / "truth") if one.purpose == "record"]
    later = [one for one in truths if one.order is not None and one.order >= 3]
    assert max(np.hypot(*one.view.shift_yx_A) for one in truths) < 1500  # the first tilts are foretold with it
    assert max(np.hypot(*one.view.shift_yx_A) for one in later) < 500
    assert max(abs(one.defocus_A - 30_000) for one in later) < 2000


@pytest.mark.parametrize("killed_after_it", [False, True])
def test_the_plane_is_measured_where_targets_ask_for_it(tmp_path: Path, killed_after_it: bool) -> None:
    """The engine believes in a flat specimen; targets 8 µm apart on one of 12° stay in focus all the same."""
    every = read_targets(ROOT / "docs" / "targets-example.yaml")
    points = tuple(FocusPoint(y_A=y, x_A=x) for y, x in ((15_000, -60_000), (15_000, 60_000), (-60_000, 0)))
    asked = every.replace(targets=every.targets[1:3], pre_tilt_deg=None, focus_points=points)
    small = small_plan()
    begun = beginning(Plan(design=small.design.replace(specimen=Specimen(pre_tilt_deg=12.0))), asked)
    with pytest.MonkeyPatch().context() as patch:
        patch.setattr(Targets, "slopes_yx", _flat_until_measured(Targets.slopes_yx))
        outcome = acquired(tmp_path, begun, faults=["record order 1: crash"] if killed_after_it else [])
        if killed_after_it:
            assert outcome.finish == "failed"
            resumed(tmp_path)
    log = read_log(tmp_path / "truth")
    measured = [one.target for one in log if one.target.startswith("focus-")]
    assert measured == [f"focus-{at}" for at in (1, 1, 2, 2, 3, 3)]
    truths = [one for one in read_truths(tmp_path / "truth") if one.purpose == "record"]
    assert len(truths) >= 12
    assert max(abs(one.defocus_A - 30_000) for one in truths) < 4000
    assert max(np.hypot(*one.view.shift_yx_A) for one in truths) < 500


def test_the_duration_of_each_step_is_predicted_for_what_it_does() -> None:
    program = Program(small_plan(), TARGETS)
    seconds = predicted_seconds(program)
    assert len(seconds) == 7
    # 1 e/Å² in a third of a second, and 5 s to read it: track (with its share of second images), two for the focus,
    # two targets of 2 e/Å²; a move of 30° at 10°/s, 3° beyond and back, and what settling and turning take.
    assert min(seconds) > 5 * 5 + 2 * 2 / 3


def test_another_plan_is_refused_and_this_one_is_to_be_resumed(tmp_path: Path) -> None:
    acquired(tmp_path, faults=["tilt at 20: crash"])
    with Session.create_or_open(tmp_path) as session:
        with pytest.raises(InputError, match=r"another plan.*8 exposures made"):
            begin(session, beginning(small_plan(range_deg=20.0)))
        with pytest.raises(InputError, match=r"another plan or other targets"):
            begin(session, beginning(targets=ALONE))
        with pytest.raises(InputError, match=r"of this plan is here already") as refused:
            begin(session, beginning())
    assert "--resume" in refused.value.fix


def test_a_plan_that_was_changed_since_is_refused(tmp_path: Path) -> None:
    acquired(tmp_path, faults=["tilt at 20: crash"])
    path = tmp_path / "targets.yaml"
    path.write_text(path.read_text().replace("TS_002", "TS_003"))
    before = read_log(tmp_path / "truth")
    with Session.create_or_open(tmp_path) as session, pytest.raises(InputError, match="was changed since"):
        take_up(session)
    assert read_log(tmp_path / "truth") == before


def test_nothing_moves_for_a_target_out_of_reach(tmp_path: Path) -> None:
    far = Targets(targets=(Target(name="TS_001", y_A=190_000.0),))
    with pytest.raises(InputError, match=r"TS_001 would need 19.0 µm"):
        acquired(tmp_path, beginning(targets=far))
    assert read_log(tmp_path / "truth") == ()


def test_a_session_in_use_says_by_whom(tmp_path: Path) -> None:
    with Session.create_or_open(tmp_path), pytest.raises(OutputError, match=r"process \d+ on .* is working"):
        resumed(tmp_path)


def test_a_run_can_be_followed_from_outside_while_it_goes(tmp_path: Path) -> None:
    seen: list[int] = []

    def look(happened: Happened) -> None:
        if happened.kind == "acquisition.exposed":
            seen.append(len(read_exposures(tmp_path)))

    acquired(tmp_path, listeners=[look])
    assert len(seen) == 14
    assert seen == sorted(seen)
    assert seen[-1] == len(read_exposures(tmp_path))
    assert read_events(tmp_path, "acquisition.ended")[-1].body["finish"] == "finished"


def test_the_details_of_an_exposure_tell_what_the_microscope_said(tmp_path: Path) -> None:
    acquired(tmp_path)
    one = records(tmp_path)[0]
    assert one.details["movie"] == "TS_001_000_0.0.tif"
    assert one.details["readback"]["stage"]["tilt_deg"] == 0.0
    assert one.details["frames"] == 8


@pytest.mark.parametrize("pixels", [False, True])
def test_runs_that_are_killed_lose_nothing_and_repeat_nothing(pixels: bool) -> None:
    """A few of the 500 of docs/benchmarks.md."""
    script = ROOT / "benchmarks" / "acquire_kills.py"
    more = ["--pixels"] if pixels else []
    ran = subprocess.run(
        [sys.executable, str(script), "--kills", "3" if pixels else "8", "--tilts", "5" if pixels else "9", *more],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " 0 faults" in ran.stdout.splitlines()[-1]
