from __future__ import annotations

import copy
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from twin_cases import in_ice, quiet_twin

from eucentric.core import InputError
from eucentric.microscope import (
    BeamLostError,
    ExposureRequest,
    Image,
    Microscope,
    MicroscopeError,
    MicroscopeTimeoutError,
    MoveRefusedError,
    Movie,
    Purpose,
    Readback,
    ShiftYX,
    StageLimits,
    StagePosition,
)
from eucentric.microscope.contract import MicroscopeContract
from eucentric.twin import Twin
from eucentric.twin.fault import Call, Fault, Kind, Move, OfExposures, OfMoves
from eucentric.twin.faulty import Faulty

RECORD = ExposureRequest(exposure_e_A2=3.0, frames=6, target="TS_002", order=12)
COUNT = 40


class Fake:
    """A microscope that keeps its word, of even counts, and remembers what was asked of it."""

    def __init__(self, *, pixels: bool = True) -> None:
        self.pixels = pixels
        self.time = datetime(2026, 3, 1, 12)
        self.position = StagePosition()
        self.lenses: dict[str, ShiftYX] = dict.fromkeys(("image", "beam", "tilt"), (0.0, 0.0))
        self.focus_A = 0.0
        self.beam = True
        self.received_e_A2 = 0.0
        self.calls: list[str] = []

    def limits(self) -> StageLimits:
        return StageLimits()

    def now(self) -> datetime:
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    def stage(self) -> StagePosition:
        return self.position

    def tilt_to(self, tilt_deg: float) -> StagePosition:
        self.limits().check(tilt_deg=tilt_deg)
        self.calls.append("tilt")
        self.position = self.position.replace(tilt_deg=tilt_deg)
        return self.position

    def move_stage(
        self, *, y_A: float | None = None, x_A: float | None = None, z_A: float | None = None
    ) -> StagePosition:
        self.limits().check(y_A=y_A, x_A=x_A, z_A=z_A)
        self.calls.append("stage")
        named = {"y_A": y_A, "x_A": x_A, "z_A": z_A}
        self.position = self.position.replace(**{axis: place for axis, place in named.items() if place is not None})
        return self.position

    def image_shift_A(self) -> ShiftYX:
        return self.lenses["image"]

    def set_image_shift_A(self, yx_A: ShiftYX) -> ShiftYX:
        self.limits().check_shift(yx_A)
        return self.set_lens("image", yx_A)

    def beam_shift_A(self) -> ShiftYX:
        return self.lenses["beam"]

    def set_beam_shift_A(self, yx_A: ShiftYX) -> ShiftYX:
        self.limits().check_shift(yx_A, "beam shift")
        return self.set_lens("beam", yx_A)

    def beam_tilt_mrad(self) -> ShiftYX:
        return self.lenses["tilt"]

    def set_beam_tilt_mrad(self, yx_mrad: ShiftYX) -> ShiftYX:
        self.limits().check_beam_tilt(yx_mrad)
        return self.set_lens("tilt", yx_mrad)

    def set_lens(self, name: str, value: ShiftYX) -> ShiftYX:
        self.calls.append(name)
        self.lenses[name] = value
        return value

    def defocus_A(self) -> float:
        return self.focus_A

    def set_defocus_A(self, defocus_A: float) -> float:
        self.calls.append("defocus")
        self.focus_A = defocus_A
        return defocus_A

    def beam_on(self) -> bool:
        return self.beam

    def set_beam_on(self, on: bool) -> bool:
        self.beam = on
        return on

    def expose(self, request: ExposureRequest) -> Movie:
        side = 8 if self.pixels else 0
        frames = np.full((request.frames, side, side), COUNT, np.uint16)
        return Movie(frames, 2.0, self.exposed(request.exposure_e_A2, request.purpose, COUNT * request.frames))

    def view(self, field_A: float, pixels: int) -> Image:
        counts = np.full((pixels, pixels), COUNT + 0.5, np.float32)
        return Image(counts, field_A / pixels, self.exposed(0.01, "view", COUNT + 0.5))

    def exposed(self, exposure_e_A2: float, purpose: Purpose, counts: float) -> Readback:
        if not self.beam:
            raise BeamLostError("There is no beam; nothing was exposed.")
        self.calls.append(purpose)
        self.received_e_A2 += exposure_e_A2
        began = self.time
        self.wait(exposure_e_A2)
        return Readback(
            purpose=purpose,
            stage=self.position,
            image_shift_yx_A=self.lenses["image"],
            beam_shift_yx_A=self.lenses["beam"],
            defocus_A=self.focus_A,
            exposure_e_A2=exposure_e_A2,
            dose_rate_e_px_s=20.0,
            began=began,
            seconds=exposure_e_A2,
            **dict.fromkeys(("counts_min", "counts_max", "counts_mean"), counts if self.pixels else 0.0),
        )


