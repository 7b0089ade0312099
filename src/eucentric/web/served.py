"""What is served, and the two questions that every page asks: is this file of the session, may it be changed."""

from pathlib import Path

from pydantic import Field

from eucentric.core import InputError, Record

_LONGEST_NAME = 1024


class NotServedError(InputError):
    """A name from the client is no file of the session."""


class ReadOnlyError(InputError):
    """A change was asked for, and the pages are read-only."""


class Served(Record):
    """What one server shows; it holds no secret, so that any page may have it."""

    session: Path | None = Field(default=None, description="The session's folder, or none: the explorer alone.")
    allow_edit: bool = Field(default=False, description="Whether the pages may change the session.")
    port: int = Field(ge=1, le=65535, description="Where on the loopback interface the pages are.")


def under(session: Path, name: str) -> Path:
    """Return the real path of a file or folder of the session that a client names, relative to the session.

    Raises
    ------
    NotServedError
        If the name is absolute, climbs by `..`, is no name of a file, or leads out of the session by a link;
        and if there is no such file: all of them alike, so that the answer tells nothing of what lies elsewhere.
    """
    refused = NotServedError(f"{name[:80]!r} is no file of this session.", "Go back to the session's page.")
    if not 0 < len(name) <= _LONGEST_NAME or "\\" in name or not name.isprintable():
        raise refused
    asked = Path(name)
    if asked.is_absolute() or ".." in asked.parts:
        raise refused
    try:
        root = session.resolve(strict=True)
        found = (root / asked).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):  # not there, a name too long for the disk, links in a circle
        raise refused from None
    if not found.is_relative_to(root):
        raise refused
    return found


def require_edit(served: Served) -> None:
    """Call this first in whatever changes the session: hiding a button keeps nobody from asking.

    Raises
    ------
    ReadOnlyError
        If the server was not started with `--allow-edit`, or serves no session.
    """
    if not served.allow_edit or served.session is None:
        raise ReadOnlyError(
            "These pages are read-only; nothing was changed.",
            "Start them again with `eucentric serve my-session --allow-edit`.",
        )
