"""What a file says, which remembers what was asked of it: all else can then be listed as not read."""

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any, TypeVar

_NOT_READ = ": not read: "
_MAX_TOLD = 4_000  # letters of a list of what was not read
_MAX_NAMED = 3  # of the files of which the same was not read
V = TypeVar("V")


class Remembering(dict[str, V]):
    """What a file says, by name; `asked` are the names whose values were taken, and may be shared by several.

    To look whether a name is there, or to go over all of them, takes nothing.
    """

    def __init__(self, said: Mapping[str, V], asked: set[str] | None = None) -> None:
        super().__init__(said)
        self.asked: set[str] = set() if asked is None else asked

    def __getitem__(self, name: str) -> V:
        """Take a value."""
        self.asked.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Take a value, or `default` where there is none."""
        self.asked.add(name)
        return super().get(name, default)

    def unread(self) -> dict[str, V]:
        """Return what nobody asked for."""
        return {name: value for name, value in self.items() if name not in self.asked}


def not_read(path: Path, names: Iterable[str]) -> list[str]:
    """Return a sentence on what was not read of a file, each name once; none where there is none."""
    told = ", ".join(dict.fromkeys(names))
    return [f"{path}{_NOT_READ}{told[:_MAX_TOLD]}."] if told else []


def grouped(sentences: Iterable[str]) -> list[str]:
    """Return sentences, with one for all files of which the same was not read: a project has a file for each series."""
    files: dict[str, list[str]] = {}
    for sentence in sentences:
        file, told, what = sentence.rpartition(_NOT_READ)
        found = files.setdefault(told + what, [])
        found += [file] if told and file not in found else []  # other sentences stand for themselves, without a file
    return [f"{_named(found)}{told}" for told, found in files.items()]


def _named(files: list[str]) -> str:
    names = [*files[:1], *(PurePath(file).name for file in files[1:_MAX_NAMED])]
    more = len(files) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
