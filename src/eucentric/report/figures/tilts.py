"""The images themselves, as they were taken."""

from html import escape

import numpy as np

from eucentric.report.inputs import ReportInput
from eucentric.report.style import Plot, data_uri, grey, shrunk
from eucentric.report.words import degrees

THUMBNAIL_PX = 200
"""Enough to see a blocked or empty view at twice the density of a phone's screen."""


def montage(data: ReportInput) -> tuple[Plot, ...]:
    """Show every view in acquisition order, the ones left out marked with their reason."""
    views = data.result.alignment.tilts
    tiles = []
    for tilt in data.series.by_order():
        image = np.asarray(data.images[tilt.section], dtype=np.float32)
        by = max(1, min(image.shape) // THUMBNAIL_PX)
        binned = image[: image.shape[0] // by * by, : image.shape[1] // by * by]
        with np.errstate(invalid="ignore", over="ignore"):  # views are shown as recorded: some hold infinities
            binned = binned.reshape(image.shape[0] // by, by, image.shape[1] // by, by).mean(axis=(1, 3))
        picture = data_uri(shrunk(grey(binned[::-1]), THUMBNAIL_PX), quality=70)
        view = views[tilt.section]
        why = "" if view.used else f'<span class="why">left out: {escape(view.reason or "no reason given")}</span>'
        label = degrees(tilt.tilt_deg)
        tiles.append(
            f'<figure class="tile{"" if view.used else " out"}">'
            f'<img src="{picture}" alt="View {tilt.order + 1} at {label}" loading="lazy">'
            f'<figcaption><b>{label}</b> <span class="nr">{tilt.order + 1}</span>{why}</figcaption></figure>'
        )
    order = (
        "in the order of acquisition"
        if data.series.order_known
        else "in the order of the sections (that of acquisition was not given)"
    )
    return (
        Plot(
            "montage",
            f'<div class="montage">{"".join(tiles)}</div>',
            f"Every view {order}, each with its own contrast, first row at the bottom. The specimen should stay in "
            "the frame; a dark edge, an empty view or a sudden jump is a grid bar, a lost target or a tracking "
            "failure.",
            wide=True,
        ),
    )
