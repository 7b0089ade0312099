"""Acquisition: an engine that runs a plan on a microscope, exposes nothing twice and loses no exposure.

`Program` is a plan with its targets, checked before anything moves; `Engine` runs it, from wherever it was left; its
`Eyes` look at the images. The files that it leaves are those of `series_files`.
"""

from eucentric.acquisition.engine import Engine, skip_uncertain
from eucentric.acquisition.eyes import Eyes, Focused, ImageEyes, Seen
from eucentric.acquisition.happenings import Ended, Finish, Happened, Listener, State
from eucentric.acquisition.model import Side
from eucentric.acquisition.program import Program, Step
from eucentric.acquisition.recorder import MovieFiles
from eucentric.acquisition.timing import predicted_seconds

__all__ = [
    "Ended",
    "Engine",
    "Eyes",
    "Finish",
    "Focused",
    "Happened",
    "ImageEyes",
    "Listener",
    "MovieFiles",
    "Program",
    "Seen",
    "Side",
    "State",
    "Step",
    "predicted_seconds",
    "skip_uncertain",
]
