"""The truth of a simulated series, as files that scores and people can read."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from eucentric.core import Alignment, Record, whole_or_nothing, write_text
from eucentric.io import write_alignment, write_mrc
from eucentric.microscope import Readback
from eucentric.specimen.sample import Sample
from eucentric.twin import ExposureTruth, Twin
from eucentric.twin.volume import true_volume

_VOXELS_MOST = 48e6


class SimulatedTilt(Record):
    """A tilt: its movie's name and size in bytes, what the microscope said of it, and what was true."""

    movie: str
    bytes: Annotated[int, Field(ge=0)]
    nominal: Readback
    truth: ExposureTruth


def write_truth(
    folder: Path, sample: Sample, twin: Twin, tilts: Sequence[SimulatedTilt], pixel_A: float, size: int
) -> list[Path]:
    """Write what is true of a series, beside ``tilts.json`` and the expected images that are there already.

    ``alignment.json`` is how each section of the stack sees the specimen; ``particles.csv`` where the labelled
    molecules and beads are; ``volume.mrc`` the undamaged potential over that of ice (V); ``deformation.npz`` how far
    places of the slab had moved by the middle of each exposure.

    Returns
    -------
    list of Path
        The files.
    """
    alignment = Alignment(
        pixel_A=pixel_A,
        shape_yx=(size, size),
        tilts=tuple(tilt.truth.view.replace(section=section) for section, tilt in enumerate(tilts)),
    )
    paths = [folder / name for name in ("alignment.json", "particles.csv", "volume.mrc", "deformation.npz")]
    write_alignment(paths[0], alignment)
    write_text(paths[1], _particles(sample))
    shape, voxel_A = _volume_grid(sample, pixel_A, size)
    write_mrc(paths[2], true_volume(sample, shape, voxel_A), voxel_A, kind="volume", label="True potential over ice, V")
    with whole_or_nothing(paths[3]) as partial, partial.open("wb") as file:
        places, moved = twin.deformation([tilt.truth for tilt in tilts])
        np.savez(file, places_yx_A=places, displacement_zyx_A=moved)
    return paths


def _particles(sample: Sample) -> str:
    """Return labels, places (Å) and orientations (zyx matrices, molecule to sample, row by row) as CSV."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["label", "z_A", "y_A", "x_A", *(f"r{to}{from_}" for to in "zyx" for from_ in "zyx")])
    for part in sample.parts:
        if part.label:
            for centre, turn in zip(part.centres_A, part.rotations, strict=True):
                numbers = [f"{value:.2f}" for value in centre] + [f"{value:.6f}" for value in turn.ravel()]
                table.writerow([part.label, *numbers])
    for centre in sample.beads.centres_A:
        table.writerow(["gold", *(f"{value:.2f}" for value in centre), *("1", "0", "0", "0", "1", "0", "0", "0", "1")])
    return text.getvalue()


def _volume_grid(sample: Sample, pixel_A: float, size: int) -> tuple[tuple[int, int, int], float]:
    """Return shape and voxel of a volume of the field and all its ice, within the voxels that fit."""
    low, high = sample.matrix.reach_A
    tallest = 2 * max(abs(low), abs(high)) + size * pixel_A * abs(np.sin(np.deg2rad(sample.pre_tilt_deg)))
    binning = 1
    while True:
        voxel_A = pixel_A * binning
        side, depth = -(-size // binning), int(np.ceil(tallest / voxel_A)) + 2
        if side * side * depth <= _VOXELS_MOST:
            return (depth + depth % 2, side, side), voxel_A
        binning += 1
