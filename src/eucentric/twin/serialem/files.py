"""Commands of files: image stacks with their .mdoc, and which are open."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np

from eucentric.core import EucentricError
from eucentric.io.mdoc_writer import MdocImage
from eucentric.io.serialem_stack import SerialemStack
from eucentric.twin.serialem.bench import Bench
from eucentric.twin.serialem.buffers import Buffer
from eucentric.twin.serialem.errors import NotSimulatedError, SEMerror
from eucentric.twin.serialem.geometry import UM, specimen_um
from eucentric.twin.serialem.registry import command
from eucentric.twin.serialem.setting_up import INTENSITY_PERCENT, SPOT

READ = "M"
"""The buffer that images are read into where a script names none; SerialEM's own default."""

Result = TypeVar("Result")


class FileCommands:
    """Image files, numbered from 1 as they were opened; the last one opened is the current one."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._open: list[SerialemStack] = []
        self._current = -1
        self.overwrites = False
        self._kept: dict[tuple[Path, int], Buffer] = {}
        self.written: list[str] = []

    def path(self, name: str) -> Path:
        """Return a file's path, from the working directory where it is relative."""
        return (self._bench.folder / name.strip().replace("\\", "/")).resolve()

    def _stack(self) -> SerialemStack:
        if not self._open:
            raise SEMerror("There is no image file open")
        return self._open[self._current]

    def keep(self, path: Path, section: int, image: Buffer) -> None:
        """Remember how an image in a file was taken."""
        self._kept[path.resolve(), section] = image

    # --- opening and closing

    @command("OpenNewFile")
    def open_new(self, name: str) -> None:
        """Open a new file."""
        path = self.path(name)
        if any(stack.path == path for stack in self._open):
            raise SEMerror(f"The file {name} is open already")
        if path.exists():
            if not self.overwrites:
                raise SEMerror(f"The file {name} exists already, and AllowFileOverwrite is not set")
            path.unlink()
            path.with_name(path.name + ".mdoc").unlink(missing_ok=True)
        for key in [key for key in self._kept if key[0] == path]:
            del self._kept[key]
        twin = self._bench.twin
        self._add(
            _told(
                lambda: SerialemStack.create(
                    path, voltage_kV=twin.lens.voltage_kV, tilt_axis_deg=self._bench.geometry.axis_deg
                )
            )
        )
        self.written.append(path.name)

    @command("OpenOldFile")
    def open_old(self, name: str) -> None:
        """Open a file that exists; where it is open, make it the current one."""
        path = self.path(name)
        for at, stack in enumerate(self._open):
            if stack.path == path:
                self._current = at
                return
        if not path.is_file():
            raise SEMerror(f"The file {name} does not exist")
        self._add(_told(lambda: SerialemStack.open(path)))

    def _add(self, stack: SerialemStack) -> None:
        self._open.append(stack)
        self._current = len(self._open) - 1

    @command("CloseFile")
    def close(self, must: str = "") -> None:
        """Close the current file; the one opened before becomes it."""
        if not self._open:
            if must:
                raise SEMerror("There is no file open to close")
            return
        del self._open[self._current]
        self._current = len(self._open) - 1

    @command("AllowFileOverwrite")
    def allow_overwrite(self, allowed: int) -> None:
        """Let new files replace old ones, or not."""
        self.overwrites = bool(allowed)

    @command("SetNewFileType")
    def set_type(self, kind: int, *_: int) -> None:
        """Set the type of new files: 0, MRC, is the only one here."""
        if kind != 0:
            raise NotSimulatedError("SetNewFileType: the twin writes MRC files (0) only")

    @command("SwitchToFile")
    def switch(self, number: int) -> None:
        """Make another file the current one."""
        if not 1 <= number <= len(self._open):
            raise SEMerror(f"There is no open file {number}")
        self._current = number - 1

    @command("ReportFileNumber")
    def number(self) -> float:
        """Return the current file's number, -1 if none is open."""
        return float(self._current + 1) if self._open else -1.0

    @command("ReportFileZsize")
    def sections(self) -> float:
        """Return how many images the current file has."""
        return float(self._stack().sections)

    @command("ReportCurrentFilename")
    def name(self, *_: float) -> tuple[str, str, str]:
        """Return the current file's path, its root and its extension."""
        path = self._stack().path
        return str(path), str(path.with_suffix("")), path.suffix

    @command("ReportNumOpenFiles")
    def count(self) -> float:
        """Return how many files are open."""
        return float(len(self._open))

    @command("ReportOpenImageFile")
    def name_of(self, number: int, parts: int = 0) -> str | tuple[str, str, str]:
        """Return an open file's path, or its root and its extension with it."""
        if not 1 <= number <= len(self._open):
            raise SEMerror(f"There is no open file {number}")
        path = self._open[number - 1].path
        return (str(path), str(path.with_suffix("")), path.suffix) if parts else str(path)

    @command("IsImageFileOpen")
    def is_open(self, name: str) -> float:
        """Return whether a file is open."""
        return float(any(stack.path == self.path(name) for stack in self._open))

    # --- images

    def save_alone(self, buffer: str, name: str) -> None:
        """Save an image in a file of its own, which is not open afterwards; the current file stays so."""
        current = self._current
        self.open_new(name)
        try:
            self.save(buffer)
        finally:
            self.close()
            self._current = current

    @command("Save", "S")
    def save(self, buffer: str = "A", number: int | None = None) -> None:
        """Append an image to the current file, or to another open one."""
        if number is not None and number > 0:
            if number > len(self._open):
                raise SEMerror(f"There is no open file {number}")
            stack = self._open[number - 1]
        else:
            stack = self._stack()
        image = self._bench.buffer(buffer)
        section = _told(lambda: stack.append(image.pixels, self._described(image)))
        image = replace(image, saved_in=(stack.path, section))
        self._bench.buffers[self._bench.buffer_name(buffer)] = image
        self.keep(stack.path, section, image)
        self._bench.saved(image, stack.path.name, section)

    @command("ReadFile")
    def read(self, section: int, buffer: str = READ) -> None:
        """Read an image of the current file into a buffer."""
        self._read(self._stack(), section, buffer)

    @command("ReadOtherFile")
    def read_other(self, section: int, buffer: str, name: str) -> None:
        """Read an image of a file that is not open."""
        path = self.path(name)
        if not path.is_file():
            raise SEMerror(f"The file {name} does not exist")
        self._read(_told(lambda: SerialemStack.open(path)), section, READ if buffer.strip() == "-1" else buffer)

    def _read(self, stack: SerialemStack, section: int, buffer: str) -> None:
        pixels, keys = _told(lambda: stack.read(section))
        kept = self._kept.get((stack.path, section))
        name = self._bench.buffer_name(buffer)
        self._bench.shown = name
        if kept is not None and kept.pixels.shape == pixels.shape:
            # As it was saved: what shift A was given later does not belong to the file.
            self._bench.buffers[name] = kept.shifted((-kept.shift_yx_A[0], -kept.shift_yx_A[1]))
            return
        values = np.asarray(pixels, dtype=np.float32)
        self._bench.buffers[name] = Buffer(
            pixels=values,
            pixel_A=_number(keys, "PixelSpacing", self._bench.pixel_A()),
            shown_xy=(values.shape[1], values.shape[0]),
            binning=max(1, round(_number(keys, "Binning", 1))),
            exposure_s=_number(keys, "ExposureTime", 0.0),
            exposure_e_A2=_number(keys, "ExposureDose", 0.0),
            tilt_deg=_number(keys, "TiltAngle", 0.0),
            axis_deg=self._bench.geometry.axis_deg,
            magnification=round(_number(keys, "Magnification", 0)),
            counts=(float(values.min()), float(values.max()), float(values.mean())),
            saved_in=(stack.path, section),
        )

    def _described(self, image: Buffer) -> MdocImage:
        """Return what the .mdoc says of an image."""
        readback = image.readback
        if readback is None:
            raise SEMerror("This image was read from a file; the twin saves images that it took only")
        bench = self._bench
        stage, shift = readback.stage, np.linalg.solve(
            bench.geometry.is2specimen, specimen_um(readback.image_shift_yx_A)
        )  # fmt: skip
        xy_um = np.linalg.solve(bench.geometry.stage2specimen, specimen_um((stage.y_A, stage.x_A)))
        movie = ""
        if image.movie is not None and image.frames:
            movie = f"{image.movie.parent.name}/{image.movie.name}"
        target_um = bench.target_defocus_um
        low, high, mean = image.counts
        return MdocImage(
            tilt_deg=image.tilt_deg,
            exposure_e_A2=max(image.exposure_e_A2, 1e-6),
            pre_exposure_e_A2=image.prior_e_A2,
            dose_rate_e_px_s=readback.dose_rate_e_px_s,
            frame_exposures=((image.exposure_e_A2 / image.frames, image.frames),) if movie else None,
            defocus_A=readback.defocus_A,
            target_defocus_A=readback.defocus_A if target_um is None else -target_um * UM,
            exposure_s=max(image.exposure_s, 1e-6),
            recorded=readback.began + timedelta(seconds=readback.seconds),
            frame_path=movie,
            n_frames=image.frames if movie else 0,
            pixel_A=image.pixel_A,
            magnification=image.magnification,
            stage_xy_A=(float(xy_um[0]) * UM, float(xy_um[1]) * UM),
            stage_z_A=stage.z_A,
            image_shift_xy_A=(float(shift[0]) * UM, float(shift[1]) * UM),
            binning=image.binning,
            intensity=INTENSITY_PERCENT / 100,
            spot_size=SPOT,
            min_max_mean=(low, high, mean),
            counts_per_electron=bench.counts_per_electron,
        )

    # --- the .mdoc

    @command("AddToAutodoc")
    def add(self, key: str, value: str) -> None:
        """Add to what the .mdoc says of the current file's last image."""
        stack = self._stack()
        _told(lambda: stack.add(key, value))

    @command("WriteAutodoc")
    def write_autodoc(self) -> None:
        """Write the .mdoc."""
        stack = self._stack()
        _told(stack.write_autodoc)


def _number(keys: dict[str, str], name: str, otherwise: float) -> float:
    try:
        return float(keys[name])
    except (KeyError, ValueError):
        return otherwise


def _told(work: Callable[[], Result]) -> Result:
    """Do something, with what goes wrong told as SerialEM tells it."""
    try:
        return work()
    except EucentricError as error:
        raise SEMerror(str(error)) from error
