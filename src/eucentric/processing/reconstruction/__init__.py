"""Tomograms from aligned views."""

from eucentric.processing.reconstruction.settings import Halves, Method, ReconstructSettings, Weighting, volume_shape
from eucentric.processing.reconstruction.volumes import reconstruct
from eucentric.processing.reconstruction.wbp import weighted_slabs

__all__ = ["Halves", "Method", "ReconstructSettings", "Weighting", "reconstruct", "volume_shape", "weighted_slabs"]
