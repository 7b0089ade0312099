"""What a person should know before a rehearsed script meets a real specimen, in plain words."""

from collections.abc import Iterable, Iterator, Sequence

from eucentric.report.rehearsal_summary import (
    KINDS,
    LOST_NM,
    exposures_by_target,
    images_of_targets,
    off_nm,
    places,
)
from eucentric.report.words import degrees
from eucentric.twin.serialem.doings import Asked, Doings, Refused, Taken

_SAME_TILT_DEG = 0.25  # a quarter of the finest usual increment, and more than a stage misses an angle by
_SPILL_E_A2 = 0.5  # below, images that drift over a beam's edge make the difference
_SHOWN, _ALIKE = 3, 5  # lines or tilts that a sentence names, and warnings of one kind


def rehearsal_warnings(doings: Doings) -> tuple[str, ...]:
    """Return what a person should know before the script meets a real specimen, in plain words, worst first."""
    taken, records = exposures_by_target(doings), {name: list[Taken]() for name in places(doings)}
    for image in images_of_targets(doings):
        records[image.place].append(image)
    line = "" if doings.line is None else f" at line {doings.line}"
    ended = f"{line}: {_sentence(doings.reason)}" if doings.reason else line
    found = []
    if doings.ending in ("failed", "stopped"):
        found.append(
            f"The script {'was ' * (doings.ending == 'stopped')}{doings.ending}{ended}. The rest was not tried."
        )
    for about, of in ((_twice, records), (_lost, records), (_by_others, taken), (_spilt, taken), (_unsaved, records)):
        told = [warning for name in of for warning in about(name, of[name])]
        found += _first([text for _, text in sorted(told, key=lambda warning: -warning[0])], "targets")
    most = max((len(images) for images in records.values()), default=0)
    few = [name for name in doings.targets if len(records[name]) < most]
    told_of = [
        f"{name} has {len(records[name]) or 'no'} Record images, where another target has {most}." for name in few
    ]
    found += _first(told_of, "targets")
    astray = [one for one in doings.taken if one.camera_set == "R" and not one.place and not one.before]
    if astray and doings.targets:
        found.append(f"No target was near the centre of {_images(astray, 'Record')}{_at(astray)}.")
    found += _failures([one for one in doings.refused if not one.not_simulated], "failed")
    found += _failures([one for one in doings.refused if one.not_simulated], "is not simulated, and was called")
    if doings.asked:
        said = "A dialog was" if len(doings.asked) == 1 else f"{len(doings.asked)} dialogs were"
        found.append(
            f"{said} raised{_at(doings.asked)}: at night, with nobody there, the script would wait for an answer."
        )
    found += [f'The fault "{fault}" was asked for and never struck.' for fault in doings.idle]
    return tuple(found)


def at_lines(lines: Iterable[int | None]) -> str:
    """Return the script's lines in words, the first few of them; nothing where none is known."""
    known = sorted({line for line in lines if line is not None})
    if len(known) < 2:
        return f"line {known[0]}" if known else ""
    shown = [str(line) for line in known[:_SHOWN]]
    more = len(known) - len(shown)
    return f"lines {', '.join(shown)} and {more} more" if more else f"lines {', '.join(shown[:-1])} and {shown[-1]}"


def _twice(name: str, records: Sequence[Taken]) -> Iterator[tuple[float, str]]:
    groups: list[list[Taken]] = []
    for one in sorted(records, key=lambda one: (one.tilt_deg, one.number)):
        if groups and one.tilt_deg - groups[-1][-1].tilt_deg < _SAME_TILT_DEG:
            groups[-1].append(one)
        else:
            groups.append([one])
    again = [one for group in groups for one in sorted(group, key=lambda one: one.number)[1:]]
    if again:
        tilts = sorted({round(one.tilt_deg, 1) + 0.0 for one in again})
        shown = ", ".join(degrees(tilt) for tilt in tilts[:_SHOWN])
        more = f" and {len(tilts) - _SHOWN} more" if len(tilts) > _SHOWN else ""
        e_A2 = sum(one.exposure_e_A2 for one in again)
        yield e_A2, f"{name} was exposed again at a tilt that it had: at {shown}{more}, {e_A2:.1f} e/Å²{_at(again)}."


