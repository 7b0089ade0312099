"""The session in words: pieces of HTML, each of one thing that changes by itself."""

import re
from collections.abc import Callable, Iterable, Sequence
from html import escape
from urllib.parse import quote

from eucentric.session import RunStatus
from eucentric.web.session.alarms import Limits
from eucentric.web.session.records import Alarm, SeriesView, SessionView, StageView, TiltView
from eucentric.web.session.routes import FILES
from eucentric.workflow.live import SeriesState

_STAGE_WORDS = {
    RunStatus.RUNNING: "running",
    RunStatus.FAILED: "failed",
    RunStatus.INTERRUPTED: "interrupted",
}

_COMMAND = re.compile(r"`([^`]+)`")


def address(series: str) -> str:
    """Return the address of a series' page."""
    return f"/session/{quote(series, safe='')}"


def alarms(found: Sequence[Alarm], *, named: bool = False) -> str:
    """Return alarms as a list; `named` where they are of several series, with links to them."""
    return "".join(f"<li>{_alarm(alarm, named=named)}</li>" for alarm in found)


def _alarm(alarm: Alarm, *, named: bool) -> str:
    where = ""
    if named and alarm.series is not None:
        where = f'<a href="{escape(address(alarm.series))}">{escape(alarm.series)}</a>, '
    return f"<b>{escape(alarm.kind.capitalize())}</b>: {where}{escape(alarm.text)}"


def thresholds(limits: Limits) -> str:
    """Return from where on something is alarming, in a sentence."""
    return (
        f"Alarms: counts below {100 * limits.counts_share:.0f} % of what the other tilts of the series make expected; "
        f"drift above {limits.drift_A:g} Å; defocus more than {limits.defocus_A / 1e4:g} µm off what was asked for "
        f"(of one image only where it shows rings to {limits.rings_A:g} Å); less than {limits.disk_GB:g} GB of disk; "
        "movies that are missing; series that failed; nobody at work although something is left to do."
    )


def with_commands(text: str) -> str:
    """Return a sentence, in which commands stand between backticks, as HTML."""
    return _COMMAND.sub(r"<code>\1</code>", escape(text))


def card(view: SeriesView) -> str:
    """Return a series for the list of all."""
    seen, planned = _progress(view)
    facts = [f"{seen} of {planned} tilts" if planned else f"{seen} tilts"]
    if n_excluded := sum(bool(tilt.excluded) for tilt in view.tilts):
        facts.append(f"{n_excluded} excluded")
    if view.resolution_A:
        facts.append(f"halves agree to {view.resolution_A:.1f} Å")
    if view.thickness_A:
        facts.append(f"{view.thickness_A / 10:.0f} nm")
    spent = exposure(view)
    if spent:
        facts.append(spent)
    running = next((stage.name for stage in view.stages if stage.status is RunStatus.RUNNING), "")
    if running:
        facts.append(f"{running} is running")
    marks = state(view)
    if view.alarms:
        marks += f'<span class="mark alarm">{len(view.alarms)} {"alarm" if len(view.alarms) == 1 else "alarms"}</span>'
    look = f" · {_to_preview(view)}" if view.preview else ""
    bar = f'<progress max="{planned}" value="{min(seen, planned)}" aria-label="Tilts"></progress>' if planned else ""
    return (
        f'<a class="name" href="{escape(address(view.name))}">{escape(view.name)}</a><span class="marks">{marks}</span>'
        f'{bar}<span class="caption">{escape(" · ".join(facts))}{look}</span>'
    )


def state(view: SeriesView) -> str:
    """Return how far a series is, and whether something of it is outdated, as marks."""
    outdated = '<span class="mark outdated">outdated</span>' if view.is_outdated else ""
    return f'<span class="mark {view.state}">{escape(view.state)}</span>{outdated}'


def _progress(view: SeriesView) -> tuple[int, int]:
    """Return how many tilts have come, and how many there will be, 0 where nobody knows."""
    seen = sum(not tilt.left_out for tilt in view.tilts)
    if view.plan:
        return seen, len(view.plan)
    return seen, 0 if view.state is SeriesState.GROWING else len(view.tilts)


