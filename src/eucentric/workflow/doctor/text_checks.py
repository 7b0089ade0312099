"""Traps in the text of an .mdoc, which no value of it shows."""

import math
from collections.abc import Iterator

from eucentric.io.mdoc_text import RawMdoc, RawSection
from eucentric.workflow.doctor.facts import Met

_LINE = 255  # characters that AreTomo3 reads at once
WARP_KEYS = ("TiltAngle", "SubFramePath", "DateTime")


def text_traps(raw: RawMdoc) -> Iterator[Met]:
    """Find what is wrong with the text, by lines."""
    if lines := [section.line for section in raw.sections if not has_tilt(section)]:
        yield "nan-tilt", lines, "There is no tilt angle, or NaN."
    if lines := [number for number, line in enumerate(raw.lines, start=1) if not is_divided(line)]:
        yield "separator", lines, f"{raw.lines[lines[0] - 1].strip()[:40]!r} is not divided by ' = '."
    joined = [section.line for section in raw.sections[1:] if " = " in raw.lines[section.line - 2]]
    if joined:
        yield "no-blank-line", joined, "There is no blank line above this section."
    if early := [line for section in raw.sections if (line := _ends_at(raw, section)) is not None]:
        yield "section-ends-early", early, "A line without a value, with entries of the section below it."
    paths = [(section.lines["SubFramePath"], section["SubFramePath"]) for section in raw.sections if has_path(section)]
    if lines := [line for line, path in paths if "=" in path]:
        yield "equals-in-path", lines, "There is a '=' in the path of the movie."
    if lines := [line for line, _ in paths if len(raw.lines[line - 1]) >= _LINE]:
        yield "long-path", lines, f"The line has {len(raw.lines[lines[0] - 1])} characters."
    if lines := [line for line, path in paths if "/" not in path and "\\" not in path]:
        yield "bare-movie-name", lines, "The movie's name has no folder before it."


def has_path(section: RawSection) -> bool:
    """Whether a section names a movie."""
    return bool(section.get("SubFramePath"))


def has_tilt(section: RawSection) -> bool:
    """Whether a section has a finite tilt; text that is no number at all is another trap."""
    try:
        return math.isfinite(float(section.get("TiltAngle", "nan").strip("[]")))
    except ValueError:
        return True


def is_divided(line: str) -> bool:
    """Whether a line is divided as Warp needs it: one space on both sides of the first '='."""
    key, separator, _ = line.partition(" = ")
    if separator and key.isalnum():  # as nearly all are
        return True
    at = line.find("=")
    if at < 0 or line.startswith("[T"):
        return True
    if line.rstrip() == line[: at + 1].rstrip():  # it has no value, which is another trap
        return True
    return at > 1 and line[at - 1 : at + 2] == " = " and line[at - 2] != " " and not line[0].isspace()


def _ends_at(raw: RawMdoc, section: RawSection) -> int | None:
    """Return the line at which Warp ends a section that has more for it below."""
    last = max(section.lines.get(key, 0) for key in WARP_KEYS)
    for number in range(section.line + 1, last):
        line = raw.lines[number - 1]
        if "=" not in line or line.rstrip().endswith("="):
            return number
    return None
