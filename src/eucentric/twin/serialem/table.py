"""The commands of SerialEM: their names, and what arguments each takes.

``commands.csv`` has these facts of all 841 commands, from SerialEM's public master list (MacroMasterList.h, August
2026): the least number of arguments; their kinds, where a command can be called from Python; and whether it can. Kinds
are D, S and I for a number, a text and a whole number, small letters for those that may be left out.
"""

import csv
import operator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Command:
    """A command; `python` tells whether the module `serialem` has it."""

    name: str
    required: int
    keys: str
    python: bool

    def checked(self, given: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return arguments as numbers and texts of their kinds.

        Raises
        ------
        TypeError
            If there are too few or too many, or one is of another kind, in the words that Python has for modules
            written in C, as SerialEM's is.
        """
        least, most = sum(key.isupper() for key in self.keys), len(self.keys)
        if not least <= len(given) <= most:
            bound, count = ("at least", least) if len(given) < least else ("at most", most)
            how = "exactly" if least == most else bound
            raise TypeError(f"{self.name}() takes {how} {count} argument{'s' * (count != 1)} ({len(given)} given)")
        return tuple(self._as(key, at, value) for at, (key, value) in enumerate(zip(self.keys, given, strict=False), 1))

    def _as(self, key: str, at: int, value: Any) -> Any:
        try:
            if key in "Ss":
                if isinstance(value, str):
                    return value
            elif key in "Ii":
                return operator.index(value)
            elif not isinstance(value, (str, bytes, bytearray)):  # which float() would read as texts
                return float(value)
        except (TypeError, ValueError):
            pass
        kind = {"S": "str", "I": "int", "D": "float"}[key.upper()]
        raise TypeError(f"{self.name}() argument {at} must be {kind}, not {type(value).__name__}")


@cache
def commands() -> dict[str, Command]:
    """Return all commands by their names."""
    text = (files("eucentric.twin.serialem") / "commands.csv").read_text(encoding="ascii")
    return {
        row["name"]: Command(row["name"], int(row["required"]), row["keys"], row["python"] == "1")
        for row in csv.DictReader(text.splitlines())
    }
