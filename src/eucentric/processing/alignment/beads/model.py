"""How a bead is seen: the map from the specimen to an image with its derivatives, and what of it may vary.

The map is that of `TiltAlignment`, in pixels, of a specimen that may besides stretch and skew in its plane as the
series goes on, as IMOD's may: a bead at (z, y, x) lies at (z, y + skew x, (1 + stretch) x); that is turned by the
x-tilt about x, by the tilt about y, and in the image by the axis, scaled by the magnification, and moved by the shift.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.linalg import null_space

from eucentric.core import Record

Array = NDArray[np.float64]

Y, X, TILT, X_TILT, AXIS, LOG_MAG, STRETCH, SKEW = range(8)
"""Columns of the parameters of views: shift (px), angles (rad), log of the magnification, and two plain numbers."""

PARAMETERS = 8


class Freedom(Record):
    """What may vary from view to view, besides the shifts, which always do.

    `fixed`: as given. `one`: the same change for all views. `grouped`: piecewise linear over the views in order of
    tilt, with a knot every `group_views` views. `free`: each view for itself. Stretch and skew are the
    specimen's shrinking as its shape changes under the beam, which IMOD's solutions have too; an `Alignment` has not.
    """

    tilt: Literal["fixed", "grouped", "free"] = "fixed"
    axis: Literal["fixed", "one", "grouped", "free"] = "one"
    magnification: Literal["fixed", "grouped", "free"] = "fixed"
    x_tilt: Literal["fixed", "one", "grouped", "free"] = "fixed"
    stretch: Literal["fixed", "grouped"] = "fixed"
    skew: Literal["fixed", "grouped"] = "fixed"
    group_views: Annotated[int, Field(ge=2, le=100)] = 5

    def levels(self) -> dict[int, str]:
        """Return the level of each parameter, by its column."""
        return {
            TILT: self.tilt,
            X_TILT: self.x_tilt,
            AXIS: self.axis,
            LOG_MAG: self.magnification,
            STRETCH: self.stretch,
            SKEW: self.skew,
        }

    def describe(self) -> str:
        """Say it in one line."""
        named = [("tilt", self.tilt), ("rotation", self.axis), ("magnification", self.magnification)]
        named += [("x-tilt", self.x_tilt)]
        named += [(name, level) for name, level in (("stretch", self.stretch), ("skew", self.skew)) if level != "fixed"]
        return ", ".join(f"{name} {level}" for name, level in named)


def see(views: Array, zyx_px: Array) -> Array:
    """Return where beads are seen, (m, 2) yx from the images' centre: bead i at `zyx_px[i]` in the view `views[i]`."""
    y, x, _ = _turned(views, *_distorted(views, zyx_px))
    return _in_image(views, y, x) + views[:, [Y, X]]


def differentiate(views: Array, zyx_px: Array) -> tuple[Array, Array, Array]:
    """Return what `see` does, and its derivatives by the parameters (m, 2, 8) and by the positions (m, 2, 3)."""
    z0, y0, x0 = _distorted(views, zyx_px)
    y, x, z = _turned(views, z0, y0, x0)
    seen = _in_image(views, y, x)
    sin_t, cos_t = np.sin(views[:, TILT]), np.cos(views[:, TILT])
    sin_a, cos_a = np.sin(views[:, X_TILT]), np.cos(views[:, X_TILT])
    zero = np.zeros_like(y)
    by_z = _in_image(views, -sin_a, cos_a * sin_t)
    by_y = _in_image(views, cos_a, sin_a * sin_t)
    by_x = _in_image(views, zero, cos_t)
    by_view = np.zeros((len(views), 2, PARAMETERS))
    by_view[:, 0, Y] = by_view[:, 1, X] = 1.0
    by_view[:, :, TILT] = _in_image(views, zero, z * cos_t - x0 * sin_t)
    by_view[:, :, X_TILT] = _in_image(views, -z, y * sin_t)
    by_view[:, 0, AXIS], by_view[:, 1, AXIS] = seen[:, 1], -seen[:, 0]
    by_view[:, :, LOG_MAG] = seen
    by_view[:, :, STRETCH] = zyx_px[:, 2, None] * by_x
    by_view[:, :, SKEW] = zyx_px[:, 2, None] * by_y
    stretched, skew = 1 + views[:, STRETCH, None], views[:, SKEW, None]
    by_bead = np.stack((by_z, by_y, stretched * by_x + skew * by_y), axis=2)
    return seen + views[:, [Y, X]], by_view, by_bead


def _distorted(views: Array, zyx_px: Array) -> tuple[Array, Array, Array]:
    """Return z, y and x of beads in the specimen as it is when the view is taken."""
    z, y, x = zyx_px.T
    return z, y + views[:, SKEW] * x, (1 + views[:, STRETCH]) * x


