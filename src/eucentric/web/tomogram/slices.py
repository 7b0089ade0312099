"""Slices of a volume: cut, averaged, seen the right way up, in 8-bit grey, encoded.

As in the report, XY slices have x to the right and y upward; XZ slices x to the right and z upward; YZ slices z to the
right and y upward, so that they lie below and beside the XY slice. The first row of a picture is its top.
"""

import io
import threading
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eucentric.core import InputError, Record
from eucentric.web.tomogram.kept import Kept
from eucentric.web.volumes import Axis, Volume

AXES: dict[str, Axis] = {"z": 0, "y": 1, "x": 2}
"""By the name of the axis that slices lie across."""

MOST_AVERAGED = 99
LARGEST_PX = 2048
"""Of an encoded slice, along either side; a larger one is shrunk."""

ROBUST_PERCENT = (0.3, 99.7)
"""Black and white points, as in the report: so that neither beads nor dead pixels rule."""

_MARGIN = 0.1  # of each side of a section, where views end
_SAMPLED_SECTIONS, _SAMPLED_VALUES = 9, 1 << 20
_AT_WORK = 3  # each needs a slice or two of memory, and a core
_QUALITY = 85
_GREY_ROWS = 64

Format = Literal["jpeg", "png"]


class Limits(Record):
    """The values that are shown black and white."""

    low: float
    high: float


class Cutter:
    """Cuts slices, and keeps runs of neighbours where one costs as much as many."""

    def __init__(self, most_bytes: int = 384 << 20) -> None:
        self._runs: Kept[NDArray[Any]] = Kept(most_bytes, lambda run: run.nbytes)
        self._work = threading.Semaphore(_AT_WORK)

    def cut(self, volume: Volume, axis: Axis, index: int, average: int = 1) -> NDArray[np.float32]:
        """Return a slice as it is shown, its top row first; the mean over `average` slices about it.

        At the volume's ends the mean is over those that there are.

        Raises
        ------
        InputError
            If there is no such slice, or no mean is taken over so many.
        ChangedError
            If the volume was replaced since it was opened.
        """
        n = volume.shape_zyx[axis]
        if not 0 <= index < n:
            raise InputError(f"There is no slice {index}: {volume.path.name} has 0 to {n - 1} there.")
        if not 1 <= average <= MOST_AVERAGED:
            raise InputError(f"A mean over {average} slices is not taken.", f"Choose 1 to {MOST_AVERAGED}.")
        first, last = max(0, index - average // 2), min(n, index - average // 2 + average)
        with self._work:
            plane = self._plane(volume, axis, first)
            if last - first == 1:
                return as_shown(np.asarray(plane, dtype=np.float32), axis)
            total = np.array(plane, dtype=np.float32)
            for other in range(first + 1, last):
                total += self._plane(volume, axis, other)
        total /= np.float32(last - first)
        return as_shown(total, axis)

    def value(self, volume: Volume, zyx: tuple[int, int, int]) -> float:
        """Return the value of one voxel.

        Raises
        ------
        InputError
            If there is no such voxel.
        ChangedError
            If the volume was replaced since it was opened.
        """
        if not all(0 <= index < n for index, n in zip(zyx, volume.shape_zyx, strict=True)):
            raise InputError(f"There is no voxel {zyx}: {volume.path.name} has {volume.shape_zyx}.")
        z, y, x = zyx
        return float(self._plane(volume, 0, z)[y, x])

    def limits(self, volume: Volume, average: int = 1) -> Limits:
        """Return the black and the white point of slices averaged so, from a sample of sections.

        Raises
        ------
        ChangedError
            If the volume was replaced since it was opened.
        """
        sections = _sampled(volume.shape_zyx[0], volume.source.grain[0])
        return robust_limits([self.cut(volume, 0, z, average) for z in sections])

    def _plane(self, volume: Volume, axis: Axis, index: int) -> NDArray[Any]:
        """Return a slice as it lies in the volume, alone or out of a run of slices that were read together."""
        n, grain = volume.shape_zyx[axis], volume.source.grain[axis]
        if grain == 1:
            alone: NDArray[Any] = volume.read(axis, index, index + 1)[0]
            return alone
        first = index // grain * grain
        key = (volume.path, volume.stamp, axis, first)
        run = self._runs.get(key, lambda: volume.read(axis, first, min(n, first + grain)))
        plane: NDArray[Any] = run[index - first]
        return plane


def _sampled(n: int, grain: int) -> list[int]:
    """Return sections all through a volume; those of its middle run where sections are read in runs."""
    first, last = (n // 2 // grain * grain, n // 2 // grain * grain + grain - 1) if grain > 1 else (0.15 * n, 0.85 * n)
    sections = np.linspace(first, min(last, n - 1), _SAMPLED_SECTIONS).astype(int)
    return [int(section) for section in np.unique(sections)]


def robust_limits(images: Sequence[NDArray[np.float32]]) -> Limits:
    """Return the black and the white point of images: what all but a few of a sample of inner pixels lie between."""
    ny, nx = images[0].shape
    rows, columns = int(ny * _MARGIN), int(nx * _MARGIN)
    step = max(1, int((ny * nx * len(images) / _SAMPLED_VALUES) ** 0.5))
    inner = [image[rows : ny - rows : step, columns : nx - columns : step].ravel() for image in images]
    values = np.concatenate(inner)
    values = values[np.isfinite(values)]
    low, high = np.percentile(values, ROBUST_PERCENT) if values.size else (0.0, 1.0)
    return Limits(low=float(low), high=float(high) if high > low else float(low) + 1)


def as_shown(plane: NDArray[np.float32], axis: Axis) -> NDArray[np.float32]:
    """Return a slice, as it lies in (z, y, x), with the rows and columns that it is shown with."""
    return (plane.T if axis == 2 else plane)[::-1]


def grey(image: NDArray[np.float32], limits: Limits) -> NDArray[np.uint8]:
    """Return an image in 8 bits; what is no number is black.

    Some rows at a time, which stay in a processor's cache: several times as fast as all at once.
    """
    shown = np.empty(image.shape, np.uint8)
    black, factor = np.float32(limits.low), np.float32(255 / (limits.high - limits.low))
    for row in range(0, len(image), _GREY_ROWS):
        scaled = image[row : row + _GREY_ROWS] - black
        scaled *= factor
        scaled += np.float32(0.5)
        np.clip(scaled, 0, 255, out=scaled)
        if np.isnan(scaled.sum()):
            scaled[np.isnan(scaled)] = 0
        shown[row : row + _GREY_ROWS] = scaled
    return shown


def encode(image: NDArray[np.uint8], kind: Format, largest_px: int = LARGEST_PX) -> bytes:
    """Return an 8-bit image as JPEG (the fastest by far, to make and to show) or, exactly, as PNG."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    factor = largest_px / max(picture.size)
    if factor < 1:
        size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    encoded = io.BytesIO()
    if kind == "png":
        picture.save(encoded, format="PNG", compress_level=1)
    else:
        picture.save(encoded, format="JPEG", quality=_QUALITY)
    return encoded.getvalue()
