"""Exports read back with each program's own public reader, and places projected as that program does.

Every function takes the folder of an export of one series and places of the specimen (n, 3), zyx in Å, and returns
where its program sees them, (n, 2) in array indices of the recorded image, x before y, by section. Nothing here is made
from our own readers or writers: the geometry is written from each program's documentation or source.
"""

import math
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Seen = dict[int, Array]


def relion5(folder: Path, places_A: Array, shape_yx: tuple[int, int]) -> Seen:
    """RELION 5 (`Tomogram::setProjectionMatrix`), its tables read by starfile."""
    import starfile

    tomograms = starfile.read(folder / "tomograms.star", always_dict=True)["global"].iloc[0]
    table = next(iter(starfile.read(folder / tomograms.rlnTomoTiltSeriesStarFile, always_dict=True).values()))
    by_tilt = table["rlnTomoNominalStageTiltAngle"].to_numpy()
    seen = {}
    for row in table.itertuples():
        turned = (
            places_A[:, ::-1] @ (_turn(2, row.rlnTomoZRot) @ _turn(1, row.rlnTomoYTilt) @ _turn(0, row.rlnTomoXTilt)).T
        )
        shift = (row.rlnTomoXShiftAngst, row.rlnTomoYShiftAngst)
        middle = (shape_yx[1] // 2, shape_yx[0] // 2)
        section = int(np.sum(by_tilt < row.rlnTomoNominalStageTiltAngle))
        seen[section] = (turned[:, :2] + shift) / tomograms.rlnTomoTiltSeriesPixelSize + middle
    return seen


def aretomo(folder: Path, places_A: Array, shape_yx: tuple[int, int]) -> Seen:
    """AreTomo, its .aln read by alnfile and projected by torch-tilt-series."""
    from torch_tilt_series.io import from_aretomo_output

    (aln,) = folder.glob("*.aln")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        series = from_aretomo_output(aln, pixel_spacing=_pixel_A(folder))
    return _by_torch(series, places_A, _pixel_A(folder), shape_yx)


def _by_torch(series: object, places_A: Array, pixel_A: float, shape_yx: tuple[int, int]) -> Seen:
    """Project with torch-tilt-series, whose origin is the middle of the image, between samples where sides are even."""
    yx_A = series.project_points(places_A).numpy()  # type: ignore[attr-defined]
    middle = ((shape_yx[1] - 1) / 2, (shape_yx[0] - 1) / 2)
    sections = [int(i) for i in series.image_indices]  # type: ignore[attr-defined]
    return {section: yx_A[:, at, ::-1] / pixel_A + middle for at, section in enumerate(sections)}


def _pixel_A(folder: Path) -> float:
    import mrcfile

    stack = next(path for path in sorted(folder.rglob("*.mrc")) if "rec" not in path.name)
    with mrcfile.open(stack, header_only=True) as file:
        return float(file.voxel_size.x)


def _turn(axis: int, angle_deg: float) -> Array:
    """Return a right-handed turn of xyz columns about x, y or z."""
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    i, j = ((1, 2), (2, 0), (0, 1))[axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = c
    matrix[j, i], matrix[i, j] = s, -s
    return matrix


READERS: dict[str, Callable[[Path, Array, tuple[int, int]], Seen]] = {"relion5": relion5, "aretomo": aretomo}
