"""`Bench`: the simulated SerialEM's own state, and its hold on the microscope underneath.

Groups of commands share one bench. All that reaches the specimen goes through here to the `Microscope`, so that faults
strike, and is told beside the truth, which no command but `Bench.true_shift_A` sees.
"""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import FrameType

import numpy as np
from numpy.typing import NDArray

from eucentric.core import stream
from eucentric.io.movies import write_movie
from eucentric.microscope import ExposureRequest, Microscope, Readback, ShiftYX
from eucentric.twin.serialem.answers import Answers
from eucentric.twin.serialem.buffers import LETTERS, ROLLED, Array, Buffer, TruePlace
from eucentric.twin.serialem.doings import Asked, Refused, Taken
from eucentric.twin.serialem.errors import RehearsalStop, SEMerror
from eucentric.twin.serialem.geometry import UM, Geometry, ours_A, specimen_um
from eucentric.twin.serialem.log import ScriptLog
from eucentric.twin.serialem.setting_up import (
    AREA_OF,
    AREA_ORDER,
    PURPOSES,
    Area,
    CameraSet,
    Letter,
    Settings,
    usual_areas,
)
from eucentric.twin.twin import Twin

COUNTS_PER_ELECTRON = 16.0
_NOMINAL_PX = 16  # a side of the images that stand for those that a twin without pixels does not make
_SEEN_ERROR_A = 15.0  # of an alignment that is told from the truth, rms along each axis: that of `workflow.TwinEyes`
_NEAR_FIELDS = 1.0  # farther than so many of its fields from the nearest target, an image is of none


