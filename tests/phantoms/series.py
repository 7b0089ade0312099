"""A phantom series on disk, as a microscope would leave it, with its truth beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eucentric.core import SILENT, Alignment, Reporter
from eucentric.io import write_alignment, write_angles, write_mrc, write_tilt_table
from phantoms import Imaging, cell_phantom, dose_symmetric_orders, simulate_series, wandering_alignment

TILTS_DEG = tuple(float(tilt) for tilt in np.arange(-60, 61, 3))


@dataclass(frozen=True)
class WrittenPhantom:
    """The files of a phantom series, and the truth that no stage of processing is shown."""

    stack: Path
    angles: Path
    table: Path
    truth: Alignment


def write_phantom_series(
    folder: Path,
    *,
    tilts_deg: Sequence[float] = TILTS_DEG,
    size: int = 320,
    pixel_A: float = 16.0,
    axis_deg: float = 84.3,
    max_shift_fraction: float = 0.08,
    seed: int = 0,
    name: str = "phantom",
    reporter: Reporter = SILENT,
) -> WrittenPhantom:
    """Record the edge of a phantom cell: dose-symmetric, 3 e/Å² a tilt, on a stage that wanders.

    Parameters
    ----------
    folder
        Where the stack, its angles, its table and ``truth/alignment.json`` go; made if it is not there.
    tilts_deg
        Tilts in the order of the sections; ±60° in steps of 3° by default.
    size
        Pixels along each side.
    pixel_A
        Pixel size in Å.
    axis_deg
        True tilt-axis angle.
    max_shift_fraction
        Shifts of the stage, as a share of the field.
    seed
        Chooses specimen, shifts and noise.
    name
        Name of the series and its files.
    reporter
        Where progress goes.
    """
    shape = (size, size)
    with reporter.task("Recording the phantom", 3) as step:
        phantom = cell_phantom(seed, field_A=size * pixel_A)
        step()
        truth = wandering_alignment(
            tilts_deg,
            pixel_A=pixel_A,
            shape_yx=shape,
            axis_deg=axis_deg,
            max_shift_fraction=max_shift_fraction,
            seed=seed,
        )
        recorded = simulate_series(phantom, truth, dose_symmetric_orders(tilts_deg), Imaging(), seed=seed, name=name)
        step()
        stack, angles, table = (folder / f"{name}{suffix}" for suffix in (".mrc", ".rawtlt", ".csv"))
        write_mrc(stack, recorded.images, pixel_A, kind="stack", label=f"Eucentric phantom, seed {seed}")
        write_angles(angles, recorded.series.tilts_deg)
        write_tilt_table(table, recorded.series)
        write_alignment(folder / "truth" / "alignment.json", truth)
        step()
    return WrittenPhantom(stack, angles, table, truth)
