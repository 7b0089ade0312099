import math

import numpy as np
import pytest
from design_cases import designs
from hypothesis import given, settings
from hypothesis import strategies as st

from eucentric.design import (
    Design,
    SaxtonIncrement,
    Specimen,
    TargetMove,
    TiltedSlab,
    Unidirectional,
    angles_between,
    crowther_A,
    elongation,
    missing_wedge_fraction,
    parallax_A,
    path_A,
    target_move,
)
from eucentric.optics import Lens, defocus_of_point_A, mean_free_path_A

laws = settings(max_examples=80, deadline=None, derandomize=True)
places_A = st.floats(-20_000, 20_000)
tilts_deg = st.floats(-80, 80)


@pytest.mark.parametrize(("slab_deg", "factor"), [(0, 1.0), (45, 1.414), (60, 2.0), (70, 2.924), (-70, 2.924)])
def test_the_path_through_a_slab(slab_deg: float, factor: float) -> None:
    assert path_A(1000.0, slab_deg) == pytest.approx(1000 * factor, abs=0.5)


def test_a_lamella_is_thinnest_where_the_stage_stands_at_its_pre_tilt() -> None:
    """A stage tilt a makes a slab tilt a - p: ±50° of slab at a pre-tilt of -9° is -59° to 41° of stage."""
    design = Design(
        scheme=Unidirectional(min_deg=-51, max_deg=51), specimen=Specimen(thickness_A=1500.0, pre_tilt_deg=-9.0)
    )
    slab = design.slab
    assert (slab.stage_deg[0], slab.stage_deg[-1]) == pytest.approx((-60, 42))
    np.testing.assert_allclose(slab.slab_deg, slab.stage_deg + 9.0, atol=1e-9)
    thinnest = int(np.argmin(slab.path_A))
    assert slab.stage_deg[thinnest] == pytest.approx(-9.0)
    assert slab.path_A[thinnest] == pytest.approx(1500.0)
    assert slab.path_A[0] == pytest.approx(slab.path_A[-1])


def test_the_transmission_of_a_slab_at_each_tilt() -> None:
    angles = np.array([0.0, 45.0, -60.0, 70.0])
    slab = TiltedSlab(stage_deg=angles, slab_deg=angles, thickness_A=2000.0, mean_free_path_A=3100.0)
    np.testing.assert_allclose(slab.transmission, [0.525, 0.402, 0.275, 0.152], rtol=0, atol=5e-4)


@laws
@given(designs())
def test_a_design_carries_the_mean_free_path_to_its_voltage(design: Design) -> None:
    slab = design.slab
    expected = mean_free_path_A(design.lens.voltage_kV, design.specimen.mean_free_path_A)
    assert slab.mean_free_path_A == pytest.approx(expected)
    np.testing.assert_allclose(slab.transmission, np.exp(-slab.path_A / expected), rtol=1e-12)
    assert Design().replace(lens=Lens(voltage_kV=200.0)).slab.mean_free_path_A < Design().slab.mean_free_path_A


@pytest.mark.parametrize(("half_deg", "fraction"), [(50, 0.444), (60, 0.333), (70, 0.222), (90, 0.0), (0, 1.0)])
def test_the_missing_wedge(half_deg: float, fraction: float) -> None:
    assert missing_wedge_fraction(-half_deg, half_deg) == pytest.approx(fraction, abs=5e-4)


@laws
@given(st.floats(-90, 90), st.floats(0, 90))
def test_the_missing_wedge_is_the_share_of_directions_that_no_tilt_has(min_deg: float, extent_deg: float) -> None:
    max_deg = min(90.0, min_deg + extent_deg)
    directions = (np.arange(18_000) + 0.5) / 100 - 90
    seen = (directions >= min_deg) & (directions <= max_deg)
    assert missing_wedge_fraction(min_deg, max_deg) == pytest.approx(1 - seen.mean(), abs=2e-4)


@pytest.mark.parametrize(("half_deg", "times"), [(50, 1.89), (60, 1.55), (70, 1.31)])
def test_elongation(half_deg: float, times: float) -> None:
    assert elongation(half_deg) == pytest.approx(times, abs=0.005)


def test_elongation_runs_from_none_to_without_end() -> None:
    assert elongation(90.0) == pytest.approx(1.0)
    assert elongation(0.0) == math.inf
    halves = np.linspace(1, 90, 90)
    assert (np.diff([elongation(half) for half in halves]) < 0).all()
    # Close to no range it goes as sqrt(3) over the range: A - sin A cos A is 2/3 A³.
    assert elongation(0.1) == pytest.approx(math.sqrt(3) / math.radians(0.1), rel=1e-4)


@pytest.mark.parametrize(("increment_deg", "resolution_A"), [(1.0, 17), (2.0, 35), (3.0, 52)])
def test_crowther(increment_deg: float, resolution_A: float) -> None:
    assert crowther_A(1000.0, increment_deg) == pytest.approx(resolution_A, abs=0.5)
    assert crowther_A(500.0, increment_deg) == pytest.approx(resolution_A / 2, abs=0.25)


