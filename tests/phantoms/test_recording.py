import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from eucentric.core import TiltAlignment
from phantoms import (
    Faults,
    Imaging,
    Phantom,
    dose_symmetric_orders,
    expected_counts,
    simulate_series,
    transmission,
    wandering_alignment,
)

TILTS_DEG = (-60.0, -30.0, 0.0, 30.0, 60.0)
ORDERS = dose_symmetric_orders(TILTS_DEG)
SHAPE, PIXEL_A = (60, 64), 10.0
TRUTH = wandering_alignment(TILTS_DEG, pixel_A=PIXEL_A, shape_yx=SHAPE, axis_deg=84, max_shift_fraction=0.1, seed=5)


def some_cell() -> Phantom:
    draw = np.random.default_rng(2)
    return Phantom(draw.uniform(-1, 1, (300, 3)) * (200, 400, 400), draw.uniform(10, 30, 300), 1.0)


@pytest.mark.parametrize(
    ("tilts_deg", "group", "acquired_deg"),
    [
        ((-8, -6, -4, -2, 0, 2, 4, 6, 8), 2, (0, -2, -4, 2, 4, -6, -8, 6, 8)),  # as SerialEM documents it
        ((-6, -3, 0, 3, 6), 1, (0, -3, 3, -6, 6)),
        ((-9, -6, -3, 0, 3), 1, (0, -3, 3, -6, -9)),
        ((0, 3, 6), 2, (0, 3, 6)),
        ((-3, 0), 3, (0, -3)),
        ((6, 3, 0, -3, -6), 1, (0, -3, 3, -6, 6)),  # sections from the positive side
        ((-4.01, -1.01, 1.99, 4.99), 1, (-1.01, -4.01, 1.99, 4.99)),
        ((12.0, 15.0, 18.0), 1, (12.0, 15.0, 18.0)),
        ((7.0,), 1, (7.0,)),
    ],
)
def test_dose_symmetric_orders(tilts_deg: tuple[float, ...], group: int, acquired_deg: tuple[float, ...]) -> None:
    orders = dose_symmetric_orders(tilts_deg, group)
    acquired = sorted(zip(orders, tilts_deg, strict=True))
    assert tuple(tilt for _, tilt in acquired) == acquired_deg


@settings(max_examples=60, deadline=None, derandomize=True)
@given(tilts_deg=st.lists(st.floats(-70, 70), min_size=1, max_size=30), group=st.integers(1, 5))
def test_an_order_is_a_permutation_that_moves_outwards_on_each_side(tilts_deg: list[float], group: int) -> None:
    orders = dose_symmetric_orders(tilts_deg, group)
    assert sorted(orders) == list(range(len(tilts_deg)))
    acquired = [tilts_deg[i] for i in np.argsort(orders)]
    start = acquired[0]
    assert abs(start) == min(map(abs, tilts_deg))
    assert [t for t in acquired if t > start] == sorted(t for t in acquired if t > start)
    assert [t for t in acquired if t < start] == sorted((t for t in acquired if t < start), reverse=True)


@pytest.mark.parametrize(("tilts_deg", "group"), [((), 1), ((0.0,), 0)])
def test_an_order_of_nothing_is_refused(tilts_deg: tuple[float, ...], group: int) -> None:
    with pytest.raises(ValueError, match="dose-symmetric"):
        dose_symmetric_orders(tilts_deg, group)


@pytest.mark.parametrize(
    ("thickness_A", "expected"), [(2000, (0.525, 0.402, 0.275, 0.152)), (1000, (0.724, 0.634, 0.525, 0.389))]
)
def test_transmission_of_a_slab_of_ice(thickness_A: float, expected: tuple[float, ...]) -> None:
    imaging = Imaging(thickness_A=thickness_A, mean_free_path_A=3100)
    for tilt_deg, share in zip((0, 45, 60, 70), expected, strict=True):
        view = TiltAlignment(section=0, tilt_deg=tilt_deg, axis_deg=33, magnification=1.1)
        assert transmission(view, imaging) == pytest.approx(share, abs=6e-4)
    sideways = TiltAlignment(section=0, tilt_deg=0, x_tilt_deg=-60, axis_deg=0)
    assert transmission(sideways, imaging) == pytest.approx(expected[2], abs=6e-4)


def test_counts_are_poisson_about_what_the_slab_lets_through() -> None:
    imaging = Imaging(exposure_e_A2=2.0, thickness_A=1800, contrast_per_A=0)
    images = simulate_series(some_cell(), TRUTH, ORDERS, imaging, seed=1).images.astype(float)
    for image, view in zip(images, TRUTH.tilts, strict=True):
        mean = 2.0 * PIXEL_A**2 * np.exp(-1800 / 3150 / np.cos(np.deg2rad(view.tilt_deg)))
        # Five standard errors: of the mean sqrt(mean / n), of a Poisson variance about mean * sqrt(2 / n).
        assert image.mean() == pytest.approx(mean, abs=5 * np.sqrt(mean / image.size))
        assert image.var() == pytest.approx(mean, abs=5 * mean * np.sqrt(2.1 / image.size))


def test_noise_is_poisson_in_every_pixel_of_a_specimen() -> None:
    imaging = Imaging(exposure_e_A2=1.0, contrast_per_A=1.5e-3)
    images = simulate_series(some_cell(), TRUTH, ORDERS, imaging, seed=3).images
    for image, view in zip(images, TRUTH.tilts, strict=True):
        expected = expected_counts(some_cell(), view, SHAPE, PIXEL_A, imaging)
        assert expected.std() > 0.05 * expected.mean()
        deviates = (image - expected) / np.sqrt(expected)
        assert deviates.mean() == pytest.approx(0, abs=5 / np.sqrt(image.size))
        assert deviates.var() == pytest.approx(1, abs=5 * np.sqrt(2.1 / image.size))


