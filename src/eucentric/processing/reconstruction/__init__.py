"""Tomograms from aligned views."""

from eucentric.processing.reconstruction.ctf3d import reconstruct_ctf3d, slab_thickness_A
from eucentric.processing.reconstruction.settings import Halves, Method, ReconstructSettings, Weighting, volume_shape
from eucentric.processing.reconstruction.subvolumes import Subvolume, reconstruct_subvolumes
from eucentric.processing.reconstruction.views import Images
from eucentric.processing.reconstruction.volumes import reconstruct, reconstruct_slabs
from eucentric.processing.reconstruction.wbp import weighted_slabs

__all__ = [
    "Halves",
    "Images",
    "Method",
    "ReconstructSettings",
    "Subvolume",
    "Weighting",
    "reconstruct",
    "reconstruct_ctf3d",
    "reconstruct_slabs",
    "reconstruct_subvolumes",
    "slab_thickness_A",
    "volume_shape",
    "weighted_slabs",
]
