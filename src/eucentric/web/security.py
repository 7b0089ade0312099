"""Which requests are refused, and why: small rules on plain values, one after the other."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

LONGEST_PATH = 2048
LONGEST_QUERY = 4096
LONGEST_HEADERS = 16 * 1024
LARGEST_BODY = 1 << 20
"""What a page sends is settings; one MiB is far more than the largest of them."""

LARGEST_MESSAGE = 256 * 1024
"""Of a web socket, from the browser: an event with its arguments."""

SOCKET_PATH = "/_nicegui_ws/socket.io/"


@dataclass(frozen=True)
class Asked:
    """A request, as far as the rules look at it; names of headers in lower case."""

    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    is_socket: bool = False

    def all(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [value for key, value in self.headers if key == name]


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered: an HTTP status, a sentence, and what to do."""

    status: int
    why: str
    fix: str = ""


def own_hosts(port: int) -> frozenset[str]:
    """Return what the Host header may say: a name that an attacker's DNS points at us is none of these."""
    return frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))


def own_origins(port: int) -> frozenset[str]:
    """Return what the Origin header may say."""
    return frozenset(f"http://{host}" for host in own_hosts(port))


def refusal(asked: Asked, port: int, *, allow_edit: bool) -> Refusal | None:
    """Return why this request is refused, whoever sends it, or None."""
    return (
        _of_size(asked)
        or _of_host(asked, port)
        or _of_origin(asked, port)
        or _of_path(asked)
        or _of_method(asked, allow_edit)
    )


def _of_size(asked: Asked) -> Refusal | None:
    if len(asked.path) > LONGEST_PATH or len(asked.query) > LONGEST_QUERY:
        return Refusal(414, "The address is too long.")
    if sum(len(key) + len(value) for key, value in asked.headers) > LONGEST_HEADERS:
        return Refusal(431, "The headers are too long.", "Clear this browser's cookies for this address.")
    if asked.all("transfer-encoding"):
        return Refusal(411, "The length of the body must be stated.")
    lengths = asked.all("content-length")
    if any(not re.fullmatch(r"[0-9]{1,15}", length) or int(length) > LARGEST_BODY for length in lengths):
        return Refusal(413, "The body is too large.")
    return None


def _of_host(asked: Asked, port: int) -> Refusal | None:
    hosts = asked.all("host")
    if len(hosts) == 1 and hosts[0].lower() in own_hosts(port):
        return None
    return Refusal(
        421,
        f"This is 127.0.0.1:{port}, and was asked for by another name or port.",
        f"From another machine, forward the same port, `ssh -L {port}:127.0.0.1:{port} ...`, and open the link there.",
    )


def _of_origin(asked: Asked, port: int) -> Refusal | None:
    origins = asked.all("origin")
    must_have = asked.is_socket or asked.method != "GET"
    if any(origin not in own_origins(port) for origin in origins) or (must_have and len(origins) != 1):
        return Refusal(403, "Another site's page asked for this.")
    if any(site not in ("none", "same-origin") for site in asked.all("sec-fetch-site")):
        return Refusal(403, "Another site led here.", "Copy the link into the address bar.")
    return None


def _of_path(asked: Asked) -> Refusal | None:
    climbs = ".." in asked.path.split("/")
    if climbs or "\\" in asked.path or not asked.path.isprintable() or not asked.path.startswith("/"):
        return Refusal(400, "There is no such page.")
    if asked.path.startswith(SOCKET_PATH.rstrip("/")) and not asked.is_socket:
        return Refusal(403, "Pages talk to the server by a web socket only.")
    return None


def _of_method(asked: Asked, allow_edit: bool) -> Refusal | None:
    if asked.is_socket or asked.method == "GET":
        return None
    if asked.method != "POST":
        return Refusal(405, "Only GET and POST are answered.")
    if not allow_edit:
        return Refusal(403, "These pages are read-only.", "Start them again with `--allow-edit`.")
    return None


def cookies(headers: Iterable[str], name: str) -> list[str]:
    """Return every value that Cookie headers give for a name; another server of this machine may have set one too."""
    pairs = (pair.strip().partition("=") for header in headers for pair in header.split(";"))
    return [value for key, _, value in pairs if key == name]


def split_token(query: str) -> tuple[str | None, str]:
    """Return the token of a query, if there is one, and the query without it."""
    fields = parse_qsl(query, keep_blank_values=True)
    tokens = [value for key, value in fields if key == "token"]
    return (tokens[0] if tokens else None), urlencode([pair for pair in fields if pair[0] != "token"])
