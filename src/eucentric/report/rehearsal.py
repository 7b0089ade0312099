"""The page of a rehearsal: what a script did to the specimen, before it does it to a real one."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path, PurePath

from eucentric.core import write_text
from eucentric.report.figures.rehearsal import clock, defocus_error, exposures, off_target
from eucentric.report.headline import Number
from eucentric.report.look import CSS
from eucentric.report.parts import MARK, SAFE, figures_in, numbers_list, package_version, section, table, warnings_list
from eucentric.report.rehearsal_summary import (
    KINDS,
    RehearsalSummary,
    TargetSummary,
    on_target,
    places,
    rehearsal_summary,
)
from eucentric.report.rehearsal_warnings import at_lines, rehearsal_warnings
from eucentric.report.style import styled
from eucentric.report.words import degrees, seconds
from eucentric.twin.serialem.doings import Doings

_PACKAGES = ("eucentric", "numpy", "scipy", "matplotlib")

_MORE_CSS = """
.scroll { overflow-x: auto; margin-bottom: 1.2rem; } .scroll table { margin: 0; }
.listing th, .listing td { overflow-wrap: break-word; padding-right: 1.2rem; }
.listing th { width: auto; vertical-align: bottom; border-bottom-color: var(--muted); }
.listing .number { text-align: right; } .listing td.number { white-space: nowrap; }
@media print { .scroll { overflow: visible; } }
.calls { columns: 4 200px; column-gap: 2.2rem; list-style: none; padding: 0; margin: 0; font-size: .88rem; }
.calls li { display: flex; justify-content: space-between; gap: .6rem; border-bottom: 1px solid var(--grid);
  padding: .22rem 0; break-inside: avoid; overflow-wrap: anywhere; }
.calls b { font-weight: 500; font-variant-numeric: tabular-nums; }
"""


def write_rehearsal_page(path: Path, doings: Doings, *, settings: Mapping[str, str] = {}) -> None:
    """Write the page of a rehearsal as one self-contained HTML file, whole or not at all.

    Parameters
    ----------
    path
        Where to write it; a file that stands there is replaced.
    doings
        What the script did.
    settings
        Of the twin and the rehearsal, shown as they are.

    Raises
    ------
    OutputError
        If the place cannot be written to.
    """
    summary = rehearsal_summary(doings)
    with styled():
        aim = (*off_target(doings), *defocus_error(doings))
        dose, time = exposures(doings), clock(doings)
    parts = (
        ("aim", "Aim and focus", figures_in(aim) if aim else _quiet(_why_no_aim(summary))),
        ("dose", "Exposure", figures_in(dose) if dose else _quiet("Nothing was exposed that has a target in it.")),
        ("time", "Time", figures_in(time) if time else _quiet("Nothing was exposed.")),
        ("targets", "Targets", _targets(summary)),
        ("dialogs", "Dialogs", _dialogs(doings)),
        ("failed", "Commands that failed", _failed(doings)),
        ("exposed", "Exposures by place", _exposed(doings)),
        ("files", "Files written", _files(doings)),
        ("faults", "Faults asked for", _faults(doings)),
        ("calls", "Commands called", _calls(doings.calls)),
        ("settings", "Settings", _settings(doings, settings)),
    )
    sections = "".join(section(key, title, content) for key, title, content in parts)
    links = "".join(f'<a href="#{key}">{title}</a>' for key, title, _ in parts)
    name = escape(PurePath(doings.script).name or doings.script)
    write_text(
        path,
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{SAFE}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name} – rehearsal</title>{MARK}<style>{CSS}{_MORE_CSS}</style></head><body>\n"
        f'<header><p class="over">Rehearsal of a SerialEM script on the twin</p><h1>{name}</h1>'
        f'<nav aria-label="Sections">{links}</nav></header>\n'
        f"<main>{numbers_list(rehearsal_headline(summary))}{warnings_list(rehearsal_warnings(doings))}{sections}</main>\n"
        "</body></html>\n",
    )


def rehearsal_headline(summary: RehearsalSummary) -> tuple[Number, ...]:
    """Return the key numbers of a rehearsal, in the order of a reader's questions."""
    merit, targets = summary.merit, [one for one in summary.targets if one.merit.images]
    line = "" if summary.line is None else f"at line {summary.line}"
    ended = ": ".join(part for part in (line, summary.reason) if part) or "at its last line"
    an_image = f"{seconds(summary.seconds / merit.images)} an image; " if merit.images else ""
    elsewhere = f"; {summary.images_elsewhere} more with no target near" if summary.images_elsewhere else ""
    numbers = [
        Number("ending", "The script", summary.ending, ended),
        Number("time", "Microscope time", seconds(summary.seconds), f"{an_image}by the microscope's clock"),
        Number(
            "images",
            "Record images a target",
            _range([one.merit.images for one in summary.targets], 0) if merit.images else "none",
            f"{merit.images} in all, of {len(targets)} of {len(summary.targets)} targets{elsewhere}",
        ),
    ]
    if merit.off_p95_nm is None or merit.off_worst_nm is None:
        numbers.append(Number("off", "Off target", "–", "no Record image tells"))
    else:
        worst = _where(merit.off_worst_place, merit.off_worst_tilt_deg)
        numbers += [
            Number(
                "within",
                "Within 50 / 100 nm",
                f"{_percent(merit.within_50_nm)} / {_percent(merit.within_100_nm)}",
                f"of {merit.images} Record images with a target near: it from their centre",
            ),
            Number(
                "off", "Off target", _nm(merit.off_p95_nm), f"95th percentile; worst {_nm(merit.off_worst_nm)}, {worst}"
            ),
        ]
    if merit.defocus_rms_um is None or merit.defocus_worst_um is None:
        numbers.append(Number("defocus", "Defocus error", "–", "the script never asked for a defocus of its images"))
    else:
        worst = _where(merit.defocus_worst_place, merit.defocus_worst_tilt_deg)
        numbers.append(
            Number(
                "defocus",
                "Defocus error",
                f"{merit.defocus_rms_um:.2f} µm",
                f"rms; worst {_signed(merit.defocus_worst_um)} µm, {worst}; positive is more underfocus",
            )
        )
    given = [one.by_records_e_A2 + one.by_others_e_A2 for one in summary.targets]
    others = [one.by_others_e_A2 for one in summary.targets]
    if not any(given):
        numbers.append(Number("exposure", "Exposure a target", "none", "no exposure had a target in it"))
    else:
        by_others = f"{_range(others, 1)} e/Å² by other than Record images" if any(others) else "by Record images only"
        numbers.append(Number("exposure", "Exposure a target", f"{_range(given, 1)} e/Å²", by_others))
    return tuple(numbers)


