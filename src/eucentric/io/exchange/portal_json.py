"""JSON of others, read with care: a value is there and of its kind, or a `FormatError` says where it is not."""

import json
import math
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from eucentric.core import FormatError
from eucentric.io._text import decode_text, size_of

_MAX_BYTES = 16 << 20  # a thousand tilts have 1 MB; parsed, JSON may take twenty times its size
_MAX_ITEMS = 100_000
_MAX_TOLD = 4_000  # letters of a list of what was not read


class Node:
    """A value of a JSON file, and where it is."""

    def __init__(self, path: Path, value: Any, where: str = "", kind: str = "", asked: set[str] | None = None) -> None:
        """Take the value, its place in the file, that without the numbers of items, and what was asked for so far."""
        self.path, self.value, self.where = path, value, where
        self._kind, self._asked = kind, set[str]() if asked is None else asked

    def get(self, name: str) -> "Node":
        """Return a member; what is not there is a node without a value."""
        value = self.value.get(name) if isinstance(self.value, Mapping) else None
        kind = f"{self._kind}.{name}".lstrip(".")
        self._asked.add(kind)
        return Node(self.path, value, f"{self.where}.{name}".lstrip("."), kind, self._asked)

    def items(self) -> list["Node"]:
        """Return the nodes of a list, none where it is absent."""
        if self.value is None:
            return []
        if not isinstance(self.value, list) or len(self.value) > _MAX_ITEMS:
            raise self.wrong("a list")
        kind = f"{self._kind}[]"
        return [Node(self.path, value, f"{self.where}[{i}]", kind, self._asked) for i, value in enumerate(self.value)]

    def unread(self, *passed_over: str) -> list[str]:
        """Return a sentence on the members in here that nobody asked for, but for some; none where there is none."""
        found = dict.fromkeys(_unasked(self.value, self._kind, self._asked, passed_over))
        return [f"{self.path}: what was not read: {', '.join(found)[:_MAX_TOLD]}."] if found else []

    def number(self) -> float | None:
        """Return a finite number, None where it is absent."""
        if self.value is None:
            return None
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self.wrong("a number")
        if not -1e12 < self.value < 1e12:
            raise self.wrong("a number that can be")
        return float(self.value)

    def needed(self) -> float:
        """Return a finite number that must be there."""
        found = self.number()
        if found is None:
            raise self.wrong("a number")
        return found

    def index(self) -> int:
        """Return a whole number from 0 that must be there."""
        found = self.needed()
        if found < 0 or found != math.floor(found):
            raise self.wrong("a whole number from 0")
        return int(found)

    def text(self) -> str:
        """Return a text, "" where it is absent."""
        if self.value is None:
            return ""
        if not isinstance(self.value, str) or not self.value.isprintable():  # nor has it halves of characters
            raise self.wrong("a text of one line")
        return self.value

    def matrix(self, rows: int, columns: int) -> NDArray[np.float64] | None:
        """Return a matrix of this shape, None where it is absent."""
        if self.value is None:
            return None
        found = [[number.needed() for number in row.items()] for row in self.items()]
        if len(found) != rows or any(len(row) != columns for row in found):
            raise self.wrong(f"a matrix of {rows} x {columns}")
        return np.array(found)

    def wrong(self, what: str) -> FormatError:
        """Return the error that says what was expected here."""
        return FormatError(f"{self.path}: {self.where or 'the file'} is not {what}.", "Export the file again.")


def _unasked(value: Any, kind: str, asked: Collection[str], passed_over: Collection[str]) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            member = f"{kind}.{name}".lstrip(".")
            if member not in asked:
                yield member
            if name not in passed_over:
                yield from _unasked(one, member, asked, ())
    elif isinstance(value, list):
        for one in value:
            yield from _unasked(one, f"{kind}[]", asked, ())


def parse_json(path: Path, text: str) -> Any:
    """Return the value of a JSON text.

    Raises
    ------
    FormatError
        If it is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: not JSON ({str(error)[:80]}).", "Export the file again.") from error


def read_json(path: Path) -> Node:
    """Read a JSON file.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is too large or not JSON.
    """
    if size_of(path, "a JSON file") > _MAX_BYTES:
        raise FormatError(f"{path}: too large to be metadata of a tilt series.", "Name the right file.")
    text, foreign = decode_text(path, "a JSON file")
    if foreign:
        raise FormatError(f"{path}: {foreign}", "Save it as UTF-8.")
    return Node(path, parse_json(path, text))


def format_json(value: Any) -> str:
    """Return the text of a JSON file; a number that JSON cannot hold is an error of ours."""
    return json.dumps(value, indent=1, allow_nan=False) + "\n"


def euler_deg(matrix: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return a particle's rot, tilt and psi (°) of the rotation that takes the reference to the specimen.

    Its matrix is Az(-psi) Ay(-tilt) Az(-rot), with A a turn as scipy has it.
    """
    u, _, v = np.linalg.svd(matrix)
    nearest = u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v
    first, second, third = Rotation.from_matrix(nearest).as_euler("ZYZ", degrees=True, suppress_warnings=True)
    # scipy has the middle angle from 0 to 180; Az(180) about it turns its sign.
    psi, rot = (-(angle + 180) for angle in (first, third))
    return tuple(float((a + 180) % 360 - 180) for a in (rot, second, psi))  # type: ignore[return-value]