def exposure(view: SeriesView) -> str:
    """Return the exposure that was spent, against the one that was planned."""
    if view.spent_e_A2 is None:
        return ""
    planned = f" of {view.planned_e_A2:.0f}" if view.planned_e_A2 else ""
    return f"{view.spent_e_A2:.0f}{planned} e/Å²"


def session_numbers(session: SessionView, series: Iterable[SeriesView]) -> str:
    """Return the session in numbers."""
    states = [view.state for view in series]
    rows = [("Series", str(len(states)))]
    rows += [(each.capitalize(), str(states.count(each))) for each in SeriesState if each in states]
    rows.append(("At work now", "yes" if session.held else "nobody"))
    rows.append(("Disk left", f"{session.free_bytes / 1e9:.0f} GB"))
    return _listed(rows)


def series_numbers(view: SeriesView) -> str:
    """Return a series in numbers."""
    seen, planned = _progress(view)
    excluded = sum(bool(tilt.excluded) for tilt in view.tilts)
    residuals = sorted(tilt.residual_A for tilt in view.tilts if tilt.residual_A is not None)
    rows = [
        ("Tilts", (f"{seen} of {planned}" if planned else str(seen)) + (f", {excluded} excluded" if excluded else "")),
        ("Exposure spent", exposure(view)),
        ("Specimen", f"{view.thickness_A / 10:.0f} nm thick" if view.thickness_A else ""),
        ("Median residual", f"{residuals[len(residuals) // 2]:.1f} Å" if residuals else ""),
        ("Halves agree to", f"{view.resolution_A:.1f} Å" if view.resolution_A else ""),
    ]
    return _listed(rows)


def _listed(rows: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in rows if value)


def links(view: SeriesView) -> str:
    """Return links to what there is of a series."""
    name = quote(view.name, safe="")
    found = ['<a href="/session">All series</a>']
    if view.has_report:
        found.append(f'<a href="{escape(f"{FILES}/{name}/report")}">Report</a>')
    if view.has_tomogram:
        found.append(f'<a href="{escape(f"/tomogram/{name}")}">Tomogram</a>')
    elif view.preview:
        found.append(_to_preview(view))
    for method in view.restored:
        link = escape(f"{FILES}/{name}/restored/{quote(method, safe='')}")
        found.append(f'<a href="{link}">Restored ({escape(method)})</a>')
    return "".join(found)


def preview(view: SeriesView) -> str:
    """Return the picture of the preview, with what it is; nothing where there is none."""
    if view.preview is None:
        return ""
    said = f"The middle of the tomogram as {view.preview.tilts} tilts show it, coarse and with no correction."
    picture = f'<img src="{escape(view.preview.picture)}" alt="Middle of the preview">'
    return f"{picture}<figcaption>{escape(said)} {_to_preview(view)}</figcaption>"


def _to_preview(view: SeriesView) -> str:
    """Link to the preview, named for what it is."""
    tilts = view.preview.tilts if view.preview else 0
    link = f"/tomogram/{quote(view.name, safe='')}"
    return f'<a href="{escape(link)}">Preview from {tilts} tilts</a>'


def stages(view: SeriesView) -> str:
    """Return the stages of a series, with what each took and what is outdated."""
    return "".join(_stage(stage) for stage in view.stages)


def _stage(stage: StageView) -> str:
    look = "outdated" if stage.outdated else str(stage.status)
    word = _STAGE_WORDS.get(stage.status) or (f"{stage.seconds:.1f} s" if stage.seconds is not None else "done")
    said = f"outdated: {stage.outdated}" if stage.outdated else word
    if stage.status is RunStatus.FAILED and stage.reason:
        said = f"failed: {stage.reason}"
    return f'<li class="{look}"><b>{escape(stage.name)}</b> <span>{escape(said)}</span></li>'


