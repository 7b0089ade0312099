"""An image stack as SerialEM grows it: an .mrc with SerialEM's extended header and an .mdoc beside it, image by image.

A program killed at any moment leaves an .mrc with the sections before, and a whole .mdoc.
"""

import os
import re
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from eucentric.core import FormatWarning, InputError, OutputError, write_text
from eucentric.io import _growing_mrc as mrc
from eucentric.io._text import decode_text
from eucentric.io.mdoc_writer import MdocHeader, MdocImage, head_lines, section_lines
from eucentric.io.mrc import open_mrc
from eucentric.io.navigator import AutodocSection, join_autodoc, split_autodoc

_KEY = re.compile(r"[^\s=\[#][^=\x00-\x1f\x7f]*")
_VALUE = re.compile(r"[^\x00-\x1f\x7f]*")
_TITLE_AXIS = re.compile(r"Tilt axis angle\s*=\s*(-?\d+(?:\.\d*)?)", re.ASCII)


class SerialemStack:
    """A stack and its .mdoc, growing as those of SerialEM do; made by `create` or `open`.

    Unlike `write_mdoc` it takes whatever a script does: images less than a second apart, or without movies, or of one.

    Nothing is held of the .mrc between calls, so that a script may change it with other tools meanwhile.

    Attributes
    ----------
    path
        The .mrc; its .mdoc is NAME.mrc.mdoc.
    """

    def __init__(self, path: Path, header: MdocHeader | None, autodoc: list[AutodocSection] | None) -> None:
        self.path = path
        self._header = header  # of a stack to come, until its first image fills it in; None for one that is there
        self._autodoc = autodoc
        self._on_disk = [section.copy() for section in autodoc or []]  # without what only `add` has said

    @classmethod
    def create(
        cls, path: Path, *, voltage_kV: float, tilt_axis_deg: float, title: str | None = None
    ) -> "SerialemStack":
        """Begin a stack; both its files come into being with its first image, and replace what stands there.

        Parameters
        ----------
        path
            The .mrc, in a folder that exists.
        voltage_kV, tilt_axis_deg, title
            As in `MdocHeader`.

        Raises
        ------
        InputError
            If the name or a value cannot stand in an .mdoc.
        OutputError
            If its folder does not exist or cannot be written to.
        """
        path = Path(path)
        if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
            what = "this is a folder" if path.is_dir() else f"there is no folder {path.parent} that can be written to"
            raise OutputError(f"{path}: no stack can be made, for {what}.", "Make that folder, or name another file.")
        said: dict[str, Any] = {"title": title} if title is not None else {}
        try:  # pixel and shape are those of the first image
            header = MdocHeader(
                pixel_A=1.0,
                voltage_kV=voltage_kV,
                image_file=path.name,
                shape_yx=(1, 1),
                tilt_axis_deg=tilt_axis_deg,
                **said,
            )
        except ValidationError as error:
            wrong = "; ".join(f"{e['loc'][0]} = {str(e['input'])[:60]!r}: {e['msg']}" for e in error.errors())
            raise InputError(f"{path}: no .mdoc can say this ({wrong}); nothing was written.") from error
        return cls(path, header, [AutodocSection("", "", [])])

    @classmethod
    def open(cls, path: Path) -> "SerialemStack":
        """Open a stack that is there, by whichever program, with its .mdoc if it has one.

        Raises
        ------
        InputError
            If there is no such file, or it or its .mdoc cannot be opened.
        FormatError
            If it is no MRC file of images, or cut off, or its .mdoc is not text.

        Warns
        -----
        FormatWarning
            As `open_mrc`, but for tilts: a stack need not be a tilt series.
        """
        path = Path(path)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"[\s\S]*\[extended-header-tilts\]", FormatWarning)
            open_mrc(path)
        mdoc = path.with_name(f"{path.name}.mdoc")
        return cls(path, None, split_autodoc(decode_text(mdoc, "an .mdoc")[0]) if mdoc.exists() else None)

    @property
    def mdoc(self) -> Path:
        """The .mdoc beside the stack, whether or not there is one."""
        return self.path.with_name(f"{self.path.name}.mdoc")

    @property
    def sections(self) -> int:
        """How many images are in the file now."""
        return 0 if self._header else len(mrc.look(self.path).data)

    def append(self, pixels: NDArray[Any], image: MdocImage) -> int:
        """Add an image to the stack and its section to the .mdoc, and return its number, from 0.

        Parameters
        ----------
        pixels
            Shape (y, x), row 0 at the bottom of the image. The first decides on the number type of the stack (int16,
            uint16 or float32); the values of later ones must fit it.
        image
            What is said of it; minimum, maximum and mean are taken from the pixels if they are not given. A stack
            opened without an .mdoc gets none.

        Raises
        ------
        InputError
            If shape, type or values do not fit; nothing was written.
        FormatError
            If the file is no longer an MRC file.
        OutputError
            If it cannot be written to; the sections before still stand.
        """
        there = None if self._header else mrc.look(self.path)
        fitting = mrc.fit(self.path, pixels, there)
        if image.min_max_mean is None:
            mean = round(float(fitting.mean(dtype=np.float64)), 3)
            image = image.replace(min_max_mean=(float(fitting.min()), float(fitting.max()), mean))
        if self._header:
            self._begin(self._header, fitting, image)
        number = mrc.append(self.path, fitting, image, there) if there else 0
        if self._autodoc is not None:
            told = _told(number, image, _axis_deg(self._autodoc))
            for sections in (self._autodoc, self._on_disk):
                # What an .mdoc said of a section that its stack did not have is no longer so.
                sections[:] = [one for one in sections if (one.kind, one.name) != ("ZValue", str(number))]
                sections.append(told.copy())
            write_text(self.mdoc, join_autodoc(self._on_disk))
        return number

    def read(self, section: int) -> tuple[NDArray[Any], dict[str, str]]:
        """Return the pixels of a section, row 0 at the bottom, and what the .mdoc says of it, with all that was added.

        Raises
        ------
        InputError
            If there is no such section.
        FormatError
            If the file is no longer an MRC file.
        """
        there = self.sections
        if not 0 <= section < there:
            raise InputError(
                f"{self.path}: there is no section {section}; the stack has {there}, counted from 0.",
                "Ask for one that was saved.",
            )
        data = mrc.look(self.path).data
        said = [one for one in self._autodoc or [] if (one.kind, one.name) == ("ZValue", str(section))]
        return np.array(data[section], data.dtype.newbyteorder("=")), said[-1].pairs() if said else {}

    def add(self, key: str, value: str) -> None:
        """Say one thing more in the last section of the autodoc, or of the stack before its first image.

        It is on disk once `write_autodoc` was called; what else is saved before that does not take it along.

        Raises
        ------
        InputError
            If the stack has no .mdoc, or the text cannot stand in one.
        """
        key, value = key.strip(), value.strip()
        if not _KEY.fullmatch(key) or not _VALUE.fullmatch(value):
            raise InputError(
                f"{self.mdoc}: {key!r} = {value!r} cannot stand on a line of an .mdoc; it was not added.",
                "Use text of one line, and no equals sign in the key.",
            )
        autodoc = self._with_autodoc()
        images = [section for section in autodoc if section.kind not in ("", "T")]
        (images[-1] if images else autodoc[0]).put(key, value)

    def write_autodoc(self) -> None:
        """Write the .mdoc with all that was added, whole or not at all.

        Raises
        ------
        InputError
            If the stack has no .mdoc.
        OutputError
            If it cannot be written.
        """
        autodoc = self._with_autodoc()
        write_text(self.mdoc, join_autodoc(autodoc))
        self._on_disk = [section.copy() for section in autodoc]

    def _begin(self, header: MdocHeader, pixels: NDArray[Any], image: MdocImage) -> None:
        """Make the stack of its first image, and put the .mdoc's head before what was added so far."""
        header = header.replace(
            pixel_A=image.pixel_A, shape_yx=pixels.shape, data_mode=mrc.DATA_MODES[pixels.dtype.name]
        )
        head = split_autodoc("\n".join(head_lines(header, image)))
        mrc.begin(self.path, pixels, image, [section.name for section in head if section.kind == "T"])
        for sections in (self._with_autodoc(), self._on_disk):
            added = sections[0].pairs()
            sections[:] = [section.copy() for section in head]
            for key, value in added.items():
                sections[0].put(key, value)
        self._header = None

    def _with_autodoc(self) -> list[AutodocSection]:
        if self._autodoc is None:
            raise InputError(f"{self.path}: this stack has no .mdoc; nothing was added.", "Make a new stack for it.")
        return self._autodoc


def _axis_deg(sections: list[AutodocSection]) -> float | None:
    """Return the tilt axis of a title, else that of the last image, else None."""
    titles = " ".join(section.name for section in sections if section.kind == "T")
    if found := _TITLE_AXIS.search(titles):
        return float(found[1])
    with suppress(KeyError, ValueError):
        return float(sections[-1].pairs()["RotationAngle"]) - 90
    return None


def _told(number: int, image: MdocImage, axis_deg: float | None) -> AutodocSection:
    section = split_autodoc("\n".join(section_lines(number, image, axis_deg or 0.0)))[1]
    if axis_deg is None and image.rotation_deg is None:  # nobody has said it
        section.lines = [line for line in section.lines if not line.startswith("RotationAngle")]
    return section