def blind_twin() -> Twin:
    return quiet_twin(in_ice(300.0), pixels=False)


def faulty(*faults: str, on: Any = None) -> tuple[Faulty, Any]:
    """Give a microscope with these faults, and the one in it."""
    wrapped = Fake() if on is None else on
    return Faulty(wrapped, [Fault.parse(text) for text in faults]), wrapped


BOTH = pytest.mark.parametrize("make", [Fake, lambda: Fake(pixels=False), blind_twin], ids=["fake", "blind", "twin"])

# --- without a fault


class TestWithoutFaultsTheContractHolds(MicroscopeContract):
    def make(self) -> Microscope:
        return Faulty(Fake(), [])


class TestWithFaultsStillToComeTheContractHolds(MicroscopeContract):
    """A fault of every call waits, and the twin in it has no pixels."""

    def make(self) -> Microscope:
        return Faulty(blind_twin(), [Fault(call=call, kind="crash", after=10_000) for call in get_args(Call)])


def test_what_only_the_wrapped_can_do_still_works() -> None:
    scope, twin = faulty("record: dark", on=blind_twin())
    scope.expose(RECORD.replace(purpose="track"))
    assert scope.exposures == twin.exposures == 1
    assert scope.expose_and_tell(RECORD).truth.number == 1
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = scope.no_such_thing


def test_it_can_be_copied() -> None:
    """A copy is made before it has anything to pass on to."""
    scope, fake = faulty("record: dark")
    copied = copy.deepcopy(scope)
    copied.tilt_to(3.0)
    assert (copied.stage().tilt_deg, fake.position.tilt_deg) == (3.0, 0.0)


# --- moves

Moving = Callable[[Microscope], object]
MOVES: dict[str, tuple[Moving, Moving, object, object]] = {
    "tilt": (lambda m: m.tilt_to(30.0), lambda m: m.stage().tilt_deg, 0.0, 30.0),
    "stage": (lambda m: m.move_stage(y_A=2000.0), lambda m: m.stage().y_A, 0.0, 2000.0),
    "image-shift": (lambda m: m.set_image_shift_A((1.0, 2.0)), lambda m: m.image_shift_A(), (0.0, 0.0), (1.0, 2.0)),
    "beam-shift": (lambda m: m.set_beam_shift_A((1.0, 2.0)), lambda m: m.beam_shift_A(), (0.0, 0.0), (1.0, 2.0)),
    "beam-tilt": (lambda m: m.set_beam_tilt_mrad((1.0, 2.0)), lambda m: m.beam_tilt_mrad(), (0.0, 0.0), (1.0, 2.0)),
    "defocus": (lambda m: m.set_defocus_A(7000.0), lambda m: m.defocus_A(), 1000.0, 7000.0),
}
EVERY_MOVE = pytest.mark.parametrize("call", MOVES)


def started(make: Callable[[], Any], fault: str) -> tuple[Faulty, Any]:
    wrapped = make()
    wrapped.set_defocus_A(1000.0)
    return faulty(fault, on=wrapped)


def test_every_move_is_tried() -> None:
    assert set(MOVES) == set(get_args(Move))


