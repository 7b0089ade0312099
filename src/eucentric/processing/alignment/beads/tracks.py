"""`Tracks`: where beads were seen in the views of a series."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eucentric.core import InputError

_FARTHEST_PX = 1e6  # no camera has a side as long; a position beyond is not one


@dataclass(frozen=True)
class Tracks:
    """Observations of beads, sorted by bead and then by view, at most one of a bead in a view.

    `bead` (m,) is the number of the bead seen, any number not below 0; `view` (m,) the section, from 0; `yx_px` (m, 2)
    the place in array index coordinates of the recorded image: pixel centres lie at whole numbers, the first at 0.
    IMOD's own coordinates are half a pixel larger.
    """

    bead: NDArray[np.int64]
    view: NDArray[np.int64]
    yx_px: NDArray[np.float64]

    def __post_init__(self) -> None:
        m = len(self.bead)
        if self.bead.shape != (m,) or self.view.shape != (m,) or self.yx_px.shape != (m, 2):
            raise ValueError(f"{self.bead.shape} beads, {self.view.shape} views and {self.yx_px.shape} places differ")
        key = np.stack((self.bead, self.view), axis=1)
        if m > 1 and not (np.lexsort((self.view, self.bead)) == np.arange(m)).all():
            raise ValueError("observations are not sorted by bead and view; use Tracks.of")
        if m > 1 and (np.diff(key, axis=0) == 0).all(axis=1).any():
            raise ValueError("a bead has two places in one view; use Tracks.of")

    @classmethod
    def of(cls, bead: Sequence[int] | ArrayLike, view: Sequence[int] | ArrayLike, yx_px: ArrayLike) -> Self:
        """Make tracks from observations in any order.

        Raises
        ------
        InputError
            If a number is negative, a place is none, or a bead has two places in one view.
        """
        beads, views = np.asarray(bead, dtype=np.int64).reshape(-1), np.asarray(view, dtype=np.int64).reshape(-1)
        places = np.asarray(yx_px, dtype=np.float64).reshape(-1, 2)
        if not len(beads) == len(views) == len(places):
            raise InputError(f"{len(beads)} beads, {len(views)} views and {len(places)} places are not one list.")
        if len(beads) and (beads.min() < 0 or views.min() < 0):
            raise InputError("Beads and views are numbered from 0, and a number below was given.")
        if not (np.abs(places) < _FARTHEST_PX).all():
            wrong = int(np.argmax(~(np.abs(places) < _FARTHEST_PX).all(axis=1)))
            raise InputError(f"Bead {beads[wrong]} in view {views[wrong]} has no place: {places[wrong].tolist()}.")
        order = np.lexsort((views, beads))
        beads, views, places = beads[order], views[order], places[order]
        twice = (np.diff(beads) == 0) & (np.diff(views) == 0)
        if twice.any():
            first = int(np.argmax(twice))
            raise InputError(
                f"Bead {beads[first]} has two places in view {views[first]}.",
                "Keep one of them, or give them two numbers.",
            )
        return cls(beads, views, places)

    def __len__(self) -> int:
        return len(self.bead)

    def only(self, chosen: NDArray[np.bool_]) -> "Tracks":
        """Return the chosen observations."""
        return Tracks(self.bead[chosen], self.view[chosen], self.yx_px[chosen])
