"""The traps that .mdoc files of tilt series set, each with its name, and the checks that spring them."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path, PureWindowsPath
from typing import Literal

from eucentric.core import Record
from eucentric.io.mdoc_text import RawSection

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME = re.compile(r"(\d{1,2})-([A-Za-z]{3})-(\d{4}|\d{2})\s+(\d{1,2}):(\d{2}):(\d{2})$", re.ASCII)
_TITLE_AXIS = re.compile(r"Tilt axis angle\s*=\s*(-?\d+(?:\.\d*)?)", re.ASCII)
READ_TITLES = r"Tilt axis angle\s*=|TiltAxisAngle\s*="
"""A pattern of the titles that are read."""

_TOMOGRAPHY5_AXIS = re.compile(r"TiltAxisAngle\s*=\s*(-?\d+(?:\.\d*)?)", re.ASCII)
_AXIS_TOLERANCE_DEG = 1.0  # titles have one decimal, and the microscope's rotation drifts little within a session


class FindingName(StrEnum):
    """The fixed words by which a trap in an .mdoc is named."""

    EMPTY = "empty"
    FRAME_SET = "frame-set"
    MONTAGE = "montage"
    UNREADABLE = "unreadable-section"
    DUPLICATE_Z = "duplicate-zvalue"
    OVERRIDE = "override"
    NO_PRE_EXPOSURE = "no-prior-exposure"
    NO_EXPOSURE = "no-exposure"
    TILT_AXIS = "tilt-axis"
    TWO_DIGIT_YEAR = "two-digit-year"
    CROSSES_MIDNIGHT = "crosses-midnight"
    CROSSES_MONTH = "crosses-month"
    HALF_WRITTEN = "half-written"
    NOT_UTF8 = "not-utf8"
    PARENT_IN_PATH = "parent-in-path"
    NO_MOVIE = "no-movie"
    REPEATED_MOVIE = "repeated-movie"
    ORDER_LOST = "order-lost"


class Finding(Record):
    """A trap met in a file: its name, how grave it is, where it is, and what was made of it."""

    name: FindingName
    severity: Literal["note", "warning", "error"]
    where: str
    message: str
    lines: tuple[int, ...] = ()

    @property
    def line(self) -> int | None:
        """The first of its lines in the file, from 1; None where it is of the whole file."""
        return self.lines[0] if self.lines else None


@dataclass(frozen=True)
class Entry:
    """The values of one section, before anything is concluded from them; None where absent or impossible.

    `line` is where it begins, `lines` where each of its entries stands.
    """

    z_value: int
    tilt_deg: float
    exposure_e_A2: float | None
    pre_exposure_e_A2: float | None
    target_defocus_A: float | None
    date_time: str
    frame_path: str | None
    n_frames: int | None
    rotation_deg: float | None
    pixel_A: float | None
    line: int
    lines: Mapping[str, int]

    @property
    def recorded(self) -> datetime | None:
        """The time of recording."""
        return parse_time(self.date_time)

    @property
    def movie(self) -> str | None:
        """The file name of the movie, from a Windows or POSIX path."""
        return _movie_name(self.frame_path) if self.frame_path else None


@lru_cache(maxsize=4096)
def parse_time(date_time: str) -> datetime | None:
    """Return the time that a DateTime entry says, or None if it cannot be read."""
    if not (found := _TIME.match(date_time)) or found[2].lower() not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(found[i]) for i in (1, 3, 4, 5, 6))
    century = 2000 if len(found[3]) == 2 else 0  # SerialEM is younger than 2000
    month = _MONTHS.index(found[2].lower()) + 1
    try:
        return datetime(century + year, month, day, hour, minute, second)
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def _movie_name(frame_path: str) -> str | None:
    return PureWindowsPath(frame_path).name or None


def has_short_year(date_time: str) -> bool:
    """Whether the year of a DateTime entry has two digits."""
    return (found := _TIME.match(date_time)) is not None and len(found[3]) == 2


def file_findings(path: Path, foreign: str, sections: Sequence[RawSection]) -> Iterator[Finding]:
    """Find what can be told before any value is parsed."""
    if foreign:
        yield _finding(FindingName.NOT_UTF8, "file", foreign)
    frames = [section.get("SubFramePath", "") for section in sections]
    siblings = list(path.parent.glob("*_override*.mdoc"))
    stem = path.name.split(".")[0]
    if "_override" in path.name or any(sibling.name.startswith(f"{stem}_override") for sibling in siblings):
        message = "there is an _override duplicate of this .mdoc, which binds other movies; make sure which is meant."
        yield _finding(FindingName.OVERRIDE, "file", message)
    elif any("_override" in frame for frame in frames):
        message = "some movies are _override duplicates; make sure they are meant."
        lines = [s.lines["SubFramePath"] for s, frame in zip(sections, frames, strict=True) if "_override" in frame]
        yield _finding(FindingName.OVERRIDE, "file", message, lines=lines)
    if fate := half_written_fate(sections):
        message = f"the last section is half written and was {fate}."
        where = f"section {sections[-1]['ZValue'][:20]}"
        yield _finding(FindingName.HALF_WRITTEN, where, message, lines=[sections[-1].line])


def half_written_fate(sections: Sequence[RawSection]) -> Literal["", "kept", "left out"]:
    """Say what becomes of the last section, if it lacks entries that all the others have."""
    if len(sections) < 2:
        return ""
    common = set.intersection(*(set(section) for section in sections[:-1]))
    last = list(sections[-1])
    if not common - set(last):
        return ""
    # A tilt angle at the very end may have lost its last digits too.
    return "kept" if "TiltAngle" in last[:-1] else "left out"


def dose_findings(entries: Sequence[Entry]) -> Iterator[Finding]:
    """Find exposures that are missing (or 0, by which SerialEM means the same).

    Scripts that count exposures begin after the first image, which SerialEM then says nothing of: it had none before.
    """
    times = [entry.recorded for entry in entries]
    timed = [(time, entry.z_value) for time, entry in zip(times, entries, strict=True) if time is not None]
    first = [min(timed)[1]] if entries and len(timed) == len(entries) else None
    for name, values in (
        (FindingName.NO_EXPOSURE, [entry.exposure_e_A2 for entry in entries]),
        (FindingName.NO_PRE_EXPOSURE, [entry.pre_exposure_e_A2 for entry in entries]),
    ):
        without = [entry for entry, value in zip(entries, values, strict=True) if value is None]
        lacking = [entry.z_value for entry in without]
        counted_since = name is FindingName.NO_PRE_EXPOSURE and len(entries) > 1 and lacking == first
        if lacking and not counted_since:
            key = "ExposureDose" if name is FindingName.NO_EXPOSURE else "PriorRecordDose"
            where, message = _sections(lacking, len(entries)), f"{key} is missing or 0."
            yield _finding(name, where, message, lines=_lines(without, key))


def movie_findings(entries: Sequence[Entry]) -> Iterator[Finding]:
    """Find movies that are missing, shared between tilts, or named relative to a lost folder."""
    movies = [entry.movie for entry in entries]
    named = [movie for movie in movies if movie is not None]
    times = Counter(named)
    lacking = [entry for entry in entries if entry.movie is None]
    for name, found, message in (
        (FindingName.NO_MOVIE, lacking if named else [], "no movie is named; the others have one."),
        (
            FindingName.REPEATED_MOVIE,
            [entry for entry in entries if entry.movie is not None and times[entry.movie] > 1],
            "tilts share one movie name.",
        ),
        (
            FindingName.PARENT_IN_PATH,
            [
                e
                for e in entries
                if e.frame_path and ".." in e.frame_path and ".." in PureWindowsPath(e.frame_path).parts
            ],
            "the movie's path climbs folders (..); only its file name is used.",
        ),
    ):
        if found:
            where = _sections([entry.z_value for entry in found], len(entries))
            yield _finding(name, where, message, lines=_lines(found, "SubFramePath"))


def time_findings(entries: Sequence[Entry]) -> Iterator[Finding]:
    """Find the dates that other programs read wrongly; ours does not, so that these are notes."""
    if short := [entry for entry in entries if has_short_year(entry.date_time)]:
        message = "years have two digits; taken as 20xx."
        yield _finding(FindingName.TWO_DIGIT_YEAR, "file", message, "note", _lines(short, "DateTime"))
    days = {entry.recorded.date() for entry in entries if entry.recorded}
    if len({day.month for day in days}) > 1:
        message = "the series crosses a month: programs that sort times as text shuffle it."
        yield _finding(FindingName.CROSSES_MONTH, "file", message, "note")
    elif len(days) > 1:
        yield _finding(FindingName.CROSSES_MIDNIGHT, "file", "the series crosses midnight.", "note")


def acquisition_order(entries: Sequence[Entry]) -> tuple[list[int], bool, list[Finding]]:
    """Return each entry's place in the acquisition, whether that is known, and what speaks against it.

    Times decide; where they are missing or equal, the exposure received before does.
    """
    times = [entry.recorded for entry in entries]
    priors = [entry.pre_exposure_e_A2 for entry in entries]
    by_time = _ranks([time for time in times if time is not None], len(entries))
    by_prior = _ranks([prior for prior in priors if prior is not None], len(entries))
    if by_time is None and by_prior is None:
        message = "neither times nor prior exposures tell the order of acquisition; that of the sections is assumed."
        return list(range(len(entries))), False, [_finding(FindingName.ORDER_LOST, "file", message)]
    if by_time is not None and by_prior is not None and by_time != by_prior:
        message = "times and prior exposures tell different orders of acquisition; the times were believed."
        return by_time, True, [_finding(FindingName.ORDER_LOST, "file", message)]
    return by_time or by_prior or [], True, []


def tilt_axis(header: Sequence[str], entries: Sequence[Entry]) -> tuple[float | None, list[Finding]]:
    """Return the tilt-axis angle in IMOD's sign, and what speaks against it.

    SerialEM's title has IMOD's angle, from the image's y axis; RotationAngle counts from x, 90° more.
    """
    text = "\n".join(header)
    titled, tomography5 = _TITLE_AXIS.search(text), _TOMOGRAPHY5_AXIS.search(text)
    told = titled or tomography5
    lines = [text.count("\n", 0, told.start()) + 1] if told else []
    rotation = next((entry.rotation_deg for entry in entries if entry.rotation_deg is not None), None)
    turned = None if rotation is None else (rotation - 90 + 180) % 360 - 180
    if titled and abs(float(titled[1])) <= 360:
        axis = float(titled[1])
        if turned is None or abs((axis - turned + 180) % 360 - 180) <= _AXIS_TOLERANCE_DEG:
            return axis, []
        message = f"the title has a tilt axis of {axis:g}°, RotationAngle means {turned:.1f}°; the title was believed."
        return axis, [_finding(FindingName.TILT_AXIS, "titles", message, lines=lines)]
    if tomography5:
        message = f"TiltAxisAngle = {tomography5[1][:20]} is Tomography 5's, which is often wrong; it was not taken."
        return None, [_finding(FindingName.TILT_AXIS, "titles", message, lines=lines)]
    if turned is not None:
        message = f"no title gives the tilt axis; {turned:.1f}° was taken from RotationAngle."
        return turned, [_finding(FindingName.TILT_AXIS, "titles", message, lines=lines)]
    return None, [_finding(FindingName.TILT_AXIS, "titles", "nothing gives the tilt axis.")]


def duplicate(z_value: int, lines: Sequence[int]) -> Finding:
    """Say that a ZValue stands twice."""
    message = "its ZValue stands twice in the file; the later entry was taken."
    return _finding(FindingName.DUPLICATE_Z, f"section {z_value}", message, lines=lines)


def refusal(name: FindingName, where: str, message: str, line: int | None) -> Finding:
    """Say why an .mdoc, or a section of it, cannot be read."""
    return Finding(name=name, severity="error", where=where, message=message, lines=() if line is None else (line,))


def _ranks(values: Sequence[float] | Sequence[datetime], n: int) -> list[int] | None:
    if len(values) < n or len(set(values)) < n:
        return None
    ranks = [0] * n
    for rank, i in enumerate(sorted(range(n), key=values.__getitem__)):
        ranks[i] = rank
    return ranks


def _sections(z_values: Sequence[int], n: int) -> str:
    if len(z_values) == n:
        return "all sections"
    return "section " + ", ".join(str(z) for z in z_values[:8]) + (", ..." if len(z_values) > 8 else "")


def _lines(entries: Sequence[Entry], key: str) -> list[int]:
    """Return where `key` stands in each entry, or where the entry begins if it lacks it."""
    return [entry.lines.get(key, entry.line) for entry in entries]


def _finding(
    name: FindingName,
    where: str,
    message: str,
    severity: Literal["note", "warning"] = "warning",
    lines: Sequence[int] = (),
) -> Finding:
    return Finding(name=name, severity=severity, where=where, message=message, lines=tuple(lines))
