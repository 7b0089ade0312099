"""`align_by_beads`: beads found in three dimensions, tracked by prediction, and the views adjusted to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from eucentric.core import SILENT, Alignment, InputError, Record, Reporter
from eucentric.processing.alignment.beads.adjust import adjust_bundle
from eucentric.processing.alignment.beads.detect import Peaks, find_in_3d, find_radius, responses
from eucentric.processing.alignment.beads.freedom import ChosenFreedom, adjust_freely
from eucentric.processing.alignment.beads.model import Freedom
from eucentric.processing.alignment.beads.records import BundleAdjustment, BundleSettings
from eucentric.processing.alignment.beads.tracks import Tracks
from eucentric.processing.alignment.prepare import PreparedImages

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# How far a view, and then a bead in it, is looked for, each time that beads are detected in 3D: first with the views as
# they come, and then with those that the beads have mended, which finds more of them, or tells that there are none.
_PASSES_PX = (((12.0, 5.0),), ((5.0, 4.0), (3.0, 3.0)), ((12.0, 5.0), (5.0, 4.0), (3.0, 3.0)))
_FORGIVING = 0.6
_FIT_SHARE = 0.3  # of the beads that fit in a usual view: with fewer a view met by chance, and is left out
_MOST_BEADS = 120
_SEEN = 3.5  # noise units of a view: a bead is not seen below
_TRACKED_SHARE = 0.4  # of the views, in which a bead must be seen to be one
_WORST_SIGMA_PX = 1.5  # beyond it the points that were followed are no beads


class BeadSettings(Record):
    """Settings of the search for beads.

    `radius_A` of the gold, found from the images if absent; `significance` (noise units of the back-projected
    response) from which a peak is taken for a bead; `fewest` beads that an alignment is made from; `depth_share` of the
    shorter side of the images, how high the volume is in which they are looked for; `free` lets held-out beads say what
    may vary from view to view, and else only shifts and one axis do. `closest`, if given, is the share of their radius
    to which beads must be met in the mean.
    """

    radius_A: Annotated[float, Field(gt=0)] | None = None
    significance: Annotated[float, Field(gt=0)] = 8.0
    fewest: Annotated[int, Field(ge=3)] = 5
    depth_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    free: bool = True
    closest: Annotated[float, Field(gt=0)] | None = None


@dataclass(frozen=True)
class BeadAlignment:
    """An alignment by beads: their radius, how they stood out, tracks with their adjustment, and why it is taken."""

    alignment: Alignment
    bundle: BundleAdjustment
    freedom: ChosenFreedom | None
    radius_A: float
    significance: tuple[float, ...]
    why: str


@dataclass(frozen=True)
class NoBeads:
    """There are no beads to align by, and why."""

    reason: str


def align_by_beads(
    prepared: PreparedImages,
    tilts_deg: Sequence[float],
    alignment: Alignment,
    settings: BeadSettings | None = None,
    reporter: Reporter = SILENT,
) -> BeadAlignment | NoBeads:
    """Find beads, follow them through the series, and adjust the views to them.

    Parameters
    ----------
    prepared
        Images of the series, dense matter dark.
    tilts_deg
        Tilt of each section.
    alignment
        A coarse one: views may be wrong by about 10 pixels.
    settings
        See `BeadSettings`.
    reporter
        Where progress goes.
    """
    settings = settings or BeadSettings()
    pixel_A = alignment.pixel_A
    views = [section for section in range(len(prepared.images)) if section not in prepared.reasons]
    tilts = np.asarray(tilts_deg, dtype=float)
    radius_A = settings.radius_A or find_radius(prepared.images, views, tilts, pixel_A)
    blobs = responses(prepared.images, radius_A / pixel_A, views)
    depth_px = max(8, int(settings.depth_share * min(alignment.shape_yx)))
    now = alignment
    bundle: BundleAdjustment | None = None
    peaks = Peaks(np.zeros((0, 3)), np.zeros(0))
    with reporter.task("Finding beads", sum(len(rounds) for rounds in _PASSES_PX)) as step:
        for number, rounds_px in enumerate(_PASSES_PX):
            # Views that are off blur the beads: only what stands out after they were moved decides.
            threshold = settings.significance * (_FORGIVING if number == 0 else 1.0)
            peaks = find_in_3d(blobs, now, radius_A / pixel_A, depth_px, threshold)
            if len(peaks.zyx_px) < settings.fewest:
                return NoBeads(
                    f"{len(peaks.zyx_px)} points of radius {radius_A:.0f} Å stand out by {threshold:.0f} "
                    f"noise units in three dimensions, and {settings.fewest} beads are needed"
                )
            beads = peaks.zyx_px[:_MOST_BEADS]
            for view_px, bead_px in rounds_px:
                tracks = _followed(blobs.numpy(), now, beads, views, view_px, bead_px)
                tracks = _of_many_views(tracks, len(views))
                if len(np.unique(tracks.bead)) < settings.fewest:
                    return NoBeads(
                        f"only {len(np.unique(tracks.bead))} of {len(beads)} points can be followed through the series"
                    )
                try:
                    bundle = adjust_bundle(
                        tracks, tilts.tolist(), now.shape_yx, BundleSettings(axis_deg=_axis(now), freedom=Freedom())
                    )
                except InputError as error:
                    return NoBeads(f"the points that stand out do not move as beads do: {error.what}")
                now = _with_left_out(bundle, now, prepared)
                places = bundle.beads_zyx_px[np.isfinite(bundle.beads_zyx_px[:, 0])]
                beads = places
                step()
    if bundle is None or bundle.sigma_px > _WORST_SIGMA_PX:
        return NoBeads("the points that stand out do not move as beads do")
    good = sum(not reason for reason in bundle.bead_reasons)
    if good < settings.fewest:
        return NoBeads(f"only {good} of {len(bundle.bead_reasons)} points move as beads do")
    residual_A = bundle.mean_residual_px * pixel_A
    if settings.closest is not None and residual_A > settings.closest * radius_A:
        return NoBeads(
            f"{good} points of radius {radius_A:.0f} Å are met to {residual_A:.1f} Å only, and beads would be to "
            f"{settings.closest * radius_A:.1f} Å"
        )
    chosen: ChosenFreedom | None = None
    if settings.free:
        bundle, chosen = adjust_freely(bundle.tracks, tilts.tolist(), now.shape_yx, BundleSettings(axis_deg=_axis(now)))
        now = _with_left_out(bundle, now, prepared)
    good = sum(not reason for reason in bundle.bead_reasons)
    if good < settings.fewest:
        return NoBeads(f"only {good} of {len(bundle.bead_reasons)} points move as beads do")
    return BeadAlignment(
        alignment=now,
        bundle=bundle,
        freedom=chosen,
        radius_A=radius_A,
        significance=tuple(float(value) for value in peaks.significance),
        why=f"{good} beads of radius {radius_A:.0f} Å stand out by {np.median(peaks.significance):.0f} noise units "
        f"(median) and are met to {bundle.mean_residual_px:.2f} px",
    )


def _followed(
    blobs: NDArray[np.float32], alignment: Alignment, beads: Array, views: list[int], view_px: float, bead_px: float
) -> Tracks:
    """Return where each bead is seen in each view, looked for where the alignment says.

    First the view as a whole is moved to where the responses around all predicted places add up best, by up to
    `view_px`; then the highest response within `bead_px` of the place is the bead, if it is one at all.
    """
    centre = np.array([size // 2 for size in alignment.shape_yx], dtype=float)
    found: list[tuple[int, int, float, float]] = []
    for view in views:
        tilt = alignment.tilts[view]
        predicted = tilt.sample2image()(beads * alignment.pixel_A)[:, 1:] / alignment.pixel_A + centre
        response = blobs[view]
        moved = predicted + _common_move(response, predicted, view_px)
        found += [(bead, view, *place) for bead, place in _nearest_peaks(response, moved, bead_px)]
    if not found:
        return Tracks.of([], [], np.zeros((0, 2)))
    table = np.array(found)
    return _without_shared(Tracks.of(table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2:]))


def _common_move(response: NDArray[np.float32], places: Array, reach_px: float) -> Array:
    reach = round(reach_px)
    rows, columns = response.shape
    near = np.round(places).astype(int)
    inside = (near >= reach).all(axis=1) & (near[:, 0] < rows - reach) & (near[:, 1] < columns - reach)
    if inside.sum() < 3:
        return np.zeros(2)
    around = np.clip(_around(response, near[inside], np.arange(-reach, reach + 1)), 0, 8)
    total = ndimage.gaussian_filter(around.sum(axis=0, dtype=np.float64), 1.0)
    y, x = np.unravel_index(int(np.argmax(total)), total.shape)
    return np.array([y - reach, x - reach], dtype=float)


def _nearest_peaks(
    response: NDArray[np.float32], places: Array, reach_px: float
) -> list[tuple[int, tuple[float, float]]]:
    """Return by number of each place the sub-pixel one of the highest response within reach, where that is a peak."""
    reach = int(np.ceil(reach_px))
    near = np.round(places).astype(int)
    numbers = np.flatnonzero(((near > reach) & (near < np.array(response.shape) - reach - 1)).all(axis=1))
    near, places = near[numbers], places[numbers]
    offsets = np.arange(-reach, reach + 1)
    away = near[:, :, None] + offsets - places[:, :, None]
    far = np.hypot(away[:, 0, :, None], away[:, 1, None, :])
    scored = np.where(far <= reach_px, _around(response, near, offsets), -np.inf)
    tops = scored.reshape(len(near), len(offsets) ** 2).argmax(axis=1)
    top_yx = near - reach + np.stack(np.divmod(tops, len(offsets)), axis=1)
    around = _around(response, top_yx, np.arange(-1, 2)).astype(float)
    highest = (around[:, 1, 1] >= _SEEN) & (around.max(axis=(1, 2)) <= around[:, 1, 1])
    return [
        (int(number), (int(y) + _vertex(*nine[:, 1]), int(x) + _vertex(*nine[1])))
        for number, (y, x), nine in zip(numbers[highest], top_yx[highest], around[highest], strict=True)
    ]


def _around(response: NDArray[np.float32], near_yx: Ints, offsets: Ints) -> NDArray[np.float32]:
    """Return the pixels (b, y, x) at these offsets from each place."""
    rows, columns = (near_yx[:, axis, None] + offsets for axis in (0, 1))
    around: NDArray[np.float32] = response[rows[:, :, None], columns[:, None, :]]
    return around


def _vertex(before: float, at: float, after: float) -> float:
    """Return where the parabola through three values has its top, between -0.5 and 0.5."""
    bend = before - 2 * at + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0


def _without_shared(tracks: Tracks) -> Tracks:
    """Leave out places that two beads claim in one view: one of them is wrong, and nothing says which."""
    keys = np.round(np.column_stack((tracks.view, tracks.yx_px * 4))).astype(np.int64)
    _, inverse, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    return tracks.only(counts[inverse.reshape(-1)] == 1)


def _of_many_views(tracks: Tracks, views: int) -> Tracks:
    numbers, counts = np.unique(tracks.bead, return_counts=True)
    return tracks.only(np.isin(tracks.bead, numbers[counts >= max(3, _TRACKED_SHARE * views)]))


def _axis(alignment: Alignment) -> float:
    return float(np.median([tilt.axis_deg for tilt in alignment.tilts]))


def _with_left_out(bundle: BundleAdjustment, before: Alignment, prepared: PreparedImages) -> Alignment:
    """Return the alignment with views that beads say nothing of where they were, moved as their neighbours in tilt.

    So they are looked for in the next round from no worse a place, and come back if beads are seen in them then.
    """
    fit = np.bincount(bundle.tracks.view[bundle.used], minlength=len(before.tilts))
    fewest = max(3.0, _FIT_SHARE * float(np.median(fit)))
    found = bundle.alignment(before.pixel_A)
    found = found.replace(
        tilts=tuple(
            tilt
            if fit[tilt.section] >= fewest
            else tilt.replace(used=False, reason=tilt.reason or f"only {fit[tilt.section]} of its beads fit")
            for tilt in found.tilts
        )
    )
    used = sorted((tilt for tilt in found.tilts if tilt.used), key=lambda tilt: tilt.tilt_deg)
    angles = [tilt.tilt_deg for tilt in used]
    moves = np.array([np.subtract(tilt.shift_yx_A, before.tilts[tilt.section].shift_yx_A) for tilt in used])
    tilts = []
    for tilt in found.tilts:
        if not tilt.used:
            move = [float(np.interp(tilt.tilt_deg, angles, moves[:, axis])) for axis in (0, 1)]
            y, x = before.tilts[tilt.section].shift_yx_A
            reason = prepared.reasons.get(tilt.section, tilt.reason)
            tilts.append(tilt.replace(shift_yx_A=(y + move[0], x + move[1]), reason=reason))
        else:
            tilts.append(tilt)
    return found.replace(tilts=tuple(tilts))
