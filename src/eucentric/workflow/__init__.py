"""Processing stages with their inputs, outputs and settings: what reads and writes around the pure functions."""

from eucentric.workflow.phantom_series import WrittenPhantom, write_phantom_series
from eucentric.workflow.process import ProcessOutcome, ProcessSettings, StageOutcome, process_series

__all__ = [
    "ProcessOutcome",
    "ProcessSettings",
    "StageOutcome",
    "WrittenPhantom",
    "process_series",
    "write_phantom_series",
]