def _why_no_aim(summary: RehearsalSummary) -> str:
    if summary.merit.images:
        return "Of no Record image is it known where its target lay, nor which defocus was asked for."
    return "The script took no Record image of a target, so that there is nothing to measure."


def _targets(summary: RehearsalSummary) -> str:
    heads = (
        "target", "images", "off, 95 % (nm)", "worst (nm)", "within 50 nm", "within 100 nm", "defocus error, rms (µm)",
        "worst (µm)", "by Record (e/Å²)", "by others", "before the script", "received in the centre",
    )  # fmt: skip
    return _listing(
        heads, [_target_row(one) for one in summary.targets], "There were no targets.", numbers=range(1, 12)
    )


def _target_row(one: TargetSummary) -> tuple[str, ...]:
    merit = one.merit
    return (
        one.name,
        str(merit.images),
        _number(merit.off_p95_nm, 0),
        _number(merit.off_worst_nm, 0),
        _percent(merit.within_50_nm),
        _percent(merit.within_100_nm),
        _number(merit.defocus_rms_um, 2),
        "–" if merit.defocus_worst_um is None else _signed(merit.defocus_worst_um),
        _number(one.by_records_e_A2, 1),
        _number(one.by_others_e_A2, 1),
        _number(one.before_e_A2, 1),
        _number(one.received_e_A2, 1),
    )


def _dialogs(doings: Doings) -> str:
    by = {"file": "the file of answers", "terminal": "the terminal", "itself": "itself"}
    rows = [
        ("–" if one.line is None else str(one.line), one.command, one.text, one.answer, by[one.by])
        for one in doings.asked
    ]
    return _listing(("line", "command", "text", "answer", "answered by"), rows, "No dialog was raised.", numbers=[0])


