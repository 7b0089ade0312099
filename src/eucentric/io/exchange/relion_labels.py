"""Labels of RELION's tables that belong together, by what they say to us."""

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

SAYS_NOTHING = (
    "rlnTomoProjW",  # the last row of a projection matrix, 0, 0, 0, 1 in all
    "rlnCtfAstigmatism",  # what rlnDefocusU and rlnDefocusV differ by
)
"""Of the tables of tilts: what need not be listed as left out."""