@EVERY_MOVE
@BOTH
def test_a_refused_move_moves_nothing_and_the_next_is_not_refused(make: Callable[[], Any], call: str) -> None:
    move, read, before, after = MOVES[call]
    scope, wrapped = started(make, f"{call}: refuse")
    with pytest.raises(MoveRefusedError, match="nothing moved") as raised:
        move(scope)
    assert raised.value.delivered_e_A2 == 0
    assert read(wrapped) == before
    move(scope)
    assert read(wrapped) == after
    assert len(scope.struck) == 1


@EVERY_MOVE
@BOTH
def test_after_a_timeout_nobody_knows_whether_it_moved(make: Callable[[], Any], call: str) -> None:
    """The errors of the two kinds are the same, word for word."""
    move, read, before, after = MOVES[call]
    said = []
    for kind, where in (("timeout", before), ("timeout-done", after)):
        scope, wrapped = started(make, f"{call}: {kind}")
        with pytest.raises(MicroscopeTimeoutError) as raised:
            move(scope)
        assert raised.value.delivered_e_A2 == 0
        assert read(wrapped) == where
        said.append(str(raised.value))
    assert said[0] == said[1]


@EVERY_MOVE
@BOTH
def test_a_move_that_ends_elsewhere_reads_back_where_it_is(make: Callable[[], Any], call: str) -> None:
    move, read, _, after = MOVES[call]
    scope, wrapped = started(make, f"{call}: off -0.5")
    returned = move(scope)
    wanted = (after[0], after[1] - 0.5) if isinstance(after, tuple) else after - 0.5  # type: ignore[operator]
    assert read(wrapped) == read(scope) == wanted
    assert returned == (wrapped.stage() if call in ("tilt", "stage") else wanted)


@EVERY_MOVE
@pytest.mark.parametrize(("kind", "error"), [("interrupt", KeyboardInterrupt), ("crash", RuntimeError)])
def test_what_comes_before_a_move_moves_nothing(call: str, kind: str, error: type[BaseException]) -> None:
    move, read, before, _ = MOVES[call]
    scope, fake = started(Fake, f"{call}: {kind}")
    with pytest.raises(error):
        move(scope)
    assert read(fake) == before


def test_a_move_of_the_stage_is_off_along_the_first_axis_that_moves() -> None:
    for named, wanted in (
        ({"x_A": 1.0, "y_A": 2.0, "z_A": 3.0}, {"x_A": 11.0, "y_A": 2.0, "z_A": 3.0}),
        ({"y_A": 2.0, "z_A": 3.0}, {"y_A": 12.0, "z_A": 3.0}),
        ({"z_A": 3.0}, {"z_A": 13.0}),
        ({}, {}),
    ):
        scope, fake = faulty("stage: off 10")
        scope.move_stage(**named)
        assert fake.position == StagePosition(**wanted)


def test_a_move_to_the_limit_is_off_where_there_is_room() -> None:
    """A fault never sends the microscope where it cannot go."""
    scope, _ = faulty("tilt: off 0.5", "image-shift times 2: off 100")
    assert scope.tilt_to(70.0).tilt_deg == 69.5
    far = StageLimits().shift_A
    assert scope.set_image_shift_A((0.0, far)) == (0.0, far - 100)
    assert scope.set_image_shift_A((far, 0.0)) == (far - 100, 0.0)


def test_a_place_beyond_the_limits_is_refused_by_the_microscope_and_strikes_nothing() -> None:
    scope, fake = faulty(
        "tilt: off -0.5", "stage: timeout", "image-shift: crash", "beam-tilt: refuse", "defocus: refuse"
    )
    for beyond in (70.2, math.nan):
        with pytest.raises(MoveRefusedError, match="its limits are"):
            scope.tilt_to(beyond)
        with pytest.raises(MoveRefusedError, match="its limits are"):
            scope.move_stage(x_A=1.0, z_A=beyond * 1e6)
        with pytest.raises(MoveRefusedError, match="its limit is"):
            scope.set_image_shift_A((beyond * 1e6, 0.0))
        with pytest.raises(MoveRefusedError, match="its limit is"):
            scope.set_beam_tilt_mrad((beyond, 0.0))
    assert scope.struck == fake.calls == []
    assert scope.tilt_to(70.0).tilt_deg == 69.5  # still to come


# --- exposures