def tilt_facts(tilt: TiltView) -> str:
    """Return all that is known of a tilt, with what was planned beside it."""
    plan = tilt.predicted
    rows = [
        ("Acquired as", f"number {tilt.order + 1}", ""),
        ("Movie", tilt.movie or "", ""),
        ("Exposure", _said(tilt.exposure_e_A2, "{:.2f} e/Å²"), _said(plan.exposure_e_A2 if plan else None, "{:.2f}")),
        ("Received with it", _said(tilt.received_e_A2, "{:.2f} e/Å²"), ""),
        ("Counts", _said(tilt.counts, "{:.3g}"), _said(plan.counts if plan else None, "{:.3g}")),
        ("Counts over expected", _said(tilt.counts_share, "{:.0%}"), ""),
        ("Drift", _said(tilt.motion_A, "{:.1f} Å"), _said(plan.motion_A if plan else None, "{:.1f}")),
        ("Defocus", _said(tilt.defocus_A, "{:.2f} µm", 1e-4), _said(tilt.target_defocus_A, "{:.2f}", 1e-4)),
        ("Lens's defocus", _said(tilt.lens_defocus_A, "{:.2f} µm", 1e-4), ""),
        ("Off its predicted place", _said(tilt.miss_A, "{:.0f} nm", 0.1), ""),
        ("Image shift", _said(tilt.image_shift_A, "{:.2f} µm", 1e-4), ""),
        ("Shutter open", _said(tilt.shutter_s, "{:.2f} s"), ""),
        ("After the tilt before", _said(tilt.since_last_s, "{:.0f} s"), ""),
        ("CTF rings to", _said(tilt.fit_resolution_A, "{:.1f} Å"), ""),
        ("Residual", _said(tilt.residual_A, "{:.1f} Å"), _said(plan.alignment_error_A if plan else None, "{:.1f}")),
        ("Path", _said(tilt.path_A, "{:.0f} nm", 0.1), _said(plan.path_A if plan else None, "{:.0f}", 0.1)),
    ]
    cells = "".join(
        f"<tr><th scope=row>{name}</th><td>{escape(value or '–')}</td><td>{escape(planned)}</td></tr>"
        for name, value, planned in rows
        if value or planned
    )
    left_out = f'<p class="warnings">{escape(tilt.left_out)}</p>' if tilt.left_out else ""
    left_out += f'<p class="said">Excluded: {escape(tilt.excluded)}</p>' if tilt.excluded else ""
    head = "<thead><tr><td></td><th scope=col>found</th><th scope=col>planned</th></tr></thead>"
    return f"{left_out}<table>{head}<tbody>{cells}</tbody></table>"


_COLUMNS: tuple[tuple[str, Callable[[TiltView], str]], ...] = (
    ("Tilt, °", lambda tilt: ("excluded " if tilt.excluded else "") + f"{tilt.tilt_deg:+.1f}".replace("-", "−")),
    ("Order", lambda tilt: str(tilt.order + 1)),
    ("Exposure, e/Å²", lambda tilt: _said(tilt.exposure_e_A2, "{:.2f}")),
    ("Counts", lambda tilt: _said(tilt.counts, "{:.3g}")),
    ("of expected", lambda tilt: _said(tilt.counts_share, "{:.0%}")),
    ("Drift, Å", lambda tilt: _said(tilt.motion_A, "{:.1f}")),
    ("Defocus, µm", lambda tilt: _said(tilt.defocus_A, "{:.2f}", 1e-4)),
    ("asked", lambda tilt: _said(tilt.target_defocus_A, "{:.2f}", 1e-4)),
    ("Off place, nm", lambda tilt: _said(tilt.miss_A, "{:.0f}", 0.1)),
    ("Rings, Å", lambda tilt: _said(tilt.fit_resolution_A, "{:.1f}")),
    ("Residual, Å", lambda tilt: _said(tilt.residual_A, "{:.1f}")),
    ("Path, nm", lambda tilt: _said(tilt.path_A, "{:.0f}", 0.1)),
)


def table(view: SeriesView) -> str:
    """Return all tilts as a table, by tilt; columns of which nothing is known are left out."""
    columns = [(name, say) for name, say in _COLUMNS if any(map(say, view.tilts))]
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name, _ in columns)
    says = [say for _, say in columns]
    rows = "".join(_row(tilt, says) for tilt in sorted(view.tilts, key=lambda tilt: tilt.tilt_deg))
    return f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"


def _row(tilt: TiltView, says: Iterable[Callable[[TiltView], str]]) -> str:
    cells = "".join(f"<td>{escape(say(tilt) or '–')}</td>" for say in says)
    return f'<tr class="excluded">{cells}</tr>' if tilt.excluded else f"<tr>{cells}</tr>"


def _said(value: float | None, form: str, factor: float = 1.0) -> str:
    return "" if value is None else form.format(value * factor)
