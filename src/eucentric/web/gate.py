"""Who may come in: links that work once, and the cookie that they are changed for."""

import hmac
import secrets
from collections.abc import Iterable

_LINKS = 16
"""Unused links are forgotten beyond this many, oldest first."""


class Gate:
    """The secrets of one server; they live in its memory alone and end with it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._unused: list[str] = []
        self._cookie = secrets.token_urlsafe(32)

    @property
    def cookie_name(self) -> str:
        """The cookie's name, with the port: browsers do not keep the cookies of a machine's servers apart."""
        return f"eucentric-{self._port}"

    def link(self) -> str:
        """Make a link that lets one browser in, once."""
        token = secrets.token_urlsafe(32)
        self._unused = [*self._unused, token][-_LINKS:]
        return f"http://127.0.0.1:{self._port}/?token={token}"

    def spend(self, token: str) -> str | None:
        """Return the cookie's value for a token that was not used before, which cannot be used again; or None."""
        found = [unused for unused in self._unused if _same(unused, token)]
        self._unused = [unused for unused in self._unused if unused not in found]
        return self._cookie if found else None

    def admits(self, values: Iterable[str]) -> bool:
        """Whether one of these is the cookie."""
        return any(_same(self._cookie, value) for value in values)


def _same(secret: str, given: str) -> bool:
    return hmac.compare_digest(secret.encode(), given.encode("utf-8", "surrogatepass"))
