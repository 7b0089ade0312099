"""How good is it: correlation of halves, thickness from counts, sharpness; figures from arrays alone, no files."""

from eucentric.assessment.fsc import FSC, fourier_shell_correlation
from eucentric.assessment.sharpness import Sharpness, sharpness
from eucentric.assessment.thickness import ThicknessFit, thickness_from_counts

__all__ = [
    "FSC",
    "Sharpness",
    "ThicknessFit",
    "fourier_shell_correlation",
    "sharpness",
    "thickness_from_counts",
]
