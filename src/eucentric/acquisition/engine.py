"""`Engine`: runs a program on a microscope, from wherever it was left, to an end that has a name."""

import math
import shutil
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import Any

from eucentric.acquisition.aiming import Aiming, seen_at
from eucentric.acquisition.eyes import Eyes, Seen
from eucentric.acquisition.model import StageModel
from eucentric.acquisition.past import Past, past_of, replay
from eucentric.acquisition.program import Program, Step
from eucentric.acquisition.reacting import GiveUpError, Reactions
from eucentric.acquisition.recorder import FreeBytes, MovieFiles, Recorder
from eucentric.acquisition.series_files import SeriesFiles
from eucentric.acquisition.timing import predicted_seconds
from eucentric.core import EucentricError, OutputError
from eucentric.design import TRACKING
from eucentric.microscope import ExposureRequest, Microscope, Movie
from eucentric.session import ExposureBook, ExposureRecord, Session

_WAIT_STEP_S = 5.0  # a wait can be ended by a pause after each


class State(StrEnum):
    """What the engine is doing."""

    READY = "ready"
    MOVING = "moving"
    TRACKING = "tracking"
    FOCUSING = "focusing"
    EXPOSING = "exposing"
    ENDED = "ended"


class Finish(StrEnum):
    """How a run ended."""

    FINISHED = "finished"
    PAUSED = "paused"
    ABORTED = "aborted"
    FAILED = "failed"


@dataclass(frozen=True)
class Ended:
    """The end of a run, and why."""

    finish: Finish
    reason: str


@dataclass(frozen=True)
class Happened:
    """Something that listeners are told: its kind, and what it says, as in the journal."""

    kind: str
    body: Mapping[str, Any]


Listener = Callable[[Happened], None]


def skip_uncertain(record: ExposureRecord) -> bool:
    """Leave an exposure alone of which nobody knows whether it was made."""
    return False


class _PausedError(Exception):
    """The user wants to pause, and this is a good place."""


