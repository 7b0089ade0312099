"""`Scene`: a sample made ready for a pixel size; `View`: how the microscope looks at it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eucentric.core import TiltAlignment
from eucentric.specimen.molecule import Points
from eucentric.specimen.sample import Placed, Sample
from eucentric.specimen.scattering import Basis

Doubles = NDArray[np.float64]

Displacement = Callable[[Doubles], Doubles]
"""From places (n, 3) of the sample frame, zyx in Å, to how far each has moved, (n, 3)."""


@dataclass(frozen=True, eq=False)
class View:
    """How an image sees the sample.

    Attributes
    ----------
    rotation
        (3, 3) zyx, from the sample frame to the image frame.
    origin_zyx_A
        Where the sample's origin is in the image frame; z adds to the defocus, with the sign of `hand`.
    hand
        Defocus hand: +1 if a greater z of the image frame is a greater underfocus, -1 if a smaller one.
    displacement
        How far the sample's contents have moved from where they were frozen, if at all.
    """

    rotation: Doubles
    origin_zyx_A: Doubles
    hand: int = 1
    displacement: Displacement | None = None

    @classmethod
    def of(
        cls, tilt: TiltAlignment, height_A: float = 0.0, hand: int = 1, displacement: Displacement | None = None
    ) -> "View":
        """Return the view of an alignment, with the sample's origin at a height along the beam."""
        seen = tilt.sample2image()
        return cls(seen.linear, seen.shift_A + np.array([height_A, 0, 0]), hand, displacement)

    def places_A(self, positions_A: Doubles) -> Doubles:
        """Return where positions (n, 3) of the sample frame are in the image frame."""
        if self.displacement is not None and len(positions_A):
            positions_A = positions_A + self.displacement(positions_A)
        return np.asarray(positions_A @ self.rotation.T + self.origin_zyx_A)

    def adds_defocus_A(self, place_A: Doubles) -> float:
        """Return what the height of a place (3,) of the sample frame, not displaced, adds to the lens's defocus."""
        return self.hand * float((self.rotation @ place_A + self.origin_zyx_A)[0])


Seen = list[tuple[Placed, Points, Doubles]]
"""Copies of molecules in a field, by parts, with their places (m, 3) in the image frame."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A sample and the points that stand for its molecules at a pixel size.

    Attributes
    ----------
    sample
        What is imaged.
    basis
        The curves that all points are made of.
    clouds
        For each part of the sample, its molecule's points.
    """

    sample: Sample
    basis: Basis
    clouds: tuple[Points, ...]

    @classmethod
    def of(cls, sample: Sample, pixel_A: float) -> "Scene":
        """Return the scene of a sample for pixels of `pixel_A` Å."""
        basis = Basis.up_to(0.5 * np.sqrt(2) / pixel_A)
        made: dict[int, Points] = {}
        for part in sample.parts:
            if id(part.molecule) not in made:
                made[id(part.molecule)] = part.molecule.points(basis, pixel_A)
        return cls(sample, basis, tuple(made[id(part.molecule)] for part in sample.parts))

    def grown(self, by_A: float) -> "Scene":
        """Return the scene with ice grown on the sample's faces."""
        return replace(self, sample=replace(self.sample, matrix=self.sample.matrix.thickened(by_A)))

    def in_view(self, view: View, half_size_A: tuple[float, float]) -> Seen:
        """Return each part's copies that may be seen in a field of half sides y and x, with their places (m, 3)."""
        seen = []
        for part, cloud in zip(self.sample.parts, self.clouds, strict=True):
            places = view.places_A(part.centres_A)
            near: NDArray[np.bool_] = np.all(np.abs(places[:, 1:]) < np.array(half_size_A) + cloud.radius_A, axis=1)
            if near.any():
                seen.append((part.chosen(near), cloud, places[near]))
        return seen
