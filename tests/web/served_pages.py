"""Runs `eucentric serve` as a user does, and a browser on it that reports what it should not do."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import IO, TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

_STARTS_S = 120  # NiceGUI and the libraries below it load first
_ANSWERS_S = 20  # on a machine that is busy with other tests
_CHROMIUMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


# A shell gives a program its terminal; here it takes it itself.
_IN_A_TERMINAL = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from eucentric.cli import main
sys.exit(main(["serve", "--no-browser", *sys.argv[1:]]))
"""


@dataclass
class ServedPages:
    """A running `eucentric serve`: its process, our end of its terminal, its first link, what it has printed since."""

    process: subprocess.Popen[str]
    terminal: int
    link: str
    lines: Queue[str]

    @property
    def base(self) -> str:
        """Return the address without its token or a slash at its end."""
        return self.link.partition("/?")[0]

    @property
    def port(self) -> int:
        """Return the port."""
        return int(self.base.rpartition(":")[2])

    @cached_property
    def cookie(self) -> tuple[str, str]:
        """Return the name and value of the cookie; the first call uses the first link up."""
        ((name, value),) = httpx.get(self.link).cookies.items()
        return name, value

    def press(self, keys: str) -> None:
        """Press keys in its terminal."""
        os.write(self.terminal, keys.encode())

    def new_link(self) -> str:
        """Press Enter, and return the link that it prints then."""
        self.press("\n")
        return _link(self.lines)

    def farewell(self) -> tuple[int, str]:
        """Wait until it has ended, and return its exit status and what it printed after its last link."""
        said = list(iter(lambda: self.lines.get(timeout=_STARTS_S), ""))
        return self.process.wait(timeout=_STARTS_S), "".join(said)


@contextmanager
def serving(*arguments: object) -> Iterator[ServedPages]:
    """Run `eucentric serve` with these arguments, in a terminal of its own, until the body ends."""
    ours, its = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", _IN_A_TERMINAL, *map(str, arguments)],
        stdin=its,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        os.close(its)
        lines: Queue[str] = Queue()
        assert process.stdout is not None
        reader = Thread(target=_drain, args=(process.stdout, lines), daemon=True)
        reader.start()
        try:
            yield ServedPages(process, ours, _link(lines), lines)
        finally:
            process.terminate()
            process.wait(timeout=20)
            reader.join(timeout=5)
            os.close(ours)


def _drain(out: IO[str], lines: Queue[str]) -> None:
    for line in out:
        lines.put(line)
    lines.put("")  # the end


def _link(lines: Queue[str]) -> str:
    seen = [lines.get(timeout=_STARTS_S)]
    while "token=" not in seen[-1]:
        assert seen[-1], f"eucentric serve ended: {''.join(seen)}"
        seen.append(lines.get(timeout=_STARTS_S))
    return seen[-1].strip()


def find_chromium() -> str | None:
    """Return the browser that the tests drive: EUCENTRIC_CHROMIUM, or a Chromium or Chrome on the path."""
    asked = os.environ.get("EUCENTRIC_CHROMIUM")
    if asked:
        return asked if Path(asked).is_file() else None
    return next(filter(None, map(shutil.which, _CHROMIUMS)), None)


@dataclass
class Visit:
    """A browser that was let in, and what it did that no page may do: `check` at the end of a test."""

    context: BrowserContext
    page: Page
    base: str
    wrong: list[str] = field(default_factory=list)

    def go(self, path: str = "/") -> Page:
        """Go to a page, and return it when its web socket is open."""
        self.page.goto(self.base + path)
        self.page.wait_for_function("window.did_handshake === true")
        return self.page

    def check(self) -> None:
        """Fail if anything was asked for outside this server, or an error stands in the browser's console."""
        assert not self.wrong, "\n".join(self.wrong)


@contextmanager
def visiting(browser: Browser, pages: ServedPages, **options: Any) -> Iterator[Visit]:
    """Open a browser window with the cookie of these pages; `options` are those of playwright's `new_context`."""
    context = browser.new_context(**options)
    context.set_default_timeout(_ANSWERS_S * 1000)
    name, value = pages.cookie
    context.add_cookies([{"name": name, "value": value, "url": pages.base, "httpOnly": True, "sameSite": "Strict"}])
    visit = Visit(context, context.new_page(), pages.base)
    watch(visit)
    try:
        yield visit
    finally:
        context.close()


def watch(visit: Visit) -> None:
    """Note what is asked for elsewhere, errors of scripts, and what the console calls an error."""

    def asked(url: str) -> None:
        own = (visit.base + "/", visit.base.replace("http", "ws", 1) + "/", "data:", "blob:")
        if not url.startswith(own):
            visit.wrong.append(f"asked for {url}")

    visit.context.on("request", lambda request: asked(request.url))
    visit.page.on("websocket", lambda socket: asked(socket.url))
    visit.page.on("pageerror", lambda error: visit.wrong.append(f"error of a script: {error}"))
    visit.page.on("console", lambda said: visit.wrong.append(f"console: {said.text}") if said.type == "error" else None)
