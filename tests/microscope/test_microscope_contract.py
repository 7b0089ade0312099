"""The contract's tests pass for an honest microscope, and each of them fails for one that lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from eucentric.microscope import (
    BeamLostError,
    ExposureRequest,
    Image,
    Microscope,
    MoveRefusedError,
    Movie,
    Purpose,
    Readback,
    ShiftYX,
    StageLimits,
    StagePosition,
)
from eucentric.microscope.contract import ContractBrokenError, MicroscopeContract

SECONDS_PER_E_A2 = 0.5


class Honest:
    """The smallest microscope that keeps its word: no optics, a clock that only it turns."""

    def __init__(self) -> None:
        self.time = datetime(2026, 2, 28, 23, 59, 59)
        self.position = StagePosition()
        self.shifts: dict[str, ShiftYX] = {"image": (0.0, 0.0), "beam": (0.0, 0.0)}
        self.tilt_mrad: ShiftYX = (0.0, 0.0)
        self.focus_A = 0.0
        self.beam = True
        self.taken = 0

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
        self.position = self.position.replace(tilt_deg=tilt_deg)
        return self.position

    def move_stage(
        self, *, y_A: float | None = None, x_A: float | None = None, z_A: float | None = None
    ) -> StagePosition:
        self.limits().check(y_A=y_A, x_A=x_A, z_A=z_A)
        named = {"y_A": y_A, "x_A": x_A, "z_A": z_A}
        self.position = self.position.replace(**{axis: place for axis, place in named.items() if place is not None})
        return self.position

    def image_shift_A(self) -> ShiftYX:
        return self.shifts["image"]

    def set_image_shift_A(self, yx_A: ShiftYX) -> ShiftYX:
        self.limits().check_shift(yx_A)
        self.shifts["image"] = yx_A
        return yx_A

    def beam_shift_A(self) -> ShiftYX:
        return self.shifts["beam"]

    def set_beam_shift_A(self, yx_A: ShiftYX) -> ShiftYX:
        self.limits().check_shift(yx_A, "beam shift")
        self.shifts["beam"] = yx_A
        return yx_A

    def defocus_A(self) -> float:
        return self.focus_A

    def set_defocus_A(self, defocus_A: float) -> float:
        self.focus_A = defocus_A
        return defocus_A

    def beam_tilt_mrad(self) -> ShiftYX:
        return self.tilt_mrad

    def set_beam_tilt_mrad(self, yx_mrad: ShiftYX) -> ShiftYX:
        self.limits().check_beam_tilt(yx_mrad)
        self.tilt_mrad = yx_mrad
        return yx_mrad

    def beam_on(self) -> bool:
        return self.beam

    def set_beam_on(self, on: bool) -> bool:
        self.beam = on
        return on

    def expose(self, request: ExposureRequest) -> Movie:
        readback = self.exposed(request.exposure_e_A2, request.purpose)
        self.taken += 1
        frames = np.random.default_rng(self.taken).poisson(4.0, (request.frames, 4, 6)).astype(np.uint8)
        total = frames.sum(axis=0, dtype=int)
        counts = {"counts_min": total.min(), "counts_max": total.max(), "counts_mean": total.mean()}
        return Movie(frames, 1.5, readback.replace(**{name: float(value) for name, value in counts.items()}))

    def view(self, field_A: float, pixels: int) -> Image:
        readback = self.exposed(0.01, "view")
        return Image(np.zeros((pixels, pixels), dtype=np.float32), field_A / pixels, readback)

    def exposed(self, exposure_e_A2: float, purpose: Purpose) -> Readback:
        if not self.beam:
            raise BeamLostError("There is no beam; nothing was exposed.")
        began, seconds = self.time, exposure_e_A2 * SECONDS_PER_E_A2
        self.wait(seconds)
        return Readback(
            purpose=purpose,
            stage=self.position,
            image_shift_yx_A=self.shifts["image"],
            beam_shift_yx_A=self.shifts["beam"],
            defocus_A=self.focus_A,
            exposure_e_A2=exposure_e_A2,
            dose_rate_e_px_s=4.5,
            began=began,
            seconds=seconds,
        )


class TestHonest(MicroscopeContract):
    def make(self) -> Microscope:
        return Honest()


class SomethingElse:
    """No microscope at all."""


class StoppedClock(Honest):
    def wait(self, seconds: float) -> None:
        pass


class ClockSetBack(Honest):
    def now(self) -> datetime:
        self.time -= timedelta(seconds=0.02)
        return self.time


class BeganTooEarly(Honest):
    """Its clock for exposures is not the one that it shows."""

    def exposed(self, exposure_e_A2: float, purpose: Purpose) -> Readback:
        readback = super().exposed(exposure_e_A2, purpose)
        return readback.replace(began=readback.began - timedelta(seconds=60))


class SaysWhatWasAsked(Honest):
    """The classical driver: it returns the tilt it was asked for, and the stage never moved."""

    def tilt_to(self, tilt_deg: float) -> StagePosition:
        self.limits().check(tilt_deg=tilt_deg)
        return self.position.replace(tilt_deg=tilt_deg)


class MovesOtherAxesToZero(Honest):
    def move_stage(
        self, *, y_A: float | None = None, x_A: float | None = None, z_A: float | None = None
    ) -> StagePosition:
        self.position = StagePosition()
        return super().move_stage(y_A=y_A, x_A=x_A, z_A=z_A)


class ClipsTilts(Honest):
    """It goes as far as it can, and says nothing."""

    def tilt_to(self, tilt_deg: float) -> StagePosition:
        low, high = self.limits().tilt_deg
        return super().tilt_to(min(max(tilt_deg, low), high))


class TiltsBeforeItRefuses(Honest):
    def tilt_to(self, tilt_deg: float) -> StagePosition:
        low, high = self.limits().tilt_deg
        self.position = self.position.replace(tilt_deg=float(np.clip(np.nan_to_num(tilt_deg), low, high)))
        return super().tilt_to(tilt_deg)


class MovesAxisByAxis(Honest):
    """It refuses the axis that is beyond its limit when the others have moved already."""

    def move_stage(
        self, *, y_A: float | None = None, x_A: float | None = None, z_A: float | None = None
    ) -> StagePosition:
        super().move_stage(y_A=y_A)
        super().move_stage(x_A=x_A)
        return super().move_stage(z_A=z_A)


class BeamFollowsImage(Honest):
    def set_image_shift_A(self, yx_A: ShiftYX) -> ShiftYX:
        self.shifts["beam"] = yx_A
        return super().set_image_shift_A(yx_A)


class ImageFollowsBeam(Honest):
    def set_beam_shift_A(self, yx_A: ShiftYX) -> ShiftYX:
        self.shifts["image"] = yx_A
        return super().set_beam_shift_A(yx_A)


class ShiftsAnyDistance(Honest):
    def set_beam_shift_A(self, yx_A: ShiftYX) -> ShiftYX:
        self.shifts["beam"] = yx_A
        return yx_A


class TiltsBeamInRadians(Honest):
    def beam_tilt_mrad(self) -> ShiftYX:
        return (self.tilt_mrad[0] / 1000, self.tilt_mrad[1] / 1000)


class OverfocusPositive(Honest):
    def defocus_A(self) -> float:
        return -self.focus_A


class OneFrameShort(Honest):
    def expose(self, request: ExposureRequest) -> Movie:
        movie = super().expose(request)
        return replace(movie, frames=movie.frames[1:])


class CountsOfOneFrame(Honest):
    def expose(self, request: ExposureRequest) -> Movie:
        movie = super().expose(request)
        return replace(movie, readback=movie.readback.replace(counts_mean=movie.readback.counts_mean / request.frames))


class DeliversHalf(Honest):
    def expose(self, request: ExposureRequest) -> Movie:
        return super().expose(request.replace(exposure_e_A2=request.exposure_e_A2 / 2))


class ReadsBackBeforeItMoved(Honest):
    """Its readback is of the state in which the program started."""

    def expose(self, request: ExposureRequest) -> Movie:
        movie = super().expose(request)
        return replace(movie, readback=movie.readback.replace(stage=StagePosition(), defocus_A=0.0))


class OneBuffer(Honest):
    """Every movie is written to the same memory."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = np.zeros((8, 4, 6), dtype=np.uint8)

    def expose(self, request: ExposureRequest) -> Movie:
        movie = super().expose(request)
        self.buffer[: request.frames] = movie.frames
        return replace(movie, frames=self.buffer[: request.frames])


