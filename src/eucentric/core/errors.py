"""Errors and warnings: each says what happened, to which file, and what to do next."""


class EucentricError(Exception):
    """Base of every error that a user can mend.

    Parameters
    ----------
    what
        What happened, naming the file, tilt or setting, and what it did to the data.
    fix
        What to do next, as an imperative sentence; may be empty where nothing can be said.
    """

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        """Return both sentences."""
        return f"{self.what} {self.fix}".strip()


class FormatError(EucentricError):
    """A file cannot be read as what it claims to be."""


class InputError(EucentricError):
    """The input is readable, but this work cannot be done with it."""


class OutputError(EucentricError):
    """A result could not be written; nothing half-written was left behind."""


class EucentricWarning(UserWarning):
    """Base of every named warning; none is raised for something that the user cannot look at."""


class FormatWarning(EucentricWarning):
    """A file departs from its format in a way that was read around."""


class DataWarning(EucentricWarning):
    """Some of the data were left out or repaired; the message says which and why."""
