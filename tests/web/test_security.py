"""Each rule of the pages' security, with a request that it refuses: of HTTP, and of a web socket."""

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from served_pages import ServedPages
from starlette.types import Message, Receive, Scope, Send
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from eucentric.core import InputError
from eucentric.web import NotServedError, ReadOnlyError, Served, require_edit, under
from eucentric.web.gate import Gate
from eucentric.web.guard import MOST_SOCKETS, Guard
from eucentric.web.security import (
    LARGEST_BODY,
    LARGEST_MESSAGE,
    LONGEST_HEADERS,
    LONGEST_PATH,
    LONGEST_QUERY,
    Asked,
    cookies,
    refusal,
    split_token,
)
from eucentric.web.server import listen

PORT = 8765
SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
STATIC = f"/_nicegui/{version('nicegui')}/static/nicegui.js"


@pytest.fixture(scope="module")
def pages(pages_of: Callable[..., ServedPages]) -> ServedPages:
    return pages_of()


@pytest.fixture
def known(pages: ServedPages) -> Iterator[httpx.Client]:
    """Give a client that has the cookie."""
    with httpx.Client(base_url=pages.base, cookies=dict([pages.cookie]), verify=False) as client:
        yield client


@pytest.fixture
def stranger(pages: ServedPages) -> Iterator[httpx.Client]:
    """Give a client that has none."""
    with httpx.Client(base_url=pages.base, verify=False) as client:
        yield client


