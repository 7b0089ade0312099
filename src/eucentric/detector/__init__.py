"""The camera of the twin: counting, modulation transfer, gain, defects and coincidence loss."""

from eucentric.detector.camera import DETECTORS, EFFECTS, Detector, design_camera
from eucentric.detector.movies import as_movie
from eucentric.detector.mtf import Curve, mtf
from eucentric.detector.pixels import Defects
from eucentric.detector.sensor import Sensor

__all__ = [
    "DETECTORS",
    "EFFECTS",
    "Curve",
    "Defects",
    "Detector",
    "Sensor",
    "as_movie",
    "design_camera",
    "mtf",
]