@laws
@given(st.floats(0.5, 10), st.floats(-60, 0))
def test_saxton_recursion(step_deg: float, start_deg: float) -> None:
    """sin(a(n+1) - a(n)) = sin(step) cos a(n), from the first angle to the last."""
    above = np.array([start_deg, *angles_between(start_deg, 70.0, SaxtonIncrement(step_deg=step_deg))])
    expected = math.sin(math.radians(step_deg)) * np.cos(np.deg2rad(above[:-1]))
    np.testing.assert_allclose(np.sin(np.deg2rad(np.diff(above))), expected, rtol=1e-9)


def test_saxton_by_hand() -> None:
    """From 0° in steps of 2°: 2°, then asin(sin 2° cos 2°) more, and at 60° steps of about one degree."""
    above = angles_between(0.0, 61.0, SaxtonIncrement(step_deg=2.0))
    assert above[:3] == pytest.approx((2.0, 3.998781, 5.993910), abs=1e-6)
    assert above[-1] - above[-2] == pytest.approx(1.0, abs=0.04)


@laws
@given(places_A, places_A, tilts_deg)
def test_parallax(z_A: float, x_A: float, tilt_deg: float) -> None:
    tilt = math.radians(tilt_deg)
    assert parallax_A(z_A, 0.0, tilt_deg) == pytest.approx(z_A * math.sin(tilt), abs=1e-6)
    assert parallax_A(0.0, x_A, tilt_deg) == pytest.approx(x_A * (math.cos(tilt) - 1), abs=1e-6)
    both = parallax_A(z_A, 0.0, tilt_deg) + parallax_A(0.0, x_A, tilt_deg)
    assert parallax_A(z_A, x_A, tilt_deg) == pytest.approx(both, abs=1e-6)
    assert parallax_A(z_A, x_A, 0.0) == 0


def test_parallax_by_hand() -> None:
    np.testing.assert_allclose(parallax_A(1000.0, 0.0, [30.0, -30.0]), [500.0, -500.0])
    np.testing.assert_allclose(parallax_A(0.0, 1000.0, [60.0, -60.0]), -500.0)


@laws
@given(places_A, places_A, tilts_deg)
def test_tilting_changes_no_distance_from_the_axis(z_A: float, x_A: float, tilt_deg: float) -> None:
    """Where a point appears and how high it then is make up its distance from the axis.

    `parallax_A` counts the tilt the other way round than `defocus_of_point_A` and `target_move` do.
    """
    across = x_A + parallax_A(z_A, x_A, tilt_deg)
    height = defocus_of_point_A(0.0, x_A, z_A, -tilt_deg)
    assert math.hypot(across, height) == pytest.approx(math.hypot(x_A, z_A), abs=1e-6)
    assert target_move(x_A, z_A, 0.0, -tilt_deg).dy_A == pytest.approx(parallax_A(z_A, x_A, tilt_deg), abs=1e-6)


@pytest.mark.parametrize(
    ("n0_A", "z0_A", "from_deg", "to_deg", "dy_A", "dfocus_A"),
    [
        (1000.0, 0.0, 0.0, 60.0, -500.0, 866.0254),
        (0.0, 1000.0, 0.0, 60.0, -866.0254, -500.0),
        (1000.0, 0.0, -30.0, 30.0, 0.0, 1000.0),
        (0.0, 1000.0, -30.0, 30.0, -1000.0, 0.0),
    ],
)
def test_target_moves_by_hand(
    n0_A: float, z0_A: float, from_deg: float, to_deg: float, dy_A: float, dfocus_A: float
) -> None:
    move = target_move(n0_A, z0_A, from_deg, to_deg)
    assert (move.dy_A, move.dfocus_A) == pytest.approx((dy_A, dfocus_A), abs=1e-3)


@laws
@given(places_A, places_A, tilts_deg, tilts_deg, tilts_deg)
def test_moves_follow_one_another(n0_A: float, z0_A: float, a_deg: float, b_deg: float, c_deg: float) -> None:
    one, two = target_move(n0_A, z0_A, a_deg, b_deg), target_move(n0_A, z0_A, b_deg, c_deg)
    whole = target_move(n0_A, z0_A, a_deg, c_deg)
    assert whole.dy_A == pytest.approx(one.dy_A + two.dy_A, abs=1e-6)
    assert whole.dfocus_A == pytest.approx(one.dfocus_A + two.dfocus_A, abs=1e-6)
    assert target_move(n0_A, z0_A, a_deg, a_deg) == TargetMove(0.0, 0.0)


@laws
@given(places_A, places_A, tilts_deg, tilts_deg)
def test_a_target_moves_in_focus_as_a_point_of_the_specimen_does(
    n0_A: float, z0_A: float, from_deg: float, to_deg: float
) -> None:
    before, after = defocus_of_point_A(0.0, n0_A, z0_A, [from_deg, to_deg])
    assert target_move(n0_A, z0_A, from_deg, to_deg).dfocus_A == pytest.approx(after - before, abs=1e-6)
