"""The field that pieces of views ask for, and whether it is one: without images, from pieces that are made up."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from eucentric.core import Alignment, LocalMotion
from eucentric.core.local_motion import powers
from eucentric.processing.alignment import local
from eucentric.processing.alignment.local import fit_local, motionless
from eucentric.processing.alignment.pieces import Pieces
from phantoms import dose_symmetric_orders, wandering_alignment

Array = NDArray[np.float64]
TILTS_DEG = tuple(float(tilt) for tilt in range(-60, 61, 5))
N = len(TILTS_DEG)
EXPOSURES_e_A2 = 3.0 * np.array(dose_symmetric_orders(TILTS_DEG)) + 1.5
PIXEL_A, SIZE, AXIS_DEG = 20.0, 256, 12.0
VIEWS = np.arange(N)
SEEN = wandering_alignment(
    TILTS_DEG, pixel_A=PIXEL_A, shape_yx=(SIZE, SIZE), axis_deg=AXIS_DEG, max_shift_fraction=0.0, seed=0
)
SIDES = np.linspace(-0.4, 0.4, 7) * SIZE
PLACES_VU = np.stack(np.meshgrid(SIDES, SIDES, indexing="ij"), axis=-1).reshape(-1, 2)


def moving(coefficients_A: dict[tuple[int, tuple[int, int]], float]) -> LocalMotion:
    """Return the motion with these coefficients (Å), by axis (z, y, x) and powers of y and x."""
    still = motionless(SEEN, EXPOSURES_e_A2)
    all_of_them = np.zeros(np.shape(still.coefficients_A))
    for (axis, power), length_A in coefficients_A.items():
        all_of_them[axis, powers(2).index(power)] = length_A
    return still.replace(coefficients_A=tuple(tuple(tuple(power) for power in axis) for axis in all_of_them.tolist()))


MOTION = moving({(1, (1, 0)): 12.0, (1, (0, 2)): -8.0, (2, (0, 1)): -15.0, (2, (1, 0)): 9.0, (0, (0, 1)): 20.0})


def pieces(motion: LocalMotion | None, *, noise: float, seed: int = 0) -> Pieces:
    """Return what pieces say whose views predict each other the less the farther apart they are tilted.

    The slope of the correlation of a piece is its distance from where the others show it, each times its bond, and
    random errors besides, with the variance that pairs of views with this curvature have.
    """
    cos = np.cos(np.deg2rad(TILTS_DEG))
    places = np.stack([np.stack([PLACES_VU[:, 0], PLACES_VU[:, 1] / c], axis=1) * PIXEL_A for c in cos])
    apart = np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
    bonds = np.where(apart > 0, 1.0 / np.maximum(apart, 1) ** 2, 0.0)
    errors = np.triu(
        np.random.default_rng(seed).standard_normal((49, 2, N, N)), 1
    )  # what pulls one view pushes another
    slope = np.sqrt(noise) * np.einsum("pkij,ij->ipk", errors - errors.swapaxes(2, 3), np.sqrt(bonds))
    if motion is not None:
        tan = np.tan(np.deg2rad(TILTS_DEG))
        for i in range(N):
            moved = np.array([motion.displacement_zyx_A(places[i], j) for j in range(N)])  # (views, P, 3)
            along, across = moved[..., 1], moved[..., 2] + tan[:, None] * moved[..., 0]
            slope[i, :, 0] += bonds[i] @ (along[i] - along) / PIXEL_A
            slope[i, :, 1] += bonds[i] @ (across[i] - across) * cos[i] / PIXEL_A
    black = np.add.outer(np.arange(7), np.arange(7)).reshape(-1) % 2 == 0
    return Pieces(slope, np.stack([bonds, bonds]), np.ones(49), noise, PLACES_VU, black)


def coefficients_A(motion: LocalMotion | None) -> Array:
    assert motion is not None
    return np.array(motion.coefficients_A)[..., 0]


def fitted(known: Pieces, begun: LocalMotion | None, seen: Alignment = SEEN) -> LocalMotion | None:
    return fit_local(known, seen.replace(local=begun), EXPOSURES_e_A2, VIEWS, PIXEL_A)


def test_a_motion_is_found_from_how_views_have_moved_apart() -> None:
    found = coefficients_A(fitted(pieces(MOTION, noise=1e-6), None))
    # One fit goes one and a half times as far as it sees: views of specimens hold together more than these.
    assert np.abs(found / 1.5 - coefficients_A(MOTION)).max() < 1.5


def test_a_motion_that_was_taken_out_is_left_as_it_is() -> None:
    found = coefficients_A(fitted(pieces(None, noise=1e-8), MOTION))
    assert np.abs(found - coefficients_A(MOTION)).max() < 0.5


def test_a_specimen_that_lies_tilted_in_the_slab_and_still_hardly_seems_to_move(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its height is seen at all exposures alike, by tilted views, which are the late ones."""
    tan, cos = np.tan(np.deg2rad(TILTS_DEG)), np.cos(np.deg2rad(TILTS_DEG))
    still = pieces(None, noise=1e-6)
    x = PLACES_VU[:, 1] / cos[:, None] / (SIZE / 2)
    height_px = 40.0 * np.clip(x, -1.5, 1.5) / PIXEL_A
    tilted = still.slope.copy()
    tilted[..., 1] += height_px * (still.bonds[1] * np.subtract.outer(tan, tan)).sum(1)[:, None] * cos[:, None]
    seen = Pieces(tilted, still.bonds, still.share, still.noise, still.places_vu, still.black)
    begun = motionless(SEEN, EXPOSURES_e_A2)
    assert np.abs(coefficients_A(fitted(seen, begun))).max() < 15.0
    monkeypatch.setattr(local, "_SHAPE_A", 1e-3)
    assert np.abs(coefficients_A(fitted(seen, begun))).max() > 60.0


def test_what_one_half_says_of_the_other_is_believed_only_where_it_follows_the_exposure() -> None:
    moves = [fitted(pieces(MOTION, noise=0.003, seed=seed), None) is not None for seed in range(6)]
    still = [fitted(pieces(None, noise=0.003, seed=seed), None) is not None for seed in range(6)]
    assert all(moves)
    assert not any(still)


def test_what_a_still_specimen_seems_to_do_is_taken_off_in_the_measure_of_the_views() -> None:
    """Predictions that are too wide by the same everywhere pull less where views say less."""
    wrong = pieces(MOTION, noise=1e-6)
    faint = replace(wrong, slope=0.3 * wrong.slope, bonds=0.3 * wrong.bonds)
    np.testing.assert_allclose(wrong.less(faint).slope, 0.0, atol=1e-9)
    moving = pieces(MOTION, noise=1e-6, seed=1)
    both = replace(moving, slope=moving.slope + wrong.slope)
    np.testing.assert_allclose(both.less(faint).slope, moving.slope, atol=1e-9)


def test_views_that_are_too_few_to_tell_are_left_still() -> None:
    few = np.arange(5)
    known = pieces(MOTION, noise=1e-4)
    some = Pieces(known.slope[:5], known.bonds[:, :5, :5], known.share, known.noise, known.places_vu, known.black)
    assert fit_local(some, SEEN, EXPOSURES_e_A2, few, PIXEL_A) is None
