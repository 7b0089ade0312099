"""The twin: a simulated microscope with a specimen in it, and the truth about both."""

from eucentric.twin.settings import Effects, TwinSettings
from eucentric.twin.specimens import find_sample
from eucentric.twin.truth import ExposureTruth, FrameTruth
from eucentric.twin.twin import Exposed, Twin

__all__ = ["Effects", "Exposed", "ExposureTruth", "FrameTruth", "Twin", "TwinSettings", "find_sample"]
