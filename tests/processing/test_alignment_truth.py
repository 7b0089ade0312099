"""Alignments of phantom series against their truth.

Tolerances are in pixels of 40 Å on small images, where a pixel is a third of what the coarsest level can see; the
benchmarks hold the figures at real sizes.
"""

from dataclasses import replace

import numpy as np
import pytest

from eucentric.assessment import score_alignment
from eucentric.core import InputError, stream
from eucentric.processing.alignment import AlignmentResult, AlignSettings, align_series, prepare_images
from phantoms import (
    Imaging,
    PhantomSeries,
    cell_phantom,
    dose_symmetric_orders,
    simulate_series,
    wandering_alignment,
)

TILTS_DEG = [float(tilt) for tilt in range(-60, 61, 3)]
PIXEL_A = 40.0
AXIS_DEG = -37.3


@pytest.fixture(scope="module")
def recorded() -> PhantomSeries:
    truth = wandering_alignment(
        TILTS_DEG, pixel_A=PIXEL_A, shape_yx=(128, 124), axis_deg=AXIS_DEG, max_shift_fraction=0.08, seed=3
    )
    phantom = cell_phantom(3, field_A=128 * PIXEL_A)
    return simulate_series(phantom, truth, dose_symmetric_orders(TILTS_DEG), Imaging(), seed=3)


def align(recorded: PhantomSeries, settings: AlignSettings, nominal_axis_deg: float | None = None) -> AlignmentResult:
    prepared = prepare_images(recorded.images, TILTS_DEG)
    return align_series(prepared, TILTS_DEG, PIXEL_A, settings, nominal_axis_deg=nominal_axis_deg)


@pytest.fixture(scope="module")
def with_axis(recorded: PhantomSeries) -> AlignmentResult:
    return align(recorded, AlignSettings(axis_deg=AXIS_DEG))


def test_with_the_axis_given_shifts_are_found_to_half_a_pixel(
    recorded: PhantomSeries, with_axis: AlignmentResult
) -> None:
    score = score_alignment(with_axis.alignment, recorded.truth)
    assert score.shift_rms_px < 0.5
    assert with_axis.axis_search is None
    assert {tilt.axis_deg for tilt in with_axis.alignment.tilts} == {AXIS_DEG}


def test_with_nothing_given_axis_and_shifts_are_found(recorded: PhantomSeries) -> None:
    result = align(recorded, AlignSettings())
    score = score_alignment(result.alignment, recorded.truth)
    assert abs(score.axis_error_deg) < 1.0
    assert score.shift_rms_px < 1.0
    assert result.axis_search is not None
    assert result.axis_search.best_deg == pytest.approx(result.alignment.tilts[0].axis_deg)


def test_the_nominal_axis_says_which_of_two_opposites_is_meant(recorded: PhantomSeries) -> None:
    result = align(recorded, AlignSettings(rounds=1), nominal_axis_deg=AXIS_DEG + 180 + 3)
    assert result.alignment.tilts[0].axis_deg == pytest.approx(AXIS_DEG + 180, abs=1.0)


def test_the_depth_found_is_about_that_of_the_specimen(with_axis: AlignmentResult) -> None:
    # The phantom's slab is 1500 Å; nearby depths predict nearly as well, so this is no measurement.
    assert 900 < with_axis.specimen_depth_A < 2600


def test_the_origin_is_in_the_middle_of_the_untilted_view(with_axis: AlignmentResult) -> None:
    untilted = min(with_axis.alignment.tilts, key=lambda tilt: abs(tilt.tilt_deg))
    assert untilted.shift_yx_A == pytest.approx((0, 0), abs=1e-6)


def test_the_same_series_gives_the_same_alignment(recorded: PhantomSeries, with_axis: AlignmentResult) -> None:
    assert align(recorded, AlignSettings(axis_deg=AXIS_DEG)) == with_axis


def test_views_that_do_not_belong_are_left_out_with_a_reason_and_harm_no_other(recorded: PhantomSeries) -> None:
    images = recorded.images.copy()
    draw = stream(0, "garbage")
    images[12] = draw.poisson(images[12].mean(), images[12].shape)
    images[30] = 7
    result = align(replace(recorded, images=images), AlignSettings(axis_deg=AXIS_DEG))
    left_out = {tilt.section: tilt.reason for tilt in result.alignment.tilts if not tilt.used}
    assert set(left_out) == {12, 30}
    assert "predict" in left_out[12]
    assert "equal" in left_out[30]
    assert score_alignment(result.alignment, recorded.truth).shift_rms_px < 0.6


def test_a_mirrored_tilt_sign_aligns_as_well(recorded: PhantomSeries, with_axis: AlignmentResult) -> None:
    """Images alone cannot tell the sign of the tilt: nobody may rely on the alignment to reveal it."""
    prepared = prepare_images(recorded.images, TILTS_DEG)
    opposite = [-tilt for tilt in TILTS_DEG]
    result = align_series(prepared, opposite, PIXEL_A, AlignSettings(axis_deg=AXIS_DEG))
    mirrored, right = (np.mean([tilt.correlation for tilt in r.tilts]) for r in (result, with_axis))
    assert mirrored == pytest.approx(right, abs=0.03)


@pytest.mark.parametrize(
    ("sections", "tilts_deg", "words"),
    [
        (range(4), [-3.0, 0.0, 3.0, 6.0], "5"),
        (range(6), [0.0] * 6, "not a tilt series"),
        (range(6), [0.0, 3.0, 6.0, 9.0, 12.0], "5 tilt angles were given for 6 images"),
    ],
)
def test_what_is_no_series_is_refused(
    recorded: PhantomSeries, sections: range, tilts_deg: list[float], words: str
) -> None:
    images = recorded.images[list(sections)]
    with pytest.raises(InputError, match=words):
        align_series(prepare_images(images, [0.0] * len(images)), tilts_deg, PIXEL_A, AlignSettings(axis_deg=0.0))