def _failed(doings: Doings) -> str:
    lines: dict[tuple[str, str, bool], list[int | None]] = defaultdict(list)
    for one in doings.refused:
        lines[one.command, one.reason, one.not_simulated].append(one.line)
    ordered = sorted(lines.items(), key=lambda item: (not item[0][2], -len(item[1]), item[0]))
    rows = [
        (command, "not simulated" if missing else "refused", str(len(at)), at_lines(at) or "–", reason)
        for (command, reason, missing), at in ordered
    ]
    heads = ("command", "what", "times", "where", "reason")
    return _listing(heads, rows, "Every command did what the script asked for.", numbers=[2])


def _exposed(doings: Doings) -> str:
    found = defaultdict(list)
    for one in doings.taken:
        place = one.place if on_target(one) else f"beside {one.place}" if one.place else "no target"
        found[place, one.before, one.camera_set].append(one)
    named = [name for place in places(doings) for name in (place, f"beside {place}")]
    order = {name: i for i, name in enumerate([*named, "no target"])}
    rows = [
        (
            place,
            "before the script" if before else "by the script",
            KINDS[letter],
            str(len(taken)),
            f"{sum(one.exposure_e_A2 for one in taken):.2f}",
            at_lines([one.line for one in taken]) or "–",
        )
        for (place, before, letter), taken in sorted(
            found.items(), key=lambda item: (order[item[0][0]], not item[0][1], list(KINDS).index(item[0][2]))
        )
    ]
    heads = ("place", "when", "kind", "exposures", "e/Å²", "where")
    return _listing(heads, rows, "Nothing was exposed.", numbers=[3, 4])


def _files(doings: Doings) -> str:
    sections = {
        name: [one for one in doings.taken if one.file == name and one.section is not None] for name in doings.files
    }
    rows = [
        (name, str(len(taken)), ", ".join(dict.fromkeys(one.place for one in taken if one.place)) or "–")
        for name, taken in sections.items()
    ]
    return _listing(("stack", "sections", "targets"), rows, "No stack was written.", numbers=[1])


def _faults(doings: Doings) -> str:
    rows = [*((what, "struck") for what in doings.struck), *((what, "never struck") for what in doings.idle)]
    return _listing(("fault", "what became of it"), rows, "None was asked for.")


def _calls(calls: Mapping[str, int]) -> str:
    if not calls:
        return _quiet("No command was called.")
    ordered = sorted(calls.items(), key=lambda item: (-item[1], item[0]))
    items = "".join(f"<li><span>{escape(name)}</span> <b>{count}</b></li>" for name, count in ordered)
    said = f"{len(calls)} commands, {sum(calls.values())} calls; those called most come first."
    return f'{_quiet(said)}<ul class="calls">{items}</ul>'


def _settings(doings: Doings, settings: Mapping[str, str]) -> str:
    tables = [
        table("rehearsal", [("script", doings.script), *settings.items()]),
        table("versions", [(name, package_version(name)) for name in _PACKAGES]),
    ]
    return f'<div class="tables">{"".join(tables)}</div>'


def _listing(heads: Sequence[str], rows: Sequence[Sequence[str]], none: str, *, numbers: Iterable[int] = ()) -> str:
    """Return a table with a head, the columns of `numbers` set right; or the words that say there is nothing in it."""
    if not rows:
        return _quiet(none)
    looks = [' class="number"' if column in set(numbers) else "" for column in range(len(heads))]
    head = "".join(f"<th{look}>{escape(text)}</th>" for look, text in zip(looks, heads, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{look}>{escape(text)}</td>" for look, text in zip(looks, row, strict=True)) + "</tr>"
        for row in rows
    )
    table = f'<table class="listing"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="scroll">{table}</div>'


def _quiet(said: str) -> str:
    return f'<p class="quiet">{escape(said)}</p>'


def _range(values: Sequence[float], decimals: int) -> str:
    low, high = (f"{value:.{decimals}f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _number(value: float | None, decimals: int) -> str:
    return "–" if value is None else f"{value:.{decimals}f}"


def _nm(value: float) -> str:
    return f"{value:.0f} nm" if value < 1000 else f"{value / 1000:.2f} µm"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


def _signed(value_um: float) -> str:
    return f"{value_um:+.2f}".replace("-", "−")


def _where(place: str | None, tilt_deg: float | None) -> str:
    return f"{place} at {degrees(tilt_deg or 0.0)}"