def held_by(wrapped: Any) -> float:
    """Give what the specimen has received; the twin's truth tells it of the next exposure, made on a copy."""
    if isinstance(wrapped, Fake):
        return wrapped.received_e_A2
    twin: Twin = copy.deepcopy(wrapped)
    twin.set_beam_on(True)
    return twin.expose_and_tell(RECORD).truth.pre_exposure_e_A2


@BOTH
@pytest.mark.parametrize(
    ("kind", "error", "delivered", "received"),
    [
        ("timeout", MicroscopeTimeoutError, None, 0.0),
        ("timeout-done", MicroscopeTimeoutError, None, 3.0),
        ("no-beam", BeamLostError, 0.0, 0.0),
        ("beam-lost", BeamLostError, 1.5, 1.5),
        ("no-frames", MicroscopeError, 3.0, 3.0),
    ],
)
def test_an_exposure_that_fails_says_what_the_specimen_received(
    make: Callable[[], Any], kind: str, error: type[MicroscopeError], delivered: float | None, received: float
) -> None:
    scope, wrapped = faulty(f"record: {kind}", on=make())
    began = scope.now()
    with pytest.raises(error) as raised:
        scope.expose(RECORD)
    assert type(raised.value) is error
    assert raised.value.delivered_e_A2 == delivered
    assert held_by(wrapped) == received
    assert (scope.now() > began) is (received > 0)
    assert wrapped.beam_on() is scope.beam_on() is (error is not BeamLostError)
    assert len(scope.struck) == 1


def test_a_timeout_does_not_tell_whether_it_was_done() -> None:
    said = []
    for kind in ("timeout", "timeout-done"):
        scope, _ = faulty(f"record: {kind}")
        with pytest.raises(MicroscopeTimeoutError) as raised:
            scope.expose(RECORD)
        said.append(str(raised.value))
    assert said[0] == said[1]


@pytest.mark.parametrize(("kind", "error"), [("interrupt", KeyboardInterrupt), ("crash", RuntimeError)])
@BOTH
def test_what_comes_before_an_exposure_exposes_nothing(
    make: Callable[[], Any], kind: str, error: type[BaseException]
) -> None:
    scope, wrapped = faulty(f"expose times 2: {kind}", on=make())
    with pytest.raises(error):
        scope.expose(RECORD)
    with pytest.raises(error):
        scope.view(3000.0, 16)
    assert held_by(wrapped) == 0
    scope.expose(RECORD)
    assert held_by(wrapped) == 3


@pytest.mark.parametrize(("frames", "asked"), [(6, 3), (5, 2), (1, 1)])
def test_half_an_exposure_has_half_the_frames(frames: int, asked: int) -> None:
    seen: list[ExposureRequest] = []

    class Notes(Fake):
        def expose(self, request: ExposureRequest) -> Movie:
            seen.append(request)
            return super().expose(request)

    scope, _ = faulty("record: beam-lost", on=Notes())
    with pytest.raises(BeamLostError, match=r"received 1.5 e/Å²"):
        scope.expose(RECORD.replace(frames=frames))
    assert seen == [RECORD.replace(exposure_e_A2=1.5, frames=asked)]


@BOTH
@pytest.mark.parametrize(
    ("fault", "frames", "left"),
    [
        ("dropped-frames", 6, 3),
        ("dropped-frames", 5, 3),
        ("dropped-frames 1", 6, 5),
        ("dropped-frames 6", 6, 1),
        ("dropped-frames 1000", 2, 1),
    ],
)
def test_frames_are_missing_and_the_exposure_is_whole(
    make: Callable[[], Any], fault: str, frames: int, left: int
) -> None:
    request = RECORD.replace(frames=frames)
    scope, wrapped = faulty(f"record: {fault}", on=make())
    movie, whole = scope.expose(request), make().expose(request)
    assert np.array_equal(movie.frames, whole.frames[:left])
    assert len(movie.frames) == left
    assert held_by(wrapped) == movie.readback.exposure_e_A2 == 3.0
    expected = movie.frames.size and COUNT * left
    assert counts_of(movie.readback) == (expected, expected, expected)
    assert without_counts(movie.readback) == without_counts(whole.readback)


