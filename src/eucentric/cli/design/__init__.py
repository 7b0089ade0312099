"""`eucentric design` and the commands below it."""

from eucentric.cli.design.commands import design_app

__all__ = ["design_app"]