def test_what_is_dense_is_dark_by_its_contrast() -> None:
    blob = Phantom([[0.0, 0.0, 0.0]], 30.0, 2.0)
    view = TiltAlignment(section=0, tilt_deg=0, axis_deg=0)
    clear = expected_counts(blob, view, SHAPE, PIXEL_A, Imaging(contrast_per_A=0))
    faint = expected_counts(blob, view, SHAPE, PIXEL_A, Imaging(contrast_per_A=1e-3))
    # The line integral through the middle is 2 * 30 A * sqrt(2 pi) = 150.4 A, over its pixel 0.9 % less.
    assert 1 - faint[30, 32] / faint[0, 0] == pytest.approx(0.149, abs=2e-3)
    assert faint.mean() == pytest.approx(clear.mean())
    opaque = expected_counts(blob, view, SHAPE, PIXEL_A, Imaging(contrast_per_A=1.0))
    assert 0 < opaque.min() == pytest.approx(0.02 * clear.min())


def test_the_same_seed_gives_the_same_series_and_another_seed_another() -> None:
    a, b, c = (simulate_series(some_cell(), TRUTH, ORDERS, seed=seed).images for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert (a != c).mean() > 0.9
    assert a.dtype == np.uint16


def test_a_view_has_the_same_noise_whatever_else_is_recorded() -> None:
    both = simulate_series(some_cell(), TRUTH, ORDERS, seed=1).images
    two = TRUTH.replace(tilts=TRUTH.tilts[:2])
    np.testing.assert_array_equal(simulate_series(some_cell(), two, (1, 0), seed=1).images, both[:2])


def test_faults_leave_everything_else_as_it_was() -> None:
    plain = simulate_series(some_cell(), TRUTH, ORDERS, seed=1).images
    faulty = simulate_series(some_cell(), TRUTH, ORDERS, faults=Faults(hot_pixels=7, blank=(3,)), seed=1).images
    assert not faulty[3].any()
    lit = np.delete(faulty != plain, 3, axis=0)
    assert (lit == lit[0]).all()
    assert lit[0].sum() == 7
    kept = [0, 1, 2, 4]
    assert (faulty[kept][lit] > 10 * plain[kept].mean()).all()


def test_the_series_is_what_a_microscope_would_write_down() -> None:
    imaging = Imaging(exposure_e_A2=2.5, voltage_kV=200)
    made = simulate_series(some_cell(), TRUTH, ORDERS, imaging, name="TS_03")
    assert made.truth is TRUTH
    series = made.series
    assert (series.name, series.pixel_A, series.shape_yx, series.voltage_kV) == ("TS_03", PIXEL_A, SHAPE, 200)
    assert series.tilts_deg == TILTS_DEG
    assert series.order_known
    assert series.tilt_axis_deg == 84
    assert made.images.shape == (5, *SHAPE)
    assert [tilt.tilt_deg for tilt in series.by_order()] == [0, -30, 30, -60, 60]
    assert [tilt.pre_exposure_e_A2 for tilt in series.by_order()] == [0, 2.5, 5, 7.5, 10]


def test_a_moved_origin_leaves_the_images_as_they_are() -> None:
    moved = TRUTH.moved((30.0, -20.0, 12.0))
    assert moved != TRUTH
    for view, other in zip(TRUTH.tilts, moved.tilts, strict=True):
        here = expected_counts(some_cell(), view, SHAPE, PIXEL_A, Imaging())
        there = expected_counts(some_cell().moved((-30.0, 20.0, -12.0)), other, SHAPE, PIXEL_A, Imaging())
        # To what is cut off of a blob, at a cell that rounding puts on its other side.
        np.testing.assert_allclose(there, here, rtol=1e-4)


def test_a_wandering_stage_stays_within_reach_and_starts_centred() -> None:
    shifts_A = np.array([view.shift_yx_A for view in TRUTH.tilts])
    assert tuple(shifts_A[2]) == (0, 0)
    assert (np.abs(shifts_A) <= 0.1 * np.array(SHAPE) * PIXEL_A).all()
    assert np.unique(shifts_A[[0, 1, 3, 4]]).size == 8
    still = wandering_alignment(TILTS_DEG, pixel_A=PIXEL_A, shape_yx=SHAPE)
    assert {view.shift_yx_A for view in still.tilts} == {(0.0, 0.0)}
    longer = wandering_alignment(
        (*TILTS_DEG, 63.0), pixel_A=PIXEL_A, shape_yx=SHAPE, axis_deg=84, max_shift_fraction=0.1, seed=5
    )
    assert longer.tilts[:5] == TRUTH.tilts


def test_what_cannot_be_recorded_is_refused() -> None:
    with pytest.raises(ValueError, match="orders"):
        simulate_series(some_cell(), TRUTH, (0, 1, 2, 3, 3))
    with pytest.raises(ValueError, match="zip"):
        simulate_series(some_cell(), TRUTH, (0, 1))
    with pytest.raises(ValueError, match="blank"):
        simulate_series(some_cell(), TRUTH, ORDERS, faults=Faults(blank=(5,)))
    with pytest.raises(ValueError, match="counts in a pixel"):
        simulate_series(some_cell(), TRUTH, ORDERS, Imaging(exposure_e_A2=1e4))
    with pytest.raises(ValidationError):
        Imaging(exposure_e_A2=-1)
