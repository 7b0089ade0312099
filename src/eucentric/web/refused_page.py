"""The page that says why there is no other."""

import html
import re

from starlette.responses import HTMLResponse

from eucentric.report.look import DARK, LIGHT
from eucentric.web.security import Refusal

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Eucentric</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>:root { color-scheme: light dark; LIGHT }
@media (prefers-color-scheme: dark) { :root { DARK } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 12vh auto; padding: 0 1rem;
  background: var(--paper); color: var(--ink); }
h1 { font-size: 1.3rem; } p { color: var(--muted); } a { color: var(--accent); }</style>
""".replace("LIGHT", LIGHT).replace("DARK", DARK)


def refused_page(refused: Refusal) -> HTMLResponse:
    """Return the page for a refusal; it loads nothing else."""
    fix = re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(refused.fix))
    told = f"<h1>{html.escape(refused.why)}</h1><p>{fix}</p>"
    return HTMLResponse(_PAGE + told, status_code=refused.status)
