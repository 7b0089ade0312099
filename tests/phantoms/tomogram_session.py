"""A session with one small series that was processed, made in no time: what the tomogram page shows."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric.core import stream
from eucentric.io import write_mrc
from eucentric.io.alignment_json import write_alignment
from eucentric.io.ome_zarr import write_ome_zarr
from eucentric.processing.alignment import AlignSettings
from eucentric.session import Session, StagePlan
from eucentric.workflow.records import AlignStage
from phantoms.processed import processed_series, seen_xy_px

SERIES = "TS_001"
SHAPE_ZYX = (24, 80, 100)
VOXEL_A = 10.0
BEAD_ZYX = (17, 52, 23)
"""A bright voxel of the tomogram: off the middle along every axis, each by another way."""

ON_AXIS_A = 60.0
"""How far along the tilt axis the dot lies that is in every image."""


def tomogram(seed: int = 0) -> NDArray[np.float32]:
    """Return noise with a bright bead at `BEAD_ZYX`."""
    volume = stream(seed, "test", "tomogram").normal(0, 1, SHAPE_ZYX).astype(np.float32)
    z, y, x = BEAD_ZYX
    volume[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2] = 12
    volume[BEAD_ZYX] = 40
    return volume


def tomogram_session(folder: Path) -> Path:
    """Make the session: a tomogram, its halves, a restored one as OME-Zarr alone, a stack with tilts and alignment."""
    processed = processed_series(shape_yx=(120, 100), n=5, name=SERIES)
    alignment = processed.alignment
    assert alignment is not None
    stage = AlignStage(series=processed.series, align=AlignSettings())
    with Session.create_or_open(folder) as session:
        plan = StagePlan(series=SERIES, stage="align", version=1, settings=stage)
        with session.run(plan) as run:
            run.metric("median_residual_A", 1.7)
            volume = tomogram()
            noise = stream(1, "test", "halves").normal(0, 1, SHAPE_ZYX).astype(np.float32)
            for name, voxels in (("", volume), ("_even", volume + noise), ("_odd", volume - noise)):
                write_mrc(run.folder / f"tomogram{name}.mrc", voxels, VOXEL_A, kind="volume")
            write_ome_zarr(run.folder / "tomogram.zarr", volume, VOXEL_A, name=SERIES)
            write_ome_zarr(run.folder / "tomogram_restored.zarr", volume / 2, VOXEL_A, name=SERIES)
            write_mrc(run.folder / f"{SERIES}.mrc", _images(seen_xy_px(processed, _DOT)), 2.7, kind="stack")
            write_alignment(run.folder / "alignment.json", alignment)
    return folder


_DOT = np.array([[0.0, ON_AXIS_A, 0.0]])


def _images(seen_xy: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return dim noise with a bright dot of 5 pixels where each view sees it."""
    rows, columns = np.mgrid[:120, :100]
    noise = stream(2, "test", "images").normal(0, 1, (len(seen_xy), 120, 100))
    dots = [np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 5) for ((x, y),) in seen_xy]
    return np.asarray(noise + 60 * np.array(dots), dtype=np.float32)
