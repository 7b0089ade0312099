"""Series of a Warp project into our record: tomostars, the XML of each, settings, stacks, tomograms and particles."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric.core import (
    Alignment,
    FormatError,
    InputError,
    TiltAlignment,
    TiltSeries,
    is_file,
)
from eucentric.io.exchange.collecting import Collecting
from eucentric.io.exchange.records import Imported, ProcessedSeries, SeriesFiles, Volume
from eucentric.io.exchange.star import StarBlock, median, numbers, read_star, texts, unread
from eucentric.io.exchange.warp_images import FoundImages, find_images, open_or_none
from eucentric.io.exchange.warp_particles import with_particles
from eucentric.io.exchange.warp_series import tilt_series
from eucentric.io.exchange.warp_xml import Settings, WarpXML, floats, number, numbers_of, read_settings, read_xml
from eucentric.optics import HandVerdict, Lens, SeriesCTF, TiltCTF

_PARTS = ("tomostar", "warp_tiltseries")  # of a project, as WarpTools calls them
_TOLD_LOG_ODDS = 3.0  # as sure as what may just be relied on: Warp does not say how sure it was


def middle_xy_px(shape_yx: tuple[int, int]) -> NDArray[np.float64]:
    """Return how far our origin, the sample n // 2, lies from Warp's, n / 2, in pixels along x and y."""
    return np.array([n // 2 - n / 2 for n in reversed(shape_yx)])


def read_project(path: Path) -> Imported:
    """Read all series below a folder, or of one file."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder.", "Check the path.")
    if path.is_dir() and path.name in _PARTS and any(path.parent.glob("*.settings")):
        path = path.parent  # a part of a project stands for all of it
    if path.is_dir():
        stars = sorted([*path.glob("*.tomostar"), *path.glob("*/*.tomostar")])
        xmls = sorted([*path.glob("*.xml"), *path.glob("*/*.xml")])
        folder = path
    else:
        folder = path.parent.parent if path.parent.name in _PARTS else path.parent
        stars = [
            p for p in (folder / "tomostar" / f"{path.stem}.tomostar", path.with_suffix(".tomostar")) if p.is_file()
        ]
        xmls = [p for p in (folder / "warp_tiltseries" / f"{path.stem}.xml", path.with_suffix(".xml")) if p.is_file()]
    read, sizes = Collecting(), dict[str, Sequence[float] | None]()
    settings = read_settings(folder, read.dropped)
    by_name: dict[str, dict[str, Path]] = {}
    for kind, found in (("star", stars), ("xml", xmls)):
        for file in found:
            if by_name.setdefault(file.stem, {}).setdefault(kind, file) != file and path.is_dir():
                read.dropped.append(f"{file}: not read; another file of this name was.")
    for name, files in by_name.items():
        reader = _Reader(name, folder, files.get("star"), files.get("xml"), settings)
        with read.reading(reader, "Name the files that Warp wrote last."):
            one = reader.read()
            read.series += [one] if one is not None else []
            sizes[name] = reader.volume_xyz_A
    if not read.series and not read.failures:
        raise InputError(f"{path}: there is no tilt series of Warp here.", "Name the folder that has tomostar/ in it.")
    if path.is_dir():
        read.series, told = with_particles(folder, read.series, sizes)
        read.dropped += told
    read.dropped += settings.unread() if settings else []
    return read.imported()


class _Reader:
    """Reads one series; `dropped` has then what was not read, and `volume_xyz_A` how large its volume is to be."""

    def __init__(self, name: str, folder: Path, star: Path | None, xml: Path | None, settings: Settings | None) -> None:
        self.name, self._folder, self._star, self._xml_path, self._settings = name, folder, star, xml, settings
        self.source = xml or star or folder
        self.dropped: list[str] = []
        self.volume_xyz_A: Sequence[float] | None = None

    def read(self) -> ProcessedSeries | None:
        xml = read_xml(self._xml_path) if self._xml_path else None
        path = self._xml_path if xml and self._xml_path else self._star
        if path is None:
            return None  # the XML of a movie, say
        blocks = read_star(self._star) if self._star else {}
        table = next(iter(blocks.values()), None)
        angles = floats(path, xml, "Angles") if xml else [-t for t in self._column(table, "wrpAngleTilt", 1, None)]
        n = len(angles)
        if xml is None:
            angles = [-angle for angle in angles]
        if table is not None and len(table) != n:
            self.dropped.append(f"{self._star}: {len(table)} tilts, {path} has {n}; the first was not read.")
            table = None
        stage = [-a for a in (self._column(table, "wrpAngleTilt", n, None) if table else angles)]
        doses = self._column(table, "wrpDose", n, 0.0)
        if xml and table is None:
            doses = floats(path, xml, "Dose", n, 0.0)
        axis_deg = median(self._star, table, "wrpAxisAngle", self.dropped) if table and self._star else None
        movies = self._movies(table, xml, n)
        if xml and table:
            self._compare(path, xml, doses, movies)
        size_A = self._size_A(path, xml, "ImageDimensionsAngstrom", 2)
        self.volume_xyz_A = self._size_A(path, xml, "VolumeDimensionsAngstrom", 3)
        stacks = self._below(f"tiltstack/{_plain(self.name)}/*.st")
        images = find_images(self._folder, stacks, movies, n, size_A, self.dropped) or self._none(path, xml, size_A)
        series = tilt_series(self.name, images.pixel_A, images.shape_yx, stage, doses, axis_deg, movies)
        alignment = self._alignment(path, xml, series, angles) if xml else None
        ctf = self._ctf(path, xml, alignment) if xml and alignment else None
        if ctf:
            series = series.replace(voltage_kV=ctf.lens.voltage_kV)
        volume, tomograms = self._volume()
        if self._star:
            self.dropped += unread(self._star, blocks)
        if xml:
            self.dropped += xml.unread(path)
        return ProcessedSeries(
            series=series,
            alignment=alignment,
            ctf=ctf,
            volume=volume,
            files=images.files.replace(**tomograms),
        )

    def _column(self, table: StarBlock | None, label: str, n: int, default: float | None) -> list[float]:
        if table is None or self._star is None:
            return [default or 0.0] * n
        return numbers(self._star, table, label, default)

    def _movies(self, table: StarBlock | None, xml: WarpXML | None, n: int) -> list[str]:
        """Return the path of each movie as the series names it; none where it does not."""
        if table and self._star and "wrpMovieName" in table.columns:
            movies = texts(self._star, table, "wrpMovieName")
        else:
            movies = list(xml.texts.get("MoviePath", ())) if xml else []
        return movies if len(movies) == n else []

    def _compare(self, path: Path, xml: WarpXML, doses: Sequence[float], movies: Sequence[str]) -> None:
        """Tell where the XML has not what the tomostar has, which is read."""
        told = [number(text) for text in xml.texts.get("Dose", map(str, doses))]
        if len(told) != len(doses) or any(a is None or abs(a - b) > 1e-3 for a, b in zip(told, doses, strict=True)):
            self.dropped.append(f"{path}: <Dose> is not what {self._star} says, which was read.")
        if list(xml.texts.get("MoviePath", movies)) != list(movies):
            self.dropped.append(f"{path}: <MoviePath> is not what {self._star} says, which was read.")

    def _size_A(self, path: Path, xml: WarpXML | None, name: str, count: int) -> Sequence[float] | None:
        told = xml.attributes.get(name) if xml else None
        size_A = numbers_of(told, count)
        if told and size_A is None:
            self.dropped.append(f"{path}: {name} is not {count} numbers; it was not read.")
        return size_A

    def _none(self, path: Path, xml: WarpXML | None, size_A: Sequence[float] | None) -> FoundImages:
        """Return pixel and shape as they are told where there is no image."""
        # The CTF's pixel is 1 Å before ts_ctf, and that of binned images after it.
        pixel_A = number(self._settings.said.get("PixelSize", "")) if self._settings else None
        pixel_A = pixel_A or (number(xml.ctf.get("PixelSize", "")) if xml else None)
        if (
            not size_A
            or not pixel_A
            or not 0.01 <= pixel_A <= 1e3
            or not all(pixel_A <= side <= 1e8 for side in size_A)
        ):
            raise FormatError(
                f"{path}: nothing tells the size and the pixel of the images.",
                "Put the averages of its movies where Warp has them (warp_frameseries/average/), or run ts_stack.",
            )
        columns, rows = (max(1, round(side / pixel_A)) for side in size_A)
        return FoundImages(SeriesFiles(), pixel_A, (rows, columns))

    def _below(self, pattern: str) -> list[Path]:
        return sorted([*self._folder.glob(pattern), *self._folder.glob(f"*/{pattern}")])

    def _alignment(self, path: Path, xml: WarpXML, series: TiltSeries, angles: Sequence[float]) -> Alignment:
        n = len(angles)
        used = [text.lower() == "true" for text in xml.texts.get("UseTilt", ("True",) * n)]
        if len(used) != n:
            raise FormatError(f"{path}: <UseTilt> is not a list of {n} values.", "Name the .xml that Warp wrote last.")
        axis = floats(path, xml, "AxisAngle", n, 0.0)
        x = np.array(floats(path, xml, "AxisOffsetX", n, 0.0)) - self._per_tilt(path, xml, "GridMovementX", n)
        y = np.array(floats(path, xml, "AxisOffsetY", n, 0.0)) - self._per_tilt(path, xml, "GridMovementY", n)
        middle_A = middle_xy_px(series.shape_yx) * series.pixel_A
        level_x, level_y = (number(xml.attributes.get(f"LevelAngle{axis}", "0")) or 0.0 for axis in "XY")
        return Alignment(
            pixel_A=series.pixel_A,
            shape_yx=series.shape_yx,
            tilts=tuple(
                TiltAlignment(
                    section=i,
                    tilt_deg=-(angles[i] + level_y),
                    x_tilt_deg=level_x,
                    axis_deg=axis[i],
                    shift_yx_A=(float(y[i] - middle_A[1]), float(x[i] - middle_A[0])),
                    used=used[i],
                    reason="" if used[i] else "left out by Warp (UseTilt)",
                )
                for i in range(n)
            ),
        )

    def _per_tilt(self, path: Path, xml: WarpXML, tag: str, n: int) -> NDArray[np.float64]:
        """Return a grid's value for each tilt: the mean over the image."""
        grid = xml.grids.get(tag)
        if grid is None:
            return np.zeros(n)
        means = grid.reshape(grid.shape[0], -1).mean(axis=1)
        if len(means) not in (1, n):
            self.dropped.append(f"{path}: <{tag}> has {len(means)} nodes for {n} tilts; it was not read.")
            return np.zeros(n)
        local = float(np.abs(grid - means.reshape(-1, *[1] * (grid.ndim - 1))).max())
        if local > 1e-6:
            self.dropped.append(f"{path}: <{tag}> is not the same everywhere; up to {local:g} were left out.")
        return np.broadcast_to(means, n)

    def _ctf(self, path: Path, xml: WarpXML, alignment: Alignment) -> SeriesCTF | None:
        n = len(alignment.tilts)
        mean = self._per_tilt(path, xml, "GridCTF", n)
        if not np.any(mean):
            return None  # Warp's default, 0, before ts_ctf
        delta, angle, phase = (
            self._per_tilt(path, xml, f"GridCTF{what}", n) for what in ("DefocusDelta", "DefocusAngle", "Phase")
        )
        resolution = number(xml.attributes.get("CTFResolutionEstimate", "")) or 0.0
        values = {"voltage_kV": "Voltage", "cs_mm": "Cs", "cc_mm": "Cc", "amplitude_contrast": "Amplitude"}
        told = {field: number(xml.ctf[name]) for field, name in values.items() if name in xml.ctf}
        tilts = tuple(
            TiltCTF(
                section=view.section,
                tilt_deg=view.tilt_deg,
                defocus_u_A=1e4 * (mean[i] + abs(delta[i]) / 2),
                defocus_v_A=1e4 * (mean[i] - abs(delta[i]) / 2),
                azimuth_deg=float(angle[i] + (90 if delta[i] < 0 else 0)),
                phase_shift_deg=180 * float(phase[i]),
                fit_resolution_A=resolution if resolution > 0 else None,
                score=0.0,
                used=view.used,
                reason=view.reason,
            )
            for i, view in enumerate(alignment.tilts)
        )
        inverted = xml.attributes.get("AreAnglesInverted", "False").lower() == "true"
        return SeriesCTF(
            lens=Lens(**{"amplitude_contrast": 0.07} | {k: v for k, v in told.items() if v is not None}),
            pixel_A=alignment.pixel_A,
            axis_deg=float(np.mean([view.axis_deg for view in alignment.tilts])),
            tilts=tilts,
            hand=HandVerdict(hand=-1 if inverted else 1, log_odds=_TOLD_LOG_ODDS),
        )

    def _volume(self) -> tuple[Volume | None, dict[str, Path]]:
        """Return the grid of the tomogram, and where it lies; so those of even and odd frames, made with it."""
        found = self._below(f"reconstruction/{_plain(self.name)}_*Apx.mrc")
        for path in found:
            image = open_or_none(path)
            if image is not None and image.pixel_A:
                if len(found) > 1:
                    self.dropped.append(f"{path}: of {len(found)} tomograms, this one was taken.")
                z, y, x = image.data.shape
                halves = {f"tomogram_{half}": path.parent / half / path.name for half in ("even", "odd")}
                there = {kind: half for kind, half in halves.items() if is_file(half)}
                return Volume(shape_zyx=(z, y, x), voxel_A=image.pixel_A), {"tomogram": path} | there
        return None, {}


def _plain(name: str) -> str:
    """Return a name for `Path.glob`, which takes some letters for patterns."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
