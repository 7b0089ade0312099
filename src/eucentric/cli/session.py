"""`eucentric session` and the commands below it: what a session folder holds."""

import sys
import time
from json import dumps
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.table import Table

from eucentric.cli.app import DONE, Json, UsageError, app, console, print_json, reporter, tell, told_warnings

session_app = App(
    name="session",
    help="What a session folder holds: exposures, events, a picture of them, stacks sorted by tilt; tilts left out.",
)
app.command(session_app)

_POLL_S = 0.5
_KEYS = ("target", "order", "tilt_deg", "exposure_e_A2", "purpose")


@session_app.command
def exposures(folder: Path, /, *, json: Json = False) -> int:
    """Show every exposure of a session, as its journal has it, oldest first; also while it is being acquired.

    Example: `eucentric session exposures my-session --json`

    Parameters
    ----------
    folder
        The session.
    """
    from eucentric.session import read_exposures

    records = read_exposures(folder)
    if json:
        print_json([{**{key: getattr(one, key) for key in _KEYS}, "state": one.state.value} for one in records])
        return DONE
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("target", "tilt", "°", "e/Å²", "purpose", "state", ""):
        table.add_column(title, justify="right" if title in ("tilt", "°", "e/Å²") else "left")
    for one in records:
        table.add_row(
            one.target,
            f"{one.order + 1}",
            f"{one.tilt_deg:+.2f}",
            f"{one.exposure_e_A2:.3f}",
            one.purpose,
            one.state.value,
            one.reason,
        )
    console().print(table)
    received: dict[str, float] = {}
    for one in records:
        received[one.target] = received.get(one.target, 0.0) + one.exposure_e_A2 * one.received
    tell("; ".join(f"{target} {total:.2f} e/Å²" for target, total in received.items()) or "Nothing was exposed.")
    return DONE


@session_app.command
def events(
    folder: Path, /, *, follow: Annotated[bool, Parameter(negative=())] = False, after: int = 0, json: Json = False
) -> int:
    """Show the journal of a session, event by event.

    Example: `eucentric session events my-session --follow`, while `eucentric acquire` runs elsewhere.

    Parameters
    ----------
    folder
        The session.
    follow
        Go on showing what comes, until Ctrl-C; with --json, a line of JSON for each event.
    after
        Only events of a higher number.
    """
    from eucentric.session import read_events

    if json and not follow:
        print_json([_as_json(event) for event in read_events(folder, after=after)])
        return DONE
    while True:
        for event in read_events(folder, after=after):
            after = event.id
            if json:
                sys.stdout.write(dumps(_as_json(event)) + "\n")
                sys.stdout.flush()
                continue
            said = ", ".join(
                f"{key} {value}" for key, value in event.body.items() if not isinstance(value, dict | list)
            )
            tell(f"{event.id} {event.at} {event.kind}: {said}")
        if not follow:
            return DONE
        time.sleep(_POLL_S)


@session_app.command
def stacks(folder: Path, /, *, output: Annotated[Path, Parameter(name=["--output", "-o"])], json: Json = False) -> int:
    """Write the series of a session as stacks sorted by tilt, each with its angles and .mdoc.

    Example: `eucentric session stacks my-session --output sorted`

    Parameters
    ----------
    folder
        The session.
    output
        Where to write them.
    """
    from eucentric.workflow.acquired import export_sorted

    with told_warnings():
        written = export_sorted(folder, output, reporter())
    tell(f"{len(written)} files written to {output}.")
    if json:
        print_json({"files": [str(path) for path in written]})
    return DONE


@session_app.command
def figure(folder: Path, /, *, output: Annotated[Path, Parameter(name=["--output", "-o"])]) -> int:
    """Draw how an acquisition went: where the stage took the targets, by how much they were missed, what they received.

    Example: `eucentric session figure my-session --output acquired.png`; also while it is being acquired.

    Parameters
    ----------
    folder
        The session.
    output
        A .png, .svg or .pdf file.
    """
    from eucentric.workflow.acquired import write_acquisition_figure

    write_acquisition_figure(folder, output)
    tell(f"Drawn: {output}")
    return DONE


@session_app.command
def exclude(folder: Path, series: str, /, *sections: int, reason: str = "", json: Json = False) -> int:
    """Exclude tilts from a series; the next processing aligns it without them, and redoes what follows from that.

    Nothing is lost: `eucentric session include` takes tilts back. A running `eucentric watch` sees it by itself.

    Example: `eucentric session exclude my-session TS_001 0 40 --reason "grid bar"`

    Parameters
    ----------
    folder
        The session; other processes may work in it.
    series
        The name of the series.
    sections
        Of the tilts, as in its .mdoc (ZValue), counted from 0.
    reason
        Why, for the report; in place of the one that they had.
    """
    if not sections:
        raise UsageError("Name the sections of the tilts that are to be excluded.")
    from eucentric.workflow import excluded

    return _tell_excluded(folder, series, excluded.exclude(folder, series, sections, reason), json)


@session_app.command
def include(folder: Path, series: str, /, *sections: int, json: Json = False) -> int:
    """Take excluded tilts of a series back, all of them where no sections are named.

    Example: `eucentric session include my-session TS_001 40`

    Parameters
    ----------
    folder
        The session; other processes may work in it.
    series
        The name of the series.
    sections
        Of the tilts, as in its .mdoc (ZValue), counted from 0.
    """
    from eucentric.workflow import excluded

    return _tell_excluded(folder, series, excluded.include(folder, series, sections), json)


def _tell_excluded(folder: Path, series: str, reasons: dict[int, str], json: bool) -> int:
    from eucentric.workflow.excluded import what_follows

    listed = "; ".join(f"{section} ({reason})" for section, reason in sorted(reasons.items()))
    tell(f"{series}: excluded {'is' if len(reasons) == 1 else 'are'} {listed or 'none'}.")
    tell(what_follows(folder, series))
    if json:
        print_json({"series": series, "excluded": {str(section): reasons[section] for section in sorted(reasons)}})
    return DONE


def _as_json(event: Any) -> dict[str, Any]:
    return {"id": event.id, "at": event.at, "kind": event.kind, "cause": event.cause, "body": event.body}
