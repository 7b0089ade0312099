"""IMOD's command files and lists, both ways: newst.com, tilt.com, ctfcorrection.com, an .edf, and "1-3,41".

A command file has one option a line, its name and its values; `tilt` reads names in any case. Sizes in tilt.com are in
pixels of the stack before binning (its IMAGEBINNED says how often they were binned).
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from eucentric.core import FormatError
from eucentric.io._text import read_text

_MAX_VIEWS = 100_000
_MAX_TOLD = 100  # names of options; etomo's .edf has some hundreds, of its own windows
_SAVES_WORK = "$if (-e ./savework) ./savework"  # a backup, at the end of etomo's command files
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@dataclass
class Options:
    """The options of a command file or the settings of an .edf; where one is given twice, the last holds.

    It remembers what it was asked for, so that it can tell what was not read.

    Attributes
    ----------
    path
        The file.
    values
        What is said of each option, by its name in capitals; lists of views, given several times, are joined.
    names
        The options' names as they are written, by those in capitals.
    commands
        What else the file runs.
    """

    path: Path
    values: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    _asked: set[str] = field(default_factory=set)

    def __contains__(self, name: str) -> bool:
        """Whether an option is given, with a value or without."""
        self._asked.add(name.upper())
        return name.upper() in self.values

    def give(self, name: str, value: str) -> None:
        """Take an option."""
        key = name.upper()
        if key.startswith("EXCLUDE"):
            key = "EXCLUDE"
            value = ",".join(part for part in (self.values.get(key, ""), value) if part)
        self.names[key], self.values[key] = name, value

    def text(self, name: str) -> str:
        """Return what is said of an option, "" where nothing."""
        self._asked.add(name.upper())
        return self.values.get(name.upper(), "")

    def numbers(self, name: str, counts: Iterable[int]) -> tuple[float, ...]:
        """Return the numbers of an option, () where it is not given.

        Raises
        ------
        FormatError
            If there are not as many finite numbers as one of the `counts`.
        """
        words = self.text(name).replace(",", " ").split()
        if not words:
            return ()
        if len(words) not in counts or not all(_NUMBER.fullmatch(word) for word in words):
            raise FormatError(f"{self.path}: {name} {self.text(name)[:60]!r} is not what it should be.")
        found = tuple(float(word) for word in words)
        if not all(math.isfinite(value) and abs(value) < 1e7 for value in found):
            raise FormatError(f"{self.path}: {name} {self.text(name)[:60]!r} cannot be.")
        return found

    def number(self, name: str, otherwise: float) -> float:
        """Return the one number of an option."""
        found = self.numbers(name, (1,))
        return found[0] if found else otherwise

    def unread(self) -> list[str]:
        """Return a sentence on what nobody asked for; none where there is nothing."""
        found = [self.names[key] for key in self.values if key not in self._asked] + self.commands
        more = f" and {len(found) - _MAX_TOLD} more" if len(found) > _MAX_TOLD else ""
        return [f"{self.path}: not read: {', '.join(one[:80] for one in found[:_MAX_TOLD])}{more}."] if found else []


def read_com(path: Path, program: str) -> Options:
    """Read the options that a command file gives to a program, such as "tilt".

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is not text, or does not start the program.
    """
    options, inside, found = Options(path), False, False
    for line in read_text(path, "a command file").split("\n"):
        words = line.strip().split(None, 1)
        if not words or words[0].startswith("#"):
            continue
        if words[0].startswith("$"):
            inside = words[0][1:].lower() == program and not found
            found = found or inside
            if line.strip() != _SAVES_WORK and not (inside and words[1:] in ([], ["-StandardInput"])):
                options.commands.append(line.strip())
        elif inside and words[0].upper() == "DONE":
            inside = False
        elif inside:
            options.give(words[0], words[1].strip() if len(words) > 1 else "")
    if not found:
        raise FormatError(f"{path}: does not run {program}.", f"Name the command file of {program}.")
    return options


def read_edf(path: Path) -> Options:
    """Read the settings of an etomo data file.

    Raises
    ------
    InputError, FormatError
        If the file cannot be opened, or is not text.
    """
    settings = Options(path)
    for line in read_text(path, "an etomo data file").split("\n"):
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            settings.give(name.strip(), value.strip())
    return settings


def parse_views(text: str) -> frozenset[int]:
    """Return the sections, counted from 0, of a list of views counted from 1, such as "1-3,41".

    Raises
    ------
    FormatError
        If it is not such a list.
    """
    sections: set[int] = set()
    for part in text.replace(" ", ",").split(","):
        if not part:
            continue
        match = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= last <= _MAX_VIEWS:
            raise FormatError(f"{text[:60]!r} is no list of views.", 'Write it as "1-3,41".')
        sections.update(range(first - 1, last))
    return frozenset(sections)


def format_com(program: str, options: dict[str, str], comment: str = "") -> str:
    """Return the text of a command file."""
    lines = [f"# Command file to run {program}, written by Eucentric"]
    lines += [f"# {comment}"] if comment else []
    lines.append(f"${program} -StandardInput")
    lines += [f"{name} {value}".rstrip() for name, value in options.items()]
    return "\n".join(lines) + "\n"
