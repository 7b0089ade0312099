"""How each image of a series sees the specimen, found from the images."""

from eucentric.processing.alignment.records import AlignmentResult, AxisSearch, TiltResidual

__all__ = ["AlignmentResult", "AxisSearch", "TiltResidual"]
