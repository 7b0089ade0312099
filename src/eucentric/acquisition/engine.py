"""`Engine`: runs a program on a microscope, from wherever it was left, to an end that has a name."""

import shutil
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import count

from eucentric.acquisition.aiming import Aiming, seen_at
from eucentric.acquisition.eyes import Eyes
from eucentric.acquisition.happenings import Ended, Finish, Listener, State, Teller
from eucentric.acquisition.judging import Judge
from eucentric.acquisition.model import StageModel
from eucentric.acquisition.past import RECORD, Past, past_of, replay
from eucentric.acquisition.program import Program, Step
from eucentric.acquisition.reacting import GiveUpError, Reactions
from eucentric.acquisition.recorder import FreeBytes, MovieFiles, Recorder
from eucentric.acquisition.series_files import SeriesFiles
from eucentric.acquisition.timing import predicted_seconds
from eucentric.acquisition.way import Way
from eucentric.core import EucentricError
from eucentric.design import TRACKING
from eucentric.microscope import ExposureRequest, Microscope, MicroscopeError
from eucentric.session import ExposureBook, ExposureRecord, ExposureState, Session

_WAIT_STEP_S = 5.0  # a wait can be ended by a pause after each


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
        self._tell = Teller(session, listeners)
        self._retake = retake
        self._eyes = eyes
        self._pausing = False
        acquisition = program.plan.acquisition
        policies = acquisition.policies
        self._reactions = Reactions(policies, self._tell.policy, self._wait)
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
            Reactions(policies, self._tell.policy, microscope.wait),
            policies.disk_low.least_GB,
            free_bytes or (lambda: shutil.disk_usage(session.folder).free),
        )
        self._aiming = Aiming(
            microscope,
            program,
            self._recorder,
            eyes,
            self._model,
            self._reactions,
            self._tell,
            self._checkpoint,
            self._past.at,
        )
        self._predicted_s = predicted_seconds(program)
        self._judge = Judge(program.plan, self._reactions, sums=getattr(microscope, "gives_sums", False))

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
        began = self._time()
        self._tell("acquisition.started", steps=len(self._program.steps), targets=list(self._program.names))
        try:
            self._run()
            ended = Ended(Finish.FINISHED, self._summary())
        except _PausedError:
            ended = Ended(Finish.PAUSED, "paused; the next exposure has not been made")
        except KeyboardInterrupt as error:
            ended = Ended(Finish.ABORTED, str(error) or "interrupted")
        except GiveUpError as error:
            ended = Ended(Finish.ABORTED, error.reason)
        except EucentricError as error:
            ended = Ended(Finish.FAILED, f"{error.what} {error.fix}".strip())
        except Exception as error:  # noqa: BLE001 - a fault of a driver's or of ours must end in the journal, not in a trace
            self._tell("acquisition.fault", trace=traceback.format_exc())
            ended = Ended(Finish.FAILED, f"{type(error).__name__}: {error}")
        now = self._time()
        ended = replace(ended, seconds=(now - began).total_seconds() if now and began else 0.0)
        self.state = State.ENDED
        with suppress(EucentricError):
            self._recorder.write_mdocs()
        self._tell("acquisition.ended", finish=ended.finish, reason=ended.reason, seconds=ended.seconds)
        return ended

    def _time(self) -> datetime | None:
        """Return the microscope's time, None from one that does not answer."""
        try:
            return self._microscope.now()
        except MicroscopeError:
            return None

    def remaining_s(self) -> float:
        """Return how long what is left will take by the microscope's clock, as the plan's times have it."""
        targets = len(self._program.names)
        return sum(
            seconds * len(self._todo(step)) / targets
            for step, seconds in zip(self._program.steps, self._predicted_s, strict=True)
        )

    # The loop

    def _run(self) -> None:
        self._finish_stopped()
        steps = [step for step in self._program.steps if self._todo(step)]
        if not steps:
            return
        self._program.check(self._microscope.limits())
        try:
            if not self._session.events("acquisition.way"):
                self.state = State.TRACKING
                way = Way(self._microscope, self._program, self._aiming, self._tell, self._lie)
                way.go(looked=bool(self._session.events("acquisition.saw")))
            for step in steps:
                if self._todo(step):
                    given_up = self._step(step)
                    if given_up is not None:
                        self._give_up(step, given_up)
        finally:
            with suppress(MicroscopeError):
                self._microscope.set_beam_tilt_mrad((0.0, 0.0))

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
            if not shot.beam_lost:
                self._judge.no_image(shot.trouble, target, step)
            elif not self._reactions.again("beam_gone", shot.trouble, attempt, target=target, order=step.order):
                raise GiveUpError("skip", shot.trouble)
        if shot.movie is None:
            self._judge.no_image(shot.trouble, target, step)
            return
        look = self._aiming.learn(step, target, shot.movie, predicted)
        believed = look is not None and look.believed
        if not believed and self._program.tracked == target and self._eyes.knows(target) and self._todo(step):
            # The others of this tilt go by this image: where it tells nothing, one is taken for them.
            self._aiming.track(step, target)
        share = self._judge.counts_share(shot.movie, step)
        self._tell(
            "acquisition.exposed",
            target=target,
            order=step.order,
            tilt_deg=shot.movie.readback.tilt_deg,
            predicted_yx_A=list(predicted.yx_A),
            measured_yx_A=list(seen_at(shot.movie, look.seen)) if look else None,
            defocus_A=shot.movie.readback.defocus_A,
            wanted_defocus_A=exposure.defocus_A,
            counts_share=share,
            received_e_A2=self._past.received_e_A2.get(target, 0.0),
            remaining_s=self.remaining_s(),
        )
        self._judge.image(target, step, shot.movie, look.seen if look else None)

    # Giving up

    @staticmethod
    def _unless_abort(error: GiveUpError) -> GiveUpError:
        if error.scope == "abort":
            raise error
        return error

    def _give_up(self, step: Step, error: GiveUpError, target: str | None = None) -> None:
        """Leave out a target, or all that are left, at this tilt or on this side."""
        for name in (target,) if target is not None else self._todo(step):
            if error.scope == "stop-side":
                reason = f"this side was given up at {step.tilt_deg:g}°: {error.reason}"
                self._past.stopped[name, step.side] = reason
                self._tell("acquisition.stopped", target=name, side=step.side, reason=reason)
            else:
                self._skip(name, step, error.reason)
        self._finish_stopped()

    def _finish_stopped(self) -> None:
        """Record every exposure of a side that was given up as skipped."""
        for (name, side), reason in self._past.stopped.items():
            for step in self._program.steps:
                if step.side == side and name in self._program.names:
                    self._skip(name, step, reason)

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
        planned = {(name, step.order) for step in self._program.steps for name in self._program.names}
        records = {(one.target, one.order): one for one in self.records() if one.purpose == RECORD}
        given_up = sum(key in records and records[key].state is ExposureState.SKIPPED for key in planned)
        return f"{images} images of {len(planned)} planned" + (f", {given_up} given up" if given_up else "")

    def _wait(self, seconds: float) -> None:
        while seconds > 0:
            self._checkpoint()
            step_s = min(seconds, _WAIT_STEP_S)
            self._microscope.wait(step_s)
            seconds -= step_s

    def _checkpoint(self) -> None:
        if self._pausing:
            raise _PausedError
