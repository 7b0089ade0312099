"""Servers and one browser for all tests of the pages.

`pages_of()` or `pages_of(session, "--allow-edit")` runs `eucentric serve` with these arguments, once for all tests;
`visit(...)` opens a browser window that was let in to it. At the end of a test its windows must have asked nothing of
anybody else, and have no error in their console.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from served_pages import QUIET, ServedPages, Visit, find_chromium, serving, visiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser


@pytest.fixture(scope="package")
def pages_of() -> Iterator[Callable[..., ServedPages]]:
    """Give a function that starts `eucentric serve` with arguments, or finds the one that was started so."""
    running: dict[tuple[str, ...], ServedPages] = {}
    with ExitStack() as until_the_end:

        def find(*arguments: object) -> ServedPages:
            key = tuple(map(str, arguments))
            if key not in running:
                running[key] = until_the_end.enter_context(serving(*arguments))
            return running[key]

        yield find


@pytest.fixture(scope="package")  # not longer: its event loop must not run when other tests want one of their own
def browser() -> Iterator[Browser]:
    """Give a Chromium; skip where there is none."""
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium or Chrome was found: install Debian's `chromium`, or set EUCENTRIC_CHROMIUM to one")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=list(QUIET))
        yield running
        running.close()


@pytest.fixture
def visit(browser: Browser, pages_of: Callable[..., ServedPages]) -> Iterator[Callable[..., Visit]]:
    """Give a function that opens a window on `pages_of(*arguments)`; options such as `color_scheme` and `viewport`."""
    visits: list[Visit] = []
    with ExitStack() as windows:

        def enter(*arguments: object, **options: Any) -> Visit:
            visits.append(windows.enter_context(visiting(browser, pages_of(*arguments), **options)))
            return visits[-1]

        yield enter
        for each in visits:
            each.check()
