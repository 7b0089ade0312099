"""What the doctor says: findings, how each consumer will read a series, and the report of all files."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from eucentric.core import Degrees, ElectronsPerA2, Record

Severity = Literal["note", "warning", "error"]
Consumer = Literal["RELION-5", "Warp", "AreTomo3", "IMOD"]
Reader = Literal["RELION-5", "Warp", "AreTomo3", "IMOD", "Eucentric"]

CONSUMERS: tuple[Consumer, ...] = ("RELION-5", "Warp", "AreTomo3", "IMOD")
ALL: tuple[Reader, ...] = (*CONSUMERS, "Eucentric")


class Trap(Record):
    """A trap that the doctor knows.

    Attributes
    ----------
    name
        The fixed word for it.
    severity
        "error": the work would be wrong or impossible; "warning": someone will misread it; "note": good to know.
    why
        Why it matters.
    who
        Who falls into it.
    fix
        What to do.
    mended
        Whether a corrected copy (--fix) is rid of it.
    """

    name: str
    severity: Severity
    why: str
    who: tuple[Reader, ...]
    fix: str
    mended: bool = False


COPY = "`--fix OUT` writes a copy "
"""How the remedy of what can be mended begins."""


def trap(name: str, severity: Severity, who: tuple[Reader, ...], why: str, fix: str, *, mended: bool = False) -> Trap:
    """Make an entry of the catalogue."""
    return Trap(name=name, severity=severity, who=who, why=why, fix=fix, mended=mended)


class DoctorFinding(Record):
    """A trap met: in which file, on which lines (from 1; none where it is of the whole file), and what stands there."""

    name: str
    severity: Severity
    path: Path
    lines: tuple[Annotated[int, Field(ge=1)], ...] = ()
    message: str
    why: str
    who: tuple[Reader, ...]
    fix: str
    mended: bool


class ConsumerView(Record):
    """What a program will make of a series.

    Attributes
    ----------
    imports
        "wrongly" where it is imported without a complaint, and something of it is wrong.
    because
        Why not, or what is wrong; also what the user has to give.
    n_tilts, tilt_min_deg, tilt_max_deg, tilt_sign
        How many and which angles it will have; the sign is -1 where it turns that of the .mdoc.
    order
        The sections (ZValue) in the order in which it thinks that they were acquired.
    order_by
        What it takes that from.
    first_pre_exposure_e_A2, last_pre_exposure_e_A2
        What it thinks that the specimen had received before the first and the last; None where it does not say.
    axis_deg, axis_from
        Its tilt axis to begin with, in IMOD's sign, and whose word that is.
    hand
        Of defocus and volume, and who decides it.
    frames
        Of how many tilts it will find the movie or the image; None where nothing could be looked at.
    """

    consumer: Consumer
    imports: Literal["yes", "no", "wrongly"]
    because: tuple[str, ...] = ()
    n_tilts: int = 0
    tilt_min_deg: Degrees | None = None
    tilt_max_deg: Degrees | None = None
    tilt_sign: Literal[1, -1] = 1
    order: tuple[int, ...] = ()
    order_by: str = ""
    first_pre_exposure_e_A2: ElectronsPerA2 | None = None
    last_pre_exposure_e_A2: ElectronsPerA2 | None = None
    axis_deg: Degrees | None = None
    axis_from: str = ""
    hand: str = ""
    frames: int | None = None


class SeriesReport(Record):
    """What is said of one series; `path` is its .mdoc, or its stack where it has none."""

    path: Path
    findings: tuple[DoctorFinding, ...] = ()
    views: tuple[ConsumerView, ...] = ()

    @property
    def is_sick(self) -> bool:
        """Whether there is more than notes."""
        return any(finding.severity != "note" for finding in self.findings)


class DoctorReport(Record):
    """What is said of all files that were looked at."""

    series: tuple[SeriesReport, ...] = ()

    @property
    def findings(self) -> tuple[DoctorFinding, ...]:
        """All findings."""
        return tuple(finding for one in self.series for finding in one.findings)

    @property
    def is_sick(self) -> bool:
        """Whether there is more than notes."""
        return any(one.is_sick for one in self.series)