def handshake(pages: ServedPages, *, without: str = "", **changed: str) -> int:
    """Ask for the web socket as the browser that was let in does, but for what is `changed`; return the status."""
    fields = {
        "Host": f"127.0.0.1:{pages.port}",
        "Origin": pages.base,
        "Cookie": "=".join(pages.cookie),
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    path = changed.pop("path", SOCKET)
    fields.update({name.replace("_", "-"): value for name, value in changed.items()})
    fields.pop(without, None)
    return int(exchange(pages, f"GET {path} HTTP/1.1", fields).split(b" ", 2)[1])


def open_socket(pages: ServedPages) -> ClientConnection:
    """Open the web socket as the browser that was let in does."""
    return connect(
        pages.base.replace("http", "ws", 1) + SOCKET,
        origin=Origin(pages.base),
        additional_headers={"Cookie": "=".join(pages.cookie)},
        compression=None,
        proxy=None,
    )


def exchange(pages: ServedPages, first: str, fields: Mapping[str, str], body: bytes = b"") -> bytes:
    """Send a request byte by byte as given, and return the beginning of the answer."""
    text = "\r\n".join([first, *(f"{name}: {value}" for name, value in fields.items()), "", ""])
    with socket.create_connection(("127.0.0.1", pages.port), timeout=20) as line:
        line.sendall(text.encode("latin-1") + body)
        return line.recv(4096)


# Who is let in


def test_a_link_works_once(pages: ServedPages) -> None:
    link = pages.new_link()
    with httpx.Client(verify=False) as client:
        assert client.head(link).status_code == 403  # neither a look at its headers
        assert client.get(link, headers={"Sec-Purpose": "prefetch"}).status_code == 403  # nor one ahead uses it
        first = client.get(link + "&tilts=41")
    assert first.status_code == 303
    assert first.headers["location"] == "/?tilts=41"
    (cookie,) = first.headers.get_list("set-cookie")
    name, _, rest = cookie.partition("=")
    assert name == f"eucentric-{pages.port}"
    value, *attributes = rest.split("; ")
    assert len(value) >= 43  # 32 random bytes
    assert {each.lower() for each in attributes} == {"httponly", "path=/", "samesite=strict"}
    second = httpx.get(link)
    assert second.status_code == 403
    assert "used before" in second.text
    assert "Press Enter in the terminal" in second.text
    assert "set-cookie" not in second.headers
    with httpx.Client(cookies={name: value}) as client:  # whoever is in needs no link
        again = client.get(link)
    assert (again.status_code, again.headers["location"]) == (303, "/")
    assert "set-cookie" not in again.headers


@pytest.mark.parametrize("path", ["/", "/look.css", STATIC, "/favicon.ico", "/?token=wrong", "/?token=", "/nothing"])
def test_nothing_is_shown_to_a_stranger(pages: ServedPages, stranger: httpx.Client, path: str) -> None:
    name, value = pages.cookie
    for wrong in ({}, {name: value[:-1]}, {name: ""}, {"other": value}, {name: "%C3%A9"}):
        answer = stranger.get(path, headers={"Cookie": "; ".join(f"{k}={v}" for k, v in wrong.items())})
        assert answer.status_code == 403
        assert "Eucentric" in answer.text


def test_the_socket_is_closed_to_a_stranger(pages: ServedPages) -> None:
    assert handshake(pages) == 101
    assert handshake(pages, without="Cookie") == 403
    assert handshake(pages, Cookie=f"{pages.cookie[0]}=wrong") == 403
    assert handshake(pages, path=SOCKET + "&" + urlsplit(pages.link).query, without="Cookie") == 403


def test_one_who_is_known_is_answered(known: httpx.Client) -> None:
    assert known.get("/look.css").status_code == 200
    assert known.get(STATIC).status_code == 200
    assert known.get("/nothing").status_code == 404


def test_only_this_machine_is_answered(pages: ServedPages) -> None:
    with listen(0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
    with pytest.raises(ConnectionRefusedError):  # 0.0.0.0 would answer there
        socket.create_connection(("127.0.0.2", pages.port), timeout=5)


# By which name, and from which page


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example:{}", ""])
def test_another_name_is_refused(pages: ServedPages, known: httpx.Client, host: str) -> None:
    host = host.format(pages.port)
    answer = known.get("/look.css", headers={"Host": host})
    assert answer.status_code == 421
    assert f"ssh -L {pages.port}:127.0.0.1:{pages.port}" in answer.text
    assert handshake(pages, Host=host) == 403


def test_every_own_name_is_answered(pages: ServedPages, known: httpx.Client) -> None:
    for host in (f"localhost:{pages.port}", f"[::1]:{pages.port}", f"LOCALHOST:{pages.port}"):
        assert known.get("/look.css", headers={"Host": host}).status_code == 200
        assert handshake(pages, Host=host) == 101


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1:{}", ""])
def test_another_origin_is_refused(pages: ServedPages, known: httpx.Client, origin: str) -> None:
    origin = origin.format(pages.port)
    assert known.get("/look.css", headers={"Origin": origin}).status_code == 403
    assert known.post("/look.css", headers={"Origin": origin}).status_code == 403
    assert handshake(pages, Origin=origin) == 403


def test_a_socket_or_a_change_must_tell_its_origin(pages: ServedPages, known: httpx.Client) -> None:
    assert handshake(pages, without="Origin") == 403
    assert known.post("/look.css").status_code == 403
    assert "Another site" in known.post("/look.css").text


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none, cross-site"])
def test_what_another_site_led_to_is_refused(pages: ServedPages, known: httpx.Client, site: str) -> None:
    assert known.get("/look.css", headers={"Sec-Fetch-Site": site}).status_code == 403
    assert handshake(pages, Sec_Fetch_Site=site) == 403
    for own in ("none", "same-origin"):
        assert known.get("/look.css", headers={"Sec-Fetch-Site": own}).status_code == 200


# What may be asked


def test_the_pages_are_read_only(known: httpx.Client) -> None:
    answer = known.post("/look.css", headers={"Origin": str(known.base_url)})
    assert answer.status_code == 403
    assert "--allow-edit" in answer.text
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert known.request(method, "/look.css", headers={"Origin": str(known.base_url)}).status_code == 405


def test_posting_is_let_through_where_edits_are_allowed() -> None:
    own = (("host", f"localhost:{PORT}"), ("origin", f"http://localhost:{PORT}"))
    asked = Asked("/save", method="POST", headers=own)
    assert refusal(asked, PORT, allow_edit=True) is None
    refused = refusal(asked, PORT, allow_edit=False)
    assert refused is not None
    assert refused.status == 403


def test_changes_are_refused_by_the_server_itself(tmp_path: Path) -> None:
    require_edit(Served(session=tmp_path, allow_edit=True, port=PORT))
    for served in (Served(session=tmp_path, port=PORT), Served(allow_edit=True, port=PORT)):
        with pytest.raises(ReadOnlyError, match="nothing was changed"):
            require_edit(served)


@pytest.mark.parametrize("path", ["/../look.css", "/%2e%2e/look.css", "/a/..%2flook.css", "/look.css%00", "/a%5Cb"])
def test_paths_that_climb_are_refused(pages: ServedPages, path: str) -> None:
    fields = {"Host": f"127.0.0.1:{pages.port}", "Cookie": "=".join(pages.cookie)}
    assert exchange(pages, f"GET {path} HTTP/1.1", fields).startswith(b"HTTP/1.1 400")
    assert handshake(pages, path=path) == 403


def test_there_is_no_way_around_the_socket(known: httpx.Client) -> None:
    for path in ("/_nicegui_ws/socket.io/", "/_nicegui_ws/socket.io"):
        assert known.get(path, params={"EIO": "4", "transport": "polling"}).status_code == 403


# How much


def test_a_body_is_bounded(pages: ServedPages, known: httpx.Client) -> None:
    own = {"Host": f"127.0.0.1:{pages.port}", "Origin": pages.base, "Cookie": "=".join(pages.cookie)}
    for length in (str(LARGEST_BODY + 1), "1" * 15):
        answer = exchange(pages, "POST /look.css HTTP/1.1", {**own, "Content-Length": length})
        assert answer.startswith(b"HTTP/1.1 413")
    chunked = exchange(pages, "POST /look.css HTTP/1.1", {**own, "Transfer-Encoding": "chunked"}, b"0\r\n\r\n")
    assert chunked.startswith(b"HTTP/1.1 411")
    assert known.get("/look.css").status_code == 200


def test_addresses_and_headers_are_bounded(pages: ServedPages, known: httpx.Client) -> None:
    assert known.get("/look.css?" + "a" * (LONGEST_QUERY + 1)).status_code == 414
    assert known.get("/" + "a" * (LONGEST_PATH + 1)).status_code == 414
    assert known.get("/look.css", headers={"X-Long": "a" * (LONGEST_HEADERS + 1)}).status_code == 431
    assert handshake(pages, path=SOCKET + "a" * LONGEST_QUERY) == 403
    assert handshake(pages, X_Long="a" * (LONGEST_HEADERS + 1)) == 403
    endless = exchange(pages, "GET / HTTP/1.1", {"X-Long": "a" * 200_000})
    assert endless.startswith(b"HTTP/1.1 400")


def test_messages_are_bounded(pages: ServedPages) -> None:
    with open_socket(pages) as line:
        line.send("2" * LARGEST_MESSAGE)  # of the largest size, and nothing that the server knows
        line.recv(timeout=20)
        line.send("2" * (LARGEST_MESSAGE + 1))
        with pytest.raises(ConnectionClosedError):
            list(line)
        assert line.protocol.close_code == 1009


def test_open_pages_are_bounded(pages: ServedPages, known: httpx.Client) -> None:
    lines = []
    with ExitStack() as opened:
        while handshake(pages) == 101:  # fewer, where a page of another test is open still
            lines.append(opened.enter_context(open_socket(pages)))
            assert len(lines) <= MOST_SOCKETS
        assert lines
        full = known.get("/", headers={"Sec-Fetch-Dest": "document"})
        assert full.status_code == 503
        assert "Close some" in full.text
    began = time.monotonic()
    while handshake(pages) != 101:  # those that were closed are counted out
        assert time.monotonic() - began < 20


# What every answer says


@pytest.mark.parametrize("path", ["/look.css", "/nothing", STATIC, "/?token=wrong"])
def test_every_answer_has_the_headers(known: httpx.Client, stranger: httpx.Client, path: str) -> None:
    for client in (known, stranger):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
        assert "camera=()" in headers["permissions-policy"]
        assert "access-control-allow-origin" not in headers
        assert headers["cache-control"] == (
            "no-store" if path != STATIC or client is stranger else "private, max-age=31536000, immutable"
        )
        policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert "'unsafe-inline'" not in policy["script-src"]
        assert not {"*", "http:", "https:"} & set(" ".join(policy.values()).split())


def test_no_page_loosens_the_headers() -> None:
    async def lax(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [
            (b"Access-Control-Allow-Origin", b"*"),
            (b"Content-Security-Policy", b"default-src *"),
            (b"ETag", b"1"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.extend(message["headers"])

    sent: list[tuple[bytes, bytes]] = []
    gate = Gate(PORT)
    cookie = gate.spend(gate.link().partition("token=")[2])
    own = [(b"host", f"localhost:{PORT}".encode()), (b"cookie", f"{gate.cookie_name}={cookie}".encode())]
    scope = {"type": "http", "path": "/", "method": "GET", "headers": own}
    with pytest.raises(StopIteration):  # it waits for nothing here, and needs no event loop
        Guard(lax, Served(port=PORT), gate)(scope, receive, send).send(None)
    names = [name.lower() for name, _ in sent]
    assert b"access-control-allow-origin" not in names
    assert names.count(b"content-security-policy") == names.count(b"etag") == 1
    assert dict(sent)[b"content-security-policy"].startswith(b"default-src 'none'")


def test_only_scripts_of_the_page_itself_may_run(known: httpx.Client) -> None:
    answers = [known.get("/") for _ in range(2)]
    nonces = {answer.headers["content-security-policy"].partition("'nonce-")[2].partition("'")[0] for answer in answers}
    assert len(nonces) == 2  # a new one for each answer
    for answer in answers:
        scripts = [part.partition(">")[0] for part in answer.text.split("<script")[1:]]
        assert len(scripts) > 3
        inline = [script for script in scripts if "src=" not in script]
        assert all(any(f'nonce="{nonce}"' in script for nonce in nonces) for script in inline)


def test_proxies_are_not_believed(known: httpx.Client) -> None:
    page = known.get("/", headers={"X-Forwarded-Prefix": "/elsewhere", "X-Forwarded-Host": "evil.example"})
    assert "elsewhere" not in page.text
    assert "evil.example" not in page.text


# The rules themselves


@given(st.text(max_size=40), st.integers(1, 65535))
def test_no_other_host_is_own(host: str, port: int) -> None:
    refused = refusal(Asked("/", headers=(("host", host),)), port, allow_edit=True)
    assert (refused is None) == (host.lower() in {f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"})


def test_two_hosts_are_none() -> None:
    own = ("host", f"127.0.0.1:{PORT}")
    assert refusal(Asked("/", headers=(own,)), PORT, allow_edit=True) is None
    assert refusal(Asked("/", headers=(own, own)), PORT, allow_edit=True) is not None


def test_cookies_of_one_name_are_all_found() -> None:
    assert cookies(["a=1; eucentric-1=x", "eucentric-1=y;eucentric-12=z"], "eucentric-1") == ["x", "y"]


@given(st.dictionaries(st.sampled_from("abc"), st.text(max_size=8)), st.text(max_size=8))
def test_a_token_is_taken_out_of_the_query(others: dict[str, str], token: str) -> None:
    query = str(httpx.QueryParams({**others, "token": token}))
    found, rest = split_token(query)
    assert found == token
    assert dict(httpx.QueryParams(rest)) == others


def test_links_beyond_a_few_are_forgotten() -> None:
    gate = Gate(PORT)
    tokens = [gate.link().partition("token=")[2] for _ in range(17)]
    assert gate.spend(tokens[0]) is None
    cookie = gate.spend(tokens[1])
    assert cookie is not None
    assert gate.admits(["other", cookie])
    assert gate.spend(tokens[1]) is None
    assert not Gate(PORT).admits([cookie])


# Files


@pytest.fixture
def session(tmp_path: Path) -> Path:
    folder = tmp_path / "session"
    (folder / "series").mkdir(parents=True)
    (folder / "series" / "Å b.mrc").write_text("inside")
    (folder / "near").symlink_to("series")
    (tmp_path / "secret").write_text("outside")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "away").symlink_to(tmp_path)
    (folder / "round").symlink_to("round")
    (tmp_path / "session-2").mkdir()
    (folder / "sibling").symlink_to(tmp_path / "session-2")
    return folder


def test_what_lies_under_the_session_is_opened(session: Path) -> None:
    inside = session.resolve() / "series" / "Å b.mrc"
    for name in ("series/Å b.mrc", "near/Å b.mrc", "./series/./Å b.mrc"):
        assert under(session, name) == inside
    link = session.parent / "link-to-session"
    link.symlink_to(session)
    assert under(link, "series/Å b.mrc") == inside


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "series/../../secret",
        "series/../series/Å b.mrc",
        "{session}/series/Å b.mrc",
        "{session}/../secret",
        "/etc/passwd",
        "out",
        "away/secret",
        "round",
        "sibling",
        "series/Å b.mrc\0",
        "\0",
        "",
        "%2e%2e/secret",
        "..%2fsecret",
        "..\\secret",
        "series/absent",
        "series/Å b.mrc/deeper",
        "a" * 300,
        "a/" * 600,
        "series/\nÅ b.mrc",
        "series/\ud800",
    ],
)
def test_no_other_file_is(session: Path, name: str) -> None:
    with pytest.raises(NotServedError, match="no file of this session"):
        under(session, name.format(session=session))


@given(st.text(st.sampled_from("./ab%\\~\0"), max_size=12))
def test_no_name_leads_out(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "closed" / "a"
    (folder / "b").mkdir(parents=True, exist_ok=True)
    try:
        found = under(folder, name)
    except NotServedError:
        return
    assert found.is_relative_to(folder)


# Ports


def test_a_port_that_is_taken_is_told() -> None:
    with listen(0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"Port {port} cannot be used"):
            listen(port)


def test_without_a_port_the_next_free_one_is_taken() -> None:
    with listen() as first, listen() as second:
        assert first.getsockname()[1] < second.getsockname()[1]
