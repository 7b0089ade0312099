"""Looking again whenever a file changes, while a series is being acquired."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eucentric.workflow.doctor.facts import Facts, Folders
from eucentric.workflow.doctor.find import find
from eucentric.workflow.doctor.records import DoctorFinding, DoctorReport, SeriesReport
from eucentric.workflow.doctor.run import DoctorSettings, look, with_shared_movies

_Stamp = tuple[int, int, int]  # time of change (ns), size, and how many movies lie beside it


@dataclass
class Watched:
    """What is known after a look: all of it, and what was not known before."""

    report: DoctorReport
    news: tuple[DoctorFinding, ...]
    changed: tuple[Path, ...]


@dataclass
class _Memory:
    stamps: dict[Path, _Stamp] = field(default_factory=dict)
    growing: set[Path] = field(default_factory=set)
    looked: dict[Path, tuple[Facts, SeriesReport]] = field(default_factory=dict)
    told: set[tuple[Path, str, tuple[int, ...]]] = field(default_factory=set)


def watch(
    paths: Sequence[Path],
    settings: DoctorSettings | None = None,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Watched]:
    """Look at all files that `paths` mean, and again at each that has changed; gives a result when something is new.

    A file that changed less than `settings.still_s` ago is taken to be growing: its half-written last section is not
    there yet, and its movies may still come. The iterator does not end by itself.
    """
    settings = settings or DoctorSettings()
    memory = _Memory()
    first = True
    while True:
        looked = _look_again(paths, settings, memory, clock())
        if looked.news or looked.changed or first:
            yield looked
        first = False
        sleep(settings.poll_s)


def _look_again(paths: Sequence[Path], settings: DoctorSettings, memory: _Memory, now: float) -> Watched:
    folders = Folders()
    found = find(paths, folders)
    changed = []
    for path in found.files:
        stamp = _stamp(path, settings, folders)
        if stamp is None:
            continue
        growing = now - stamp[0] / 1e9 < settings.still_s
        if memory.stamps.get(path) == stamp and growing == (path in memory.growing):
            continue
        memory.stamps[path] = stamp
        (memory.growing.add if growing else memory.growing.discard)(path)
        memory.looked[path] = look(path, settings, folders, growing=growing)
        changed.append(path)
    for path in set(memory.looked) - set(found.files):  # taken away
        del memory.looked[path], memory.stamps[path]
    patients = [facts for facts, _ in memory.looked.values()]
    reports = [report for _, report in memory.looked.values()]
    report = DoctorReport(series=with_shared_movies(reports, patients, settings))
    news = []
    for finding in report.findings:
        key = (finding.path, finding.name, finding.lines[:1])
        if key not in memory.told:
            memory.told.add(key)
            news.append(finding)
    return Watched(report, tuple(news), tuple(changed))


def _stamp(path: Path, settings: DoctorSettings, folders: Folders) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    beside = settings.frames or path.parent.parent / "frames"
    movies = sum(len(folders.names(place)) for place in {path.parent / "frames", beside})
    return status.st_mtime_ns, status.st_size, movies
