"""What has come into a watched folder: series by their .mdocs, and which of their images are whole.

A movie is whole when its file has stayed as it is for a while. Nothing is opened to find that out, and one that comes
late holds up no other. What names a movie is the .mdoc alone: movies that no .mdoc names are of nothing yet. A series
whose .mdoc names no movies is in the stack beside it.
"""

import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from eucentric.core import EucentricError, EucentricWarning
from eucentric.io.mdoc import MdocSeries, read_mdoc
from eucentric.io.movie_series import series_name
from eucentric.workflow.live.stacks import SeenStack, Stamp, stack_of


class _Seen(NamedTuple):
    """A file, and since when it has been as it is."""

    stamp: Stamp
    since_s: float


@dataclass
class Arrived:
    """A series as far as it has come.

    Attributes
    ----------
    name, mdoc, frames
        Its name, its .mdoc and the folder where its movies come.
    facts
        Its .mdoc as last read; None as long as it cannot be, and `reason` says why.
    movies
        Files of the whole movies, by section; where it is in a stack, the stack for each of its whole sections.
    waiting
        Names of movies, or what else there is of sections, that have not come, or still grow, by section.
    stack
        What it would be processed from if it ended now, where that is no movies: the stack of a series that names none,
        there or not; or the one that is there of a series of whose movies there is none.
    stack_stamp, stack_sections
        That stack as last seen, and how many whole sections it has.
    changed_at, movie_at
        When anything of it, or its movies, last changed, on the caller's clock (s).
    longest_wait_s
        Between two of its movies, or sections, becoming whole.
    """

    name: str
    mdoc: Path
    frames: Path
    facts: MdocSeries | None = None
    reason: str = ""
    movies: dict[int, Path] = field(default_factory=dict)
    stamps: dict[int, Stamp] = field(default_factory=dict)
    waiting: dict[int, str] = field(default_factory=dict)
    stack: Path | None = None
    stack_stamp: Stamp | None = None
    stack_sections: int = 0
    changed_at: float = 0.0
    movie_at: float = 0.0
    longest_wait_s: float = 0.0
    mdoc_stamp: Stamp | None = None

    @property
    def names_movies(self) -> bool:
        """Whether its .mdoc names movies."""
        return self.facts is not None and any(tilt.movie for tilt in self.facts.sections)

    @property
    def worth(self) -> tuple[bool, int]:
        """Return what there is to process it from, the more the better: whether movies, and how many images."""
        return (False, self.stack_sections) if self.stack else (bool(self.movies), len(self.movies))


