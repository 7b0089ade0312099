"""A `Region` of CETS into our record; see `cets` for the coordinates."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from eucentric.core import Alignment, FormatError, Tilt, TiltAlignment, TiltSeries
from eucentric.io.exchange.cets_write import IMAGE, SPECIMEN
from eucentric.io.exchange.left_out import with_views_left_out
from eucentric.io.exchange.portal_json import Node, euler_deg, read_json
from eucentric.io.exchange.records import Particle, ProcessedSeries, SeriesFiles, Volume
from eucentric.optics import HandVerdict, Lens, SeriesCTF, TiltCTF

_LEFT_OUT = "no projection alignment in CETS"
_MAX_TILTS, _MAX_POINTS = 10_000, 100_000
_TOLD_LOG_ODDS = 3.0  # as sure as what may just be relied on: the file does not say how sure it is


class DatasetReader:
    """Reads a file; `dropped` has then what was not read, but for its regions."""

    def __init__(self, path: Path) -> None:
        """Take the file."""
        self.source, self.name = path, path.name.removesuffix(".cets.json")
        self.dropped: list[str] = []

    def regions(self) -> "list[RegionReader]":
        """Return a reader for each region.

        Raises
        ------
        InputError
            If the file cannot be opened.
        FormatError
            If it is not JSON, or has no region.
        """
        node = read_json(self.source)
        regions = node.get("regions").items()
        if not regions:
            raise FormatError(f"{self.source}: there is no region in it.", "Name a CETS dataset.")
        if node.get("averages").value:
            self.dropped.append(f"{self.source}: averages were not read.")
        self.dropped += node.unread("regions", "averages")
        return [RegionReader(self.source, f"{self.name}, region {i}", region) for i, region in enumerate(regions)]


class RegionReader:
    """Reads the tilt series of a region; `dropped` has then what was not read."""

    def __init__(self, path: Path, name: str, region: Node) -> None:
        """Take the file, what to call the region in it, and the region."""
        self.source, self.name, self._region = path, name, region
        self.dropped: list[str] = []

    def read(self) -> list[ProcessedSeries]:
        """Return its series.

        Raises
        ------
        FormatError
            If something is not what it should be.
        pydantic.ValidationError
            If a number cannot be what it should.
        """
        found = [self._series(node) for node in self._region.get("tilt_series").items()]
        if not found:
            raise FormatError(f"{self.source}: there is no tilt series in the region.", "Export it again.")
        self.dropped += self._region.unread()
        return found

    def _series(self, node: Node) -> ProcessedSeries:
        name = node.get("id").text()
        images = sorted(node.get("images").items(), key=lambda image: image.get("section").index())
        if (
            len(images) > _MAX_TILTS
            or not images
            or [image.get("section").index() for image in images] != list(range(len(images)))
        ):
            raise FormatError(
                f"{self.source}: the sections of {name[:80]!r} are not 0 to {len(images) - 1}, each once."
            )
        doses = [image.get("accumulated_dose").number() for image in images]
        known = [dose for dose in doses if dose is not None]
        order_known = len(known) == len(images) and len(set(known)) == len(known)
        order = np.argsort(np.argsort(known)) if order_known else np.arange(len(images))
        after = dict(zip(sorted(known), sorted(known)[1:], strict=False)) if order_known else {}
        movies = self._movies()
        series = TiltSeries(
            name=name,
            pixel_A=self._scale(images[0]),
            shape_yx=(images[0].get("height").index(), images[0].get("width").index()),
            tilts=tuple(
                Tilt(
                    section=section,
                    tilt_deg=image.get("nominal_tilt_angle").needed(),
                    order=int(order[section]),
                    pre_exposure_e_A2=dose,
                    exposure_e_A2=after[dose] - dose if dose is not None and dose in after else None,
                    movie=Path(movies.get(image.get("movie_stack_id").text(), "")).name or None,
                )
                for section, (image, dose) in enumerate(zip(images, doses, strict=True))
            ),
            order_known=order_known,
        )
        alignment = self._alignment(name, images, series)
        volume, tomogram = self._tomogram(name)
        paths = {"stack": node.get("path"), "even": node.get("even_path"), "odd": node.get("odd_path")}
        return ProcessedSeries(
            series=series,
            alignment=alignment,
            ctf=self._ctf(images, series, alignment),
            volume=volume,
            particles=self._points(tomogram, volume),
            files=SeriesFiles(**{what: Path(path.text()) for what, path in paths.items() if path.text()}),
        )

    def _movies(self) -> dict[str, str]:
        return {
            stack.get("id").text(): stack.get("path").text()
            for group in self._region.get("movie_stack_collection").get("movie_stacks").items()
            for stack in group.get("stacks").items()
        }

    def _scale(self, node: Node) -> float:
        """Return the Å of a pixel or voxel, of the scale among the transformations of an image."""
        for one in node.get("coordinate_transformations").items():
            if one.get("transformation_type").text() == "scale":
                scale = [value.needed() for value in one.get("scale").items()]
                if scale and max(scale) - min(scale) <= 1e-3 * abs(scale[0]):
                    return scale[0]
        raise FormatError(f"{self.source}: {node.where} has no scale from pixels to Å.", "Export it with its pixel.")

    def _alignment(self, name: str, images: list[Node], series: TiltSeries) -> Alignment | None:
        found = [
            one for one in self._region.get("alignments").items() if one.get("tilt_series_id").text() in ("", name)
        ]
        if not found:
            return None
        if len(found) > 1:
            self.dropped.append(f"{self.source}: of {len(found)} alignments of {name[:80]!r}, the first was read.")
        sections = {image.get("id").text(): section for section, image in enumerate(images)}
        views: dict[int, TiltAlignment] = {}
        for one in found[0].get("projection_alignments").items():
            section = sections.get(one.get("tilt_image_id").text())
            if section is None:
                self.dropped.append(f"{self.source}: {one.where} is of no image of {name[:80]!r}.")
                continue
            if (one.get("input").text(), one.get("output").text()) != (IMAGE, SPECIMEN):
                self.dropped.append(
                    f"{self.source}: {one.where} was taken to go from an image, in Å from its first pixel, to the"
                    " specimen, from the tomogram's middle; it does not say so as we would."
                )
            views[section] = self._view(one, section, series)
        if not views:
            return None
        return with_views_left_out(series, views, _LEFT_OUT)

    def _view(self, node: Node, section: int, series: TiltSeries) -> TiltAlignment:
        linear, moved = np.eye(3), np.zeros(3)
        for step in node.get("sequence").items():
            if step.get("transformation_type").text() == "affine":
                matrix = step.get("affine").matrix(3, 3)
                if matrix is None:
                    raise step.wrong("an affine map")
                linear, moved = matrix @ linear, matrix @ moved
            else:
                by = [value.needed() for value in step.get("translation").items()]
                moved = moved + (*by, 0.0, 0.0, 0.0)[:3]
        size = float(np.linalg.det(linear))
        if not 1e-3 < size < 1e3:
            raise node.wrong("a turn: it mirrors or flattens")
        to_image = np.linalg.inv(linear)
        turn = _nearest_turn(to_image * size ** (1 / 3))
        axis, tilt, x_tilt = Rotation.from_matrix(turn).as_euler("ZYX", degrees=True, suppress_warnings=True)
        x, y = -(to_image @ moved)[:2]
        rows, columns = series.shape_yx
        return TiltAlignment(
            section=section,
            tilt_deg=float(tilt),
            x_tilt_deg=float(x_tilt),
            axis_deg=float(axis),
            magnification=size ** (-1 / 3),
            shift_yx_A=(float(y) - rows // 2 * series.pixel_A, float(x) - columns // 2 * series.pixel_A),
        )

    def _ctf(self, images: list[Node], series: TiltSeries, alignment: Alignment | None) -> SeriesCTF | None:
        nodes = [image.get("ctf_metadata") for image in images]
        if any(node.get("defocus_u").number() is None for node in nodes):
            return None
        tilts, hands = [], set()
        for node, tilt in zip(nodes, series.tilts, strict=True):
            view = alignment.tilts[tilt.section] if alignment else None
            u, v = node.get("defocus_u").needed(), node.get("defocus_v").number()
            v, azimuth = u if v is None else v, node.get("defocus_angle").number() or 0.0
            if u < v:
                u, v, azimuth = v, u, azimuth + 90
            hands.add(node.get("defocus_handedness").number())
            tilts.append(
                TiltCTF(
                    section=tilt.section,
                    tilt_deg=view.tilt_deg if view else tilt.tilt_deg,
                    defocus_u_A=u,
                    defocus_v_A=v,
                    azimuth_deg=azimuth,
                    phase_shift_deg=node.get("phase_shift").number() or 0.0,
                    score=0.0,
                    used=view.used if view else True,
                    reason=view.reason if view else "",
                )
            )
        self.dropped.append(
            f"{self.source}: CETS tells no voltage, Cs and amplitude contrast; 300 kV, 2.7 mm and 0.07 were taken."
        )
        told = hands.pop() if len(hands) == 1 else None
        return SeriesCTF(
            lens=Lens(voltage_kV=300, cs_mm=2.7, amplitude_contrast=0.07),
            pixel_A=series.pixel_A,
            axis_deg=alignment.tilts[0].axis_deg if alignment else 0.0,
            tilts=tuple(tilts),
            hand=HandVerdict(hand=1 if told > 0 else -1, log_odds=_TOLD_LOG_ODDS) if told in (1, -1) else None,
        )

    def _tomogram(self, name: str) -> tuple[Volume | None, str]:
        found = [one for one in self._region.get("tomograms").items() if one.get("tilt_series_id").text() in ("", name)]
        if not found:
            return None, ""
        if len(found) > 1:
            self.dropped.append(f"{self.source}: of {len(found)} tomograms of {name[:80]!r}, the first was read.")
        sides = [found[0].get(side) for side in ("depth", "height", "width")]
        if any(side.value is None for side in sides):
            self.dropped.append(f"{self.source}: {found[0].where} has no size and was not read.")
            return None, ""
        z, y, x = (side.index() for side in sides)
        if found[0].get("path").text():
            self.dropped.append(f"{self.source}: the tomogram's file was not taken; only its grid is ours for sure.")
        return Volume(shape_zyx=(z, y, x), voxel_A=self._scale(found[0])), found[0].get("id").text()

    def _points(self, tomogram: str, volume: Volume | None) -> tuple[Particle, ...]:
        particles = list[Particle]()
        for one in self._region.get("annotations").items():
            kind = one.get("annotation_type").text()
            if volume is None or kind not in ("point_set_3D", "point_matrix_set_3D"):
                self.dropped.append(f"{self.source}: {one.where} ({kind[:40]}) was not read.")
                continue
            if one.get("source_tomogram_id").text() not in ("", tomogram):
                continue
            turns = one.get("matrix3D").items()
            if len(particles) + len(one.get("origin3D").items()) > _MAX_POINTS:
                self.dropped.append(f"{self.source}: {one.where} was not read; with it, points are too many.")
                continue
            for number, place in enumerate(one.get("origin3D").items()):
                at = [value.needed() for value in place.items()]
                if len(at) != 3:
                    raise place.wrong("a place x, y, z")
                turn = turns[number].matrix(3, 3) if number < len(turns) else None
                rot, tilt, psi = euler_deg(turn) if turn is not None else (0.0, 0.0, 0.0)
                z, y, x = (np.array(at[::-1]) - [n // 2 for n in volume.shape_zyx]) * volume.voxel_A
                particles.append(
                    Particle(
                        position_zyx_A=(float(z), float(y), float(x)),
                        rot_deg=rot,
                        tilt_deg=tilt,
                        psi_deg=psi,
                        label=one.get("name").text(),
                    )
                )
        return tuple(particles)


def _nearest_turn(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    u, _, v = np.linalg.svd(matrix)
    turn: NDArray[np.float64] = u @ np.diag([1.0, 1.0, math.copysign(1.0, float(np.linalg.det(u @ v)))]) @ v
    return turn
