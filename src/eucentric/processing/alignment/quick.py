"""`align_quickly`: where the views of a series lie, well enough to show the specimen, in a few seconds of one core."""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field

from eucentric.core import SILENT, Alignment, Record, Reporter
from eucentric.core.threads import one_thread_of_torch
from eucentric.processing.alignment.levels import (
    COARSE_FIELD,
    MIDDLE_FIELD,
    Levels,
    Seen,
    find_axis,
    match_level,
    refine_level,
    settle_slab,
)
from eucentric.processing.alignment.pipeline import begin, check, with_origin_in_untilted_view
from eucentric.processing.alignment.prepare import PreparedImages
from eucentric.processing.alignment.quality import poorly_predicted
from eucentric.processing.alignment.records import Correlation
from eucentric.processing.alignment.settings import AlignSettings
from eucentric.processing.alignment.steps import align_outwards

_COARSE_ROUNDS, _ROUNDS = 2, 3
_SETTLED_BY = 4.0  # hundredths of the field, degrees, twentieths of the depth: what can be seen in a preview


class QuickAlignment(Record):
    """An alignment of the first pass alone; `correlation` is the median of views with what the others predict."""

    alignment: Alignment
    specimen_depth_A: Annotated[float, Field(gt=0)]
    correlation: Correlation


@one_thread_of_torch()
def align_quickly(
    prepared: PreparedImages,
    tilts_deg: Sequence[float],
    pixel_A: float,
    settings: AlignSettings,
    *,
    nominal_axis_deg: float | None = None,
    device: torch.device | None = None,
    reporter: Reporter = SILENT,
) -> QuickAlignment:
    """Align outwards from the untilted view on coarse images, settle the slab once, and refine at middle size.

    A given or nominal axis is believed, and only where there is neither is it searched for; neither beads nor local
    motion are looked for, and the slab is not settled again. Nothing of it is meant to be measured on.

    Parameters
    ----------
    prepared, tilts_deg, pixel_A, settings, nominal_axis_deg, device, reporter
        As for `align_series`; of the settings, those of rounds, local motion and beads have no say.

    Raises
    ------
    InputError
        As `align_series`.
    """
    check(prepared, tilts_deg)
    levels = Levels(prepared.images, tilts_deg, device or torch.device("cpu"))
    given = settings.axis_deg if settings.axis_deg is not None else nominal_axis_deg
    state = begin(levels, prepared, pixel_A, settings, given)
    if given is None:
        find_axis(levels, state, None, reporter)
    matcher, factor = levels.matcher(COARSE_FIELD, state.depth_px, state.tilt_offset_deg)
    farthest_px = state.max_shift_fraction * matcher.field
    state.shifts_px = align_outwards(matcher, state.axis_deg, state.views, farthest_px) * factor
    refine_level(levels, state, COARSE_FIELD, _COARSE_ROUNDS, reporter)
    settle_slab(levels, state, COARSE_FIELD, _SETTLED_BY)
    refine_level(levels, state, MIDDLE_FIELD, _ROUNDS, reporter)
    match, _ = match_level(levels, state, MIDDLE_FIELD)
    poor = poorly_predicted(match.correlation.cpu().numpy(), levels.tilts_deg[state.views].tolist())
    reasons = prepared.reasons | {int(state.views[place]): reason for place, reason in poor.items()}
    seen = Seen(pixel_A, levels.shape_yx, tuple(tilts_deg), reasons)
    return QuickAlignment(
        alignment=with_origin_in_untilted_view(seen.alignment(state, None)),
        specimen_depth_A=state.depth_px * pixel_A,
        correlation=float(match.correlation.median()),
    )
