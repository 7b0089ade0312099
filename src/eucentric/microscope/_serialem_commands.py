"""Calls into SerialEM's Python module: connecting, commands with what they report, and its errors as ours."""

import importlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucentric.microscope.errors import MicroscopeError, MicroscopeTimeoutError, MoveRefusedError, StoppedError

Array = NDArray[np.float64]

_NO_ANSWER = ("timeout", "timed out", "recv error", "send error", "failed to open socket", "disconnected")


def connected_module(host: str, port: int) -> Any:
    """Return the module `serialem`, connected to a running SerialEM.

    Raises
    ------
    MicroscopeError
        If the module is not installed, or SerialEM cannot be reached; nothing was done.
    """
    try:
        module = importlib.import_module("serialem")
    except ImportError as error:
        raise MicroscopeError(
            f"SerialEM's Python module cannot be imported ({error}); nothing was done.",
            "Put the folder of SerialEM's PythonModules for this version of Python on PYTHONPATH, or build the "
            'module from its source (mastcu/PythonModule on GitHub): see "Running scripts in an externally run '
            "Python\" in SerialEM's help.",
        ) from error
    try:
        module.ConnectToSEM(port, host)
    except (module.SEMmoduleError, module.SEMerror, OSError) as error:
        raise MicroscopeError(
            f"No connection to SerialEM at {host}, port {port} ({error}); nothing was done.",
            "Start SerialEM, set its property EnableExternalPython to 1, and check host, port and firewall.",
        ) from error
    return module


class Commands:
    """SerialEM's commands, with its errors as ours and what it reports as tuples.

    `delivered` is what the specimen has received if the command fails: 0 before an exposure begins, None after.
    """

    def __init__(self, module: Any) -> None:
        self._module = module
        names = ("SEMerror", "SEMmoduleError", "SEMexited")
        self._errors = (*(getattr(module, name) for name in names if hasattr(module, name)), OSError)

    def get(self, name: str, *arguments: Any, delivered: float | None = 0.0) -> Any:
        """Run a command, and return what it returns."""
        try:
            return getattr(self._module, name)(*arguments)
        except self._errors as error:
            raise _our_error(name, error, delivered) from error

    def run(self, name: str, *arguments: Any, delivered: float | None = 0.0) -> tuple[Any, ...]:
        """Run a command, and return all that it reports; one value alone comes from SerialEM without a tuple."""
        reported = self.get(name, *arguments, delivered=delivered)
        if reported is None:
            return ()
        return tuple(reported) if isinstance(reported, (tuple, list)) else (reported,)

    def ask(self, count: int, name: str, *arguments: Any, delivered: float | None = 0.0) -> tuple[float, ...]:
        """Run a command, and return the first `count` numbers that it reports."""
        values = self.run(name, *arguments, delivered=delivered)
        try:
            numbers = tuple(float(value) for value in values[:count])
        except (TypeError, ValueError):
            numbers = ()
        if len(numbers) < count or not all(map(math.isfinite, numbers)):
            raise MicroscopeError(
                f"SerialEM's {name} reported {values}, not {count} numbers.",
                "See SerialEM's log; this needs SerialEM 4.1 or newer, with the Python module of its own version.",
                delivered_e_A2=delivered,
            )
        return numbers

    def ask_one(self, name: str, *arguments: Any, delivered: float | None = 0.0) -> float:
        """Run a command, and return the first number that it reports."""
        return self.ask(1, name, *arguments, delivered=delivered)[0]

    def matrix(self, name: str) -> Array:
        """Return one of SerialEM's matrices at the magnification of now, which it reports row by row."""
        matrix = np.reshape(self.ask(4, name, 0), (2, 2))
        refuse_singular(matrix, name)
        return matrix

    def refused(self, error: MicroscopeError) -> bool:
        """Return whether SerialEM refused a command, rather than that it did not get through or was stopped."""
        return isinstance(error.__cause__, self._module.SEMerror)


def refuse_singular(matrix: Array, what: str) -> None:
    """Raise a `MicroscopeError` if a matrix cannot be inverted: what it stands for is then not calibrated."""
    if not abs(np.linalg.det(matrix)) > 0:
        raise MicroscopeError(
            f"SerialEM's {what} is not calibrated at this magnification; nothing was exposed.",
            "Calibrate pixel size and tilt axis rotation, image shift and beam shift there, in SerialEM.",
        )


def _our_error(name: str, error: Exception, delivered: float | None) -> MicroscopeError:
    """Return the error that says what one of SerialEM's means."""
    said = str(error).strip() or type(error).__name__
    exposed = "nothing was exposed" if delivered == 0 else "what was exposed is not known"
    if type(error).__name__ == "SEMexited":
        return StoppedError(
            f"SerialEM was told to stop, at {name} ({said}); {exposed}.", "Begin again.", delivered_e_A2=delivered
        )
    if isinstance(error, TimeoutError) or any(words in said.lower() for words in _NO_ANSWER):
        return MicroscopeTimeoutError(
            f"SerialEM did not answer {name} ({said}): whether it was done is not known; {exposed}.",
            "See what SerialEM is doing, and connect again.",
            delivered_e_A2=delivered,
        )
    if name == "TiltTo" and "too high" in said.lower():
        return MoveRefusedError(f"SerialEM refused the tilt ({said}); nothing moved.", "Tilt less.")
    return MicroscopeError(
        f"SerialEM did not do {name} ({said}); {exposed}.", "See SerialEM's log.", delivered_e_A2=delivered
    )
