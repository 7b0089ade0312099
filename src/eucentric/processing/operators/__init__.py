"""The hot operations: project, back-project, resample, and the Fourier filters around them.

Each has one interface and two forms, numba on the CPU and torch anywhere else, held to the same tests.
"""

from eucentric.processing.operators.across import HIGHEST, filter_across, filter_rows
from eucentric.processing.operators.fourier import FilterName, bin_images, ramp_filter, ramp_gain, window_gain
from eucentric.processing.operators.memory import zeros
from eucentric.processing.operators.projector import backproject, project, reproject
from eucentric.processing.operators.resampler import resample, spline_coefficients, spline_gain
from eucentric.processing.operators.transforms import inverse_transform, transform
from eucentric.processing.operators.warper import warp

__all__ = [
    "HIGHEST",
    "FilterName",
    "backproject",
    "bin_images",
    "filter_across",
    "filter_rows",
    "inverse_transform",
    "project",
    "ramp_filter",
    "ramp_gain",
    "reproject",
    "resample",
    "spline_coefficients",
    "spline_gain",
    "transform",
    "warp",
    "window_gain",
    "zeros",
]