def test_an_image_of_one_frame_cannot_drop_any() -> None:
    """The fault waits for a movie that can."""
    scope, _ = faulty("expose: dropped-frames")
    assert len(scope.expose(RECORD.replace(frames=1)).frames) == 1
    scope.view(3000.0, 8)
    assert scope.struck == []
    assert len(scope.expose(RECORD).frames) == 3


def counts_of(readback: Readback) -> tuple[float, float, float]:
    return readback.counts_min, readback.counts_max, readback.counts_mean


def without_counts(readback: Readback, *more: str) -> dict[str, Any]:
    return readback.model_dump(exclude={"counts_min", "counts_max", "counts_mean", *more})


@BOTH
def test_a_dark_image_holds_nothing_and_costs_all(make: Callable[[], Any]) -> None:
    scope, wrapped = faulty("record: dark", on=make())
    movie, whole = scope.expose(RECORD), make().expose(RECORD)
    assert movie.frames.shape == whole.frames.shape
    assert movie.frames.dtype == whole.frames.dtype
    assert not movie.frames.any()
    assert counts_of(movie.readback) == (0, 0, 0)
    assert movie.readback.dose_rate_e_px_s == 0 < whole.readback.dose_rate_e_px_s
    assert without_counts(movie.readback, "dose_rate_e_px_s") == without_counts(whole.readback, "dose_rate_e_px_s")
    assert held_by(wrapped) == movie.readback.exposure_e_A2 == 3.0


@BOTH
@pytest.mark.parametrize(("fault", "share"), [("dim", 0.1), ("dim 0.5", 0.5)])
def test_a_dim_image_holds_a_share_of_its_counts(make: Callable[[], Any], fault: str, share: float) -> None:
    scope, wrapped = faulty(f"record: {fault}", on=make())
    movie, whole = scope.expose(RECORD), make().expose(RECORD)
    assert movie.frames.dtype == whole.frames.dtype
    assert movie.readback.dose_rate_e_px_s == pytest.approx(share * whole.readback.dose_rate_e_px_s)
    assert held_by(wrapped) == movie.readback.exposure_e_A2 == 3.0
    summed: NDArray[np.int64] = movie.frames.sum(axis=0, dtype=np.int64)
    if summed.size:
        # 384 pixels of 40 counts each: within 5 sigma of the mean and of the variance of a binomial
        assert movie.frames.mean() == pytest.approx(share * COUNT, abs=5 * math.sqrt(COUNT * share / 384))
        assert movie.frames.var() == pytest.approx(COUNT * share * (1 - share), rel=5 * math.sqrt(2 / 384))
        assert counts_of(movie.readback) == (summed.min(), summed.max(), summed.mean())
    else:
        assert counts_of(movie.readback) == (0, 0, 0)


def test_what_is_lost_at_random_is_lost_by_the_seed() -> None:
    def taken(seed: int, *texts: str) -> list[NDArray[Any]]:
        scope = Faulty(Fake(), [Fault.parse(text) for text in texts], seed)
        return [scope.expose(RECORD).frames for _ in range(2)]

    first, second = taken(3, "record times 2: dim")
    again, _ = taken(3, "record times 2: dim")
    other, _ = taken(4, "record times 2: dim")
    beside, _ = taken(3, "track: dim 0.3", "record times 2: dim")
    assert np.array_equal(first, again)
    assert np.array_equal(first, beside)  # another fault leaves its draws alone
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other)
    one, two = taken(3, "record: dim", "record: dim")
    assert not np.array_equal(one, two)


@pytest.mark.parametrize(("fault", "mean"), [("dark", 0.0), ("dim 0.5", 20.25)])
def test_views_are_spoiled_too(fault: str, mean: float) -> None:
    """Counts that are not whole are scaled in what is not."""
    scope, fake = faulty(f"view: {fault}")
    view = scope.view(3000.0, 32)
    assert view.pixels.dtype == np.float32
    assert view.pixels.mean() == pytest.approx(mean, abs=0.5)
    assert counts_of(view.readback) == pytest.approx((view.pixels.min(), view.pixels.max(), view.pixels.mean()))
    assert view.readback.dose_rate_e_px_s == 20.0 * mean / 40.5
    assert fake.received_e_A2 == view.readback.exposure_e_A2 == 0.01