class ExposesInTheDark(Honest):
    def exposed(self, exposure_e_A2: float, purpose: Purpose) -> Readback:
        on, self.beam = self.beam, True
        readback = super().exposed(exposure_e_A2, purpose)
        self.beam = on
        return readback


class ViewsForNothing(Honest):
    def view(self, field_A: float, pixels: int) -> Image:
        view = super().view(field_A, pixels)
        return replace(view, readback=view.readback.replace(exposure_e_A2=0.0))


LIARS: list[tuple[Callable[[], Any], str]] = [
    (SomethingElse, "test_it_has_every_part_of_the_protocol"),
    (StoppedClock, "test_the_clock_goes_on_by_what_is_waited"),
    (ClockSetBack, "test_the_clock_goes_on_by_what_is_waited"),
    (StoppedClock, "test_exposing_takes_its_time"),
    (BeganTooEarly, "test_exposing_takes_its_time"),
    (SaysWhatWasAsked, "test_tilts_are_read_back"),
    (MovesOtherAxesToZero, "test_a_move_moves_the_axes_that_are_named"),
    (ClipsTilts, "test_tilts_beyond_the_limits_move_nothing"),
    (TiltsBeforeItRefuses, "test_tilts_beyond_the_limits_move_nothing"),
    (MovesAxisByAxis, "test_moves_beyond_the_limits_move_nothing"),
    (BeamFollowsImage, "test_image_and_beam_shift_are_two_things"),
    (ImageFollowsBeam, "test_image_and_beam_shift_are_two_things"),
    (ShiftsAnyDistance, "test_shifts_beyond_the_limit_shift_nothing"),
    (TiltsBeamInRadians, "test_beam_tilt_is_read_back"),
    (OverfocusPositive, "test_defocus_is_read_back"),
    (OneFrameShort, "test_a_movie_is_what_was_asked_for"),
    (CountsOfOneFrame, "test_a_movie_is_what_was_asked_for"),
    (DeliversHalf, "test_a_movie_is_what_was_asked_for"),
    (ReadsBackBeforeItMoved, "test_the_readback_is_of_its_own_exposure"),
    (OneBuffer, "test_the_next_movie_leaves_the_last_alone"),
    (StoppedClock, "test_the_next_movie_leaves_the_last_alone"),
    (ExposesInTheDark, "test_without_a_beam_nothing_is_exposed"),
    (ViewsForNothing, "test_a_view_is_an_exposure_too"),
]


