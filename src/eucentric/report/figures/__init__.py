"""The report's pictures, one module per subject; each function gives `Plot`s from a `ReportInput`."""

from eucentric.report.figures.axis import axis_search
from eucentric.report.figures.counts import counts
from eucentric.report.figures.ctf import astigmatism, defocus, fit_resolution
from eucentric.report.figures.halves import shell_correlation
from eucentric.report.figures.motion import local_motion, motion_over_order, tracks
from eucentric.report.figures.movie import movie
from eucentric.report.figures.residuals import residuals
from eucentric.report.figures.shifts import shifts
from eucentric.report.figures.slices import slices
from eucentric.report.figures.spectra import spectra
from eucentric.report.figures.tilts import montage

__all__ = [
    "astigmatism",
    "axis_search",
    "counts",
    "defocus",
    "fit_resolution",
    "local_motion",
    "montage",
    "motion_over_order",
    "movie",
    "residuals",
    "shell_correlation",
    "shifts",
    "slices",
    "spectra",
    "tracks",
]
