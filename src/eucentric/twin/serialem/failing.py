"""Commands that are to fail, so that a script's handling of errors is seen before the night that it is needed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from eucentric.core import InputError, did_you_mean
from eucentric.twin.fault import Fault
from eucentric.twin.serialem.errors import SEMerror
from eucentric.twin.serialem.table import commands

_NEAR_DEG = 0.5
_FORM = '"COMMAND [at [tilt] DEG] [after N] [times N]: refuse [what SerialEM says]"'
_LONG = {
    "A": "AutoAlign",
    "D": "TiltDown",
    "F": "Focus",
    "G": "AutoFocus",
    "L": "Preview",
    "M": "Montage",
    "R": "Record",
    "S": "Save",
    "T": "Trial",
    "U": "TiltUp",
    "V": "View",
}
"""SerialEM's short names of commands; a fault strikes both names."""
_TEXT = re.compile(
    r"^\s*(?P<name>[A-Za-z]\w*)\s*(?:at(?:\s+tilt)?\s+(?P<tilt>[-+]?(?:\d+\.?\d*|\.\d+))(?![\d.])\s*)?(?:after\s+(?P<after>\d+)\s*)?"
    r"(?:times\s+(?P<times>\d+)\s*)?:\s*refuse(?:\s+(?P<says>.+))?$",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class CommandFault:
    """A command that fails: at which tilt of the stage, after how many calls, how often (0: always), and its words."""

    name: str
    text: str
    at_deg: float | None = None
    after: int = 0
    times: int = 1
    says: str = "made to fail by this rehearsal"


@dataclass(eq=False)
class CommandFaults:
    """Faults of commands, and which of them struck."""

    faults: Sequence[CommandFault]
    struck: list[str] = field(default_factory=list)
    _matched: dict[int, int] = field(default_factory=dict)
    _strikes: dict[int, int] = field(default_factory=dict)

    def strike(self, name: str, tilt_deg: float) -> None:
        """Fail, if this call is to.

        Raises
        ------
        SEMerror
            If it is.
        """
        for at, fault in enumerate(self.faults):
            if _long(fault.name) != _long(name) or (
                fault.at_deg is not None and abs(tilt_deg - fault.at_deg) > _NEAR_DEG
            ):
                continue
            self._matched[at] = self._matched.get(at, 0) + 1
            strikes = self._strikes.get(at, 0)
            if self._matched[at] > fault.after and (fault.times == 0 or strikes < fault.times):
                self._strikes[at] = strikes + 1
                self.struck.append(f"{name} at {tilt_deg:.1f}°: refused")
                raise SEMerror(f"{name}: {fault.says}")

    @property
    def idle(self) -> tuple[str, ...]:
        """Those that never struck."""
        return tuple(fault.text for at, fault in enumerate(self.faults) if not self._strikes.get(at))


def _long(name: str) -> str:
    return _LONG.get(name, name)


ParsedFaults = tuple[tuple[CommandFault, ...], tuple[Fault, ...]]
"""Faults of commands, and of the microscope underneath."""


def parse_faults(texts: Sequence[str]) -> ParsedFaults:
    """Return the faults of commands, and those of the microscope underneath, that texts describe.

    A text that begins with one of SerialEM's commands, such as ``AutoFocus at 30: refuse``, is of that command; others
    are of the microscope, as `Fault.parse` has them; their calls may be written as SerialEM would, ``ImageShift``.

    Raises
    ------
    InputError
        If one is neither; it says what is wrong.
    """
    known = {name.lower(): name for name in commands()}
    of_commands, of_microscope = [], []
    for text in texts:
        words = text.split()
        first = words[0].rstrip(":") if words else ""
        # A word that both know, such as record, is the microscope's, in small letters as its form has it.
        if first.lower() in known and first != first.lower():
            of_commands.append(_parsed(text, known))
            continue
        try:
            of_microscope.append(Fault.parse(_plain(text, first)))
        except InputError as error:
            near = did_you_mean(first, list(commands()))
            raise InputError(
                f"--fail {text!r}: {error.what}{near}", f"{error.fix or ''} Or as {_FORM}.".strip()
            ) from error
    return tuple(of_commands), tuple(of_microscope)


def _parsed(text: str, known: dict[str, str]) -> CommandFault:
    found = _TEXT.match(text)
    if found is None:
        raise InputError(f"--fail {text!r} cannot be understood.", f"Write it as {_FORM}.")
    tilt = found["tilt"]
    return CommandFault(
        name=known[found["name"].lower()],
        text=text,
        at_deg=None if tilt is None else float(tilt),
        after=int(found["after"] or 0),
        times=1 if found["times"] is None else int(found["times"]),
        says=(found["says"] or "made to fail by this rehearsal").strip(),
    )


def _plain(text: str, first: str) -> str:
    """Write ImageShift as image-shift, and "at tilt 30" as "at 30"."""
    call = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", first).lower()
    return re.sub(r"\bat\s+tilt\b", "at", text.replace(first, call, 1), flags=re.IGNORECASE)
