"""Fixtures of the pages' tests: those of `page_fixtures`, which mypy checks; it knows one conftest alone."""

from page_fixtures import browser, pages_of, visit

__all__ = ["browser", "pages_of", "visit"]
