"""`eucentric doctor`."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.table import Table

from eucentric.cli.app import DONE, FAILED, Json, UsageError, app, console, print_json, reporter, settings_from, tell

if TYPE_CHECKING:
    from eucentric.workflow.doctor import Consumer, ConsumerView, DoctorFinding, DoctorReport, MendedCopy

_SHOWN = 8  # files, or changes, that are named of each kind; --json has all
_ROWS = 12  # series for which the table has rows of their own
_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}
_SHORT = {"relion5": "RELION-5", "relion": "RELION-5", "warp": "Warp", "aretomo3": "AreTomo3", "aretomo": "AreTomo3"}


@app.command
def doctor(
    *paths: Path,
    fix: Path | None = None,
    watch: Annotated[bool, Parameter(negative=())] = False,
    for_: Annotated[str | None, Parameter(name="--for")] = None,
    frames: Path | None = None,
    still: float = 60.0,
    poll: float = 2.0,
    json: Json = False,
) -> int:
    """Find what is wrong with tilt series, and say how RELION-5, Warp, AreTomo3 and IMOD will read them.

    Example: `eucentric doctor mdocs/ --frames frames/ --fix mended/`

    The exit status is 0 where there are no findings but notes, 1 where there are, 2 for wrong usage.

    Parameters
    ----------
    paths
        An .mdoc, a stack, a session, or a folder: of it the .mdoc files in it and in its mdoc/, none deeper.
    fix
        Folder for corrected copies of what can be mended without guessing; the originals are never changed.
    watch
        Look again whenever a file changes, and tell what is new, until Ctrl-C; with --json, a line for each finding.
    for_
        Only for these programs, such as relion5,warp; there is relion5, warp, aretomo3 and imod.
    frames
        Folder of the movies; else they are looked for beside the .mdoc and in frames/ beside it or its folder.
    still
        With --watch: seconds after which a file that stands still is taken to be finished.
    poll
        With --watch: seconds from look to look.
    """
    if not paths:
        raise UsageError("There is no path to look at.")
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: there is no such file or folder.")
    if frames is not None and not frames.is_dir():
        raise UsageError(f"--frames {frames}: there is no such folder.")
    if watch and fix is not None:
        raise UsageError("--watch and --fix do not go together: mend what is finished.")
    from eucentric.workflow.doctor import DoctorSettings, examine, mend_all

    options = {"consumers": _consumers(for_), "frames": frames, "still_s": still, "poll_s": poll}
    settings = settings_from(options, DoctorSettings, {"still_s": "still", "poll_s": "poll", "consumers": "for"})
    if watch:
        return _watch(paths, settings, json=json)
    report, patients = examine(paths, settings, reporter())
    _tell_findings(report.findings)
    _tell_views(report)
    copies: Sequence[MendedCopy] = ()
    if fix is not None:
        copies = mend_all(patients, report, fix, settings)
        _tell_copies(copies, fix)
    _tell_summary(report)
    if json:
        print_json(_as_json(report, copies))
    return FAILED if report.is_sick else DONE


def _consumers(given: str | None) -> tuple["Consumer", ...]:
    from eucentric.workflow.doctor import CONSUMERS

    if given is None:
        return CONSUMERS
    known = {**_SHORT, **{name.lower(): name for name in CONSUMERS}}
    wanted = [word.strip().lower() for word in given.split(",") if word.strip()]
    if unknown := [word for word in wanted if word not in known]:
        raise UsageError(f"--for {unknown[0]}: there is relion5, warp, aretomo3 and imod.")
    if not wanted:
        raise UsageError("--for: name a program: relion5, warp, aretomo3 or imod.")
    names = {known[word] for word in wanted}
    return tuple(name for name in CONSUMERS if name in names)


def _watch(paths: Sequence[Path], settings: Any, *, json: bool) -> int:
    """Watch until Ctrl-C, then sum up."""
    from eucentric.workflow.doctor import watch

    last = None
    tell("Watching; Ctrl-C ends it with a summary.")
    try:
        for last in watch(paths, settings):
            if json:
                for finding in last.news:
                    sys.stdout.write(dumps(finding.model_dump(mode="json")) + "\n")
                sys.stdout.flush()
            _tell_findings(last.news)
    except KeyboardInterrupt:
        pass
    if last is None:
        return DONE
    _tell_views(last.report)
    _tell_summary(last.report)
    return FAILED if last.report.is_sick else DONE


def _tell_findings(findings: Sequence["DoctorFinding"]) -> None:
    """Tell findings by their name, the gravest first; why and what to do once for each name."""
    rank = {severity: index for index, severity in enumerate(_STYLES)}
    by_name: dict[str, list[DoctorFinding]] = {}
    for finding in sorted(findings, key=lambda one: rank[one.severity]):
        by_name.setdefault(finding.name, []).append(finding)
    for name, met in by_name.items():
        first = met[0]
        console().print(f"[{_STYLES[first.severity]}]{first.severity}[/] [bold]{name}[/]")
        for finding in met[:_SHOWN]:
            tell(f"  {_place(finding)}: {finding.message}")
        if len(met) > _SHOWN:
            tell(f"  ... and {len(met) - _SHOWN} more of these; --json has all.")
        who = f" To whom: {', '.join(first.who)}." if first.who else ""
        tell(f"  Why: {first.why}{who}")
        if first.fix != "-":
            tell(f"  What to do: {first.fix}")


def _place(finding: "DoctorFinding") -> str:
    if not finding.lines:
        return str(finding.path)
    more = "" if len(finding.lines) == 1 else f" and {len(finding.lines) - 1} more lines"
    return f"{finding.path}:{finding.lines[0]}{more}"


def _tell_views(report: "DoctorReport") -> None:
    """Tell how each consumer will read each series, or of many series only how many it reads."""
    series = [one for one in report.series if one.views]
    if not series:
        return
    if len(series) > _ROWS:
        _tell_counts([one.views for one in series])
        return
    for one in series:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("program", "imports", "order by"):
            table.add_column(title, no_wrap=True)
        for title in ("tilts", "angles (°)", "before (e/Å²)", "axis (°)", "frames"):
            table.add_column(title, justify="right", no_wrap=True)
        for view in one.views:
            table.add_row(*_cells(view))
        tell(f"How {one.path.name} will be read:")
        console().print(table)
    for said, names in _said((one.path.name, view) for one in series for view in one.views):
        tell(f"{said}{f' ({names})' if len(series) > 1 else ''}")


def _cells(view: "ConsumerView") -> Iterator[str]:
    style = {"yes": "green", "wrongly": "yellow", "no": "red"}[view.imports]
    yield view.consumer
    yield f"[{style}]{view.imports}[/]"
    if view.imports == "no":
        yield from ("",) * 6
        return
    yield view.order_by
    yield str(view.n_tilts)
    no_angles = view.tilt_min_deg is None or view.tilt_max_deg is None
    yield "" if no_angles else f"{view.tilt_min_deg:.1f}..{view.tilt_max_deg:.1f}"
    first, last = view.first_pre_exposure_e_A2, view.last_pre_exposure_e_A2
    yield "" if first is None else f"{first:.1f}..{'?' if last is None else f'{last:.1f}'}"
    yield "" if view.axis_deg is None else f"{view.axis_deg:.1f}"
    yield "?" if view.frames is None else str(view.frames)


def _said(views: Iterable[tuple[str, "ConsumerView"]]) -> Iterator[tuple[str, str]]:
    """Give each remark once, with the series that it is of."""
    said: dict[str, dict[str, None]] = {}
    for name, view in views:
        whose = f"tilt axis from {view.axis_from}; hand: {view.hand}."
        remarks = [*view.because, whose] if view.imports != "no" else view.because
        for remark in remarks:
            said.setdefault(f"{view.consumer}: {remark}", {})[name] = None
    for remark, names in said.items():
        yield remark, ", ".join(names)


def _tell_counts(series: Sequence[Sequence["ConsumerView"]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("program", "imports", "wrongly", "does not import"):
        table.add_column(title, justify="left" if title == "program" else "right")
    for column in zip(*series, strict=True):
        counts = [sum(view.imports == answer for view in column) for answer in ("yes", "wrongly", "no")]
        table.add_row(column[0].consumer, *map(str, counts))
    console().print(table)
    reasons: dict[str, int] = {}
    for views in series:
        for view in views:
            for reason in view.because if view.imports != "yes" else ():
                reasons[f"{view.consumer}: {reason}"] = reasons.get(f"{view.consumer}: {reason}", 0) + 1
    for reason, n in sorted(reasons.items(), key=lambda one: -one[1])[:_SHOWN]:
        tell(f"{n} series, {reason}")
    tell("--json has the series one by one.")


def _tell_copies(copies: Sequence["MendedCopy"], out: Path) -> None:
    if not copies:
        tell("There is nothing that can be mended without guessing; nothing was written.")
        return
    for copy in copies[:_SHOWN]:
        tell(f"Written: {copy.copy_path}")
        for change in copy.changes[:_SHOWN]:
            tell(f"  {change}")
        if len(copy.changes) > _SHOWN:
            tell(f"  ... and {len(copy.changes) - _SHOWN} changes more; --json has all.")
        if left := sorted({finding.name for finding in copy.left}):
            tell(f"  Not mended, as that would be guessing: {', '.join(left)}.")
    if len(copies) > _SHOWN:
        tell(f"... and {len(copies) - _SHOWN} copies more.")
    tell(f"{len(copies)} corrected copies are in {out}; the originals are as they were.")


def _tell_summary(report: "DoctorReport") -> None:
    findings = report.findings
    counts = {severity: sum(one.severity == severity for one in findings) for severity in _STYLES}
    sick = sum(one.is_sick for one in report.series)
    counted = ", ".join(f"{n} {severity}{'s' if n != 1 else ''}" for severity, n in counts.items())
    tell(f"{len(report.series)} looked at, {sick} with something to mend: {counted}.")


def _as_json(report: "DoctorReport", copies: Sequence["MendedCopy"]) -> dict[str, Any]:
    return {
        "clean": not report.is_sick,
        "series": [one.model_dump(mode="json") for one in report.series],
        "copies": [copy.model_dump(mode="json") for copy in copies],
    }
