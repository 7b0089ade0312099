"""How a plan is acquired: the way to each tilt, tracking, focusing, and what is done when something goes wrong."""

from typing import Annotated, Literal

from pydantic import Field

from eucentric.core import Angstrom, Degrees, ElectronsPerA2
from eucentric.design.instrument import Seconds
from eucentric.design.refusal import DesignRecord

Action = Literal["go-on", "wait", "retry", "skip", "stop-side", "abort"]
LastResort = Literal["go-on", "skip", "stop-side", "abort"]
Share = Annotated[float, Field(ge=0, le=1)]
Percent = Annotated[float, Field(gt=0, le=100)]
Far = Annotated[Angstrom, Field(gt=0, le=1e6)]
Tries = Annotated[int, Field(ge=1, le=10_000)]


class Approach(DesignRecord):
    """How each tilt is reached.

    Parameters
    ----------
    ends
        The direction in which every move to a tilt ends, whichever way the series goes: what a stage's gears have of
        play then falls out of the differences between tilts.
    backlash_deg
        How far a move in the other direction goes beyond its tilt, to come back; 0 for no such move.
    settle_s
        Waited at each tilt, before tracking, over what the stage itself takes.
    walk_deg
        The way from where the targets were picked to the first tilt is gone in steps of this, tracked at each, so that
        the specimen's height is known before the first exposure.
    """

    ends: Literal["upward", "downward"] = "upward"
    backlash_deg: Annotated[Degrees, Field(ge=0, le=20)] = 3.0
    settle_s: Seconds = 3.0
    walk_deg: Annotated[Degrees, Field(gt=0, le=30)] = 3.0


class Tracking(DesignRecord):
    """How the targets are followed.

    Parameters
    ----------
    by
        ``area``: an image of the tracking area, if the targets name one, before the exposures of each tilt;
        ``exposure``: the first target's own exposure, which costs nothing and tells only the others.
    exposure_e_A2
        Of a tracking image; one that cannot be placed is followed by another of twice the exposure, up to four times.
    stage_error_A
        By how much the stage misses a place after a move, rms along each axis, over what the model of the series can
        know: how far a tracking image is trusted against the model.
    close_A
        A tracking image that was further off than this is followed by another one.
    rounds
        Images at one tilt, at most, unless a policy asks for another.
    """

    by: Literal["area", "exposure"] = "area"
    exposure_e_A2: Annotated[ElectronsPerA2, Field(gt=0, le=100)] = 1.0
    stage_error_A: Far = 1000.0
    close_A: Far = 1500.0
    rounds: Annotated[int, Field(ge=1, le=20)] = 2


class Focusing(DesignRecord):
    """How the focus is followed: from the shift between two images of opposite beam tilt, in the tracking area.

    How often is `design.routine.focus_every`.

    Parameters
    ----------
    exposure_e_A2
        Of each of the two images.
    beam_tilt_mrad
        Of each of them, up and down along the tilt axis: 5 mrad move them 10 Å apart for 1000 Å of defocus.
    """

    exposure_e_A2: Annotated[ElectronsPerA2, Field(gt=0, le=100)] = 1.0
    beam_tilt_mrad: Annotated[float, Field(gt=0, le=20)] = 5.0


class Policy(DesignRecord):
    """What is done when something goes wrong.

    Parameters
    ----------
    action
        ``go-on`` as if it had not happened; ``wait`` and look again; ``retry``; ``skip`` what it happened to, this
        target at this tilt; ``stop-side``, give up this target's further tilts on this side; ``abort`` the run, which
        can be resumed. No action repeats an exposure.
    tries
        How often to wait or retry.
    wait_s
        Before each of them.
    then
        What is done after the last of them.
    """

    action: Action = "retry"
    tries: Tries = 2
    wait_s: Seconds = 0.0
    then: LastResort = "skip"


class BeamGone(Policy):
    """There is no beam."""

    action: Action = "wait"
    tries: Tries = 60
    wait_s: Seconds = 60.0
    then: LastResort = "abort"


