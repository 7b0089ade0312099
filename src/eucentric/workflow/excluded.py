"""Tilts that a user has excluded from a series, or taken back, and why: `excluded.json` beside the series' results.

Not in the journal, which belongs to the process that works in the session: anybody may exclude tilts meanwhile. The
alignment heeds the file and has what it heeded among its settings, so that the journal knows of it after all.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from eucentric.core import FormatError, InputError, OutputError, Record, did_you_mean, make_folder, write_text
from eucentric.core.series import FEWEST_TILTS
from eucentric.session import RunStatus, read_events, read_history
from eucentric.session.lock import LOCK, is_held

EXCLUDED = "excluded.json"
NO_REASON = "no reason given"
LONGEST_REASON = 200

LATER = "The series will be aligned without the tilts that are excluded."
BY_WATCHER = "Other tilts are excluded now: the watcher does the alignment and what follows from it again by itself."
BY_USER = (
    "Other tilts are excluded now. To do the alignment and what follows from it again, run the command that processed "
    "the series (`eucentric process` or `eucentric watch`) with the options that it had."
)

_LOCK = ".excluded.lock"
_LOOK = "look-"

Section = Annotated[int, Field(ge=0)]
Reason = Annotated[str, Field(min_length=1, max_length=LONGEST_REASON)]
Reasons = Mapping[int, str]
"""Why tilts are excluded, by their sections."""


class Excluded(Record):
    """Why tilts are excluded, by their sections in the .mdoc (of the stack, where there is none)."""

    reasons: dict[Section, Reason] = Field(default_factory=dict)


@dataclass(frozen=True)
class Known:
    """What the journal knows of the tilts of a series, by their sections in the .mdoc.

    `in_stack` are those that an alignment has to go on with, empty as long as no stack is known to be whole;
    `aligned_without` is what the last alignment left out, and why, where there was one.
    """

    sections: frozenset[int]
    in_stack: frozenset[int] = frozenset()
    aligned_without: dict[int, str] | None = None


def read_excluded(folder: Path) -> dict[int, str]:
    """Return what is excluded of the series whose results are in a folder: why, by the .mdoc's section.

    Raises
    ------
    FormatError
        If the file cannot be read.
    """
    path = folder / EXCLUDED
    try:
        return Excluded.model_validate_json(path.read_bytes()).reasons
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError) as error:
        raise FormatError(
            f"{path}: it does not say which tilts are excluded ({_why(error)}).",
            "Remove the file, and exclude the tilts again.",
        ) from error


def excluded_stamp(folder: Path) -> str:
    """Return what tells whether other tilts are excluded of a series than before; nothing where none is."""
    try:
        return (folder / EXCLUDED).read_text(encoding="utf-8", errors="replace")
    except OSError:  # whoever processes the series will say
        return ""


def of_stack(reasons: Reasons, sections: Sequence[int]) -> dict[int, str]:
    """Return what is excluded by section of a stack, given the section of the .mdoc that each of those is."""
    return {place: reasons[section] for place, section in enumerate(sections) if section in reasons}


def exclude(session: Path, series: str, sections: Iterable[int], reason: str = "") -> dict[int, str]:
    """Exclude tilts of a series, and return all that are excluded now; results change when it is processed again.

    Parameters
    ----------
    session
        The session; another process may work in it.
    series
        Its name.
    sections
        Of the .mdoc, or of the stack where there is none.
    reason
        Why, in at most 200 characters; of tilts that are excluded already, it replaces the one they had.

    Raises
    ------
    InputError
        If there is no such series or section, the reason is too long, or fewer than 5 tilts would be left.
    FormatError
        If what is excluded now cannot be read.
    OutputError
        If it cannot be written.
    """
    wanted, reason = sorted(set(sections)), " ".join(reason.split()) or NO_REASON
    if len(reason) > LONGEST_REASON:
        raise InputError(
            f"The reason has {len(reason)} characters, and no more than {LONGEST_REASON} are kept; nothing was changed."
        )
    known = known_tilts(session, series)
    _refuse_unknown(series, wanted, known)
    with _rewriting(session, series) as reasons:
        reasons.update(dict.fromkeys(wanted, reason))
        left = len(known.in_stack - reasons.keys())
        if known.in_stack and left < FEWEST_TILTS and known.in_stack.intersection(wanted):
            raise InputError(
                f"{series}: {left} of {len(known.in_stack)} tilts would be left, and no volume can be made of fewer "
                f"than {FEWEST_TILTS}; nothing was changed.",
                "Take others back first.",
            )
    return reasons


def include(session: Path, series: str, sections: Iterable[int]) -> dict[int, str]:
    """Take excluded tilts back, all where no sections are given, and return those that are excluded still.

    Raises
    ------
    InputError
        If there is no such series or section.
    FormatError
        If what is excluded now cannot be read.
    OutputError
        If it cannot be written.
    """
    wanted = sorted(set(sections))
    _refuse_unknown(series, wanted, known_tilts(session, series))
    with _rewriting(session, series) as reasons:
        for section in wanted or list(reasons):
            reasons.pop(section, None)
    return reasons


def known_tilts(session: Path, series: str) -> Known:
    """Return which tilts a series has, as far as stages have met them.

    Raises
    ------
    InputError
        If the folder is no session, or has no such series.
    FormatError
        If the journal is damaged.
    """
    runs = read_history(session, series)
    looks = frozenset(int(run.stage.removeprefix(_LOOK)) for run in runs if run.stage.startswith(_LOOK))
    last = {run.stage: run for run in runs}
    done = {run.stage: run for run in runs if run.status is RunStatus.FINISHED}
    first = last.get("sums") or last.get("align")
    if first is None:
        if not looks:
            raise _unknown_series(session, series)
        return Known(looks)
    sections = range(len(first.settings["series"]["tilts"]))
    left_out = done["sums"].metrics.get("left_out", {}) if "sums" in done else {}
    in_stack = (
        [section for section in sections if str(section) not in left_out] if {"align", "sums"} & done.keys() else []
    )
    without = done["align"].settings.get("excluded", {}) if "align" in done else None
    return Known(
        sections=looks.union(sections),
        in_stack=frozenset(in_stack),
        aligned_without=without
        and {in_stack[int(place)]: reason for place, reason in without.items() if int(place) < len(in_stack)},
    )


def what_follows(session: Path, series: str) -> str:
    """Return in a sentence what becomes of the tilts that are excluded now, and by whom.

    Raises
    ------
    InputError, FormatError
        As `known_tilts` and `read_excluded` do.
    """
    known, reasons = known_tilts(session, series), read_excluded(session / "series" / series)
    if known.aligned_without is None:
        return LATER
    if known.aligned_without == {section: reason for section, reason in reasons.items() if section in known.in_stack}:
        return "The alignment has it so: nothing is to be done again."
    events = read_events(session)
    opened = max((event.id for event in events if event.kind == "session.opened"), default=0)
    watches = any(event.kind == "watch.started" and event.id > opened for event in events)
    watched = any(event.kind.startswith("live.") and event.series == series for event in events)
    return BY_WATCHER if watches and watched and is_held(session / LOCK) else BY_USER


def _unknown_series(session: Path, series: str) -> InputError:
    names = sorted({run.series for run in read_history(session)})
    if series in names:
        return InputError(f"{session}: {series} was not processed here.", "Process it first.")
    there = f"it has {', '.join(names)[:300]}" if names else "it has none"
    return InputError(f"{session}: there is no series {series} in it; {there}.{did_you_mean(series, names)}")


def _refuse_unknown(series: str, wanted: Sequence[int], known: Known) -> None:
    unknown = [section for section in wanted if section not in known.sections]
    if unknown:
        raise InputError(
            f"{series} has no section {unknown[0]}; its sections known so far are {_listed(known.sections)}. "
            "Nothing was changed.",
            "Sections are counted from 0, as in the .mdoc (ZValue).",
        )


@contextmanager
def _rewriting(session: Path, series: str) -> Iterator[dict[int, str]]:
    """Give what is excluded, to be changed, and write it if the body ends well; others wait meanwhile."""
    folder = make_folder(session / "series" / series)
    with _alone(folder / _LOCK):
        before = read_excluded(folder)
        reasons = dict(before)
        yield reasons
        if reasons == before:
            return
        if reasons:
            record = Excluded(reasons=dict(sorted(reasons.items())))
            write_text(folder / EXCLUDED, record.model_dump_json(indent=1) + "\n")
        else:
            with suppress(FileNotFoundError):
                (folder / EXCLUDED).unlink()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock for the moment that a change takes, and wait for others that do the same."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise OutputError(f"{path.parent}: it cannot be written to ({error.strerror}); nothing was changed.") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    except OSError as error:
        raise OutputError(f"{path.parent}: nothing was changed ({error.strerror}).") from error
    finally:
        os.close(handle)


def _listed(sections: Iterable[int]) -> str:
    """Return sections as ranges: 0–3, 7."""
    runs: list[list[int]] = []
    for section in sorted(sections):
        if runs and section == runs[-1][-1] + 1:
            runs[-1].append(section)
        else:
            runs.append([section])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)


def _why(error: OSError | ValidationError) -> str:
    return str(error.errors()[0]["msg"]) if isinstance(error, ValidationError) else str(error.strerror)
