"""Text files with something foreign put in, or a value changed to another that can be, each by its format's grammar."""

import copy
import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import PurePath
from typing import Any
from xml.etree import ElementTree

import yaml

FOREIGN = "ZzForeign"
"""What is put in: a name that no program gives to anything."""

_VALUE = "7654"

Changes = Iterator[tuple[str, str]]
"""What was put in or changed, as a reader would name it, and the text with it."""

Grammar = Callable[[str], Changes]


def another(value: str) -> str:
    """Return a value of the same kind: the next number, the other truth, a longer text."""
    if value.lower() in ("true", "false"):
        return "False" if value.lower() == "true" else "True"
    if re.fullmatch(r"-?\d+", value):
        return str(int(value) + 1)
    try:
        return f"{float(value) * 1.01 + 0.013:.6f}"
    except ValueError:
        return f"{value}x"


def _star(text: str) -> Iterator[tuple[bool, int, list[str]]]:
    """Give, of each block with a table or values: whether it is a table, its first line, and its labels."""
    lines = text.split("\n")
    for at, line in enumerate(lines):
        if line.startswith("_") and not lines[at - 1].startswith("_"):
            labels = []
            for other in lines[at:]:
                if not other.startswith("_"):
                    break
                labels.append(other.split()[0][1:])
            yield lines[at - 1].strip() == "loop_", at, labels


def star_foreign(text: str) -> Changes:
    """A column in each table, a value in each list, a table of its own, a frame."""
    for is_table, at, labels in _star(text):
        lines = text.split("\n")
        row = at + len(labels)
        while is_table and row < len(lines) and lines[row].strip():
            lines[row] += f"  {_VALUE}"
            row += 1
        lines.insert(at + len(labels), f"_{FOREIGN}" if is_table else f"_{FOREIGN} {_VALUE}")
        yield FOREIGN, "\n".join(lines)
    yield FOREIGN, f"{text}\n\ndata_{FOREIGN}\n\nloop_\n_{FOREIGN}\n{_VALUE}\n"
    yield FOREIGN, f"{text}\n\nsave_{FOREIGN}\n_{FOREIGN} {_VALUE}\nsave_\n"


def star_values(text: str) -> Changes:
    """Each column's first value."""
    for is_table, at, labels in _star(text):
        for i, label in enumerate(labels):
            lines = text.split("\n")
            row, word = (at + len(labels), i) if is_table else (at + i, 1)
            words = lines[row].split()
            if word < len(words):
                words[word] = another(words[word])
                lines[row] = "  ".join(words)
                yield label, "\n".join(lines)


def _firsts(root: ElementTree.Element) -> list[int]:
    """Return the first element of each kind: its place in the order of the file."""
    kinds: dict[tuple[str, str], int] = {}
    for at, one in enumerate(root.iter()):
        kinds.setdefault((one.tag, one.get("Name", "")), at)
    return list(kinds.values())


def xml_foreign(text: str) -> Changes:
    """An attribute of each kind of element, and an element in each that has others or a text."""
    root = ElementTree.fromstring(text)
    for at in _firsts(root):
        for is_element in (False, True):
            changed = copy.deepcopy(root)
            one = list(changed.iter())[at]
            if is_element:
                ElementTree.SubElement(one, FOREIGN).text = _VALUE
            else:
                one.set(FOREIGN, _VALUE)
            yield FOREIGN, ElementTree.tostring(changed, encoding="unicode")


def xml_values(text: str) -> Changes:
    """Each attribute, of parameters the value, and the first line of each text."""
    root = ElementTree.fromstring(text)
    for at in _firsts(root):
        one = list(root.iter())[at]
        for key, value in one.attrib.items():
            if key != "Name":
                changed = copy.deepcopy(root)
                list(changed.iter())[at].set(key, another(value))
                yield (
                    one.get("Name", key if one is root else one.tag),
                    ElementTree.tostring(changed, encoding="unicode"),
                )
        if one.text and one.text.strip():
            changed = copy.deepcopy(root)
            first, *others = one.text.split("\n")
            list(changed.iter())[at].text = "\n".join([another(first), *others])
            yield one.tag, ElementTree.tostring(changed, encoding="unicode")


