"""The design of a tilt series: which lines of sight the exposure is spent on, and what each design will yield."""

from eucentric.design.candidates import SearchSpace
from eucentric.design.fractionation import SweetSpot, sweet_spot
from eucentric.design.geometry import (
    TargetMove,
    TiltedSlab,
    crowther_A,
    elongation,
    missing_wedge_fraction,
    parallax_A,
    path_A,
    target_move,
)
from eucentric.design.increments import (
    ConstantIncrement,
    CosineIncrement,
    Increment,
    SaxtonIncrement,
    angles_between,
)
from eucentric.design.instrument import Alignability, Camera, Routine, Specimen, Stage
from eucentric.design.objective import Objective
from eucentric.design.optimiser import Candidate, Flatness, Optimum, label, optimise
from eucentric.design.plan import Design, Exposure, Plan
from eucentric.design.policies import (
    ConstantDefocus,
    ConstantExposure,
    DefocusPolicy,
    EqualCountsExposure,
    ExplicitExposure,
    ExposurePolicy,
    FrameCount,
    FrameExposure,
    FramePolicy,
    InverseCosineExposure,
    StaggeredDefocus,
    ThicknessExposure,
)
from eucentric.design.prediction import (
    EVERYTHING,
    ISOTROPY,
    PUBLISHED_A,
    TRANSFERS_A,
    Prediction,
    Summary,
    Terms,
    predict,
)
from eucentric.design.refusal import DesignRecord, describe
from eucentric.design.schemes import Bidirectional, DoseSymmetric, Explicit, Hybrid, Scheme, Unidirectional
from eucentric.design.timing import Clock, clock
from eucentric.design.transfer import asymmetry, cosine_information, share_within, signal_transfer
from eucentric.design.volume import VolumeSSNR, volume_ssnr

__all__ = [
    "EVERYTHING",
    "ISOTROPY",
    "PUBLISHED_A",
    "TRANSFERS_A",
    "Alignability",
    "Bidirectional",
    "Camera",
    "Candidate",
    "Clock",
    "ConstantDefocus",
    "ConstantExposure",
    "ConstantIncrement",
    "CosineIncrement",
    "DefocusPolicy",
    "Design",
    "DesignRecord",
    "DoseSymmetric",
    "EqualCountsExposure",
    "Explicit",
    "ExplicitExposure",
    "Exposure",
    "ExposurePolicy",
    "Flatness",
    "FrameCount",
    "FrameExposure",
    "FramePolicy",
    "Hybrid",
    "Increment",
    "InverseCosineExposure",
    "Objective",
    "Optimum",
    "Plan",
    "Prediction",
    "Routine",
    "SaxtonIncrement",
    "Scheme",
    "SearchSpace",
    "Specimen",
    "Stage",
    "StaggeredDefocus",
    "Summary",
    "SweetSpot",
    "TargetMove",
    "Terms",
    "ThicknessExposure",
    "TiltedSlab",
    "Unidirectional",
    "VolumeSSNR",
    "angles_between",
    "asymmetry",
    "clock",
    "cosine_information",
    "crowther_A",
    "describe",
    "elongation",
    "label",
    "missing_wedge_fraction",
    "optimise",
    "parallax_A",
    "path_A",
    "predict",
    "share_within",
    "signal_transfer",
    "sweet_spot",
    "target_move",
    "volume_ssnr",
]
