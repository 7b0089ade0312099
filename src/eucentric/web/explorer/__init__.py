"""The page where the trade-offs of a tilt series are felt."""

from eucentric.web.served import Served

__all__ = ["register"]


def register(served: Served) -> None:
    """Serve the page at `/`."""
    from eucentric.web.explorer.page import register as register_page

    register_page(served)
