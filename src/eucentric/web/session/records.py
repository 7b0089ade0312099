"""What the session page knows of a session: its series, their stages and tilts, and what is alarming."""

from enum import StrEnum

from eucentric.core import Record
from eucentric.session import RunStatus
from eucentric.workflow.live import SeriesState


class AlarmKind(StrEnum):
    """What is wrong."""

    COUNTS = "lost counts"
    DRIFT = "drift"
    DEFOCUS = "defocus"
    DISK = "disk"
    MOVIE = "missing movie"
    FAILED = "failed"
    STOPPED = "stopped"


class Alarm(Record):
    """Something to look at: what, in words, and which section of which series; none for the whole session."""

    kind: AlarmKind
    text: str
    series: str | None = None
    section: int | None = None


class StageView(Record):
    """The latest run of a stage; `outdated` says why it has to run again, and is empty where it need not."""

    name: str
    status: RunStatus
    started_at: str
    seconds: float | None = None
    reason: str = ""
    outdated: str = ""


class Predicted(Record):
    """What the plan says of a tilt.

    `counts` are brought to the camera's unit by one factor for the series, as the plan counts electrons;
    `alignment_error_A` is by how much the tilt is expected to be misplaced.
    """

    tilt_deg: float
    exposure_e_A2: float
    defocus_A: float
    path_A: float
    motion_A: float
    alignment_error_A: float
    counts: float | None = None


class TiltView(Record):
    """A tilt as far as it is known; what is absent has not been found yet.

    Attributes
    ----------
    section
        Its place in the .mdoc, or the order of the exposure where there is no .mdoc.
    tilt_deg, order
        Of the stage, and its place in the acquisition.
    exposure_e_A2, counts, motion_A, defocus_A, target_defocus_A, fit_resolution_A, residual_A
        Counts are the mean of a pixel; motion the way that the specimen went within the exposure; the residual that of
        the alignment.
    received_e_A2
        What its target had received when it ended, by exposures of every purpose.
    lens_defocus_A, image_shift_A
        Of the lens, which makes up for the specimen's height; how far its place lies from the optical axis.
    miss_A
        How far its target was from where acquisition had predicted it.
    shutter_s, since_last_s
        How long it was exposed, and how long after the tilt before, by the microscope's clock.
    path_A
        Through the specimen along the beam, from the fall of counts.
    expected_counts
        What the other tilts of the series make it expect (`expected.expected_counts`).
    counts_are_share
        Whether counts are a share of those that beam and path give, as an acquisition notes them: 1 is expected then.
    refined
        Whether the figures are those of the series as a whole; else they are of this image alone.
    left_out
        Why it is not used; empty where it is.
    excluded
        Why the user wants it to be left out; empty where nobody does.
    movie, picture
        The name of its movie; the address of its picture.
    by_mdoc
        Whether it is known from the .mdoc beside a stack in the session alone.
    predicted
        What the plan says of it.
    """

    section: int
    tilt_deg: float
    order: int
    exposure_e_A2: float | None = None
    counts: float | None = None
    motion_A: float | None = None
    defocus_A: float | None = None
    target_defocus_A: float | None = None
    fit_resolution_A: float | None = None
    residual_A: float | None = None
    received_e_A2: float | None = None
    lens_defocus_A: float | None = None
    image_shift_A: float | None = None
    miss_A: float | None = None
    shutter_s: float | None = None
    since_last_s: float | None = None
    path_A: float | None = None
    expected_counts: float | None = None
    counts_are_share: bool = False
    refined: bool = False
    left_out: str = ""
    excluded: str = ""
    movie: str | None = None
    picture: str | None = None
    by_mdoc: bool = False
    predicted: Predicted | None = None

    @property
    def counts_share(self) -> float | None:
        """Return counts over what is expected of them."""
        if self.counts is None or not self.expected_counts:
            return None
        return self.counts / self.expected_counts

    @property
    def defocus_off_A(self) -> float | None:
        """Return how far the defocus is from what was asked for."""
        if self.defocus_A is None or self.target_defocus_A is None:
            return None
        return self.defocus_A - self.target_defocus_A


class PreviewView(Record):
    """A preview of a series' tomogram: of how many tilts, and the address of its picture."""

    tilts: int
    picture: str


class SeriesView(Record):
    """A series as far as it is known.

    Attributes
    ----------
    name, state, reason
        How far it is, and why it failed or waits.
    since
        When that was last changed (UTC, ISO 8601).
    stages
        Latest runs, in the order in which they come; those of looks are not among them.
    tilts
        In the order of acquisition.
    plan
        What the plan says of all its tilts, those to come too, in the order of acquisition; empty without a plan.
    spent_e_A2, planned_e_A2
        Exposure that the specimen has received, and that it is to receive in all.
    resolution_A, thickness_A
        Where the halves of the tomogram agree; of the specimen along its normal.
    has_report, has_tomogram
        Whether they are there.
    restored
        Methods by which its tomogram was restored.
    preview
        The latest, as long as there is no tomogram.
    can_exclude
        Whether tilts of it can be excluded: processing would know them by these sections.
    exclusions
        What becomes of tilts that were excluded or taken back; empty where it has become so.
    outdated
        Why the whole has to be processed again; empty where it need not.
    alarms
        What to look at.
    """

    name: str
    state: SeriesState
    reason: str = ""
    since: str = ""
    stages: tuple[StageView, ...] = ()
    tilts: tuple[TiltView, ...] = ()
    plan: tuple[Predicted, ...] = ()
    spent_e_A2: float | None = None
    planned_e_A2: float | None = None
    resolution_A: float | None = None
    thickness_A: float | None = None
    has_report: bool = False
    has_tomogram: bool = False
    restored: tuple[str, ...] = ()
    preview: PreviewView | None = None
    can_exclude: bool = False
    exclusions: str = ""
    outdated: str = ""
    alarms: tuple[Alarm, ...] = ()

    @property
    def is_outdated(self) -> bool:
        """Whether something of it has to run again."""
        return bool(self.outdated) or any(stage.outdated for stage in self.stages)


class SessionView(Record):
    """The session as a whole: whether a process works in it, what its disk has left, and what is alarming of that."""

    name: str
    held: bool
    free_bytes: int
    alarms: tuple[Alarm, ...] = ()
