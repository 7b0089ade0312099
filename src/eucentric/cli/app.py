"""The application, and what every verb shares: exit status, errors, warnings, JSON."""

import json
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

from cyclopts import App, CycloptsError, Parameter, validators
from pydantic import ValidationError
from rich.console import Console

from eucentric import __version__
from eucentric.core import ConsoleReporter, EucentricError, EucentricWarning, Record, Reporter

DONE, FAILED, WRONG_USAGE = 0, 1, 2

R = TypeVar("R", bound=Record)


class UsageError(Exception):
    """An option has a value that its setting does not take."""


def _no_device(_: object, name: str) -> None:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise ValueError("There is auto, cpu, cuda and cuda:N.")


Device = Annotated[str, Parameter(help="Where to compute: auto, cpu, cuda or cuda:N.", validator=_no_device)]
Pixel = Annotated[float | None, Parameter(validator=validators.Number(gt=0, lt=1e6))]
Json = Annotated[
    bool, Parameter(name="--json", negative=(), help="Print the result as JSON, and nothing else, on standard output.")
]

_console = Console(stderr=True)

app = App(
    name="eucentric",
    help="Design, acquire, process and understand tilt series for cryo-electron tomography.",
    version=__version__,
    help_format="markdown",
    suppress_keyboard_interrupt=False,  # `main` says what was kept
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status: 0 done, 1 failed with a reason, 2 wrong usage."""
    from eucentric.cli import (  # noqa: F401
        acquire,
        align,
        bench,
        ctf,
        demo,
        design,
        doctor,
        exchange,
        process,
        reconstruct,
        rehearse,
        restore,
        serve,
        session,
        simulate,
        watch,
    )

    try:
        status = app(
            arguments if arguments is not None else sys.argv[1:],
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except (CycloptsError, UsageError) as error:
        _console.print("[bold red]Wrong usage:[/] ", end="")
        tell(str(error).strip())
        _console.print("`eucentric VERB --help` shows what a verb takes, with an example.", highlight=False)
        return WRONG_USAGE
    except EucentricError as error:
        tell_error(error)
        return FAILED
    except KeyboardInterrupt:
        tell("Interrupted. Finished stages are kept: the same command carries on from there.")
        return FAILED
    return status if isinstance(status, int) else DONE


def settings_from(options: dict[str, Any], record: type[R], names: dict[str, str]) -> R:
    """Make settings from options, naming the option and not the field where a value is not taken.

    Raises
    ------
    UsageError
        If a value is out of its range.
    """
    try:
        return record(**options)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        option = names.get(field, field.replace("_", "-"))
        raise UsageError(f"--{option} {first['input']}: {first['msg'].lower().removeprefix('input ')}.") from error


def console() -> Console:
    """Return the console on standard error, for tables."""
    return _console


def reporter() -> Reporter:
    """Return the reporter that draws on standard error."""
    return ConsoleReporter(_console)


def tell(message: str) -> None:
    """Tell the user one line, on standard error."""
    _console.print(message, highlight=False, markup=False, soft_wrap=True)


def tell_error(error: EucentricError) -> None:
    """Say what went wrong and what to do."""
    _console.print("[bold red]Error:[/] ", end="")
    tell(error.what)
    if error.fix:
        tell(error.fix)


def print_json(result: Any) -> None:
    """Print a result on standard output."""
    sys.stdout.write(json.dumps(result, indent=1, allow_nan=False) + "\n")


@contextmanager
def told_warnings() -> Iterator[Callable[[], tuple[str, ...]]]:
    """Tell each of our warnings once, in words, when the body ends; the function given returns those so far."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", EucentricWarning)

        def messages() -> tuple[str, ...]:
            ours = (str(w.message) for w in caught if issubclass(w.category, EucentricWarning))
            return tuple(dict.fromkeys(ours))

        try:
            yield messages
        finally:
            for message in messages():
                _console.print("[bold yellow]Warning:[/] ", end="")
                tell(message)
