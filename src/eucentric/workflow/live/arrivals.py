"""What has come into a watched folder: series by their .mdocs, and which of their movies are whole.

A movie is whole when its file has stayed as it is for a while. Nothing is opened to find that out, and one that comes
late holds up no other. What names a movie is the .mdoc alone: movies that no .mdoc names are of nothing yet.
"""

import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from eucentric.core import EucentricError, EucentricWarning
from eucentric.io.mdoc import MdocSeries, read_mdoc
from eucentric.io.movie_series import series_name

Stamp = tuple[int, int]
"""Size (bytes) and modification time (ns) of a file."""


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
        Files of the whole movies, by section.
    waiting
        Names of movies that have not come, or still grow, by section.
    changed_at, movie_at
        When anything of it, or its movies, last changed, on the caller's clock (s).
    longest_wait_s
        Between two of its movies becoming whole.
    """

    name: str
    mdoc: Path
    frames: Path
    facts: MdocSeries | None = None
    reason: str = ""
    movies: dict[int, Path] = field(default_factory=dict)
    stamps: dict[int, Stamp] = field(default_factory=dict)
    waiting: dict[int, str] = field(default_factory=dict)
    changed_at: float = 0.0
    movie_at: float = 0.0
    longest_wait_s: float = 0.0
    mdoc_stamp: Stamp | None = None


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
        self._seen: dict[Path, tuple[Stamp, float]] = {}
        self.series: dict[str, Arrived] = {}

    def look(self, now_s: float) -> None:
        """See what has come by now; `now_s` is of any clock that never goes back."""
        places = {place: self._stamps(place, now_s) for place in self._places()}
        for place in self._mdoc_places():
            for mdoc in sorted(path for path in self._stamps(place, now_s) if path.suffix == ".mdoc"):
                self._look_at(mdoc, places, now_s)

    def _mdoc_places(self) -> list[Path]:
        return [place for place in (self._folder, self._folder / "mdoc") if place.is_dir()]

    def _places(self) -> list[Path]:
        if self._frames is not None:
            return [self._frames]
        return [place for place in (self._folder / "frames", *self._mdoc_places()) if place.is_dir()]

    def _stamps(self, place: Path, now_s: float) -> dict[Path, Stamp]:
        """Return the files of a folder; since when each has been as it is, is remembered."""
        found: dict[Path, Stamp] = {}
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or not entry.is_file():
                        continue
                    info = entry.stat()
                    path, stamp = place / entry.name, (info.st_size, info.st_mtime_ns)
                    found[path] = stamp
                    if self._seen.get(path, (None, 0.0))[0] != stamp:
                        self._seen[path] = (stamp, now_s)
        except OSError:  # a disk that is away for a moment; what was seen stays
            return found
        return found

    def _whole(self, path: Path, now_s: float) -> bool:
        stamp, since_s = self._seen[path]
        return stamp[0] > 0 and now_s - since_s >= self._settle_s

    def _look_at(self, mdoc: Path, places: dict[Path, dict[Path, Stamp]], now_s: float) -> None:
        name = series_name(mdoc)
        one = self.series.get(name)
        if one is None:
            one = self.series[name] = Arrived(name, mdoc, next(iter(places), mdoc.parent), changed_at=now_s)
        if one.mdoc != mdoc:
            one.reason = f"{mdoc} and {one.mdoc} would both be series {name}: the first was taken."
            return
        stamp = self._seen[mdoc][0]
        if stamp != one.mdoc_stamp:
            one.mdoc_stamp, one.changed_at = stamp, now_s
            self._read(one)
        if one.facts is not None:
            self._match(one, one.facts, places, now_s)

    @staticmethod
    def _read(one: Arrived) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", EucentricWarning)  # they are told when the series is processed
                one.facts, one.reason = read_mdoc(one.mdoc), ""
        except EucentricError as error:  # half-written, perhaps: what was read before still stands
            one.reason = str(error)

    def _match(self, one: Arrived, facts: MdocSeries, places: dict[Path, dict[Path, Stamp]], now_s: float) -> None:
        before = dict(one.stamps)
        one.movies, one.stamps, one.waiting = {}, {}, {}
        for section, tilt in enumerate(facts.sections):
            name = tilt.movie or ""
            at = next((place for place, files in places.items() if name and place / name in files), None)
            if at is None:
                one.waiting[section] = name or "a movie that the .mdoc does not name"
            elif not self._whole(at / name, now_s):
                one.waiting[section] = name
            else:
                one.frames, one.movies[section], one.stamps[section] = at, at / name, places[at][at / name]
        if one.stamps != before:
            if before:
                one.longest_wait_s = max(one.longest_wait_s, now_s - one.movie_at)
            one.changed_at = one.movie_at = now_s
