"""`BenchControls`: the simulated SerialEM's own state: time, dialogs, lenses and buffers; all but taking images."""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import FrameType

import numpy as np

from eucentric.microscope import Microscope
from eucentric.twin.serialem.answers import Answers
from eucentric.twin.serialem.buffers import LETTERS, ROLLED, Array, Buffer
from eucentric.twin.serialem.doings import Asked, Refused, Taken
from eucentric.twin.serialem.errors import NotSimulatedError, RehearsalStop, SEMerror
from eucentric.twin.serialem.geometry import UM, Geometry, ours_A, specimen_um
from eucentric.twin.serialem.log import ScriptLog
from eucentric.twin.serialem.setting_up import Area, CameraSet, Letter, Settings, usual_areas
from eucentric.twin.twin import Twin

_COUNTS, _MOST_COUNTS, _MOST_E_A2 = 16.0, 20_000.0, 100.0  # for an electron; of a pixel, at the strongest exposure
LOWEST_MAG_INDEX = 17  # the first above low magnification on a Krios, which scripts test for


@dataclass(eq=False)
class BenchControls:
    """SerialEM as it stands.

    Attributes
    ----------
    scope, twin
        The microscope that commands are done on; the twin in it, for what is true.
    folder, frames_folder
        SerialEM's working directory, and where movies are saved.
    sets
        Camera parameter sets as they were at first; `now_sets` are those of now.
    tilt_axis_offset_um
        The calibrated offset of the tilt axis, in specimen Y.
    max_s
        Most time of the microscope's clock that a script may take.
    seed
        Of errors of what is told from the truth.
    script
        The file that runs.
    beam_um
        Where the beam lies from the image's centre, in specimen coordinates.
    last_movie, last_frames
        The movie that was saved last, and how many frames it has.
    shown
        The buffer that SerialEM shows.
    focus_zero_um
        The lens's focus that SerialEM's readout calls 0.
    counts_per_electron
        In SerialEM's images: as cameras have it, or fewer where coarse pixels would else fill 16 bits.
    view_e_A2_per_s
        What View and Search give.
    """

    scope: Microscope
    twin: Twin
    folder: Path
    frames_folder: Path
    sets: dict[Letter, CameraSet]
    answers: Answers
    log: ScriptLog
    tilt_axis_offset_um: float = 0.0
    max_s: float = 48 * 3600.0
    seed: int = 0
    script: str = ""
    settings: Settings = field(default_factory=Settings)
    areas: dict[Letter, Area] = field(init=False)
    now_sets: dict[Letter, CameraSet] = field(init=False)
    area: Letter = field(init=False, default="R")
    geometry: Geometry = field(init=False)
    buffers: dict[str, Buffer] = field(init=False, default_factory=dict)
    taken: list[Taken] = field(init=False, default_factory=list)
    asked: list[Asked] = field(init=False, default_factory=list)
    refused: list[Refused] = field(init=False, default_factory=list)
    calls: Counter[str] = field(init=False, default_factory=Counter)
    target_defocus_um: float | None = field(init=False, default=None)
    beam_um: Array = field(init=False, default_factory=lambda: np.zeros(2))
    frame_name: Callable[[], str] = field(init=False, default=lambda: "")
    prior_dose: Callable[[], float | None] = field(init=False, default=lambda: None)
    last_movie: Path | None = field(init=False, default=None)
    last_frames: int = field(init=False, default=0)
    shown: str = field(init=False, default="A")
    focus_zero_um: float = field(init=False, default=0.0)
    quiet_errors: bool = field(init=False, default=False)
    busy: bool = field(init=False, default=False)
    started: datetime | None = field(init=False, default=None)
    counts_per_electron: float = field(init=False)
    view_e_A2_per_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.areas = usual_areas(self.twin.pixel_A)
        self.now_sets = dict(self.sets)
        self.counts_per_electron = min(_COUNTS, _MOST_COUNTS / (_MOST_E_A2 * self.twin.pixel_A**2))
        self.settings.camera["countsperelectron"] = self.counts_per_electron
        self.view_e_A2_per_s = self.twin.settings.view_exposure_e_A2
        self.geometry = Geometry(self.twin.told_axis_deg)
        self._made = self.scope.now()
        self._received: dict[str, float] = {}

    # --- time, and the script

    def start(self) -> None:
        """Begin the script: what was exposed before is told by how long before it was."""
        self.started = self.scope.now()
        before_s = (self.started - self._made).total_seconds()
        self.taken = [one.replace(began_s=one.began_s - before_s) for one in self.taken]

    def elapsed_s(self) -> float:
        """Return the microscope's time since the script began, or before that since the bench was made."""
        return (self.scope.now() - (self.started or self._made)).total_seconds()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.scope.wait(seconds)
        self.check_time()

    def check_time(self) -> None:
        """Stop a script that takes longer than it may."""
        if self.elapsed_s() > self.max_s:
            raise RehearsalStop(
                f"the script has taken more than the {self.max_s / 3600:g} hours of the microscope's time that it was "
                "given (--max-hours)"
            )

    def line(self) -> int | None:
        """Return the line that the script is at, None outside it."""
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            if frame.f_code.co_filename == self.script:
                return frame.f_lineno
            frame = frame.f_back
        return None

    def ask(self, command: str, text: str, choices: tuple[str, ...], otherwise: str | None = None) -> str:
        """Raise a dialog and return its answer, one of the choices where there are any."""
        answer, by = self.answers.answer(command, text, choices, otherwise, self.line())
        asked = Asked(command=command, text=text, answer=answer, by=by, line=self.line(), at_s=self.elapsed_s())
        self.asked.append(asked)
        self.log.add(f"[{command}] {text} -> {answer}")
        return answer

    # --- lenses and stage

    def now_area(self) -> Area:
        """Return the low-dose area that the lenses are in."""
        return self.areas[self.area]

    def pixel_A(self, letter: Letter | None = None) -> float:
        """Return the unbinned pixel in an area."""
        return self.twin.pixel_A * self.areas[letter or self.area].coarser

    def mag_index(self, letter: Letter) -> int:
        """Return SerialEM's index of an area's magnification."""
        steps = sorted({area.magnification for area in self.areas.values()})
        return LOWEST_MAG_INDEX + steps.index(self.areas[letter].magnification)

    def area_at(self, mag_index: int) -> Letter:
        """Return an area of this magnification index, the current one for 0.

        Raises
        ------
        SEMerror
            If none has it.
        """
        if mag_index == 0:
            return self.area
        for letter in (self.area, *self.areas):
            if self.mag_index(letter) == mag_index:
                return letter
        known = ", ".join(str(one) for one in sorted({self.mag_index(letter) for letter in self.areas}))
        raise NotSimulatedError(f"Magnification index {mag_index}: the twin has {known} only")

    def binning_factor(self) -> int:
        """Return by what SerialEM's own files multiply binnings: they count from super-resolution where there is."""
        return 2 if self.settings.camera.get("k2type", 0.0) > 0 else 1

    def camera_xy(self) -> tuple[int, int]:
        """Return the camera's size in X and Y."""
        rows, columns = self.twin.shape_yx
        return columns, rows

    def camera_matrix(self) -> Array:
        """Return the matrix from specimen coordinates to the camera's pixels in this area."""
        return self.geometry.specimen2camera(self.pixel_A())

    def go_to(self, letter: Letter) -> None:
        """Bring the lenses to a low-dose area."""
        if letter == self.area:
            return
        specimen, before = self.specimen_um(), self.now_area()
        self.area = letter
        after = self.now_area()
        if after.defocus_offset_um != before.defocus_offset_um:
            change_um = after.defocus_offset_um - before.defocus_offset_um
            self.scope.set_defocus_A(self.scope.defocus_A() - change_um * UM)
        if after.axis_um != before.axis_um:
            self.set_specimen_um(specimen)

    def specimen_um(self) -> Array:
        """Return the image shift in specimen coordinates, without what area and tilt-axis offset add to it."""
        return specimen_um(self.scope.image_shift_A()) - self._added_um()

    def set_specimen_um(self, to_um: Array) -> None:
        """Shift the image, and the beam with it.

        Raises
        ------
        SEMerror
            If it is beyond what the lenses can.
        """
        self.scope.set_image_shift_A(ours_A(np.asarray(to_um) + self._added_um()))
        self.put_beam()

    def put_beam(self) -> None:
        """Bring the beam to where it lies from the image's centre."""
        image, off = self.scope.image_shift_A(), ours_A(self.beam_um)
        self.scope.set_beam_shift_A((image[0] + off[0], image[1] + off[1]))

    def can_shift_to(self, to_um: Array) -> bool:
        """Return whether SerialEM would shift the image so far (property ImageShiftLimit)."""
        return float(np.linalg.norm(to_um)) <= self.settings.properties["imageshiftlimit"]

    def _added_um(self) -> Array:
        on_axis = self.settings.user.get("shifttotiltaxis", 0.0) != 0
        return np.array([self.now_area().axis_um, self.tilt_axis_offset_um * on_axis])

    def focus_um(self) -> float:
        """Return the lens's focus as SerialEM tells it: µm, underfocus negative."""
        return -self.scope.defocus_A() / UM - self.focus_zero_um

    def set_focus_um(self, to_um: float) -> None:
        """Set the lens's focus."""
        self.scope.set_defocus_A(-(to_um + self.focus_zero_um) * UM)

    # --- images

    def buffer(self, letter: str) -> Buffer:
        """Return the image in a buffer, named by its letter or by its number.

        Raises
        ------
        SEMerror
            If there is none.
        """
        name = self.buffer_name(letter)
        if name not in self.buffers:
            raise SEMerror(f"There is no image in buffer {name}")
        return self.buffers[name]

    def buffer_name(self, letter: str) -> str:
        """Return a buffer's letter, of letter or number as scripts name it."""
        text = letter.strip().upper()
        if text.isdecimal() and 1 <= int(text) <= len(LETTERS):
            return LETTERS[int(text) - 1]
        if len(text) != 1 or text not in LETTERS:
            raise SEMerror(f"{letter!r} is no buffer: they are A to {LETTERS[-1]}")
        return text

    def arrive(self, image: Buffer) -> None:
        """Put a new image into A; those before it move on."""
        for at in range(ROLLED - 1, 0, -1):
            if LETTERS[at - 1] in self.buffers:
                self.buffers[LETTERS[at]] = self.buffers[LETTERS[at - 1]]
        self.buffers["A"] = image
        self.shown = "A"
