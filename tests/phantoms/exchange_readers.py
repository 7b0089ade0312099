"""Exports read back with each program's own public reader, and places projected as that program does.

Every function takes the folder of an export of one series and places of the specimen (n, 3), zyx in Å, and returns
where its program sees them, (n, 2) in array indices of the recorded image, x before y, by section. Nothing here is made
from our own readers or writers: the geometry is written from each program's documentation or source.
"""

import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric.io.exchange.programs import Program

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


def warp(folder: Path, places_A: Array, shape_yx: tuple[int, int]) -> Seen:
    """Warp (`TiltSeries.GetPositionInAllTilts`), its XML read by warpxmlfile; places count from the volume's corner."""
    import warpxmlfile

    (path,) = (folder / "warp_tiltseries").glob("*.xml")
    series = warpxmlfile.read(path)
    half = np.array(series.volume_dimensions_angstrom) / 2
    in_volume = places_A[:, ::-1] + half  # as the particles that we write for it
    image_A = np.array(series.image_dimensions_angstrom)
    pixel_A = image_A[0] / shape_yx[1]
    level = _turn(0, float(series.attributes["LevelAngleX"]))
    seen = {}
    for section in range(series.n_tilts):
        # `Matrix3.Euler(0, angle, -axis)`: turns about y and z, each the opposite of a right-handed one.
        turned = _turn(2, float(series.axis_angle[section])) @ _turn(1, -float(series.angles[section])) @ level
        offset = (series.axis_offset_x[section], series.axis_offset_y[section])
        where_A = ((in_volume - half) @ turned.T)[:, :2] + offset + image_A / 2
        seen[section] = where_A / pixel_A
    return seen


def imod(folder: Path, places_A: Array, shape_yx: tuple[int, int]) -> Seen:
    """IMOD's `tilt` and `newstack`, their files read by cryoet-alignment."""
    from cryoet_alignment.io.imod import ImodAlignment

    (place,) = (path for path in folder.iterdir() if path.is_dir())
    theirs = ImodAlignment.read(base_name=str(place / place.name))
    xyz = places_A[:, ::-1] / _pixel_A(folder)
    seen = {}
    for section, xf in enumerate(theirs.xf.alignments):
        # In the manual of `tilt`: x' = x cos + z sin, y stays; the .xf takes images to aligned ones about their middle.
        tilt = math.radians(theirs.tlt.angles[section] + theirs.tiltcom.OFFSET)
        aligned = np.stack([xyz[:, 0] * math.cos(tilt) + xyz[:, 2] * math.sin(tilt), xyz[:, 1]])
        seen[section] = np.linalg.solve(xf.rot_matrix(), aligned - xf.shift()[:, None]).T + _middle(shape_yx)
    return seen


def portal(folder: Path, places_A: Array, shape_yx: tuple[int, int]) -> Seen:
    """The CryoET Data Portal, its alignment read by cryoet-alignment."""
    from cryoet_alignment.io.cryoet_data_portal import Alignment as PortalAlignment

    (path,) = folder.rglob("alignment_metadata.json")
    seen = {}
    xyz = places_A[:, ::-1] / _pixel_A(folder)
    for section in PortalAlignment.from_file(path).per_section_alignment_parameters:
        turned = xyz @ (_turn(1, section.tilt_angle) @ _turn(0, section.volume_x_rotation)).T
        in_image = turned[:, :2] @ np.array(section.in_plane_rotation).T
        offset = np.array([section.x_offset, section.y_offset])
        seen[section.z_index] = in_image + offset + _middle(shape_yx)
    return seen


def cets(folder: Path, places_A: Array, shape_yx: tuple[int, int]) -> Seen:
    """CETS, by the coordinate systems that its file names; no public reader projects with it."""
    (path,) = folder.glob("*.cets.json")
    region = json.loads(path.read_text())["regions"][0]
    images = {image["id"]: image for image in region["tilt_series"][0]["images"]}
    seen = {}
    for view in region["alignments"][0]["projection_alignments"]:
        image = images[view["tilt_image_id"]]
        translation, affine = view["sequence"]
        where_A = np.linalg.solve(affine["affine"], places_A[:, ::-1].T).T - translation["translation"]
        seen[image["section"]] = where_A[:, :2] / image["coordinate_transformations"][0]["scale"]
    return seen


def _by_torch(series: object, places_A: Array, pixel_A: float, shape_yx: tuple[int, int]) -> Seen:
    """Project with torch-tilt-series, whose origin is the middle of the image, between samples where sides are even."""
    yx_A = series.project_points(places_A).numpy()  # type: ignore[attr-defined]
    sections = [int(i) for i in series.image_indices]  # type: ignore[attr-defined]
    return {section: yx_A[:, at, ::-1] / pixel_A + _middle(shape_yx) for at, section in enumerate(sections)}


def _middle(shape_yx: tuple[int, int]) -> Array:
    """Return the middle of an image in array indices, xy: between samples where a side is even."""
    return np.array([shape_yx[1] - 1, shape_yx[0] - 1]) / 2


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


READERS: dict[Program, Callable[[Path, Array, tuple[int, int]], Seen]] = {
    "relion5": relion5,
    "warp": warp,
    "imod": imod,
    "aretomo": aretomo,
    "cets": cets,
    "portal": portal,
}
