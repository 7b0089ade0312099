"""Images that other programs keep one by one, made into stacks in the folder of a series."""

import hashlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucentric.core import SILENT, EucentricError, FormatError, FormatWarning, InputError, Record, Reporter
from eucentric.io import MrcImage, open_mrc
from eucentric.io.exchange import ProcessedSeries
from eucentric.io.mrc_writer import mrc_sections

_STACKS = (("stack", "images", ""), ("even", "even_images", "_even"), ("odd", "odd_images", "_odd"))
_WRITTEN_AS_THEY_ARE = ("int8", "int16", "uint16", "float16", "float32")
_NO_IMAGE = "its image is missing, or cannot be read"

Images = tuple[Path | None, ...]


class Assembled(Record):
    """A series whose images are in stacks, those stacks, and what became of images that could not be taken."""

    processed: ProcessedSeries
    stacks: tuple[Path, ...] = ()
    told: tuple[str, ...] = ()


def assemble(processed: ProcessedSeries, folder: Path, *, reporter: Reporter = SILENT) -> Assembled:
    """Write the images of a series, and those of even and odd frames, as the stacks NAME.mrc, NAME_even and NAME_odd.

    One image is in memory at a time. A section whose image is missing, broken or of another shape is all zeros, as a
    blank one is, and its view is then left out of the alignment: nothing is invented, and the others go on. There is no
    stack of which no image can be read.

    Parameters
    ----------
    processed
        Where images lie in stacks already, these stay where they are.
    folder
        Where the stacks go; those of an earlier time are replaced.
    reporter
        Where progress goes.

    Raises
    ------
    OutputError
        If a stack cannot be written; one that stood there before still does.
    """
    files, alignment, stacks, told = processed.files, processed.alignment, list[Path](), list[str]()
    for kind, images_of_kind, ending in _STACKS:
        images: Images = getattr(files, images_of_kind)
        if not images:
            continue
        assembling = _Assembling(processed, images, folder / f"{processed.series.name}{ending}.mrc")
        written = assembling.write(reporter)
        told += assembling.told()
        files = files.replace(**{images_of_kind: (), kind: assembling.path if written else None})
        stacks += [assembling.path] if written else []
        if kind == "stack" and written and alignment is not None:
            alignment = alignment.replace(
                tilts=tuple(
                    view.replace(used=False, reason=_NO_IMAGE) if view.used and view.section in assembling.bad else view
                    for view in alignment.tilts
                )
            )
    made = processed.replace(files=files, alignment=alignment)
    return Assembled(processed=made, stacks=tuple(stacks), told=tuple(told))


def images_stamp(processed: ProcessedSeries) -> str:
    """Return a digest of the images that lie one by one: their names, sizes and times, not their pixels."""
    digest = hashlib.sha256()
    for _, images_of_kind, _ in _STACKS:
        for path in getattr(processed.files, images_of_kind):
            try:
                found = path.stat() if path is not None else None
            except OSError:
                found = None
            size_and_time = (found.st_size, found.st_mtime_ns) if found is not None else None
            digest.update(repr((str(path), size_and_time)).encode())
    return digest.hexdigest()


class _Assembling:
    """A stack in the making; `bad` says, by section, why an image was not taken."""

    def __init__(self, processed: ProcessedSeries, images: Images, path: Path) -> None:
        self._series, self._images, self.path = processed.series, images, path
        self.bad: dict[int, str] = {}
        self._other_pixels_A: set[float] = set()

    def write(self, reporter: Reporter) -> bool:
        """Write the stack, unless there is nothing to write; return whether it was."""
        dtypes = self._dtypes()
        if not dtypes:
            return False
        shape, pixel_A = self._series.shape_yx, self._series.pixel_A
        blank = np.zeros(shape, np.int8)
        with mrc_sections(self.path, shape, _common(dtypes), pixel_A, kind="stack") as append:
            for section in reporter.each(range(len(self._images)), f"Stacking {self.path.stem}"):
                pixels = None if section in self.bad else self._pixels(section)
                append(blank if pixels is None else pixels)
        return True

    def told(self) -> list[str]:
        """Return what is to be told of images that are not as they should be."""
        sentences = []
        if self._other_pixels_A:
            others = ", ".join(f"{pixel_A:g}" for pixel_A in sorted(self._other_pixels_A)[:5])
            sentences.append(
                f"{self.path.name}: its images say that their pixel is {others} Å, but their alignment is for"
                f" {self._series.pixel_A:g} Å, which was taken."
            )
        if self.bad:
            all_bad = len(self.bad) == len(self._images)
            what = "was not made" if all_bad else "has blank sections, and those views are left out"
            listed = "; ".join(f"section {section}: {why}" for section, why in sorted(self.bad.items())[:20])
            more = f"; and {len(self.bad) - 20} more" if len(self.bad) > 20 else ""
            sentences.append(
                f"{self.path.name} {what}, for {len(self.bad)} of {len(self._images)} images could not be taken:"
                f" {listed}{more}."
            )
        return sentences

    def _dtypes(self) -> list[np.dtype[Any]]:
        """Look at all headers, and return the types of the pixels of those that can be taken."""
        dtypes = []
        for section in range(len(self._images)):
            image = self._open(section)
            if image is not None:
                dtypes.append(image.data.dtype)
                if image.pixel_A is not None and abs(image.pixel_A / self._series.pixel_A - 1) > 0.01:
                    self._other_pixels_A.add(image.pixel_A)
        return dtypes

    def _open(self, section: int) -> MrcImage | None:
        path = self._images[section]
        try:
            if path is None:
                raise InputError("no image lies here")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FormatWarning)  # of each image anew: what matters is told once for all
                image = open_mrc(path)
            if image.data.shape != (1, *self._series.shape_yx):
                n, rows, columns = image.data.shape
                wanted = " x ".join(map(str, reversed(self._series.shape_yx)))
                raise FormatError(f"{path}: {columns} x {rows} x {n} pixels, but the series has images of {wanted}")
        except EucentricError as error:
            self.bad[section] = error.what.rstrip(".")
            return None
        return image

    def _pixels(self, section: int) -> NDArray[Any] | None:
        image = self._open(section)
        if image is None:
            return None
        pixels = np.array(image.data[0])
        if not np.isfinite(pixels).all():
            self.bad[section] = f"{image.path}: holds pixels that are no numbers"
            return None
        return pixels


def _common(dtypes: Sequence[np.dtype[Any]]) -> np.dtype[Any]:
    """Return the type that holds the pixels of all images and that MRC has."""
    common = np.result_type(*dtypes).newbyteorder("=")
    if common == np.uint8:  # no mode of MRC2014
        return np.dtype(np.int16)
    return common if common.name in _WRITTEN_AS_THEY_ARE else np.dtype(np.float32)
