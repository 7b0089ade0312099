"""`StageModel`: where each place is seen as the stage tilts, and how high, learned from what is measured on the way.

A stage turns a rigid specimen about an axis. A place at distance n from it and height z is seen at
``n cos a + z sin a`` and lies ``z cos a - n sin a`` up the beam (`design.geometry.parallax_A` tells of the sign). What
is not known is common to all places: how far the specimen lies above the axis, how far the optical axis passes from
it, where a move really ends, how the specimen's plane really rises. A place adds its own height over the plane. All of
it is linear, so one Kalman filter holds it: what one place shows corrects the others as far as their errors are the
same.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Side = Literal["start", "up", "down"]

# Prior standard deviations (Å): generous for a stage after the usual care. The exact values only matter before the
# first few tilts have been seen.
_EUCENTRIC_A = 30_000.0
_AXIS_A = 15_000.0
_CROSS_A = 1500.0
_LENS_ZERO_A = 5000.0
_SIDE_A = 300.0
_PLANE_A = 1000.0
_SLOPE = 0.1  # of the plane, along y and x: 6° of pre-tilt
_DRIFT_A = 15.0  # between two exposures of one tilt
_GATE = 5.0  # standard deviations beyond which a measurement is not of the model's world

_Z, _AX, _CX, _CY, _K, _H0, _UP_X, _UP_Y, _DOWN_X, _DOWN_Y, _WX, _WY, _SLOPE_Y, _SLOPE_X = range(14)
_SHARED = 14


@dataclass(frozen=True)
class Predicted:
    """Where a place is expected: yx from the optical axis, height up the beam (Å), each with its uncertainty."""

    yx_A: tuple[float, float]
    height_A: float
    sigma_yx_A: tuple[float, float]
    sigma_height_A: float


@dataclass(frozen=True)
class Surprise:
    """How far a measurement was from what was expected (Å), and whether the model believed it."""

    error_A: float
    sigma_A: float
    accepted: bool


class StageModel:
    """What is known of the stage and of each place on it.

    Parameters
    ----------
    places_zyx_A
        Each place by its name, (3,), on the specimen as at 0°, from what lies on the optical axis.
    picked_deg
        Tilt of the stage at which they were picked, and were seen exactly where they are.
    stage_error_A
        By how much a move misses, rms along each axis.
    """

    def __init__(self, places_zyx_A: Mapping[str, Array], *, picked_deg: float, stage_error_A: float) -> None:
        self._places = {name: np.asarray(place, dtype=float) for name, place in places_zyx_A.items()}
        self._index = {name: _SHARED + at for at, name in enumerate(self._places)}
        self._picked = math.radians(picked_deg)
        self._stage_error_A = stage_error_A
        sigmas = np.zeros(_SHARED + len(self._places))
        sigmas[[_Z, _AX, _K, _H0]] = _EUCENTRIC_A, _AXIS_A, _CROSS_A, _LENS_ZERO_A
        sigmas[[_CX, _CY]] = 1.5 * stage_error_A
        sigmas[[_UP_X, _UP_Y, _DOWN_X, _DOWN_Y]] = _SIDE_A
        sigmas[[_SLOPE_Y, _SLOPE_X]] = _SLOPE
        sigmas[_SHARED:] = _PLANE_A
        self._mean = np.zeros(len(sigmas))
        self._cov = np.diag(sigmas**2)
        self._tilt = self._picked
        self._side: Side = "start"

    def at(self, tilt_deg: float, side: Side) -> None:
        """Begin a tilt: the stage has moved, and missed by an amount of its own."""
        self._tilt, self._side = math.radians(tilt_deg), side
        for at in (_WX, _WY):
            self._mean[at] = 0.0
            self._cov[at, :] = self._cov[:, at] = 0.0
            self._cov[at, at] = self._stage_error_A**2

    def lie(self, places_zyx_A: Mapping[str, Array]) -> None:
        """Take up where places lie, now that the specimen's plane is known better."""
        self._places |= {name: np.asarray(place, dtype=float) for name, place in places_zyx_A.items()}

    def doubt(self, error_A: float) -> None:
        """Admit that the stage may have jumped so far at this tilt."""
        for at in (_WX, _WY):
            self._cov[at, at] += error_A**2

    def predict(self, name: str) -> Predicted:
        """Return where a place is expected at this tilt."""
        rows = self._rows(name)
        base = self._base(name)
        seen = base + rows @ self._mean
        sigma = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", rows, self._cov, rows), 0.0))
        return Predicted(
            yx_A=(float(seen[0]), float(seen[1])),
            height_A=float(seen[2]),
            sigma_yx_A=(float(sigma[0]), float(sigma[1])),
            sigma_height_A=float(sigma[2]),
        )

    def saw(self, name: str, yx_A: tuple[float, float], sigma_A: float) -> Surprise:
        """Learn where a place was seen, yx from the optical axis; what is too surprising is not believed."""
        for at in (_WX, _WY):
            self._cov[at, at] += _DRIFT_A**2
        return self._learn(self._rows(name)[:2], np.array(yx_A) - self._base(name)[:2], sigma_A)

    def focused(self, name: str, height_A: float, sigma_A: float) -> Surprise:
        """Learn how high up the beam a place was found, by its defocus."""
        return self._learn(self._rows(name)[2:], np.array([height_A]) - self._base(name)[2:], sigma_A)

    def _learn(self, rows: Array, seen: Array, sigma_A: float) -> Surprise:
        off = seen - rows @ self._mean
        spread = rows @ self._cov @ rows.T + sigma_A**2 * np.eye(len(rows))
        distance = math.sqrt(float(off @ np.linalg.solve(spread, off)))
        accepted = distance <= _GATE
        if accepted:
            gain = np.linalg.solve(spread, rows @ self._cov).T
            self._mean = self._mean + gain @ off
            left = np.eye(len(self._mean)) - gain @ rows
            # Joseph's form keeps the covariance positive, whatever rounding does.
            self._cov = left @ self._cov @ left.T + sigma_A**2 * gain @ gain.T
        return Surprise(float(np.linalg.norm(off)), math.sqrt(float(np.trace(spread)) / len(rows)), accepted)

    def _base(self, name: str) -> Array:
        """Return y, x and height of a place on a stage without errors."""
        z, y, x = self._places[name]
        cosine, sine = math.cos(self._tilt), math.sin(self._tilt)
        return np.array([y, x * cosine + z * sine, z * cosine - x * sine])

    def _rows(self, name: str) -> Array:
        """Return what each unknown adds to y, x and height of a place, (3, unknowns)."""
        cosine, sine = math.cos(self._tilt), math.sin(self._tilt)
        cosine0, sine0 = math.cos(self._picked), math.sin(self._picked)
        rows = np.zeros((3, len(self._mean)))
        rows[0, [_K, _CY, _WY]] = sine - sine0, 1.0, 1.0
        rows[1, [_Z, _AX, _CX, _WX]] = sine - sine0, cosine - cosine0, 1.0, 1.0
        rows[2, [_Z, _AX, _H0]] = cosine, -sine, 1.0
        if self._side != "start":
            up = self._side == "up"
            rows[0, _UP_Y if up else _DOWN_Y] = 1.0
            rows[1, _UP_X if up else _DOWN_X] = 1.0
        # A place that lies higher than the plane was seen at its x all the same: it is nearer to the axis then.
        nearer = sine0 / cosine0
        raised = np.array([0.0, sine - nearer * cosine, cosine + nearer * sine])
        _, y, x = self._places[name]
        rows[:, self._index[name]] = raised
        rows[:, _SLOPE_Y], rows[:, _SLOPE_X] = y * raised, x * raised
        return rows