@pytest.mark.parametrize(("liar", "test"), LIARS)
def test_a_lie_is_caught(liar: Callable[[], Any], test: str) -> None:
    class OfLiar(MicroscopeContract):
        def make(self) -> Microscope:
            made: Microscope = liar()
            return made

    with pytest.raises(ContractBrokenError):
        getattr(OfLiar(), test)()


def test_every_test_of_the_contract_catches_some_lie() -> None:
    tests = {name for name in vars(MicroscopeContract) if name.startswith("test_")}
    assert tests == {test for _, test in LIARS}


def test_a_driver_that_breaks_otherwise_is_not_excused() -> None:
    """An error of another kind than the one expected comes through as it is."""

    class Breaks(Honest):
        def tilt_to(self, tilt_deg: float) -> StagePosition:
            if abs(tilt_deg) > 70:
                raise OSError("no answer")
            return super().tilt_to(tilt_deg)

    class OfBreaks(MicroscopeContract):
        def make(self) -> Microscope:
            return Breaks()

    with pytest.raises(OSError, match="no answer"):
        OfBreaks().test_tilts_beyond_the_limits_move_nothing()


def test_a_driver_without_pixels_keeps_the_contract() -> None:
    class NoPixels(Honest):
        def expose(self, request: ExposureRequest) -> Movie:
            readback = self.exposed(request.exposure_e_A2, request.purpose)
            return Movie(np.zeros((request.frames, 0, 0), dtype=np.uint8), 1.5, readback)

    class OfNoPixels(MicroscopeContract):
        def make(self) -> Microscope:
            return NoPixels()

    OfNoPixels().test_a_movie_is_what_was_asked_for()
    OfNoPixels().test_without_a_beam_nothing_is_exposed()


def test_a_contract_of_nothing_says_what_is_missing() -> None:
    with pytest.raises(NotImplementedError, match="how to make one"):
        MicroscopeContract().test_defocus_is_read_back()


def test_an_error_says_what_was_delivered() -> None:
    with pytest.raises(MoveRefusedError, match=r"-70 and 70; nothing moved") as refused:
        Honest().tilt_to(80.0)
    assert refused.value.delivered_e_A2 == 0
