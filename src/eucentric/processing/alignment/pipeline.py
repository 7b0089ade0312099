"""`align_series`: from prepared images and stage tilts to an alignment, coarse to fine."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from eucentric.core import SILENT, Alignment, InputError, Reporter
from eucentric.core.threads import one_thread_of_torch
from eucentric.processing.alignment.by_beads import ByBeads, refine_by_beads
from eucentric.processing.alignment.levels import (
    FAR_BLOCK,
    FARTHEST_BLOCK,
    FINE_FIELD,
    MIDDLE_FIELD,
    NEAR_BLOCK,
    Levels,
    Seen,
    State,
    climb_axis,
    find_axis,
    first_pass,
    match_level,
    refine_level,
    settle_local,
    settle_slab,
)
from eucentric.processing.alignment.matcher import Match
from eucentric.processing.alignment.pairs import within_90
from eucentric.processing.alignment.prepare import PreparedImages
from eucentric.processing.alignment.records import AlignmentResult, AxisSearch, TiltResidual
from eucentric.processing.alignment.settings import AlignSettings
from eucentric.processing.alignment.spoilt import find_spoilt

_UNKNOWN_DEPTH = 0.3  # share of the field to begin with; typical of cells and lamellae in a field of half a micrometre


@one_thread_of_torch()
def align_series(
    prepared: PreparedImages,
    tilts_deg: Sequence[float],
    pixel_A: float,
    settings: AlignSettings,
    *,
    nominal_axis_deg: float | None = None,
    exposures_e_A2: Sequence[float] | None = None,
    device: torch.device | None = None,
    reporter: Reporter = SILENT,
) -> AlignmentResult:
    """Find how each view sees the specimen.

    Every view is moved until it agrees best with the projection, at its tilt, of a volume made of the other
    views: outwards from the untilted view at first, then in rounds over all views on finer and finer images.
    The tilt axis, and the height, tilt and depth of the slab that holds the specimen, are those with which views
    predict each other best. Beads, if there are enough, have the last word (`AlignSettings.beads`).

    Projections cannot tell an axis from its opposite, nor with it the hand of the volume: the angle given is the
    one nearest to the given or nominal axis, or within ±90° where there is neither. The specimen's origin is where
    the least tilted view sees it in the middle; its height is that of the middle of the predicting volume.

    Parameters
    ----------
    prepared
        From `prepare_images`.
    tilts_deg
        Stage tilts, in section order; what makes the specimen lie flat at 0° is added to all of them.
    pixel_A
        Pixel size in Å.
    settings
        See `AlignSettings`.
    nominal_axis_deg
        The microscope's word for the axis: where a search starts, and which of two opposites is meant.
    exposures_e_A2
        What the specimen had received by the middle of each view, in section order: local motion follows it. Absent,
        none is looked for.
    device
        Where to compute; the CPU if absent.
    reporter
        Where progress goes.

    Raises
    ------
    InputError
        If there are fewer than 5 tilts, or not one angle to each image, or all tilts are the same.
    """
    check(prepared, tilts_deg)
    levels = Levels(prepared.images, tilts_deg, device or torch.device("cpu"))
    given = settings.axis_deg if settings.axis_deg is not None else nominal_axis_deg
    state = begin(levels, prepared, pixel_A, settings, given)
    search = settings.axis_deg is None or settings.refine_axis
    if search:
        find_axis(levels, state, given, reporter)
    first_pass(levels, state)
    coarse_px = state.shifts_px.clone()
    reasons = _settle(levels, state, prepared, settings, search, reporter)
    axis_search = climb_axis(levels, state, FINE_FIELD, 0.5, 0.5, FAR_BLOCK, reporter) if search else None
    settle_slab(levels, state, MIDDLE_FIELD, 0.25)
    # From here on local motion and beads may follow the axis, which cannot be turned over without them.
    state.axis_deg = _nearest_opposite(state.axis_deg, given)
    seen = Seen(pixel_A, levels.shape_yx, tuple(tilts_deg), reasons)
    exposures = None
    if settings.local_motion and exposures_e_A2 is not None:
        exposures = np.asarray(exposures_e_A2, dtype=float)
    by_beads = ByBeads(None, "by images, as asked for")
    if settings.beads == "auto":
        now = seen.alignment(state, None)
        by_beads = refine_by_beads(prepared, now, state.depth_px * pixel_A, exposures, reporter)
    local, said = None, by_beads.local_motion
    if by_beads.alignment is None and exposures is not None:
        local = settle_local(levels, state, seen, exposures, reporter)
        said = "taken out: pieces of views held out gain by it" if local else "none: pieces held out gain nothing by it"
        if search and local is not None:
            axis_search = climb_axis(levels, state, FINE_FIELD, 0.25, 0.25, FARTHEST_BLOCK, reporter)
    rounds_px = refine_level(levels, state, FINE_FIELD, settings.rounds, reporter)
    if by_beads.alignment is None:
        # Rounds leave what all views have in common a little to the side that their neighbours draw them to.
        settle_slab(levels, state, FINE_FIELD, 0.5, moves=("offset",))
    match, factor = match_level(levels, state, FINE_FIELD)
    left_A = match.move_vu.norm(dim=1) * factor * pixel_A

    if local is None and by_beads.alignment is None:
        state.axis_deg = _nearest_opposite(state.axis_deg, given)
    return AlignmentResult(
        alignment=with_origin_in_untilted_view(by_beads.alignment or seen.alignment(state, local)),
        axis_search=_about(axis_search, state.axis_deg) if axis_search else None,
        specimen_depth_A=state.depth_px * pixel_A,
        tilts=_residuals(match, left_A, state, pixel_A, by_beads, coarse_px),
        rounds_rms_A=tuple(change_px * pixel_A for change_px in rounds_px),
        tilt_offset_deg=state.tilt_offset_deg + by_beads.levelled_deg,
        method="images" if by_beads.alignment is None else "beads",
        why=by_beads.why,
        beads=by_beads.beads,
        bead_residual_A=by_beads.residual_A,
        local_motion=said,
    )


def _settle(
    levels: Levels, state: State, prepared: PreparedImages, settings: AlignSettings, search: bool, reporter: Reporter
) -> dict[int, str]:
    """Bring axis, slab and shifts together on images of middle size; return why views are left out, by section."""
    refine_level(levels, state, MIDDLE_FIELD, 2, reporter)
    if search:
        climb_axis(levels, state, MIDDLE_FIELD, 2.0, 2.0, NEAR_BLOCK, reporter)
    settle_slab(levels, state, MIDDLE_FIELD, 1.0)
    refine_level(levels, state, MIDDLE_FIELD, settings.rounds, reporter)
    match, _ = match_level(levels, state, MIDDLE_FIELD)
    reasons = dict(prepared.reasons) | find_spoilt(levels, state, match)
    state.views = torch.tensor([section for section in range(len(levels.tilts_deg)) if section not in reasons])
    return reasons


def _residuals(
    match: Match, left_A: Tensor, state: State, pixel_A: float, by_beads: ByBeads, coarse_px: Tensor
) -> tuple[TiltResidual, ...]:
    residuals_A = by_beads.view_residuals_A or dict(zip(state.views.tolist(), left_A.tolist(), strict=True))
    correlations = dict(zip(state.views.tolist(), match.correlation.tolist(), strict=True))
    return tuple(
        TiltResidual(
            section=section,
            correlation=correlations.get(section, 0.0),
            residual_A=residuals_A.get(section, 0.0),
            coarse_shift_yx_A=(float(y) * pixel_A, float(x) * pixel_A),
        )
        for section, (y, x) in enumerate(coarse_px)
    )


def _about(search: AxisSearch, axis_deg: float) -> AxisSearch:
    """Tell a search with that of two opposites which the alignment has."""
    turn = _nearest_opposite(search.best_deg, axis_deg) - search.best_deg
    axes_deg = tuple(axis + turn for axis in search.axes_deg)
    return search.replace(axes_deg=axes_deg, best_deg=search.best_deg + turn)


def begin(
    levels: Levels, prepared: PreparedImages, pixel_A: float, settings: AlignSettings, axis_deg: float | None
) -> State:
    """Return what is known before anything was found."""
    depth_fixed = settings.specimen_depth_A is not None
    return State(
        axis_deg=axis_deg or 0.0,
        depth_px=(settings.specimen_depth_A or 0.0) / pixel_A if depth_fixed else _UNKNOWN_DEPTH * levels.field,
        depth_fixed=depth_fixed,
        tilt_offset_deg=0.0,
        shifts_px=torch.zeros((len(levels.tilts_deg), 2), dtype=torch.float64),
        views=torch.tensor([section for section in range(len(levels.tilts_deg)) if section not in prepared.reasons]),
        max_shift_fraction=settings.max_shift_fraction,
    )


def check(prepared: PreparedImages, tilts_deg: Sequence[float]) -> None:
    """Raise `InputError` where no volume can be made of images at these tilts."""
    n = len(prepared.images)
    if n != len(tilts_deg):
        raise InputError(f"{len(tilts_deg)} tilt angles were given for {n} images; nothing was computed.")
    if n < 5:
        raise InputError(f"A series of {n} tilts is too short: at least 5 are needed to make a volume.")
    if max(tilts_deg) - min(tilts_deg) < 1.0:
        raise InputError(
            f"All {n} tilts lie within 1° of {tilts_deg[0]:.2f}°: this is not a tilt series.",
            "Give the right angles with --angles.",
        )


def _nearest_opposite(axis_deg: float, wanted_deg: float | None) -> float:
    """Return the axis or its opposite, whichever is nearer to the wanted one, or within ±90° without one."""
    centre = 0.0 if wanted_deg is None else wanted_deg
    return within_90(axis_deg - centre) + centre


def with_origin_in_untilted_view(alignment: Alignment) -> Alignment:
    """Move the specimen's origin, at the height it has, to the middle of the least tilted view in use."""
    untilted = min(alignment.used, key=lambda tilt: abs(tilt.tilt_deg))
    in_plane = untilted.sample2image().linear[1:, 1:]
    y, x = np.linalg.solve(in_plane, np.negative(untilted.shift_yx_A))
    return alignment.moved((0.0, float(y), float(x)))
