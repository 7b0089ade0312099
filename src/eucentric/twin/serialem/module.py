"""The module `serialem` that a script imports: every command of SerialEM by its name, done on a bench or refused."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from eucentric.core import EucentricError
from eucentric.io.navigator import NavItem
from eucentric.twin.serialem.bench import Bench
from eucentric.twin.serialem.camera import CameraCommands
from eucentric.twin.serialem.doings import Refused
from eucentric.twin.serialem.errors import NotSimulatedError, RehearsalStop, SEMerror, SEMexited, SEMmoduleError
from eucentric.twin.serialem.failing import CommandFaults
from eucentric.twin.serialem.files import FileCommands
from eucentric.twin.serialem.illumination import IlluminationCommands
from eucentric.twin.serialem.images import ImageCommands
from eucentric.twin.serialem.items import ItemCommands
from eucentric.twin.serialem.lenses import LensCommands
from eucentric.twin.serialem.maps import MapCommands
from eucentric.twin.serialem.matrices import MatrixCommands
from eucentric.twin.serialem.navigator import NavigatorCommands
from eucentric.twin.serialem.parts import PixelCommands
from eucentric.twin.serialem.registry import gathered, names_of
from eucentric.twin.serialem.routines import RoutineCommands
from eucentric.twin.serialem.scripting import ScriptCommands
from eucentric.twin.serialem.stage import StageCommands
from eucentric.twin.serialem.table import commands
from eucentric.twin.serialem.texts import TextCommands

GROUPS = (
    StageCommands,
    LensCommands,
    MatrixCommands,
    CameraCommands,
    ImageCommands,
    FileCommands,
    ScriptCommands,
    NavigatorCommands,
    RoutineCommands,
    IlluminationCommands,
    ItemCommands,
    MapCommands,
    PixelCommands,
    TextCommands,
)


def simulated() -> frozenset[str]:
    """Return the names of the commands that the twin does."""
    return frozenset(name for group in GROUPS for name in names_of(group))


class SimulatedSerialEM:
    """SerialEM's commands on a bench.

    Parameters
    ----------
    bench
        The microscope and SerialEM's state.
    items, navigator
        The Navigator's items, and its file.
    faults
        Commands that are to fail.
    connected
        Whether the script runs inside SerialEM, or has to connect first, as from outside.
    """

    def __init__(
        self,
        bench: Bench,
        items: tuple[NavItem, ...] = (),
        navigator: Path = Path("targets.nav"),
        faults: CommandFaults | None = None,
        *,
        connected: bool = True,
    ) -> None:
        self.bench = bench
        self.faults = faults or CommandFaults(())
        self.connected = connected
        self._tuples = False
        self.stage = StageCommands(bench)
        self.lenses = LensCommands(bench)
        self.matrices = MatrixCommands(bench)
        self.camera = CameraCommands(bench)
        self.images = ImageCommands(bench)
        self.files = FileCommands(bench)
        self.scripting = ScriptCommands(bench)
        self.navigator = NavigatorCommands(
            bench, items, navigator, self.stage, self.camera, self.images, self.files, self.scripting
        )
        self.routines = RoutineCommands(bench, self.stage, self.images)
        self.items = ItemCommands(bench, self.navigator, self.stage)
        self.maps = MapCommands(bench, self.navigator, self.files, self.scripting)
        self.illumination = IlluminationCommands(bench)
        self.pixels = PixelCommands(bench, self.files)
        self.texts = TextCommands(bench, self.files, self.scripting)
        self._done = gathered(
            (
                self.stage,
                self.lenses,
                self.matrices,
                self.camera,
                self.images,
                self.files,
                self.scripting,
                self.navigator,
                self.routines,
                self.illumination,
                self.items,
                self.maps,
                self.pixels,
                self.texts,
            )
        )

    def call(self, name: str, *given: Any) -> Any:
        """Do a command, and return what it reports as SerialEM's module does.

        Raises
        ------
        TypeError
            If an argument is of the wrong kind, or there are too few or too many.
        SEMerror
            If the command fails, or is not simulated.
        SEMmoduleError
            If the script has not connected.
        SEMexited
            If it ends the script.
        RehearsalStop
            If the rehearsal will not go on.
        """
        bench = self.bench
        bench.calls[name] += 1
        bench.check_time()
        bench.busy = True
        try:
            if not self.connected:
                raise SEMmoduleError(
                    f"{name} was called before the connection to SerialEM was made: call ConnectToSEM first"
                )
            arguments = commands()[name].checked(given)
            if name not in self._done:
                raise NotSimulatedError(f"{name} is a command of SerialEM that the twin does not simulate")
            self.faults.strike(name, bench.scope.stage().tilt_deg)
            return self._reported(self._done[name](*arguments))
        except EucentricError as error:  # of the microscope, or such as a full disk
            raise self._refused(name, SEMerror(str(error))) from None  # SerialEM tells of no cause
        except (SEMerror, SEMmoduleError, TypeError) as error:
            self._refused(name, error)
            raise
        finally:
            bench.busy = False

    def _refused(self, name: str, error: Exception) -> Exception:
        reason = " ".join(str(error).split())
        missing = isinstance(error, NotSimulatedError)
        self.bench.refused.append(Refused(command=name, reason=reason, line=self.bench.line(), not_simulated=missing))
        self.bench.log.add(f"SCRIPT ERROR: {name}: {reason}")
        return error

    def _reported(self, value: Any) -> Any:
        """Return values as numbers and texts: one alone without a tuple around it."""
        if value is None:
            return None
        values = tuple(one if isinstance(one, str) else float(one) for one in _several(value))
        if len(values) == 1 and not isinstance(value, tuple) and (not self._tuples or isinstance(values[0], str)):
            return values[0]
        return values

    def module(self) -> ModuleType:
        """Return the module: each command that can be called from Python, and what else SerialEM's has."""
        made = ModuleType("serialem", "SerialEM's commands, done on a simulated microscope.")
        for command in commands().values():
            if command.python:
                setattr(made, command.name, self._function(command.name))
        for error in (SEMerror, SEMmoduleError, SEMexited):
            setattr(made, error.__name__, error)
        made.ConnectToSEM = self._connect  # type: ignore[attr-defined]
        made.ScriptIsInitialized = lambda: None  # type: ignore[attr-defined]
        made.ReturnAllValuesAsTuples = self._return_tuples  # type: ignore[attr-defined]
        made.ReportNumModuleFuncs = lambda: len(commands())  # type: ignore[attr-defined]
        made.SetBufferImageTimeout = lambda seconds: None  # type: ignore[attr-defined]
        made.bufferImage = self.images.array  # type: ignore[attr-defined]
        made.PutImageInBuffer = self._function("PutImageInBuffer")  # type: ignore[attr-defined]
        return made

    def _function(self, name: str) -> Callable[..., Any]:
        def function(*arguments: Any) -> Any:
            return self.call(name, *arguments)

        function.__name__ = function.__qualname__ = name
        return function

    def _connect(self, port: int = 48888, address: str = "127.0.0.1") -> None:
        self.connected = True

    def _return_tuples(self, on: int = 1) -> None:
        self._tuples = bool(on)


def _several(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


__all__ = ["GROUPS", "RehearsalStop", "SimulatedSerialEM", "simulated"]
