"""The report's pictures, one module per subject; each function gives `Plot`s from a `ReportInput`."""

from eucentric.report.figures.axis import axis_search
from eucentric.report.figures.counts import counts
from eucentric.report.figures.halves import shell_correlation
from eucentric.report.figures.movie import movie
from eucentric.report.figures.residuals import residuals
from eucentric.report.figures.shifts import shifts
from eucentric.report.figures.slices import slices
from eucentric.report.figures.tilts import montage

__all__ = ["axis_search", "counts", "montage", "movie", "residuals", "shell_correlation", "shifts", "slices"]
