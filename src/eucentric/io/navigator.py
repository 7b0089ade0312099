"""SerialEM's navigator files, and the autodoc form (IMOD's) that they share with .mdocs.

Keys, their order and their units are those of SerialEM's help, "File Formats": stage positions in µm.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from eucentric.core import FormatError, Record, write_text
from eucentric.io._text import read_text, warn_format

_HEADING = re.compile(r"\[\s*([^\s=\]]+)\s*= ?(.*?)\]?$")


@dataclass
class AutodocSection:
    """A section of an autodoc: its `kind` and `name`, both "" for the global part, and its lines."""

    kind: str
    name: str
    lines: list[str]

    def pairs(self) -> dict[str, str]:
        """Return its keys and values; of a key given twice the last."""
        split = (line.partition("=") for line in self.lines if not line.startswith("#"))
        return {key.strip(): value.strip() for key, equals, value in split if equals}

    def put(self, key: str, value: str) -> None:
        """Set a key, in its place where it is already there."""
        at = [i for i, line in enumerate(self.lines) if line.partition("=")[0].strip() == key]
        if at:
            self.lines[at[-1]] = f"{key} = {value}"
        else:
            self.lines.append(f"{key} = {value}")

    def copy(self) -> Self:
        """Return one that can be changed by itself."""
        return type(self)(self.kind, self.name, list(self.lines))


def split_autodoc(text: str) -> list[AutodocSection]:
    """Split an autodoc into its global part, always first, and its sections; blank lines are dropped."""
    sections = [AutodocSection("", "", [])]
    for line in (line.strip() for line in text.split("\n")):
        if heading := _HEADING.match(line):
            # Titles (T) come from the header of an image file, where their columns mean something.
            name = heading[2] if heading[1] == "T" else heading[2].strip()
            sections.append(AutodocSection(heading[1], name, []))
        elif line:
            sections[-1].lines.append(line)
    return sections


def join_autodoc(sections: Sequence[AutodocSection]) -> str:
    """Return the text of an autodoc, each section after a blank line."""
    parts = ["\n".join(sections[0].lines)] if sections[0].lines else []
    parts += ["\n".join([f"[{one.kind} = {one.name}]", *one.lines]) for one in sections[1:]]
    return "\n\n".join(parts) + "\n"


# Text of one line that is read back as it was written; a key holds nothing of the syntax.
_Text = Annotated[str, Field(pattern=r"^([^\s\x00-\x1f\x7f]([^\x00-\x08\x0a-\x1f\x7f]*[^\s\x00-\x1f\x7f])?)?$")]
_Key = Annotated[str, Field(pattern=r"^[^\s=\[#\x00-\x1f\x7f]([^=\x00-\x1f\x7f]*[^\s=\x00-\x1f\x7f])?$")]
_Um = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]  # a metre: no stage is that wide
_Int = Annotated[int, Field(ge=-(1 << 31), lt=1 << 31)]
_KINDS: tuple[Literal["point", "polygon", "map"], ...] = ("point", "polygon", "map")
_VERSION = "2.00"
_HEAD = ("AdocVersion", "LastSavedAs")
_OWN = ("Color", "StageXYZ", "Regis", "Type", "Note", "Acquire", "MapFile", "MapSection")
_POINTS = ("NumPts", "PtsX", "PtsY")
_FIX = "Mend or remove that item, or save the navigator file again in SerialEM."


class NavItem(Record):
    """An item of the navigator's table.

    Attributes
    ----------
    label
        As the table shows it.
    kind
        What it is.
    stage_xyz_um
        Where the stage goes for it, µm.
    note, acquire
        What was noted, and whether it is to be acquired.
    color, registration
        SerialEM's numbers for them (0 red to 5), and of the registration in which it was marked.
    map_file, map_section
        The image of a map, and its section in that file; "" and 0 for other kinds.
    extra
        All other keys of its section with their values, in order. NumPts, PtsX and PtsY are in it only where they say
        more than that the item has one point, its stage position; else they are made from that when it is written.
    """

    label: _Text
    kind: Literal["point", "polygon", "map"]
    stage_xyz_um: tuple[_Um, _Um, _Um]
    note: _Text = ""
    acquire: bool = False
    color: _Int = 0
    registration: _Int = 1
    map_file: _Text = ""
    map_section: _Int = 0
    extra: dict[_Key, _Text] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_said_once(self) -> Self:
        if twice := sorted(set(self.extra) & set(_OWN)):
            raise ValueError(f"extra has {', '.join(twice)}, for which the item has fields of its own")
        if self.kind == "map" and not self.map_file:
            raise ValueError("a map needs its map_file")
        return self


def read_navigator(path: Path) -> tuple[NavItem, ...]:
    """Read a navigator file in autodoc form, as SerialEM has written since version 3.6.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is no such file, or an item of it cannot be read.

    Warns
    -----
    FormatWarning
        `navigator-sections`: sections other than items (parameters of series, say) were left out; `navigator-lines`:
        so were keys of the file as a whole, and lines that are no keys; `not-utf8`.
    """
    path = Path(path)
    text = read_text(path, "a navigator file")
    if text.lstrip().startswith("<"):
        raise FormatError(f"{path}: this navigator file is XML, which is not read.", "Save it as an autodoc.")
    head, *sections = split_autodoc(text)
    if "AdocVersion" not in head.pairs():
        raise FormatError(
            f"{path}: no navigator file in autodoc form (it does not begin with AdocVersion).", "Name another file."
        )
    others = dict.fromkeys(key for key in head.pairs() if key not in _HEAD)
    others |= dict.fromkeys(
        line for one in (head, *sections) for line in one.lines if line[0] != "#" and "=" not in line
    )
    if others:
        warn_format(path, "navigator-lines", f"{', '.join(others)[:300]}: these lines were left out.")
    items = tuple(_item(path, section) for section in sections if section.kind == "Item")
    if kinds := sorted({section.kind for section in sections} - {"Item"}):
        warn_format(path, "navigator-sections", f"sections [{'], ['.join(kinds)}] were left out: only items are read.")
    return items


def write_navigator(path: Path, items: Sequence[NavItem]) -> None:
    """Write a navigator file, whole or not at all; one already there is replaced.

    Raises
    ------
    OutputError
        If the place cannot be written to, or the disk is full.
    """
    path = Path(path)
    head = AutodocSection("", "", [f"AdocVersion = {_VERSION}", f"LastSavedAs = {path.absolute()}"])
    sections = [AutodocSection("Item", item.label, list(_lines(item))) for item in items]
    write_text(path, join_autodoc([head, *sections]) + "\n")


def _item(path: Path, section: AutodocSection) -> NavItem:
    where = f"{path}, item {section.name[:40]!r}"
    pairs = section.pairs()
    try:
        kinds = {str(number): kind for number, kind in enumerate(_KINDS)}
        if pairs["Type"] not in kinds:
            raise FormatError(f"{where}: its Type is {pairs['Type'][:40]}, not one of 0 to 2.", _FIX)
        x, y, z = (float(part) for part in pairs["StageXYZ"].split())
        own = (*_OWN, *_POINTS) if _is_one_point(pairs, x, y) else _OWN
        return NavItem(
            label=section.name,
            kind=kinds[pairs["Type"]],
            stage_xyz_um=(x, y, z),
            note=pairs.get("Note", ""),
            acquire=_int(pairs, "Acquire", 0) != 0,
            color=_int(pairs, "Color"),
            registration=_int(pairs, "Regis"),
            map_file=pairs.get("MapFile", ""),
            map_section=_int(pairs, "MapSection", 0),
            extra={key: value for key, value in pairs.items() if key not in own},
        )
    except KeyError as error:
        raise FormatError(f"{where}: it has no {error.args[0]}.", _FIX) from error
    except ValidationError as error:
        wrong = "; ".join(f"{e['loc'][0] if e['loc'] else 'item'}: {e['msg']}" for e in error.errors())
        raise FormatError(f"{where}: {wrong}.", _FIX) from error
    except ValueError as error:
        given = ", ".join(
            f"{key} = {pairs[key][:40]}" for key in ("Type", "StageXYZ", "Color", "Regis") if key in pairs
        )
        raise FormatError(f"{where}: its numbers cannot be read ({given}).", _FIX) from error


def _is_one_point(pairs: dict[str, str], x: float, y: float) -> bool:
    """Whether the points of an item are but its stage position."""
    try:
        return [float(pairs.get(key, at)) for key, at in zip(_POINTS, (1, x, y), strict=True)] == [1, x, y]
    except ValueError:  # several points
        return False


def _int(pairs: dict[str, str], key: str, default: int | None = None) -> int:
    if default is not None and key not in pairs:
        return default
    return int(pairs[key])


def _lines(item: NavItem) -> Iterator[str]:
    """Give the lines of an item: those that SerialEM requires first, in its order."""
    extra = dict(item.extra)
    x, y, z = (_number(value) for value in item.stage_xyz_um)
    count = str(len(extra.get("PtsX", x).split()))
    points = {key: extra.pop(key, own) for key, own in zip(_POINTS, (count, x, y), strict=True)}
    yield f"Color = {item.color}"
    yield f"StageXYZ = {x} {y} {z}"
    yield f"NumPts = {points.pop('NumPts')}"
    yield f"Regis = {item.registration}"
    yield f"Type = {_KINDS.index(item.kind)}"
    if item.note:
        yield f"Note = {item.note}"
    if item.acquire:
        yield "Acquire = 1"
    if item.map_file:
        yield f"MapFile = {item.map_file}"
        yield f"MapSection = {item.map_section}"
    yield from (f"{key} = {value}" for key, value in (extra | points).items())


def _number(value: float) -> str:
    """Write a length to a picometre, without an exponent."""
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