class Arrivals:
    """Looks at a folder now and then, and remembers what it saw.

    Parameters
    ----------
    folder
        Has the .mdocs, in itself or in ``mdoc/``.
    frames
        Has the movies; if absent, they are beside the .mdocs or in ``frames/`` of the folder.
    settle_s
        How long a file must have stayed as it is.
    """

    def __init__(self, folder: Path, frames: Path | None = None, *, settle_s: float = 1.0) -> None:
        self._folder, self._frames, self._settle_s = folder, frames, settle_s
        self._seen: dict[Path, dict[str, _Seen]] = {}
        self._whole_at: float | None = 0.0  # when the next of the files that are new will count as whole
        self._stacks: dict[str, SeenStack] = {}
        self.series: dict[str, Arrived] = {}

    def look(self, now_s: float) -> None:
        """See what has come by now; `now_s` is of any clock that never goes back."""
        places, before = self._places(), self._seen
        self._seen = {place: self._scan(place, now_s) for place in (*places, *self._mdoc_places())}
        # Of a thousand series that lie there, nothing is asked again before something has happened.
        if self._seen == before and (self._whole_at is None or now_s < self._whole_at):
            return
        settled = (seen.since_s + self._settle_s for files in self._seen.values() for seen in files.values())
        self._whole_at = min((at for at in settled if at > now_s), default=None)
        for place in self._mdoc_places():
            for name in sorted(name for name in self._seen[place] if name.endswith(".mdoc")):
                self._look_at(place, name, places, now_s)

    def _mdoc_places(self) -> list[Path]:
        return [place for place in (self._folder, self._folder / "mdoc") if place.is_dir()]

    def _places(self) -> list[Path]:
        if self._frames is not None:
            return [self._frames]
        return [place for place in (self._folder / "frames", *self._mdoc_places()) if place.is_dir()]

    def _scan(self, place: Path, now_s: float) -> dict[str, _Seen]:
        """Return the files of a folder, and since when each has been as it is."""
        before, found = self._seen.get(place, {}), dict[str, _Seen]()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or not entry.is_file():
                        continue
                    info = entry.stat()
                    stamp, seen = (info.st_size, info.st_mtime_ns), before.get(entry.name)
                    found[entry.name] = seen if seen and seen.stamp == stamp else _Seen(stamp, now_s)
        except OSError:  # a disk that is away for a moment; what was seen stays
            return before | found
        return found

    def _look_at(self, place: Path, file: str, places: list[Path], now_s: float) -> None:
        mdoc = place / file
        name = series_name(mdoc)
        one = self.series.get(name)
        if one is None:
            one = self.series[name] = Arrived(name, mdoc, next(iter(places), place), changed_at=now_s)
        if one.mdoc != mdoc:
            one.reason = f"{mdoc} and {one.mdoc} would both be series {name}: the first was taken."
            return
        stamp = self._seen[place][file].stamp
        if stamp != one.mdoc_stamp:
            one.mdoc_stamp, one.changed_at = stamp, now_s
            self._read(one)
        if one.facts is None:
            return
        before, stack_before = dict(one.stamps), one.stack_stamp
        one.movies, one.stamps, one.waiting = {}, {}, {}
        one.stack, one.stack_stamp, one.stack_sections = None, None, 0
        if not one.names_movies:
            self._match_sections(one, one.facts, self._stack(one, now_s))
        elif not self._match(one, one.facts, places, now_s):
            self._stack(one, now_s)
        if one.stack_stamp != stack_before:
            one.changed_at = now_s
        if one.stamps != before:
            if before and len(one.stamps) > len(before):
                one.longest_wait_s = max(one.longest_wait_s, now_s - one.movie_at)
            one.changed_at = one.movie_at = now_s

    @staticmethod
    def _read(one: Arrived) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", EucentricWarning)  # they are told when the series is processed
                one.facts, one.reason = read_mdoc(one.mdoc), ""
        except EucentricError as error:  # half-written, perhaps: what was read before still stands
            one.reason = str(error)

    def _match(self, one: Arrived, facts: MdocSeries, places: list[Path], now_s: float) -> bool:
        """Find the movies of a series; whether there are any, whole or not."""
        found = False
        for section, tilt in enumerate(facts.sections):
            name = tilt.movie or ""
            at = next((place for place in places if name in self._seen[place]), None)
            found = found or at is not None
            if at is None:
                one.waiting[section] = name or "a movie that the .mdoc does not name"
                continue
            seen = self._seen[at][name]
            if seen.stamp[0] > 0 and seen.since_s + self._settle_s <= now_s:
                one.frames, one.movies[section], one.stamps[section] = at, at / name, seen.stamp
            else:
                one.waiting[section] = name
        return found

    def _stack(self, one: Arrived, now_s: float) -> SeenStack:
        """See how far the stack of a series is, which is beside its .mdoc."""
        beside = self._seen[one.mdoc.parent]
        path = stack_of(one.mdoc, beside)
        seen = self._stacks.get(one.name)
        if seen is None or seen.path != path:
            seen = self._stacks[one.name] = SeenStack(path)
        seen.look(beside[path.name].stamp if path.name in beside else None, now_s)
        one.stack_stamp, one.stack_sections = seen.stamp, seen.whole(now_s, self._settle_s)
        if seen.stamp is not None or not one.names_movies:
            one.stack = path
        return seen

    @staticmethod
    def _match_sections(one: Arrived, facts: MdocSeries, stack: SeenStack) -> None:
        """Find the whole sections of a stack; one is waited for as long as stack and .mdoc differ in their number."""
        told = len(facts.sections)
        for section in range(told):
            if section < one.stack_sections:
                one.movies[section], one.stamps[section] = stack.path, stack.section_stamp
            else:
                one.waiting[section] = f"section {section} of {stack.path.name}"
        if stack.counted != told:
            whose = one.mdoc.name if stack.counted > told else f"the header of {stack.path.name}"
            first = min(stack.counted, told)
            one.waiting.setdefault(first, f"section {first} in {whose}")