def _turned(views: Array, z0: Array, y0: Array, x0: Array) -> tuple[Array, Array, Array]:
    """Return y and x of beads before the turn in the image, and z between the two tilts."""
    sin_a, cos_a = np.sin(views[:, X_TILT]), np.cos(views[:, X_TILT])
    y, z = y0 * cos_a - z0 * sin_a, y0 * sin_a + z0 * cos_a
    return y, x0 * np.cos(views[:, TILT]) + z * np.sin(views[:, TILT]), z


def _in_image(views: Array, y: Array, x: Array) -> Array:
    sin, cos = np.sin(views[:, AXIS]), np.cos(views[:, AXIS])
    return np.exp(views[:, LOG_MAG])[:, None] * np.stack((y * cos + x * sin, x * cos - y * sin), axis=1)


def basis(freedom: Freedom, views: Array, order: NDArray[np.int64], loose: Sequence[int] = ()) -> Array:
    """Return the moves of the parameters of n views that `freedom` allows and that data can tell, (8 n, q).

    Each column is one move, parameters of a view side by side. `order` are the views in order of tilt, `loose` those
    whose tilt varies freely whatever the others' does. What no image can tell is not among the moves, so that it stays
    as given: the origin; with tilts, x-tilts, magnifications, stretch or skew that vary, their mean; and where several
    vary together, a turn of the specimen about z, its scale along z and its shears, which they could take up.
    """
    n = len(views)
    moves = np.zeros((n, PARAMETERS, 0))
    for column, level in {Y: "free", X: "free", **freedom.levels()}.items():
        shapes = _shapes(level, n, freedom.group_views, order)
        if column == TILT and level != "free":
            shapes = np.concatenate((shapes, np.eye(n)[:, list(loose)]), axis=1)
        part = np.zeros((n, PARAMETERS, shapes.shape[1]))
        part[:, column] = shapes
        moves = np.concatenate((moves, part), axis=2)
    flat = moves.reshape(n * PARAMETERS, -1)
    hidden = np.stack([one.reshape(-1) for one in _not_told(freedom, views)], axis=1)
    return np.asarray(flat @ null_space(hidden.T @ flat, rcond=1e-9))


def held(freedom: Freedom) -> tuple[str, ...]:
    """Say what data cannot tell and is therefore held as given."""
    said = ["the origin of the specimen: the least tilted view sees it in the middle, at the beads' mean height"]
    if freedom.tilt != "fixed":
        said.append("the mean tilt angle: an offset of all is a turn of the specimen")
    if freedom.x_tilt != "fixed":
        said.append("the mean x-tilt: the same one in all views is a turn of the specimen")
    if freedom.magnification != "fixed":
        said.append("the mean magnification: it is the specimen's scale")
    if _turns_about_z(freedom):
        said.append("the part of the x-tilts that goes as the sine of the tilt: a turn of the specimen about z")
    if freedom.stretch != "fixed":
        said.append("the parts of the stretch and the tilts that are a scale or a shear of the specimen")
    if freedom.skew != "fixed":
        said.append("the mean skew: it is a shear of the specimen")
    said.append("the sign of all tilt angles together: with it only the specimen's hand changes")
    return tuple(said)


def _turns_about_z(freedom: Freedom) -> bool:
    varying = ("grouped", "free")
    return freedom.x_tilt in varying and freedom.axis in varying


def _not_told(freedom: Freedom, views: Array) -> list[Array]:
    """Return, each (n, 8), the moves that leave every image as it is, as far as one parameter shows them."""
    n = len(views)
    unit = np.zeros((n, 3, 3)) + np.eye(3)
    still = views.copy()
    still[:, [Y, X]] = 0
    told: list[Array] = []
    for axis in range(3):
        move = np.zeros((n, PARAMETERS))
        move[:, [Y, X]] = see(still, unit[:, axis])
        told.append(move)
    tilt = views[:, TILT]
    shapes: list[tuple[int, Array]] = []
    levels = freedom.levels()
    shapes += [(c, np.ones(n)) for c in (TILT, X_TILT, LOG_MAG, STRETCH, SKEW) if levels[c] != "fixed"]
    if _turns_about_z(freedom):
        shapes.append((X_TILT, np.sin(tilt)))
    if freedom.stretch != "fixed":
        shapes.append((STRETCH, np.tan(tilt)))
        if freedom.tilt != "fixed":
            shapes.append((TILT, np.tan(tilt)))
    for column, shape in shapes:
        move = np.zeros((n, PARAMETERS))
        move[:, column] = shape
        told.append(move)
    return told


def _shapes(level: str, n: int, group_views: int, order: NDArray[np.int64]) -> Array:
    """Return how one parameter may vary over n views, (n, k)."""
    if level == "free":
        return np.eye(n)
    if level == "one":
        return np.ones((n, 1))
    if level == "fixed":
        return np.zeros((n, 0))
    knots = np.linspace(0, n - 1, max(2, round((n - 1) / group_views) + 1))
    place = np.empty(n)
    place[order] = np.arange(n)
    return np.stack([np.interp(place, knots, knot) for knot in np.eye(len(knots))], axis=1)
