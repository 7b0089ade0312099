"""`align_quickly` against the truth of a phantom: near enough to show the specimen, and views that lie are left out."""

import numpy as np
import pytest
import torch

from eucentric.core import Alignment, InputError
from eucentric.io import open_mrc, read_angles
from eucentric.processing.alignment import AlignSettings, align_quickly, prepare_images
from phantoms.series import WrittenPhantom

PIXEL_A = 53.0
SETTINGS = AlignSettings(axis_deg=84.3)


def misplaced_px(found: Alignment, truth: Alignment) -> float:
    """Return by how many pixels (rms) views lie elsewhere, when the specimen is moved as a whole to fit best."""
    used = [(one, other) for one, other in zip(found.tilts, truth.tilts, strict=True) if one.used]
    seen = np.concatenate([other.sample2image().linear[1:] for _, other in used])
    off_A = np.concatenate([np.subtract(one.shift_yx_A, other.shift_yx_A) for one, other in used])
    move_A, *_ = np.linalg.lstsq(seen, off_A, rcond=None)
    return float(np.sqrt(((off_A - seen @ move_A) ** 2).sum() / len(used))) / PIXEL_A


def test_views_are_placed_to_half_a_pixel_and_one_of_something_else_is_left_out(phantom: WrittenPhantom) -> None:
    tilts_deg = read_angles(phantom.angles)
    images = np.array(open_mrc(phantom.stack).data, dtype=np.float32)
    images[3] = images[3, ::-1, ::-1].T  # no view of this specimen
    prepared = prepare_images(images, tilts_deg)
    found = align_quickly(prepared, tilts_deg, PIXEL_A, SETTINGS)
    unaligned = phantom.truth.replace(tilts=tuple(tilt.replace(shift_yx_A=(0.0, 0.0)) for tilt in phantom.truth.tilts))
    assert [tilt.section for tilt in found.alignment.tilts if not tilt.used] == [3]
    assert misplaced_px(found.alignment, phantom.truth) < 0.5  # 0.13: coarse images are of the same pixels here
    assert misplaced_px(unaligned, phantom.truth) > 2.0
    assert found.correlation > 0.3


def test_too_few_views_are_refused() -> None:
    prepared = prepare_images(torch.rand((5, 64, 64), generator=torch.Generator().manual_seed(0)), [0, 3, -3, 6, -6])
    with pytest.raises(InputError, match="angles were given"):
        align_quickly(prepared, [0.0, 3.0], PIXEL_A, SETTINGS)
