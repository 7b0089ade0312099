"""How good is it: correlation of halves, thickness, sharpness, scores against truth; from arrays alone, no files."""

from eucentric.assessment.exposure_order import HalfSignal, OrderVerdict, half_signal, judge_order
from eucentric.assessment.fsc import BOTH_HALVES, FSC, HalvesOf, fourier_shell_correlation
from eucentric.assessment.score import AlignmentScore, score_alignment
from eucentric.assessment.sharpness import Sharpness, sharpness
from eucentric.assessment.thickness import ThicknessFit, thickness_from_counts

__all__ = [
    "BOTH_HALVES",
    "FSC",
    "AlignmentScore",
    "HalfSignal",
    "HalvesOf",
    "OrderVerdict",
    "Sharpness",
    "ThicknessFit",
    "fourier_shell_correlation",
    "half_signal",
    "judge_order",
    "score_alignment",
    "sharpness",
    "thickness_from_counts",
]
