"""`Eyes`: what is seen in an exposure: where its place lies, how far out of focus it is. Of images, by correlation."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eucentric.acquisition.correlation import Sight, displacement, sight
from eucentric.acquisition.model import Side
from eucentric.core import whole_or_nothing
from eucentric.microscope import Movie

_CERTAIN = 7.0  # standard deviations over the background: of 400,000 pixels of noise the highest has 4.7
_FARTHEST_DEG = 45.0  # images further apart are not alike


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
    """Looks at exposures. Nothing that it says costs the specimen anything."""

    def look(self, place: str, movie: Movie, side: Side) -> Seen | None:
        """Return where a place lies in its image; None if that cannot be told."""
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


class ImageEyes:
    """Compares images by correlation.

    Parameters
    ----------
    slab_deg
        Tilt of the specimen's plane at 0° of the stage, across the axis: minus its pre-tilt.
    folder
        Where references are kept for a run that goes on; they are loaded from there if it has some.
    gain
        By which raw counts are multiplied, (y, x), 0 where a pixel is dead. Without it the camera's own pattern, which
        does not move, would be taken for the specimen.
    """

    def __init__(self, slab_deg: float, folder: Path | None = None, gain: NDArray[np.float32] | None = None) -> None:
        self._slab_deg = slab_deg
        self._gain = gain
        self._folder = folder
        self._kept: dict[tuple[str, Side], tuple[Sight, float, tuple[float, float]]] = {}
        if folder is not None and folder.is_dir():
            for path in sorted(folder.glob("*.npz")):
                self._load(path)

    def look(self, place: str, movie: Movie, side: Side) -> Seen | None:
        """Compare an image with that of the same place which was kept at the nearest tilt."""
        tilt_deg = movie.readback.tilt_deg
        known = [
            (abs(kept[1] - tilt_deg), kept)
            for (name, of), kept in self._kept.items()
            if name == place and (of in (side, "start") or side == "start")
        ]
        known = [one for one in known if one[0] <= _FARTHEST_DEG]
        if not known or not movie.frames.size:
            return None
        _, (before, _, offset_A) = min(known, key=lambda one: one[0])
        found = displacement(before, self._sight(movie), offset_A)
        if found is None or found.height < _CERTAIN:
            return None
        return Seen(found.yx_A, math.hypot(found.sigma_A, 5.0))

    def knows(self, place: str) -> bool:
        """Return whether an image of a place has been kept."""
        return any(name == place for name, _ in self._kept)

    def keep(self, place: str, movie: Movie, side: Side, yx_A: tuple[float, float]) -> None:
        """Remember an image as the latest of its place and side, in memory and on disk."""
        if not movie.frames.size:
            return
        seen, tilt_deg = self._sight(movie), movie.readback.tilt_deg
        self._kept[place, side] = (seen, tilt_deg, yx_A)
        if self._folder is not None:
            with whole_or_nothing(self._folder / f"{place}@{side}.npz") as partial, partial.open("wb") as file:
                numbers = np.array([seen.pixel_A, seen.slab_deg, tilt_deg, *yx_A])
                np.savez(file, image=seen.image, numbers=numbers)

    def focus(self, place: str, up: Movie, down: Movie, beam_tilt_mrad: float) -> Focused | None:
        """Divide the shift between the two images by the angle between their beams."""
        if not (up.frames.size and down.frames.size):
            return None
        found = displacement(self._sight(down), self._sight(up), (0.0, 0.0))
        if found is None or found.height < _CERTAIN:
            return None
        angle = 2e-3 * beam_tilt_mrad
        return Focused(found.yx_A[0] / angle, math.hypot(found.sigma_A, 1.0) / angle)

    def _sight(self, movie: Movie) -> Sight:
        readback = movie.readback
        total = movie.frames.sum(axis=0, dtype=np.float32)
        if self._gain is not None and self._gain.shape == total.shape:
            total = np.where(self._gain > 0, total * self._gain, total.mean())
        return sight(total, movie.pixel_A, readback.axis_deg, readback.tilt_deg + self._slab_deg)

    def _load(self, path: Path) -> None:
        place, _, side = path.stem.rpartition("@")
        if side not in ("start", "up", "down"):
            return
        try:
            with np.load(path) as stored:
                image, numbers = stored["image"], [float(value) for value in stored["numbers"]]
        except (OSError, ValueError, KeyError):  # a reference that cannot be read is one that has to be taken anew
            return
        pixel_A, slab_deg, tilt_deg, y, x = numbers
        self._kept[place, side] = (Sight(image, pixel_A, slab_deg), tilt_deg, (y, x))  # type: ignore[index]
