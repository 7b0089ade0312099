"""`TwinEyes`: what images would show that a twin does not make: its truth, with an error of measurement."""

import numpy as np
from numpy.typing import NDArray

from eucentric.acquisition import Focused, Seen, Side
from eucentric.core import stream
from eucentric.core.frames import rotation_about_z
from eucentric.microscope import Movie
from eucentric.twin import ExposureTruth, Twin

_ERROR_A = 15.0  # rms along each axis at 0°: chosen, of the order of what `ImageEyes` shows along the axis
_FOCUS_ERROR_A = 400.0


class TwinEyes:
    """Eyes for a twin without pixels.

    They are given what images would show, and nothing that they would not: where a place is in its image, with an
    error that grows with the path through the ice, and the defocus from a pair of beam tilts.

    Parameters
    ----------
    twin
        Whose exposures are looked at, each right after it was made.
    places_zyx_A
        Where each place really is on the specimen.
    seed
        Of the errors.
    """

    def __init__(self, twin: Twin, places_zyx_A: dict[str, NDArray[np.float64]], seed: int = 0) -> None:
        self.slab_deg = 0.0  # of no use to eyes that need no images
        self._twin = twin
        self._places = places_zyx_A
        self._seed = seed
        self._known: set[str] = set()

    def look(self, place: str, movie: Movie, side: Side) -> Seen | None:
        """Return where a place lies in the last exposure, but for an error of measurement; None in the dark."""
        truth = self._twin.last
        if truth is None or movie.readback.dose_rate_e_px_s == 0:
            return None
        sigma_A = _ERROR_A / max(np.cos(np.deg2rad(truth.view.tilt_deg)), 0.2)
        y, x = self._offset_A(place, truth) + sigma_A * self._draws(truth, "look", 2)
        return Seen((float(y), float(x)), float(sigma_A))

    def shows(self, movie: Movie) -> bool:
        """Return whether any electrons arrived."""
        return movie.readback.dose_rate_e_px_s > 0

    def knows(self, place: str) -> bool:
        """Return whether a place was seen before."""
        return place in self._known

    def keep(self, place: str, movie: Movie, side: Side, yx_A: tuple[float, float]) -> None:
        """Note that a place was seen."""
        self._known.add(place)

    def focus(self, place: str, up: Movie, down: Movie, beam_tilt_mrad: float) -> Focused | None:
        """Return the true defocus, but for an error of measurement; None in the dark."""
        truth = self._twin.last
        if truth is None or min(one.readback.dose_rate_e_px_s for one in (up, down)) == 0:
            return None
        error_A = _FOCUS_ERROR_A * float(self._draws(truth, "focus", 1)[0])
        return Focused(truth.defocus_A + error_A, _FOCUS_ERROR_A)

    def _offset_A(self, place: str, truth: ExposureTruth) -> NDArray[np.float64]:
        """Return where a place is seen, yx along and across the axis, from the site that the exposure is of."""
        seen = truth.view.sample2image()(self._places[place] - self._twin.site_place_A(truth.site))
        back = rotation_about_z(-truth.view.axis_deg) @ np.array([0.0, *seen[1:]])
        return np.asarray(back[1:])

    def _draws(self, truth: ExposureTruth, what: str, count: int) -> NDArray[np.float64]:
        return stream(self._seed, "eyes", what, truth.number).standard_normal(count)
