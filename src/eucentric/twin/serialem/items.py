"""Commands of the Navigator's table and file: groups, values that scripts give to items, and acquisition at items."""

import numpy as np

from eucentric.twin.serialem.bench import Bench
from eucentric.twin.serialem.errors import SEMerror
from eucentric.twin.serialem.navigator import NavigatorCommands, group_of
from eucentric.twin.serialem.registry import command
from eucentric.twin.serialem.stage import StageCommands

_USER_VALUES = 8
_FARTHEST_UM = 100.0
_NOT_ACQUIRING = "The Navigator is not acquiring at items: a rehearsal runs one script, as by hand"


class ItemCommands:
    """Items are numbered from 1; 0 is the current one, and -1 the last."""

    def __init__(self, bench: Bench, navigator: NavigatorCommands, stage: StageCommands) -> None:
        self._bench, self._nav, self._stage = bench, navigator, stage

    def _note(self, number: int, key: str, value: str) -> None:
        """Set what an item says beside its own fields; "" takes it away."""
        at = self._nav.index(number)
        extra = {name: said for name, said in self._nav.items[at].extra.items() if name != key}
        self._nav.items[at] = self._nav.items[at].replace(extra=extra | ({key: value} if value else {}))

    # --- the file

    @command("ReportIfNavOpen")
    def is_open(self) -> float:
        """Return 2 if the Navigator is open, with a file to save to as it always has here; 0 if it is closed."""
        return 2.0 if self._nav.is_open else 0.0

    @command("ReportNavFile")
    def file(self, parts: int = 0) -> str | tuple[str, ...]:
        """Return the Navigator's file: whole, or its root, extension, folder and name."""
        self._must_be_open()
        path = self._nav.path
        if not parts:
            return str(path)
        return str(path.with_suffix("")), path.suffix, f"{path.parent}/", path.stem

    @command("OpenNavigator")
    def open(self, name: str = "") -> None:
        """Open the Navigator without items, with a file to save to."""
        if self._nav.is_open and self._nav.items:
            raise SEMerror("The Navigator is open already, with items")
        self._nav.is_open = True
        if name:
            self._nav.path = self._nav.place_of(name)

    @command("CloseNavigator")
    def close(self) -> None:
        """Close the Navigator, which forgets its items; where they were not saved, ask whether to."""
        self._must_be_open()
        if self._nav.items != self._nav.saved:
            answer = self._bench.ask("CloseNavigator", "Save changes to Navigator file before closing?", ("yes", "no"))
            if answer == "yes":
                self._nav.save()
        self._nav.items, self._nav.is_open = [], False

    def _must_be_open(self) -> None:
        if not self._nav.is_open:
            raise SEMerror("The Navigator is not open")

    # --- items

    @command("GetUniqueNavID")
    def unique(self) -> float:
        """Return a number that no item has."""
        return float(self._nav.new_id())

    @command("ChangeItemDraw")
    def set_draw(self, number: int, draw: int | None = None) -> None:
        """Set whether an item is drawn, or change it; the navigator file says so."""
        hidden = self._nav.items[self._nav.index(number)].extra.get("Draw") == "0"
        self._note(number, "Draw", "" if (hidden if draw is None else draw) else "0")

    @command("ChangeItemGroupID")
    def set_group(self, number: int, group: int) -> None:
        """Put an item into a group; 0 takes it out of its."""
        if group < 0:
            raise SEMerror(f"ChangeItemGroupID: a group's number is not negative, as {group} is")
        self._note(number, "GroupID", str(group) if group else "")

    @command("UpdateGroupZ")
    def set_group_z(self, following: int = 0) -> None:
        """Give all items of the current one's group the stage's height."""
        if following:
            raise SEMerror(_NOT_ACQUIRING)
        group, z = group_of(self._nav.items[self._nav.index(0)]), self._stage.place()[2]
        if not group:
            raise SEMerror("UpdateGroupZ: the current item is in no group")
        for at, item in enumerate(self._nav.items):
            if group_of(item) == group:
                self._nav.items[at] = item.replace(stage_xyz_um=(*item.stage_xyz_um[:2], z))

    @command("SetNavRegistration")
    def set_registration(self, number: int) -> None:
        """Set the registration that new items get."""
        self._nav.registration = number

    @command("ChangeItemRegistration")
    def change_registration(self, number: int, to: int) -> None:
        """Change an item's registration."""
        at = self._nav.index(number)
        self._nav.items[at] = self._nav.items[at].replace(registration=to)

    @command("ShiftItemsByMicrons")
    def shift(self, x: float, y: float, registration: int = -1, stored: int = 0) -> None:
        """Shift all items of a registration, with their corners."""
        if max(abs(x), abs(y)) >= _FARTHEST_UM:
            raise SEMerror(f"ShiftItemsByMicrons: ({x:g}, {y:g}) is farther than {_FARTHEST_UM:g} microns")
        wanted = self._nav.registration if registration < 0 else registration
        for at, item in enumerate(self._nav.items):
            if item.registration == wanted:
                here = item.stage_xyz_um
                moved = {
                    key: " ".join(f"{float(value) + by:.6f}" for value in item.extra[key].split())
                    for key, by in (("PtsX", x), ("PtsY", y))
                    if key in item.extra
                }
                place = (here[0] + x, here[1] + y, here[2])
                self._nav.items[at] = item.replace(stage_xyz_um=place, extra=item.extra | moved)

    @command("SetNavItemUserValue")
    def set_user_value(self, number: int, which: int, text: str = "") -> None:
        """Give an item a text, one of eight; without one, take it away."""
        self._note(number, self._user_key(which), text.strip())

    @command("ReportItemUserValue")
    def user_value(self, number: int, which: int) -> str:
        """Return a text that an item was given, or "none"."""
        return self._nav.items[self._nav.index(number)].extra.get(self._user_key(which), "none")

    def _user_key(self, which: int) -> str:
        if not 1 <= which <= _USER_VALUES:
            raise SEMerror(f"An item has user values 1 to {_USER_VALUES}, not {which}")
        return f"UserValue{which}"

    @command("FindItemWithLabelOrNote")
    def find(self, note: int, text: str, x: float | None = None, y: float | None = None) -> tuple[float, ...]:
        """Return index and place of the nearest item whose label, or note, begins with a text; 0 if there is none."""
        self._must_be_open()
        here = self._stage.xy_um() if x is None or y is None else np.array([x, y])
        found = [
            (float(np.hypot(*(np.array(item.stage_xyz_um[:2]) - here))), at, item)
            for at, item in enumerate(self._nav.items, 1)
            if (item.note if note else item.label).startswith(text.strip())
        ]
        if not found:
            return 0.0, 0.0, 0.0
        _, at, item = min(found, key=lambda one: one[:2])
        return float(at), *item.stage_xyz_um[:2]

    @command("SuspendNavRedraw")
    def suspend(self, on: int = 1) -> None:
        """Leave the table on the screen as it is for now; there is none."""
        return

    # --- acquisition at items

    @command("ReportNumNavAcquire")
    def to_acquire(self) -> tuple[float, float]:
        """Return how many items are to be acquired, and none as tilt series; -1 where the Navigator is closed."""
        if not self._nav.is_open:
            return -1.0, -1.0
        return float(sum(item.acquire for item in self._nav.items)), 0.0

    @command("ReportIfNavAcquiring")
    def acquiring(self) -> tuple[float, float]:
        """Return that the Navigator is not acquiring at items: a rehearsal runs one script, as by hand."""
        return 0.0, 0.0

    @command("SkipAcquiringNavItem")
    def skip(self) -> None:
        """Write to the log that there is nothing to skip: it has an effect before an acquisition at items only."""
        self._bench.log.add(f"SkipAcquiringNavItem has no effect: {_NOT_ACQUIRING}")

    @command("EndAcquireAtItems", "SkipAcquiringGroup", "ReportNextNavAcqItem")
    def needs_acquisition(self, *_: int) -> None:
        """Fail as SerialEM does where the Navigator is not acquiring at items."""
        raise SEMerror(_NOT_ACQUIRING)
