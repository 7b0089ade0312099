"""The columns of RELION's tables of tilts and of series that we read; all others are listed as left out."""

EULER = ("rlnTomoYTilt", "rlnTomoZRot", "rlnTomoXShiftAngst", "rlnTomoYShiftAngst")
MATRIX = ("rlnTomoProjX", "rlnTomoProjY", "rlnTomoProjZ", "rlnTomoProjW")
SIZES = ("rlnTomoSizeX", "rlnTomoSizeY", "rlnTomoSizeZ")
DEFOCUS = ("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle")
IMAGES = {
    "images": "rlnMicrographName",
    "even_images": "rlnMicrographNameEven",
    "odd_images": "rlnMicrographNameOdd",
}
VOLUMES = {
    "tomogram": "rlnTomoReconstructedTomogram",
    "tomogram_even": "rlnTomoReconstructedTomogramHalf1",  # "from even numbered movie frames or tilt image index"
    "tomogram_odd": "rlnTomoReconstructedTomogramHalf2",
}

_FIT = ("rlnCtfAstigmatism", "rlnCtfFigureOfMerit", "rlnCtfMaxResolution", "rlnPhaseShift")
_MOVIES = ("rlnMicrographMovieName", "rlnTomoTiltMovieFrameCount", "rlnTomoTiltMovieIndex", "rlnMicrographId")
_NOMINAL = ("rlnTomoNominalStageTiltAngle", "rlnTomoNominalTiltAxisAngle", "rlnTomoNominalDefocus")
_OTHERS = ("rlnTomoXTilt", "rlnMicrographPreExposure", "eucentricReason")
READ_OF_TILTS = frozenset((*EULER, *MATRIX, *DEFOCUS, *IMAGES.values(), *_FIT, *_MOVIES, *_NOMINAL, *_OTHERS))

_FILES = ("rlnTomoName", "rlnTomoTiltSeriesStarFile", "rlnTomoTiltSeriesName", "rlnTomoFrameCount")
_OPTICS = ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast", "rlnTomoHand", "rlnOpticsGroupName")
_PIXELS = ("rlnMicrographOriginalPixelSize", "rlnTomoTiltSeriesPixelSize", "rlnTomoTomogramBinning")
_IMAGE = ("rlnImageSizeX", "rlnImageSizeY", "rlnTomoImportFractionalDose")
READ_OF_SERIES = frozenset((*SIZES, *VOLUMES.values(), *_FILES, *_OPTICS, *_PIXELS, *_IMAGE))
