"""The doctor: finds what is wrong with series before hours are spent on them, and says what other programs will see."""

from eucentric.workflow.doctor.catalogue import TRAPS, traps_as_markdown
from eucentric.workflow.doctor.records import (
    CONSUMERS,
    Consumer,
    ConsumerView,
    DoctorFinding,
    DoctorReport,
    SeriesReport,
    Trap,
)
from eucentric.workflow.doctor.run import DoctorSettings, MendedCopy, examine, mend_all
from eucentric.workflow.doctor.watch import watch

__all__ = [
    "CONSUMERS",
    "TRAPS",
    "Consumer",
    "ConsumerView",
    "DoctorFinding",
    "DoctorReport",
    "DoctorSettings",
    "MendedCopy",
    "SeriesReport",
    "Trap",
    "examine",
    "mend_all",
    "traps_as_markdown",
    "watch",
]
