"""The tests that every driver of a microscope must pass, for the authors of drivers to inherit.

    class TestMyDriver(MicroscopeContract):
        def make(self):
            return MyDriver()

Each test starts from a new `make()`. On a real microscope it must be one that may be tilted, moved and exposed.
"""

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import ParamSpec, TypeVar

import numpy as np

from eucentric.microscope.errors import BeamLostError, MicroscopeError, MoveRefusedError
from eucentric.microscope.protocol import Microscope
from eucentric.microscope.records import ExposureRequest, Movie, ShiftYX, StageLimits, StagePosition

E = TypeVar("E", bound=MicroscopeError)
P = ParamSpec("P")
AXES = ("y_A", "x_A", "z_A")


class ContractBrokenError(AssertionError):
    """A driver does not do what the protocol promises."""


def expect(condition: object, message: str) -> None:
    """Return if the condition holds.

    Raises
    ------
    ContractBrokenError
        With the message, if it does not.
    """
    if not condition:
        raise ContractBrokenError(message)


def expect_error(error: type[E], message: str, action: Callable[P, object], *arguments: P.args, **named: P.kwargs) -> E:
    """Return the error that an action with these arguments raises.

    Raises
    ------
    ContractBrokenError
        With the message, if it raises none; another error than that expected is let through.
    """
    try:
        action(*arguments, **named)
    except error as raised:
        return raised
    raise ContractBrokenError(message)


