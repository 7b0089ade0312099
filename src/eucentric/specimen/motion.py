"""Movement that the beam itself causes: a burst at each exposure, smooth local fields, a slab that domes."""

import math
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from eucentric.core import Angstrom, ElectronsPerA2, InputError, Record, stream

Array = NDArray[np.float64]
Exposed = Annotated[ElectronsPerA2, Field(gt=0)]

_WAVES = 12  # of each component: enough that no single one is seen, few enough to be cheap
_PACES = np.array([0.7, 1.0, 1.4])  # of settling, among the waves in turn, so that points move along bent paths
_GRID = 33  # points a side of the grid on which a field is brought to its rms
_KEPT_BYTES = 100_000_000  # of waves at places that were asked for before


class BeamMotion(Record):
    """How much the beam moves the specimen; 0 Å switches a movement off and leaves the draws of the others.

    Parameters
    ----------
    burst_A
        How far the whole specimen goes at the beginning of each exposure, rms over the exposures.
    burst_e_A2
        Exposure within which the burst has come to all but 1/e of its way.
    local_A
        Displacement along each axis that is left, after a long exposure, of the movement of places against each
        other, rms over the field.
    local_length_A
        Distance at which two places move alike to a correlation of exp(-1/2), 0.61, before the field's mean is taken
        out; a length beyond the field is taken as the field's.
    settle_e_A2
        Exposure within which the local movement and the dome have come to all but 1/e of their way.
    doming_A
        Height of the dome along the slab's normal after a long exposure; negative where it sinks.
    dome_radius_A, dome_centre_yx_A
        Radius of the dome, that of the hole; and its centre, from that of the field.
    """

    burst_A: Annotated[Angstrom, Field(ge=0, le=1e4)] = 0.0
    burst_e_A2: Exposed = 1.0
    local_A: Annotated[Angstrom, Field(ge=0, le=1e4)] = 0.0
    local_length_A: Annotated[Angstrom, Field(ge=10, le=1e7)] = 4000.0
    settle_e_A2: Exposed = 20.0
    doming_A: Annotated[Angstrom, Field(ge=-1e5, le=1e5)] = 0.0
    dome_radius_A: Annotated[Angstrom, Field(ge=10, le=1e7)] = 10_000.0
    dome_centre_yx_A: tuple[Angstrom, Angstrom] = (0.0, 0.0)


STILL = BeamMotion()
"""A specimen that the beam does not move."""

TYPICAL = BeamMotion(burst_A=3.0, local_A=15.0, doming_A=40.0)
"""Orders of magnitude of plunge-frozen ice over holes of 2 µm, in round numbers that are chosen.

A few Å within an exposure of 3 e/Å², most of it early; places that move alike within 0.3 to 0.5 µm, the film as a
drum (Brilot et al. 2012, 10.1016/j.jsb.2012.02.003); up to ±80 Å of local motion over a series, left after the
images were aligned (Zheng et al. 2022, 10.1016/j.yjsbx.2022.100068), hence 15 Å rms; a dome of some tens of Å.
"""


