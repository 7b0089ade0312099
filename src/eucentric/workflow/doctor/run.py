"""The doctor's round: every file looked at, and what is found told in one form."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from eucentric.core import SILENT, EucentricError, Record, Reporter
from eucentric.io.mdoc import examine_mdoc
from eucentric.io.mdoc_findings import Finding, FindingName, parse_time
from eucentric.workflow.doctor import facts as looking
from eucentric.workflow.doctor.catalogue import TRAPS
from eucentric.workflow.doctor.consumers import consumer_view
from eucentric.workflow.doctor.disk_checks import disk_traps
from eucentric.workflow.doctor.facts import Facts, Folders, Met
from eucentric.workflow.doctor.find import find
from eucentric.workflow.doctor.mend import Mended, copy_path, mend, write_copy
from eucentric.workflow.doctor.records import CONSUMERS, Consumer, DoctorFinding, DoctorReport, SeriesReport
from eucentric.workflow.doctor.series_checks import prior_sums, prior_trap, same_movies, series_traps
from eucentric.workflow.doctor.text_checks import text_traps

# What `read_mdoc` finds is told in its words, except for these, of which the doctor has more to say.
_TOLD_BETTER = (
    FindingName.TILT_AXIS,
    FindingName.ORDER_LOST,
    FindingName.TWO_DIGIT_YEAR,
    FindingName.NO_MOVIE,
)
_NOT_MENDED = "It cannot be mended here without guessing: write it by hand, or give it to the program."
_RANK = {"error": 0, "warning": 1, "note": 2}


class DoctorSettings(Record):
    """What to look at.

    Attributes
    ----------
    consumers
        For whom; findings that concern none of them, nor Eucentric, are left out.
    frames
        Folder of the movies; else they are looked for beside the .mdoc, and in ``frames`` beside it or its folder.
    still_s
        In watching, how long (s) a file must have stood still before its last section counts as half written.
    poll_s
        In watching, how long (s) from look to look.
    """

    consumers: Annotated[tuple[Consumer, ...], Field(min_length=1)] = CONSUMERS
    frames: Path | None = None
    still_s: Annotated[float, Field(ge=0)] = 60.0
    poll_s: Annotated[float, Field(ge=0.05)] = 2.0


class MendedCopy(Record):
    """A corrected copy: of what, where, what was changed, and which findings are left in it."""

    path: Path
    copy_path: Path
    changes: tuple[str, ...]
    left: tuple[DoctorFinding, ...]


def examine(
    paths: Sequence[Path], settings: DoctorSettings | None = None, reporter: Reporter = SILENT
) -> tuple[DoctorReport, tuple[Facts, ...]]:
    """Look at all files that `paths` mean; nothing is written, and no file stops the others.

    Returns
    -------
    DoctorReport
        What was found.
    tuple of Facts
        What each series is made of, for `mend_all`.
    """
    settings = settings or DoctorSettings()
    folders = Folders()
    found = find(paths, folders)
    reports: list[SeriesReport] = []
    patients: list[Facts] = []
    for path in reporter.each(found.files, "Looking at files"):
        facts, report = look(path, settings, folders)
        patients.append(facts)
        reports.append(report)
    for path, message in found.empty.items():
        reports.append(SeriesReport(path=path, findings=_told(path, [("nothing-found", [], message)], settings)))
    return DoctorReport(series=with_shared_movies(reports, patients, settings)), tuple(patients)


def with_shared_movies(
    reports: Sequence[SeriesReport], patients: Sequence[Facts], settings: DoctorSettings
) -> tuple[SeriesReport, ...]:
    """Add what only shows between files: movies that two of them name."""
    named = [(facts.path, [s.movie for s in facts.sections if s.movie]) for facts in patients]
    said = same_movies(named)
    return tuple(
        report.replace(
            findings=(*report.findings, *_told(report.path, [("movie-in-two-series", [], said[report.path])], settings))
        )
        if report.path in said
        else report
        for report in reports
    )


def look(
    path: Path, settings: DoctorSettings, folders: Folders, *, growing: bool = False
) -> tuple[Facts, SeriesReport]:
    """Look at one .mdoc or stack, and what lies beside it; `growing` while it is still being written."""
    if path.suffix.lower() in looking.STACK_SUFFIXES:
        facts = _of_stack(path, folders)
    else:
        try:
            facts = _of_mdoc(path, settings, folders, growing)
        except EucentricError as error:
            name = "empty" if error.what == f"{path}: the file is empty; an .mdoc was expected." else "unreadable-file"
            return Facts(path), SeriesReport(path=path, findings=_told(path, [(name, [], error.what)], settings))
    met = list(_met(facts, growing))
    findings = sorted(_told(path, met, settings, facts), key=lambda one: (_RANK[one.severity], one.lines[:1]))
    views = tuple(consumer_view(consumer, facts) for consumer in settings.consumers)
    return facts, SeriesReport(path=path, findings=tuple(findings), views=views)


def mend_all(
    patients: Sequence[Facts], report: DoctorReport, out: Path, settings: DoctorSettings | None = None
) -> tuple[MendedCopy, ...]:
    """Write corrected copies into the folder `out` of those .mdoc files in which something can be mended.

    Raises
    ------
    OutputError
        If a copy would replace its original or another's copy, or cannot be written.
    """
    settings = settings or DoctorSettings()
    sick = {one.path for one in report.series if any(finding.mended for finding in one.findings)}
    todo: dict[Path, tuple[Facts, Mended]] = {}
    for facts in patients:
        if facts.path in sick and (mended := mend(facts)) is not None and mended.changes:
            todo[copy_path(facts.path, out, set(todo))] = (facts, mended)
    copies = []
    for copy, (facts, mended) in todo.items():
        write_copy(mended, copy)
        # Held against what lies beside the original, as movies and stack are not copied.
        again = Facts(
            copy,
            examine_mdoc(copy),
            facts.stack,
            facts.angles_path,
            facts.angles_deg,
            facts.angles_wrong,
            facts.movies,
            facts.movie_errors,
            facts.looked_in,
        )
        left = tuple(f for f in _told(copy, list(_met(again, False)), settings, again) if f.severity != "note")
        copies.append(MendedCopy(path=facts.path, copy_path=copy, changes=tuple(mended.changes), left=left))
    return tuple(copies)


def _of_stack(path: Path, folders: Folders) -> Facts:
    angles_path = looking.angles_of(path.stem, path.parent, folders)
    angles, wrong = looking.look_at_angles(angles_path) if angles_path else ((), "")
    return Facts(path, None, looking.look_at_stack(path), angles_path, angles, wrong)


def _of_mdoc(path: Path, settings: DoctorSettings, folders: Folders, growing: bool) -> Facts:
    examined = examine_mdoc(path, growing=growing)
    image_file = examined.series.image_file if examined.series else None
    stack_path = looking.stack_of(path, image_file, folders)
    stem = stack_path.stem if stack_path else Path(path.name.removesuffix(".mdoc")).stem
    angles_path = looking.angles_of(stem, path.parent, folders)
    angles, wrong = looking.look_at_angles(angles_path) if angles_path else ((), "")
    stack = looking.look_at_stack(stack_path) if stack_path else None
    facts = Facts(path, examined, stack, angles_path, angles, wrong)
    names = [section.movie for section in facts.sections if section.movie]
    if not names:
        return facts
    places = looking.movie_folders(path, settings.frames)
    movies, errors = looking.look_at_movies(names, places, folders)
    return Facts(path, examined, stack, angles_path, angles, wrong, movies, errors, places)


def _met(facts: Facts, growing: bool) -> Iterator[Met]:
    """Give all traps met in a series."""
    if facts.examined is None:
        yield from disk_traps(facts)
        return
    no_tilt: set[int] = set()
    if all(finding.name is FindingName.UNREADABLE for finding in facts.examined.refusals):
        for met in text_traps(facts.examined.raw):
            if met[0] == "nan-tilt":
                half = _half_written_lines(facts)
                met = (met[0], [line for line in met[1] if line not in half], met[2])
                no_tilt = _tilt_lines(facts, met[1])
                if not met[1]:
                    continue
            yield met
    for refusal in facts.examined.refusals:
        if not set(refusal.lines) & no_tilt:
            yield str(refusal.name), refusal.lines, _sentence(refusal)
    series = facts.examined.series
    if series is None:
        return
    for finding in series.findings:
        if finding.name not in _TOLD_BETTER:
            yield str(finding.name), finding.lines, _sentence(finding)
        elif finding.name is FindingName.NO_MOVIE:
            yield "no-movie", finding.lines, _sentence(finding)
    for met in series_traps(facts):
        if not (growing and met[0] == "too-few-tilts"):
            yield met
    for met in disk_traps(facts):
        # While a series is being taken its movies and its stack come a moment later than its .mdoc.
        if not (growing and met[0] in ("movie-missing", "movie-unreadable", "frame-count", "section-count")):
            yield met


def _half_written_lines(facts: Facts) -> set[int]:
    series = facts.examined.series if facts.examined else None
    findings = series.findings if series else ()
    return {line for finding in findings if finding.name is FindingName.HALF_WRITTEN for line in finding.lines}


def _tilt_lines(facts: Facts, headings: Sequence[int]) -> set[int]:
    """Return where the TiltAngle of sections stands, and their headings."""
    raw = {section.line: section for section in facts.raw_sections}
    return {line for at in headings for line in (at, raw[at].lines.get("TiltAngle", at))}


def _sentence(finding: Finding) -> str:
    where = f"{finding.where}: " if finding.where not in ("file", "titles") else ""
    sentence = f"{where}{finding.message}"
    return f"{sentence[:1].upper()}{sentence[1:].rstrip('.')}."


def _told(
    path: Path, met: Sequence[Met], settings: DoctorSettings, facts: Facts | None = None
) -> tuple[DoctorFinding, ...]:
    """Return what is met as findings, without what concerns only consumers that were not asked for."""
    wanted = {*settings.consumers, "Eucentric"}
    told = []
    for name, lines, message in met:
        trap = TRAPS[name]
        if trap.who and not wanted & set(trap.who):
            continue
        can_be = trap.mended and (facts is None or _can_be_mended(name, lines, facts))
        told.append(
            DoctorFinding(
                name=name,
                severity=trap.severity,
                path=path,
                lines=tuple(lines),
                message=message,
                why=trap.why,
                who=tuple(who for who in trap.who if who in wanted),
                fix=trap.fix if can_be == trap.mended else _NOT_MENDED,
                mended=can_be,
            )
        )
    return tuple(told)


def _can_be_mended(name: str, lines: Sequence[int], facts: Facts) -> bool:
    """Whether what can be mended in general can be in this file."""
    series = facts.examined.series if facts.examined else None
    if series is None:
        return False
    if name == "no-prior-exposure":
        sums = prior_sums(series.sections, series.order_known)
        return sums is not None and prior_trap(series.sections, series.order_known) != "prior-exposure-not-the-sum"
    if name == "unreadable-time":
        texts = [s["DateTime"] for s in facts.raw_sections if s.lines.get("DateTime") in set(lines)]
        return all(parse_time(text) is not None for text in texts)
    return True
