"""Whole alignments of series in which something went wrong.

Images are small and views few, so that tolerances are in pixels of 60 Å. What cannot be used has a reason; the
other views must be where they would be without it.
"""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from eucentric.assessment import score_alignment
from eucentric.core import Alignment, InputError
from eucentric.processing.alignment import AlignmentResult, AlignSettings, align_series, prepare_images
from phantoms import (
    Imaging,
    Phantom,
    PhantomSeries,
    cell_phantom,
    dose_symmetric_orders,
    simulate_series,
    wandering_alignment,
)
from phantoms.parts import gold_beads

pytestmark = pytest.mark.usefixtures("one_thread")
TILTS_DEG = [float(tilt) for tilt in range(-60, 61, 6)]
AXIS_DEG = -37.3
SIZE, PIXEL_A = 80, 60.0
BEADS_SIZE, BEADS_PIXEL_A, BEADS_THICKNESS_A = 96, 20.0, 500.0  # gold of 10 nm is 5 pixels wide
SETTINGS = AlignSettings(axis_deg=AXIS_DEG, rounds=3)


def recorded(seed: int) -> PhantomSeries:
    truth = wandering_alignment(
        TILTS_DEG, pixel_A=PIXEL_A, shape_yx=(SIZE, SIZE), axis_deg=AXIS_DEG, max_shift_fraction=0.05, seed=seed
    )
    phantom = cell_phantom(seed, field_A=SIZE * PIXEL_A)
    return simulate_series(phantom, truth, dose_symmetric_orders(TILTS_DEG), Imaging(), seed=seed)


def recorded_with_gold(places_A: NDArray[np.float64]) -> PhantomSeries:
    field_A = BEADS_SIZE * BEADS_PIXEL_A
    truth = wandering_alignment(
        TILTS_DEG,
        pixel_A=BEADS_PIXEL_A,
        shape_yx=(BEADS_SIZE, BEADS_SIZE),
        axis_deg=AXIS_DEG,
        max_shift_fraction=0.05,
        seed=3,
    )
    cell = cell_phantom(3, field_A=field_A, thickness_A=BEADS_THICKNESS_A, beads=0)
    imaging = Imaging(thickness_A=BEADS_THICKNESS_A)
    phantom = Phantom.joined([cell, gold_beads(places_A)])
    return simulate_series(phantom, truth, dose_symmetric_orders(TILTS_DEG), imaging, seed=3)


def align(
    images: NDArray[np.float64] | NDArray[np.uint16], tilts_deg: Sequence[float], pixel_A: float
) -> AlignmentResult:
    return align_series(prepare_images(images, tilts_deg), tilts_deg, pixel_A, SETTINGS)


def left_out(result: AlignmentResult) -> dict[int, str]:
    return {tilt.section: tilt.reason for tilt in result.alignment.tilts if not tilt.used}


def without(alignment: Alignment, sections: Sequence[int]) -> Alignment:
    """Return the alignment with these views not used, to score the others."""
    return alignment.replace(
        tilts=tuple(
            tilt.replace(used=False, reason="spoilt by the test") if tilt.section in sections else tilt
            for tilt in alignment.tilts
        )
    )


@pytest.fixture(scope="module")
def good() -> PhantomSeries:
    return recorded(3)


def with_another_region(good: PhantomSeries) -> NDArray[np.uint16]:
    images = good.images.copy()
    images[13] = recorded(9).images[13]
    return images


def test_a_blank_tilt_is_left_out_and_gradients_over_all_images_do_not_move_them(good: PhantomSeries) -> None:
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE - 0.5
    images = good.images * (1 + 0.3 * x + 0.2 * y)
    images[6] = 0
    result = align(images, TILTS_DEG, PIXEL_A)
    assert left_out(result) == {6: "all its pixels are equal"}
    assert score_alignment(result.alignment, good.truth).shift_rms_px < 0.3


