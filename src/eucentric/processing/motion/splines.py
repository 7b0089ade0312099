"""Quadratic B-splines over the field: few numbers for a displacement that is smooth in space."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def spline_weights(places_yx_A: Array, shape_yx: tuple[int, int], field_yx_A: tuple[float, float]) -> Array:
    """Return the weight of each control point at each place.

    Parameters
    ----------
    places_yx_A
        (n, 2), from the centre of the field. Those outside have the weights of the nearest border.
    shape_yx
        Control points along each axis, 3 or more; the spline's own knots lie evenly over the field.
    field_yx_A
        Size of the field.

    Returns
    -------
    (n, rows * columns); each row sums to 1.
    """
    y, x = (_along(places_yx_A[:, axis] / field_yx_A[axis] + 0.5, shape_yx[axis]) for axis in (0, 1))
    weights: Array = (y[:, :, None] * x[:, None, :]).reshape(len(places_yx_A), -1)
    return weights


def control_places_yx_A(shape_yx: tuple[int, int], field_yx_A: tuple[float, float]) -> Array:
    """Return where each control point lies, (rows * columns, 2): those at the border lie half a knot outside."""
    sides = [((np.arange(n) - 0.5) / (n - 2) - 0.5) * field for n, field in zip(shape_yx, field_yx_A, strict=True)]
    return np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2)


def _along(share: Array, n: int) -> Array:
    """Return the weights (places, n) of a uniform quadratic B-spline over the shares 0 to 1 of an axis."""
    at = np.clip(share, 0.0, 1.0) * (n - 2)
    span = np.minimum(at.astype(int), n - 3)
    t = at - span
    weights = np.zeros((len(share), n))
    rows = np.arange(len(share))
    weights[rows, span] = 0.5 * np.square(1 - t)
    weights[rows, span + 1] = 0.5 + t * (1 - t)
    weights[rows, span + 2] = 0.5 * np.square(t)
    return weights
