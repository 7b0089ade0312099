"""Commands that measure in images and make new ones of them: parts, smaller ones, sums; and pictures in files."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eucentric.twin.serialem.bench import Bench
from eucentric.twin.serialem.buffers import Buffer
from eucentric.twin.serialem.errors import NotSimulatedError, SEMerror
from eucentric.twin.serialem.files import FileCommands
from eucentric.twin.serialem.geometry import UM
from eucentric.twin.serialem.registry import command

Floats = NDArray[np.float32]
_SET_NAMES = {"V": "View", "F": "Focus", "T": "Trial", "R": "Record", "L": "Preview", "S": "Search"}
_GREY = (0.5, 99.5)  # per cent of the pixels that are black and white in a picture: chosen
_LOBES = 2
_COMPRESSIONS = {"NONE": "raw", "LZW": "tiff_lzw", "ZIP": "tiff_adobe_deflate", "CUR": "raw", "-1": "raw"}


class PixelCommands:
    """Pixels are counted from 0, X from the left and Y from the top."""

    def __init__(self, bench: Bench, files: FileCommands) -> None:
        self._bench, self._files = bench, files

    # --- measures

    @command("SubareaMean")
    def mean(self, left: int, right: int, top: int, bottom: int) -> float:
        """Return the mean of a part of A, its edges included."""
        image = self._bench.buffer("A")
        _check_part(image, left, right, top, bottom)
        return float(image.at_shown_size()[::-1][top : bottom + 1, left : right + 1].mean())

    @command("CircularSubareaMean")
    def circle_mean(self, x: float, y: float, radius: float) -> float:
        """Return the mean of a circle in A."""
        pixels = self._bench.buffer("A").at_shown_size()[::-1]
        rows, columns = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
        inside = (rows + 0.5 - y) ** 2 + (columns + 0.5 - x) ** 2 <= radius**2
        if not inside.any():
            raise SEMerror(f"CircularSubareaMean: no pixel of A lies within {radius:g} of ({x:g}, {y:g})")
        return float(pixels[inside].mean())

    @command("ImageLowDoseSet")
    def camera_set(self, buffer: str = "A") -> tuple[str, float]:
        """Return the camera set of an image, and that it was in low dose."""
        return _SET_NAMES[self._bench.buffer(buffer).camera_set], 1.0

    # --- new images

    def _put(self, image: Buffer, to: str) -> None:
        if to:
            self._bench.buffers[self._bench.buffer_name(to)] = image
        else:
            self._bench.arrive(image)

    @command("CropImage")
    def crop(self, buffer: str, left: int, right: int, top: int, bottom: int) -> None:
        """Put a part of an image, its edges included, into A."""
        image = self._bench.buffer(buffer)
        _check_part(image, left, right, top, bottom)
        columns, rows = (right + 1 - left) // 2 * 2, bottom + 1 - top
        if columns < 1:
            raise SEMerror("CropImage: this part has no pixel")
        whole = image.at_shown_size()
        up = image.shown_xy[1] - top - rows
        pixels = whole[up : up + rows, left : left + columns]
        right_px = left + columns / 2 - image.shown_xy[0] / 2
        up_px = image.shown_xy[1] / 2 - (top + rows / 2)
        along, across = self._moved_A(image, right_px, up_px)
        off = (image.off_yx_A[0] + along, image.off_yx_A[1] + across)
        is_middle = max(abs(right_px), abs(up_px)) <= 1
        self._bench.arrive(
            image.with_pixels(
                pixels.copy(),
                shown_xy=(columns, rows),
                off_yx_A=off,
                # Which place of the specimen another part shows is not told without pixels, so nothing aligns to it.
                truth=image.truth if is_middle else None,
                centre_um=image.centre_um if is_middle else None,
            )
        )

    def _moved_A(self, image: Buffer, right_px: float, up_px: float) -> tuple[float, float]:
        """Return how far along and across the tilt axis so many pixels are."""
        matrix = self._bench.geometry.specimen2camera(image.pixel_A)
        x, y = np.linalg.solve(matrix, (right_px, up_px)).tolist()
        return x * UM, -y * UM

    @command("ReduceImage")
    def reduce(self, buffer: str, by: float) -> None:
        """Put a smaller image into A: each pixel stands for so many along each side, without aliasing."""
        if by <= 1:
            raise SEMerror(f"ReduceImage: the factor has to be more than 1, not {by:g}")
        image = self._bench.buffer(buffer)
        columns, rows = (max(1, int(size / by)) for size in image.shown_xy)
        pixels = _resampled(np.asarray(image.at_shown_size(), dtype=np.float32), (rows, columns))
        # Pixels keep their middle, so that the whole image has the same centre but for what does not divide.
        self._bench.arrive(
            image.with_pixels(
                pixels if image.pixels.dtype == np.float32 else _whole(pixels),
                shown_xy=(columns, rows),
                pixel_A=image.pixel_A * image.shown_xy[0] / columns,
                binning=max(1, round(image.binning * by)),
            )
        )

    @command("AddImages")
    def add(self, first: str, second: str, to: str = "") -> None:
        """Put the sum of two images into A, or another buffer."""
        self._combine(first, second, to, np.add)

    @command("SubtractImages")
    def subtract(self, first: str, second: str, to: str = "") -> None:
        """Put the first image less the second into A, or another buffer."""
        self._combine(first, second, to, np.subtract)

    @command("MultiplyImages")
    def multiply(self, first: str, second: str, to: str = "") -> None:
        """Put the product of two images into A, or another buffer."""
        self._combine(first, second, to, np.multiply)

    @command("DivideImages")
    def divide(self, first: str, second: str, to: str = "") -> None:
        """Put the first image over the second into A, or another buffer; pixels over 0 become 0."""
        self._combine(first, second, to, _ratio)

    def _combine(self, first: str, second: str, to: str, how: Any) -> None:
        one, other = self._bench.buffer(first), self._bench.buffer(second)
        if one.shown_xy != other.shown_xy:
            raise SEMerror(f"Images {first} and {second} are of different size")
        pixels = [np.asarray(image.at_shown_size(), dtype=np.float32) for image in (one, other)]
        self._put(one.with_pixels(np.asarray(how(*pixels), dtype=np.float32)), to)

    @command("ScaleImage")
    def scale(self, buffer: str, by: float, more: float, to: str = "", keep: int = 0) -> None:
        """Put an image times a number and with one added into A, or another buffer; whole numbers stay so if asked."""
        image = self._bench.buffer(buffer)
        pixels = np.asarray(image.at_shown_size(), dtype=np.float32) * np.float32(by) + np.float32(more)
        self._put(image.with_pixels(_whole(pixels) if keep and image.pixels.dtype == np.int16 else pixels), to)

    # --- pictures

    @command("SnapshotToFile")
    def snapshot(self, zoom: float, text_zoom: float, features: int, kind: str, compression: str, name: str) -> None:
        """Write the image that is shown to a TIFF or JPEG of 256 greys; nothing is drawn on it."""
        if zoom > 1:
            raise NotSimulatedError("SnapshotToFile: the twin has no display to enlarge; pictures are at 1:1 (0)")
        image = self._bench.buffer(self._bench.shown)
        pixels = np.asarray(image.at_shown_size()[::-1], dtype=np.float32)
        low, high = np.percentile(pixels, _GREY).tolist()
        grey = np.clip((pixels - low) / max(high - low, 1e-6) * 255, 0, 255).astype(np.uint8)
        path = self._files.path(name)
        word, packed = kind.strip().upper(), compression.strip().upper()
        if word not in ("TIF", "TIFF", "JPG", "JPEG", "CUR", "-1"):
            raise SEMerror(f"SnapshotToFile: {kind!r} is no type of file; they are TIF and JPG")
        try:
            if word in ("JPG", "JPEG") or packed in ("JPG", "JPEG"):
                Image.fromarray(grey).save(path, format="JPEG")
            elif packed in _COMPRESSIONS:
                Image.fromarray(grey).save(path, format="TIFF", compression=_COMPRESSIONS[packed])
            else:
                raise SEMerror(f"SnapshotToFile: {compression!r} is no compression; they are NONE, LZW, ZIP and JPG")
        except OSError as error:
            raise SEMerror(f"{name}: this picture cannot be written ({error})") from error
        self._files.written.append(path.name)

    @command("SaveToOtherFile")
    def save_other(self, buffer: str, kind: str, compression: str, name: str) -> None:
        """Save an image in an MRC file of its own, which is closed again."""
        if kind.strip().upper() not in ("MRC", "CUR", "-1"):
            raise NotSimulatedError(f"SaveToOtherFile: the twin writes MRC files only, not {kind}")
        self._files.save_alone(buffer, name)


def _check_part(image: Buffer, left: int, right: int, top: int, bottom: int) -> None:
    columns, rows = image.shown_xy
    if not (0 <= left <= right < columns and 0 <= top <= bottom < rows):
        raise SEMerror(
            f"X from {left} to {right} and Y from {top} to {bottom} is no part of an image of {columns} x {rows} pixels"
        )


def _resampled(pixels: Floats, shape_yx: tuple[int, int]) -> Floats:
    """Return an image with fewer pixels over its whole extent; what they cannot hold is filtered out (Lanczos 2)."""
    down, right = (_lanczos(size, fewer) for size, fewer in zip(pixels.shape, shape_yx, strict=True))
    return np.asarray(down @ pixels @ right.T, dtype=np.float32)


def _lanczos(size: int, fewer: int) -> Floats:
    """Return the weights (fewer, size) of pixels in larger ones."""
    scale = size / fewer
    centres = (np.arange(fewer)[:, None] + 0.5) * scale
    away = (np.arange(size) + 0.5 - centres) / scale
    weights = np.where(np.abs(away) < _LOBES, np.sinc(away) * np.sinc(away / _LOBES), 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def _whole(pixels: Floats) -> NDArray[np.int16]:
    return np.clip(np.rint(pixels), -32768, 32767).astype(np.int16)


def _ratio(one: Floats, other: Floats) -> Floats:
    return np.divide(one, other, out=np.zeros_like(one), where=other != 0)
