import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from eucentric.core.frames import rotation_about_y
from eucentric.twin.delivered import Delivered, Spot

laws = settings(max_examples=40, deadline=None, derandomize=True)
places_A = st.floats(-5000, 5000)
BEAM = np.array([1.0, 0.0, 0.0])


def test_nothing_has_been_delivered_at_first() -> None:
    assert Delivered().at(np.zeros(3)) == 0


@laws
@given(st.lists(st.tuples(places_A, places_A, st.floats(0, 10)), max_size=6), places_A, places_A, places_A)
def test_a_place_has_what_every_beam_on_it_delivered(
    spots: list[tuple[float, float, float]], z: float, y: float, x: float
) -> None:
    booked, expected = Delivered(), 0.0
    for spot_y, spot_x, exposure_e_A2 in spots:
        booked.book(Spot.of(np.array([0.0, spot_y, spot_x]), BEAM, 3000.0, exposure_e_A2))
        expected += exposure_e_A2 * (math.hypot(y - spot_y, x - spot_x) <= 3000.0)
    assert abs(booked.at(np.array([z, y, x])) - expected) < 1e-9


@laws
@given(st.floats(-70, 70), places_A, places_A, st.floats(-3000, 3000))
def test_a_tilted_beam_goes_through_in_its_own_direction(tilt_deg: float, y: float, x: float, along_A: float) -> None:
    """Whatever lies behind each other along it is hit; what lies beside it is not."""
    beam = rotation_about_y(tilt_deg)[0]
    booked = Delivered()
    booked.book(Spot.of(np.array([0.0, y, x]), beam, 500.0, 2.5))
    behind = np.array([0.0, y, x]) + along_A * beam
    across = rotation_about_y(tilt_deg)[2]
    assert booked.at(behind + 490.0 * across) == 2.5
    assert booked.at(behind + 510.0 * across) == 0
    assert booked.at(behind + np.array([0.0, 510.0, 0.0])) == 0
