"""`eucentric serve` as a user meets it: in a terminal and in a browser."""

from collections.abc import Callable

from served_pages import Visit


def test_the_start_page_opens(visit: Callable[..., Visit]) -> None:
    page = visit().go("/")
    assert page.title()
