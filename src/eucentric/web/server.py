"""The server: on the loopback interface only, one process, quiet."""

import asyncio
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection

import uvicorn

from eucentric.core import InputError
from eucentric.web.app import build
from eucentric.web.explorer.following import abandon
from eucentric.web.gate import Gate
from eucentric.web.guard import Guard
from eucentric.web.security import LARGEST_MESSAGE, LONGEST_HEADERS, LONGEST_PATH, LONGEST_QUERY
from eucentric.web.served import Served

FIRST_PORT = 8765
_TRIES = 50
_CONNECTIONS = 256
_BACKGROUND_S = 1.0
_PATIENCE_S = 0.4


def listen(port: int | None = None) -> socket.socket:
    """Return a socket that listens on 127.0.0.1: on this port, or on the first free one from 8765; 0 for any.

    Raises
    ------
    InputError
        If the port is taken, or none is free.
    """
    for candidate in range(FIRST_PORT, FIRST_PORT + _TRIES) if port is None else (port,):
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", candidate))
            listening.listen()
        except OSError as error:
            listening.close()
            reason = error.strerror
        else:
            return listening
    if port is not None:
        raise InputError(
            f"Port {port} cannot be used ({reason}); nothing is served.", "Choose another --port, or leave it out."
        )
    raise InputError(f"No port from {FIRST_PORT} to {FIRST_PORT + _TRIES - 1} is free.", "Choose one with --port.")


def make_server(served: Served, gate: Gate) -> uvicorn.Server:
    """Return the server of these pages behind their guard; see `run`."""
    config = uvicorn.Config(
        Guard(build(served), served, gate),
        loop="asyncio",
        http="h11",  # the one that bounds the size of headers
        h11_max_incomplete_event_size=LONGEST_HEADERS + LONGEST_QUERY + LONGEST_PATH,
        ws="wsproto",  # the one that answers where headers are too long, and does not hang
        ws_max_size=LARGEST_MESSAGE,
        ws_per_message_deflate=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=1,
        proxy_headers=False,
        server_header=False,
        access_log=False,  # it would show links with their tokens
        log_level="error",
    )
    return uvicorn.Server(config)


def has_terminal() -> bool:
    """Whether somebody can press Enter."""
    return sys.stdin is not None and sys.stdin.isatty()


def run(
    server: uvicorn.Server,
    listening: socket.socket,
    ready: Callable[[], None],
    on_enter: Callable[[], None] | None = None,
) -> None:
    """Serve until interrupted.

    Parameters
    ----------
    server, listening
        Of `make_server` and `listen`.
    ready
        Called when Ctrl-C ends the server in good order, just before it answers.
    on_enter
        Called whenever Enter is pressed in the terminal, if this has one.
    """
    asyncio.run(_run(server, listening, ready, on_enter))


async def _run(
    server: uvicorn.Server, listening: socket.socket, ready: Callable[[], None], on_enter: Callable[[], None] | None
) -> None:
    ready()
    if on_enter is not None and has_terminal():
        _follow_terminal(sys.stdin.fileno(), on_enter)
    try:
        await server.serve(sockets=[listening])
    finally:  # interrupted while it starts, it would tell of all that it then leaves undone
        logging.getLogger("uvicorn.error").disabled = True


def leave(others: Collection[threading.Thread]) -> None:
    """Return when nothing is computed for pages any more; end this process at once where something still is.

    The interpreter waits for its threads before it ends, and what one of them compiles or reads cannot be interrupted:
    after Ctrl-C a user would look at a program that seems to hang. Nobody is there any more for what it would find.

    Parameters
    ----------
    others
        Threads that were there before anything was served; they are left alone.
    """
    ours = [one for one in threading.enumerate() if one not in others and not one.daemon]
    if not ours:
        return
    abandon()
    until = time.monotonic() + _PATIENCE_S
    for thread in ours:
        thread.join(max(0.0, until - time.monotonic()))
    if any(thread.is_alive() for thread in ours):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _follow_terminal(terminal: int, on_enter: Callable[[], None]) -> None:
    """Watch for Enter; in the background, where reading would stop this process, look again from time to time."""
    loop = asyncio.get_running_loop()

    def typed() -> None:
        if os.tcgetpgrp(terminal) != os.getpgrp():
            loop.remove_reader(terminal)
            loop.call_later(_BACKGROUND_S, loop.add_reader, terminal, typed)
        elif os.read(terminal, 1024):
            on_enter()
        else:  # Ctrl-D: nothing more will be typed
            loop.remove_reader(terminal)

    loop.add_reader(terminal, typed)
