"""One series of our record as a `Dataset` of the CETS data models 0.0.1; see `cets` for the coordinates."""

from pathlib import Path
from typing import Any

import numpy as np

from eucentric.core import Alignment
from eucentric.io.exchange.records import Particle, ProcessedSeries, Volume

PIXELS, IMAGE, VOXELS, TOMOGRAM, SPECIMEN = "image_pixels", "image", "tomogram_voxels", "tomogram", "specimen"


def dataset(one: ProcessedSeries) -> dict[str, Any]:
    """Return the dataset: one region, with the movies, the tilt series, its alignment, tomogram and points."""
    name = one.series.name
    region: dict[str, Any] = {"id": name, "tilt_series": [_tilt_series(one)]}
    movies = _movies(one)
    if movies:
        region["movie_stack_collection"] = movies
        region["tilt_series"][0]["movie_stack_series_id"] = f"{name}_movies"
    if one.alignment is not None:
        region["alignments"] = [_alignment(one.alignment, name)]
    if one.volume is not None:
        region["tomograms"] = [_tomogram(one, one.volume)]
        region["annotations"] = _points(one, one.volume)
    return {"name": name, "regions": [region]}


def _system(name: str, dimensions: int, *, array: bool) -> dict[str, Any]:
    kind = {"axis_unit": "pixel", "axis_type": "array"} if array else {"axis_unit": "angstrom", "axis_type": "space"}
    return {"name": name, "axes": [{"name": axis} | kind for axis in "xyz"[:dimensions]]}


def _path(path: Path | None) -> str | None:
    return str(path.absolute()) if path else None


def _said(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _tilt_series(one: ProcessedSeries) -> dict[str, Any]:
    rows, columns = one.series.shape_yx
    images = []
    for tilt in one.series.tilts:
        image = _said(
            id=f"{one.series.name}_{tilt.section}",
            path=_path(one.files.stack),
            section=tilt.section,
            nominal_tilt_angle=tilt.tilt_deg,
            accumulated_dose=tilt.pre_exposure_e_A2,
            movie_stack_id=f"{one.series.name}_movie_{tilt.section}" if _movie(one, tilt.section) else None,
        )
        image |= {
            "width": columns,
            "height": rows,
            "coordinate_systems": [_system(PIXELS, 2, array=True), _system(IMAGE, 2, array=False)],
            "coordinate_transformations": [
                {
                    "transformation_type": "scale",
                    "input": PIXELS,
                    "output": IMAGE,
                    "scale": [one.series.pixel_A, one.series.pixel_A],
                }
            ],
        }
        if one.ctf is not None:
            ctf = one.ctf.tilts[tilt.section]
            image["ctf_metadata"] = _said(
                defocus_u=ctf.defocus_u_A,
                defocus_v=ctf.defocus_v_A,
                defocus_angle=ctf.azimuth_deg,
                phase_shift=ctf.phase_shift_deg,
                defocus_handedness=one.ctf.hand.hand if one.ctf.hand else None,
            )
        images.append(image)
    return _said(
        id=one.series.name,
        path=_path(one.files.stack),
        even_path=_path(one.files.even),
        odd_path=_path(one.files.odd),
        ctf_corrected=False,
        images=images,
    )


def _movie(one: ProcessedSeries, section: int) -> str | None:
    path = one.files.movies[section] if one.files.movies else None
    return _path(path) or one.series.tilts[section].movie


def _movies(one: ProcessedSeries) -> dict[str, Any]:
    name = one.series.name
    stacks = [
        {"id": f"{name}_movie_{tilt.section}", "path": movie}
        for tilt in one.series.by_order()
        if (movie := _movie(one, tilt.section))
    ]
    if not stacks:
        return {}
    gain = {"gain_file": {"path": _path(one.files.gain)}} if one.files.gain else {}
    return {"movie_stacks": [{"id": f"{name}_movies", "stacks": stacks}]} | gain


def _alignment(alignment: Alignment, name: str) -> dict[str, Any]:
    rows, columns = alignment.shape_yx
    projections = []
    for view in alignment.used:
        back = view.image2sample().linear[::-1, ::-1]  # xyz
        y, x = np.array(view.shift_yx_A) + np.array([rows // 2, columns // 2]) * alignment.pixel_A
        projections.append(
            {
                "id": f"{name}_{view.section}_alignment",
                "tilt_image_id": f"{name}_{view.section}",
                "transformation_type": "projection_alignment",
                "input": IMAGE,
                "output": SPECIMEN,
                "sequence": [
                    {"transformation_type": "translation", "translation": [-float(x), -float(y), 0.0]},
                    {"transformation_type": "affine", "affine": back.tolist()},
                ],
            }
        )
    return {"tilt_series_id": name, "projection_alignments": projections}


def _tomogram(one: ProcessedSeries, volume: Volume) -> dict[str, Any]:
    z, y, x = volume.shape_zyx
    origin = [-(n // 2) * volume.voxel_A for n in (x, y, z)]
    return _said(
        id=f"{one.series.name}_tomogram",
        tilt_series_id=one.series.name,
        path=_path(one.files.tomogram),
        even_path=_path(one.files.tomogram_even),
        odd_path=_path(one.files.tomogram_odd),
        width=x,
        height=y,
        depth=z,
        coordinate_systems=[
            _system(VOXELS, 3, array=True),
            _system(TOMOGRAM, 3, array=False),
            _system(SPECIMEN, 3, array=False),
        ],
        coordinate_transformations=[
            {"transformation_type": "scale", "input": VOXELS, "output": TOMOGRAM, "scale": [volume.voxel_A] * 3},
            {"transformation_type": "translation", "input": TOMOGRAM, "output": SPECIMEN, "translation": origin},
        ],
    )


def _points(one: ProcessedSeries, volume: Volume) -> list[dict[str, Any]]:
    by_label: dict[str, list[Particle]] = {}
    for particle in one.particles:
        by_label.setdefault(particle.label, []).append(particle)
    centre = np.array([n // 2 for n in volume.shape_zyx])
    return [
        {
            "id": f"{one.series.name}_points_{number}",
            "name": label,
            "annotation_type": "point_matrix_set_3D",
            "source_tomogram_id": f"{one.series.name}_tomogram",
            "coordinate_systems": [_system(VOXELS, 3, array=True)],
            "origin3D": [
                (np.array(particle.position_zyx_A) / volume.voxel_A + centre)[::-1].tolist() for particle in particles
            ],
            "matrix3D": [particle.reference2sample().tolist() for particle in particles],
        }
        for number, (label, particles) in enumerate(sorted(by_label.items()))
    ]