def test_a_view_whose_beam_is_lost_was_delivered_whole() -> None:
    """It cannot be asked for by half; what is said is still what the specimen received."""
    scope, fake = faulty("view: beam-lost")
    with pytest.raises(BeamLostError) as raised:
        scope.view(3000.0, 16)
    assert raised.value.delivered_e_A2 == fake.received_e_A2 == 0.01
    assert not scope.beam_on()


@BOTH
def test_a_view_fails_in_the_other_ways_too(make: Callable[[], Any]) -> None:
    delivered_e_A2 = make().view(3000.0, 16).readback.exposure_e_A2
    for kind, delivered in (("timeout", None), ("timeout-done", None), ("no-frames", delivered_e_A2), ("no-beam", 0.0)):
        scope, _ = faulty(f"view: {kind}", on=make())
        with pytest.raises(MicroscopeError) as raised:
            scope.view(3000.0, 16)
        assert raised.value.delivered_e_A2 == delivered


# --- the beam, and how it comes back


@BOTH
def test_the_beam_comes_back_after_its_time(make: Callable[[], Any]) -> None:
    scope, wrapped = faulty("record: no-beam returns 120", on=make())
    with pytest.raises(BeamLostError):
        scope.expose(RECORD)
    scope.wait(119.0)
    assert not scope.beam_on()
    with pytest.raises(BeamLostError):
        scope.expose(RECORD)
    scope.wait(1.0)
    assert wrapped.beam_on()
    assert len(scope.expose(RECORD).frames) == 6
    assert len(scope.struck) == 1


@pytest.mark.parametrize("call", [lambda m: m.beam_on(), lambda m: m.expose(RECORD), lambda m: m.view(3000.0, 8)])
def test_the_beam_is_back_however_the_time_has_passed(call: Callable[[Faulty], object]) -> None:
    scope, fake = faulty("record: beam-lost returns 120")
    with pytest.raises(BeamLostError):
        scope.expose(RECORD)
    fake.time += timedelta(seconds=120)  # a long move, say
    assert not fake.beam
    assert call(scope)
    assert fake.beam


def test_valves_that_were_set_by_hand_stay_as_they_are() -> None:
    scope, fake = faulty("record times 0: no-beam returns 10")
    for on in (True, False):
        with pytest.raises(BeamLostError):
            scope.expose(RECORD)
        scope.set_beam_on(on)
        scope.wait(60.0)
        assert scope.beam_on() is fake.beam is on


def test_a_beam_that_does_not_return_stays_away_until_it_is_turned_on() -> None:
    scope, _ = faulty("record: no-beam")
    with pytest.raises(BeamLostError):
        scope.expose(RECORD)
    scope.wait(1e6)
    assert not scope.beam_on()
    assert scope.set_beam_on(True)
    assert len(scope.expose(RECORD).frames) == 6


def test_without_a_beam_no_fault_strikes() -> None:
    scope, fake = faulty("expose: dark")
    fake.set_beam_on(False)
    with pytest.raises(BeamLostError, match="nothing was exposed"):
        scope.expose(RECORD)
    assert scope.struck == []


# --- when it strikes


def struck_at(fault: str, calls: int, call: Callable[[Faulty, int], object]) -> list[int]:
    scope, _ = faulty(fault)
    numbers = []
    for number in range(calls):
        before = len(scope.struck)
        call(scope, number)
        if len(scope.struck) > before:
            numbers.append(number)
    return numbers


