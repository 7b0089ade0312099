"""Commands of the Navigator: its items, going there, and realigning to their maps."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from eucentric.core import EucentricError, stream
from eucentric.io.navigator import NavItem, read_navigator, write_navigator
from eucentric.twin.serialem.bench import Bench
from eucentric.twin.serialem.buffers import Buffer
from eucentric.twin.serialem.camera import CameraCommands
from eucentric.twin.serialem.errors import SEMerror
from eucentric.twin.serialem.files import READ, FileCommands
from eucentric.twin.serialem.images import ImageCommands
from eucentric.twin.serialem.registry import command
from eucentric.twin.serialem.scripting import ScriptCommands
from eucentric.twin.serialem.setting_up import AREA_OF, SETS
from eucentric.twin.serialem.stage import StageCommands

Kind = Literal["point", "polygon", "map"]
_KINDS: tuple[Kind, ...] = ("point", "polygon", "map")
_REALIGNS = 2  # images taken, so that what a large shift leaves is taken out too: chosen


class NavigatorCommands:
    """Items are numbered from 1; the current one is the first to be acquired, until a script chooses another."""

    def __init__(
        self,
        bench: Bench,
        items: tuple[NavItem, ...],
        path: Path,
        stage: StageCommands,
        camera: CameraCommands,
        images: ImageCommands,
        files: FileCommands,
        scripting: ScriptCommands,
    ) -> None:
        self._bench, self.items, self.path = bench, list(items), path
        self._stage, self._camera, self._images, self._files, self._scripting = stage, camera, images, files, scripting
        self._ids = 0
        self.is_open, self.registration = True, 1
        self.saved: list[NavItem] | None = None
        self._current = next((at for at, item in enumerate(self.items) if item.acquire), 0)

    def index(self, number: int | None) -> int:
        """Return where an item stands in `items`, by SerialEM's number: 0 the current one, -1 the last."""
        if not self.is_open:
            raise SEMerror("The Navigator is not open")
        if not self.items:
            raise SEMerror("There is no Navigator item")
        if number is None or number == 0:
            return self._current
        at = number - 1 if number > 0 else len(self.items) + number
        if not 0 <= at < len(self.items):
            raise SEMerror(f"There is no Navigator item {number}; there are {len(self.items)}")
        return at

    # --- what there is

    @command("ReportNavItem")
    def report(self) -> tuple[float, ...]:
        """Return the current item's index, stage place and kind; tell the rest in variables."""
        return self.report_other(self.index(None) + 1)

    @command("ReportOtherItem")
    def report_other(self, number: int) -> tuple[float, ...]:
        """Return an item's index, stage place and kind; tell the rest in variables."""
        at = self.index(number)
        item = self.items[at]
        digits = "".join(letter for letter in item.label if letter.isdigit())
        self._scripting.variables |= {
            "navlabel": item.label,
            "navnote": item.note,
            "navindex": float(at + 1),
            "navintlabel": float(digits or 0),
            "navregis": float(item.registration),
            "navcolor": float(item.color),
            "navnumholes": float(item.acquire),
        }
        return float(at + 1), *item.stage_xyz_um, float(_KINDS.index(item.kind))

    @command("ReportNumTableItems")
    def count(self) -> float:
        """Return how many items there are."""
        return float(len(self.items))

    @command("NavIndexWithLabel")
    def with_label(self, label: str) -> float:
        """Return the index of the item with this label, 0 if there is none."""
        return self._found("label", label)

    @command("NavIndexWithNote")
    def with_note(self, note: str) -> float:
        """Return the index of the item with this note, 0 if there is none."""
        return self._found("note", note)

    def _found(self, what: str, text: str) -> float:
        wanted = text.strip().lower()
        for at, item in enumerate(self.items, 1):
            if getattr(item, what).strip().lower() == wanted:
                return float(at)
        return 0.0

    @command("ReportItemAcquire")
    def acquire(self, number: int | None = None) -> float:
        """Return whether an item is to be acquired."""
        return float(self.items[self.index(number)].acquire)

    # --- changes

    def _change(self, number: int | None, **changes: object) -> None:
        at = self.index(number)
        self.items[at] = self.items[at].replace(**changes)

    @command("SetItemAcquire")
    def set_acquire(self, number: int | None = None, acquire: int = 1) -> None:
        """Set whether an item is to be acquired."""
        self._change(number, acquire=bool(acquire))

    @command("ChangeItemNote")
    def set_note(self, number: int, note: str = "") -> None:
        """Change an item's note."""
        self._change(number, note=note)

    @command("ChangeItemLabel")
    def set_label(self, number: int, label: str) -> None:
        """Change an item's label."""
        self._change(number, label=label[:16])

    @command("ChangeItemColor")
    def set_color(self, number: int, color: int) -> None:
        """Change an item's colour."""
        self._change(number, color=color)

    @command("UpdateItemZ")
    def update_z(self, number: int | None = None) -> None:
        """Give an item the stage's height."""
        x, y, _ = self.items[self.index(number)].stage_xyz_um
        self._change(number, stage_xyz_um=(x, y, self._stage.place()[2]))

    @command("SetSelectedNavItem")
    def select(self, number: int, *_: int) -> None:
        """Make an item the current one."""
        self._current = self.index(number)

    @command("AddStagePosAsNavPoint")
    def add_point(self, x: float, y: float, z: float, group: int = 0, quiet: int = 0) -> float:
        """Add a point, and return its index."""
        return self.add("point", (x, y, z), group=group)

    def add(
        self, kind: Kind, stage_xyz_um: tuple[float, float, float], *, group: int = 0, drawn_on: int = 0,
        extra: dict[str, str] | None = None, **told: Any,
    ) -> float:  # fmt: skip
        """Add an item with a label and a number of its own, and return its index."""
        if not self.is_open:
            raise SEMerror("The Navigator is not open")
        marks = {"GroupID": group, "DrawnID": drawn_on, "MapID": self.new_id()}
        extra = (extra or {}) | {key: str(value) for key, value in marks.items() if value}
        labels = [int(item.label) for item in self.items if item.label.isdecimal()]
        item = NavItem(
            label=str(max([len(self.items), *labels]) + 1),
            kind=kind,
            stage_xyz_um=stage_xyz_um,
            registration=self.registration,
            extra=extra,
            **told,
        )
        self.items.append(item)
        return float(len(self.items))

    def new_id(self) -> int:
        """Return a number that no item has as its own or its group's, and none was given."""
        used = {numbered(item, key) for item in self.items for key in ("MapID", "GroupID", "DrawnID")}
        while True:
            self._ids += 1
            drawn = stream(self._bench.seed, "serialem", "navigator", self._ids).integers(1_000_000, 1_000_000_000)
            if int(drawn) not in used:
                return int(drawn)

    @command("DeleteNavigatorItem")
    def delete(self, number: int | None = None) -> None:
        """Delete an item."""
        del self.items[self.index(number)]
        self._current = min(self._current, max(0, len(self.items) - 1))

    @command("SaveNavigator")
    def save(self, name: str = "") -> None:
        """Write the items to their file, or to another."""
        if name:
            self.path = self.place_of(name)
        try:
            write_navigator(self.path, self.items)
        except EucentricError as error:
            raise SEMerror(str(error)) from error
        self.saved = list(self.items)

    def place_of(self, name: str) -> Path:
        """Return the path of a file that a script names."""
        return self._files.path(name)

    @command("ReadNavFile")
    def read(self, name: str) -> None:
        """Take the items of a file in place of those that there are."""
        self.items, self._current = self._read(name), 0
        self.path, self.is_open, self.saved = self._files.path(name), True, list(self.items)

    @command("MergeNavFile")
    def merge(self, name: str) -> None:
        """Add the items of a file."""
        self.items += self._read(name)

    def _read(self, name: str) -> list[NavItem]:
        try:
            return list(read_navigator(self._files.path(name)))
        except EucentricError as error:
            raise SEMerror(str(error)) from error

    # --- going there

    @command("MoveToNavItem")
    def move_to(self, number: int | None = None) -> None:
        """Move the stage to an item, image shift at 0."""
        x, y, z = self.items[self.index(number)].stage_xyz_um
        self._bench.set_specimen_um(self._bench.specimen_um() * 0)
        self._stage.move_to(x, y, z)

    @command("LoadNavMap")
    def load(self, buffer: str = READ) -> None:
        """Load the current item's map."""
        self.load_other(0, buffer)

    @command("LoadOtherMap")
    def load_other(self, number: int, buffer: str = READ) -> None:
        """Load an item's map."""
        item = self.items[self.index(number)]
        if item.kind != "map" or not item.map_file:
            raise SEMerror(f"Navigator item {item.label} is no map")
        self._files.read_other(item.map_section, buffer, item.map_file)
        name = self._bench.buffer_name(READ if buffer.strip() == "-1" else buffer)
        image = replace(self._bench.buffer(name), map_id=id_of(item))
        self._bench.buffers[name] = image if image.readback is not None else self._as_told(image, item)

    def _as_told(self, image: Buffer, item: NavItem) -> Buffer:
        """Return a map that was not taken here, with what its item says of it."""
        bench, told = self._bench, item.extra
        mag_index, set_number = numbered(item, "MapMagInd"), numbered(item, "MapLDConSet", -1)
        image = replace(image, centre_um=item.stage_xyz_um, tilt_deg=_number(told.get("MapTiltAngle"), image.tilt_deg))
        if not mag_index:
            return image
        area = bench.area_at(mag_index)
        binning = max(1, numbered(item, "MapBinning", 1) // bench.binning_factor())
        letters = [letter for letter in AREA_OF if SETS.index(letter) == set_number]
        return replace(
            image,
            camera_set=letters[0] if letters else area,
            binning=binning,
            pixel_A=bench.pixel_A(area) * binning,
            magnification=bench.areas[area].magnification,
            exposure_s=_number(told.get("MapExposure"), image.exposure_s),
        )

    @command("RealignToNavItem")
    def realign(self, restore: int = 0, *_: float) -> None:
        """Move to the current item, and shift the image until it shows what its map does."""
        self.realign_to(self._current + 1, restore)

    @command("RealignToOtherItem")
    def realign_to(self, number: int, restore: int = 0, *_: float) -> None:
        """Move to an item, and shift the image until it shows what its map does."""
        item = self.items[self.index(number)]
        self.load_other(number, READ)
        self.move_to(number)
        kept = self._bench.buffer(READ)
        for _again in range(_REALIGNS):
            self._bench.arrive(self._bench.shoot(kept.camera_set))
            self._images.align_to(READ)
        self._bench.log.add(f"Realigned to {item.label}")

    @command("AcquireToMatchBuffer")
    def acquire_to_match(self, buffer: str) -> None:
        """Take an image as another one was taken."""
        like = self._bench.buffer(buffer)
        name = like.camera_set
        self._camera.set_exposure(name, like.exposure_s or self._bench.now_sets[name].exposure_s)
        self._camera.set_binning(name, like.binning)
        try:
            image = self._bench.shoot(name)
        finally:
            self._camera.restore(name)
        self._bench.arrive(image.cropped(*like.shown_xy))


def numbered(item: NavItem, key: str, otherwise: int = 0) -> int:
    """Return a whole number that an item says, such as DrawnID; 0 where it says none."""
    return round(_number(item.extra.get(key), otherwise))


def group_of(item: NavItem) -> int:
    """Return the number of an item's group, 0 if it is in none."""
    return numbered(item, "GroupID")


def id_of(item: NavItem) -> int:
    """Return an item's own number, 0 if it has none."""
    return numbered(item, "MapID")


def _number(text: str | None, otherwise: float) -> float:
    try:
        return otherwise if text is None else float(text)
    except ValueError:
        return otherwise