class Engine:
    """Runs a program.

    Every exposure is announced in the session's journal before the shutter opens, and its outcome noted after; a run
    that goes on makes what has no record, and nothing else.

    Parameters
    ----------
    microscope
        Which acquires.
    program
        What is acquired.
    session
        Where the record goes; what it holds of this program already is taken up.
    eyes
        Look at the images.
    series
        The files of each target, by name.
    movies
        How movies are written.
    listeners
        Told of all that happens; one that fails is told no more, and never stops the run.
    retake
        Asked, for each exposure whose outcome is unknown, whether it is to be made again.
    free_bytes
        What the disk has left.
    """

    def __init__(
        self,
        microscope: Microscope,
        program: Program,
        session: Session,
        eyes: Eyes,
        series: Mapping[str, SeriesFiles],
        *,
        movies: MovieFiles | None = None,
        listeners: Sequence[Listener] = (),
        retake: Callable[[ExposureRecord], bool] = skip_uncertain,
        free_bytes: FreeBytes | None = None,
    ) -> None:
        self.state = State.READY
        self._microscope = microscope
        self._program = program
        self._session = session
        self._movies = movies or MovieFiles()
        self._listeners = list(listeners)
        self._retake = retake
        self._eyes = eyes
        self._pausing = False
        acquisition = program.plan.acquisition
        self._policies = acquisition.policies
        self._reactions = Reactions(self._policies, self._tell_policy, self._wait)
        self._model = StageModel(
            program.places_zyx_A,
            picked_deg=program.targets.tilt_deg,
            stage_error_A=acquisition.tracking.stage_error_A,
        )
        self._past = self._taken_up()
        self._recorder = Recorder(
            microscope,
            ExposureBook(session),
            self._past,
            series,
            self._movies,
            self._reactions,
            Reactions(self._policies, self._tell_policy, microscope.wait),
            self._policies.disk_low.least_GB,
            free_bytes or (lambda: shutil.disk_usage(session.folder).free),
        )
        self._aiming = Aiming(
            microscope, program, self._recorder, eyes, self._model, self._reactions, self._tell, self._checkpoint
        )
        self._predicted_s = predicted_seconds(program)
        self._failures = 0  # of the camera, in a row

    @property
    def past(self) -> Past:
        """What has been received, and which images there are."""
        return self._past

    def series(self, name: str) -> SeriesFiles:
        """Return the files of a target."""
        return self._recorder.series(name)

    def records(self) -> tuple[ExposureRecord, ...]:
        """Return all exposures of the session, oldest first."""
        return ExposureBook(self._session).records()

    def pause(self) -> None:
        """Stop before the next exposure or move; may be called from a signal's handler or another thread."""
        self._pausing = True

    def run(self) -> Ended:
        """Acquire what is left of the program, and return how it ended; never raises for what happens on the way."""
        began = self._microscope.now()
        self._tell("acquisition.started", steps=len(self._program.steps), targets=list(self._program.names))
        try:
            self._run()
            ended = Ended(Finish.FINISHED, self._summary())
        except _PausedError:
            ended = Ended(Finish.PAUSED, "paused; the next exposure has not been made")
        except KeyboardInterrupt:
            ended = Ended(Finish.ABORTED, "interrupted")
        except GiveUpError as error:
            ended = Ended(Finish.ABORTED, error.reason)
        except EucentricError as error:
            ended = Ended(Finish.FAILED, f"{error.what} {error.fix}".strip())
        except Exception as error:  # noqa: BLE001 - a fault of a driver's or of ours must end in the journal, not in a trace
            self._tell("acquisition.fault", trace=traceback.format_exc())
            ended = Ended(Finish.FAILED, f"{type(error).__name__}: {error}")
        seconds = (self._microscope.now() - began).total_seconds()
        self.state = State.ENDED
        self._tell("acquisition.ended", finish=ended.finish, reason=ended.reason, seconds=seconds)
        return ended

    def remaining_s(self) -> float:
        """Return how long what is left will take by the microscope's clock, as the plan's times have it."""
        targets = len(self._program.names)
        return sum(
            seconds * len(self._todo(step)) / targets
            for step, seconds in zip(self._program.steps, self._predicted_s, strict=True)
        )

    # The loop

    def _run(self) -> None:
        steps = [step for step in self._program.steps if self._todo(step)]
        if not steps:
            return
        self._program.check(self._microscope.limits())
        if self._program.tracked == TRACKING and not self._session.events("acquisition.saw"):
            self._find_the_way(steps[0])
        for step in steps:
            if self._todo(step):
                with_reason = self._step(step)
                if with_reason is not None:
                    self._give_up(step, with_reason)

    def _find_the_way(self, first: Step) -> None:
        """Go from where the targets were picked to the first tilt, looking on the way, so that the height is known."""
        at_pick = Step(first.exposure, "start")
        self._aiming.stay(self._program.targets.tilt_deg, order=first.order)
        self.state = State.TRACKING
        try:
            self._aiming.track(at_pick, TRACKING)
            self._aiming.focus(at_pick, TRACKING)
            self._measure_plane(at_pick)
            for tilt_deg in self._program.walk():
                self._aiming.go_to(tilt_deg, "start", order=first.order)
                self._aiming.track(at_pick, TRACKING)
        except GiveUpError as error:
            self._unless_abort(error)  # what was not seen on the way is seen at the first tilt

    def _measure_plane(self, at_pick: Step) -> None:
        """Measure the heights of the focus points, if that is asked for, and take up the plane through them."""
        heights_A = {name: self._aiming.focus(at_pick, name, learn=False) for name in self._program.targets.to_measure}
        known = {name: height_A for name, height_A in heights_A.items() if height_A is not None}
        if not heights_A:
            return
        if len(known) < len(heights_A):
            missing = ", ".join(name for name in heights_A if name not in known)
            raise GiveUpError("abort", f"the specimen's plane cannot be told: no focus at {missing}")
        self._tell("acquisition.plane", heights_A=known, order=at_pick.order)
        self._lie(known)

    def _lie(self, heights_A: Mapping[str, float]) -> None:
        self._program = self._program.measured(heights_A)
        self._model.lie(self._program.places_zyx_A)
        self._eyes.slab_deg = self._program.slab_deg

    def _step(self, step: Step) -> GiveUpError | None:
        """Acquire a tilt; return why its other targets are given up, if they are."""
        try:
            self.state = State.MOVING
            self._aiming.go_to(step.tilt_deg, step.side, order=step.order)
            if self._program.tracked == TRACKING:
                self.state = State.TRACKING
                self._aiming.track(step, TRACKING)
                if step.order % self._program.plan.design.routine.focus_every == 0:
                    self.state = State.FOCUSING
                    self._aiming.focus(step, TRACKING)
        except GiveUpError as error:
            return self._unless_abort(error)
        for target in self._todo(step):
            try:
                self.state = State.EXPOSING
                self._expose(target, step)
            except GiveUpError as error:
                self._give_up(step, self._unless_abort(error), target)
        return None

    def _expose(self, target: str, step: Step) -> None:
        exposure = step.exposure
        for attempt in count():
            self._checkpoint()
            self._aiming.beam(step)
            predicted = self._aiming.aim(target, exposure.defocus_A, target=target, order=step.order)
            shot = self._recorder.expose(
                target,
                step,
                ExposureRequest(exposure_e_A2=exposure.exposure_e_A2, frames=exposure.frames),
                exposure.defocus_A,
                predicted_yx_A=list(predicted.yx_A),
                sigma_A=list(predicted.sigma_yx_A),
            )
            if not shot.nothing_delivered:
                break
            name = "beam_gone" if shot.beam_lost else "camera_failed"
            if not self._reactions.again(name, shot.trouble, attempt, target=target, order=step.order):
                raise GiveUpError("skip", shot.trouble)
        if shot.movie is None:
            self._camera_failed(shot.trouble, target, step)
            return
        seen = self._aiming.learn(step, target, shot.movie, predicted)
        if seen is None and self._program.tracked == target and self._eyes.knows(target) and shot.movie.frames.size:
            # The others of this tilt go by this image: where it tells nothing, one is taken for them.
            self._aiming.track(step, target)
        share = self._counts_share(shot.movie, step)
        self._tell(
            "acquisition.exposed",
            target=target,
            order=step.order,
            tilt_deg=shot.movie.readback.tilt_deg,
            predicted_yx_A=list(predicted.yx_A),
            measured_yx_A=list(seen_at(shot.movie, seen)) if seen else None,
            defocus_A=shot.movie.readback.defocus_A,
            wanted_defocus_A=exposure.defocus_A,
            counts_share=share,
            received_e_A2=self._past.received_e_A2.get(target, 0.0),
            remaining_s=self.remaining_s(),
        )
        self._judge(target, step, shot.movie, seen, share)

    def _judge(self, target: str, step: Step, movie: Movie, seen: Seen | None, share: float) -> None:
        """Hold an exposure against the policies that look at images. It was made, and is not repeated."""
        where: dict[str, Any] = {"target": target, "order": step.order, "tilt_deg": step.tilt_deg}
        policies = self._policies
        # One frame is the sum of all, which is what a microscope gives that writes its movies itself.
        missing = 100 * (1 - len(movie.frames) / step.exposure.frames) if len(movie.frames) > 1 else 0.0
        if missing > policies.camera_failed.most_percent:
            self._camera_failed(f"{missing:.0f} % of the frames are missing", target, step)
        else:
            self._failures = 0
        if share < policies.lost_counts.least_share:
            self._reactions.final("lost_counts", f"counts are {100 * share:.0f} % of those predicted", **where)
        if seen is not None and movie.frames.size:
            lost = 100 * math.hypot(*seen.yx_A) / (min(movie.frames.shape[1:]) * movie.pixel_A)
            if lost > policies.field_lost.most_percent:
                self._reactions.final("field_lost", f"{lost:.0f} % of the field were missed", **where)

    def _camera_failed(self, reason: str, target: str, step: Step) -> None:
        """Go on without an image, unless that happens again and again; what was exposed is never repeated."""
        self._failures += 1
        policy = self._policies.camera_failed
        where: dict[str, Any] = {"target": target, "order": step.order, "tilt_deg": step.tilt_deg}
        self._reactions.final("camera_failed", reason, last=self._failures >= policy.tries, **where)

    def _counts_share(self, movie: Movie, step: Step) -> float:
        """Return the counts of an image over those that beam and path give it."""
        design = self._program.plan.design
        passed = float(design.slab.transmission[step.order])
        expected = design.routine.dose_rate_e_A2_per_s * movie.pixel_A**2 * passed
        return movie.readback.dose_rate_e_px_s / expected

    # Giving up

    @staticmethod
    def _unless_abort(error: GiveUpError) -> GiveUpError:
        if error.scope == "abort":
            raise error
        return error

    def _give_up(self, step: Step, error: GiveUpError, target: str | None = None) -> None:
        """Leave out a target, or all that are left, at this tilt or on this side."""
        for name in (target,) if target is not None else self._todo(step):
            self._skip(name, step, error.reason)
            if error.scope == "stop-side":
                self._past.stopped.add((name, step.side))
                self._tell("acquisition.stopped", target=name, side=step.side, reason=error.reason)
                for later in self._program.steps:
                    if later.side == step.side:
                        self._skip(name, later, f"this side was given up at {step.tilt_deg:g}°: {error.reason}")

    def _skip(self, target: str, step: Step, reason: str) -> None:
        if (target, step.order) not in self._past.settled:
            self._recorder.skip(target, step, reason)

    def _todo(self, step: Step) -> tuple[str, ...]:
        past = self._past
        return tuple(
            name
            for name in self._program.names
            if (name, step.order) not in past.settled and (name, step.side) not in past.stopped
        )

    # The record

    def _taken_up(self) -> Past:
        frames = self._session.folder / "frames"
        past, lost = past_of(
            ExposureBook(self._session).records(),
            has_movie=lambda name: (frames / name).is_file(),
            retake=self._retake,
        )
        replay(self._session.events("acquisition."), self._model, past, self._lie)
        told = {(event.body["target"], event.body["order"]) for event in self._session.events("acquisition.lost")}
        for record in lost:
            if (record.target, record.order) not in told:
                self._tell("acquisition.lost", target=record.target, order=record.order, reason=record.reason)
        return past

    def _summary(self) -> str:
        images = sum(len(images) for images in self._past.images.values())
        return f"{images} images of {len(self._program.steps) * len(self._program.names)} planned"

    def _tell(self, kind: str, **body: Any) -> None:
        """Note what happened, and tell the listeners; none of it changes what was exposed.

        What finds no room on the disk is not noted: the record of exposures waits for room, as the policy says.
        """
        with suppress(OutputError):
            self._session.note(kind, body, series=body.get("target"))
        for listener in tuple(self._listeners):
            try:
                listener(Happened(kind, body))
            except Exception as error:  # noqa: BLE001 - whatever a listener does, the run goes on
                self._listeners.remove(listener)
                self._tell("acquisition.listener", reason=f"{type(error).__name__}: {error}")

    def _tell_policy(self, **body: Any) -> None:
        self._tell("acquisition.policy", **body)

    def _wait(self, seconds: float) -> None:
        while seconds > 0:
            self._checkpoint()
            step_s = min(seconds, _WAIT_STEP_S)
            self._microscope.wait(step_s)
            seconds -= step_s

    def _checkpoint(self) -> None:
        if self._pausing:
            raise _PausedError
