"""Beads: their tracks through a series, and the views that explain them."""

from eucentric.processing.alignment.beads.adjust import adjust_bundle
from eucentric.processing.alignment.beads.freedom import ChosenFreedom, adjust_freely, choose_freedom
from eucentric.processing.alignment.beads.model import Freedom
from eucentric.processing.alignment.beads.records import BundleAdjustment, BundleSettings
from eucentric.processing.alignment.beads.track import BeadAlignment, BeadSettings, NoBeads, align_by_beads
from eucentric.processing.alignment.beads.tracks import Tracks

__all__ = [
    "BeadAlignment",
    "BeadSettings",
    "BundleAdjustment",
    "BundleSettings",
    "ChosenFreedom",
    "Freedom",
    "NoBeads",
    "Tracks",
    "adjust_bundle",
    "adjust_freely",
    "align_by_beads",
    "choose_freedom",
]
