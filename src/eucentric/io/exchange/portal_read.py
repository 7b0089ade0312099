"""The folder of a run of the CryoET Data Portal into our record."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import ValidationError

from eucentric.core import Alignment, EucentricError, FormatError, Tilt, TiltAlignment, TiltSeries
from eucentric.io._text import decode_text, size_of
from eucentric.io.exchange.left_out import with_views_left_out
from eucentric.io.exchange.portal_json import Node, euler_deg, parse_json, read_json
from eucentric.io.exchange.records import Particle, ProcessedSeries, SeriesFiles, Volume
from eucentric.optics import Lens, SeriesCTF, TiltCTF

_MAX_POINTS_BYTES = 32 << 20
_MAX_POINTS = 100_000
_MAX_TILTS = 10_000
_MAX_NAME = 255  # bytes, of most file systems
T = TypeVar("T")
_LEFT_OUT = "not in the portal's alignment"


class PortalReader:
    """Reads the run of one tiltseries_metadata.json; `dropped` has then what was not read."""

    def __init__(self, path: Path) -> None:
        """Take the file, which lies at RUN/TiltSeries/ID/."""
        self.source = path
        self._run = path.absolute().parent.parent.parent
        self.name = self._run.name or "run"
        self.dropped: list[str] = []
        self._read: list[Node] = []

    def read(self) -> ProcessedSeries:
        """Return the series.

        Raises
        ------
        InputError, FormatError
            If the file cannot be opened, or is not what it should be.
        pydantic.ValidationError
            If a number cannot be what it should.
        """
        node = self._json(self.source)
        if node.get("run_name").text():
            self.name = node.get("run_name").text()
        sections = sorted(node.get("per_section_parameter").items(), key=lambda one: one.get("z_index").index())
        series = self._series(node, sections)
        volume, tomogram = self._tomogram()
        alignment = self._alignment(series, volume)
        stack = node.get("mrc_file").text()
        if node.get("omezarr_dir").text():
            self.dropped.append(f"{self.source}: the images in {node.get('omezarr_dir').text()[:80]} were not taken.")
        found = ProcessedSeries(
            series=series,
            alignment=alignment,
            ctf=self._ctf(node, sections, series, alignment),
            volume=volume,
            particles=self._points(volume),
            files=SeriesFiles(stack=self._beside(self.source, stack), tomogram=tomogram),
        )
        self.dropped += [told for one in self._read for told in one.unread()]
        return found

    def _json(self, path: Path) -> Node:
        self._read.append(read_json(path))
        return self._read[-1]

    def _beside(self, path: Path, name: str) -> Path | None:
        """Return the file of this name beside another; paths of the portal's bucket count by their last part."""
        last = Path(name).name
        found = path.parent / last
        return found if 0 < len(last.encode()) <= _MAX_NAME and found.is_file() else None

    def _series(self, node: Node, sections: list[Node]) -> TiltSeries:
        if not sections:
            raise FormatError(
                f"{self.source}: there is no section in per_section_parameter.", "Get its metadata again."
            )
        if len(sections) > _MAX_TILTS:
            raise FormatError(f"{self.source}: {len(sections)} sections are no tilt series.", "Get its metadata again.")
        orders = [section.get("frame_acquisition_order").number() for section in sections]
        known = [order for order in orders if order is not None]
        order_known = len(known) == len(orders) and len(set(known)) == len(known)
        places = np.argsort(np.argsort(known)) if order_known else np.arange(len(orders))
        doses = self._doses() if order_known else {}
        spacing, voltage = node.get("pixel_spacing").needed(), node.get("acceleration_voltage").number()
        tilts = []
        for number, (section, order) in enumerate(zip(sections, orders, strict=True)):
            dose = doses.get(int(order or 0), (None, None, None))
            tilts.append(
                Tilt(
                    section=section.get("z_index").index() if section.get("z_index").index() == number else number,
                    tilt_deg=section.get("raw_angle").needed(),
                    order=int(places[number]),
                    pre_exposure_e_A2=dose[0],
                    exposure_e_A2=dose[1],
                    movie=dose[2],
                )
            )
        if [section.get("z_index").index() for section in sections] != list(range(len(sections))):
            raise FormatError(
                f"{self.source}: the z_index of its sections are not 0 to {len(sections) - 1}, each once."
            )
        return TiltSeries(
            name=self.name,
            pixel_A=spacing,
            shape_yx=(node.get("size").get("y").index(), node.get("size").get("x").index()),
            tilts=tuple(tilts),
            order_known=order_known,
            tilt_axis_deg=node.get("tilt_axis").number(),
            voltage_kV=voltage / 1000 if voltage else None,
        )

    def _doses(self) -> dict[int, tuple[float | None, float | None, str | None]]:
        """Return, by order, what the specimen had received before a movie, and in it, and the movie's name."""
        path = self._run / "Frames" / "frames_metadata.json"
        if not path.is_file():
            self.dropped.append(f"{path}: there is none; the exposures are not known.")
            return {}

        def read() -> dict[int, tuple[float | None, float | None, str | None]]:
            return {
                frame.get("acquisition_order").index(): (
                    frame.get("accumulated_dose").number(),
                    frame.get("exposure_dose").number(),
                    Path(frame.get("path").text()).name or None,
                )
                for frame in self._json(path).get("frames").items()
            }

        return self._try(path, read) or {}

    def _try(self, path: Path, read: Callable[[], T]) -> T | None:
        """Read what the series can do without."""
        try:
            return read()
        except (EucentricError, ValidationError) as error:
            what = error.what if isinstance(error, EucentricError) else str(error.errors()[0]["msg"])
            self.dropped.append(f"{path}: this file was not read ({what})")
            return None

    def _alignment(self, series: TiltSeries, volume: Volume | None) -> Alignment | None:
        files = sorted(self._run.glob("Alignments/*/alignment_metadata.json"))
        if not files:
            return None
        if len(files) > 1:
            self.dropped.append(f"{self._run}: of {len(files)} alignments, {files[0].parent.name} was read.")
        return self._try(files[0], lambda: self._read_alignment(files[0], series))

    def _read_alignment(self, path: Path, series: TiltSeries) -> Alignment:
        node = self._json(path)
        rows, columns = series.shape_yx
        middle_yx = np.array([rows // 2 - (rows - 1) / 2, columns // 2 - (columns - 1) / 2])
        # These are in each section's angles already (`cryoet_alignment` writes AreTomo's AlphaOffset so).
        for name in ("tilt_offset", "x_rotation_offset"):
            if node.get(name).value not in (None, 0, "0"):
                self.dropped.append(f"{path}: {name} was not read; the angles of the sections have it in them.")
        if any(node.get("volume_offset").get(axis).number() for axis in "xyz"):
            self.dropped.append(f"{path}: volume_offset was not read; the tomogram lies elsewhere by it.")
        affine = node.get("affine_transformation_matrix").matrix(4, 4)
        if affine is not None and not np.allclose(affine, np.eye(4)):
            self.dropped.append(f"{path}: affine_transformation_matrix was not read; the tomogram is turned by it.")
        if node.get("alignment_type").text() == "LOCAL":
            self.dropped.append(f"{path}: the local alignment is not in the portal's record; the global one was read.")
        views: dict[int, TiltAlignment] = {}
        for section in node.get("per_section_alignment_parameters").items():
            turn = section.get("in_plane_rotation").matrix(2, 2)
            turn = np.eye(2) if turn is None else turn
            offset = [section.get(f"{axis}_offset").number() or 0.0 for axis in "yx"]
            y, x = (np.array(offset) - middle_yx) * series.pixel_A
            number = section.get("z_index").index()
            views[number] = TiltAlignment(
                section=number,
                tilt_deg=section.get("tilt_angle").needed(),
                x_tilt_deg=section.get("volume_x_rotation").number() or 0.0,
                axis_deg=math.degrees(math.atan2(turn[1, 0] - turn[0, 1], turn[0, 0] + turn[1, 1])),
                shift_yx_A=(float(y), float(x)),
            )
        if not views or max(views) >= len(series.tilts):
            raise FormatError(f"{path}: its sections are not of these {len(series.tilts)} tilts.", "Get it again.")
        return with_views_left_out(series, views, _LEFT_OUT)

    def _ctf(
        self, node: Node, sections: list[Node], series: TiltSeries, alignment: Alignment | None
    ) -> SeriesCTF | None:
        if any(section.get("major_defocus").number() is None for section in sections):
            return None

        def read() -> SeriesCTF:
            lens = Lens(
                voltage_kV=series.voltage_kV or 300.0,
                cs_mm=2.7 if (cs := node.get("spherical_aberration_constant").number()) is None else cs,
                amplitude_contrast=0.07,
            )
            tilts = []
            for section, tilt in zip(sections, series.tilts, strict=True):
                view = alignment.tilts[tilt.section] if alignment else None
                u = section.get("major_defocus").needed()
                v = section.get("minor_defocus").number()
                v, azimuth = u if v is None else v, section.get("astigmatic_angle").number() or 0.0
                if u < v:
                    u, v, azimuth = v, u, azimuth + 90
                resolution = section.get("max_resolution").number()
                tilts.append(
                    TiltCTF(
                        section=tilt.section,
                        tilt_deg=view.tilt_deg if view else tilt.tilt_deg,
                        defocus_u_A=u,
                        defocus_v_A=v,
                        azimuth_deg=azimuth,
                        phase_shift_deg=math.degrees(section.get("phase_shift").number() or 0.0),
                        fit_resolution_A=resolution if resolution and resolution > 0 else None,
                        score=section.get("cross_correlation").number() or 0.0,
                        used=view.used if view else True,
                        reason=view.reason if view else "",
                    )
                )
            axis = alignment.tilts[0].axis_deg if alignment else series.tilt_axis_deg or 0.0
            return SeriesCTF(lens=lens, pixel_A=series.pixel_A, axis_deg=axis, tilts=tuple(tilts))

        self.dropped.append(f"{self.source}: tells no amplitude contrast and no defocus hand; 0.07 was taken, no hand.")
        return self._try(self.source, read)

    def _tomogram(self) -> tuple[Volume | None, Path | None]:
        files = sorted(self._run.glob("Reconstructions/VoxelSpacing*/Tomograms/*/tomogram_metadata.json"))
        if not files:
            return None, None
        if len(files) > 1:
            self.dropped.append(f"{self._run}: of {len(files)} tomograms, the first was read.")

        def read() -> tuple[Volume, Path | None]:
            node = self._json(files[0])
            size = node.get("size")
            volume = Volume(
                shape_zyx=(size.get("z").index(), size.get("y").index(), size.get("x").index()),
                voxel_A=node.get("voxel_spacing").needed(),
            )
            if any(node.get("offset").get(axis).number() for axis in "xyz"):
                self.dropped.append(f"{files[0]}: its offset was not read; the tomogram lies elsewhere by it.")
            return volume, self._beside(files[0], node.get("mrc_file").text())

        return self._try(files[0], read) or (None, None)

    def _points(self, volume: Volume | None) -> tuple[Particle, ...]:
        found: list[Particle] = []
        for path in sorted(self._run.glob("Reconstructions/VoxelSpacing*/Annotations/*/*point.ndjson"))[:1000]:
            if volume is None:
                self.dropped.append(f"{path}: its points were not read; there is no tomogram to place them in.")
                continue
            if len(found) >= _MAX_POINTS:
                self.dropped.append(f"{path}: its points were not read; {len(found)} were read before.")
                continue
            found += self._try(path, partial(self._read_points, path, volume)) or []
        return tuple(found)

    def _read_points(self, path: Path, volume: Volume) -> list[Particle]:
        if size_of(path, "a list of points") > _MAX_POINTS_BYTES:
            raise FormatError(f"{path}: too large to be a list of points.", "Name the right file.")
        described = path.with_name(path.name.rsplit("_", 1)[0] + ".json")
        label = self._json(described).get("annotation_object").get("name").text() if described.is_file() else ""
        particles, asked, told = list[Particle](), set[str](), dict[str, None]()
        for line in decode_text(path, "a list of points")[0].split("\n"):
            if not line.strip():
                continue
            if len(particles) >= _MAX_POINTS:
                raise FormatError(f"{path}: more than {_MAX_POINTS} points.", "Split the file.")
            node = Node(path, parse_json(path, line), "a point", asked=asked)
            at = [node.get("location").get(axis).needed() for axis in "zyx"]
            z, y, x = (np.array(at) - [n // 2 for n in volume.shape_zyx]) * volume.voxel_A
            turn = node.get("xyz_rotation_matrix").matrix(3, 3)
            rot, tilt, psi = euler_deg(turn) if turn is not None else (0.0, 0.0, 0.0)
            told.update(dict.fromkeys(node.unread()))
            particles.append(
                Particle(
                    position_zyx_A=(float(z), float(y), float(x)), rot_deg=rot, tilt_deg=tilt, psi_deg=psi, label=label
                )
            )
        self.dropped += told
        return particles
