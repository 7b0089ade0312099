"""Processing stages with their inputs, outputs and settings: what reads and writes around the pure functions."""

from eucentric.workflow.about import VOLUME_LABELS, about_file
from eucentric.workflow.phantom_series import WrittenPhantom, write_phantom_series
from eucentric.workflow.process import process_series
from eucentric.workflow.records import ProcessOutcome, ProcessSettings, StageOutcome

__all__ = [
    "VOLUME_LABELS",
    "ProcessOutcome",
    "ProcessSettings",
    "StageOutcome",
    "WrittenPhantom",
    "about_file",
    "process_series",
    "write_phantom_series",
]
