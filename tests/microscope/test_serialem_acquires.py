"""Whole acquisitions through the SerialEM driver, over the fake module: plan in, journal, movies and .mdoc out.

The fake is given a specimen to look at: grains about each place, on a stage that misses and a holder that is not
eucentric, all of it worked out in SerialEM's own coordinates (µm, X along the tilt axis, Y across it).
"""

import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_serialem import FakeSerialEM, SEMerror, SEMexited, SEMmoduleError
from numpy.typing import NDArray

from eucentric.acquisition import Engine, Happened
from eucentric.design import (
    Acquisition,
    Camera,
    ConstantExposure,
    Design,
    DoseSymmetric,
    Place,
    Plan,
    Policies,
    Target,
    Targets,
)
from eucentric.design.increments import ConstantIncrement
from eucentric.io import read_mdoc
from eucentric.io.movies import open_movie
from eucentric.session import ExposureRecord, Session, read_events, read_exposures
from eucentric.workflow.acquire import acquire, begin, take_up
from eucentric.workflow.acquire_records import AcquireOutcome, AcquireSettings, Beginning

NAMES = ("TS_001", "TS_002")
TARGETS = Targets(
    targets=(Target(name="TS_001"), Target(name="TS_002", y_A=30_000.0, x_A=20_000.0)),
    tracking=Place(y_A=-40_000.0),
)
PLACES_UM = {"TS_001": (0.0, 0.0), "TS_002": (3.0, -2.0), "tracking": (-4.0, 0.0)}  # (X, Y): Y is minus our x
TILTS_DEG = [0.0, 10.0, -10.0, -20.0, 20.0]
SIDE = 64
PIXEL_NM = 8.0
RATE = 3.0  # e/Å² a second: the plan's
DOSE = 2.0  # e/Å² of each record
AREAS = {"record": "R", "track": "T", "focus": "F"}


@dataclass(frozen=True)
class Taken:
    """What was true while SerialEM exposed."""

    area: str
    tilt_deg: float
    seconds: float
    place: str
    off_um: float  # of the nearest place from the image's centre
    beam_off_um: float  # of the beam from the image's centre
    underfocus_um: float  # at that place
    image: NDArray[np.uint16]  # row 0 at the bottom


