"""The certificate of conventions: which signs and orders a result rests on, whose word that is, how sure it is."""

from collections.abc import Sequence
from html import escape
from typing import Literal

from eucentric.core import Record

Sureness = Literal["sure", "likely", "unchecked", "contradicted"]


class Convention(Record):
    """One convention of a series.

    Attributes
    ----------
    name, value
        What it is, and what it was taken to be, in words.
    known_from
        Whose word that is.
    checked
        What the data say of it, with the figure; or why they say nothing.
    sureness
        "sure" where the data bear it out, "likely" where they do so less than surely, "unchecked" where they cannot
        tell, "contradicted" where they tell otherwise.
    advice
        What to do, where it is not sure.
    """

    name: str
    value: str
    known_from: str
    checked: str
    sureness: Sureness
    advice: str = ""


def certificate_table(conventions: Sequence[Convention]) -> str:
    """Return the certificate as a table."""
    head = "".join(
        f"<th>{title}</th>" for title in ("", "taken to be", "known from", "checked on the data", "how sure")
    )
    rows = "".join(
        f"<tr><th>{escape(one.name)}</th><td>{escape(one.value)}</td><td>{escape(one.known_from)}</td>"
        f"<td>{escape(one.checked)}</td>"
        f"<td><b>{escape(one.sureness)}</b>{f'. {escape(one.advice)}' if one.advice else ''}</td></tr>"
        for one in conventions
    )
    return f'<table class="certificate"><tr>{head}</tr>{rows}</table>'
