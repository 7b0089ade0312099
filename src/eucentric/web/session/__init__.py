"""The page of a session: its series and tilts as they arrive, what was found beside what was planned, and alarms."""

from eucentric.web.served import Served

__all__ = ["register"]


def register(served: Served) -> None:
    """Add the pages of the session and what they fetch, where a session is served."""
    if served.session is not None:
        from eucentric.web.session.page import add_pages

        add_pages(served, served.session)
