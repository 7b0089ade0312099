"""`eucentric serve` as a user meets it: in a terminal and in a browser."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from threading import enumerate as enumerate_threads
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import expect
from served_pages import serving
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from eucentric.cli import main
from eucentric.web.security import SOCKET_PATH
from eucentric.web.server import leave, listen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser
    from served_pages import ServedPages, Visit

# In a terminal


def test_what_is_no_session_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(tmp_path), "--no-browser"]) == 1
    err = capsys.readouterr().err
    assert str(tmp_path) in err.replace("\n", "")
    assert "token" not in err


def test_a_port_that_is_taken_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with listen(0) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--no-browser", "--port", str(port)]) == 1
    assert f"Port {port} cannot be used" in capsys.readouterr().err


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--help"]) == 0
    assert "eucentric serve my-session" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "screen", "opened"), [((), ":0", 1), (("--no-browser",), ":0", 0), ((), "", 0)], ids=str
)
def test_a_browser_is_opened_where_there_is_a_screen(
    options: tuple[str, ...],
    screen: str,
    opened: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    links: list[str] = []
    monkeypatch.setenv("DISPLAY", screen)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("webbrowser.open", links.append)
    monkeypatch.setattr("eucentric.web.server.make_server", lambda *_: None)
    monkeypatch.setattr("eucentric.web.server.run", lambda server, listening, ready, **_: ready())
    assert main(["serve", *options]) == 0
    link = capsys.readouterr().err.split()[0]
    assert links == [link] * opened


def test_enter_prints_another_link(pages_of: Callable[..., ServedPages]) -> None:
    pages = pages_of()
    links = {pages.new_link(), pages.new_link()}
    assert len(links) == 2
    for link in links:
        assert httpx.get(link).status_code == 303
        assert httpx.get(link).status_code == 403


def test_ctrl_c_ends_it_while_a_page_is_open() -> None:
    with serving() as pages, open_page(pages):
        pages.press("\x03")
        status, said = pages.farewell()
    assert status == 0
    assert said == "The link works once; Enter prints another. Ctrl-C ends.\nNo longer served.\n"


def test_what_is_still_computed_does_not_hold_the_end_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    over, others = Event(), enumerate_threads()
    monkeypatch.setattr("eucentric.web.server.abandon", lambda: None)
    monkeypatch.setattr("os._exit", ended.append)
    leave(others)
    assert ended == []
    Thread(target=over.wait).start()
    leave(others)
    assert ended == [0]
    over.set()
    leave(others)
    assert ended == [0]


def test_a_browser_that_is_busy_is_not_cut_off(pages_of: Callable[..., ServedPages]) -> None:
    with open_page(pages_of()) as page:
        hello = str(page.recv())
    told = json.loads(hello[hello.index("{") :])
    assert told["pingTimeout"] >= 10_000  # ms in which it has to answer


def open_page(pages: ServedPages) -> ClientConnection:
    """Open the web socket of a page."""
    address = f"{pages.base.replace('http', 'ws', 1)}{SOCKET_PATH}?EIO=4&transport=websocket"
    cookie = {"Cookie": "=".join(pages.cookie)}
    return connect(address, origin=Origin(pages.base), additional_headers=cookie, proxy=None)


# In a browser


def test_the_link_leads_in_and_is_gone(browser: Browser, pages_of: Callable[..., ServedPages]) -> None:
    pages = pages_of()
    link = pages.new_link()
    with browser.new_context() as mine, browser.new_context() as another:
        page, stranger = mine.new_page(), another.new_page()
        page.goto(link)
        assert page.url == pages.base + "/"
        assert page.evaluate("document.cookie") == ""  # no script can read it
        page.reload()
        expect(page.locator("header.top")).to_be_visible()
        for address in (link, pages.base):
            stranger.goto(address)
            expect(stranger.locator("h1")).to_contain_text("This ")
            expect(stranger.locator("p")).to_contain_text("Press Enter")
            expect(stranger.locator("header")).to_have_count(0)


def test_pages_of_another_port_are_refused(visit: Callable[..., Visit]) -> None:
    """To a browser all ports of a machine are one site: it sends them the cookie, and tells who asked."""
    visited = visit()
    page, base = visited.page, visited.base
    with another_server(f'<a href="{base}/">Explorer</a>') as elsewhere:
        page.goto(elsewhere)
        address = base.replace("http", "ws", 1) + SOCKET_PATH + "?EIO=4&transport=websocket"
        assert (
            page.evaluate("url => new Promise(done => { new WebSocket(url).onclose = e => done(e.code) })", address)
            == 1006
        )
        asking = "url => fetch(url, {credentials: 'include', mode: 'no-cors'}).then(() => 'read', () => 'refused')"
        assert page.evaluate(asking, base + "/look.css") == "refused"
        page.get_by_role("link").click()
        expect(page.get_by_role("heading")).to_have_text("Another site led here.")
        page.goto(base + "/")
        expect(page.locator("header.top")).to_be_visible()
    visited.wrong.clear()  # all that was refused stands there


@contextmanager
def another_server(page: str) -> Iterator[str]:
    """Serve one page from another port of this machine, and give its address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_light_and_dark_follow_the_system_and_the_switch(visit: Callable[..., Visit]) -> None:
    page = visit(color_scheme="dark").go("/")
    body, dark, light = page.locator("body"), "rgb(20, 24, 29)", "rgb(255, 255, 255)"
    expect(body).to_have_css("background-color", dark)
    page.emulate_media(color_scheme="light")
    expect(body).to_have_css("background-color", light)
    page.get_by_role("button", name="Dark", exact=True).focus()
    page.keyboard.press("Enter")
    expect(body).to_have_css("background-color", dark)
    page.reload()
    expect(body).to_have_css("background-color", dark)  # remembered
    page.get_by_role("button", name="Light", exact=True).click()
    expect(body).to_have_css("background-color", light)
    page.emulate_media(color_scheme="dark")
    expect(body).to_have_css("background-color", dark)  # the system's again


def test_the_header_is_left_with_one_key(visit: Callable[..., Visit]) -> None:
    page = visit().go("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


@pytest.mark.parametrize("width", [400, 1280])
def test_the_frame_fits(visit: Callable[..., Visit], width: int) -> None:
    page = visit(viewport={"width": width, "height": 800}).go("/")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.get_by_role("link", name="Explorer", exact=True).get_attribute("aria-current") == "page"


def test_a_script_that_was_smuggled_in_does_not_run(visit: Callable[..., Visit]) -> None:
    visited = visit()
    page = visited.go("/")
    page.evaluate(
        """() => {
        const script = document.createElement("script");
        script.textContent = "window.smuggled = true";
        document.body.append(script);
        const image = document.createElement("div");
        image.innerHTML = "<img src=/look.css onerror='window.smuggled = true'>";
        document.body.append(image);
        }"""
    )
    page.wait_for_timeout(300)
    assert page.evaluate("window.smuggled") is None
    assert visited.wrong
    assert all("Content Security Policy" in each for each in visited.wrong), visited.wrong
    visited.wrong.clear()
