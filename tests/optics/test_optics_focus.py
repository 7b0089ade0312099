import math
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucentric.optics import (
    Lens,
    defocus_of_point_A,
    depth_of_field_A,
    first_thick_node_A,
    phase_rad,
    strip_width_A,
)

laws = settings(max_examples=60, deadline=None, derandomize=True)
places_A = st.floats(-20_000, 20_000)
tilts_deg = st.floats(-80, 80)

HANDS: tuple[Literal[1, -1], ...] = (1, -1)


@pytest.mark.parametrize(("resolution_A", "depth_nm", "strip_nm"), [(3.0, 11, 13), (5.0, 32, 37), (10.0, 127, 147)])
def test_depth_of_field_and_width_of_a_strip(resolution_A: float, depth_nm: float, strip_nm: float) -> None:
    assert depth_of_field_A(resolution_A) / 10 == pytest.approx(depth_nm, abs=0.5)
    for tilt_deg in (60.0, -60.0):
        assert strip_width_A(resolution_A, tilt_deg) / 10 == pytest.approx(strip_nm, abs=0.5)


@pytest.mark.parametrize("voltage_kV", [100.0, 200.0, 300.0])
def test_the_depth_of_field_is_an_eighth_of_a_turn_of_phase(voltage_kV: float) -> None:
    """The definition, held to the phase itself: from one face of the depth to the other chi changes by pi/4."""
    lens = Lens(voltage_kV=voltage_kV)
    depth_A = depth_of_field_A(4.0, voltage_kV)
    turned = phase_rad(1 / 4.0, 20_000 + depth_A, lens) - phase_rad(1 / 4.0, 20_000, lens)
    assert turned == pytest.approx(math.pi / 4, rel=1e-9)


@pytest.mark.parametrize(("resolution_A", "tilt_deg"), [(3.0, 60.0), (10.0, -35.0), (5.0, 1.0)])
def test_a_strip_spans_the_depth_of_field(resolution_A: float, tilt_deg: float) -> None:
    """The far edge of a strip along the specimen is as much out of focus as the depth of field allows."""
    edge_A = strip_width_A(resolution_A, tilt_deg)
    across_A = abs(float(defocus_of_point_A(0.0, edge_A, 0.0, tilt_deg)))
    assert across_A == pytest.approx(depth_of_field_A(resolution_A), rel=1e-9)


def test_an_untilted_strip_has_no_end() -> None:
    assert strip_width_A(3.0, 0.0) == math.inf


def test_the_first_node_of_a_thick_slab() -> None:
    node_A = first_thick_node_A(1000.0)
    assert node_A == pytest.approx(4.44, abs=0.005)
    # There the phase turns by a whole pi from face to face: the Thon rings of all depths cancel.
    lens = Lens()
    turned = phase_rad(1 / node_A, 20_500, lens) - phase_rad(1 / node_A, 19_500, lens)
    assert turned == pytest.approx(math.pi, rel=1e-9)


def test_the_ramp_of_a_tilted_specimen() -> None:
    """At 60° and 1 µm: 0.866 µm by distance in the specimen, 1.732 µm by distance in the image."""
    assert defocus_of_point_A(0.0, 10_000.0, 0.0, 60.0) == pytest.approx(8660, abs=5)
    x_A = 10_000.0 / math.cos(math.radians(60.0))
    assert defocus_of_point_A(0.0, x_A, 0.0, 60.0) == pytest.approx(17_320, abs=5)


@pytest.mark.parametrize("hand", HANDS)
def test_height_counts_in_full_at_0_and_the_hand_turns_it(hand: Literal[1, -1]) -> None:
    assert defocus_of_point_A(30_000.0, 5000.0, 400.0, 0.0, hand) == pytest.approx(30_000 + hand * 400)
    tilted = defocus_of_point_A(30_000.0, 1000.0, 0.0, 30.0, hand)
    assert tilted == pytest.approx(30_000 + hand * 500)


@laws
@given(places_A, places_A, tilts_deg, st.floats(-60_000, 60_000))
def test_both_hands_average_to_the_axis(x_A: float, z_A: float, tilt_deg: float, defocus_A: float) -> None:
    both = [defocus_of_point_A(defocus_A, x_A, z_A, tilt_deg, hand) for hand in HANDS]
    assert np.mean(both) == pytest.approx(defocus_A, abs=1e-6)
    # A turn about the axis changes no distance: the height is never more than that of the point.
    assert abs(both[0] - defocus_A) <= math.hypot(x_A, z_A) + 1e-6


@laws
@given(places_A, places_A, tilts_deg, st.floats(-40, 40))
def test_a_turned_specimen_at_one_tilt_is_the_specimen_at_another(
    x_A: float, z_A: float, tilt_deg: float, turn_deg: float
) -> None:
    turn = math.radians(turn_deg)
    turned_x = x_A * math.cos(turn) - z_A * math.sin(turn)
    turned_z = x_A * math.sin(turn) + z_A * math.cos(turn)
    one = defocus_of_point_A(0.0, turned_x, turned_z, tilt_deg)
    assert one == pytest.approx(defocus_of_point_A(0.0, x_A, z_A, tilt_deg + turn_deg), abs=1e-6)
