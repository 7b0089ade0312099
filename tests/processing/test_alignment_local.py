"""Local motion from pieces of views, images without it, and the slab that views are predicted from."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from eucentric.core import SILENT, Alignment, LocalMotion
from eucentric.core.local_motion import powers
from eucentric.processing.alignment import prepare_images
from eucentric.processing.alignment.levels import COARSE_FIELD, Levels, Seen, State, settle_local, settle_slab
from eucentric.processing.operators import bin_images
from eucentric.processing.stillness import still
from phantoms import Imaging, Phantom, cell_phantom, dose_symmetric_orders, simulate_series, wandering_alignment

pytestmark = pytest.mark.usefixtures("one_thread")
Array = NDArray[np.float64]
TILTS_DEG = tuple(float(tilt) for tilt in range(-60, 61, 6))
EXPOSURES_e_A2 = 3.0 * np.array(dose_symmetric_orders(TILTS_DEG)) + 1.5
SIZE, PIXEL_A, AXIS_DEG = 96, 50.0, -37.0
FIELD_A = SIZE * PIXEL_A
THICKNESS_A = 1000.0


def motion(shape: dict[tuple[int, tuple[int, int]], float]) -> LocalMotion:
    """Return the motion with these coefficients (Å), by axis (z, y, x) and powers of y and x."""
    coefficients = np.zeros((3, len(powers(2)), 1))
    for (axis, power), length_A in shape.items():
        coefficients[axis, powers(2).index(power), 0] = length_A
    return LocalMotion(
        degree=2,
        radius_A=FIELD_A / 2,
        decays_e_A2=(20.0,),
        exposures_e_A2=tuple(EXPOSURES_e_A2.tolist()),
        coefficients_A=tuple(tuple(tuple(power) for power in axis) for axis in coefficients.tolist()),
    )


# 45 Å rms over views and field: of half of it, which is half a pixel here, half is found.
KNOWN = motion({(1, (1, 0)): 240.0, (2, (0, 1)): -180.0, (1, (0, 1)): 120.0, (2, (2, 0)): 160.0})


def alignment(local: LocalMotion | None, *, shift_fraction: float = 0.0, seed: int = 0) -> Alignment:
    return wandering_alignment(
        TILTS_DEG,
        pixel_A=PIXEL_A,
        shape_yx=(SIZE, SIZE),
        axis_deg=AXIS_DEG,
        max_shift_fraction=shift_fraction,
        seed=seed,
    ).replace(local=local)


# --- stillness


def drawn(places_yx_A: Array, shape: tuple[int, int], pixel_A: float, middle_px: float) -> torch.Tensor:
    """Return an image of Gaussian blobs 150 Å wide, computed at every pixel's own middle."""
    y, x = (np.indices(shape) - middle_px) * pixel_A
    image = np.zeros(shape)
    for at_y, at_x in places_yx_A:
        image += np.exp(-((y - at_y) ** 2 + (x - at_x) ** 2) / (2 * 150.0**2))
    return torch.from_numpy(image.astype(np.float32))


def centroid_A(image: torch.Tensor, about_yx_A: Array, pixel_A: float, middle_px: float) -> Array:
    """Return where a blob near a place is, from the logarithm of its values, which is a parabola (least squares)."""
    y, x = (np.indices(image.shape) - middle_px) * pixel_A
    near = np.hypot(y - about_yx_A[0], x - about_yx_A[1]) < 220.0
    v, u = (y[near] - about_yx_A[0]) / 100, (x[near] - about_yx_A[1]) / 100
    rows = np.stack([np.ones_like(v), v, u, v**2 + u**2], axis=1)
    weights = image.numpy()[near].astype(float)
    fit = np.linalg.lstsq(rows * weights[:, None], np.log(weights) * weights, rcond=None)[0]
    return np.asarray(about_yx_A + 100 * fit[1:3] / (-2 * fit[3]))


BLOBS_A = np.array([(-1500.0, -1200.0), (-1400.0, 1500.0), (0.0, 300.0), (1300.0, -1400.0), (1600.0, 900.0)])


