"""Warp's XML of a tilt series: lists with a value a line, `CTF` parameters, and grids of nodes."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from eucentric.core import EucentricError, FormatError, write_text
from eucentric.io._text import read_text

_MAX_ELEMENTS = 300_000  # of some 500 bytes; a series of 100 tilts that M refined has a tenth of them
_MAX_VIEWS = 5_000
_MAX_NODES = 1_000_000
_FIX = "Name the .xml file that Warp wrote last."


@dataclass(frozen=True)
class WarpXML:
    """A file; grids have the shape (depth, height, width), or (duration, depth, height, width)."""

    attributes: Mapping[str, str]
    texts: Mapping[str, tuple[str, ...]]
    ctf: Mapping[str, str] = field(default_factory=dict)
    grids: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    others: tuple[str, ...] = ()


def read_xml(path: Path) -> WarpXML | None:
    """Read the file of a tilt series, or return None where it is of something else, such as a movie.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is not XML, or its grids are not whole.
    """
    text = read_text(path, "a Warp tilt series")
    root = _parse(path, text)
    if root.tag != "TiltSeries":
        return None
    texts, ctf, grids, others = {}, {}, {}, []
    for child in root:
        if child.tag == "CTF":
            ctf = {param.get("Name", ""): param.get("Value", "") for param in child.iter("Param")}
        elif child.tag.startswith("Grid"):
            grids[child.tag] = _grid(path, child)
        elif len(child) == 0 and child.tag in _LISTS:
            texts[child.tag] = tuple(line.strip() for line in (child.text or "").strip().split("\n"))
        else:
            others.append(child.tag)
    return WarpXML(dict(root.attrib), texts, ctf, grids, tuple(sorted(set(others))))


def read_settings(folder: Path) -> dict[str, str]:
    """Return what a project's settings for tilt series say of its images and volumes; nothing where there are none."""
    for path in sorted(folder.glob("*.settings")):
        try:
            root = _parse(path, read_text(path, "Warp's settings"))
        except EucentricError:
            continue
        found = {
            param.get("Name", ""): param.get("Value", "")
            for tag in ("Import", "Tomo")
            for param in root.findall(f"{tag}/Param")
        }
        if root.tag == "Settings" and found.get("Extension") == "*.tomostar":
            return found
    return {}


def write_xml(path: Path, xml: WarpXML) -> None:
    """Write a file that Warp's `TiltSeries.LoadMeta` reads; it splits lists at every line end, so none may be spare.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    root = ElementTree.Element("TiltSeries", dict(xml.attributes))
    for tag, lines in xml.texts.items():
        ElementTree.SubElement(root, tag).text = "\n".join(lines)
    params(ElementTree.SubElement(root, "CTF"), xml.ctf)
    for tag, grid in xml.grids.items():
        depth, height, width = grid.shape
        size = {"Width": str(width), "Height": str(height), "Depth": str(depth)}
        element = ElementTree.SubElement(root, tag, {**size, "MarginX": "0", "MarginY": "0", "MarginZ": "0"})
        for (z, y, x), value in np.ndenumerate(grid):
            ElementTree.SubElement(element, "Node", {"X": str(x), "Y": str(y), "Z": str(z), "Value": shown(value)})
    write_tree(path, root)


def write_tree(path: Path, root: ElementTree.Element) -> None:
    """Write XML as Warp does, indented by tabs."""
    ElementTree.indent(root, space="\t")
    write_text(path, '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n")


def params(element: ElementTree.Element, values: Mapping[str, str]) -> None:
    """Add parameters, as Warp's `WarpBase.WriteToXML` does."""
    for name, value in values.items():
        ElementTree.SubElement(element, "Param", {"Name": name, "Value": value})


def shown(value: float) -> str:
    """Return a number with all the figures of the single precision that Warp has."""
    return f"{float(value):.9g}"


def floats(path: Path, xml: WarpXML, tag: str, n: int | None = None, default: float | None = None) -> list[float]:
    """Return a list of finite numbers, `n` of them.

    Raises
    ------
    FormatError
        If it is absent and there is no default, or not such a list.
    """
    if tag not in xml.texts:
        if default is None or n is None:
            raise FormatError(f"{path}: <{tag}> is missing.", _FIX)
        return [default] * n
    values = [number(text) for text in xml.texts[tag]]
    if any(value is None for value in values) or len(values) != (n or len(values)) or len(values) > _MAX_VIEWS:
        raise FormatError(f"{path}: <{tag}> is not a list of {n or 'some'} numbers.", _FIX)
    return [value for value in values if value is not None]


def number(text: str) -> float | None:
    """Return a finite number, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < 1e12 else None


def numbers_of(text: str | None, count: int) -> Sequence[float] | None:
    """Return `count` numbers with commas between, or None."""
    values = [number(part) for part in (text or "").split(",")]
    found = [value for value in values if value is not None and math.isfinite(value)]
    return found if len(found) == len(values) == count else None


_LISTS = ("Angles", "Dose", "UseTilt", "AxisAngle", "AxisOffsetX", "AxisOffsetY", "MoviePath", "FOVFraction")


def _parse(path: Path, text: str) -> ElementTree.Element:
    if "<!DOCTYPE" in text or "<!ENTITY" in text or text.count("<") > 2 * _MAX_ELEMENTS:
        raise FormatError(f"{path}: not a file that Warp wrote.", _FIX)
    try:
        # Without a document type there are no entities to expand, and the number of elements is bounded above.
        root = ElementTree.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text))  # noqa: S314
    except (ElementTree.ParseError, ValueError) as error:
        raise FormatError(f"{path}: not XML ({error}).", _FIX) from error
    return root


def _grid(path: Path, element: ElementTree.Element) -> NDArray[np.float64]:
    names = ["Depth", "Height", "Width"]
    keys = ["Z", "Y", "X"]
    if "Duration" in element.attrib:
        names, keys = ["Duration", *names], ["W", *keys]
    try:
        shape = tuple(int(element.get(name, "1")) for name in names)
        if min(shape) < 1 or math.prod(shape) > _MAX_NODES:
            raise ValueError("its size")
        grid = np.zeros(shape)
        for node in element.iter("Node"):
            at = tuple(int(node.get(key, "0")) for key in keys)
            value = number(node.get("Value", ""))
            if value is None or min(at) < 0:
                raise ValueError("a node")
            grid[at] = value
    except (ValueError, IndexError) as error:
        raise FormatError(f"{path}: <{element.tag}> is not a grid ({error}).", _FIX) from error
    return grid
