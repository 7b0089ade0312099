"""Processing stages with their inputs, outputs and settings: what reads and writes around the pure functions."""

from eucentric.workflow.about import VOLUME_LABELS, about_file
from eucentric.workflow.process import process_series
from eucentric.workflow.records import ProcessOutcome, ProcessSettings, StageOutcome

__all__ = [
    "VOLUME_LABELS",
    "ProcessOutcome",
    "ProcessSettings",
    "StageOutcome",
    "about_file",
    "process_series",
]
