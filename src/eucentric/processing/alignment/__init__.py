"""How each image of a series sees the specimen, found from the images."""

from eucentric.processing.alignment.pipeline import align_series
from eucentric.processing.alignment.prepare import PreparedImages, prepare_images
from eucentric.processing.alignment.quick import QuickAlignment, align_quickly
from eucentric.processing.alignment.records import AlignmentResult, AxisSearch, TiltResidual
from eucentric.processing.alignment.settings import AlignSettings

__all__ = [
    "AlignSettings",
    "AlignmentResult",
    "AxisSearch",
    "PreparedImages",
    "QuickAlignment",
    "TiltResidual",
    "align_quickly",
    "align_series",
    "prepare_images",
]
