"""The tilts of a Warp series, from its columns."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import PurePosixPath

import numpy as np

from eucentric.core import Tilt, TiltSeries


def tilt_series(
    name: str,
    pixel_A: float,
    shape_yx: tuple[int, int],
    stage: Sequence[float],
    doses: Sequence[float],
    axis_deg: float | None,
    movies: Sequence[str],
) -> TiltSeries:
    """Return a series of stage tilts; doses are what came before each image, and tell the order where all differ.

    What an image received itself is the step to the next dose; the last is taken for one like the others.
    """
    order_known = len(set(doses)) == len(doses)
    ranks = np.argsort(np.argsort(doses, kind="stable"), kind="stable")
    in_order = sorted(doses)
    steps = [b - a for a, b in pairwise(in_order)]
    exposures = [*steps, float(np.median(steps))] if order_known and steps else [None] * len(doses)
    names = [PurePosixPath(movie.replace("\\", "/")).name or None for movie in movies] or [None] * len(doses)
    return TiltSeries(
        name=name,
        pixel_A=pixel_A,
        shape_yx=shape_yx,
        tilts=tuple(
            Tilt(
                section=i,
                tilt_deg=tilt,
                order=int(ranks[i]) if order_known else i,
                exposure_e_A2=exposures[ranks[i]],
                pre_exposure_e_A2=doses[i] if order_known else None,
                movie=names[i],
            )
            for i, tilt in enumerate(stage)
        ),
        order_known=order_known,
        tilt_axis_deg=axis_deg,
    )
