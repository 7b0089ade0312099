"""The errors of SerialEM's Python module, by its names, and what ends a rehearsal from outside."""


class SEMerror(Exception):  # noqa: N818 - SerialEM's name
    """A command failed in SerialEM."""


class SEMmoduleError(Exception):
    """The module itself failed: no connection, or a buffer that there is none of."""


class SEMexited(Exception):  # noqa: N818 - SerialEM's name
    """The script was ended by `Exit`, or by the user's STOP."""


for _error in (SEMerror, SEMmoduleError, SEMexited):
    _error.__module__ = "serialem"  # as tracebacks name them


class NotSimulatedError(SEMerror):
    """A command, or what it was asked for, that SerialEM has and the twin has not."""


class RehearsalStop(BaseException):  # noqa: N818 - it ends a script, as KeyboardInterrupt does
    """The rehearsal will not go on: no `except Exception` of a script holds it up."""