class Specimen:
    """What the fake's camera sees, and what it saw."""

    def __init__(self, fake: FakeSerialEM, height_um: float = 0.25) -> None:
        draws = np.random.default_rng(7)
        self._fake, self._height_um = fake, height_um
        self._places = np.array(list(PLACES_UM.values()))
        around = draws.uniform(-0.45, 0.45, (len(PLACES_UM), 150, 2))
        self._grains = (self._places[:, None] + around).reshape(-1, 2)
        self._strengths = draws.uniform(0.3, 1.0, len(self._grains))
        self.taken: list[Taken] = []

    def show(self, number: int) -> NDArray[np.uint16]:
        """Expose image `number`: return it as SerialEM keeps it, the top row first."""
        fake = self._fake
        assert fake.valve == 1, "exposed with the valves closed"
        area, seconds = fake.shots[-1]
        tilt = math.radians(fake.tilt_deg)
        image_um = fake.image_um.copy()
        offs = self._seen_um(self._places, tilt) - image_um
        nearest = int(np.hypot(*offs.T).argmin())
        # Raised is further under focus (defocus hand +1): z cos - x sin, with x = -Y.
        under_um = -fake.defocus_um + self._height_um * math.cos(tilt) + self._places[nearest, 1] * math.sin(tilt)
        moved_um = under_um * 1e-3 * fake.beam_tilt if area == "F" else np.zeros(2)
        seen_um = self._seen_um(self._grains, tilt) + moved_um - image_um
        px = seen_um @ fake.camera_from_specimen().T * 1000 / PIXEL_NM + SIDE // 2
        inside = np.all(np.abs(px - SIDE // 2) < SIDE, axis=1)
        along = np.arange(SIDE)
        columns, rows = (np.exp(-0.5 * ((along - px[inside, axis, None]) / 1.2) ** 2) for axis in (0, 1))
        density = (rows * self._strengths[inside, None]).T @ columns
        bright = 4000.0 * seconds * np.exp(-0.5 * density)
        image: NDArray[np.uint16] = np.random.default_rng(number).poisson(bright).astype(np.uint16)
        self.taken.append(
            Taken(
                area,
                fake.tilt_deg,
                seconds,
                list(PLACES_UM)[nearest],
                float(np.hypot(*offs[nearest])),
                float(np.hypot(*(fake.beam_um() - image_um))),
                float(under_um),
                image,
            )
        )
        return image[::-1]

    def _seen_um(self, places_um: NDArray[np.float64], tilt: float) -> NDArray[np.float64]:
        """Return where places are seen from the optical axis; those picked at 0° were where they are."""
        x = places_um[:, 0] + 0.05 * math.sin(3 * tilt)
        y = places_um[:, 1] * math.cos(tilt) - self._height_um * math.sin(tilt) + 0.08 * math.sin(5 * tilt)
        return np.stack([x, y], axis=1)

    def records(self) -> list[Taken]:
        return [one for one in self.taken if one.area == "R"]


def scope(patch: pytest.MonkeyPatch) -> tuple[FakeSerialEM, Specimen]:
    """Give the module `serialem` that the driver will find, and the specimen in its microscope."""
    made = FakeSerialEM()
    made.pixel_nm.update(R=PIXEL_NM, T=PIXEL_NM, F=PIXEL_NM)
    made.electrons_px_s = 0.5 * RATE * (10 * PIXEL_NM) ** 2
    seen = Specimen(made)
    made.next_image = seen.show
    patch.setitem(sys.modules, "serialem", made)
    return made, seen


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeSerialEM:
    return scope(monkeypatch)[0]


@dataclass(frozen=True)
class Run:
    """A run of the whole plan to its end, without trouble."""

    folder: Path
    fake: FakeSerialEM
    specimen: Specimen
    outcome: AcquireOutcome
    began: datetime


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("serialem") / "session"
    began = datetime.now(UTC)
    with pytest.MonkeyPatch.context() as patch:
        made, seen = scope(patch)
        made.camera_step_s = 0.3  # coarse: 0.6 s where two thirds of a second are asked for
        yield Run(folder, made, seen, acquired(folder, small_plan(20.0)), began)


def small_plan(range_deg: float = 10.0, **policies: Any) -> Plan:
    """Give a dose-symmetric plan of tilts 10° apart, with changes to its policies."""
    tilts = 1 + 2 * round(range_deg / 10.0)
    design = Design(
        scheme=DoseSymmetric(min_deg=-range_deg, max_deg=range_deg, increment=ConstantIncrement(step_deg=10.0)),
        exposure=ConstantExposure(total_e_A2=DOSE * tilts),
        camera=Camera(pixel_A=10 * PIXEL_NM, columns=SIDE, rows=SIDE),
    )
    changed = {name: getattr(Policies(), name).replace(**changes) for name, changes in policies.items()}
    return Plan(design=design, acquisition=Acquisition(policies=Policies(**changed)))


def acquired(folder: Path, plan: Plan | None = None, **more: Any) -> AcquireOutcome:
    """Begin a session and acquire into it through SerialEM."""
    begun = Beginning(plan or small_plan(), TARGETS, AcquireSettings(microscope="serialem", host="10.0.0.5"))
    with Session.create_or_open(folder) as session:
        begin(session, begun)
        return acquire(session, begun, **more)


def resumed(folder: Path) -> AcquireOutcome:
    with Session.create_or_open(folder) as session:
        return acquire(session, take_up(session))


def planned(folder: Path, target: str) -> list[ExposureRecord]:
    """Give the record of each of the plan's exposures of a target, in the order of the plan."""
    of_plan = [one for one in read_exposures(folder) if one.target == target and one.purpose == "record"]
    return sorted(of_plan, key=lambda one: one.order)


def frame_path(name: str, order: int, tilt_deg: float) -> str:
    return f"frames/{name}_{order:03d}_{tilt_deg:.1f}.tif"


def states(folder: Path) -> list[str]:
    """Give the states of the plan's exposures of each target, a letter each."""
    return ["".join(one.state.value[0] for one in planned(folder, name)) for name in NAMES]


def policies_used(folder: Path) -> set[tuple[str, str]]:
    return {(event.body["policy"], event.body["action"]) for event in read_events(folder, "acquisition.policy")}


def commands(fake: FakeSerialEM, name: str) -> list[tuple[Any, ...]]:
    return [entry for entry in fake.log if entry[0] == name]


def on_record(
    monkeypatch: pytest.MonkeyPatch,
    fake: FakeSerialEM,
    troubles: dict[int, Callable[[], None]],
    unexposed: tuple[int, ...] = (),
) -> None:
    """Let something happen at some calls of `Record`, from 1, once the camera has exposed; at some it does not."""
    plain, calls = fake.do_Record, count(1)

    def record() -> None:
        call = next(calls)
        if call not in unexposed:
            plain()
        if call in troubles:
            troubles[call]()

    monkeypatch.setattr(fake, "do_Record", record)


def fail_with(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


class PauseAfter:
    """Pauses an engine after so many images."""

    def __init__(self, images: int) -> None:
        self.left = images
        self.engines: list[Engine] = []

    def __call__(self, happened: Happened) -> None:
        self.left -= happened.kind == "acquisition.exposed"
        if self.left == 0:
            self.engines[0].pause()


# --- a run to its end


def test_a_plan_runs_to_its_end(run: Run) -> None:
    """Each target is exposed once at each tilt, where it is and in focus, with the beam on it."""
    assert (run.outcome.finish, run.outcome.reason) == ("finished", "10 images of 10 planned")
    assert states(run.folder) == ["ddddd", "ddddd"]
    assert policies_used(run.folder) == set()
    records = run.specimen.records()
    assert [(one.place, one.tilt_deg) for one in records] == [(name, tilt) for tilt in TILTS_DEG for name in NAMES]
    assert max(one.off_um for one in records) < 0.01  # a pixel; the stage and its height alone would miss by 0.16
    assert max(one.beam_off_um for one in run.specimen.taken) < 1e-6
    # 0.25 to 0.9 µm of height on either side, told from images 10 mrad apart: a tenth of a pixel of them is 0.08 µm.
    assert [one.underfocus_um for one in records] == pytest.approx([3.0] * 10, abs=0.15)
    assert {one.place for one in run.specimen.taken if one.area != "R"} == {"tracking"}


def test_every_exposure_is_in_the_journal_as_serialem_told_it(run: Run) -> None:
    """In the same order, those for tracking and focus too."""
    noted, taken = read_exposures(run.folder), run.specimen.taken
    assert len(noted) == len(taken) == len(run.fake.shots)
    assert Counter(one.purpose for one in noted)["focus"] == 2 * len(TILTS_DEG) + 2  # and where they were picked
    for one, true in zip(noted, taken, strict=True):
        assert (one.state.value, one.target, AREAS[one.purpose]) == ("delivered", true.place, true.area)
        assert one.tilt_deg == true.tilt_deg
        assert one.exposure_e_A2 == pytest.approx(true.seconds * RATE)
        told = one.details["readback"]
        assert told["exposure_e_A2"] == one.exposure_e_A2
        assert told["seconds"] == pytest.approx(true.seconds)
        assert told["dose_rate_e_px_s"] == run.fake.electrons_px_s
        assert told["axis_deg"] == pytest.approx(-7.0)
        assert told["counts_mean"] == pytest.approx(float(true.image.mean()))
        assert (told["counts_min"], told["counts_max"]) == (true.image.min(), true.image.max())
    times = [datetime.fromisoformat(one.details["readback"]["began"]) for one in noted]
    assert times == sorted(times)
    assert times[0] >= run.began


def test_serialem_is_told_the_frames_and_gives_their_sum(run: Run) -> None:
    """The movie that is written is what SerialEM showed, with row 0 at the bottom."""
    frames = small_plan()[0].frames
    assert {one.details["frames"] for name in NAMES for one in planned(run.folder, name)} == {frames}
    assert [seconds for *_, seconds in commands(run.fake, "SetFrameTime")] == pytest.approx([DOSE / RATE / frames] * 10)
    shown = iter(run.specimen.records())
    for order, tilt_deg in enumerate(TILTS_DEG):
        for name in NAMES:
            movie = open_movie(run.folder / frame_path(name, order, tilt_deg))
            assert movie.shape == (1, SIDE, SIDE)
            np.testing.assert_array_equal(next(iter(movie.frames())), next(shown).image)


def test_the_mdoc_of_each_target_has_its_doses_tilts_and_frames(run: Run) -> None:
    """Doses are those of the camera's real time, 0.6 s."""
    for name in NAMES:
        series = read_mdoc(run.folder / "mdoc" / f"{name}.mrc.mdoc")
        sections = series.sections
        assert [one.tilt_deg for one in sections] == pytest.approx(TILTS_DEG)
        assert [one.exposure_e_A2 for one in sections] == pytest.approx([0.6 * RATE] * 5)
        assert [one.pre_exposure_e_A2 for one in sections] == pytest.approx([0.6 * RATE * at for at in range(5)])
        assert [one.frame_path for one in sections] == [frame_path(name, *at) for at in enumerate(TILTS_DEG)]
        assert {one.n_frames for one in sections} == {1}
        assert {one.target_defocus_A for one in sections} == {30_000.0}
        assert (series.pixel_A, series.tilt_axis_deg) == pytest.approx((10 * PIXEL_NM, -7.0))
        assert [one.order for one in sections] == [0, 1, 2, 3, 4]


def test_going_on_with_what_is_finished_exposes_and_moves_nothing(run: Run) -> None:
    before = len(run.fake.log)
    assert resumed(run.folder).finish == "finished"
    called = {name for name, *_ in run.fake.log[before:]}
    assert {name for name in called if name.startswith(("Set", "Tilt", "Move", "ImageShift", "GoTo"))} == {
        "SetBufferImageTimeout"
    }
    assert not called & {"Record", "Trial", "Focus", "View", "Search"}


# --- what goes wrong


def test_an_error_in_record_leaves_the_exposure_uncertain_and_is_never_repeated(
    tmp_path: Path, fake: FakeSerialEM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever SerialEM said, and whether the camera had exposed or not: nobody knows that."""
    errors = {
        2: SEMerror("Camera timeout in script"),
        4: SEMmoduleError("PySEMSocket: recv error 10060 on trial 1"),
        6: SEMerror("Acquisition was aborted"),
        8: SEMerror("The camera could not be started"),
    }
    on_record(monkeypatch, fake, {call: fail_with(error) for call, error in errors.items()}, unexposed=(6, 8))
    assert acquired(tmp_path, small_plan(20.0)).finish == "finished"
    assert resumed(tmp_path).finish == "finished"
    assert states(tmp_path) == ["ddddd", "uuuud"]
    assert len(commands(fake, "Record")) == 10
    assert policies_used(tmp_path) == {("camera_failed", "go-on")}
    for one, error in zip(planned(tmp_path, "TS_002"), errors.values(), strict=False):
        assert str(error) in one.reason
        assert one.exposure_e_A2 == DOSE
    (last,) = read_mdoc(tmp_path / "mdoc" / "TS_002.mrc.mdoc").sections
    assert (last.tilt_deg, last.frame_path) == (20.0, frame_path("TS_002", 4, 20.0))
    assert last.pre_exposure_e_A2 == pytest.approx(4 * DOSE)  # what may have been received counts as received


@pytest.mark.parametrize(("where", "left"), [("TiltTo", ["d", "d"]), ("Trial", []), ("Record", ["u"])])
def test_stop_in_serialem_stops_the_run(tmp_path: Path, fake: FakeSerialEM, where: str, left: list[str]) -> None:
    """It is the operator's wish, which no policy overrules; the run can be resumed."""
    fake.failing[where] = [SEMexited("User STOP")]
    outcome = acquired(tmp_path)
    assert outcome.finish == "aborted"
    assert "told to stop" in outcome.reason
    assert [one for one in states(tmp_path) if one] == left
    assert resumed(tmp_path).finish == "finished"


def test_the_operators_beam_tilt_is_left_as_it_was_and_control_given_back(tmp_path: Path, fake: FakeSerialEM) -> None:
    before = fake.beam_tilt.copy()
    acquired(tmp_path)
    assert fake.beam_tilt == pytest.approx(before)
    assert fake.log[-1] == ("Exit", 1)


@pytest.mark.parametrize(("zone", "hours"), [("UTC0", 0), ("JST-9", 9), ("MST7", -7)])
def test_mdoc_times_are_those_of_the_exposures(
    tmp_path: Path, fake: FakeSerialEM, monkeypatch: pytest.MonkeyPatch, zone: str, hours: int
) -> None:
    """In the local time of the computer, wherever it is, and the same after a resume."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    acquired(tmp_path)
    path = tmp_path / "mdoc" / "TS_001.mrc.mdoc"
    text = path.read_text()
    resumed(tmp_path)
    assert path.read_text() == text
    for one, section in zip(planned(tmp_path, "TS_001"), read_mdoc(path).sections, strict=True):
        readback = one.details["readback"]
        ended = datetime.fromisoformat(readback["began"]).timestamp() + readback["seconds"]
        assert section.recorded is not None
        assert abs(section.recorded.replace(tzinfo=timezone(timedelta(hours=hours))).timestamp() - ended) < 3
    monkeypatch.undo()
    time.tzset()


def test_errors_in_record_again_and_again_end_the_run(tmp_path: Path, fake: FakeSerialEM) -> None:
    fake.failing["Record"] = [SEMerror("Camera timeout in script")] * 3
    assert acquired(tmp_path).finish == "aborted"
    assert states(tmp_path) == ["uu", "u"]
    assert resumed(tmp_path).finish == "finished"
    assert states(tmp_path) == ["uud", "udd"]
    assert len(commands(fake, "Record")) == 6


def test_a_lost_tracking_image_and_a_refused_tilt_are_tried_again(tmp_path: Path, fake: FakeSerialEM) -> None:
    fake.failing["Trial"] = [SEMerror("Camera timeout in script")]
    fake.failing["TiltTo"] = [SEMerror("Timed out waiting for stage ready")]
    assert acquired(tmp_path).finish == "finished"
    assert states(tmp_path) == ["ddd", "ddd"]
    assert policies_used(tmp_path) == {("tracking_failed", "retry"), ("stage_failed", "retry")}
    first, *others = (one for one in read_exposures(tmp_path) if one.purpose == "track")
    assert (first.state.value, first.received) == ("uncertain", True)
    assert {one.state.value for one in others} == {"delivered"}
    assert len(commands(fake, "Trial")) == len(others) + 1


# --- valves


def closing(
    fake: FakeSerialEM, monkeypatch: pytest.MonkeyPatch, opens_after_s: float, valve: float = 0.0
) -> Callable[[], None]:
    """Give what closes the valves, which open again by themselves as SerialEM waits; -1 is half way."""
    plain, until = fake.do_Delay, [math.inf]

    def delay(time: float, unit: str = "") -> None:
        plain(time, unit)
        if fake.clock_s >= until[0]:
            fake.valve = 1.0

    def close() -> None:
        fake.valve, until[0] = valve, fake.clock_s + opens_after_s

    monkeypatch.setattr(fake, "do_Delay", delay)
    return close


def test_closed_valves_wait_as_the_policy_says(
    tmp_path: Path, fake: FakeSerialEM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closed between two images: nothing is exposed meanwhile, and nothing is lost or uncertain."""
    close = closing(fake, monkeypatch, opens_after_s=150.0)
    images = [0]

    def listener(happened: Happened) -> None:
        images[0] += happened.kind == "acquisition.exposed"
        if happened.kind == "acquisition.exposed" and images[0] == 3:
            close()

    assert acquired(tmp_path, listeners=[listener]).finish == "finished"
    assert states(tmp_path) == ["ddd", "ddd"]
    assert policies_used(tmp_path) == {("beam_gone", "wait")}
    waits = read_events(tmp_path, "acquisition.policy")
    assert len(waits) == 3  # a minute each
    assert len(fake.shots) == len(read_exposures(tmp_path))


def test_valves_that_close_during_an_exposure_leave_it_uncertain(
    tmp_path: Path, fake: FakeSerialEM, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_record(monkeypatch, fake, {4: closing(fake, monkeypatch, opens_after_s=30.0)})
    assert acquired(tmp_path).finish == "finished"
    assert states(tmp_path) == ["ddd", "dud"]
    assert policies_used(tmp_path) == {("camera_failed", "go-on"), ("beam_gone", "wait")}
    assert len(commands(fake, "Record")) == 6


def test_valves_that_stay_closed_end_a_run_that_can_go_on(
    tmp_path: Path, fake: FakeSerialEM, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_record(monkeypatch, fake, {3: closing(fake, monkeypatch, opens_after_s=math.inf, valve=-1.0)})
    assert acquired(tmp_path, small_plan(beam_gone={"tries": 2})).finish == "aborted"
    assert states(tmp_path) == ["du", "d"]
    fake.valve = 1.0
    assert resumed(tmp_path).finish == "finished"
    assert states(tmp_path) == ["dud", "ddd"]
    assert len(commands(fake, "Record")) == 6


# --- pause and resume


def test_a_paused_run_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a connection of its own, with image shift and beam as the pause left them."""
    fake, specimen = scope(monkeypatch)
    pause = PauseAfter(3)
    assert acquired(tmp_path, listeners=[pause], started=pause.engines.append).finish == "paused"
    assert states(tmp_path) == ["dd", "d"]
    assert len(specimen.records()) == 3
    assert resumed(tmp_path).finish == "finished"
    assert commands(fake, "ConnectToSEM") == [("ConnectToSEM", 48888, "10.0.0.5")] * 2
    assert states(tmp_path) == ["ddd", "ddd"]
    records = specimen.records()
    assert [(one.place, one.tilt_deg) for one in records] == [(name, tilt) for tilt in TILTS_DEG[:3] for name in NAMES]
    assert max(one.off_um for one in records) < 0.01
    assert max(one.beam_off_um for one in specimen.taken) < 1e-6
    for name in NAMES:
        sections = read_mdoc(tmp_path / "mdoc" / f"{name}.mrc.mdoc").sections
        assert [one.tilt_deg for one in sections] == pytest.approx(TILTS_DEG[:3])
        before = [one.pre_exposure_e_A2 for one in sections]
        assert before == pytest.approx([DOSE * at for at in range(3)], abs=0.1)