def test_what_a_view_shows_that_is_not_to_be_used_is_of_no_account(good: PhantomSeries) -> None:
    images = good.images.astype(float)
    images[4] = 40 * images[4][::-1]  # so bright that its neighbours would be dark beside it
    asked = {4: "excluded: drift"}
    first, second = (prepare_images(one, TILTS_DEG, left_out=asked) for one in (good.images, images))
    assert first.reasons == second.reasons == asked
    assert torch.equal(first.images, second.images)
    assert not first.images[4].any()
    assert second.mean_counts[4] > 30 * first.mean_counts[4] > 0  # it is still known how bright it was
    with pytest.raises(InputError, match=r"Only 4 of 21 views.*\[0, 1, .*excluded: drift.*Take some back"):
        prepare_images(good.images, TILTS_DEG, left_out=dict.fromkeys(range(17), "excluded: drift"))


def test_a_tilt_of_another_region_is_left_out(good: PhantomSeries) -> None:
    result = align(with_another_region(good), TILTS_DEG, PIXEL_A)
    reasons = left_out(result)
    assert set(reasons) == {13}
    assert "predict" in reasons[13]
    assert score_alignment(result.alignment, good.truth).shift_rms_px < 0.3


def test_a_blank_tilt_does_not_keep_one_of_another_region_in(good: PhantomSeries) -> None:
    images = with_another_region(good)
    images[6] = 0
    result = align(images, TILTS_DEG, PIXEL_A)
    assert set(left_out(result)) == {6, 13}
    assert score_alignment(without(result.alignment, (13,)), good.truth).shift_rms_px < 0.3


@pytest.fixture(scope="module")
def swapped(good: PhantomSeries) -> AlignmentResult:
    images = good.images.copy()
    images[[4, 15]] = images[[15, 4]]
    return align(images, TILTS_DEG, PIXEL_A)


def test_two_swapped_tilts_are_left_out(swapped: AlignmentResult) -> None:
    reasons = left_out(swapped)
    assert set(reasons) == {4, 15}
    assert "swapped with section 15: the other views predict it at 30.0°" in reasons[4]
    assert "swapped with section 4: the other views predict it at -36.0°" in reasons[15]


def test_two_swapped_tilts_harm_no_other(swapped: AlignmentResult, good: PhantomSeries) -> None:
    others = without(swapped.alignment, (4, 15))
    assert score_alignment(others, good.truth).shift_rms_px < 0.5


def test_the_wrong_sign_of_all_angles_aligns_as_well(good: PhantomSeries) -> None:
    """A series and its mirror image along the beam have the same images: shifts come out, the hand does not."""
    opposite = [-tilt for tilt in TILTS_DEG]
    result = align(good.images, opposite, PIXEL_A)
    assert not left_out(result)
    assert [tilt.tilt_deg - result.tilt_offset_deg for tilt in result.alignment.tilts] == pytest.approx(opposite)
    mirrored = good.truth.replace(tilts=tuple(tilt.replace(tilt_deg=-tilt.tilt_deg) for tilt in good.truth.tilts))
    assert score_alignment(result.alignment, mirrored).shift_rms_px < 0.3


def test_five_beads_leave_the_last_word_to_images() -> None:
    places_A = np.random.default_rng(4).uniform(-1, 1, (5, 3)) * [200, 500, 500]
    recorded = recorded_with_gold(places_A)
    result = align(recorded.images, TILTS_DEG, BEADS_PIXEL_A)
    assert result.method == "images"
    assert result.beads == 0
    assert "8 beads are needed" in result.why
    assert not left_out(result)
    assert score_alignment(result.alignment, recorded.truth).shift_rms_px < 0.6


def test_beads_that_leave_the_field_spoil_nothing() -> None:
    """Beads over twice the field: most are not in sight of all views, and none is in all."""
    half_A = BEADS_SIZE * BEADS_PIXEL_A / 2
    places_A = np.random.default_rng(4).uniform(-1, 1, (30, 3)) * [200, 1.1 * half_A, 2 * half_A]
    recorded = recorded_with_gold(places_A)
    result = align(recorded.images, TILTS_DEG, BEADS_PIXEL_A)
    assert not left_out(result)
    assert result.why
    assert score_alignment(result.alignment, recorded.truth).shift_rms_px < 0.6
