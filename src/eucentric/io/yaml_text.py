"""YAML as people write it: values with the line of each, so that whoever refuses one can say where it stands.

Duplicate keys, aliases, nesting without end, numbers that are none and yes for 1 are refused for every reader alike.
"""

import math
import re
from pathlib import Path

import yaml

from eucentric.core import FormatError
from eucentric.io._text import read_text

Place = tuple[str | int, ...]
"""The keys and indices that lead to a value."""

Lines = dict[Place, int]
"""The line, from 1, of every key and item of a file."""

_DEEPEST = 50  # levels of nesting; ours have five, and libyaml overruns its stack at some ten thousand


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # chosen at run time
    """YAML 1.1 with the numbers of 1.2: 1e5 is a number here too."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_yaml(path: Path, kind: str) -> tuple[object, Lines]:
    """Return what a file of YAML says, None if nothing, and the line of each part of it.

    Parameters
    ----------
    path
        The file.
    kind
        What it should be, with its article.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is not YAML, names a key twice, uses an alias, or is nested too deeply.

    Warns
    -----
    FormatWarning
        `not-utf8`: the file was read as Windows-1252.
    """
    text = read_text(path, kind)
    lines: Lines = {}
    try:
        _check_shape(path, text, kind)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            _note_lines(path, node, (), lines)
            return (loader.construct_document(node) if node is not None else None), lines
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(str(error.problem or error.context).split())
        where = located(path, mark.line + 1 if mark else None)
        raise FormatError(f"{where}: not YAML ({what}).", "Mend it.") from error
    except (yaml.YAMLError, ValueError) as error:  # characters that YAML forbids; dates and numbers that are none
        what = " ".join(str(error).split())[:200]
        raise FormatError(f"{path}: not YAML ({what}).", "Mend the file, or write it again.") from error


def check_values(path: Path, values: object, lines: Lines, place: Place = ()) -> None:
    """Refuse what pydantic would let through: numbers that are none, and yes for 1.

    Raises
    ------
    FormatError
        If one of the values is not finite, or is true or false.
    """
    if isinstance(values, dict):
        for key, value in values.items():
            check_values(path, value, lines, (*place, str(key)))
    elif isinstance(values, list):
        for at, value in enumerate(values):
            check_values(path, value, lines, (*place, at))
    elif isinstance(values, bool) or (isinstance(values, float) and not math.isfinite(values)):
        shown, dotted = str(values).lower(), ".".join(str(part) for part in place) or "the file"
        raise FormatError(f"{located(path, lines.get(place))}: {dotted} is {shown}.", "Give a number there.")


def line_of(place: Place, lines: Lines) -> int | None:
    """Return the line of a place, or of the innermost one around it that the file has; None if there is none.

    A part that the file has not is passed over: pydantic puts the kind of a union into the path.
    """
    found: Place = ()
    for part in place:
        found = (*found, part) if (*found, part) in lines else found
    return lines.get(found)


def located(path: Path, line: int | None) -> str:
    """Return how errors name a line of a file."""
    return f"{path}, line {line}" if line else f"{path}"


def named_twice(path: Path, line: int | None, key: str) -> FormatError:
    """Return the error of a key that stands twice."""
    return FormatError(f"{located(path, line)}: the key {key[:40]!r} stands twice.", "Leave one of them out.")


def what_it_is(values: object) -> str:
    """Say what stands where a mapping should."""
    return {list: "a list", str: "text", type(None): "empty"}.get(type(values), "a single value")


def _check_shape(path: Path, text: str, kind: str) -> None:
    """Refuse, from the flat stream of events, what would be too deep or too large once composed."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else None
        if isinstance(event, yaml.AliasEvent):
            raise FormatError(f"{located(path, line)}: an alias (*name) stands for a value.", "Write the value there.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise FormatError(f"{located(path, line)}: nested too deeply for {kind}.", "Name the right file.")


def _note_lines(path: Path, node: yaml.Node | None, place: Place, lines: Lines) -> None:
    if isinstance(node, yaml.SequenceNode):
        for at, item in enumerate(node.value):
            lines[*place, at] = item.start_mark.line + 1
            _note_lines(path, item, (*place, at), lines)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here, line = (*place, str(key.value)), key.start_mark.line + 1
            if here in lines:
                raise named_twice(path, line, str(key.value))
            lines[here] = line
            _note_lines(path, value, here, lines)