@pytest.mark.parametrize("section", [0, 6, 10, 20])
def test_blobs_that_local_motion_moved_are_put_back(section: int) -> None:
    known = alignment(KNOWN, shift_fraction=0.02)
    moved = BLOBS_A + known.local_shift_yx_A(section, BLOBS_A)
    image = drawn(moved, (SIZE, SIZE), PIXEL_A, SIZE // 2)
    back = still(image, known, section)
    for was, went in zip(BLOBS_A, moved, strict=True):
        assert np.abs(centroid_A(image, went, PIXEL_A, SIZE // 2) - went).max() < 1.0  # the measure itself
        assert np.abs(centroid_A(back, was, PIXEL_A, SIZE // 2) - was).max() < 0.1 * PIXEL_A
    assert np.abs(moved - BLOBS_A).max() > (0.5 * PIXEL_A if section in (0, 10, 20) else 0.0)


def test_binned_images_are_made_still_by_the_same_lengths() -> None:
    known, section = alignment(KNOWN), 10
    moved = BLOBS_A + known.local_shift_yx_A(section, BLOBS_A)
    image = drawn(moved, (SIZE, SIZE), PIXEL_A, SIZE // 2)
    binned = still(bin_images(image, 2), known, section)
    middle = SIZE // 4  # binning crops the spectrum, so that the middle pixel stays where it is
    for was in BLOBS_A:
        assert np.abs(centroid_A(binned, was, 2 * PIXEL_A, middle) - was).max() < 0.1 * PIXEL_A


def test_an_image_without_local_motion_is_returned_as_it_is() -> None:
    image = drawn(BLOBS_A, (SIZE, SIZE), PIXEL_A, SIZE // 2)
    assert still(image, alignment(None), 3) is image


# --- settle_local


def counted(phantom: Phantom, truth: Alignment, seed: int) -> torch.Tensor:
    """Return prepared images of a phantom that moves as the truth says, at all heights alike."""
    images = []
    for view in truth.tilts:
        places = phantom.positions_A.copy()
        if truth.local is not None:
            places += truth.local.displacement_zyx_A(places[:, 1:], view.section)
        one = Phantom(places, phantom.sigma_A, phantom.amplitude)
        # One view at a time: every one sees another shape of the specimen.
        single = truth.replace(tilts=(view.replace(section=0),), local=None)
        imaging = Imaging(thickness_A=THICKNESS_A)
        images.append(simulate_series(one, single, (0,), imaging, seed=100 * seed + view.section).images[0])
    return prepare_images(np.array(images), TILTS_DEG).images


def found_motion(seed: int, local: LocalMotion | None) -> LocalMotion | None:
    truth = alignment(local, shift_fraction=0.02, seed=seed)
    phantom = cell_phantom(seed, field_A=FIELD_A, thickness_A=THICKNESS_A)
    levels = Levels(counted(phantom, truth, seed), TILTS_DEG, torch.device("cpu"))
    shifts = torch.tensor([view.shift_yx_A for view in truth.tilts], dtype=torch.float64) / PIXEL_A
    state = State(AXIS_DEG, THICKNESS_A / PIXEL_A, True, 0.0, shifts, torch.arange(len(TILTS_DEG)), 0.2)
    seen = Seen(PIXEL_A, (SIZE, SIZE), TILTS_DEG, {})
    return settle_local(levels, state, seen, EXPOSURES_e_A2, SILENT)


def apart_A(found: LocalMotion | None) -> tuple[float, float]:
    """Return the rms (Å) over views and places of images of the known shifts, and of what is left of them."""
    side = np.linspace(-0.4, 0.4, 9) * FIELD_A
    places = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)

    def shifts(local: LocalMotion | None) -> Array:
        of = alignment(local)
        all_views = np.array([of.local_shift_yx_A(section, places) for section in range(len(TILTS_DEG))])
        return np.asarray(all_views - all_views.mean(axis=1, keepdims=True))  # the mean is in the views' shifts

    known, left = (
        float(np.sqrt(np.square(one).sum(axis=-1).mean())) for one in (shifts(KNOWN), shifts(KNOWN) - shifts(found))
    )
    return known, left


def test_a_smooth_motion_is_found_in_noisy_views() -> None:
    found = found_motion(1, KNOWN)
    assert found is not None
    rms_A, left_A = apart_A(found)
    assert left_A < 0.4 * rms_A


def test_a_specimen_that_is_still_is_left_still() -> None:
    assert not any(found_motion(seed, None) for seed in range(5))


# --- settle_slab


def filled_slab(seed: int) -> Phantom:
    """Return a slab with blobs all over, from face to face."""
    random = np.random.default_rng(seed)
    places = random.uniform(-1, 1, (1500, 3)) * [THICKNESS_A / 2, 0.6 * FIELD_A, 1.2 * FIELD_A]
    return Phantom(places, random.uniform(30, 70, len(places)), random.uniform(0.3, 0.9, len(places)))


@pytest.mark.parametrize("begun_share", [1.0, 1.5])
def test_a_slab_that_lies_tilted_and_off_in_height_is_found(begun_share: float) -> None:
    """Stage tilts are 8° less than what the specimen is seen at, and its height is wrong by 8 % of the field."""
    phantom = filled_slab(1)
    flat = alignment(None)
    stage = tuple(tilt - 8.0 for tilt in TILTS_DEG)
    levels = Levels(counted(phantom, flat, 1), stage, torch.device("cpu"))
    off = flat.moved((0.08 * FIELD_A, 0.0, 0.0))
    shifts = torch.tensor([view.shift_yx_A for view in off.tilts], dtype=torch.float64) / PIXEL_A
    begun_px = begun_share * THICKNESS_A / PIXEL_A
    state = State(AXIS_DEG, begun_px, False, 0.0, shifts, torch.arange(len(stage)), 0.2)
    settle_slab(levels, state, COARSE_FIELD, 4.0, 2.0, 1.0)
    assert state.tilt_offset_deg == pytest.approx(8.0, abs=1.0)
    assert state.depth_px * PIXEL_A == pytest.approx(THICKNESS_A, rel=0.25)
    views = np.array([view.sample2image().linear[1:] for view in flat.tilts]).reshape(-1, 3)
    height_px = np.linalg.lstsq(views, state.shifts_px.numpy().reshape(-1), rcond=None)[0][0]
    assert abs(height_px) < 2.0  # of 7.7 at first, and of 10 from the middle to a face


def test_a_depth_that_was_given_is_kept() -> None:
    flat = alignment(None)
    levels = Levels(counted(filled_slab(1), flat, 1), TILTS_DEG, torch.device("cpu"))
    shifts = torch.zeros((len(TILTS_DEG), 2), dtype=torch.float64)
    state = State(AXIS_DEG, 31.0, True, 0.0, shifts, torch.arange(len(TILTS_DEG)), 0.2)
    settle_slab(levels, state, COARSE_FIELD, 4.0)
    assert state.depth_px == 31.0
