"""What became of an alignment, in lines for a terminal and as JSON."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eucentric.cli.app import tell

if TYPE_CHECKING:
    from eucentric.processing.alignment.beads import BundleAdjustment, ChosenFreedom


def tell_bundle(found: "BundleAdjustment", why: "ChosenFreedom | None") -> None:
    """Say how well the views explain the tracks, what varies, and what was left out and why."""
    axes_deg = np.rad2deg(found.views[:, 4])
    beads = sum(not reason for reason in found.bead_reasons)
    tell(
        f"Mean residual {found.mean_residual_px:.3f} px of {found.used.sum()} of {len(found.used)} observations "
        f"({found.mean_residual_all_px:.3f} px of all); {beads} of {len(found.bead_reasons)} beads; "
        f"rotation {axes_deg.min():.2f} to {axes_deg.max():.2f}°; {found.degrees_of_freedom} degrees of freedom."
    )
    tell(f"Varying, found from held-out beads: {why.why()}." if why else f"Varying: {found.freedom.describe()}.")
    for number, reason in zip(found.bead_numbers, found.bead_reasons, strict=True):
        if reason:
            tell(f"Bead {number} rejected: {reason}.")
    tell_views(found.left_out, found.doubts)
    _, apart_px = found.rigid()
    if apart_px:
        tell(f"The alignment has no distortion; without it, it sees beads {apart_px:.2f} px (rms) away from here.")


def tell_views(left_out: Mapping[int, str], doubts: Mapping[int, str]) -> None:
    """Say which views are left out or doubtful, and why."""
    for section, reason in sorted(left_out.items()):
        tell(f"Left out: section {section}, {reason}.")
    for section, reason in sorted(doubts.items()):
        tell(f"Doubtful: section {section}, {reason}.")


def tell_written(written: Sequence[Path]) -> None:
    """Say which files were written."""
    if written:
        tell(f"Wrote {', '.join(str(path) for path in written)}.")


def bundle_as_json(found: "BundleAdjustment", why: "ChosenFreedom | None", written: Sequence[Path]) -> dict[str, Any]:
    """Return all that was found, in plain values; what is not known is None."""

    def listed(values: Any, digits: int) -> list[Any]:
        """Return plain numbers; what is not known is null."""
        return [
            listed(value, digits) if np.ndim(value) else round(float(value), digits) if np.isfinite(value) else None
            for value in values
        ]

    degrees, errors = np.rad2deg(found.views), np.rad2deg(found.view_errors)
    beads = [
        {
            "id": int(number),
            "zyx_px": listed(place, 4) if np.isfinite(place[0]) else None,
            "standard_error_zyx_px": listed(error, 4) if np.isfinite(error[0]) else None,
            "residual_px": round(float(residual), 4) if np.isfinite(residual) else None,
            "rejected": reason or None,
        }
        for number, place, error, residual, reason in zip(
            found.bead_numbers,
            found.beads_zyx_px,
            found.bead_errors_px,
            found.bead_residuals_px,
            found.bead_reasons,
            strict=True,
        )
    ]
    return {
        "mean_residual_px": round(found.mean_residual_px, 4),
        "rotation_deg": listed(degrees[:, 4], 4),
        "tilt_deg": listed(degrees[:, 2], 4),
        "shift_yx_px": listed(found.views[:, :2], 4),
        "beads": beads,
        "mean_residual_all_px": round(found.mean_residual_all_px, 4),
        "magnification": listed(np.exp(found.views[:, 5]), 6),
        "x_tilt_deg": listed(degrees[:, 3], 4),
        "stretch": listed(found.views[:, 6], 6),
        "skew": listed(found.views[:, 7], 6),
        "standard_error": {
            "rotation_deg": listed(errors[:, 4], 5),
            "tilt_deg": listed(errors[:, 2], 5),
            "shift_yx_px": listed(found.view_errors[:, :2], 4),
            "magnification": listed(found.view_errors[:, 5], 6),
            "x_tilt_deg": listed(errors[:, 3], 5),
        },
        "degrees_of_freedom": found.degrees_of_freedom,
        "varying": found.freedom.model_dump(),
        "tried": [one.model_dump() for one in why.tried] if why else [],
        "held": list(found.held),
        "left_out": found.left_out,
        "doubts": found.doubts,
        "rejected_observations": [
            {"bead": int(bead), "view": int(view), "reason": reason}
            for bead, view, reason in zip(found.tracks.bead, found.tracks.view, found.observation_reasons, strict=True)
            if reason
        ],
        "written": [str(path) for path in written],
    }
