import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.specimen.deposit import SUPPORT, deposit, spline_transfer

laws = settings(max_examples=30, deadline=None, derandomize=True)
places = st.floats(6.0, 25.0)
Grid = NDArray[np.complex64]


def deposited(
    points: NDArray[np.floating],
    centres: NDArray[np.floating],
    turns: NDArray[np.float64] | None = None,
    shape: tuple[int, int, int] = (4, 32, 32),
    weights: tuple[float, float] = (1.0, 0.0),
    radius: float = 100.0,
) -> Grid:
    grid = np.zeros(shape, np.complex64)
    cloud = np.asarray(points, np.float32)
    each = np.tile(np.array(weights, np.float32), (len(cloud), 1))
    turned = np.tile(np.eye(3), (len(centres), 1, 1)) if turns is None else turns
    deposit(cloud, each, np.asarray(centres, float), turned, radius, grid)
    return grid


ORIGIN = np.zeros((1, 3))


@laws
@given(st.floats(0, 3.99), places, places)
def test_a_point_is_put_into_its_slice_whole_and_at_its_place(z: float, y: float, x: float) -> None:
    """A B-spline's sum is 1 and its first moment the place."""
    grid = deposited(ORIGIN, np.array([[z, y, x]]), weights=(2.0, -3.0))
    layer = grid[int(z)]
    assert layer.sum() == pytest.approx(2 - 3j, abs=1e-5)
    assert np.count_nonzero(np.delete(grid, int(z), axis=0)) == 0
    index = np.arange(32)
    assert (layer.real.sum(axis=1) * index).sum() / 2 == pytest.approx(y, abs=1e-4)
    assert (layer.imag.sum(axis=0) * index).sum() / -3 == pytest.approx(x, abs=1e-4)
    assert np.count_nonzero(layer.real) <= SUPPORT**2


@laws
@given(st.floats(6, 10), st.floats(6, 10), st.integers(0, 12), st.integers(0, 12))
def test_a_step_of_whole_pixels_moves_the_grid(y: float, x: float, down: int, across: int) -> None:
    here = deposited(ORIGIN, np.array([[0.5, y, x]]))
    there = deposited(ORIGIN, np.array([[0.5, y + down, x + across]]))
    np.testing.assert_allclose(np.roll(here, (down, across), axis=(1, 2)), there, atol=1e-6)


def test_copies_and_clouds_add_up() -> None:
    draw = np.random.default_rng(1)
    points, centres = draw.uniform(-4, 4, (20, 3)), draw.uniform((0, 10, 10), (4, 20, 20), (5, 3))
    together = deposited(points, centres)
    one_by_one = sum(
        (deposited(point[None], centre[None]) for point in points for centre in centres), start=0 * together
    )
    np.testing.assert_allclose(together, one_by_one, atol=1e-5)


def test_a_turn_is_applied_to_the_cloud_and_scales_it() -> None:
    """Turns go from the cloud's frame to grid units, so that a slice may be deeper than a pixel is wide."""
    turn = np.array([[0.05, 0, 0], [0, 0, 1], [0, -1, 0]])[None]
    found = deposited(np.array([[10.0, 3.0, -2.0]]), np.array([[1.2, 15.0, 15.0]]), turn)
    expected = deposited(ORIGIN, np.array([[1.7, 13.0, 12.0]]))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@laws
@given(st.lists(st.tuples(st.floats(-8, 12), st.floats(-60, 90), st.floats(-60, 90)), min_size=1, max_size=9))
def test_what_falls_outside_is_left_out(centres: list[tuple[float, float, float]]) -> None:
    """Wherever points are, none is written beyond the grid: into a grid with others' memory on every side."""
    memory = np.full((3 * 4, 24, 20), 7 + 7j, np.complex64)
    grid = memory[4:8]
    grid[:] = 0
    cloud, weights = np.zeros((1, 3), np.float32), np.array([[1.0, 1.0]], np.float32)
    turns = np.repeat(np.eye(3)[None], len(centres), axis=0)
    deposit(cloud, weights, np.array(centres), turns, 0.0, grid)
    assert (memory[:4] == 7 + 7j).all()
    assert (memory[8:] == 7 + 7j).all()
    inside = sum(0 <= z < 4 and 3 <= y < 20 and 2 <= x < 16 for z, y, x in centres)
    assert grid.real.sum() >= inside - 1e-4
    assert grid.real.sum() <= len(centres) + 1e-4


def test_a_copy_is_not_left_out_for_its_centre_being_outside() -> None:
    cloud = np.array([[0.0, 30.0, 0.0], [0.0, -30.0, 0.0]])
    grid = deposited(cloud, np.array([[0.5, -14.0, 16.0], [0.5, 46.0, 16.0]]), radius=30.0)
    assert grid.real.sum() == pytest.approx(2, abs=1e-5)  # one point of each copy


def test_any_number_of_threads_gives_the_same_bytes() -> None:
    draw = np.random.default_rng(2)
    points, centres = draw.uniform(-9, 9, (300, 3)), draw.uniform((0, 0, 0), (4, 32, 32), (9, 3))
    before = numba.get_num_threads()
    try:
        grids = []
        for threads in (1, before):
            numba.set_num_threads(threads)
            grids.append(deposited(points, centres).tobytes())
    finally:
        numba.set_num_threads(before)
    assert grids[0] == grids[1]


@laws
@given(places, places)
def test_what_the_spline_takes_is_known_and_what_it_folds_back_is_small(y: float, x: float) -> None:
    """``(k / (1 - k))^6`` of the amplitude: 1.4e-3 at half the Nyquist frequency, 9e-3 at 5/8 of it, on either axis."""
    layer = deposited(ORIGIN, np.array([[0.5, y, x]]))[0].real
    spectrum = np.fft.fft2(layer)
    for index in (4, 8, 10):  # of 16 at Nyquist
        most = 1.1 * (index / (32 - index)) ** SUPPORT + 2e-5  # the next alias adds a little, single precision 1e-6
        for row, column, place in ((index, 0, y), (0, index, x)):
            given_back = spectrum[row, column] / spline_transfer(np.array(index / 32))
            assert abs(given_back - np.exp(-2j * np.pi * index / 32 * place)) < most


def test_the_transfer_is_that_of_six_boxes() -> None:
    cycles = np.linspace(0, 0.5, 6)
    boxes = np.array([np.mean(np.cos(2 * np.pi * k * (np.arange(2000) + 0.5 - 1000) / 2000)) for k in cycles])
    np.testing.assert_allclose(spline_transfer(cycles), boxes**6, atol=1e-5)
