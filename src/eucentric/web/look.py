"""One look for every page: the frame with its header, the report's colours, light and dark."""

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import Response
from nicegui import Client, app, ui

from eucentric.report.look import DARK, LIGHT
from eucentric.web.served import Served

FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><g fill="none" stroke="#1b8fc0" stroke-width="2.6">'
    '<circle cx="16" cy="16" r="12"/><path d="M4.5 20 27.5 12M4.5 12l23 8"/></g></svg>'
)

_PAGES = (("Explorer", "/"), ("Session", "/session"), ("Tomogram", "/tomogram"))

CSS = (
    f"""
:root {{ color-scheme: light; {LIGHT} }}
:root.dark {{ color-scheme: dark; {DARK} }}
"""
    + """
:root { --q-primary: var(--accent); --q-dark: var(--card); --q-dark-page: var(--paper); --q-negative: var(--alarm);
  --q-warning: var(--alarm); }
html { scroll-behavior: smooth; background: var(--paper); }
body { background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
.nicegui-content { display: block; padding: 0; max-width: none; }
.top { display: flex; flex-wrap: wrap; align-items: center; gap: .2rem 1.4rem; padding: .6rem 1.25rem;
  border-bottom: 1px solid var(--grid); }
.top .name { font-weight: 650; color: var(--ink); }
.top nav { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; flex: 1; }
.top nav a { padding: .25rem 0; border-bottom: 2px solid transparent; }
.top nav a[aria-current] { color: var(--ink); border-color: var(--accent); }
.top .of { color: var(--muted); font-size: .9rem; overflow-wrap: anywhere; }
.top button { font: inherit; color: var(--muted); background: none; border: 1px solid var(--grid); border-radius: 6px;
  padding: .15rem .6rem; cursor: pointer; font-size: .9rem; }
.body { max-width: 1240px; margin: 0 auto; padding: 1.4rem 1.25rem 4rem; }
.body.wide { max-width: none; }
a { color: var(--accent); text-decoration: none; } a:hover, a:focus-visible { text-decoration: underline; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .6rem; font-weight: 650; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; line-height: 1.3; margin: 1.8rem 0 .6rem; font-weight: 620; }
h3 { font-size: 1rem; line-height: 1.3; margin: 1.2rem 0 .3rem; font-weight: 600; }
.caption, figcaption { color: var(--muted); font-size: .88rem; line-height: 1.45; max-width: 75ch; }
.quiet { color: var(--muted); }
.card { background: var(--card); border-radius: 8px; padding: .8rem .95rem; }
.warnings { background: var(--alarm-paper); border-left: 4px solid var(--alarm); border-radius: 4px;
  padding: .7rem 1rem; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: .7rem; margin: .8rem 0; }
.numbers > div { background: var(--card); border-radius: 8px; padding: .6rem .8rem; }
.numbers dt { color: var(--muted); font-size: .85rem; }
.numbers dd { margin: 0; font-size: 1.15rem; font-weight: 600; font-variant-numeric: tabular-nums; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
@media (max-width: 560px) { .top { padding: .5rem .9rem; } .body { padding: 1rem .9rem 2.5rem; } }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; }
  *, *::before, *::after { transition-duration: 0s !important; animation-duration: 0s !important; } }
"""
)

JS = """
"use strict";
// Light or dark: as the system has it, until the switch is used; remembered in this browser.
const system = matchMedia("(prefers-color-scheme: dark)");
function isDark() {
  const chosen = localStorage.getItem("eucentric-theme");
  return chosen ? chosen === "dark" : system.matches;
}
function showTheme() {
  const dark = isDark();
  document.documentElement.classList.toggle("dark", dark);
  if (window.Quasar && document.body) Quasar.Dark.set(dark);
  const button = document.querySelector("button.theme");
  if (button) button.textContent = dark ? "Light" : "Dark";
  dispatchEvent(new CustomEvent("eucentric-theme", { detail: { dark } }));
}
showTheme();
system.addEventListener("change", showTheme);
addEventListener("load", showTheme);
addEventListener("click", (event) => {
  if (!event.target.closest("button.theme")) return;
  const dark = !isDark();
  if (dark === system.matches) localStorage.removeItem("eucentric-theme");
  else localStorage.setItem("eucentric-theme", dark ? "dark" : "light");
  showTheme();
});
"""


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
        ui.label("Eucentric").classes("name")
        with ui.element("nav").props('aria-label="Pages"'):
            for name, path in _PAGES:
                if path in Client.page_routes.values() and (path == "/" or served.session is not None):
                    link = ui.link(name, path)
                    if name == title:
                        link.props("aria-current=page")
        if served.session is not None:
            ui.label(served.session.name + ("" if served.allow_edit else ", read-only")).classes("of")
        with ui.element("button").classes("theme").props('type=button aria-label="Light or dark"'):
            pass
    with ui.element("main").classes("body wide" if wide else "body"):
        yield