@pytest.mark.parametrize(
    ("when", "numbers"),
    [
        ("", [0]),
        ("times 2", [0, 1]),
        ("times 0", [0, 1, 2, 3, 4, 5]),
        ("after 4", [4]),
        ("after 3 times 2", [3, 4]),
        ("after 4 times 0", [4, 5]),
        ("after 6", []),
        ("order 3", [3]),
        ("target TS_1 times 0", [1, 3, 5]),
        ("target TS_1 after 1", [3]),
        ("order 2 target TS_1", []),
        ("at -10 times 0", [2, 3]),
        ("at -10 order 3", [3]),
    ],
)
def test_it_strikes_when_it_says(when: str, numbers: list[int]) -> None:
    """Six exposures of two targets in turns, at tilts of 0°, -9.5° and -19°."""

    def expose(scope: Faulty, number: int) -> object:
        if number % 2 == 0:
            scope.tilt_to(-9.5 * (number // 2))
        return scope.expose(RECORD.replace(order=number, target=f"TS_{number % 2}"))

    assert struck_at(f"record {when}: dark", 6, expose) == numbers


def test_a_tilt_is_known_by_where_it_is_to_go() -> None:
    tilts_deg = (30.0, 29.4, 29.5, 30.6, 30.5, -30.0)
    tilted = struck_at("tilt at 30 times 0: off 1", 6, lambda scope, number: scope.tilt_to(tilts_deg[number]))
    assert tilted == [0, 2, 4]


def test_exposures_are_known_by_their_purpose() -> None:
    purposes = get_args(Purpose)

    def expose(scope: Faulty, number: int) -> object:
        if number == len(purposes):
            return scope.view(3000.0, 8)
        return scope.expose(ExposureRequest(exposure_e_A2=1.0, purpose=purposes[number]))

    views = [purposes.index("view"), len(purposes)]
    for call in ("record", "track", "focus", "search"):
        assert struck_at(f"{call} times 0: dark", len(purposes) + 1, expose) == [purposes.index(call)]
    assert struck_at("view times 0: dark", len(purposes) + 1, expose) == views
    assert struck_at("expose times 0: dark", len(purposes) + 1, expose) == list(range(len(purposes) + 1))


def test_a_fault_of_any_exposure_strikes_no_move() -> None:
    scope, _ = faulty("expose times 0: crash")
    for move, *_rest in MOVES.values():
        move(scope)
    assert scope.struck == []


def test_of_two_faults_the_first_strikes_and_the_other_waits() -> None:
    scope, _ = faulty("record: no-frames", "expose: timeout", "record after 2: dark")
    for error in (MicroscopeError, MicroscopeTimeoutError):
        with pytest.raises(error):
            scope.expose(RECORD)
    assert not scope.expose(RECORD).frames.any()
    assert scope.expose(RECORD).frames.all()


def test_what_has_struck_is_told_line_by_line() -> None:
    scope, _ = faulty("tilt at 30: off 0.5", "record order 12: beam-lost returns 60", "stage: refuse")
    scope.tilt_to(30.0)
    with pytest.raises(BeamLostError):
        scope.expose(RECORD)
    with pytest.raises(MoveRefusedError):
        scope.move_stage(y_A=100.0, x_A=-5.0)
    assert scope.struck == [
        "tilt to 30°: off 0.5",
        "record of TS_002, order 12 at 30.5°: beam-lost returns 60",
        "stage to y_A = 100, x_A = -5 at 30.5°: refuse",
    ]


# --- the text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("tilt at 30: refuse", Fault(call="tilt", at_deg=30.0, kind="refuse")),
        ("tilt at -12: off 0.5", Fault(call="tilt", at_deg=-12.0, kind="off", amount=0.5)),
        ("track after 5 times 2: dark", Fault(call="track", after=5, times=2, kind="dark")),
        ("record: no-beam returns 120", Fault(call="record", kind="no-beam", returns_after_s=120.0)),
        (
            "record order 12 target TS_002: beam-lost",
            Fault(call="record", at_order=12, target="TS_002", kind="beam-lost"),
        ),
        (
            " Expose  TARGET 'TS: 2'  :  Dropped-Frames  3 ",
            Fault(call="expose", target="TS: 2", kind="dropped-frames", amount=3),
        ),
    ],
)
def test_a_text_is_a_fault(text: str, fault: Fault) -> None:
    assert Fault.parse(text) == fault


