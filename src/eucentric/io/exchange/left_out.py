"""Views that a program's alignment leaves out, back in their places: ours has a view for every section."""

from collections.abc import Mapping

import numpy as np

from eucentric.core import Alignment, TiltAlignment, TiltSeries


def with_views_left_out(series: TiltSeries, views: Mapping[int, TiltAlignment], reason: str) -> Alignment:
    """Return the alignment of a series from the views in use, by section; the others are not used, for `reason`.

    Where those see the specimen is not known: they have the stage's tilt and the median axis. There must be one view.
    """
    axis = float(np.median([view.axis_deg for view in views.values()]))
    return Alignment(
        pixel_A=series.pixel_A,
        shape_yx=series.shape_yx,
        tilts=tuple(
            views.get(tilt.section)
            or TiltAlignment(section=tilt.section, tilt_deg=tilt.tilt_deg, axis_deg=axis, used=False, reason=reason)
            for tilt in series.tilts
        ),
    )
