"""`LocalMotion`: how the specimen changes its shape in the beam."""

from typing import Annotated, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from eucentric.core.record import Angstrom, ElectronsPerA2, Record

Array = NDArray[np.float64]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class LocalMotion(Record):
    """A smooth displacement of the specimen's places, in three dimensions, that follows the exposure.

    A place (z, y, x) in the sample frame has moved, by the time of view i, by the sum over the powers ``a + b`` from 1
    to `degree` and over the `decays_e_A2` d of ``coefficients[axis][power][decay]`` times ``(y / radius)**a (x /
    radius)**b``, y and x counted from the `centre_yx_A`, times ``exp(-e_i / d)`` less the mean of that over all views,
    e_i the exposure in the middle of the view, and axis z, y or x. It is the same at all heights. What does not depend
    on the exposure is the specimen's shape, and what is the same at all places is in the shifts of the views.

    Attributes
    ----------
    degree
        Of the polynomial over the specimen.
    centre_yx_A, radius_A
        Where its places are counted from, and the length that they are counted in.
    decays_e_A2
        Exposures in which movements come to all but 1/e of their way.
    exposures_e_A2
        What the specimen had received by the middle of each view, by section.
    coefficients_A
        One list of powers (in the order of `powers`), each of decays, for each of z, y and x.
    """

    degree: Annotated[int, Field(ge=1, le=6)]
    centre_yx_A: tuple[Angstrom, Angstrom] = (0.0, 0.0)
    radius_A: Positive
    decays_e_A2: Annotated[tuple[Positive, ...], Field(min_length=1)]
    exposures_e_A2: Annotated[tuple[ElectronsPerA2, ...], Field(min_length=1)]
    coefficients_A: tuple[tuple[tuple[Angstrom, ...], ...], ...]

    @model_validator(mode="after")
    def _coefficients_fit(self) -> Self:
        shape = (3, len(powers(self.degree)), len(self.decays_e_A2))
        if np.shape(self.coefficients_A) != shape:
            raise ValueError(f"coefficients of shape {shape} were expected")
        return self

    def displacement_zyx_A(self, yx_A: ArrayLike, section: int) -> Array:
        """Return how far places of the specimen, (n, 2) yx, have moved by the time of a view: (n, 3) zyx."""
        places = (np.asarray(yx_A, dtype=float) - self.centre_yx_A) / self.radius_A
        space = spatial_basis(places, self.degree)
        time = temporal_basis(self.exposures_e_A2, self.decays_e_A2)[section]
        moved: Array = np.einsum("np,cpk,k->nc", space, np.array(self.coefficients_A), time)
        return moved

    def about(self, by_yx_A: tuple[float, float]) -> Self:
        """Return the same motion for an origin that lies at `by_yx_A`."""
        y, x = self.centre_yx_A
        return self.replace(centre_yx_A=(y - by_yx_A[0], x - by_yx_A[1]))


def powers(degree: int) -> tuple[tuple[int, int], ...]:
    """Return the powers of y and x of a polynomial without its constant."""
    return tuple((total - x, x) for total in range(1, degree + 1) for x in range(total, -1, -1))


def spatial_basis(yx: Array, degree: int) -> Array:
    """Return the powers (n, powers) of places (n, 2), bounded beyond 1.5 radii, where nothing was measured."""
    y, x = np.clip(yx, -1.5, 1.5).T
    return np.stack([y**a * x**b for a, b in powers(degree)], axis=1)


def temporal_basis(exposures_e_A2: ArrayLike, decays_e_A2: ArrayLike) -> Array:
    """Return (views, decays): how far from its mean place each movement is at each view."""
    decays = np.exp(-np.asarray(exposures_e_A2, float)[:, None] / np.asarray(decays_e_A2, float)[None])
    basis: Array = decays - decays.mean(axis=0)
    return basis
