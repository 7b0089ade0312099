"""The frames of a series' movies, corrected for the camera and read whenever they are asked for."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from eucentric.core import InputError
from eucentric.io.movies import MovieFile
from eucentric.processing.gain import FrameCorrector
from eucentric.processing.motion import Frames, KeptTransforms


class MovieFrames:
    """Gives the frames of each movie; `readable` says, by section, which of them could be read the last time.

    Parameters
    ----------
    movies
        By section; None where there is none.
    corrector
        Makes corrected frames of raw ones; called when the first frame is read.
    device
        Where the frames are to be.
    """

    def __init__(
        self, movies: Sequence[MovieFile | None], corrector: Callable[[], FrameCorrector], device: torch.device
    ) -> None:
        self._movies, self._make, self._device = movies, corrector, device
        self._corrector: FrameCorrector | None = None
        self._kept = KeptTransforms()
        self.readable: dict[int, tuple[int, ...]] = {}

    def transforms(self, section: int) -> Frames:
        """Return what gives the transforms of a section's frames, which are kept for once more while there is room."""
        return self._kept.of(section, lambda: self.read(section))

    def read(self, section: int) -> Iterator[Tensor]:
        """Give the frames that can be read.

        Raises
        ------
        InputError
            If there is none.
        """
        movie = self._movies[section]
        if movie is None:
            raise InputError(f"There is no movie of section {section}.")
        if self._corrector is None:
            self._corrector = self._make()
        found: list[int] = []
        # What is lost is told once, when all has been seen: movies are read more than once.
        for which, frame in enumerate(movie.frames_or_none(tell=False)):
            if frame is not None:
                found.append(which)
                yield torch.from_numpy(self._corrector(frame)).to(self._device)
        self.readable[section] = tuple(found)
        if not found:
            raise InputError(f"{movie.path}: none of its frames can be read.", "Copy it again from its source.")