class StageFailed(Policy):
    """A tilt is refused, unanswered, or ends further than `most_deg` from where it should."""

    most_deg: Annotated[Degrees, Field(gt=0, le=10)] = 0.3
    wait_s: Seconds = 5.0
    then: LastResort = "stop-side"


class LensRefused(Policy):
    """Image shift, beam shift, focus or beam tilt is refused, unanswered, or reads back elsewhere.

    ``go-on`` is taken as ``skip``: nothing is exposed at a place that is not the one meant.
    """

    tries: Tries = 1


class LostCounts(Policy):
    """An image has less than `least_share` of the counts that the beam and the predicted path give it.

    The image was made: ``retry``, ``wait`` and ``skip`` are taken as ``go-on``.
    """

    action: Action = "stop-side"
    least_share: Share = 0.1


class PredictionError(Policy):
    """The tracking area lies further than `most_A` from where it was predicted: another tracking image is forced."""

    most_A: Far = 5000.0
    then: LastResort = "go-on"


class TrackingFailed(Policy):
    """A tracking image cannot be placed, or cannot be taken."""

    then: LastResort = "go-on"


class FieldLost(Policy):
    """An exposure missed its target by more than this share of the field.

    The image was made: ``retry``, ``wait`` and ``skip`` are taken as ``go-on``.
    """

    action: Action = "stop-side"
    most_percent: Percent = 40.0


class DefocusOff(Policy):
    """The measured defocus is off by more than `most_A`, and by more than five times what the model is unsure of."""

    most_A: Far = 15_000.0
    tries: Tries = 1
    then: LastResort = "go-on"


class DiskLow(Policy):
    """The disk has less than `least_GB` left, or a movie cannot be written, which is kept in memory meanwhile.

    ``go-on`` holds for what is left; what cannot be written ends the run, with the movie in the temporary folder.
    """

    action: Action = "wait"
    least_GB: Annotated[float, Field(ge=0, le=1e6)] = 1.0
    tries: Tries = 60
    wait_s: Seconds = 60.0
    then: LastResort = "abort"


class DriftHigh(Policy):
    """Two tracking images of one tilt show a drift above `most_A_per_s`."""

    action: Action = "wait"
    most_A_per_s: Annotated[float, Field(gt=0, le=1e6)] = 20.0
    tries: Tries = 3
    wait_s: Seconds = 5.0
    then: LastResort = "go-on"


class CameraFailed(Policy):
    """An exposure was made or may have been, and there is no image of it, or more than `most_percent` is missing.

    It is never repeated: ``retry`` and ``wait`` are taken as ``go-on``. One of which the camera says that nothing was
    delivered is made again. After `tries` of both in a row comes `then`.
    """

    action: Action = "go-on"
    most_percent: Percent = 60.0
    tries: Tries = 3
    then: LastResort = "abort"


class Policies(DesignRecord):
    """What is done when something goes wrong, by what it is."""

    beam_gone: BeamGone = BeamGone()
    stage_failed: StageFailed = StageFailed()
    lens_refused: LensRefused = LensRefused()
    lost_counts: LostCounts = LostCounts()
    prediction_error: PredictionError = PredictionError()
    tracking_failed: TrackingFailed = TrackingFailed()
    field_lost: FieldLost = FieldLost()
    defocus_off: DefocusOff = DefocusOff()
    disk_low: DiskLow = DiskLow()
    drift_high: DriftHigh = DriftHigh()
    camera_failed: CameraFailed = CameraFailed()


class Acquisition(DesignRecord):
    """How a plan is acquired.

    `defocus_hand` says whether a specimen that is raised is further under focus (+1) or less (-1).
    """

    approach: Approach = Approach()
    tracking: Tracking = Tracking()
    focusing: Focusing = Focusing()
    defocus_hand: Literal[1, -1] = 1
    policies: Policies = Policies()
