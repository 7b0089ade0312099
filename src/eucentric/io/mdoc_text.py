"""The text of an .mdoc: its lines, and the entries of each section with the line that each stands on."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

_HEADING = re.compile(r"\[(ZValue|MontSection|FrameSet)\s*=\s*(.*?)\]?\s*$")
_OTHER_HEADING = re.compile(r"\[(?!T\s*=)\w+\s*=.*\]$", re.ASCII)  # a title, T, is none
_LONGEST_TOLD = 80


class RawSection(dict[str, str]):
    """The entries of a section as text, its heading first; of a key that stands twice the later value counts.

    Attributes
    ----------
    line
        Where its heading stands, from 1.
    lines
        Where each entry stands.
    """

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}


@dataclass(frozen=True)
class RawMdoc:
    """An .mdoc before any value is understood.

    Attributes
    ----------
    lines
        All lines, as they stand; line 1 is the first.
    header
        Those before the first section, without spaces around them.
    sections
        In their order in the file.
    """

    lines: tuple[str, ...]
    header: tuple[str, ...]
    sections: tuple[RawSection, ...]

    @property
    def settings(self) -> dict[str, str]:
        """The entries of the header."""
        return dict(pairs(self.header))

    def header_line(self, word: str) -> int | None:
        """Return the first line of the header that has `word` in it, from 1."""
        return next((number for number, line in enumerate(self.header, start=1) if word in line), None)


def split_mdoc(text: str) -> RawMdoc:
    """Split the text of an .mdoc, in which lines end with a line feed; nothing is refused.

    What stands in a section of another kind is in none of these.
    """
    lines = text.split("\n")
    header: list[str] = []
    sections: list[RawSection] = []
    elsewhere = False
    for number, line in enumerate(lines, start=1):
        if "[" in line and (heading := _HEADING.match(line.strip())):
            section = RawSection(number)
            section[heading[1]] = heading[2]
            section.lines[heading[1]] = number
            sections.append(section)
            elsewhere = False
        elif elsewhere or _OTHER_HEADING.match(line.strip()):
            elsewhere = True
        elif sections:
            key, equals, value = line.partition("=")
            key = key.strip()
            if equals and not key.startswith("["):
                sections[-1][key] = value.strip()
                sections[-1].lines[key] = number
        else:
            header.append(line.strip())
    return RawMdoc(tuple(lines), tuple(header), tuple(sections))


def pairs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Give the key and value of each line that has them; titles, in brackets, have none."""
    for line in lines:
        key, equals, value = line.partition("=")
        if equals and not key.lstrip().startswith("["):
            yield key.strip(), value.strip()


def unread(raw: RawMdoc, of_header: Collection[str], of_sections: Collection[str], titles: str) -> tuple[str, ...]:
    """Return what stands in an .mdoc beside the keys that are read: keys, and lines without one, each once.

    `titles` is a pattern of those titles that are read. A key that stands twice in one place is read once, and told.
    """
    told: dict[str, None] = {}
    known, here, elsewhere = of_header, set[str](), False
    for line in (line.strip() for line in raw.lines):
        is_bracketed = line.startswith("[")
        if is_bracketed and _HEADING.match(line):
            known, here, elsewhere = of_sections, set(), False
            continue
        key, equals, _ = line.partition("=")
        key = key.strip()
        if is_bracketed and _OTHER_HEADING.match(line):
            elsewhere = True
            told[line] = None
        elif not equals or is_bracketed:
            if line and not line.startswith("#") and not re.search(titles, line):
                told[line] = None
        elif key not in known or elsewhere:
            told[key] = None
        elif key in here:
            told[f"{key}, given twice"] = None
        here.add(key)
    return tuple(text[:_LONGEST_TOLD] for text in told)
