"""`Aiming`: brings places under the beam and into focus, and learns from every image where they really are."""

import math
from collections.abc import Callable
from typing import Any

from eucentric.acquisition.eyes import Eyes, Seen
from eucentric.acquisition.model import Predicted, Side, StageModel
from eucentric.acquisition.program import Program, Step
from eucentric.acquisition.reacting import Reactions
from eucentric.acquisition.recorder import Recorder, Shot
from eucentric.microscope import ExposureRequest, Microscope, MicroscopeError, Movie, ShiftYX

Tell = Callable[..., object]
_AT_CENTRE = Seen((0.0, 0.0), 5.0)
_AGREE_A = 400.0  # two images of one tilt that agree so well show a stage that jumped, not an image misread


class Aiming:
    """Moves, tracks, focuses and aims.

    Parameters
    ----------
    microscope, program, recorder, eyes, model, reactions
        Of the run.
    tell
        Called with the kind of an event and its body, for the journal.
    checkpoint
        Called before each exposure and each move; raises where the run is to pause.
    """

    def __init__(
        self,
        microscope: Microscope,
        program: Program,
        recorder: Recorder,
        eyes: Eyes,
        model: StageModel,
        reactions: Reactions,
        tell: Tell,
        checkpoint: Callable[[], None],
    ) -> None:
        self._microscope = microscope
        self._program = program
        self._recorder = recorder
        self._eyes = eyes
        self._model = model
        self._reactions = reactions
        self._tell = tell
        self._checkpoint = checkpoint
        self._settings = program.plan.acquisition

    # Moving

    def go_to(self, tilt_deg: float, side: Side, **where: Any) -> None:
        """Tilt, in the plan's direction, wait, and begin the tilt for the model.

        Raises
        ------
        GiveUpError
            If the stage does not go there and the policy says so.
        """
        attempt = 0
        while (trouble := self._tilt(tilt_deg)) and self._reactions.again("stage_failed", trouble, attempt, **where):
            attempt += 1
        self._microscope.wait(self._settings.approach.settle_s)
        read_deg = self._microscope.stage().tilt_deg
        self._model.at(read_deg, side)
        self._tell("acquisition.tilt", tilt_deg=read_deg, side=side, **where)

    def stay(self, tilt_deg: float, **where: Any) -> None:
        """Begin, for the model, the tilt at which the targets were picked, and where the stage still is."""
        self._model.at(tilt_deg, "start")
        self._tell("acquisition.tilt", tilt_deg=tilt_deg, side="start", **where)

    def _tilt(self, tilt_deg: float) -> str:
        """Tilt; return what went wrong, if anything did."""
        self._checkpoint()
        most_deg = self._settings.policies.stage_failed.most_deg
        try:
            by_deg = self._program.backlash_from_deg(self._microscope.stage().tilt_deg, tilt_deg)
            if by_deg is not None:
                self._microscope.tilt_to(by_deg)
            read_deg = self._microscope.tilt_to(tilt_deg).tilt_deg
        except MicroscopeError as error:
            return error.what
        if abs(read_deg - tilt_deg) > most_deg:
            return f"the stage is at {read_deg:.2f}°, not at {tilt_deg:.2f}°"
        return ""

    def aim(self, place: str, defocus_A: float, **where: Any) -> Predicted:
        """Bring a place into the centre of image and beam, and to a defocus.

        Raises
        ------
        GiveUpError
            If the lenses do not go there and the policy says so.
        """
        predicted = self._model.predict(place)
        lens_A = defocus_A - self._settings.defocus_hand * predicted.height_A
        attempt = 0
        while True:
            try:
                self._microscope.set_image_shift_A(predicted.yx_A)
                self._microscope.set_beam_shift_A(predicted.yx_A)
                self._microscope.set_defocus_A(lens_A)
            except MicroscopeError as error:
                if self._reactions.again("lens_refused", error.what, attempt, place=place, **where):
                    attempt += 1
                    continue
            return predicted

    # Tracking

    def track(self, step: Step, place: str) -> None:
        """Look where the tracked place is, as often as the plan and its policies ask.

        Raises
        ------
        GiveUpError
            If a policy says so.
        """
        settings, policies = self._settings.tracking, self._settings.policies
        tries = {"tracking_failed": 0, "prediction_error": 0, "drift_high": 0}
        images, last = 0, None  # the last sighting: where, and when
        while True:
            exposure_e_A2 = settings.exposure_e_A2 * 2 ** tries["tracking_failed"]
            predicted, shot = self._shoot(step, place, "track", exposure_e_A2)
            images += 1
            seen = self._look(place, shot.movie, step) if shot.movie else None
            if shot.movie is None or seen is None:
                reason = shot.trouble or "the tracking image cannot be placed"
                if self._again("tracking_failed", reason, tries, step):
                    continue
                return
            yx_A = seen_at(shot.movie, seen)
            at_s = shot.movie.readback.began.timestamp()
            error_A = math.dist(yx_A, predicted.yx_A)
            agrees = last is not None and math.dist(yx_A, last[0]) < _AGREE_A
            if error_A > policies.prediction_error.most_A and not agrees:
                last = (yx_A, at_s)
                reason = f"{place} was seen {error_A / 10:.0f} nm from where it was predicted"
                if self._again("prediction_error", reason, tries, step):
                    continue
                return
            believed = self._saw(step, place, yx_A, seen.sigma_A, predicted, doubt_A=error_A if agrees else 0.0)
            if believed:
                self._eyes.keep(place, shot.movie, step.side, seen.yx_A)
            drift = math.dist(yx_A, last[0]) / max(at_s - last[1], 0.1) if last is not None else 0.0
            last = (yx_A, at_s)
            if drift > policies.drift_high.most_A_per_s and self._again(
                "drift_high", f"the specimen drifts by {drift / 10:.1f} nm/s", tries, step
            ):
                continue
            if not believed and self._again("prediction_error", "the image does not fit the model", tries, step):
                continue
            if believed and (math.hypot(*seen.yx_A) <= settings.close_A or images >= settings.rounds):
                return
            if not believed:
                return

    def _look(self, place: str, movie: Movie, step: Step) -> Seen | None:
        """Look where a place lies; the first image of all is what later ones are compared with."""
        seen = self._eyes.look(place, movie, step.side)
        return _AT_CENTRE if seen is None and not self._eyes.knows(place) else seen

    def focus(self, step: Step, place: str, *, learn: bool = True) -> float | None:
        """Measure the defocus of a place; return its height up the beam, None if it cannot be told.

        Parameters
        ----------
        step, place
            When and where.
        learn
            Whether the model is to learn from it; not where the specimen's plane is still a guess.

        Raises
        ------
        GiveUpError
            If a policy says so.
        """
        settings, hand = self._settings.focusing, self._settings.defocus_hand
        tries = {"defocus_off": 0}
        while True:
            movies: list[Movie] = []
            for sign in (1.0, -1.0):
                self._beam_tilt((sign * settings.beam_tilt_mrad, 0.0), step)
                try:
                    predicted, shot = self._shoot(step, place, "focus", settings.exposure_e_A2)
                finally:
                    self._beam_tilt((0.0, 0.0), step)
                if shot.movie is not None:
                    movies.append(shot.movie)
            found = self._eyes.focus(place, movies[0], movies[1], settings.beam_tilt_mrad) if len(movies) == 2 else None
            if found is None:
                if self._again("defocus_off", "the defocus cannot be measured", tries, step):
                    continue
                return None
            lens_A = movies[1].readback.defocus_A
            height_A = (found.defocus_A - lens_A) / hand
            off_A = abs(height_A - predicted.height_A)
            likely_A = math.hypot(predicted.sigma_height_A, found.sigma_A)
            if off_A > max(self._settings.policies.defocus_off.most_A, 5 * likely_A):
                reason = f"the defocus is {off_A / 1e4:.2f} µm from what was predicted"
                if self._again("defocus_off", reason, tries, step):
                    continue
                return None
            if not learn:
                return height_A
            self._model.focused(place, height_A, found.sigma_A)
            self._tell(
                "acquisition.focused",
                place=place,
                order=step.order,
                height_A=height_A,
                predicted_height_A=predicted.height_A,
                sigma_A=found.sigma_A,
                defocus_A=found.defocus_A,
                off_A=off_A,
            )
            return height_A

    def learn(self, step: Step, target: str, movie: Movie, predicted: Predicted) -> Seen | None:
        """Look where a target lies in its own image, and learn from it; None if that cannot be told or believed."""
        seen = self._eyes.look(target, movie, step.side)
        if seen is None:
            if not self._eyes.knows(target):
                self._eyes.keep(target, movie, step.side, (0.0, 0.0))
            return None
        if not self._saw(step, target, seen_at(movie, seen), seen.sigma_A, predicted):
            return None
        self._eyes.keep(target, movie, step.side, seen.yx_A)
        return seen

    # What they share

    def _shoot(self, step: Step, place: str, purpose: Any, exposure_e_A2: float) -> tuple[Predicted, Shot]:
        """Aim at a place and expose it, waiting for the beam as the policy says."""
        attempt = 0
        while True:
            self._checkpoint()
            self.beam(step)
            predicted = self.aim(place, step.exposure.defocus_A, order=step.order)
            request = ExposureRequest(exposure_e_A2=exposure_e_A2, frames=1, purpose=purpose)
            shot = self._recorder.expose(place, step, request, step.exposure.defocus_A)
            if not (shot.nothing_delivered and shot.beam_lost):
                return predicted, shot
            if not self._reactions.again("beam_gone", shot.trouble, attempt, order=step.order):
                return predicted, shot
            attempt += 1

    def beam(self, step: Step) -> None:
        """Return once there is a beam.

        Raises
        ------
        GiveUpError
            If there is none and the policy says so.
        """
        attempt = 0
        while not self._microscope.beam_on():
            if not self._reactions.again("beam_gone", "there is no beam", attempt, order=step.order):
                return
            self._checkpoint()
            attempt += 1

    def _beam_tilt(self, yx_mrad: ShiftYX, step: Step) -> None:
        attempt = 0
        while True:
            try:
                self._microscope.set_beam_tilt_mrad(yx_mrad)
            except MicroscopeError as error:
                if self._reactions.again("lens_refused", error.what, attempt, order=step.order):
                    attempt += 1
                    continue
            return

    def _saw(
        self,
        step: Step,
        place: str,
        yx_A: tuple[float, float],
        sigma_A: float,
        predicted: Predicted,
        doubt_A: float = 0.0,
    ) -> bool:
        """Let the model learn where a place was seen; return whether it believed it."""
        if doubt_A:
            self._model.doubt(doubt_A)
        surprise = self._model.saw(place, yx_A, sigma_A)
        if surprise.accepted:
            self._tell(
                "acquisition.saw",
                place=place,
                order=step.order,
                yx_A=list(yx_A),
                sigma_A=sigma_A,
                predicted_yx_A=list(predicted.yx_A),
                error_A=surprise.error_A,
                doubt_A=doubt_A,
            )
        return surprise.accepted

    def _again(self, name: str, reason: str, tries: dict[str, int], step: Step) -> bool:
        again = self._reactions.again(name, reason, tries[name], order=step.order, tilt_deg=step.tilt_deg)
        tries[name] += 1
        return again


def seen_at(movie: Movie, seen: Seen) -> tuple[float, float]:
    """Return where a place was, yx from the optical axis, that was seen in an image."""
    shift_A = movie.readback.image_shift_yx_A
    return shift_A[0] + seen.yx_A[0], shift_A[1] + seen.yx_A[1]
