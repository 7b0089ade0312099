"""Which method does which of SerialEM's commands."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])
_MARK = "_serialem_commands"


def command(*names: str) -> Callable[[Method], Method]:
    """Mark a method as what these commands do; it is given their arguments, of the kinds that the table tells.

    What it returns is what the command reports: None, a value, or a tuple of them.
    """

    def mark(method: Method) -> Method:
        setattr(method, _MARK, names)
        return method

    return mark


def names_of(group: type) -> dict[str, str]:
    """Return the commands that the methods of a class do, each with the method's name."""
    return {name: attribute for attribute in dir(group) for name in getattr(getattr(group, attribute), _MARK, ())}


def gathered(groups: Iterable[object]) -> dict[str, Callable[..., Any]]:
    """Return the bound methods of several objects by the commands that they do."""
    return {name: getattr(group, attribute) for group in groups for name, attribute in names_of(type(group)).items()}
