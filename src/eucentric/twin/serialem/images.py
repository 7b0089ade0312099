"""Commands of image buffers: what is known of an image, copies and parts of it, and its alignment to another."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from eucentric.processing.correlation import displacement, sight
from eucentric.twin.serialem.bench import Bench
from eucentric.twin.serialem.buffers import Buffer
from eucentric.twin.serialem.errors import SEMerror, SEMmoduleError
from eucentric.twin.serialem.geometry import UM, specimen_um
from eucentric.twin.serialem.registry import command
from eucentric.twin.serialem.setting_up import AREA_OF, SETS

_AUTOALIGN = "B"  # the buffer that AutoAlign compares with


class ImageCommands:
    """Buffers A to T; a new image arrives in A."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._limit_um: float | None = None

    # --- what is known

    @command("ImageProperties")
    def properties(self, buffer: str = "A") -> tuple[float, ...]:
        """Return size in X and Y, binning, exposure (s), pixel (nm) and camera set."""
        image = self._bench.buffer(buffer)
        columns, rows = image.shown_xy
        return columns, rows, image.binning, image.exposure_s, image.pixel_A / 10, SETS.index(image.camera_set)

    @command("ImageConditions")
    def conditions(self, buffer: str) -> tuple[float, float]:
        """Return exposure (e/Å²) and magnification."""
        image = self._bench.buffer(buffer)
        return image.exposure_e_A2, float(image.magnification)

    @command("ReportMeanCounts")
    def mean(self, buffer: str = "A", how: int = 0) -> float | tuple[float, ...]:
        """Return the mean count; per unbinned pixel and second for 1, with deviation, least and greatest for 2."""
        image = self._bench.buffer(buffer)
        low, high, mean = image.counts
        if how == 1:
            return mean / image.binning**2 / max(image.exposure_s, 1e-9)
        return (mean, float(image.pixels.std()), low, high) if how == 2 else mean

    @command("ElectronStats")
    def electrons(self, buffer: str = "A") -> tuple[float, ...]:
        """Return least, greatest and mean electrons of a pixel, their deviation, and electrons a pixel and second."""
        image = self._bench.buffer(buffer)
        low, high, mean = (count / self._bench.counts_per_electron for count in image.counts)
        rate = mean / image.binning**2 / max(image.exposure_s, 1e-9)
        return low, high, mean, float(image.pixels.std()) / self._bench.counts_per_electron, rate

    def array(self, buffer: str) -> NDArray[Any]:
        """Return the pixels of a buffer, row 0 at the top as SerialEM has it (`bufferImage` of its module)."""
        try:
            return np.ascontiguousarray(self._bench.buffer(buffer).at_shown_size()[::-1])
        except SEMerror as error:
            raise SEMmoduleError(str(error)) from error

    # --- copies and parts

    @command("Copy")
    def copy(self, source: str, to: str) -> None:
        """Copy a buffer."""
        self._bench.buffers[self._bench.buffer_name(to)] = self._bench.buffer(source)

    @command("CropCenterToSize")
    def crop(self, buffer: str, columns: int, rows: int) -> None:
        """Put the middle of an image into A."""
        self._bench.arrive(self._bench.buffer(buffer).cropped(columns, rows))

    @command("Show")
    def display(self, buffer: str) -> None:
        """Show a buffer; it is the current one until another is shown."""
        self._bench.buffer(buffer)
        self._bench.shown = self._bench.buffer_name(buffer)

    @command("ReportCurrentBuffer")
    def displayed(self) -> tuple[str, float]:
        """Return the buffer that is shown, the last that an image came to, and whether it holds one."""
        return self._bench.shown, float(self._bench.shown in self._bench.buffers)

    @command("AddBufToStackWindow")
    def show(self, buffer: str, *_: object) -> None:
        """Show a buffer in a window, which there is none of."""
        self._bench.buffer(buffer)

    @command("ClearAlignment")
    def clear_alignment(self, keep_shift: int = 0) -> None:
        """Take A's shift away, from the microscope too."""
        image = self._bench.buffer("A")
        back = (-image.shift_yx_A[0], -image.shift_yx_A[1])
        if not keep_shift:
            self._bench.set_specimen_um(self._bench.specimen_um() + specimen_um(back))
        self._bench.buffers["A"] = image.shifted(back)

    # --- alignment

    @command("AlignTo")
    def align_to(self, buffer: str, keep_shift: int = 0, *_: float) -> float:
        """Shift image and microscope so that A's content lies as another buffer's."""
        return self._align(self._bench.buffer(buffer), bool(keep_shift))

    @command("AutoAlign")
    def auto_align(self) -> float:
        """Align A to the buffer that is kept for it."""
        return self._align(self._bench.buffer(_AUTOALIGN), keep_shift=False)

    @command("AlignBetweenMags")
    def align_between(
        self, buffer: str, x: float = -1, y: float = -1, most: float = -1, scaling: float = 0, turning: float = 0,
        keep_shift: int = 0,
    ) -> tuple[float, ...]:  # fmt: skip
        """Align A to the middle of an image of another magnification; return no change of scale and rotation."""
        reference = self._bench.buffer(_AUTOALIGN if buffer.strip() == "-1" else buffer)
        if most > 0:
            self._limit_um = most
        self._align(reference, bool(keep_shift))
        return 0.0, 0.0, 0.0

    @command("LimitNextAutoAlign")
    def limit(self, microns: float) -> None:
        """Limit the next alignment to so many µm."""
        self._limit_um = microns

    def _align(self, reference: Buffer, keep_shift: bool) -> float:
        limit_um, self._limit_um = self._limit_um, None
        image = self._bench.buffer("A")
        found = self.displaced_A(reference, image, math.inf if limit_um is None else limit_um * UM)
        if limit_um is not None and math.hypot(*found) > limit_um * UM:
            return -1.0  # no peak within the limit: nothing is shifted
        if not keep_shift:
            to_um = self._bench.specimen_um() + specimen_um(found)
            if not self._bench.can_shift_to(to_um):
                raise SEMerror("The image shift that this alignment needs is beyond the limit")
            self._bench.set_specimen_um(to_um)
        self._bench.buffers["A"] = image.shifted(found)
        return 0.0

    def displaced_A(self, reference: Buffer, image: Buffer, farthest_A: float = math.inf) -> tuple[float, float]:
        """Return where a reference's centre lies from that of an image, along and across the tilt axis."""
        if not self._bench.twin.pixels:
            y, x = self._bench.true_shift_A(reference, image)
        else:
            now = sight(image.pixels, image.pixel_A, image.axis_deg, image.tilt_deg)
            pixels = _rescaled(reference, image)
            before = sight(pixels, image.pixel_A, reference.axis_deg or image.axis_deg, reference.tilt_deg)
            found = displacement([(before, (0.0, 0.0))], now, farthest_A=farthest_A)
            if found is None:
                raise SEMerror("The images cannot be aligned: they are of different size, or empty")
            y, x = found.yx_A
        # Shifts that images have been given already move their centres.
        return y - image.shift_yx_A[0] + reference.shift_yx_A[0], x - image.shift_yx_A[1] + reference.shift_yx_A[1]

    @command("ReportAlignShift")
    def shift(self) -> tuple[float, ...]:
        """Return A's shift: in unbinned pixels, in nm along image shift's axes, in nm of specimen X and Y."""
        image, geometry = self._bench.buffer("A"), self._bench.geometry
        specimen = specimen_um(image.shift_yx_A)
        pixel_A = self._bench.pixel_A(AREA_OF[image.camera_set])
        pixels = geometry.specimen2camera(pixel_A) @ specimen
        units = np.linalg.solve(geometry.is2specimen, specimen)
        scale = math.sqrt(abs(np.linalg.det(geometry.is2specimen)))
        return (*pixels.tolist(), *(units * scale * 1000).tolist(), *(specimen * 1000).tolist())

    @command("ReportISforBufferShift")
    def units(self) -> tuple[float, float]:
        """Return A's shift in image shift units."""
        specimen = specimen_um(self._bench.buffer("A").shift_yx_A)
        x, y = np.linalg.solve(self._bench.geometry.is2specimen, specimen).tolist()
        return x, y


def _rescaled(reference: Buffer, image: Buffer) -> NDArray[np.floating[Any]]:
    """Return the middle of a reference with the pixels and the size of an image."""
    pixels = np.asarray(reference.pixels, dtype=np.float32)
    if pixels.shape == image.pixels.shape and math.isclose(reference.pixel_A, image.pixel_A, rel_tol=0.01):
        return pixels
    scale = image.pixel_A / reference.pixel_A
    if scale > 1:  # coarser pixels: what they cannot hold must go first
        pixels = ndimage.gaussian_filter(pixels, 0.4 * scale)
    centre, size = np.array(pixels.shape) // 2, np.array(image.pixels.shape)
    return np.asarray(
        ndimage.affine_transform(
            pixels, np.full(2, scale), centre - scale * (size // 2), tuple(size), order=1, mode="nearest"
        )
    )
