"""What the live stages are asked, what they leave, and how far each series is."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field

from eucentric.core import Angstrom, Degrees, ElectronsPerA2, Record
from eucentric.optics import CTFFit, Lens
from eucentric.processing.motion import MotionSettings, MotionTrack
from eucentric.session import JournalAddress
from eucentric.workflow.records import GainSettings, ProcessSettings

LOOKS = "looks"
"""Folder, within that of a series, of what was seen of each tilt as it came."""


class Source(Record):
    """Where a series and its movies are, and what stands in place of what files say; its `stack`, if it is in that."""

    mdoc: Path
    frames: Path
    stack: Path | None = None
    gain: Path | None = None
    pixel_A: float | None = None
    exposure_e_A2: float | None = None


class WatchSettings(Record):
    """How a folder is watched.

    Attributes
    ----------
    process
        Settings of the stages.
    tilts
        How many a series has, where that is known: it has ended when it has them.
    settle_s
        How long a movie must have stayed as it is to count as whole; a file that grows is left alone. Of a stack, how
        long it must have been long enough for a section.
    quiet_s
        How long nothing must have come of a series for it to have ended, where `tilts` is not given; or three times
        the longest wait between two of its own tilts, if that is longer.
    late_s
        How long after that movies are waited for which its .mdoc names and which have not come. The series is then
        processed without them, and again when they do come; from its stack, if there are none. A stack is waited for as
        long that has not the sections of its .mdoc.
    tries
        How often a series is begun that failed for want of a worker, of memory, or of a file that others held.
    """

    process: ProcessSettings = ProcessSettings()
    tilts: Annotated[int, Field(ge=1)] | None = None
    settle_s: Annotated[float, Field(ge=0)] = 1.0
    quiet_s: Annotated[float, Field(ge=0)] = 20.0
    late_s: Annotated[float, Field(ge=0)] = 120.0
    tries: Annotated[int, Field(ge=1)] = 3


class LookStage(Record):
    """All that a look at a tilt depends on, besides its movie and the gain reference."""

    tilt_deg: Degrees
    pixel_A: Angstrom | None
    exposure_e_A2: ElectronsPerA2 | None
    pre_exposure_e_A2: ElectronsPerA2 | None
    gain: GainSettings
    motion: MotionSettings
    dose_weighting: bool
    lens: Lens | None
    min_defocus_A: Angstrom
    max_defocus_A: Angstrom


class SectionStage(Record):
    """All that a look at a section of a stack depends on.

    `section_sha256` is of its pixels: the file that they are in grows, and its content says nothing.
    """

    tilt_deg: Degrees
    pixel_A: Angstrom | None
    exposure_e_A2: ElectronsPerA2 | None
    section_sha256: str
    lens: Lens | None
    min_defocus_A: Angstrom
    max_defocus_A: Angstrom


class Look(Record):
    """What was seen of a tilt as its movie closed or its section was whole, before anything was known of its series.

    Attributes
    ----------
    section, tilt_deg, exposure_e_A2
        As its .mdoc has them.
    movie, frames
        The name of its file, and how many of its frames could be read; one, of a section of a stack.
    counts
        Mean of a pixel of the sum of frames, in the camera's counts.
    track
        How the specimen moved; absent where a stack does not tell.
    ctf
        Fitted to this image alone; absent where no rings stand out, and `ctf_reason` says why.
    target_defocus_A
        As its .mdoc has it.
    seconds
        That the look took, reading included.
    """

    section: int
    tilt_deg: Degrees
    exposure_e_A2: ElectronsPerA2 | None
    movie: str
    frames: int
    counts: float
    pixel_A: Angstrom
    track: MotionTrack | None = None
    ctf: CTFFit | None = None
    ctf_reason: str = ""
    target_defocus_A: Angstrom | None = None
    seconds: float = 0.0


class LookRequest(Record):
    """A look that a worker is to take."""

    journal: JournalAddress
    series: str
    section: int
    movie: Path
    gain: Path | None
    stage: LookStage
    target_defocus_A: Angstrom | None = None
    device: str = "cpu"


class SectionRequest(Record):
    """A look at a section of a stack that a worker is to take."""

    journal: JournalAddress
    series: str
    section: int
    stack: Path
    stage: SectionStage
    target_defocus_A: Angstrom | None = None
    device: str = "cpu"


class SeriesRequest(Record):
    """A series that a worker is to process."""

    journal: JournalAddress
    source: Source
    series: str
    settings: ProcessSettings
    device: str = "cpu"


class TaskOutcome(Record):
    """What became of a task: nothing to say where it was done; else why not, and whether another try may help."""

    reason: str = ""
    again: bool = False

    @property
    def done(self) -> bool:
        """Whether it succeeded."""
        return not self.reason


class SeriesState(StrEnum):
    """How far a series is."""

    GROWING = "growing"
    QUEUED = "queued"
    PROCESSING = "processing"
    DONE = "done"
    FAILED = "failed"


class SeriesProgress(Record):
    """A series as the watcher sees it; `reason` says why it failed, or what it waits for."""

    series: str
    state: SeriesState
    tilts: int
    looked_at: int
    reason: str = ""
