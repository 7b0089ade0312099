"""Tomograms from aligned views."""

from eucentric.processing.reconstruction.settings import Halves, Method, ReconstructSettings, Weighting, volume_shape
from eucentric.processing.reconstruction.subvolumes import Subvolume, reconstruct_subvolumes
from eucentric.processing.reconstruction.volumes import reconstruct
from eucentric.processing.reconstruction.wbp import weighted_slabs

__all__ = [
    "Halves",
    "Method",
    "ReconstructSettings",
    "Subvolume",
    "Weighting",
    "reconstruct",
    "reconstruct_subvolumes",
    "volume_shape",
    "weighted_slabs",
]
