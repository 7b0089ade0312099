"""Restoration: the specimen as it is inferred from two noisy halves of a tomogram and what its tilts could see.

`train` learns a model from one pair of half tomograms or many, `restore` applies it to one, `examine` tells what that
did and what of it is measured. A tomogram is ``y = T x + noise``, with the transfer T of `transfer`.
"""

from eucentric.processing.restoration.checking import SAME_VOXEL, check_halves
from eucentric.processing.restoration.examining import examine
from eucentric.processing.restoration.records import (
    Examination,
    HalfTomograms,
    Look,
    Method,
    Restored,
    RestoreSettings,
    Trained,
)
from eucentric.processing.restoration.restoring import restore
from eucentric.processing.restoration.splitting import split_views
from eucentric.processing.restoration.training import train
from eucentric.processing.restoration.transfer import Gain, transfer

__all__ = [
    "SAME_VOXEL",
    "Examination",
    "Gain",
    "HalfTomograms",
    "Look",
    "Method",
    "RestoreSettings",
    "Restored",
    "Trained",
    "check_halves",
    "examine",
    "restore",
    "split_views",
    "train",
    "transfer",
]
