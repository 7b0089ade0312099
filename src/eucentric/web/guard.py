"""The guard: one ASGI middleware around all there is, NiceGUI's files and web socket included."""

import secrets
from typing import Any

from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from eucentric.web.gate import Gate
from eucentric.web.headers import safe_headers
from eucentric.web.refused_page import refused_page
from eucentric.web.security import Asked, Refusal, cookies, refusal, split_token
from eucentric.web.served import Served

MOST_SOCKETS = 24
"""Open pages; each holds its state in this process."""

_STRANGER = Refusal(
    403,
    "This browser has not been let in.",
    "Press Enter in the terminal where `eucentric serve` runs, or start it again, and open the link that it prints.",
)
_USED = Refusal(
    403,
    "This link was used before: each works once.",
    "Press Enter in the terminal where `eucentric serve` runs, and open the new link. "
    "If it was not you who used it, stop the server there with Ctrl-C.",
)
_FULL = Refusal(503, "Too many pages are open.", "Close some of them.")


class Guard:
    """Let through what `security.refusal` does not refuse and `Gate` admits, and give every answer safe headers."""

    def __init__(self, app: ASGIApp, served: Served, gate: Gate) -> None:
        self.app = app  # by this name NiceGUI finds itself inside
        self._served = served
        self._gate = gate
        self._sockets = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or a web socket, or have the application do it."""
        if scope["type"] == "http":
            await self._page(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        nonce = secrets.token_urlsafe(16)
        scope.setdefault("state", {})["nonce"] = nonce
        protect = _Protected(send, safe_headers(self._served.port, nonce))
        asked = _asked(scope)
        refused = refusal(asked, self._served.port, allow_edit=self._served.allow_edit)
        answer = refused_page(refused) if refused else self._entrance(asked) or self._crowd(asked)
        if answer is not None:
            await answer(scope, receive, protect)
            return
        await self.app(_without_proxies(scope), receive, protect)

    def _entrance(self, asked: Asked) -> Response | None:
        """Change a link for the cookie, or turn a stranger away; None for one who is known."""
        known = self._gate.admits(cookies(asked.all("cookie"), self._gate.cookie_name))
        token, rest = split_token(asked.query)
        if token is None or asked.path != "/" or asked.method != "GET":
            return None if known else refused_page(_STRANGER)
        if asked.all("sec-purpose"):  # a browser that reads ahead must not use the link up
            return refused_page(_STRANGER)
        cookie = self._gate.spend(token)
        if cookie is None and not known:
            return refused_page(_USED)
        inside = RedirectResponse("/" + (f"?{rest}" if rest else ""), status_code=303)
        if cookie is not None:
            inside.set_cookie(self._gate.cookie_name, cookie, path="/", httponly=True, samesite="strict")
        return inside

    def _crowd(self, asked: Asked) -> Response | None:
        """Turn away a page that would have no web socket."""
        full = self._sockets >= MOST_SOCKETS and "document" in asked.all("sec-fetch-dest")
        return refused_page(_FULL) if full else None

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = _asked(scope)
        refused = refusal(asked, self._served.port, allow_edit=self._served.allow_edit)
        known = self._gate.admits(cookies(asked.all("cookie"), self._gate.cookie_name))
        if refused or not known or self._sockets >= MOST_SOCKETS:
            await receive()
            await send({"type": "websocket.close", "code": 1008})  # before it was accepted: HTTP's 403
            return
        self._sockets += 1
        try:
            await self.app(_without_proxies(scope), receive, send)
        finally:
            self._sockets -= 1


class _Protected:
    """Sends an answer with the safe headers in place of its own of these names."""

    def __init__(self, send: Send, headers: dict[str, str]) -> None:
        self._send = send
        self._headers = [(key.encode(), value.encode()) for key, value in headers.items()]

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            ours = {key for key, _ in self._headers}
            theirs = [(key.lower(), value) for key, value in message.get("headers", ())]
            kept = [(key, value) for key, value in theirs if key not in ours and not key.startswith(b"access-control-")]
            if not any(key == b"cache-control" for key, _ in kept):
                kept.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*kept, *self._headers]}
        await self._send(message)


def _asked(scope: Scope) -> Asked:
    return Asked(
        path=scope["path"],
        query=scope.get("query_string", b"").decode("latin-1"),
        headers=tuple((key.decode("latin-1").lower(), value.decode("latin-1")) for key, value in scope["headers"]),
        method=scope.get("method", "GET"),
        is_socket=scope["type"] == "websocket",
    )


def _without_proxies(scope: Scope) -> dict[str, Any]:
    """Return the scope without what proxies say: there is none, and NiceGUI writes their prefix into its pages."""
    kept = [pair for pair in scope["headers"] if not pair[0].lower().startswith((b"x-forwarded-", b"forwarded"))]
    return {**scope, "headers": kept}
