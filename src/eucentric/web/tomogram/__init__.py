"""The tomogram page: slices of a series' volumes side by side, its tilts as a movie."""

from eucentric.web.served import Served

__all__ = ["register"]


def register(served: Served) -> None:
    """Add the pages of tomograms and what they fetch, where a session is served."""
    if served.session is not None:
        from eucentric.web.tomogram.page import add_pages

        add_pages(served, served.session)
