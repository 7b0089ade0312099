"""`Eyes`: what is seen in an exposure: where its place lies, how far out of focus it is. Of images, by correlation."""

import math
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from eucentric.acquisition.model import Side
from eucentric.core import OutputError, whole_or_nothing
from eucentric.microscope import Movie
from eucentric.processing.correlation import Sight, displacement, sight

_CERTAIN = 6.0  # standard deviations over the background: of 512² pixels of noise the highest has 4.8, seldom 5.3
_FARTHEST_DEG = 45.0  # images further apart are not alike
_NEAR_DEG = 8.0  # and those that are nearer than the nearest one and this help it
_KEPT = 3  # of each place and side


@dataclass(frozen=True)
class Seen:
    """Where a place lies from the image's centre, yx in Å along and across the axis, and how sure that is."""

    yx_A: tuple[float, float]
    sigma_A: float


@dataclass(frozen=True)
class Focused:
    """The defocus of a place (Å, underfocus positive), and how sure that is."""

    defocus_A: float
    sigma_A: float


class Eyes(Protocol):
    """Looks at exposures. Nothing that it says costs the specimen anything.

    `slab_deg` is the tilt of the specimen's plane at 0° of the stage, across the axis: minus its pre-tilt.
    """

    slab_deg: float

    def look(self, place: str, movie: Movie, side: Side) -> Seen | None:
        """Return where a place lies in its image; None if that cannot be told."""
        ...

    def shows(self, movie: Movie) -> bool:
        """Return whether there is anything to be seen in an image."""
        ...

    def knows(self, place: str) -> bool:
        """Return whether there is anything to compare images of a place with."""
        ...

    def keep(self, place: str, movie: Movie, side: Side, yx_A: tuple[float, float]) -> None:
        """Remember an image, in which the place lies at so much from the centre, to compare later ones with."""
        ...

    def focus(self, place: str, up: Movie, down: Movie, beam_tilt_mrad: float) -> Focused | None:
        """Return the defocus of a place from two images, the beam tilted along the axis by so much and by minus it."""
        ...


@dataclass(frozen=True)
class _Kept:
    """An image that others are compared with, and where its place lies in it."""

    sight: Sight
    tilt_deg: float
    offset_A: tuple[float, float]

    @property
    def numbers(self) -> tuple[float, ...]:
        return (self.sight.pixel_A, self.sight.slab_deg, self.tilt_deg, *self.offset_A)


class ImageEyes:
    """Compares images by correlation.

    Parameters
    ----------
    slab_deg
        As for `Eyes`.
    folder
        Where references are kept for a run that goes on; they are loaded from there if it has some.
    gain
        By which raw counts are multiplied, (y, x), 0 where a pixel is dead. Without it the camera's own pattern, which
        does not move, would be taken for the specimen.
    """

    def __init__(self, slab_deg: float, folder: Path | None = None, gain: NDArray[np.float32] | None = None) -> None:
        self.slab_deg = slab_deg
        self._gain = gain
        self._folder = folder
        self._kept: dict[tuple[str, str], deque[_Kept]] = {}
        self._written: dict[tuple[str, str], int] = {}
        if folder is not None and folder.is_dir():
            self._load(folder)

    def look(self, place: str, movie: Movie, side: Side) -> Seen | None:
        """Compare an image with those of the same place and side that were kept at the nearest tilts."""
        tilt_deg = movie.readback.tilt_deg
        known = [
            (abs(one.tilt_deg - tilt_deg), one)
            for (name, of), kept in self._kept.items()
            if name == place and (of in (side, "start") or side == "start")
            for one in kept
        ]
        nearest = min((away for away, _ in known), default=math.inf)
        if nearest > _FARTHEST_DEG or not movie.frames.size:
            return None
        near = [(one.sight, one.offset_A) for away, one in known if away <= nearest + _NEAR_DEG]
        found = displacement(near, self._sight(movie))
        if found is None or found.height < _CERTAIN:
            return None
        return Seen(found.yx_A, math.hypot(found.sigma_A, 5.0))

    def shows(self, movie: Movie) -> bool:
        """Return whether an image has any contrast."""
        return bool(movie.frames.size) and bool(self._sight(movie).image.any())

    def knows(self, place: str) -> bool:
        """Return whether an image of a place has been kept."""
        return any(name == place for name, _ in self._kept)

    def keep(self, place: str, movie: Movie, side: Side, yx_A: tuple[float, float]) -> None:
        """Remember an image as one of the latest of its place and side, in memory and on disk."""
        if not movie.frames.size:
            return
        kept = _Kept(self._sight(movie), movie.readback.tilt_deg, yx_A)
        self._kept.setdefault((place, side), deque(maxlen=_KEPT)).append(kept)
        if self._folder is not None:
            number = self._written[place, side] = self._written.get((place, side), -1) + 1
            path = self._folder / f"{place}@{side}@{number % _KEPT}.npz"
            # On a full disk it is kept in memory alone: the record of exposures has its own policy for that.
            with suppress(OutputError), whole_or_nothing(path) as partial, partial.open("wb") as file:
                np.savez(file, image=kept.sight.image, numbers=np.array([number, *kept.numbers]))

    def focus(self, place: str, up: Movie, down: Movie, beam_tilt_mrad: float) -> Focused | None:
        """Divide the shift between the two images by the angle between their beams."""
        if not (up.frames.size and down.frames.size):
            return None
        found = displacement([(self._sight(down), (0.0, 0.0))], self._sight(up))
        if found is None or found.height < _CERTAIN:
            return None
        angle = 2e-3 * beam_tilt_mrad
        return Focused(found.yx_A[0] / angle, math.hypot(found.sigma_A, 1.0) / angle)

    def _sight(self, movie: Movie) -> Sight:
        readback = movie.readback
        total = movie.frames.sum(axis=0, dtype=np.float32)
        if self._gain is not None and self._gain.shape == total.shape:
            total = np.where(self._gain > 0, total * self._gain, total.mean())
        return sight(total, movie.pixel_A, readback.axis_deg, readback.tilt_deg + self.slab_deg)

    def _load(self, folder: Path) -> None:
        """Take up what was kept; a file that cannot be read is an image that has to be taken anew."""
        found: list[tuple[float, str, str, _Kept]] = []
        for path in folder.glob("*@*@*.npz"):
            place, side, _ = path.stem.rsplit("@", 2)
            try:
                with path.open("rb") as file, np.load(file) as stored:
                    number, pixel_A, slab_deg, tilt_deg, y, x = (float(value) for value in stored["numbers"])
                    kept = _Kept(Sight(stored["image"], pixel_A, slab_deg), tilt_deg, (y, x))
            except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
                continue
            found.append((number, place, side, kept))
        for number, place, side, kept in sorted(found, key=lambda one: one[:3]):
            self._kept.setdefault((place, side), deque(maxlen=_KEPT)).append(kept)
            self._written[place, side] = int(number)
