"""Tilts that are excluded: what the session page says of them, and the one thing that it changes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from eucentric.web.served import Served, require_edit, under
from eucentric.web.session.following import Run, Told
from eucentric.web.session.measured import Distilled
from eucentric.web.session.records import TiltView
from eucentric.workflow.excluded import (
    BY_USER,
    BY_WATCHER,
    EXCLUDED,
    LATER,
    Excluded,
    Reasons,
    exclude,
    include,
    of_stack,
)
from eucentric.workflow.records import Sums


def set_excluded(served: Served, series: str, section: int, reason: str | None) -> None:
    """Exclude a tilt of the session that is served, for a reason, or with None take it back.

    Raises
    ------
    ReadOnlyError
        If the pages may not change the session.
    NotServedError
        If the series is no folder of the session.
    InputError, FormatError, OutputError
        As `exclude` and `include` do.
    """
    require_edit(served)
    session = served.session or Path()
    under(session, f"series/{series}")
    if reason is None:
        include(session, series, [section])
    else:
        exclude(session, series, [section], reason)


def can_exclude(told: Told) -> bool:
    """Whether tilts are known by sections of an .mdoc or a stack, not only by the order of their exposures."""
    return bool(told.looks) or "sums" in told.finished or "align" in told.runs


def excluded_now(told: Told, folder: Path, files: Distilled) -> Reasons:
    """Return why tilts are excluded, by section; a file that cannot be read excludes none: processing tells of it.

    Parameters
    ----------
    told
        Of the series.
    folder
        The session.
    files
        What was read before.
    """
    return files.of(folder / "series" / told.name / EXCLUDED, Excluded, lambda excluded: excluded.reasons) or {}


def marked(tilts: Sequence[TiltView], reasons: Reasons) -> tuple[TiltView, ...]:
    """Return the tilts, those that are excluded with the reason."""
    return tuple(tilt.replace(excluded=reasons[tilt.section]) if tilt.section in reasons else tilt for tilt in tilts)


def is_heeded(run: Run, told: Told, reasons: Reasons, folder: Path, files: Distilled) -> bool:
    """Whether a run of the alignment left out what is excluded now."""
    sums = None
    if "sums" in told.finished:
        sums = files.of(folder / "series" / told.name / "sums.json", Sums, lambda sums: sums)
    series = run.settings.get("series", {})
    sections = sums.sections if sums else range(len(series.get("tilts", ())))
    left_out: Mapping[str, str] = run.settings.get("excluded", {})
    return {str(place): reason for place, reason in of_stack(reasons, sections).items()} == left_out


def what_follows(told: Told, reasons: Reasons, folder: Path, files: Distilled, *, watched: bool) -> str:
    """Return what becomes of tilts that were excluded or taken back, and by whom; nothing where it has become so.

    `watched` says whether a watcher works in the session.
    """
    last = told.runs.get("align")
    if last is None:
        return LATER if reasons else ""
    if is_heeded(last, told, reasons, folder, files):
        return ""
    return BY_WATCHER if watched and told.live is not None else BY_USER