@st.composite
def faults(draw: st.DrawFn) -> Fault:
    """Give any fault that can be."""
    kind: Kind = draw(st.sampled_from(get_args(Kind)))
    move = kind in get_args(OfMoves) or (kind not in get_args(OfExposures) and draw(st.booleans()))
    calls = [call for call in get_args(Call) if (call in get_args(Move)) is move]
    numbers = st.floats(allow_nan=False, allow_infinity=False)
    amounts = {
        "off": numbers.filter(bool),
        "dropped-frames": st.none() | st.integers(1, 10**6),
        "dim": st.none() | st.floats(0, 1, exclude_min=True, exclude_max=True),
    }
    seconds = st.none() | st.floats(0, allow_infinity=False)
    return Fault(
        call=draw(st.sampled_from(calls)),
        kind=kind,
        at_deg=draw(st.none() | numbers),
        at_order=None if move else draw(st.none() | st.integers(0)),
        target=None if move else draw(st.none() | st.text(min_size=1)),
        after=draw(st.integers(0)),
        times=draw(st.integers(0)),
        amount=draw(amounts.get(kind, st.none())),
        returns_after_s=draw(seconds) if kind in ("no-beam", "beam-lost") else None,
    )


@given(faults())
def test_the_text_of_a_fault_is_that_fault(fault: Fault) -> None:
    assert Fault.parse(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tilt at 30 refuse", "it needs a call, a colon, and what happens"),
        (": refuse", "it needs a call, a colon, and what happens"),
        ("tilt:", "it needs a call, a colon, and what happens"),
        ("", "it needs a call, a colon, and what happens"),
        ("record target 'TS_1: dark", "a quotation mark is not closed"),
        ("tlit: refuse", 'there is no call "tlit"; there are tilt, stage, .*Did you mean "tilt"'),
        ("tilt: refused", 'there is no kind of fault "refused"; there are .*timeout-done, .*Did you mean "refuse"'),
        ("record ordr 3: dark", 'there is no word "ordr"; there are at, order, .*Did you mean "order"'),
        ("record: no-beam return 3", 'there is no word "return"; there are returns. Did you mean "returns"'),
        ("record at: dark", "at has no value"),
        ("record at 3 at 4: dark", "at is said twice"),
        ("record at high: dark", "at is high: should be a valid number"),
        ("record at nan: dark", "at is nan: should be a finite number"),
        ("record order -1: dark", "order is -1: should be greater than or equal to 0"),
        ("record times 1.5: dark", "times is 1.5: should be a valid integer"),
        ("record target '': dark", "target needs a name"),
        ("record: no-beam returns -3", "returns is -3: should be greater than or equal to 0"),
        ("record: dim half", "amount is half: should be a valid number"),
        ("record: refuse", "refuse strikes moves only, and record is none"),
        ("record: off 3", "off strikes moves only"),
        ("tilt: dark", "dark strikes exposures only, and tilt is none"),
        ("tilt order 3: refuse", "order and target belong to exposures, and tilt is none"),
        ("stage target TS_1: refuse", "order and target belong to exposures"),
        ("record: dark returns 3", "only a lost beam returns, and dark loses none"),
        ("tilt: off", "off needs an amount other than 0"),
        ("tilt: off 0", "off needs an amount other than 0"),
        ("record: dropped-frames 0", "a whole number of frames, at least 1, and not 0"),
        ("record: dropped-frames 1.5", "a whole number of frames, at least 1, and not 1.5"),
        ("record: dim 1", "a share between 0 and 1, and not 1"),
        ("record: dim 0", "a share between 0 and 1, and not 0"),
        ("record: dark 3", "dark takes no amount"),
    ],
)
def test_a_wrong_text_is_refused_with_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as refused:
        Fault.parse(text)
    assert repr(text) in refused.value.what
    assert not refused.value.what.endswith("..")
    assert "CALL [at DEG]" in refused.value.fix


def test_a_fault_that_cannot_be_is_refused_as_a_record_too() -> None:
    with pytest.raises(ValidationError, match="strikes moves only"):
        Fault(call="record", kind="refuse")
    with pytest.raises(ValidationError, match="at_deg"):
        Fault(call="tilt", kind="refuse", at=3.0)  # type: ignore[call-arg]
