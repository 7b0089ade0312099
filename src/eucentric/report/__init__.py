"""What a person looks at: pages of a series and of a restoration (self-contained HTML), and figures of `designs`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eucentric.report.inputs import AlignmentSummary, ReportInput, summarise_alignment
    from eucentric.report.page import write_report
    from eucentric.report.restoration import write_restoration_report
    from eucentric.report.restoration_input import RestorationShown

_MODULES = {
    "AlignmentSummary": "inputs",
    "ReportInput": "inputs",
    "RestorationShown": "restoration_input",
    "summarise_alignment": "inputs",
    "write_report": "page",
    "write_restoration_report": "restoration",
}

__all__ = [
    "AlignmentSummary",
    "ReportInput",
    "RestorationShown",
    "summarise_alignment",
    "write_report",
    "write_restoration_report",
]


def __getattr__(name: str) -> Any:
    """Load a page when it is asked for: it brings torch, which a figure of designs need not wait for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"eucentric.report.{_MODULES[name]}"), name)
