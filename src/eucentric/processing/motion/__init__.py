"""Movement within exposures: found from the frames, undone in their sums.

Shifts are where, in a frame, the specimen is seen from its mean place over the frames, in Å along rows and columns.
"""

from eucentric.processing.motion.records import LocalField, MotionSettings, MotionTrack, SeriesMotion
from eucentric.processing.motion.series import estimate_movie, estimate_series
from eucentric.processing.motion.sums import MovieSums, sum_movie
from eucentric.processing.motion.transforms import Frame, Frames, FrameTransform, KeptTransforms, transformed

__all__ = [
    "Frame",
    "FrameTransform",
    "Frames",
    "KeptTransforms",
    "LocalField",
    "MotionSettings",
    "MotionTrack",
    "MovieSums",
    "SeriesMotion",
    "estimate_movie",
    "estimate_series",
    "sum_movie",
    "transformed",
]
