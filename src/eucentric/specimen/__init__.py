"""Specimens made by the package: what is in the ice, and what a microscope would record of it."""

from eucentric.specimen.cell import cell_phantom, chiral_phantom
from eucentric.specimen.phantom import Phantom, density, project
from eucentric.specimen.recording import (
    Faults,
    Imaging,
    PhantomSeries,
    dose_symmetric_orders,
    expected_counts,
    simulate_series,
    transmission,
    wandering_alignment,
)

__all__ = [
    "Faults",
    "Imaging",
    "Phantom",
    "PhantomSeries",
    "cell_phantom",
    "chiral_phantom",
    "density",
    "dose_symmetric_orders",
    "expected_counts",
    "project",
    "simulate_series",
    "transmission",
    "wandering_alignment",
]
