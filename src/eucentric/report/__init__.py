"""One page that shows a facility head what a series gave: a self-contained HTML file, nothing from the network."""

from eucentric.report.inputs import AlignmentSummary, ReportInput, summarise_alignment
from eucentric.report.page import write_report

__all__ = ["AlignmentSummary", "ReportInput", "summarise_alignment", "write_report"]
