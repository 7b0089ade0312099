"""Running a script with the simulated `serialem`, as SerialEM runs one: its names, its directory, its end."""

import _thread
import builtins
import contextlib
import io
import math
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, TextIO

from eucentric.core import InputError
from eucentric.twin.serialem.doings import Ending
from eucentric.twin.serialem.errors import RehearsalStop, SEMerror, SEMexited, SEMmoduleError
from eucentric.twin.serialem.log import ScriptLog
from eucentric.twin.serialem.module import SimulatedSerialEM

_AGAIN_S = 0.003


@dataclass(frozen=True)
class Ended:
    """How a script ended: why, and at which line, where that is known."""

    ending: Ending
    reason: str = ""
    line: int | None = None


def run_script(path: Path, serialem: SimulatedSerialEM, *, silent_s: float = 300.0) -> Ended:
    """Run a script from its file, in SerialEM's working directory, and return how it ended.

    The script runs in this process, with all that Python can do: it is the user's own. Its ``time.sleep`` and the time
    that ``time.time`` tells are the microscope's, so that waiting costs no time; the clock of ``datetime`` is left.

    Parameters
    ----------
    path
        The script.
    serialem
        What ``import serialem`` gives it.
    silent_s
        Of wall time: a script that calls no command for so long is ended.

    Raises
    ------
    InputError
        If the file cannot be read, or includes other scripts by SerialEM's own means.
    """
    source = _source(path)
    try:
        code = compile(source, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        return Ended("failed", f"SyntaxError: {error.msg}", error.lineno)
    bench = serialem.bench
    bench.script = str(path)
    bench.start()
    namespace = _namespace(path)
    with _surroundings(path, serialem), _watchdog(serialem, silent_s) as watch:
        try:
            ended = _run(code, namespace, path, serialem, watch)
        except KeyboardInterrupt:  # once more, while the first was told
            if not watch.reason:
                raise
            ended = Ended("stopped", watch.reason)
        finally:
            bench.log.flush()
    # A script that catches all, even what stops it, was stopped all the same.
    stopped = watch.reason or bench.answers.unanswered
    return Ended("stopped", stopped, ended.line) if stopped and ended.ending != "stopped" else ended


def _run(code: CodeType, namespace: dict[str, Any], path: Path, serialem: SimulatedSerialEM, watch: "_Watch") -> Ended:
    try:
        try:
            exec(code, namespace)  # noqa: S102 - running the user's script is what this is for
        finally:
            watch.stop()
        return Ended("finished")
    except SEMexited as error:
        if "STOP" in str(error):
            return Ended("stopped", "the user stopped it, by the answer to a dialog", _line(error, path))
        return Ended("exited", "by Exit", _line(error, path))
    except SystemExit as error:
        if error.code in (None, 0):
            return Ended("exited", "by sys.exit", _line(error, path))
        return Ended("failed", f"sys.exit({error.code!r})", _line(error, path))
    except RehearsalStop as error:
        return Ended("stopped", str(error), _line(error, path))
    except KeyboardInterrupt as error:
        if not watch.reason:
            raise
        return Ended("stopped", watch.reason, _line(error, path))
    except BaseException as error:  # noqa: BLE001 - whatever a script raises is its end, not ours
        serialem.bench.log.add(_traceback(error, path))
        return Ended("failed", f"{type(error).__name__}: {' '.join(str(error).split())}", _line(error, path))


def _source(path: Path) -> str:
    try:
        source = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: this script cannot be read ({error}).") from error
    for number, line in enumerate(source.splitlines(), 1):
        if line.lstrip().lower().startswith(("#include ", "# include ", "#includefile ", "# includefile ")):
            raise InputError(
                f"{path}, line {number}: scripts that SerialEM includes in others are not simulated.",
                "Put the included script in its place, or import it as a Python module.",
            )
    return source


def _namespace(path: Path) -> dict[str, Any]:
    """Return the names that SerialEM's own wrapper gives a script."""

    def to_floats(value: Any) -> list[float]:
        return [float(one) for one in (value.split("\n") if isinstance(value, str) else [value])]

    def to_ints(value: str) -> list[int]:
        return [int(one) for one in value.split("\n")]

    def to_array(values: list[Any]) -> str:
        return "\n".join(str(value) for value in values)

    def print_now(*values: Any, **named: Any) -> None:
        print(*values, **named, flush=True)  # noqa: T201 - to the log

    return {
        "__name__": "__main__",
        "__file__": str(path),
        "__builtins__": builtins,
        "SEMerror": SEMerror,
        "SEMmoduleError": SEMmoduleError,
        "SEMexited": SEMexited,
        "SEMarrayToFloats": to_floats,
        "SEMarrayToInts": to_ints,
        "listToSEMarray": to_array,
        "SEMprint": print_now,
        "SEMflush": lambda: sys.stdout.flush(),
    }


@contextmanager
def _surroundings(path: Path, serialem: SimulatedSerialEM) -> Iterator[None]:
    """Give a script its module, its directory, its output and its time; take them back afterwards."""
    bench = serialem.bench
    known: ModuleType | None = sys.modules.get("serialem")
    others = set(sys.modules)
    here, paths, arguments = Path.cwd(), list(sys.path), list(sys.argv)
    sleep, now = time.sleep, time.time
    began, zero = now(), bench.scope.now()

    def microscope_time() -> float:
        return began + (bench.scope.now() - zero).total_seconds()

    main = threading.current_thread()

    def microscope_sleep(seconds: float) -> None:
        if threading.current_thread() is not main:
            sleep(seconds)  # some other thread of this process: its time is the wall's
            return
        bench.wait(seconds)

    sys.modules["serialem"] = serialem.module()
    sys.path.insert(0, str(path.resolve().parent))
    sys.argv = [str(path)]
    os.chdir(bench.folder)
    time.sleep, time.time = microscope_sleep, microscope_time  # type: ignore[assignment]
    try:
        with contextlib.redirect_stdout(_Printed(bench.log, sys.stdout)):
            yield
    finally:
        time.sleep, time.time = sleep, now
        os.chdir(here)
        sys.path[:], sys.argv = paths, arguments
        for name in set(sys.modules) - others:
            # The script's own modules hold this microscope, and the next script may have others of their names.
            if _lies_in(sys.modules[name], path.resolve().parent):
                del sys.modules[name]
        if known is None:
            sys.modules.pop("serialem", None)
        else:
            sys.modules["serialem"] = known


def _lies_in(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).parent == folder


class _Printed(io.TextIOBase):
    """What a script prints goes to the log; what whoever is told of the log prints goes where it would."""

    def __init__(self, log: ScriptLog, before: TextIO) -> None:
        self._log, self._before = log, before

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return self._before.write(text) if self._log.telling else self._log.write(text)


class _Watch:
    """Looks whether a script should still run, and interrupts one that calls no command, or goes on after its end.

    `reason` tells why it did. A script that catches even that is interrupted until it is caught outside its `try`.
    """

    def __init__(self, serialem: SimulatedSerialEM, silent_s: float) -> None:
        self._bench, self._silent_s = serialem.bench, silent_s
        self._done = threading.Event()
        self.reason = ""

    def run(self) -> None:
        look_s = min(1.0, self._silent_s / 4)
        last, since = -1, time.monotonic()
        over_since = math.inf
        while not self._done.wait(_AGAIN_S if self.reason else look_s):
            calls, now = sum(self._bench.calls.values()), time.monotonic()
            if self.reason:
                _thread.interrupt_main()
                continue
            if calls != last or self._bench.busy:
                last, since = calls, now
            elif now - since > self._silent_s:
                self.reason = f"it called no command of SerialEM for {self._silent_s:g} s: a loop that does not end?"
            why = self._stopped()
            over_since = min(over_since, now) if why else math.inf
            if now - over_since > self._silent_s:
                self.reason = why

    def _stopped(self) -> str:
        """Return why every command, or every dialog, of the script is refused by now."""
        bench = self._bench
        if bench.elapsed_s() > bench.max_s:
            return f"it went on after the {bench.max_s / 3600:g} hours of the microscope's time that it was given"
        return bench.answers.unanswered

    def stop(self) -> None:
        self._done.set()


@contextmanager
def _watchdog(serialem: SimulatedSerialEM, silent_s: float) -> Iterator[_Watch]:
    watch = _Watch(serialem, silent_s)
    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        while thread.is_alive():
            try:
                watch.stop()
                thread.join()
            except KeyboardInterrupt:  # its own, which came when the script had ended
                if not watch.reason:
                    raise


def _line(error: BaseException, path: Path) -> int | None:
    """Return the innermost line of the script that an error came through."""
    lines = [
        number for frame, number in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == str(path)
    ]
    return lines[-1] if lines else None


def _traceback(error: BaseException, path: Path) -> str:
    """Return an error as a script's author reads it: from the script on, without what runs it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != str(path):
        trace = trace.tb_next
    told = traceback.TracebackException(type(error), error, trace)
    own = str(Path(__file__).parent)
    told.stack = traceback.StackSummary.from_list([frame for frame in told.stack if not frame.filename.startswith(own)])
    return "".join(told.format()).rstrip()
