"""What a microscope is to the rest of the package: the `Microscope` protocol, its records and its errors.

`microscope.contract` holds the tests that every driver must pass; it is imported by name, by tests alone.
"""

from eucentric.microscope.errors import (
    BeamLostError,
    MicroscopeError,
    MicroscopeTimeoutError,
    MoveRefusedError,
    StoppedError,
)
from eucentric.microscope.protocol import Microscope
from eucentric.microscope.records import (
    ExposureRequest,
    Image,
    Movie,
    Purpose,
    Readback,
    ShiftYX,
    StageLimits,
    StagePosition,
)

__all__ = [
    "BeamLostError",
    "ExposureRequest",
    "Image",
    "Microscope",
    "MicroscopeError",
    "MicroscopeTimeoutError",
    "MoveRefusedError",
    "Movie",
    "Purpose",
    "Readback",
    "ShiftYX",
    "StageLimits",
    "StagePosition",
    "StoppedError",
]
