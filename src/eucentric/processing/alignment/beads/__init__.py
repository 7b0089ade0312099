"""Beads: their tracks through a series, and the views that explain them."""

from eucentric.processing.alignment.beads.adjust import adjust_bundle
from eucentric.processing.alignment.beads.freedom import ChosenFreedom, adjust_freely, choose_freedom
from eucentric.processing.alignment.beads.model import Freedom
from eucentric.processing.alignment.beads.records import BundleAdjustment, BundleSettings
from eucentric.processing.alignment.beads.tracks import Tracks

__all__ = [
    "BundleAdjustment",
    "BundleSettings",
    "ChosenFreedom",
    "Freedom",
    "Tracks",
    "adjust_bundle",
    "adjust_freely",
    "choose_freedom",
]