Place = tuple[str | int, ...]


def _nodes(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Give all values of JSON, and of the items of a list those of the first."""
    yield place, value
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _nodes(one, (*place, key))
    elif isinstance(value, list) and value:
        yield from _nodes(value[0], (*place, 0))


def _with(value: Any, place: Place, new: Any) -> Any:
    """Return a value with another one in a place; it shares all else."""
    first, *rest = place
    changed = copy.copy(value)
    changed[first] = _with(value[first], tuple(rest), new) if rest else new
    return changed


def _tree_foreign(tree: Any) -> Iterator[tuple[str, Any]]:
    for place, value in _nodes(tree):
        if isinstance(value, dict):
            yield FOREIGN, _with(tree, (*place, FOREIGN), int(_VALUE))


def _tree_values(tree: Any) -> Iterator[tuple[str, Any]]:
    for place, value in _nodes(tree):
        if isinstance(value, bool):
            new: Any = not value
        elif isinstance(value, int):
            new = value + 1
        elif isinstance(value, float):
            new = value * 1.01 + 0.013
        elif isinstance(value, str):
            new = another(value)
        else:
            continue
        yield str(next(part for part in reversed(place) if isinstance(part, str))), _with(tree, place, new)


def _over(read: Callable[[str], Any], write: Callable[[Any], str], change: Callable[[Any], Any]) -> Grammar:
    return lambda text: ((what, write(tree)) for what, tree in change(read(text)))


def _line_of_json(change: Grammar) -> Grammar:
    def changes(text: str) -> Changes:
        first, _, rest = text.partition("\n")
        return ((what, f"{changed}\n{rest}") for what, changed in change(first))

    return changes


def _joined(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def csv_foreign(text: str) -> Changes:
    """A column, a cell without one, a row of words."""
    head, *rows = csv.reader(text.splitlines())
    yield FOREIGN, _joined([[*head, FOREIGN], *([*row, _VALUE] for row in rows)])
    yield FOREIGN, _joined([head, [*rows[0], FOREIGN], *rows[1:]])
    yield FOREIGN, _joined([head, *rows, [FOREIGN] * len(head)])


def csv_values(text: str) -> Changes:
    """Each column's first value."""
    head, *rows = csv.reader(text.splitlines())
    for i, name in enumerate(head):
        if rows[0][i]:
            yield name, _joined([head, [*rows[0][:i], another(rows[0][i]), *rows[0][i + 1 :]], *rows[1:]])


def autodoc_foreign(text: str) -> Changes:
    """A key and a line without one, among what is said of the whole and in the last section; a title; a section."""
    for line in (f"{FOREIGN} = {_VALUE}", f"{FOREIGN} without an equals sign"):
        yield FOREIGN, f"{line}\n{text}"
        yield FOREIGN, f"{text.rstrip()}\n{line}\n"
    yield FOREIGN, f"[T = {FOREIGN}]\n{text}"
    yield FOREIGN, f"{text.rstrip()}\n\n[{FOREIGN} = 1]\nKey = {_VALUE}\n"


def pairs_foreign(text: str) -> Changes:
    """A key."""
    yield FOREIGN, f"{text.rstrip()}\n{FOREIGN}={_VALUE}\n"


def pairs_values(text: str) -> Changes:
    """The first value of each key."""
    lines, seen = text.split("\n"), set()
    for at, line in enumerate(lines):
        key, equals, value = line.partition("=")
        if equals and not line.startswith(("[", "#")) and value.strip() and key not in seen:
            seen.add(key)
            changed = " ".join(another(word) if i == 0 else word for i, word in enumerate(value.split()))
            yield key.strip(), "\n".join([*lines[:at], f"{key}= {changed}", *lines[at + 1 :]])


def com_foreign(text: str) -> Changes:
    """An option after those that are there, and the call of another program."""
    yield FOREIGN, f"{text.rstrip()}\n{FOREIGN} {_VALUE}\n"
    yield FOREIGN, f"{text.rstrip()}\n${FOREIGN}\n"


def com_values(text: str) -> Changes:
    """Each option's first value, pixels by as many as are binned: less is less than one, for `tilt` too."""
    lines = text.split("\n")
    binned = re.search(r"^IMAGEBINNED (\d+)", text, re.MULTILINE)
    step = int(binned[1]) if binned else 1
    for at, line in enumerate(lines):
        words = re.split(r"([\s,]+)", line)
        if len(words) > 2 and line[0] not in "#$":
            words[2] = str(int(words[2]) + step) if words[2].isdigit() else another(words[2])
            yield words[0], "\n".join([*lines[:at], "".join(words), *lines[at + 1 :]])


def columns_foreign(text: str) -> Changes:
    """A word in a row, a row of words, and a number in a row."""
    rows = text.rstrip("\n").split("\n")
    yield FOREIGN, "\n".join([*rows[:-1], f"{rows[-1]} {FOREIGN}", ""])
    yield FOREIGN, "\n".join([*rows, FOREIGN, ""])
    yield _VALUE, "\n".join([*rows[:-1], f"{rows[-1]} {_VALUE}", ""])


def columns_values(text: str) -> Changes:
    """Each number of the last row, and of each line of a header."""
    rows = text.rstrip("\n").split("\n")
    for at, row in enumerate(rows):
        found = re.match(r"#\s*(\w+)\s*=\s*(\S+)", row)
        if found:
            changed = f"{row[: found.start(2)]}{another(found[2])}{row[found.end(2) :]}"
            yield found[1], "\n".join([*rows[:at], changed, *rows[at + 1 :], ""])
    words = rows[-1].split()
    for i, word in enumerate(words):
        yield f"column {i + 1}", "\n".join([*rows[:-1], " ".join([*words[:i], another(word), *words[i + 1 :]]), ""])


def aln_foreign(text: str) -> Changes:
    """As in other tables, and a line of the header."""
    yield from columns_foreign(text)
    yield FOREIGN, f"# {FOREIGN} = {_VALUE}\n{text}"


_LOADER, _DUMPER = getattr(yaml, "CSafeLoader", yaml.SafeLoader), getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_JSON = tuple(_over(json.loads, json.dumps, change) for change in (_tree_foreign, _tree_values))


def _as_yaml(tree: Any) -> str:
    return str(yaml.dump(tree, Dumper=_DUMPER, sort_keys=False))


_YAML = tuple(_over(partial(yaml.load, Loader=_LOADER), _as_yaml, change) for change in (_tree_foreign, _tree_values))
GRAMMARS: dict[str, tuple[Grammar, ...]] = {
    **dict.fromkeys((".star", ".tomostar"), (star_foreign, star_values)),
    **dict.fromkeys((".xml", ".settings"), (xml_foreign, xml_values)),
    ".json": _JSON,
    ".ndjson": tuple(map(_line_of_json, _JSON)),
    ".yaml": _YAML,
    ".csv": (csv_foreign, csv_values),
    **dict.fromkeys((".mdoc", ".nav"), (autodoc_foreign, pairs_values)),
    ".edf": (pairs_foreign, pairs_values),
    ".com": (com_foreign, com_values),
    ".aln": (aln_foreign, columns_values),
    **dict.fromkeys((".xf", ".tlt", ".rawtlt", ".xtilt", ".defocus", ".txt"), (columns_foreign, columns_values)),
}
"""What can be put into a file, and which of its values can be changed, by its suffix."""


def grammar_of(path: str) -> tuple[Grammar, ...] | None:
    """Return the grammar of a file, or None of one that is not text, or only of our own, its name hidden."""
    return None if PurePath(path).name.startswith(".") else GRAMMARS.get(PurePath(path).suffix)
