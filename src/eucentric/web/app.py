"""The application: FastAPI with NiceGUI mounted in it, and the pages of each package."""

from collections.abc import Callable

import nicegui.client
from fastapi import FastAPI, Request, Response
from jinja2 import FunctionLoader
from nicegui import app as pages
from nicegui import ui
from starlette.responses import JSONResponse

from eucentric.core import EucentricError
from eucentric.web import explorer, look, session, tomogram
from eucentric.web.refused_page import refused_page
from eucentric.web.security import Refusal
from eucentric.web.served import NotServedError, ReadOnlyError, Served

_CACHED = "private, max-age=31536000, immutable"
_AWAY_S = 30.0
"""How long a page may be away before it is forgotten, and has to load itself anew.

By NiceGUI's own 3 s, a browser that did not answer for 2 s was cut off, as one does not that draws its first charts on
a busy machine, and was forgotten if it took more than 3 s to come back.
"""


def build(served: Served) -> FastAPI:
    """Return the application; once in a process, as NiceGUI keeps its pages in one place.

    It answers everybody: `server.make_server` puts the guard around it.
    """
    _give_scripts_their_nonce()
    pages.config.socket_io_js_transports = ["websocket"]
    pages.add_exception_handler(404, _no_such_page)
    pages.add_exception_handler(NotServedError, _told(404))
    pages.add_exception_handler(ReadOnlyError, _told(403))
    look.register(served)
    for package in (explorer, session, tomogram):
        package.register(served)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    ui.run_with(
        app,
        title="Eucentric",
        dark=None,
        favicon=look.FAVICON,
        language="en-GB",
        tailwind=False,
        gzip_middleware_factory=None,  # it never leaves this machine
        cache_control_directives=_CACHED,
        show_welcome_message=False,
        reconnect_timeout=_AWAY_S,
    )
    return app


def _give_scripts_their_nonce() -> None:
    """Mark the scripts of NiceGUI's own template, and no other, as those that the content policy lets run."""
    environment = nicegui.client.templates.env
    loader = environment.loader
    if loader is None or isinstance(loader, FunctionLoader):
        return
    source = loader.get_source(environment, "index.html")[0]
    marked = source.replace("<script", '<script nonce="{{ request.state.nonce }}"')
    environment.loader = FunctionLoader(lambda name: marked if name == "index.html" else None)


def _told(status: int) -> Callable[[Request, Exception], Response]:
    def answer(_: Request, error: Exception) -> Response:
        told = error if isinstance(error, EucentricError) else EucentricError(str(error))
        return JSONResponse({"what": told.what, "fix": told.fix}, status_code=status)

    return answer


def _no_such_page(_: Request, error: Exception) -> Response:
    return refused_page(Refusal(404, "There is no such page.", "Go back to the first one."))
