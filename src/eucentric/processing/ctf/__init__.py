"""Contrast transfer: found in one image or over a series, and taken out again.

Defocus is in Å, underfocus positive; azimuths are degrees from columns (x) towards rows (y, upward as MRC has it).
"""

from eucentric.optics import CTFFit, HandVerdict, SeriesCTF, TiltCTF
from eucentric.processing.ctf.agreement import RadialCurves
from eucentric.processing.ctf.correct import correct_tilt
from eucentric.processing.ctf.fit import ImageCTF, explain_image, fit_image
from eucentric.processing.ctf.records import CTFSettings
from eucentric.processing.ctf.series import fit_series
from eucentric.processing.ctf.spectra import TileSpectra, tile_spectra

__all__ = [
    "CTFFit",
    "CTFSettings",
    "HandVerdict",
    "ImageCTF",
    "RadialCurves",
    "SeriesCTF",
    "TileSpectra",
    "TiltCTF",
    "correct_tilt",
    "explain_image",
    "fit_image",
    "fit_series",
    "tile_spectra",
]
