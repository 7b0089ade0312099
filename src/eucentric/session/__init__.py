"""The session folder: which stage ran on which series, with what settings and inputs, and what came out.

A `Session` holds a folder for one process at a time and keeps its journal, an append-only SQLite file. A stage is
described by a `StagePlan`; `Session.state` says whether it has to run, `Session.run` records that it does. An
`ExposureBook` keeps in the same journal what hit the specimen. `read_history`, `read_exposures` and `read_events` look
at a session from outside, also while another process works in it; `Session.served` and `Session.join` let other
processes do stages of one.
"""

from eucentric.session.exposures import ExposureBook, ExposureRecord, ExposureState, Intent
from eucentric.session.history import read_events, read_exposures, read_history
from eucentric.session.journal import Event
from eucentric.session.records import (
    Fingerprint,
    Provenance,
    RunStatus,
    StagePlan,
    StageRecord,
    StageState,
    StageStatus,
)
from eucentric.session.remote import BusyError, JournalAddress, JournalServer
from eucentric.session.session import Session, StageRun

__all__ = [
    "BusyError",
    "Event",
    "ExposureBook",
    "ExposureRecord",
    "ExposureState",
    "Fingerprint",
    "Intent",
    "JournalAddress",
    "JournalServer",
    "Provenance",
    "RunStatus",
    "Session",
    "StagePlan",
    "StageRecord",
    "StageRun",
    "StageState",
    "StageStatus",
    "read_events",
    "read_exposures",
    "read_history",
]
