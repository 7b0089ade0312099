"""Warp's XML of a tilt series: lists with a value a line, `CTF` parameters, and grids of nodes; and its settings."""

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from eucentric.core import EucentricError, FormatError, write_text
from eucentric.io._text import read_text
from eucentric.io.exchange.remembering import Remembering, not_read

_MAX_ELEMENTS = 300_000  # of some 500 bytes; a series of 100 tilts that M refined has a tenth of them
_MAX_VIEWS = 5_000
_MAX_NODES = 1_000_000
_FIX = "Name the .xml file that Warp wrote last."


_MARGINS = ("MarginX", "MarginY", "MarginZ")
_NEUTRAL = {  # what changes nothing, as Warp writes it where nobody set it
    **dict.fromkeys(("DataDirectory", "UnselectManual", "ZernikeCoeffsOdd", "ZernikeCoeffsEven"), ("",)),
    **dict.fromkeys(("AreAnglesInverted", "UnselectFilter"), ("False",)),
    **dict.fromkeys(("Bfactor", "BfactorDelta", "BfactorAngle", "CTFResolutionEstimate", *_MARGINS), (0.0,)),
    **dict.fromkeys(("PixelSizeDeltaPercent", "PixelSizeDeltaAngle", "PhaseShift", "Thickness"), (0.0,)),
    **dict.fromkeys(("Weight", "Scale", "FOVFraction"), (1.0,)),
    "BeamTilt": (0.0, 0.0),
    "PlaneNormal": (0.0, 0.0, 0.0),
    "MagnificationCorrection": (1.0, 0.0, 0.0, 1.0),
}
_NEUTRAL_NODES = {"GridDoseWeights": 1.0, "GridLocationWeights": 1.0}  # 0 in other grids


def says_nothing(name: str, value: str) -> bool:
    """Tell whether an attribute or a parameter is what changes nothing."""
    neutral = _NEUTRAL.get(name)
    return neutral is not None and (value in neutral or tuple(number(part) for part in value.split(",")) == neutral)


@dataclass(frozen=True)
class WarpXML:
    """A file, which remembers what was taken from it; `others` is what we have no place for.

    Grids have the shape (depth, height, width), or (duration, depth, height, width).
    """

    attributes: Remembering[str]
    texts: Remembering[tuple[str, ...]]
    ctf: Remembering[str]
    grids: Remembering[NDArray[np.float64]]
    others: tuple[str, ...] = ()

    def unread(self, path: Path) -> list[str]:
        """Return a sentence on what nobody took, but for what changes nothing."""
        told = [name for name, value in self.attributes.unread().items() if not says_nothing(name, value)]
        told += [f"{name} of <CTF>" for name, value in self.ctf.unread().items() if not says_nothing(name, value)]
        for tag, lines in self.texts.unread().items():
            told += [] if all(says_nothing(tag, line) for line in lines) else [f"<{tag}>"]
        for tag, grid in self.grids.unread().items():
            told += [f"<{tag}>"] if np.abs(grid - _NEUTRAL_NODES.get(tag, 0.0)).max() > 1e-9 else []
        return not_read(path, [*told, *self.others])


@dataclass(frozen=True)
class Settings:
    """Settings for tilt series, of `path`: what they say of images and volumes; `others` is all else in the file."""

    path: Path
    said: Remembering[str]
    others: tuple[str, ...]

    def unread(self) -> list[str]:
        """Return a sentence on what nobody took."""
        return not_read(self.path, [*self.said.unread(), *self.others])


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
    texts: dict[str, tuple[str, ...]] = {}
    grids: dict[str, NDArray[np.float64]] = {}
    ctf, others = dict[str, str](), list[str]()
    for child in root:
        if child.tag in {*texts, *grids} or (child.tag == "CTF" and ctf):
            others.append(f"a second <{child.tag}>")
        elif child.tag == "CTF":
            ctf = _params(child, others)
        elif child.tag.startswith("Grid"):
            grids[child.tag] = _grid(path, child, others)
        elif child.tag in _LISTS:
            texts[child.tag] = tuple(line.strip() for line in (child.text or "").strip().split("\n"))
            others += _beyond(child)
        else:
            others.append(f"<{child.tag}>")
    others += _beyond(root, root.attrib, {child.tag for child in root})
    return WarpXML(Remembering(root.attrib), Remembering(texts), Remembering(ctf), Remembering(grids), tuple(others))


def read_settings(folder: Path, dropped: list[str]) -> Settings | None:
    """Return a project's settings for tilt series, None where there are none; what cannot be read goes to `dropped`."""
    for path in sorted(folder.glob("*.settings")):
        try:
            root = _parse(path, read_text(path, "Warp's settings"))
        except EucentricError as error:
            dropped.append(f"{path}: not read ({error.what})")
            continue
        found, others, parts = dict[str, str](), list[str](), ("Import", "Tomo")
        for part in root:
            if part.tag in parts:
                found |= _params(part, others)
            else:
                others.append(f"<{part.tag}>")
        said = Remembering(found)
        if root.tag == "Settings" and said.get("Extension") == "*.tomostar":
            return Settings(path, said, (*others, *_beyond(root, (), {part.tag for part in root})))
    return None


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


def _beyond(
    element: ElementTree.Element, attributes: Collection[str] = (), children: Collection[str] = ()
) -> Iterator[str]:
    """Give what an element has beside these attributes and elements, and beside its text where it has neither."""
    yield from (f"{name} of <{element.tag}>" for name in element.attrib if name not in attributes)
    yield from (f"<{child.tag}> in <{element.tag}>" for child in element if child.tag not in children)
    if attributes or children:
        stray = [element.text, *(child.tail for child in element)]
        yield from (f"{text.strip()[:40]!r} in <{element.tag}>" for text in stray if text and text.strip())


def _params(element: ElementTree.Element, others: list[str]) -> dict[str, str]:
    """Return the parameters of an element, the first of each name; what else it has goes to `others`."""
    found: dict[str, str] = {}
    others += _beyond(element, (), ("Param",))
    for param in element.findall("Param"):
        name = param.get("Name", "")
        others += [f"a second {name} of <{element.tag}>"] if name in found else []
        others += _beyond(param, ("Name", "Value"))
        found.setdefault(name, param.get("Value", ""))
    return found


def _grid(path: Path, element: ElementTree.Element, others: list[str]) -> NDArray[np.float64]:
    """Return a grid; what its element has that we have no place for goes to `others`."""
    names = ["Depth", "Height", "Width"]
    keys = ["Z", "Y", "X"]
    if "Duration" in element.attrib:
        names, keys = ["Duration", *names], ["W", *keys]
    try:
        shape = tuple(int(element.get(name, "1")) for name in names)
        if min(shape) < 1 or math.prod(shape) > _MAX_NODES:
            raise ValueError("its size")
        grid = np.full(shape, np.nan)
        for node in element.findall("Node"):
            others += _beyond(node, (*keys, "Value"))
            at = tuple(int(node.get(key, "0")) for key in keys)
            value = number(node.get("Value", ""))
            if value is None or min(at) < 0:
                raise ValueError("a node")
            grid[at] = value
        if np.isnan(grid).any():
            raise ValueError("nodes are missing")
    except (ValueError, IndexError) as error:
        raise FormatError(f"{path}: <{element.tag}> is not a grid ({error}).", _FIX) from error
    neutral = [name for name in _MARGINS if says_nothing(name, element.get(name, "0"))]
    others += _beyond(element, (*names, *neutral), ("Node",))
    return grid
