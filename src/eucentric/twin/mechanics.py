"""A stage and its errors: where the specimen really is when the stage says that it has arrived.

Everything is worked out from the seed and the moves made, so that the same calls give the same places.
"""

import math
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from eucentric.core import Angstrom, Degrees, Record, stream
from eucentric.core.frames import rotation_about_y
from eucentric.design import Stage
from eucentric.microscope import StageLimits, StagePosition
from eucentric.twin.states import MechanicsState

Array = NDArray[np.float64]
Size_A = Annotated[Angstrom, Field(ge=0, le=1e6)]

MOVE_A_PER_S = 1e6
"""Speed of moves along the grid and in height: chosen, 0.1 mm/s; settling takes longer than any usual move."""

_WAVES = 4  # of the wander over 180° of tilt: the shortest takes 45°, so that neighbouring tilts predict each other


class StageErrors(Record):
    """What is wrong with a stage; 0 switches an effect off and leaves the draws of the others as they were.

    Parameters
    ----------
    tilt_offset_deg
        True tilt less the tilt read back, the same always.
    tilt_rms_deg
        What is added to the true tilt at each tilting, rms.
    eucentric_z_A
        Height of the specimen above the tilt axis.
    axis_offset_x_A
        How far the optical axis passes from the tilt axis, and with it a specimen centred at 0°.
    wander_A
        Farthest that the stage strays in y and x on its smooth path over tilt, which is 0 at 0° and the same each time.
    cross_axis_A
        How far the specimen has gone along the axis at 90°, in proportion to the sine of the tilt: an axis not quite
        that of y.
    wobble_A
        What is added to the place after each move, rms along each of y and x.
    backlash_A
        How far across the axis a place lies from where it was, when its tilt is reached from above, not from below.
    drift_A_per_s, drift_settle_s
        Speed right after a move, in a new direction each time, and the time in which it falls to 1/e.
    drift_floor_A_per_s
        Speed of a drift that never settles, along one direction; it counts from the last move.
    """

    tilt_offset_deg: Annotated[Degrees, Field(ge=-10, le=10)] = 0.0
    tilt_rms_deg: Annotated[Degrees, Field(ge=0, le=5)] = 0.0
    eucentric_z_A: Annotated[Angstrom, Field(ge=-1e6, le=1e6)] = 0.0
    axis_offset_x_A: Annotated[Angstrom, Field(ge=-1e6, le=1e6)] = 0.0
    wander_A: Size_A = 0.0
    cross_axis_A: Annotated[Angstrom, Field(ge=-1e6, le=1e6)] = 0.0
    wobble_A: Size_A = 0.0
    backlash_A: Annotated[Angstrom, Field(ge=-1e6, le=1e6)] = 0.0
    drift_A_per_s: Annotated[float, Field(ge=0, le=1e5)] = 0.0
    drift_settle_s: Annotated[float, Field(gt=0, le=1e5)] = 3.0
    drift_floor_A_per_s: Annotated[float, Field(ge=0, le=1e5)] = 0.0


PERFECT = StageErrors()
"""A stage that goes where it says."""

REALISTIC = StageErrors(
    tilt_offset_deg=0.1,
    tilt_rms_deg=0.02,
    eucentric_z_A=3000.0,
    axis_offset_x_A=1000.0,
    wander_A=500.0,
    cross_axis_A=500.0,
    wobble_A=100.0,
    backlash_A=300.0,
    drift_A_per_s=10.0,
    drift_settle_s=3.0,
    drift_floor_A_per_s=0.3,
)
"""A good stage after the usual care, in round numbers that are chosen.

Height and axis are what a eucentricity routine leaves; both together move a target by a few thousand Å, which must be
followed. What geometry cannot predict, wobble and backlash, is of the order of the 150 Å to which Zheng et al. 2004 (J.
Struct. Biol. 147, 91) predicted positions on real stages. The drift has fallen to 0.7 Å/s ten seconds after a move,
less than 1 Å in an exposure of a second.
"""


