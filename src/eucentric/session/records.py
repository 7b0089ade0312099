"""What the journal takes and gives: plans, fingerprints, records of runs, states."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SerializeAsAny

from eucentric.core import Record

FolderName = Annotated[str, Field(pattern=r"^[^/\x00.][^/\x00]*$")]
"""The name of a series or stage: fit for a folder, and not hidden (temporaries of killed runs are)."""


class StagePlan(Record):
    """A stage of a series as it would run now.

    `version` is raised by the stage's author whenever its code gives other results; `inputs` are files or folders.
    Their content and order count, not where they lie, so that data may be moved. A stage that reads what another
    one wrote names that file as an input: what comes after a changed stage is outdated by content, and needs no
    list of upstream stages.
    """

    series: FolderName
    stage: FolderName
    version: Annotated[int, Field(ge=1)]
    settings: SerializeAsAny[Record]
    inputs: tuple[Path, ...] = ()


class Fingerprint(Record):
    """A file or folder and its content.

    `path` is relative to the session folder, or absolute for what lies outside. `sha256` is that of a file's bytes;
    of a folder, that of the lines which ``sha256sum`` prints for all files below it, sorted by name.
    """

    path: str
    size_bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Provenance(Record):
    """What a run was made with."""

    eucentric: str
    python: str
    platform: str


class RunStatus(StrEnum):
    """How far a run came."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class StageRecord(Record):
    """One run of a stage, as the journal tells it.

    `seconds` is absent for a run that has not ended, or ended with its process; `reason` says why one failed or was
    interrupted. `settings` are as JSON has them.
    """

    series: str
    stage: str
    version: int
    settings: dict[str, Any]
    inputs: tuple[Fingerprint, ...]
    provenance: Provenance
    started_at: datetime
    status: RunStatus
    seconds: float | None = None
    outputs: tuple[Fingerprint, ...] = ()
    metrics: dict[str, Any] = Field(default_factory=dict)
    reason: str = ""


class StageStatus(StrEnum):
    """Whether a stage has to run."""

    DONE = "done"
    MISSING = "missing"
    OUTDATED = "outdated"
    DAMAGED = "damaged"


class StageState(Record):
    """The answer to "has this been done?", with the reason in words."""

    status: StageStatus
    reason: str

    @property
    def done(self) -> bool:
        """Whether the stage can be skipped."""
        return self.status is StageStatus.DONE
