"""`Aiming`: brings places under the beam and into focus, and learns from every image where they really are."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from eucentric.acquisition.eyes import Eyes, Focused, Seen
from eucentric.acquisition.model import Predicted, Side, StageModel
from eucentric.acquisition.program import Program, Step
from eucentric.acquisition.reacting import GiveUpError, Reactions, trouble_of
from eucentric.acquisition.recorder import Recorder, Shot
from eucentric.microscope import ExposureRequest, Microscope, MicroscopeError, Movie, Purpose, ShiftYX

Tell = Callable[..., object]
_SAME_DEG = 1e-3
_OFF_A = 300.0  # a shift that reads back further from where it was set is not there
_TILTED_MRAD = 0.02  # 0.05 mrad of coma are felt from 4 Å on
_GATE = 5.0  # standard deviations
_STRONGEST = 4  # times the exposure of a tracking image, for one after another that cannot be placed
_AT_CENTRE = Seen((0.0, 0.0), 5.0)
_AGREE_A = 400.0  # two images of one tilt that agree so well show a stage that jumped, not an image misread


@dataclass(frozen=True)
class Look:
    """Where a target was seen in its own image, and whether that fits what the model knows."""

    seen: Seen
    believed: bool


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
    at
        The tilt, and its side, that the model is at already, in a run that goes on.
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
        at: tuple[float, Side] | None = None,
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
        self._at = at

    # Moving

    def go_to(self, tilt_deg: float, side: Side, **where: Any) -> None:
        """Tilt, in the plan's direction, wait, and begin the tilt for the model.

        Raises
        ------
        GiveUpError
            If the stage does not go there and the policy says so.
        """
        for attempt in count():
            read_deg, trouble = self._tilt(tilt_deg)
            if not trouble or not self._reactions.again("stage_failed", trouble, attempt, **where):
                break
        if read_deg is None:  # nobody can say where the stage is: nothing can be recorded there
            raise GiveUpError("skip", trouble)
        self.begin(read_deg, side, **where)

    def begin(self, tilt_deg: float, side: Side, **where: Any) -> None:
        """Begin a tilt for the model, unless it is the one that it is at: the stage has not moved then."""
        if self._at is not None and self._at[1] == side and abs(self._at[0] - tilt_deg) < _SAME_DEG:
            return
        self._at = (tilt_deg, side)
        self._model.at(tilt_deg, side)
        self._tell("acquisition.tilt", tilt_deg=tilt_deg, side=side, **where)

    def _tilt(self, tilt_deg: float) -> tuple[float | None, str]:
        """Tilt and settle; return where the stage is, if it says so, and what went wrong, if anything did."""
        self._checkpoint()
        most_deg, scope = self._settings.policies.stage_failed.most_deg, self._microscope
        read_deg: float | None = None
        try:
            read_deg = scope.stage().tilt_deg
            if abs(read_deg - tilt_deg) > _SAME_DEG:
                self._at = None  # whatever comes of it, the stage has been moved
                by_deg = self._program.backlash_from_deg(read_deg, tilt_deg, scope.limits())
                if by_deg is not None:
                    scope.tilt_to(by_deg)
                scope.tilt_to(tilt_deg)
            scope.wait(self._settings.approach.settle_s)
            read_deg = scope.stage().tilt_deg
        except MicroscopeError as error:
            return read_deg, trouble_of(error)
        if abs(read_deg - tilt_deg) > most_deg:
            return read_deg, f"the stage is at {read_deg:.2f}°, not at {tilt_deg:.2f}°"
        return read_deg, ""

    def aim(self, place: str, defocus_A: float, beam_tilt_yx_mrad: ShiftYX = (0.0, 0.0), **where: Any) -> Predicted:
        """Bring a place into the centre of image and beam, to a defocus, under a beam of a tilt.

        Raises
        ------
        GiveUpError
            If the lenses do not go there: nothing is exposed at a place that is not the one meant.
        """
        predicted = self._model.predict(place)
        lens_A = defocus_A - self._settings.defocus_hand * predicted.height_A
        for attempt in count():
            trouble = self._set_lenses(predicted.yx_A, lens_A, beam_tilt_yx_mrad)
            if not trouble:
                break
            if not self._reactions.again("lens_refused", trouble, attempt, place=place, **where):
                raise GiveUpError("skip", trouble)
        return predicted

    def _set_lenses(self, yx_A: ShiftYX, defocus_A: float, beam_tilt_yx_mrad: ShiftYX) -> str:
        """Set shifts, focus and beam tilt; return what went wrong, if anything did."""
        scope = self._microscope
        try:
            image_A, beam_A = scope.set_image_shift_A(yx_A), scope.set_beam_shift_A(yx_A)
            scope.set_defocus_A(defocus_A)
            if math.dist(scope.beam_tilt_mrad(), beam_tilt_yx_mrad) > _TILTED_MRAD:
                scope.set_beam_tilt_mrad(beam_tilt_yx_mrad)
        except MicroscopeError as error:
            return trouble_of(error)
        for what, read_A in (("image", image_A), ("beam", beam_A)):
            if math.dist(read_A, yx_A) > _OFF_A:
                return f"the {what} shift reads {math.dist(read_A, yx_A) / 10:.0f} nm from where it was set"
        return ""

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
        stronger = 1
        while True:
            predicted, shot = self._shoot(step, place, "track", stronger * settings.exposure_e_A2)
            images += 1
            seen = self._look(place, shot.movie, step) if shot.movie else None
            if seen is None and shot.movie is not None:
                stronger = min(2 * stronger, _STRONGEST)
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
        if seen is None and not self._eyes.knows(place) and self._eyes.shows(movie):
            return _AT_CENTRE
        return seen

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
        tries = {"defocus_off": 0}
        while True:
            found, predicted, lens_A = self._pair(step, place)
            if found is None:
                if self._again("defocus_off", "the defocus cannot be measured", tries, step):
                    continue
                return None
            height_A = (found.defocus_A - lens_A) / self._settings.defocus_hand
            off_A = abs(height_A - predicted.height_A)
            likely_A = math.hypot(predicted.sigma_height_A, found.sigma_A)
            if off_A > max(self._settings.policies.defocus_off.most_A, _GATE * likely_A):
                reason = f"the defocus is {off_A / 1e4:.2f} µm from what was predicted"
                if self._again("defocus_off", reason, tries, step):
                    continue
                return None
            if learn:
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

    def _pair(self, step: Step, place: str) -> tuple[Focused | None, Predicted, float]:
        """Take two images of opposite beam tilts; return what they tell, what was expected, and the lens's defocus."""
        settings, movies = self._settings.focusing, []
        for tilt_mrad in (settings.beam_tilt_mrad, -settings.beam_tilt_mrad):
            predicted, shot = self._shoot(step, place, "focus", settings.exposure_e_A2, (tilt_mrad, 0.0))
            if shot.movie is None:
                return None, predicted, 0.0
            movies.append(shot.movie)
        found = self._eyes.focus(place, movies[0], movies[1], settings.beam_tilt_mrad)
        return found, predicted, movies[1].readback.defocus_A

    def learn(self, step: Step, target: str, movie: Movie, predicted: Predicted) -> Look | None:
        """Look where a target lies in its own image, and learn from it; None if that cannot be told."""
        seen = self._eyes.look(target, movie, step.side)
        if seen is None:
            if not self._eyes.knows(target) and self._eyes.shows(movie):
                self._eyes.keep(target, movie, step.side, (0.0, 0.0))
            return None
        believed = self._saw(step, target, seen_at(movie, seen), seen.sigma_A, predicted)
        if believed:
            self._eyes.keep(target, movie, step.side, seen.yx_A)
        return Look(seen, believed)

    # What they share

    def _shoot(
        self, step: Step, place: str, purpose: Purpose, exposure_e_A2: float, beam_tilt_yx_mrad: ShiftYX = (0.0, 0.0)
    ) -> tuple[Predicted, Shot]:
        """Aim at a place and expose it, waiting for the beam as the policy says; lenses that refuse give no image."""
        for attempt in count():
            self._checkpoint()
            self.beam(step)
            try:
                predicted = self.aim(place, step.exposure.defocus_A, beam_tilt_yx_mrad, order=step.order)
            except GiveUpError as error:
                if error.scope == "skip":
                    return self._model.predict(place), Shot(None, error.reason, nothing_delivered=True)
                raise
            request = ExposureRequest(exposure_e_A2=exposure_e_A2, frames=1, purpose=purpose)
            shot = self._recorder.expose(place, step, request, step.exposure.defocus_A)
            again = shot.nothing_delivered and shot.beam_lost
            if not again or not self._reactions.again("beam_gone", shot.trouble, attempt, order=step.order):
                break
        return predicted, shot

    def beam(self, step: Step) -> None:
        """Return once there is a beam.

        Raises
        ------
        GiveUpError
            If there is none and the policy says so.
        """
        for attempt in count():
            try:
                trouble = "" if self._microscope.beam_on() else "there is no beam"
            except MicroscopeError as error:
                trouble = trouble_of(error)
            if not trouble or not self._reactions.again("beam_gone", trouble, attempt, order=step.order):
                return
            self._checkpoint()

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
