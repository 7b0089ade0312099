"""Whether beads have the last word on an alignment by images, and what they say."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from eucentric.core import Alignment, Reporter
from eucentric.processing.alignment.beads import BeadAlignment, BeadSettings, NoBeads, align_by_beads
from eucentric.processing.alignment.beads.faces import slope_of_faces_deg
from eucentric.processing.alignment.beads.motion import motion_of_beads
from eucentric.processing.alignment.prepare import PreparedImages
from eucentric.processing.operators import bin_images

_FEWEST = 8  # beads: what fewer have in common may be chance
_CLOSE = 0.12  # of their radius, to which beads must be met in the mean; gold of 10 nm in real series is, to 0.07
_ROOM = 1.5  # times the depth of the specimen, and 400 Å, where beads are looked for: they lie on its faces
_ROOM_A = 400.0
_FIELD_PX = 1000  # along the shorter side of the images that beads are looked for in, or up to twice as many


@dataclass(frozen=True)
class ByBeads:
    """What became of the search for beads; the alignment is None where images keep the last word.

    `view_residuals_A` is the mean distance, by section, of beads from where they are predicted; `levelled_deg` what was
    added to all tilts so that the faces on which beads lie are level.
    """

    alignment: Alignment | None
    why: str
    beads: int = 0
    residual_A: float | None = None
    view_residuals_A: dict[int, float] = field(default_factory=dict)
    local_motion: str = ""
    levelled_deg: float = 0.0


def refine_by_beads(
    prepared: PreparedImages,
    alignment: Alignment,
    depth_A: float,
    exposures_e_A2: NDArray[np.float64] | None,
    reporter: Reporter,
) -> ByBeads:
    """Look for beads in the specimen, and let them mend the alignment if there are enough and they agree.

    Parameters
    ----------
    prepared
        Images of the series.
    alignment
        By images; the specimen's middle is its origin.
    depth_A
        Thickness of the specimen.
    exposures_e_A2
        What the specimen had received by the middle of each view, by section; None if not known, or if local motion
        is not asked for.
    reporter
        Where progress goes.
    """
    tilts_deg = [view.tilt_deg for view in alignment.tilts]
    shape_yx, pixel_A = alignment.shape_yx, alignment.pixel_A
    factor = max(1, min(shape_yx) // _FIELD_PX)
    if factor > 1:
        prepared, alignment = _binned(prepared, factor), _on_pixels(alignment, prepared.images.shape, factor)
    field_A = min(alignment.shape_yx) * alignment.pixel_A
    settings = BeadSettings(depth_share=min(0.5, (_ROOM * depth_A + _ROOM_A) / field_A), fewest=_FEWEST, closest=_CLOSE)
    found = align_by_beads(prepared, tilts_deg, alignment, settings, reporter)
    if isinstance(found, NoBeads):
        return ByBeads(None, f"by images: {found.reason}")
    moving = motion_of_beads(found.bundle, found.alignment, exposures_e_A2) if exposures_e_A2 is not None else None
    seen = _about_the_same_origin(moving or found.alignment, alignment)
    levelled_deg = _levelling_deg(found)
    return ByBeads(
        _turned(seen, levelled_deg).replace(pixel_A=pixel_A, shape_yx=shape_yx),
        f"by beads: {found.why}" + (f"; {found.freedom.why()}" if found.freedom else ""),
        sum(not reason for reason in found.bundle.bead_reasons),
        found.bundle.mean_residual_px * alignment.pixel_A,
        _by_view(found, alignment.pixel_A),
        _said(moving, exposures_e_A2),
        levelled_deg,
    )


def _levelling_deg(found: BeadAlignment) -> float:
    """Return what to add to all tilts so that the faces on which beads lie are level; 0 where they do not tell."""
    if any(view.x_tilt_deg for view in found.alignment.tilts):  # about which turns of the specimen do not just add up
        return 0.0
    good = np.array([not reason for reason in found.bundle.bead_reasons], dtype=bool)
    return -(slope_of_faces_deg(found.bundle.beads_zyx_px[good]) or 0.0)


def _turned(alignment: Alignment, by_deg: float) -> Alignment:
    """Turn the specimen about the tilt axis, which no image can tell; its local motion, of some Å, is left as it is."""
    return alignment.replace(tilts=tuple(view.replace(tilt_deg=view.tilt_deg + by_deg) for view in alignment.tilts))


def _said(moving: Alignment | None, exposures_e_A2: NDArray[np.float64] | None) -> str:
    if exposures_e_A2 is None:
        return ""
    return "taken out: beads held out gain by it" if moving else "none: beads held out gain nothing by it"


def _binned(prepared: PreparedImages, factor: int) -> PreparedImages:
    """Return the images on fewer pixels: gold is as plain there, and a volume of all of them would not fit memory."""
    return replace(prepared, images=torch.stack([bin_images(image, factor) for image in prepared.images]))


def _on_pixels(alignment: Alignment, shape: Sequence[int], factor: int) -> Alignment:
    rows, columns = (n // factor for n in shape[1:])
    return alignment.replace(pixel_A=alignment.pixel_A * factor, shape_yx=(rows, columns))


def _by_view(found: BeadAlignment, pixel_A: float) -> dict[int, float]:
    bundle = found.bundle
    lengths_A = np.hypot(*bundle.residuals_yx_px[bundle.used].T) * pixel_A
    views = bundle.tracks.view[bundle.used]
    return {int(view): float(lengths_A[views == view].mean()) for view in np.unique(views)}


def _about_the_same_origin(alignment: Alignment, other: Alignment) -> Alignment:
    """Move the specimen's origin to where the views of another alignment have it, as nearly as they allow."""
    pairs = [(view, other.tilts[view.section]) for view in alignment.used]
    views = np.array([view.sample2image().linear[1:] for view, _ in pairs]).reshape(-1, 3)
    apart = np.array([np.subtract(old.shift_yx_A, view.shift_yx_A) for view, old in pairs]).reshape(-1)
    z, y, x = (float(one) for one in np.linalg.lstsq(views, apart, rcond=None)[0])
    return alignment.moved((z, y, x))
