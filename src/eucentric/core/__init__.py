"""What every other package stands on: records, units, frames, errors, random streams, files, progress.

`core.jit` and `core.devices` are public too, but imported by name: they load numba and torch, which a command
that only reads metadata should not wait for.
"""

from eucentric.core.alignment import Alignment, TiltAlignment
from eucentric.core.errors import (
    DataWarning,
    EucentricError,
    EucentricWarning,
    FormatError,
    FormatWarning,
    InputError,
    OutputError,
)
from eucentric.core.files import is_file, make_folder, remove_partials, whole_or_nothing, write_text
from eucentric.core.frames import Frame, Transform
from eucentric.core.local_motion import LocalMotion
from eucentric.core.progress import SILENT, ConsoleReporter, Reporter
from eucentric.core.random import stream
from eucentric.core.record import Angstrom, Degrees, ElectronsPerA2, Record, did_you_mean
from eucentric.core.series import Tilt, TiltSeries

__all__ = [
    "SILENT",
    "Alignment",
    "Angstrom",
    "ConsoleReporter",
    "DataWarning",
    "Degrees",
    "ElectronsPerA2",
    "EucentricError",
    "EucentricWarning",
    "FormatError",
    "FormatWarning",
    "Frame",
    "InputError",
    "LocalMotion",
    "OutputError",
    "Record",
    "Reporter",
    "Tilt",
    "TiltAlignment",
    "TiltSeries",
    "Transform",
    "did_you_mean",
    "is_file",
    "make_folder",
    "remove_partials",
    "stream",
    "whole_or_nothing",
    "write_text",
]
