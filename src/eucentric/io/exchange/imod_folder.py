"""The folder of one series of etomo: its files, read where they can be, and what was not read of them."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from eucentric.core import EucentricError, FormatWarning
from eucentric.io.exchange.imod_com import Options, read_com, read_edf
from eucentric.io.mrc import MrcImage, open_mrc

STACKS = (".st", ".mrc", ".mrcs")
ALIGNED = ("_ali.mrc", ".ali")
TOMOGRAMS = ("_rec.mrc", ".rec")
MAX_TEXT_BYTES = 2 << 20  # of a list of ten thousand views, or a command file
_MAX_MODEL_BYTES = 64 << 20
# Files that only say how something was done, or that we read elsewhere, need no word; these do.
_NOT_READ = {".maggrad": "magnification gradients", ".idf": "a distortion field"}

T = TypeVar("T")


class EtomoFolder:
    """The files of the data set `name` in the folder `path`; `dropped` has what was not read of them."""

    def __init__(self, path: Path, name: str) -> None:
        """Take the folder and the name of its data set."""
        self.path, self.name = path, name
        self.dropped: list[str] = []
        self._read: list[Options] = []

    def one(self, *endings: str, own: bool = True) -> Path | None:
        """Return the first file that there is, of the data set's name or, with `own` false, of this very name."""
        for ending in endings:
            path = self.path / (f"{self.name}{ending}" if own else ending)
            if not path.is_file():
                continue
            binary = ending in (*STACKS, *ALIGNED, *TOMOGRAMS)
            if binary or path.stat().st_size <= (_MAX_MODEL_BYTES if path.suffix == ".mod" else MAX_TEXT_BYTES):
                return path
            self.dropped.append(f"{path}: not read; it is too large to be what its name says.")
        return None

    def attempt(self, path: Path | None, read: Callable[[Path], T]) -> T | None:
        """Read a file that the series can do without."""
        if path is None:
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FormatWarning)
                return read(path)
        except (EucentricError, ValueError) as error:  # ValidationError is a ValueError
            what = error.what if isinstance(error, EucentricError) else "a number in it cannot be"
            self.dropped.append(f"{path}: this file was not read ({what})")
            return None

    def com(self, name: str, program: str) -> Options | None:
        """Return the options that a command file gives to a program, if there is such a file."""
        return self._noted(self.attempt(self.one(name, own=False), lambda path: read_com(path, program)))

    def edf(self) -> Options | None:
        """Return the settings of the .edf, if there is one."""
        return self._noted(self.attempt(self.one(".edf"), read_edf))

    def stack(self, n: int) -> MrcImage | None:
        """Return the recorded images, if they are of `n` views."""
        for ending in STACKS:
            stack = self.attempt(self.one(ending), open_mrc)
            if stack is not None and len(stack.data) == n:
                return stack
            if stack is not None:
                self.dropped.append(f"{stack.path}: not taken; it has {len(stack.data)} sections, the .xf {n}.")
        return None

    def say_what_is_left(self) -> None:
        """Tell what was asked of no file so far."""
        for one in self._read:
            self.dropped += one.unread()
        for ending, what in _NOT_READ.items():
            path = self.one(ending)
            if path is not None:
                self.dropped.append(f"{path}: {what} were not read.")

    def _noted(self, options: Options | None) -> Options | None:
        if options is not None:
            self._read.append(options)
        return options
