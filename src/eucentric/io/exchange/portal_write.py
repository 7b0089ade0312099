"""One series of our record into the folder of a run of the CryoET Data Portal."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from eucentric.core import Alignment, write_text
from eucentric.io.exchange.placing import place
from eucentric.io.exchange.portal_json import format_json
from eucentric.io.exchange.records import Particle, ProcessedSeries, Volume
from eucentric.io.mrc import open_mrc
from eucentric.io.ome_zarr import write_ome_zarr

_ID = "100"  # the portal's first number of a kind in a run
_SCHEMA = "2.0.0"
_UNIT = [[1.0 if i == j else 0.0 for j in range(4)] for i in range(4)]
_ZARR_TYPES = ("int8", "uint8", "int16", "uint16", "float16", "float32")


class PortalWriting:
    """One series on its way to its run's folder."""

    def __init__(self, folder: Path, one: ProcessedSeries, *, copy: bool, dropped: list[str]) -> None:
        """Take the folder of all runs, and the list to which is added what has no place."""
        self._one, self._copy, self._dropped = one, copy, dropped
        self._name, self._run = one.series.name, folder / one.series.name
        self._files: list[Path] = []

    def write(self) -> list[Path]:
        """Write all files of the run, and return their paths."""
        self._tilt_series()
        self._frames()
        if self._one.alignment is not None:
            self._alignment(self._one.alignment)
        volume = self._one.volume
        if volume is not None:
            reconstructions = self._run / "Reconstructions" / f"VoxelSpacing{volume.voxel_A:.3f}"
            self._tomogram(reconstructions / "Tomograms" / _ID, volume)
            self._annotations(reconstructions / "Annotations", volume)
        self._say_what_is_left()
        return self._files

    def _json(self, path: Path, value: dict[str, Any]) -> None:
        write_text(path, format_json({name: part for name, part in value.items() if part is not None}))
        self._files.append(path)

    def _tilt_series(self) -> None:
        one, series = self._one, self._one.series
        folder = self._run / "TiltSeries" / _ID
        angles = sorted(series.tilts_deg)
        stack = None
        if one.files.stack is not None:
            stack = place(one.files.stack, folder / f"{self._name}.mrc", copy=self._copy)
        write_text(folder / f"{self._name}.rawtlt", "".join(f"{tilt.tilt_deg:.4f}\n" for tilt in series.tilts))
        exposures = [tilt.exposure_e_A2 for tilt in series.tilts]
        lens = one.ctf.lens if one.ctf else None
        voltage_kV = series.voltage_kV or (lens.voltage_kV if lens else None)
        axis_deg = series.tilt_axis_deg
        if one.alignment is not None and one.alignment.used:
            axis_deg = float(np.median([view.axis_deg for view in one.alignment.used]))
        rows, columns = series.shape_yx
        steps = np.diff(angles)
        sections = []
        for tilt in series.tilts:
            section: dict[str, Any] = {
                "z_index": tilt.section,
                "frame_acquisition_order": tilt.order,
                "raw_angle": tilt.tilt_deg,
            }
            if one.ctf is not None:
                ctf = one.ctf.tilts[tilt.section]
                section |= {
                    "astigmatic_angle": ctf.azimuth_deg,
                    "minor_defocus": ctf.defocus_v_A,
                    "major_defocus": ctf.defocus_u_A,
                    "max_resolution": ctf.fit_resolution_A,
                    "phase_shift": math.radians(ctf.phase_shift_deg),
                    "cross_correlation": ctf.score,
                }
            sections.append(section)
        self._json(
            folder / "tiltseries_metadata.json",
            {
                "run_name": self._name,
                "mrc_file": stack.name if stack else None,
                "raw_tlt_path": f"{self._name}.rawtlt",
                "size": {"x": columns, "y": rows, "z": len(series.tilts)},
                "acceleration_voltage": voltage_kV * 1000 if voltage_kV else None,
                "spherical_aberration_constant": lens.cs_mm if lens else None,
                "tilt_axis": axis_deg,
                "tilt_range": {"min": angles[0], "max": angles[-1]},
                "tilt_step": float(np.median(steps)) if len(steps) else 0.0,
                "tilting_scheme": self._scheme(),
                "total_flux": sum(dose for dose in exposures if dose) if all(exposures) else None,
                "pixel_spacing": series.pixel_A,
                "binning_from_frames": series.pixel_A / one.original_pixel_A,
                "is_aligned": False,
                "frames_count": len(one.files.movies) or None,
                "per_section_parameter": sections,
            },
        )

    def _scheme(self) -> str:
        """Return the order of tilting in the words of the schema, as far as the first tilts tell it."""
        if not self._one.series.order_known:
            return "unknown"
        first = [f"{tilt.tilt_deg:g}" for tilt in self._one.series.by_order()[:5]]
        return f"in the order {', '.join(first)}, ... degrees"

    def _frames(self) -> None:
        """Write what each movie got, which the portal has beside the movies and not with the tilt series."""
        one, movies = self._one, self._one.files.movies
        frames = []
        for tilt in one.series.by_order():
            path = movies[tilt.section] if movies else None
            frame: dict[str, Any] = {
                "acquisition_order": tilt.order,
                "accumulated_dose": tilt.pre_exposure_e_A2,
                "exposure_dose": tilt.exposure_e_A2,
                "path": path.name if path else tilt.movie,
            }
            frames.append({name: part for name, part in frame.items() if part is not None})
        if one.series.order_known:
            self._json(self._run / "Frames" / "frames_metadata.json", {"frames": frames})

    def _alignment(self, alignment: Alignment) -> None:
        rows, columns = alignment.shape_yx
        # The portal's converter counts from the middle (n - 1) / 2, we from the sample n // 2.
        middle_yx = np.array([rows // 2 - (rows - 1) / 2, columns // 2 - (columns - 1) / 2])
        sections = []
        for view in alignment.used:
            y, x = np.array(view.shift_yx_A) / alignment.pixel_A + middle_yx
            c, s = math.cos(math.radians(view.axis_deg)), math.sin(math.radians(view.axis_deg))
            sections.append(
                {
                    "z_index": view.section,
                    "tilt_angle": view.tilt_deg,
                    "volume_x_rotation": view.x_tilt_deg,
                    "in_plane_rotation": [[c, -s], [s, c]],
                    "x_offset": float(x),
                    "y_offset": float(y),
                }
            )
        volume = self._one.volume
        size = np.array(volume.shape_zyx[::-1]) * volume.voxel_A if volume else np.zeros(3)
        self._json(
            self._run / "Alignments" / _ID / "alignment_metadata.json",
            {
                "alignment_type": "GLOBAL",
                # The record is the portal's own; its schema asks whose program it was made with, and knows two.
                "format": "IMOD",
                "method_type": "undefined",
                "is_portal_standard": False,
                "tilt_offset": 0.0,
                "x_rotation_offset": 0,
                "volume_offset": {"x": 0.0, "y": 0.0, "z": 0.0},
                "volume_dimension": dict(zip("xyz", map(float, size), strict=True)),
                "affine_transformation_matrix": _UNIT,
                "tiltseries_path": f"TiltSeries/{_ID}/tiltseries_metadata.json",
                "per_section_alignment_parameters": sections,
            },
        )
        if alignment.local is not None:
            self._dropped.append(f"{self._name}: local motion has no place in the portal's alignment.")
        if any(abs(view.magnification - 1) > 1e-6 for view in alignment.used):
            self._dropped.append(f"{self._name}: magnifications have no place in the portal's alignment.")

    def _tomogram(self, folder: Path, volume: Volume) -> None:
        z, y, x = volume.shape_zyx
        mrc = zarr = None
        source = self._one.files.tomogram
        if source is not None:
            mrc = place(source, folder / f"{self._name}.mrc", copy=self._copy)
            self._files.append(mrc)
            data = open_mrc(source).data
            if data.dtype.name in _ZARR_TYPES and data.shape == volume.shape_zyx:
                zarr = folder / f"{self._name}.zarr"
                write_ome_zarr(zarr, data, volume.voxel_A, name=self._name)
                self._files.append(zarr)
            else:
                self._dropped.append(f"{source}: {data.shape} {data.dtype} was not written as OME-Zarr.")
        self._json(
            folder / "tomogram_metadata.json",
            {
                "run_name": self._name,
                "mrc_file": mrc.name if mrc else None,
                "omezarr_dir": zarr.name if zarr else None,
                "alignment_metadata_path": f"Alignments/{_ID}/alignment_metadata.json",
                "voxel_spacing": volume.voxel_A,
                "size": {"x": x, "y": y, "z": z},
                "offset": {"x": 0, "y": 0, "z": 0},
                "affine_transformation_matrix": _UNIT,
                "fiducial_alignment_status": "NON_FIDUCIAL",
                "reconstruction_method": "Unknown",
                "reconstruction_software": "Eucentric",
                "processing": "raw",
                "tomogram_version": 1.0,
                "is_visualization_default": True,
            },
        )

    def _annotations(self, folder: Path, volume: Volume) -> None:
        by_label: dict[str, list[Particle]] = {}
        for particle in self._one.particles:
            by_label.setdefault(particle.label or "particle", []).append(particle)
        for number, (label, particles) in enumerate(sorted(by_label.items()), start=int(_ID)):
            stem = f"{re.sub(r'[^A-Za-z0-9]+', '_', label)[:60].strip('_').lower() or 'particle'}-1.0"
            lines = []
            for particle in particles:
                at = np.array(particle.position_zyx_A) / volume.voxel_A + [n // 2 for n in volume.shape_zyx]
                point = {
                    "type": "orientedPoint",
                    "location": dict(zip("xyz", map(float, at[::-1]), strict=True)),
                    "xyz_rotation_matrix": particle.reference2sample().tolist(),
                }
                lines.append(json.dumps(point, allow_nan=False))
            points = folder / str(number) / f"{stem}_orientedpoint.ndjson"
            write_text(points, "\n".join(lines) + "\n")
            self._files.append(points)
            self._json(
                folder / str(number) / f"{stem}.json",
                {
                    "annotation_object": {"name": label},
                    "annotation_software": "Eucentric",
                    "object_count": len(particles),
                    "alignment_metadata_path": f"Alignments/{_ID}/alignment_metadata.json",
                    "files": [
                        {
                            "format": "ndjson",
                            "path": points.name,
                            "shape": "OrientedPoint",
                            "is_visualization_default": True,
                        }
                    ],
                },
            )

    def _say_what_is_left(self) -> None:
        one, tell, name = self._one, self._dropped.append, self._name
        if one.alignment is None:
            tell(f"{name}: there is no alignment; only the tilt series was written.")
        elif len(one.alignment.used) < len(one.alignment.tilts):
            tell(f"{name}: where the views left out see the specimen, and why they were, has no place in the portal.")
        if one.ctf is not None and one.ctf.hand is not None:
            tell(f"{name}: the defocus hand ({one.ctf.hand.hand:+d}) has no place in the portal.")
        if one.ctf is not None:
            tell(f"{name}: amplitude contrast {one.ctf.lens.amplitude_contrast:g} has no place in the portal.")
        if one.particles and one.volume is None:
            tell(f"{name}: {len(one.particles)} particles were not written; points need the grid of a tomogram.")
        if any(particle.half for particle in one.particles):
            tell(f"{name}: half sets of particles have no place in the portal.")
        if any((one.files.even, one.files.odd, one.files.tomogram_even, one.files.tomogram_odd)):
            tell(f"{name}: even and odd stacks and tomograms have no place in the portal.")
        if any(path is not None for path in one.files.movies):
            tell(f"{name}: the movies themselves were not placed; their names are in frames_metadata.json.")
        if any(one.target_defocus_A):
            tell(f"{name}: target defoci have no place in the portal.")
