"""`eucentric serve`: the web pages, on this machine alone."""

import os
import sys
import threading
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from eucentric.cli.app import DONE, app, tell


@app.command
def serve(
    folder: Path | None = None,
    /,
    *,
    port: Annotated[int | None, Parameter(validator=validators.Number(gte=1, lte=65535))] = None,
    browser: bool = True,
    allow_edit: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Open the web pages: the design explorer and, of a session, its tilts and tomograms.

    Example: `eucentric serve my-session`

    It listens on this machine alone. The link that it prints lets one browser in, once; Enter prints another.
    Ctrl-C ends it. From another machine: `ssh -L 8765:127.0.0.1:8765 HOST`, and open the link there.

    Parameters
    ----------
    folder
        The session; without one there is the explorer alone.
    port
        Where to listen; by default the first free one from 8765 on.
    browser
        Whether to open the link in a browser of this machine.
    allow_edit
        Let the pages change the session; otherwise they only show it.
    """
    from eucentric.session import read_history
    from eucentric.web.gate import Gate
    from eucentric.web.served import Served
    from eucentric.web.server import has_terminal, leave, listen, make_server, run

    if folder is not None:
        read_history(folder)  # says so where this is no session
    threads = threading.enumerate()
    with listen(port) as listening:
        served = Served(session=folder and folder.resolve(), allow_edit=allow_edit, port=listening.getsockname()[1])
        gate = Gate(served.port)
        server = make_server(served, gate)
        link = gate.link()

        def ready() -> None:
            another = "; Enter prints another" if has_terminal() else ""
            tell(f"{link}\nThe link works once{another}. Ctrl-C ends.")
            if browser and _has_screen():
                webbrowser.open(link)

        with suppress(KeyboardInterrupt):
            run(server, listening, ready, on_enter=lambda: tell(gate.link()))
    tell("No longer served.")
    leave(threads)
    return DONE


def _has_screen() -> bool:
    """Whether a browser would be a window; one that draws into this terminal is of no use."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
