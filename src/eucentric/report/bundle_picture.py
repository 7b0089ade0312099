"""The picture of a bundle adjustment: residuals where they lie in the image, and how they go over the views."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from eucentric.processing.alignment.beads import BundleAdjustment
from eucentric.report.designs import write_figure
from eucentric.report.designs.palette import COLOURS, INK, MUTED, standing_alone

_SIZE_IN = (10.0, 4.6)
_LONGEST = 0.05  # of the image's side, how long the 95 % residual is drawn
_TILT = 2


def write_bundle_picture(path: Path, found: BundleAdjustment, title: str = "") -> None:
    """Write the picture as a file, whole or not at all.

    On the left, each residual used at the place where the bead was seen, enlarged, in the colour of its tilt; on the
    right, the residuals of each view over its tilt, with their mean, and those not used.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with standing_alone():
        figure = _drawn(found, title)
    write_figure(path, figure)


def _drawn(found: BundleAdjustment, title: str) -> Figure:
    figure = Figure(figsize=_SIZE_IN, layout="constrained")
    field, over_tilt = figure.subplots(1, 2, width_ratios=(1.0, 1.25))
    used = found.used
    known = np.isfinite(found.residuals_yx_px[:, 0])
    lengths = np.hypot(*found.residuals_yx_px.T)
    tilts_deg = np.rad2deg(found.views[:, _TILT])
    rows, columns = found.shape_yx
    enlarged = _LONGEST * max(rows, columns) / max(float(np.percentile(lengths[used], 95)), 1e-6)
    y, x = found.tracks.yx_px[used].T
    dy, dx = found.residuals_yx_px[used].T * enlarged
    arrows = field.quiver(
        x,
        y,
        dx,
        dy,
        tilts_deg[found.tracks.view[used]],
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.0022,
        cmap="viridis",
    )
    figure.colorbar(arrows, ax=field, label="tilt (°)", fraction=0.04)
    field.set_xlim(0, columns)
    field.set_ylim(0, rows)
    field.set_aspect("equal")
    field.set_xlabel("x (px)")
    field.set_ylabel("y (px)")
    field.set_title(f"residuals, {enlarged:.0f} times enlarged", fontsize=9, color=MUTED)

    at = tilts_deg[found.tracks.view]
    over_tilt.plot(at[used], lengths[used], ".", color=COLOURS[0], ms=2.5, alpha=0.45, label="used")
    out = known & ~used
    if out.any():
        top = 1.15 * float(lengths[used].max())
        over_tilt.plot(at[out], np.minimum(lengths[out], top), "x", color=COLOURS[1], ms=4, label="not used")
    views = np.unique(found.tracks.view[used])
    means = np.array([lengths[used & (found.tracks.view == view)].mean() for view in views])
    order = np.argsort(tilts_deg[views])
    over_tilt.plot(tilts_deg[views][order], means[order], color=INK, lw=1.1, label="mean of the view")
    over_tilt.set_xlabel("tilt (°)")
    over_tilt.set_ylabel("residual (px)")
    over_tilt.set_ylim(bottom=0)
    over_tilt.legend(ncols=3, loc="upper right")
    words = f"mean residual {found.mean_residual_px:.3f} px of {used.sum()} of {len(used)} observations"
    figure.suptitle("\n".join(line for line in (title, words) if line), fontsize=9.5)
    return figure