def _lost(name: str, records: Sequence[Taken]) -> Iterator[tuple[float, str]]:
    far = [(distance, one) for one in records if (distance := off_nm(one) or 0.0) > LOST_NM]
    if far:
        worst, image = max(far, key=lambda pair: pair[0])
        where = f"{worst / 1000:.1f} µm at {degrees(image.tilt_deg)}{_at([one for _, one in far])}"
        count = f"{len(far)} of its {len(records)} Record images"
        yield worst, f"{name} was lost: in {count} it lay more than 1 µm from the centre, {where}."


def _by_others(name: str, taken: Sequence[Taken]) -> Iterator[tuple[float, str]]:
    made = [one for one in taken if not one.before]
    others = [one for one in made if one.camera_set != "R"]
    if others:
        e_A2, of_all = (sum(one.exposure_e_A2 for one in some) for some in (others, made))
        kinds = {kind: [one for one in others if one.camera_set == letter] for letter, kind in KINDS.items()}
        parts = [f"{_images(some, kind)}{_at(some)}" for kind, some in kinds.items() if some]
        share = f", {100 * e_A2 / of_all:.0f} % of what the script gave it" if of_all else ""
        yield e_A2, f"{name} received {e_A2:.1f} e/Å² by other than Record images{share}: {'; '.join(parts)}."


def _spilt(name: str, taken: Sequence[Taken]) -> Iterator[tuple[float, str]]:
    spilt = [one for one in taken if one.place != name and one.camera_set == "R" and not one.before]
    e_A2 = sum(one.hit[name] for one in spilt)
    if e_A2 > _SPILL_E_A2:
        yield e_A2, f"{name} received {e_A2:.1f} e/Å² by Record images that were aimed at other places{_at(spilt)}."


def _unsaved(name: str, records: Sequence[Taken]) -> Iterator[tuple[float, str]]:
    lost = [one for one in records if one.section is None]
    if lost:
        e_A2 = sum(one.exposure_e_A2 for one in lost)
        yield e_A2, f"{name} was exposed for nothing: {_images(lost, 'Record')}, not saved{_at(lost)}."


def _failures(refused: Sequence[Refused], what: str) -> list[str]:
    by_command: dict[str, list[Refused]] = {}
    for one in refused:
        by_command.setdefault(one.command, []).append(one)
    told = []
    for command, times in sorted(by_command.items(), key=lambda item: -len(item[1])):
        reasons = "; ".join(dict.fromkeys(_sentence(one.reason) for one in times if one.reason))
        count = "once" if len(times) == 1 else f"{len(times)} times"
        told.append(f"{command} {what} {count}{_at(times)}{': ' * bool(reasons)}{reasons}.")
    return _first(told, "commands")


def _first(told: Sequence[str], of: str) -> list[str]:
    """Return the first few of warnings that are alike, and how many more there are."""
    more = len(told) - _ALIKE
    return [*told[:_ALIKE], f"So it is with {more} more {of}; the tables name them."] if more > 1 else list(told)


def _images(taken: Sequence[Taken], kind: str) -> str:
    e_A2 = sum(one.exposure_e_A2 for one in taken)
    return f"{len(taken)} {kind} image{'s' * (len(taken) > 1)}, {e_A2:.1f} e/Å²"


def _sentence(reason: str) -> str:
    """Return a reason on one line, to which a sentence's end can be added."""
    return " ".join(reason.split()).rstrip(".")


def _at(some: Sequence[Taken | Asked | Refused]) -> str:
    lines = at_lines(one.line for one in some)
    return f" ({lines})" if lines else ""
