"""Beads found and followed without being told where they are, on images made from known beads."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from eucentric.core import Alignment, TiltAlignment
from eucentric.processing.alignment import PreparedImages
from eucentric.processing.alignment.beads.detect import find_in_3d, find_radius, responses
from eucentric.processing.alignment.beads.track import BeadAlignment, BeadSettings, NoBeads, align_by_beads

SIDE, PIXEL_A, RADIUS_A, AXIS_DEG = 160, 10.0, 40.0, 25.0
TILTS_DEG = [float(tilt) for tilt in range(-60, 61, 6)]


def true_alignment() -> Alignment:
    random = np.random.default_rng(8)
    shifts = random.normal(0, 40, (len(TILTS_DEG), 2))
    return Alignment(
        pixel_A=PIXEL_A,
        shape_yx=(SIDE, SIDE),
        tilts=tuple(
            TiltAlignment(section=i, tilt_deg=tilt, axis_deg=AXIS_DEG, shift_yx_A=(shifts[i, 0], shifts[i, 1]))
            for i, tilt in enumerate(TILTS_DEG)
        ),
    )


def places(count: int) -> NDArray[np.float64]:
    """Return places (Å) that do not lie on each other."""
    random = np.random.default_rng(11)
    found: list[NDArray[np.float64]] = []
    while len(found) < count:
        one = random.uniform(-1, 1, 3) * [200, 520, 420]
        if all(np.linalg.norm(one - other) > 180 for other in found):
            found.append(one)
    return np.array(found)


def series(beads: int, *, blank: int | None = None) -> PreparedImages:
    random = np.random.default_rng(5)
    y, x = np.indices((SIDE, SIDE)) - SIDE // 2
    images = random.normal(0, 0.35, (len(TILTS_DEG), SIDE, SIDE))
    for view in true_alignment().tilts:
        for at_y, at_x in view.sample2image()(places(beads) if beads else np.zeros((0, 3)))[:, 1:] / PIXEL_A:
            images[view.section] -= np.exp(-((y - at_y) ** 2 + (x - at_x) ** 2) / (RADIUS_A / PIXEL_A) ** 2)
    reasons = {}
    if blank is not None:
        images[blank] = 0
        reasons[blank] = "all its pixels are equal"
    n = len(images)
    return PreparedImages(torch.from_numpy(images.astype(np.float32)), np.ones(n), np.zeros(n, dtype=np.int64), reasons)


def coarse(error_px: float) -> Alignment:
    random = np.random.default_rng(21)
    return true_alignment().replace(
        tilts=tuple(
            tilt.replace(
                axis_deg=AXIS_DEG + 1.0,
                shift_yx_A=tuple(np.array(tilt.shift_yx_A) + random.normal(0, error_px * PIXEL_A, 2)),
            )
            for tilt in true_alignment().tilts
        )
    )


def shift_errors_px(found: Alignment) -> NDArray[np.float64]:
    """Return what is left of the shifts' difference after the free translation of the specimen."""
    rows, wanted = [], []
    for ours, true in zip(found.tilts, true_alignment().tilts, strict=True):
        rows.append(true.sample2image().linear[1:])
        wanted.append(np.subtract(ours.shift_yx_A, true.shift_yx_A))
    matrix, difference = np.concatenate(rows), np.concatenate(wanted)
    moved = np.linalg.lstsq(matrix, difference, rcond=None)[0]
    return np.asarray((difference - matrix @ moved).reshape(-1, 2) / PIXEL_A)


def test_a_bead_answers_most_at_its_middle_and_its_radius_is_found() -> None:
    one = series(10)
    tilts = np.array(TILTS_DEG)
    radius_A = find_radius(one.images, list(range(len(tilts))), tilts, PIXEL_A)
    assert radius_A == pytest.approx(RADIUS_A, abs=10)  # the next candidates on either side
    blobs = responses(one.images, radius_A / PIXEL_A, [10])
    assert not blobs[[0, 20]].any()
    view = true_alignment().tilts[10]
    seen = np.round(view.sample2image()(places(10))[:, 1:] / PIXEL_A).astype(int) + SIDE // 2
    inside = (seen > 8).all(axis=1) & (seen < SIDE - 8).all(axis=1)
    assert inside.sum() >= 5
    assert (blobs[10].numpy()[tuple(seen[inside].T)] > 3).all()


def test_beads_stand_out_in_three_dimensions_where_they_are() -> None:
    blobs = responses(series(10).images, RADIUS_A / PIXEL_A, list(range(len(TILTS_DEG))))
    peaks = find_in_3d(blobs, true_alignment(), RADIUS_A / PIXEL_A, 64, 7.0)
    off = np.linalg.norm(peaks.zyx_px[:, None] - places(10)[None] / PIXEL_A, axis=2)
    assert len(peaks.zyx_px) == 10
    assert (off.min(axis=0) < 3).all()  # voxels of two pixels, longer along the beam
    assert (np.diff(peaks.significance) <= 0).all()


def test_coarse_errors_are_taken_out() -> None:
    found = align_by_beads(series(10), TILTS_DEG, coarse(2.5), BeadSettings(free=False))
    assert isinstance(found, BeadAlignment)
    before = math.sqrt(np.square(shift_errors_px(coarse(2.5))).sum(axis=1).mean())
    after = math.sqrt(np.square(shift_errors_px(found.alignment)).sum(axis=1).mean())
    assert before > 2
    assert after < 0.2  # a fifth of a pixel: ten beads, each found to about a third of one
    axis_error_deg = float(np.rad2deg(found.bundle.view_errors[0, 4]))
    assert axis_error_deg < 0.25
    assert found.alignment.tilts[0].axis_deg == pytest.approx(AXIS_DEG, abs=3 * axis_error_deg)
    assert all(tilt.used for tilt in found.alignment.tilts)
    assert "beads of radius" in found.why


def test_a_blank_view_stays_out_and_the_others_are_aligned() -> None:
    found = align_by_beads(series(10, blank=4), TILTS_DEG, coarse(1.0), BeadSettings(free=False, radius_A=RADIUS_A))
    assert isinstance(found, BeadAlignment)
    assert [tilt.section for tilt in found.alignment.tilts if not tilt.used] == [4]
    assert found.alignment.tilts[4].reason == "all its pixels are equal"


@pytest.mark.parametrize(("beads", "says"), [(0, "can be followed"), (3, "5 beads are needed")])
def test_none_or_too_few_are_no_beads_and_it_is_said_why(beads: int, says: str) -> None:
    found = align_by_beads(series(beads), TILTS_DEG, coarse(0.5), BeadSettings(radius_A=RADIUS_A))
    assert isinstance(found, NoBeads)
    assert says in found.reason
