"""How the specimen lies, from beads on its two faces."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_STEEPEST_DEG, _STEP_DEG = 6.0, 0.5  # of the slopes, along and across, that fits begin from
_FEWEST = 3  # beads of each face
_ROUNDS = 6
_FLAT = 0.03  # of the distance between the faces: no farther from them do beads lie, rms
_SURE_DEG = 0.3  # standard error of the slope, at most


def slope_of_faces_deg(places_zyx: Array) -> float | None:
    """Return by how much the faces that beads lie on rise along x, or None where they do not lie on two flat faces.

    Parameters
    ----------
    places_zyx
        Of the beads, (n, 3), in any unit.

    Returns
    -------
    float or None
        Tilts that are less by so much have the faces level along x. Gold is put on a specimen before it freezes, so
        that it lies on one face or the other; inside, or on faces that are not flat, it says nothing of how that lies.
    """
    z, y, x = np.asarray(places_zyx, dtype=float).T
    if len(z) < 2 * _FEWEST:
        return None
    steps = np.tan(np.deg2rad(np.arange(-_STEEPEST_DEG, _STEEPEST_DEG + _STEP_DEG / 2, _STEP_DEG)))
    best: tuple[float, Array, Array] | None = None
    for along in steps:
        for across in steps:
            upper = _upper(z - along * y - across * x)
            for _ in range(_ROUNDS):
                columns = np.stack([x, y, upper, ~upper], axis=1).astype(float)
                found = np.linalg.lstsq(columns, z, rcond=None)[0]
                now = _upper(z - found[0] * x - found[1] * y)
                if (now == upper).all():
                    break
                upper = now
            left = float(np.square(z - columns @ found).sum())
            if best is None or left < best[0]:
                best = left, found, columns
    if best is None:
        return None
    left, found, columns = best
    faces = columns[:, 2:].sum(axis=0)
    variance = left / max(len(z) - 4, 1)
    error_deg = np.rad2deg(np.sqrt(variance * np.linalg.pinv(columns.T @ columns)[0, 0]))
    flat = np.sqrt(left / len(z)) <= _FLAT * abs(found[2] - found[3])
    return (
        float(np.rad2deg(np.arctan(found[0]))) if flat and faces.min() >= _FEWEST and error_deg <= _SURE_DEG else None
    )


def _upper(heights: Array) -> NDArray[np.bool_]:
    """Return which of heights belong to the upper of two groups: those that scatter least about their means."""
    order = np.sort(heights)
    n = np.arange(1, len(order))
    below = np.cumsum(order)[:-1]
    between = np.square(below) / n + np.square(order.sum() - below) / (len(order) - n)
    at = int(between.argmax())
    return np.asarray(heights > 0.5 * (order[at] + order[at + 1]))
