"""Phantoms of Gaussian blobs with exact projections: what tests of estimators are held to, beside the twin."""

from phantoms.cell import cell_phantom, chiral_phantom
from phantoms.phantom import Phantom, density, project
from phantoms.recording import (
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
