"""Commands of the camera: taking images, and the parameters with which they are taken."""

import re
from dataclasses import replace

from eucentric.core import make_folder
from eucentric.twin.serialem.bench import Bench, set_letter
from eucentric.twin.serialem.errors import NotSimulatedError, SEMerror
from eucentric.twin.serialem.registry import command
from eucentric.twin.serialem.setting_up import AREA_OF, Letter

# Bits of the frame name's format, as SetFrameNameFormat has them: those that the twin follows.
_NUMBER, _TILT = 0x40, 0x400
_ROTATION_AND_FLIP = 0.0
_PHYSICAL_PIXEL_UM = 5.0


class CameraCommands:
    """Camera sets: V(iew), F(ocus), T(rial), R(ecord), L or P (Preview), S(earch)."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._base = ""
        self._format = _NUMBER
        self._number = 0
        bench.frame_name = self._frame_name

    # --- images

    def _take(self, letter: Letter) -> None:
        self._bench.arrive(self._bench.shoot(letter))
        self._bench.check_time()

    @command("Record", "R")
    def record(self) -> None:
        """Take a Record image."""
        self._take("R")

    @command("View", "V")
    def view(self) -> None:
        """Take a View image."""
        self._take("V")

    @command("Focus", "F")
    def focus(self) -> None:
        """Take a Focus image."""
        self._take("F")

    @command("Trial", "T")
    def trial(self) -> None:
        """Take a Trial image."""
        self._take("T")

    @command("Preview", "L")
    def preview(self) -> None:
        """Take a Preview image, of the Record area."""
        self._take("L")

    @command("Search")
    def search(self) -> None:
        """Take a Search image."""
        self._take("S")

    # --- parameters

    def _change(self, letter: Letter, **changes: object) -> None:
        sets = self._bench.now_sets
        sets[letter] = replace(sets[letter], **changes)  # type: ignore[arg-type]

    @command("SetExposure")
    def set_exposure(self, name: str, seconds: float, settling_s: float | None = None) -> None:
        """Set exposure time and settling."""
        if seconds <= 0:
            raise SEMerror(f"SetExposure: an exposure of {seconds:g} s is none")
        letter = set_letter(name)
        self._change(letter, exposure_s=seconds)
        if settling_s is not None:
            self._change(letter, settling_s=settling_s)

    @command("SetBinning")
    def set_binning(self, name: str, binning: float) -> None:
        """Set the binning."""
        if binning < 1 or binning != round(binning):
            raise SEMerror(f"SetBinning: {binning:g} is no binning of this camera")
        self._change(set_letter(name), binning=round(binning))

    @command("SetFrameTime")
    def set_frame_time(self, name: str, seconds: float) -> float:
        """Set the time of a frame, and return it."""
        if seconds <= 0:
            raise SEMerror(f"SetFrameTime: a frame of {seconds:g} s is none")
        self._change(set_letter(name), frame_s=seconds)
        return seconds

    @command("SetDoseFracParams")
    def set_frames(self, name: str, fractionates: int, saves: int | None = None, *_: int) -> None:
        """Set whether frames are saved."""
        if saves is not None:
            self._change(set_letter(name), saves_frames=bool(fractionates and saves))

    @command("SetCameraArea")
    def set_area(self, name: str, first: str, *rest: int) -> None:
        """Set which part of the camera is read: F(ull), H(alf), Q(uarter), wide ones, or from left to bottom."""
        columns, rows = self._bench.camera_xy()
        letter, word = set_letter(name), first.strip().upper()
        parts = {
            "F": None,
            "H": (columns // 2, rows // 2),
            "Q": (columns // 4, rows // 4),
            "WH": (columns, rows // 2),
            "WQ": (columns // 2, rows // 4),
        }
        if word in parts:
            self._change(letter, size_xy=parts[word])
            return
        try:
            left, right, top, bottom = int(first), *rest
        except ValueError:
            raise SEMerror(f"SetCameraArea: {first!r} is no part of the camera") from None
        if left + right not in (columns, columns - 1) or top + bottom not in (rows, rows - 1):
            raise NotSimulatedError("SetCameraArea: the twin reads parts about the camera's middle only")
        self._change(letter, size_xy=(right - left, bottom - top))

    @command("SetCenteredSize")
    def set_centred(self, name: str, binning: float, columns: int, rows: int) -> None:
        """Set a part of the camera about its middle, in binned pixels."""
        self.set_binning(name, binning)
        self._change(set_letter(name), size_xy=(columns, rows))

    @command("RestoreCameraSet")
    def restore(self, name: str = "") -> None:
        """Set one camera set, or all, as they were at first."""
        for letter in [set_letter(name)] if name else list(AREA_OF):
            self._bench.now_sets[letter] = self._bench.sets[letter]

    @command("ReportExposure")
    def exposure(self, name: str) -> tuple[float, float]:
        """Return exposure time and settling."""
        chosen = self._bench.now_sets[set_letter(name)]
        return chosen.exposure_s, chosen.settling_s

    @command("ReportBinning")
    def binning(self, name: str) -> float:
        """Return the binning."""
        return float(self._bench.now_sets[set_letter(name)].binning)

    @command("CameraProperties")
    def properties(self, *_: int) -> tuple[float, ...]:
        """Return the camera's size, how it lies, the size of its pixels and theirs on the specimen (nm), its number."""
        columns, rows = self._bench.camera_xy()
        return columns, rows, _ROTATION_AND_FLIP, _PHYSICAL_PIXEL_UM, self._bench.pixel_A() / 10, 1.0

    @command("ReportCurrentPixelSize")
    def pixel(self, name: str) -> float:
        """Return the pixel of a camera set's images (nm)."""
        letter = set_letter(name)
        return self._bench.pixel_A(AREA_OF[letter]) / 10 * self._bench.now_sets[letter].binning

    # --- movies

    @command("SetFrameBaseName")
    def set_base(self, keep: int, in_files: int, in_folders: int, name: str) -> None:
        """Set how names of movies begin."""
        self._base = name if in_files != 0 else ""

    @command("SetFrameNameFormat")
    def set_format(self, keep: int, how: int, bits: int) -> None:
        """Set bits of the names' format, clear them, or give all."""
        self._format = bits if how < 0 else self._format | bits if how else self._format & ~bits

    @command("ReportFrameNameFormat")
    def format(self) -> float:
        """Return the bits of the names' format."""
        return float(self._format)

    @command("ReportFrameBaseName")
    def base(self) -> tuple[float | str, ...]:
        """Return whether names begin with something, and with what."""
        return (1.0, self._base) if self._base else (0.0,)

    @command("ReportFrameSavingPath")
    def path(self) -> str:
        """Return the folder of movies."""
        return str(self._bench.frames_folder)

    @command("SetFolderForFrames")
    def set_path(self, folder: str) -> None:
        """Set the folder of movies, below the one that the rehearsal gave."""
        place = (self._bench.frames_folder / folder).resolve()
        if not place.is_relative_to(self._bench.folder.parent.resolve()):
            raise NotSimulatedError(f"SetFolderForFrames: {folder} is outside the rehearsal's own folder")
        self._bench.frames_folder = make_folder(place)

    @command("ReportLastFrameFile")
    def last(self) -> tuple[str, str, str]:
        """Return path, folder and name of the last movie."""
        movie = self._bench.last_movie
        if movie is None:
            raise SEMerror("No frame file has been saved")
        return str(movie), str(movie.parent), movie.name

    def _frame_name(self) -> str:
        parts = [self._base] if self._base else []
        if self._format & _NUMBER or not parts:
            self._number += 1
            parts.append(f"{self._number:04d}")
        if self._format & _TILT:
            parts.append(f"{self._bench.scope.stage().tilt_deg:.1f}")
        return re.sub(r"[^\w.+-]", "_", "_".join(parts))
