"""Specimens of atoms in ice: molecules, what holds them, how they scatter, and how the beam moves them.

`specimen.samples` builds the specimens that come with the package; `specimen.library` holds their molecules.
"""

from eucentric.specimen.matrix import Matrix
from eucentric.specimen.molecule import Molecule, Points
from eucentric.specimen.motion import BeamMotion, MotionField
from eucentric.specimen.sample import Beads, Placed, Sample, random_rotations
from eucentric.specimen.scattering import Basis, ice_potential_V, potential_in_ice_VA3, scattering_factor_A

__all__ = [
    "Basis",
    "Beads",
    "BeamMotion",
    "Matrix",
    "Molecule",
    "MotionField",
    "Placed",
    "Points",
    "Sample",
    "ice_potential_V",
    "potential_in_ice_VA3",
    "random_rotations",
    "scattering_factor_A",
]
