"""Tomograms from aligned views."""

from eucentric.processing.reconstruction.wbp import Halves, ReconstructSettings, reconstruct, volume_shape

__all__ = ["Halves", "ReconstructSettings", "reconstruct", "volume_shape"]
