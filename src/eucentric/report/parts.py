"""What pages are made of: sections, figures, tables, and the head that lets nothing in from a network."""

from collections.abc import Iterable
from html import escape
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from eucentric.report.style import Plot

SAFE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""The browser itself then refuses anything from a network."""

MARK = (
    '<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns=%27http://www.w3.org/2000/svg%27 viewBox=%270 0 9 9%27%3E'
    '%3Ccircle cx=%274.5%27 cy=%274.5%27 r=%273%27 fill=%27none%27 stroke=%27%230b6e99%27/%3E%3C/svg%3E">'
)


def section(key: str, title: str, content: str) -> str:
    """Return a section under its heading."""
    return f'<section id="{key}"><h2>{title}</h2>{content}</section>\n'


def figures_in(plots: Iterable[Plot]) -> str:
    """Return figures with their captions."""
    figures = []
    for plot in plots:
        drawing = plot.drawing.replace("<svg", f'<svg role="img" aria-label="{escape(plot.caption)}"', 1)
        wide = ' class="wide"' if plot.wide else ""
        figures.append(
            f'<figure{wide} id="{plot.name}">{drawing}<figcaption>{escape(plot.caption)}</figcaption></figure>'
        )
    return f'<div class="plots">{"".join(figures)}</div>'


def numbers_list(numbers: Iterable[Any]) -> str:
    """Return the headline's numbers."""
    cells = "".join(
        f'<div id="number-{n.key}"><dt>{escape(n.label)}</dt><dd class="value">{escape(n.value)}</dd>'
        f'<dd class="note">{escape(n.note)}</dd></div>'
        for n in numbers
    )
    return f'<dl class="numbers" id="summary">{cells}</dl>'


def warnings_list(messages: tuple[str, ...]) -> str:
    """Return what is to be known first, or that there is nothing."""
    if not messages:
        return '<p class="quiet" id="warnings">No warnings.</p>'
    items = "".join(f"<li>{escape(message)}</li>" for message in messages)
    title = "One thing to know" if len(messages) == 1 else f"{len(messages)} things to know"
    return f'<section class="warnings" id="warnings"><p>{title}</p><ul>{items}</ul></section>'


def table(title: str, rows: Iterable[tuple[str, str]]) -> str:
    """Return a table of names and values."""
    body = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<section><h3>{escape(title)}</h3><table>{body}</table></section>"


def package_version(package: str) -> str:
    """Return the version of a package that is installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
