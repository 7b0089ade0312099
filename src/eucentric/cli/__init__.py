"""The command line: `eucentric VERB`."""

from eucentric.cli.app import main

__all__ = ["main"]
