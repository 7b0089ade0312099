"""Scores against a known truth."""

import numpy as np

from eucentric.core import Alignment, InputError, Record


class AlignmentScore(Record):
    """How far an alignment is from the truth.

    `shift_rms_px` is the rms length of the shift errors over the views used, in pixels of the images, once the
    free 3D translation of the specimen is taken out; `worst_section` has the largest, `worst_px`; `errors_px` has the
    length for each section used.
    `axis_error_deg` is the mean axis minus the true one, with an axis and its opposite taken for the same.
    """

    shift_rms_px: float
    axis_error_deg: float
    worst_px: float
    worst_section: int
    errors_px: dict[int, float]


def score_alignment(estimate: Alignment, truth: Alignment) -> AlignmentScore:
    """Compare an alignment with the truth of the same series.

    Raises
    ------
    InputError
        If they are not of the same images, or the estimate uses fewer than 3 views.
    """
    if len(estimate.tilts) != len(truth.tilts) or estimate.shape_yx != truth.shape_yx:
        raise InputError("The alignment and the truth are not of the same series; nothing was scored.")
    pairs = [(found, true) for found, true in zip(estimate.tilts, truth.tilts, strict=True) if found.used]
    if len(pairs) < 3:
        raise InputError(f"The alignment uses {len(pairs)} views; at least 3 are needed to score it.")
    errors = np.array([np.subtract(found.shift_yx_A, true.shift_yx_A) for found, true in pairs])
    # An error that a translation of the specimen explains is none: no image can tell the difference.
    views = np.array([true.sample2image().linear[1:] for _, true in pairs])  # (n, yx, zyx)
    translation = np.linalg.lstsq(views.reshape(-1, 3), errors.reshape(-1), rcond=None)[0]
    lengths = np.linalg.norm(errors - views @ translation, axis=1) / truth.pixel_A
    turns = np.array([(found.axis_deg - true.axis_deg + 90) % 180 - 90 for found, true in pairs])
    worst = int(lengths.argmax())
    return AlignmentScore(
        shift_rms_px=float(np.sqrt((lengths**2).mean())),
        axis_error_deg=float(turns.mean()),
        worst_px=float(lengths[worst]),
        worst_section=pairs[worst][0].section,
        errors_px={found.section: float(length) for (found, _), length in zip(pairs, lengths, strict=True)},
    )
