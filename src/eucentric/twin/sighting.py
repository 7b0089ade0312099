"""`Sighting`: which places of the specimen lie in the centres of image and beam, as stage and lenses stand."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eucentric.core import TiltAlignment
from eucentric.twin.mechanics import Mechanics
from eucentric.twin.moving import Moving
from eucentric.twin.scene import View
from eucentric.twin.sites import Site
from eucentric.twin.states import TwinState

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sighting:
    """How a site is seen at a time.

    Attributes
    ----------
    alignment
        How the image sees the site, its section the number of the exposure.
    height_A
        z of the site's origin in the image frame.
    view
        The same with the height, nothing displaced.
    centre_zyx_A
        The place of the site's middle plane, from its origin, in the image's centre, (3,).
    beam_zyx_A
        The place of the specimen in the beam's centre, (3,).
    beam_yx_A
        Where the beam's centre is in the image, from the image's, (2,).
    """

    alignment: TiltAlignment
    height_A: float
    view: View
    centre_zyx_A: Array
    beam_zyx_A: Array
    beam_yx_A: Array


def sighted(
    state: TwinState,
    mechanics: Mechanics,
    site: Site,
    moving: Moving,
    *,
    at_s: float,
    hand: int,
    beam_offset_yx_A: tuple[float, float],
) -> Sighting:
    """Return how a site is seen.

    Parameters
    ----------
    state
        How the lenses are set.
    mechanics
        The stage, as it stands.
    site, moving
        What is seen, and how it lies and moves.
    at_s
        The time, which tells the drift.
    hand
        The defocus hand.
    beam_offset_yx_A
        Where the beam is, along and across the tilt axis, when its shift reads zero.
    """
    offset_A = mechanics.offset_zyx_A(at_s, site.place_zyx_A)
    height_A = float(offset_A[0])
    y, x = moving.in_image(offset_A[1:] - np.array(state.image_shift_yx_A))
    alignment = TiltAlignment(
        section=state.exposures,
        tilt_deg=mechanics.true_tilt_deg,
        axis_deg=moving.axis_deg,
        shift_yx_A=(float(y), float(x)),
    )
    view = View.of(alignment, height_A, hand)
    centre_A = moving.on_specimen(view, np.zeros(2))
    off_A = np.array(state.beam_shift_yx_A) - np.array(state.image_shift_yx_A) + np.array(beam_offset_yx_A)
    beam_yx_A = moving.in_image(off_A)
    beam_A = site.place_zyx_A + moving.on_specimen(view, beam_yx_A)
    if any(state.beam_tilt_yx_mrad):
        # Along a tilted beam the image of each height lies elsewhere; here all of it goes with the middle plane.
        defocus_A = state.defocus_A + view.adds_defocus_A(centre_A)
        y, x = moving.in_image(np.array(state.beam_tilt_yx_mrad)) * 1e-3 * defocus_A
        shift_A = alignment.shift_yx_A
        alignment = alignment.replace(shift_yx_A=(shift_A[0] + float(y), shift_A[1] + float(x)))
        view = View.of(alignment, height_A, hand)
        centre_A = moving.on_specimen(view, np.zeros(2))
    return Sighting(alignment, height_A, view, centre_A, beam_A, beam_yx_A)