class MotionField:
    """The movement of one specimen.

    Parameters
    ----------
    settings
        How much of what.
    seed
        Seed of its random numbers; each movement, and each exposure's burst, has its own stream.
    field_A
        Side of the field over which the local movement has its rms, and no mean: what moves as a whole is the
        burst's and the stage's.

    Raises
    ------
    InputError
        If the field has no size.
    """

    def __init__(self, settings: BeamMotion, seed: int, field_A: float) -> None:
        if not (math.isfinite(field_A) and field_A > 0):
            raise InputError(f"A field of {field_A} Å cannot move.", "Give the side of the field that is recorded.")
        self.settings = settings
        self._seed = seed
        self._local = _Waves(seed, min(settings.local_length_A, field_A), field_A)

    def displacement_zyx_A(self, yx_A: ArrayLike, exposure_e_A2: float) -> Array:
        """Return how far points of the slab have moved by the time they have received an exposure.

        Parameters
        ----------
        yx_A
            Places in the slab's plane from the field's centre, (n, 2).
        exposure_e_A2
            All that they have received, over all images. At 0 nothing has moved; the field grows without jumps.

        Returns
        -------
        (n, 3) displacements zyx in the slab's own frame, z along its normal: a pre-tilted slab is turned by the caller.

        Raises
        ------
        InputError
            If the exposure is negative or not finite.
        """
        exposure = _checked(exposure_e_A2)
        places = np.asarray(yx_A, dtype=float).reshape(-1, 2)
        moved = np.zeros((len(places), 3))
        if self.settings.local_A > 0:
            moved += self.settings.local_A * self._local(places, exposure / self.settings.settle_e_A2)
        if self.settings.doming_A != 0:
            moved[:, 0] += self._dome_A(places) * _come(exposure / self.settings.settle_e_A2)
        return moved

    def burst_yx_A(self, order: int, exposure_e_A2: float) -> Array:
        """Return how far the whole specimen has gone since exposure number `order` began, (2,), in the slab's plane.

        `exposure_e_A2` is what this exposure has delivered so far. Each begins anew, in a direction and length of its
        own.

        Raises
        ------
        InputError
            If the exposure is negative or not finite.
        """
        come = _come(_checked(exposure_e_A2) / self.settings.burst_e_A2)
        drawn = stream(self._seed, "motion", "burst", order).standard_normal(2)
        whole: Array = self.settings.burst_A / math.sqrt(2) * drawn  # rms burst_A in length
        return whole * come

    def _dome_A(self, places: Array) -> Array:
        """Return the dome's final height: that of a clamped plate under an even load.

        ``w0 (1 - r²/R²)²``: Timoshenko & Woinowsky-Krieger, Theory of Plates and Shells, 1959, section 16.
        """
        from_centre = places - np.array(self.settings.dome_centre_yx_A)
        outward2 = np.sum(np.square(from_centre), axis=1) / self.settings.dome_radius_A**2
        height: Array = self.settings.doming_A * np.square(np.maximum(1 - outward2, 0.0))
        return height


class _Waves:
    """A smooth random field of three components, each of rms 1 and mean 0 over a square once it has settled.

    Each is a sum of plane waves with random phases; wave vectors of a normal distribution of width 1/length give the
    correlation exp(-r²/2 length²).
    """

    def __init__(self, seed: int, length_A: float, field_A: float) -> None:
        drawn = stream(seed, "motion", "local")
        self._vectors = drawn.standard_normal((3, _WAVES, 2)) / length_A
        self._phases = drawn.uniform(0, 2 * math.pi, (3, _WAVES))
        self._mean = np.zeros((3, _WAVES))
        self._scale = np.ones(3)
        self._kept: dict[bytes, Array] = {}
        self._kept_bytes = 0
        side = np.linspace(-0.5, 0.5, _GRID) * field_A
        grid = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)
        values = self._values(grid)
        self._mean = values.mean(axis=0)
        self._scale = 1 / np.sqrt(np.mean(np.square((values - self._mean).sum(axis=2)), axis=0))

    def __call__(self, places: Array, settled: float) -> Array:
        """Return the field (n, 3) at places (n, 2), `settled` being the exposure in units of that of settling."""
        come = _come(settled / _PACES)[np.arange(_WAVES) % len(_PACES)]
        field: Array = self._fluctuations(places) @ come * self._scale
        return field

    def _fluctuations(self, places: Array) -> Array:
        """Return `_values` less their mean; those of the latest places are kept, for exposures ask for the same."""
        key = places.tobytes()
        known = self._kept.pop(key, None)
        if known is None:
            known = self._values(places) - self._mean
            while self._kept_bytes + known.nbytes > _KEPT_BYTES and self._kept:
                self._kept_bytes -= self._kept.pop(next(iter(self._kept))).nbytes
            self._kept_bytes += known.nbytes
        self._kept[key] = known  # last, as the latest used
        return known

    def _values(self, places: Array) -> Array:
        """Return each wave of each component at each place, (n, 3, waves)."""
        waves: Array = np.cos(np.einsum("cwd,nd->ncw", self._vectors, places) + self._phases)
        return waves


def _come(exposure: ArrayLike) -> Array:
    """Return the share of its way that a movement has come: fast at first, then settling."""
    come: Array = -np.expm1(-np.asarray(exposure, dtype=float))
    return come


def _checked(exposure_e_A2: float) -> float:
    if not (math.isfinite(exposure_e_A2) and exposure_e_A2 >= 0):
        raise InputError(f"An exposure of {exposure_e_A2} e/Å² moves nothing.", "Give one of 0 or more.")
    return exposure_e_A2
