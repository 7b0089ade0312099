"""Specimens that come with the package: `SPECIMENS` lists them, `build` makes one to fill a field at every tilt."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eucentric.core import InputError, did_you_mean
from eucentric.specimen.sample import Sample
from eucentric.specimen.samples.cells import cell_edge, lamella
from eucentric.specimen.samples.filling import Slab
from eucentric.specimen.samples.particles import apoferritin, beads, ribosomes

__all__ = [
    "SPECIMENS",
    "Slab",
    "SpecimenKind",
    "apoferritin",
    "beads",
    "build",
    "cell_edge",
    "extent_A",
    "lamella",
    "ribosomes",
    "slab_for",
]

THINNEST_A = 300.0
STEEPEST_DEG = 80.0
_MARGIN_A = 200.0  # for shifts of the stage, and for what lies across the border
_CORNER = 0.72  # half the diagonal of a field of 1, and a little more


@dataclass(frozen=True)
class SpecimenKind:
    """A specimen that can be made.

    Attributes
    ----------
    name
        What `build` knows it by.
    description
        One line.
    builder
        Makes it, lying flat.
    pre_tilt_deg
        Stage tilt at which it lies flat where none is given.
    """

    name: str
    description: str
    builder: Callable[[Slab], Sample]
    pre_tilt_deg: float = 0.0


SPECIMENS = {
    kind.name: kind
    for kind in (
        SpecimenKind("beads", "bare ice with gold beads of 10 nm at both faces", beads),
        SpecimenKind("apoferritin", "apoferritin strewn through ice", apoferritin),
        SpecimenKind("ribosomes", "ribosomes strewn through ice, and gold beads", ribosomes),
        SpecimenKind("cell", "edge of a cell in ice: membranes, ribosomes, filaments, vesicles, gold beads", cell_edge),
        SpecimenKind("lamella", "lamella through cytoplasm and a nucleus, pre-tilted, with rough faces", lamella, 8.0),
    )
}
"""The specimens, by name."""


def extent_A(field_A: float, thickness_A: float, max_tilt_deg: float) -> tuple[float, float]:
    """Return half the length along y and along x that a slab needs, to fill a square field at every tilt about y.

    Parameters
    ----------
    field_A
        Side of the field, which may be turned about the beam by any angle.
    thickness_A
        Thickness of the slab, of which the faces come into view from either side.
    max_tilt_deg
        Largest angle between the slab's normal and the beam.
    """
    tilt = np.deg2rad(max_tilt_deg)
    x = (_CORNER * field_A + 0.5 * thickness_A * np.sin(tilt)) / np.cos(tilt)
    return _CORNER * field_A + _MARGIN_A, float(x) + _MARGIN_A


def slab_for(
    *, seed: int, field_A: float, thickness_A: float, max_tilt_deg: float = 60.0, pre_tilt_deg: float = 0.0
) -> Slab:
    """Return the slab that builders fill; the parameters and errors are those of `build`."""
    if not 0 < field_A < np.inf:
        raise InputError(f"A field of {field_A:g} Å cannot be filled.", "Give a side above 0 Å.")
    if not THINNEST_A <= thickness_A < np.inf:
        raise InputError(f"Ice of {thickness_A:g} Å holds no specimen.", f"Make it {THINNEST_A:g} Å or more.")
    steepest_deg = abs(max_tilt_deg) + abs(pre_tilt_deg)
    if not steepest_deg <= STEEPEST_DEG:
        raise InputError(
            f"A slab seen at {steepest_deg:g}° (tilt and pre-tilt together) would have to be too long.",
            f"Stay within {STEEPEST_DEG:g}°.",
        )
    half = np.array([thickness_A / 2, *extent_A(field_A, thickness_A, steepest_deg)])
    return Slab(seed, field_A, thickness_A, half)


def build(
    name: str,
    *,
    seed: int,
    field_A: float,
    thickness_A: float,
    max_tilt_deg: float = 60.0,
    pre_tilt_deg: float = 0.0,
) -> Sample:
    """Return a specimen of the package.

    Parameters
    ----------
    name
        One of `SPECIMENS`.
    seed
        Chooses the specimen; every part of it has a random stream of its own.
    field_A
        Side of the square field that will be imaged; the specimen goes on as far as tilts bring it into view.
    thickness_A
        Thickness of the ice, `THINNEST_A` or more.
    max_tilt_deg
        Largest tilt of the stage, to either side.
    pre_tilt_deg
        Stage tilt at which the specimen lies flat; 0 means the kind's own.

    Raises
    ------
    InputError
        If there is no such specimen, or it cannot be made to these measures.

    Warns
    -----
    DataWarning
        If there is no room for all that should be in it.
    """
    if name not in SPECIMENS:
        raise InputError(
            f'There is no specimen "{name}".{did_you_mean(name, SPECIMENS)}', f"Choose one of {', '.join(SPECIMENS)}."
        )
    kind = SPECIMENS[name]
    pre_tilt_deg = pre_tilt_deg or kind.pre_tilt_deg
    slab = slab_for(
        seed=seed, field_A=field_A, thickness_A=thickness_A, max_tilt_deg=max_tilt_deg, pre_tilt_deg=pre_tilt_deg
    )
    flat = kind.builder(slab)
    return flat.turned(pre_tilt_deg) if pre_tilt_deg else flat
