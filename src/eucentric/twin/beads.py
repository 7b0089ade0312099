"""Gold beads as waves: too strong for the weak-phase picture, few enough to be made one by one."""

import numpy as np
from numpy.typing import NDArray

from eucentric.specimen.scattering import ice_potential_V
from eucentric.specimen.solvent import GOLD_V
from eucentric.twin.field import Field

Array = NDArray[np.float64]
Complex = NDArray[np.complex64]

GOLD_ABSORPTION_A = 220.0
"""Thickness of gold that leaves 1/e of the beam within the objective aperture and without loss of energy.

Chosen: some 46 % pass 100 Å of gold unscattered (a mean free path of 130 Å at 300 kV, by the cross-sections of
`optics.elastic_mean_free_path_A`), about half of the scattered ones stay within an aperture of some 20 mrad, and the
beads of EMPIAR-10499 come out as dark as recorded, to 8 %."""

_FINE_PER_RADIUS = 12  # samples per radius at least: a pixel collects the mean over its area


def bead_waves(
    places_A: Array, radii_A: Array, edges_A: Array, field: Field, sigma_rad_per_VA: float
) -> dict[int, Complex]:
    """Return, for each slice that holds the centre of a bead, ``exp(i sigma V - absorption) - 1`` of all its beads.

    Parameters
    ----------
    places_A
        Centres in the image frame, (m, 3).
    radii_A
        (m,).
    edges_A
        Of the slices along the beam.
    field
        The grid.
    sigma_rad_per_VA
        Interaction parameter.
    """
    waves: dict[int, Complex] = {}
    for place, radius_A in zip(places_A, radii_A, strict=True):
        index = int(np.clip((place[0] - edges_A[0]) // (edges_A[1] - edges_A[0]), 0, len(edges_A) - 2))
        spot = _spot(place[1:], float(radius_A), field, sigma_rad_per_VA)
        if spot is not None:
            rows, columns, wave = spot
            into = waves.setdefault(index, np.zeros(field.padded_yx, np.complex64))
            # Beads that overlap in one slice: their waves multiply.
            into[rows, columns] = (1 + into[rows, columns]) * (1 + wave) - 1
    return waves


def _spot(yx_A: Array, radius_A: float, field: Field, sigma: float) -> tuple[slice, slice, Complex] | None:
    fine = max(1, int(np.ceil(_FINE_PER_RADIUS * field.pixel_A / radius_A)))
    lows, axes = [], []
    for at, n in zip(yx_A / field.pixel_A, field.padded_yx, strict=True):
        centre, reach = at + n // 2, radius_A / field.pixel_A + 1
        low, high = max(0, int(np.floor(centre - reach))), min(n, int(np.ceil(centre + reach)) + 1)
        if low >= high:
            return None
        samples = np.arange(low * fine, high * fine) / fine + (0.5 / fine - 0.5)  # a pixel is an area about its place
        lows.append(slice(low, high))
        axes.append(np.square((samples - centre) * field.pixel_A))
    half_squared = radius_A**2 - axes[0][:, None] - axes[1][None]
    inside = half_squared > 0
    per_A = 1j * sigma * (GOLD_V - ice_potential_V()) - 0.5 / GOLD_ABSORPTION_A
    wave = np.zeros(inside.shape, complex)
    wave[inside] = np.exp(2 * np.sqrt(half_squared[inside]) * per_A) - 1  # of gold alone: most samples have none
    rows, columns = (one.stop - one.start for one in lows)
    mean = wave.reshape(rows, fine, columns, fine).mean(axis=(1, 3))
    return lows[0], lows[1], mean.astype(np.complex64)
