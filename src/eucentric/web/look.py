"""One look for every page: the frame with its header, the report's colours, light and dark."""

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import Response
from nicegui import Client, app, ui

from eucentric.web.served import Served
from eucentric.web.sheet import CSS, JS

FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><g fill="none" stroke="#1b8fc0" stroke-width="2.6">'
    '<circle cx="16" cy="16" r="12"/><path d="M4.5 20 27.5 12M4.5 12l23 8"/></g></svg>'
)

_PAGES = (("Explorer", "/"), ("Session", "/session"), ("Tomogram", "/tomogram"))


def register(served: Served) -> None:
    """Serve the style sheet and the script, and have every page load them."""

    @app.get("/look.css")
    def style() -> Response:
        return Response(CSS, media_type="text/css")

    @app.get("/look.js")
    def script() -> Response:
        return Response(JS, media_type="text/javascript")

    ui.add_head_html('<link rel="stylesheet" href="/look.css"><script src="/look.js"></script>', shared=True)


@contextmanager
def frame(title: str, served: Served, *, wide: bool = False) -> Iterator[None]:
    """Draw a page's header and give its body, where the page's own elements go.

    Parameters
    ----------
    title
        What the page is, for the browser's tab, and which link of the header it stands under.
    served
        What this server shows.
    wide
        Whether the body takes the window's whole width.
    """
    ui.page_title(f"{title} – Eucentric")
    with ui.element("header").classes("top"):
        with ui.element("a").classes("skip").props('href="#content"'):
            ui.label("Skip to the content")
        ui.label("Eucentric").classes("name")
        with ui.element("nav").props('aria-label="Pages"'):
            for name, path in _PAGES:
                if path in Client.page_routes.values() and (path == "/" or served.session is not None):
                    link = ui.link(name, path)
                    if name == title:
                        link.props("aria-current=page")
        if served.session is not None:
            ui.label(served.session.name + ("" if served.allow_edit else ", read-only")).classes("of")
        with ui.element("button").classes("theme").props("type=button"):
            for to in ("Light", "Dark"):
                ui.label(to).classes(f"to-{to.lower()}")
    with ui.element("main").classes("body wide" if wide else "body").props("id=content tabindex=-1"):
        yield
