"""Commands of the Navigator that tie its items to images: points and polygons, groups, maps, and where they lie."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from eucentric.io.navigator import NavItem
from eucentric.twin.serialem.bench import Bench
from eucentric.twin.serialem.buffers import Buffer
from eucentric.twin.serialem.errors import SEMerror
from eucentric.twin.serialem.files import FileCommands
from eucentric.twin.serialem.geometry import UM, Array
from eucentric.twin.serialem.navigator import NavigatorCommands, group_of, id_of, numbered
from eucentric.twin.serialem.placing import centre_um, in_image, is_inside, on_stage, stage2image, stage_um, tilted
from eucentric.twin.serialem.registry import command
from eucentric.twin.serialem.scripting import ScriptCommands
from eucentric.twin.serialem.setting_up import AREA_OF, SETS

_NO_Z = -990.0  # SerialEM's for a Z that is not given
_CIRCLE = 40  # corners of a circle: chosen


class MapCommands:
    """Pixels of an image are counted from its left edge and its top; places are the stage's, in µm."""

    def __init__(
        self, bench: Bench, navigator: NavigatorCommands, files: FileCommands, scripting: ScriptCommands
    ) -> None:
        self._bench, self._nav, self._files, self._scripting = bench, navigator, files, scripting

    # --- between images and the stage

    @command("AdjustStagePosForNav")
    def adjusted(
        self, x: float, y: float, shift_x: float = 0.0, shift_y: float = 0.0, camera: int = -1, mag: int = -1,
        tilt_deg: float | None = None,
    ) -> tuple[float, ...]:  # fmt: skip
        """Return where an item lies that is centred with the stage here and this image shift."""
        seen = self._bench.geometry.is2specimen @ (shift_x, shift_y)
        tilt = self._bench.scope.stage().tilt_deg if tilt_deg is None else tilt_deg
        return tuple((np.array([x, y]) + stage_um(self._bench, seen, tilt)).tolist())

    @command("BufImagePosToStagePos")
    def to_stage(self, buffer: str, actual: int, x: float, y: float) -> tuple[float, ...]:
        """Return the place at a pixel of an image; piece and place in it are -1, for it is no montage."""
        places = on_stage(self._bench, self._bench.buffer(buffer), np.array([[x, y]]))
        return (*(places[0] + self._here(actual)).tolist(), -1.0, -1.0, -1.0)

    @command("StagePosToBufImagePos")
    def to_image(self, buffer: str, actual: int, x: float, y: float) -> tuple[float, ...]:
        """Return the pixel of an image at a place."""
        place = np.array([x, y]) - self._here(actual)
        return tuple(in_image(self._bench, self._bench.buffer(buffer), place[None])[0].tolist())

    @command("StageToBufImageMatrix")
    def stage_matrix(self, buffer: str, actual: int) -> tuple[float, ...]:
        """Return the matrix from places to an image's pixels, and the offset."""
        matrix, offset = stage2image(self._bench, self._bench.buffer(buffer))
        return (*matrix.ravel().tolist(), *(offset - matrix @ self._here(actual)).tolist())

    @command("BufImageToStageMatrix")
    def image_matrix(self, buffer: str, actual: int) -> tuple[float, ...]:
        """Return the matrix from an image's pixels to places, and the offset."""
        matrix, offset = stage2image(self._bench, self._bench.buffer(buffer))
        back = np.linalg.inv(matrix)
        return (*back.ravel().tolist(), *(self._here(actual) - back @ offset).tolist())

    def _here(self, actual: int) -> Array:
        """Return what a place of the Navigator becomes where the image is shifted now, and 0 unless that is asked."""
        if not actual:
            return np.zeros(2)
        return -stage_um(self._bench, self._bench.specimen_um(), self._bench.scope.stage().tilt_deg)

    @command("ReportItemImageCoords")
    def item_in_image(self, number: int = 0, buffer: str = "A") -> tuple[float, ...]:
        """Return where an item lies in an image, and whether it is inside; -1 if nobody knows."""
        image = self._bench.buffer(buffer)
        try:
            pixels = in_image(self._bench, image, np.array([self._item(number).stage_xyz_um[:2]]))
        except SEMerror:
            return 0.0, 0.0, -1.0
        return (*pixels[0].tolist(), float(is_inside(image, pixels)[0]))

    # --- points and polygons

    @command("AddImagePosAsNavPoint")
    def add_image_point(
        self, buffer: str, x: float, y: float, z: float = _NO_Z, group: int = 0, quiet: int = 0
    ) -> float:
        """Add what lies at a pixel of an image as a point, and return its index."""
        image = self._bench.buffer(buffer)
        place = on_stage(self._bench, image, np.array([[x, y]]))[0]
        return self._nav.add("point", (*place.tolist(), self._z(image, z)), group=group, drawn_on=image.map_id)

    def _z(self, image: Buffer, given: float) -> float:
        return given if given > _NO_Z else centre_um(self._bench, image)[1]

    @command("AddImagePointsAsPolygon")
    def add_image_polygon(self, buffer: str, x: str, y: str, z: float = _NO_Z, quiet: int = 0) -> float:
        """Add pixels of an image, in two variables, as a polygon, and return its index."""
        image = self._bench.buffer(buffer)
        corners = on_stage(self._bench, image, self._points(x, y))
        return self._polygon(corners, self._z(image, z), image.map_id)

    @command("AddStagePointsAsPolygon")
    def add_polygon(self, x: str, y: str, z: float, quiet: int = 0) -> float:
        """Add places, in two variables, as a polygon, and return its index."""
        return self._polygon(self._points(x, y), z)

    @command("AddCirclePolygon")
    def add_circle(self, radius_um: float, x: float | None = None, y: float | None = None) -> float:
        """Add a circle about a place as a polygon, and return its index."""
        if x is None or y is None:
            raise SEMerror("AddCirclePolygon: there is no marker; give X and Y")
        turn = 2 * np.pi * np.arange(_CIRCLE) / _CIRCLE
        corners = np.array([x, y]) + radius_um * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        return self._polygon(corners, self._bench.scope.stage().z_A / UM)

    def _points(self, x: str, y: str) -> Array:
        columns = [self._scripting.numbers(name) for name in (x, y)]
        if len(columns[0]) != len(columns[1]):
            raise SEMerror(f"{x} has {len(columns[0])} numbers and {y} has {len(columns[1])}; they need as many")
        return np.array(columns).T

    def _polygon(self, corners: Array, z: float, drawn_on: int = 0) -> float:
        if len(corners) < 3:
            raise SEMerror(f"A polygon has three corners or more, not {len(corners)}")
        if not np.allclose(corners[0], corners[-1]):
            corners = np.concatenate([corners, corners[:1]])
        middle = corners[:-1].mean(axis=0).tolist()
        return self._nav.add("polygon", (*middle, z), extra=_corners(corners), drawn_on=drawn_on)

    @command("GetItemPointArray")
    def corners(self, number: int, x: str, y: str) -> None:
        """Put the corners of an item into two variables."""
        item = self._item(number)
        for name, key, only in zip((x, y), ("PtsX", "PtsY"), item.stage_xyz_um[:2], strict=True):
            self._scripting.set_variable(name, "\n".join(item.extra.get(key, f"{only:.6g}").split()))

    # --- groups

    @command("GetNavGroupStageCoords")
    def group_on_stage(self, group: int, x: str, y: str, z: str = "") -> float:
        """Put the places of a group's points into variables, and return how many there are."""
        places = self._group(group)
        for name, values in zip((x, y, z), places.T, strict=True):
            if name:
                self._scripting.set_numbers(name, values.tolist())
        return float(len(places))

    @command("GetNavGroupImageCoords")
    def group_in_image(self, group: int, buffer: str, x: str, y: str) -> float:
        """Put where a group's points lie in an image into variables; return how many it has, -1 if nobody knows."""
        image = self._bench.buffer(buffer)
        try:
            pixels = in_image(self._bench, image, self._group(group)[:, :2])
        except SEMerror:
            return -1.0
        inside = pixels[is_inside(image, pixels)]
        for name, values in zip((x, y), inside.T, strict=True):
            self._scripting.set_numbers(name, values.tolist())
        return float(len(inside))

    def _group(self, group: int) -> Array:
        places = [
            item.stage_xyz_um for item in self._nav.items if item.kind == "point" and group_of(item) == group != 0
        ]
        return np.array(places).reshape(-1, 3)

    @command("ReportGroupStatus")
    def group_status(self) -> tuple[float, ...]:
        """Return -1, for nothing acquires at items; the current item's group, its items, and those to be acquired."""
        group = group_of(self._item(0))
        items = [item for item in self._nav.items if group_of(item) == group != 0]
        return -1.0, float(group), float(len(items)), float(sum(item.acquire for item in items))

    # --- maps

    @command("NewMap")
    def new_map(self, how: int | None = None, text: str = "") -> float:
        """Make A a map, saved where it is not yet; note it with a text or beside the usual one; return its index."""
        bench = self._bench
        centre, z = centre_um(bench, bench.buffer("A"))
        if bench.buffer("A").saved_in is None:
            self._files.save("A")
        image = bench.buffer("A")
        path, section = image.saved_in or (Path(), 0)
        usual = f"Sec {section} - {path.name}"
        note = usual if how is None else text if how == 0 else f"{text} {usual}" if how < 0 else f"{usual} {text}"
        columns, rows = image.shown_xy
        edges = np.array([(0, 0), (columns, 0), (columns, rows), (0, rows), (0, 0)], dtype=float)
        matrix, _ = stage2image(bench, image)
        low, high, _ = image.counts
        extra = _corners(on_stage(bench, image, edges)) | {
            "MapMontage": "0",
            "MapMagInd": str(bench.mag_index(AREA_OF[image.camera_set])),
            "MapCamera": "0",
            "MapScaleMat": " ".join(f"{value:.6g}" for value in matrix.ravel()),
            "MapWidthHeight": f"{columns} {rows}",
            "MapMinMaxScale": f"{low:g} {high:g}",
            "MapFramesXY": "0 0",
            "MapBinning": str(image.binning * bench.binning_factor()),
            "MapExposure": f"{image.exposure_s:g}",
            "MapTiltAngle": f"{image.tilt_deg:.2f}",
            "MapLDConSet": str(SETS.index(image.camera_set)),
        }
        index = self._nav.add(
            "map", (*centre.tolist(), z), note=note.strip(), map_file=str(path), map_section=section, extra=extra
        )
        bench.buffers["A"] = replace(image, map_id=id_of(self._nav.items[-1]))
        return index

    @command("NavIndexItemDrawnOn")
    def drawn_on(self, number: int) -> float:
        """Return the index of the map that an item was drawn on, 0 if it was on none."""
        drawn = numbered(self._item(number), "DrawnID")
        maps = [at for at, item in enumerate(self._nav.items, 1) if item.kind == "map" and id_of(item) == drawn != 0]
        return float(maps[0]) if maps else 0.0

    @command("GetMapIndexes")
    def maps(self, name: str) -> float:
        """Put the indexes of all maps into a variable, and return how many there are."""
        found = [at for at, item in enumerate(self._nav.items, 1) if item.kind == "map"]
        self._scripting.set_numbers(name, found)
        return float(len(found))

    @command("RealignToMapDrawnOn")
    def realign_to_drawn(self, number: int, restore: int) -> None:
        """Realign to the map that an item was drawn on, and shift the image to the item."""
        item, on = self._item(number), round(self.drawn_on(number))
        if not on:
            raise SEMerror(f"Navigator item {item.label} was not drawn on a map")
        self._nav.realign_to(on)
        away = np.subtract(item.stage_xyz_um, self._nav.items[on - 1].stage_xyz_um)[:2]
        tilt = tilted(self._bench.scope.stage().tilt_deg)
        to_um = self._bench.specimen_um() + tilt @ self._bench.geometry.stage2specimen @ away
        if not self._bench.can_shift_to(to_um):
            raise SEMerror(f"The image shift to item {item.label} is beyond the limit")
        self._bench.set_specimen_um(to_um)

    def _item(self, number: int) -> NavItem:
        return self._nav.items[self._nav.index(number)]


def _corners(places: Array) -> dict[str, str]:
    x, y = (" ".join(f"{value:.6f}" for value in values) for values in places.T)
    return {"NumPts": str(len(places)), "PtsX": x, "PtsY": y}