class MicroscopeContract:
    """Inherit, give `make()`, and loosen the tolerances where the instrument reads back less finely."""

    tilt_tolerance_deg: float = 0.1
    stage_tolerance_A: float = 1000.0
    shift_tolerance_A: float = 10.0
    defocus_tolerance_A: float = 10.0
    beam_tilt_tolerance_mrad: float = 0.05
    exposure_tolerance: float = 0.1
    clock_tolerance_s: float = 1e-3
    request: ExposureRequest = ExposureRequest(exposure_e_A2=1.0, frames=3)

    def make(self) -> Microscope:
        """Return a microscope with its beam on and nothing in the way."""
        raise NotImplementedError("a driver's tests must say how to make one")

    def test_it_has_every_part_of_the_protocol(self) -> None:
        """All methods are there."""
        expect(isinstance(self.make(), Microscope), "a part of the protocol is missing")

    # --- clock

    def test_the_clock_goes_on_by_what_is_waited(self) -> None:
        """Time never goes back, and a wait is as long as asked."""
        scope = self.make()
        before = scope.now()
        scope.wait(0.0)
        between = scope.now()
        scope.wait(0.05)
        expect(between >= before, "the clock went back")
        self._expect_passed(scope, before, 0.05, "waiting 0.05 s")

    def test_exposing_takes_its_time(self) -> None:
        """An exposure begins after it is asked for and ends before it is returned."""
        scope = self.make()
        for request in (self.request, self.request.replace(exposure_e_A2=2 * self.request.exposure_e_A2)):
            before = scope.now()
            readback = scope.expose(request).readback
            expect(readback.seconds > 0, "an exposure took no time")
            expect(readback.began >= before - timedelta(seconds=self.clock_tolerance_s), "it began before it was asked")
            self._expect_passed(scope, readback.began, readback.seconds, "the exposure")

    # --- stage

    def test_tilts_are_read_back(self) -> None:
        """The stage goes where it is told, says so twice, and its other axes stay."""
        scope = self.make()
        start = scope.stage()
        for tilt_deg in (6.0, -9.0, 0.0):
            returned = scope.tilt_to(tilt_deg)
            self._expect_at(returned, start.replace(tilt_deg=tilt_deg), "after tilting")
            self._expect_at(scope.stage(), returned, "read a second time")

    def test_a_move_moves_the_axes_that_are_named(self) -> None:
        """One axis at a time, then two at once: the others stay."""
        scope = self.make()
        wanted = scope.stage()
        for move in ({"y_A": 20_000.0}, {"x_A": -30_000.0}, {"z_A": 10_000.0}, {"y_A": 0.0, "z_A": -5000.0}):
            wanted = wanted.replace(**move)
            self._expect_at(scope.move_stage(**move), wanted, f"after moving {', '.join(move)}")
            self._expect_at(scope.stage(), wanted, "read a second time")

    def test_tilts_beyond_the_limits_move_nothing(self) -> None:
        """Nor does what is not a number."""
        scope = self.make()
        start = scope.tilt_to(3.0)
        low, high = scope.limits().tilt_deg
        for tilt_deg in (low - 1, high + 1, math.nan, math.inf):
            expect_error(MoveRefusedError, f"a tilt to {tilt_deg}° was accepted", scope.tilt_to, tilt_deg)
            self._expect_at(scope.stage(), start, "after a refused tilt")

    def test_moves_beyond_the_limits_move_nothing(self) -> None:
        """Not even the axes that could have gone where they were told."""
        scope = self.make()
        start = scope.stage()
        for axis in AXES:
            for place_A in (*_just_beyond(scope.limits(), axis), math.nan):
                move: dict[str, float] = {other: 20_000.0 for other in AXES if other != axis} | {axis: place_A}
                expect_error(MoveRefusedError, f"{axis} = {place_A} was accepted", scope.move_stage, **move)
                self._expect_at(scope.stage(), start, "after a refused move")

    # --- lenses

    def test_image_and_beam_shift_are_two_things(self) -> None:
        """Each is read back, and neither moves the other or the stage."""
        scope = self.make()
        stage = scope.stage()
        beam = scope.set_beam_shift_A((300.0, 400.0))
        for image in ((1500.0, -700.0), (0.0, 2000.0)):
            self._expect_shift(scope.set_image_shift_A(image), image, "image shift as returned")
            self._expect_shift(scope.image_shift_A(), image, "image shift")
            self._expect_shift(scope.beam_shift_A(), beam, "beam shift after an image shift")
        for beam in ((-200.0, 900.0), (0.0, 0.0)):
            self._expect_shift(scope.set_beam_shift_A(beam), beam, "beam shift as returned")
            self._expect_shift(scope.beam_shift_A(), beam, "beam shift")
            self._expect_shift(scope.image_shift_A(), image, "image shift after a beam shift")
        self._expect_at(scope.stage(), stage, "after shifting image and beam")

    def test_shifts_beyond_the_limit_shift_nothing(self) -> None:
        """Of the image or of the beam, along any direction."""
        scope = self.make()
        image, beam = scope.set_image_shift_A((100.0, 200.0)), scope.set_beam_shift_A((300.0, -100.0))
        far = scope.limits().shift_A * 1.01
        for yx_A in ((far, 0.0), (0.0, -far), (far * 0.8, far * 0.8), (math.nan, 0.0)):
            expect_error(MoveRefusedError, f"image shift {yx_A} was accepted", scope.set_image_shift_A, yx_A)
            expect_error(MoveRefusedError, f"beam shift {yx_A} was accepted", scope.set_beam_shift_A, yx_A)
            self._expect_shift(scope.image_shift_A(), image, "image shift after a refusal")
            self._expect_shift(scope.beam_shift_A(), beam, "beam shift after a refusal")

    def test_beam_tilt_is_read_back(self) -> None:
        """It moves no shift, and beyond its limit nothing changes."""
        scope = self.make()
        image = scope.set_image_shift_A((100.0, 200.0))
        tilted = scope.set_beam_tilt_mrad((3.0, -4.0))
        for read in (tilted, scope.beam_tilt_mrad()):
            off = math.hypot(read[0] - 3.0, read[1] + 4.0)
            expect(off <= self.beam_tilt_tolerance_mrad, f"beam tilt {read}, not (3, -4)")
        far = scope.limits().beam_tilt_mrad * 1.01
        for yx_mrad in ((far, 0.0), (0.0, -far), (math.nan, 0.0)):
            expect_error(MoveRefusedError, f"beam tilt {yx_mrad} was accepted", scope.set_beam_tilt_mrad, yx_mrad)
            expect(scope.beam_tilt_mrad() == tilted, "a refused beam tilt changed it")
        self._expect_shift(scope.image_shift_A(), image, "image shift after a beam tilt")

    def test_defocus_is_read_back(self) -> None:
        """With its sign, and apart from the stage's height."""
        scope = self.make()
        for defocus_A in (25_000.0, -3000.0, 40_000.0):
            for read in (scope.set_defocus_A(defocus_A), scope.defocus_A()):
                expect(abs(read - defocus_A) <= self.defocus_tolerance_A, f"defocus {read:g} Å, not {defocus_A:g}")
        scope.move_stage(z_A=10_000.0)
        expect(abs(scope.defocus_A() - 40_000.0) <= self.defocus_tolerance_A, "the stage's height moved the lens")

    # --- exposures

    def test_a_movie_is_what_was_asked_for(self) -> None:
        """Frames, exposure, purpose, and counts that are those of its own frames."""
        scope = self.make()
        for request in (self.request, self.request.replace(frames=1, purpose="focus")):
            movie = scope.expose(request)
            readback = movie.readback
            expect(len(movie.frames) == request.frames, f"{len(movie.frames)} frames, not {request.frames}")
            expect(movie.frames.dtype.kind == "u", f"frames of {movie.frames.dtype} are no counts")
            expect(movie.pixel_A > 0, "no pixel size")
            expect(readback.purpose == request.purpose, f"purpose {readback.purpose}, not {request.purpose}")
            off = abs(readback.exposure_e_A2 / request.exposure_e_A2 - 1)
            expect(
                off <= self.exposure_tolerance, f"exposure {readback.exposure_e_A2:g}, not {request.exposure_e_A2:g}"
            )
            _expect_own_counts(movie)

    def test_the_readback_is_of_its_own_exposure(self) -> None:
        """It says what the getters say, and later moves do not reach back into it."""
        scope = self.make()
        stage = scope.tilt_to(6.0)
        image, beam = scope.set_image_shift_A((500.0, -300.0)), scope.set_beam_shift_A((-200.0, 100.0))
        defocus_A = scope.set_defocus_A(31_000.0)
        movie = scope.expose(self.request)
        scope.tilt_to(-6.0)
        scope.set_image_shift_A((0.0, 0.0))
        scope.set_beam_shift_A((0.0, 0.0))
        scope.set_defocus_A(0.0)
        self._expect_at(movie.readback.stage, stage, "in the readback")
        self._expect_shift(movie.readback.image_shift_yx_A, image, "image shift in the readback")
        self._expect_shift(movie.readback.beam_shift_yx_A, beam, "beam shift in the readback")
        off = abs(movie.readback.defocus_A - defocus_A)
        expect(off <= self.defocus_tolerance_A, f"the readback's defocus is {off:g} Å off")

    def test_the_next_movie_leaves_the_last_alone(self) -> None:
        """A driver that fills one buffer again and again would change images already returned."""
        scope = self.make()
        first = scope.expose(self.request)
        kept = first.frames.copy()
        second = scope.expose(self.request)
        expect(np.array_equal(first.frames, kept), "the first movie changed when the second was taken")
        expect(not np.shares_memory(first.frames, second.frames), "two movies share one memory")
        ended = first.readback.began + timedelta(seconds=first.readback.seconds - self.clock_tolerance_s)
        expect(second.readback.began >= ended, "the second exposure began before the first had ended")

    def test_without_a_beam_nothing_is_exposed(self) -> None:
        """It is an error, says that nothing was delivered, and ends when the beam is back."""
        scope = self.make()
        expect(scope.beam_on(), "a new microscope has no beam")
        expect(scope.set_beam_on(False) is False and not scope.beam_on(), "the beam cannot be turned off")
        in_the_dark = "exposed without a beam"
        for error in (
            expect_error(BeamLostError, in_the_dark, scope.expose, self.request),
            expect_error(BeamLostError, in_the_dark, scope.view, 50_000.0, 64),
        ):
            expect(error.delivered_e_A2 == 0, "an exposure without a beam is said to have delivered something")
        expect(scope.set_beam_on(True) is True and scope.beam_on(), "the beam cannot be turned on again")
        expect(len(scope.expose(self.request).frames) == self.request.frames, "no exposure with the beam on again")

    def test_a_view_is_an_exposure_too(self) -> None:
        """It covers the field asked for, takes time, and says what it cost the specimen."""
        scope = self.make()
        before = scope.now()
        view = scope.view(50_000.0, 64)
        expect(view.pixels.shape in ((64, 64), (0, 0)), f"a view of shape {view.pixels.shape}, not (64, 64)")
        expect(abs(64 * view.pixel_A / 50_000.0 - 1) <= 0.05, f"64 pixels of {view.pixel_A:g} Å do not span 5 µm")
        expect(view.readback.purpose == "view", f"purpose {view.readback.purpose}, not view")
        expect(view.readback.exposure_e_A2 > 0, "a view that costs the specimen nothing")
        self._expect_passed(scope, before, view.readback.seconds, "the view")

    # --- comparisons

    def _expect_passed(self, scope: Microscope, since: datetime, seconds: float, what: str) -> None:
        passed = (scope.now() - since).total_seconds()
        expect(passed >= seconds - self.clock_tolerance_s, f"{what}: the clock went on by {passed:g} s of {seconds:g}")

    def _expect_at(self, stage: StagePosition, wanted: StagePosition, when: str) -> None:
        off = abs(stage.tilt_deg - wanted.tilt_deg)
        expect(off <= self.tilt_tolerance_deg, f"{when}: tilt {stage.tilt_deg:g}°, not {wanted.tilt_deg:g}°")
        for axis in AXES:
            here, there = getattr(stage, axis), getattr(wanted, axis)
            expect(abs(here - there) <= self.stage_tolerance_A, f"{when}: {axis} is {here:g}, not {there:g}")

    def _expect_shift(self, shift: ShiftYX, wanted: ShiftYX, what: str) -> None:
        off = math.hypot(shift[0] - wanted[0], shift[1] - wanted[1])
        expect(off <= self.shift_tolerance_A, f"{what}: {shift}, not {wanted}")


def _just_beyond(limits: StageLimits, axis: str) -> tuple[float, float]:
    low, high = getattr(limits, axis)
    return low - 1.0, high + 1.0


def _expect_own_counts(movie: Movie) -> None:
    if movie.frames.size == 0:  # a microscope that makes no pixels has no counts to speak of
        return
    total = movie.frames.sum(axis=0, dtype=np.int64)
    said = (movie.readback.counts_min, movie.readback.counts_max, movie.readback.counts_mean)
    seen = (float(total.min()), float(total.max()), float(total.mean()))
    expect(np.allclose(said, seen, rtol=1e-4, atol=1e-4), f"counts are said to be {said} and are {seen}")