@dataclass(eq=False)
class Bench:
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

    def __post_init__(self) -> None:
        self.areas = usual_areas(self.twin.pixel_A)
        self.now_sets = dict(self.sets)
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

    def camera_xy(self) -> tuple[int, int]:
        """Return the camera's size in X and Y."""
        rows, columns = self.twin.shape_yx
        return columns, rows

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

    def shoot(self, letter: Letter, *, beam_tilt_mrad: float | None = None) -> Buffer:
        """Expose with a camera set, in its low-dose area; return the image, which is not in a buffer yet.

        Parameters
        ----------
        letter
            The camera set.
        beam_tilt_mrad
            The beam's tilt along the tilt axis during it, where other than it is.
        """
        self.go_to(AREA_OF[letter])
        chosen = self.now_sets[letter]
        if chosen.settling_s:
            self.wait(chosen.settling_s)
        if not self.scope.beam_on():
            raise SEMerror("The column valves are closed: there is no beam to take an image with")
        if beam_tilt_mrad is not None:
            before = self.scope.beam_tilt_mrad()
            self.scope.set_beam_tilt_mrad((before[0] + beam_tilt_mrad, before[1]))
            try:
                return self._shot(letter, chosen)
            finally:
                self.scope.set_beam_tilt_mrad(before)
        return self._shot(letter, chosen)

    def _shot(self, letter: Letter, chosen: CameraSet) -> Buffer:
        pixel_A, (columns, rows) = self.pixel_A(), self.camera_xy()
        began_s, number = self.elapsed_s(), self.twin.exposures
        movie: Path | None = None
        frames = 1
        try:
            if letter in "VS":
                image = self.scope.view(pixel_A * max(rows, columns), max(rows, columns))
                readback, pixels = image.readback, image.pixels
            else:
                frames = max(1, round(chosen.exposure_s / chosen.frame_s)) if chosen.frame_s else 1
                dose = chosen.exposure_s * self.twin.routine.dose_rate_e_A2_per_s
                request = ExposureRequest(exposure_e_A2=dose, frames=frames, purpose=PURPOSES[letter])
                taken = self.scope.expose(request)
                readback, pixels = taken.readback, self._summed(taken.frames)
                frames = len(taken.frames)
                if chosen.saves_frames:
                    movie = self._save_movie(taken.frames, pixel_A)
        finally:
            # Whatever became of the image, the specimen may have been exposed.
            for made in range(number, self.twin.exposures):
                self._tell(letter, made, began_s)
        return self._buffer(letter, chosen, readback, pixels, movie, frames)

    def _buffer(
        self,
        letter: Letter,
        chosen: CameraSet,
        readback: Readback,
        pixels: NDArray[np.float32],
        movie: Path | None,
        frames: int,
    ) -> Buffer:
        columns, rows = (n // chosen.binning for n in self.camera_xy())
        if not self.twin.pixels:
            mean = COUNTS_PER_ELECTRON * readback.dose_rate_e_px_s * readback.seconds
            pixels = np.full((_NOMINAL_PX, _NOMINAL_PX), mean, np.float32)
        elif chosen.binning > 1:
            n = chosen.binning
            pixels = pixels[: rows * n, : columns * n].reshape(rows, n, columns, n).sum((1, 3))
        whole = np.clip(np.rint(pixels), -32768, 32767).astype(np.int16)
        last = self.twin.last
        image = Buffer(
            pixels=whole,
            pixel_A=self.pixel_A() * chosen.binning,
            shown_xy=(columns, rows),
            camera_set=letter,
            binning=chosen.binning,
            exposure_s=chosen.exposure_s,
            exposure_e_A2=readback.exposure_e_A2,
            tilt_deg=readback.tilt_deg,
            axis_deg=readback.axis_deg,
            magnification=self.now_area().magnification,
            readback=readback,
            truth=TruePlace(last, self.twin.centre_zyx_A(last)) if last is not None else None,
            counts=(float(whole.min()), float(whole.max()), float(whole.mean())),
            movie=movie,
            frames=frames if movie is not None else 0,
            taken=self.twin.exposures - 1,
            prior_e_A2=self.prior_dose() if letter == "R" else None,
        )
        return image.cropped(*chosen.size_xy) if chosen.size_xy else image

    def _summed(self, frames: NDArray[np.unsignedinteger]) -> NDArray[np.float32]:
        """Return the sum of frames as SerialEM shows it: corrected for the gain, in counts; dead pixels are even."""
        if frames.shape[1:] == (0, 0):
            return np.zeros((0, 0), np.float32)
        gain = self.twin.sensor.gain_reference
        total = frames.sum(axis=0, dtype=np.float32)
        alive = gain > 0
        corrected = total * gain * np.float32(COUNTS_PER_ELECTRON)
        return np.asarray(np.where(alive, corrected, corrected[alive].mean()), dtype=np.float32)

    def _save_movie(self, frames: NDArray[np.unsignedinteger], pixel_A: float) -> Path:
        name = self.frame_name() or f"frames_{self.twin.exposures:04d}"
        path, more = self.frames_folder / f"{name}.tif", 0
        while path.exists():  # a camera never overwrites a movie
            more += 1
            path = self.frames_folder / f"{name}_{more}.tif"
        if frames.shape[1:] != (0, 0):
            write_movie(path, frames, pixel_A)
        self.last_movie, self.last_frames = path, len(frames)
        return path

    # --- the truth

    def _tell(self, letter: Letter, number: int, began_s: float) -> None:
        truth = self.twin.last
        if truth is None or truth.number != number:
            return
        away_A = self.twin.seen_yx_A(truth, truth.site)
        near_A = max(self.twin.shape_yx) * self.pixel_A() * _NEAR_FIELDS
        is_aimed = letter == "R" or float(np.hypot(*away_A)) <= near_A
        received = {site.name: self.twin.received_e_A2(site.name) for site in self.twin.sites}
        hit = {name: now - self._received.get(name, 0.0) for name, now in received.items()}
        self._received = received
        self.taken.append(
            Taken(
                number=number,
                camera_set=letter,
                before=self.started is None,
                place=truth.site if is_aimed else "",
                hit={name: dose for name, dose in hit.items() if dose > 0},
                tilt_deg=self.scope.stage().tilt_deg,
                exposure_e_A2=truth.exposure_e_A2,
                received_e_A2=truth.pre_exposure_e_A2 + truth.exposure_e_A2,
                off_yx_A=away_A if is_aimed else None,
                defocus_A=truth.defocus_A,
                wanted_defocus_A=None if self.target_defocus_um is None else -self.target_defocus_um * UM,
                began_s=began_s,
                line=self.line(),
            )
        )

    def saved(self, image: Buffer, file: str, section: int) -> None:
        """Note where an image was saved."""
        for at in range(len(self.taken) - 1, -1, -1):
            if self.taken[at].number == image.taken:
                self.taken[at] = self.taken[at].replace(file=file, section=section)
                return

    def true_shift_A(self, reference: Buffer, image: Buffer) -> ShiftYX:
        """Return where the centre of a reference lies in an image, along and across the axis, but for an error.

        This stands for a correlation where the twin makes no pixels.
        """
        if reference.truth is None or image.truth is None:
            raise SEMerror("An image of a twin without pixels cannot be aligned to one that it did not take")
        before, now = reference.truth, image.truth
        y, x = self.twin.seen_yx_A(now.exposure, before.exposure.site, before.centre_zyx_A)
        sigma_A = _SEEN_ERROR_A / max(np.cos(np.deg2rad(image.tilt_deg)), 0.2)
        off = sigma_A * stream(self.seed, "serialem", "align", sum(self.calls.values())).standard_normal(2)
        return y + float(off[0]), x + float(off[1])


def area_letter(text: str) -> Letter:
    """Return a low-dose area by the letter that scripts use.

    Raises
    ------
    SEMerror
        If there is none.
    """
    letter = text.strip().upper()[:1]
    for known in AREA_ORDER:
        if letter == known:
            return known  # type: ignore[return-value]
    raise SEMerror(f"{text!r} is no low-dose area: they are V, F, T, R and S")


def set_letter(text: str) -> Letter:
    """Return a camera set by the letter that scripts use; Preview is L or P.

    Raises
    ------
    SEMerror
        If there is none.
    """
    letter = text.strip().upper()[:1]
    letter = "L" if letter == "P" else letter
    for known in AREA_OF:
        if letter == known:
            return known
    raise SEMerror(f"{text!r} is no camera parameter set: they are V, F, T, R, L (Preview) and S")