UNTUNED = StageErrors(
    tilt_offset_deg=0.1,
    tilt_rms_deg=0.02,
    eucentric_z_A=20_000.0,
    axis_offset_x_A=10_000.0,
    wobble_A=1000.0,
    backlash_A=3000.0,
    drift_A_per_s=10.0,
    drift_settle_s=3.0,
)
"""A stage as it is found, before any care: what an acquisition must cope with, in round numbers that are chosen.

Specimen 2 µm off the axis in height, optical axis 1 µm off it, 100 nm of wobble and 300 nm of backlash, drift of 1 nm/s
that settles.
"""


class Mechanics:
    """A stage that tilts and moves, and the true place of the specimen on it.

    Parameters
    ----------
    errors
        What is wrong with it.
    seed
        Seed of its random numbers; each effect and each move has its own stream.
    stage
        Its speed, settling and limits of tilt.
    limits
        Its limits, if others than those of `stage` and `StageLimits`.
    """

    def __init__(
        self,
        errors: StageErrors = PERFECT,
        seed: int = 0,
        *,
        stage: Stage | None = None,
        limits: StageLimits | None = None,
    ) -> None:
        self.errors = errors
        self.timing = stage or Stage()
        self.limits = limits or StageLimits(tilt_deg=(self.timing.min_deg, self.timing.max_deg))
        self._seed = seed
        self._position = StagePosition()
        self._direction = 0  # of the last change of tilt: +1 upward, -1 downward, 0 before the first
        self._tiltings = 0
        self._moves = 0
        self._stopped_s = -math.inf  # it has stood still for ever
        self._path = _Wander(seed)

    @property
    def position(self) -> StagePosition:
        """Where the stage says it is."""
        return self._position

    def state(self) -> MechanicsState:
        """Return what it remembers."""
        return MechanicsState(
            position=self._position,
            direction=self._direction,
            tiltings=self._tiltings,
            moves=self._moves,
            stopped_s=self._stopped_s if math.isfinite(self._stopped_s) else None,
        )

    def restore(self, state: MechanicsState) -> None:
        """Be as it was."""
        self._position, self._direction = state.position, state.direction
        self._tiltings, self._moves = state.tiltings, state.moves
        self._stopped_s = -math.inf if state.stopped_s is None else state.stopped_s

    @property
    def moves(self) -> int:
        """How many moves it has made."""
        return self._moves

    @property
    def true_tilt_deg(self) -> float:
        """The tilt of the specimen's holder as it is."""
        drawn = self._draws("tilt", self._tiltings, 1)[0]
        return self._position.tilt_deg + self.errors.tilt_offset_deg + self.errors.tilt_rms_deg * float(drawn)

    def tilt_seconds(self, tilt_deg: float) -> float:
        """Return how long a move to this tilt takes: its length over the speed, the cost of turning back, settling."""
        change = tilt_deg - self._position.tilt_deg
        if change == 0:
            return 0.0
        turns = change * self._direction < 0
        return abs(change) / self.timing.speed_deg_per_s + turns * self.timing.reversal_s + self.timing.settle_s

    def tilt_to(self, tilt_deg: float, at_s: float) -> float:
        """Tilt, starting at the time `at_s`, and return how long it takes; where it is already, nothing happens.

        Raises
        ------
        MoveRefusedError
            If the tilt is beyond the limits; nothing moved.
        """
        self.limits.check(tilt_deg=tilt_deg)
        seconds = self.tilt_seconds(tilt_deg)
        if tilt_deg != self._position.tilt_deg:
            self._direction = 1 if tilt_deg > self._position.tilt_deg else -1
            self._tiltings += 1
            self._arrive(self._position.replace(tilt_deg=tilt_deg), at_s + seconds)
        return seconds

    def move_to(
        self, at_s: float, *, y_A: float | None = None, x_A: float | None = None, z_A: float | None = None
    ) -> float:
        """Move the axes that are given, starting at the time `at_s`, and return how long it takes.

        Raises
        ------
        MoveRefusedError
            If any axis is beyond its limits; nothing moved.
        """
        self.limits.check(y_A=y_A, x_A=x_A, z_A=z_A)
        here = self._position
        changes = {name: to for name, to in (("y_A", y_A), ("x_A", x_A), ("z_A", z_A)) if to is not None}
        farthest_A = max((abs(to - getattr(here, name)) for name, to in changes.items()), default=0.0)
        if farthest_A == 0:
            return 0.0
        seconds = farthest_A / MOVE_A_PER_S + self.timing.settle_s
        self._arrive(here.replace(**changes), at_s + seconds)
        return seconds

    def offset_zyx_A(self, at_s: float, place_zyx_A: Array | None = None) -> Array:
        """Return where a place of the specimen is at a time, (3,), from optical axis and the tilt axis's plane.

        In the microscope's frame: y along the tilt axis, z along the beam. The place is the specimen's origin where
        none is given. The z is a change of focus, its sign the defocus hand's.
        """
        on_holder = self._on_holder_zyx_A()
        if place_zyx_A is not None:
            on_holder = on_holder + place_zyx_A
        offset: Array = rotation_about_y(self.true_tilt_deg) @ on_holder
        offset[2] -= self.errors.axis_offset_x_A  # from the tilt axis to the optical axis
        offset[1:] += self._strayed_yx_A() + self._drifted_yx_A(np.array([at_s]))[0]
        return offset

    def drift_yx_A(self, times_s: ArrayLike) -> Array:
        """Return how far the specimen has drifted at the times (n,) since the first of them, (n, 2)."""
        drifted = self._drifted_yx_A(np.asarray(times_s, dtype=float))
        return drifted - drifted[:1]

    def _arrive(self, position: StagePosition, settled_s: float) -> None:
        self._position = position
        self._moves += 1
        self._stopped_s = settled_s - self.timing.settle_s  # it drifts while it settles

    def _on_holder_zyx_A(self) -> Array:
        """Return the specimen's origin from the tilt axis, on the holder, which turns."""
        here, errors = self._position, self.errors
        return np.array([errors.eucentric_z_A + here.z_A, -here.y_A, errors.axis_offset_x_A - here.x_A])

    def _strayed_yx_A(self) -> Array:
        errors, tilt_deg = self.errors, self._position.tilt_deg
        strayed: Array = errors.wander_A * self._path(tilt_deg)
        strayed += errors.wobble_A * self._draws("wobble", self._moves, 2)
        strayed[0] += errors.cross_axis_A * math.sin(math.radians(tilt_deg))
        strayed[1] -= 0.5 * errors.backlash_A * self._direction
        return strayed

    def _drifted_yx_A(self, times_s: Array) -> Array:
        if self._moves == 0:
            return np.zeros((len(times_s), 2))
        errors = self.errors
        since_s = np.maximum(times_s - self._stopped_s, 0.0)[:, None]
        settling = errors.drift_A_per_s * errors.drift_settle_s * -np.expm1(-since_s / errors.drift_settle_s)
        drifted: Array = settling * _unit(self._draws("drift", self._moves, 2))
        return drifted + errors.drift_floor_A_per_s * since_s * _unit(self._draws("floor", 0, 2))

    def _draws(self, effect: str, number: int, count: int) -> Array:
        return stream(self._seed, "stage", effect, number).standard_normal(count)


class _Wander:
    """The path of a stage over tilt: a smooth random curve, 0 at 0° and 1 at its farthest within ±90°."""

    def __init__(self, seed: int) -> None:
        drawn = stream(seed, "stage", "wander").standard_normal((2, 2, _WAVES))
        self._waves = drawn / np.arange(1, _WAVES + 1)  # the slower, the farther
        tilts = np.arange(-90.0, 91.0)
        self._farthest = max(float(np.linalg.norm(self._curve(tilt))) for tilt in tilts)

    def __call__(self, tilt_deg: float) -> Array:
        return self._curve(tilt_deg) / self._farthest

    def _curve(self, tilt_deg: float) -> Array:
        phase = 2 * math.radians(tilt_deg) * np.arange(1, _WAVES + 1)
        curve: Array = self._waves[0] @ np.sin(phase) + self._waves[1] @ (np.cos(phase) - 1)
        return curve


def _unit(vector: Array) -> Array:
    unit: Array = vector / np.linalg.norm(vector)
    return unit
