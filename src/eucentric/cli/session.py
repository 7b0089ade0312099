"""`eucentric session` and the commands below it: what a session folder holds."""

import sys
import time
from json import dumps
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.table import Table

from eucentric.cli.app import DONE, Json, app, console, print_json, reporter, tell, told_warnings

session_app = App(
    name="session",
    help="What a session folder holds: exposures, events, a picture of them, and its stacks sorted by tilt.",
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


def _as_json(event: Any) -> dict[str, Any]:
    return {"id": event.id, "at": event.at, "kind": event.kind, "cause": event.cause, "body": event.body}
