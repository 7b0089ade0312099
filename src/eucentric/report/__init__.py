"""What a person looks at: the page of a processed series (self-contained HTML), and figures of designs (`designs`)."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eucentric.report.inputs import AlignmentSummary, ReportInput, summarise_alignment
    from eucentric.report.page import write_report

__all__ = ["AlignmentSummary", "ReportInput", "summarise_alignment", "write_report"]


def __getattr__(name: str) -> Any:
    """Load the page when it is asked for: it brings torch, which a figure of designs need not wait for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from eucentric.report import inputs, page

    return getattr(page if name == "write_report" else inputs, name)
