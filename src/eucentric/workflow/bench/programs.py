"""What a program is to the bench, and how one of another's runs in a process of its own."""

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric.core import Alignment

_LOOK_S = 0.02  # between looks at the memory of a process
_MOST_S = 1800.0  # that another program may take: hours of waiting would teach no more

Floats = NDArray[np.float32]


class ProgramError(Exception):
    """Another program could not do the work; the message says why."""


@dataclass(frozen=True)
class Run:
    """One run: its seconds, what it gave, and the most memory that its process held."""

    seconds: float
    result: Floats | Alignment
    peak_MB: float | None


@dataclass(frozen=True)
class Program:
    """A program that may do a task. `missing` says that it is not installed; `ours` that it is this one."""

    name: str
    run: Callable[[], Run]
    ours: bool = False
    missing: bool = False


@dataclass(frozen=True)
class Ended:
    """A process that has ended well: what it printed, how long it took, and the most memory that it held."""

    printed: str
    seconds: float
    peak_MB: float | None


def run_apart(command: Sequence[str | Path], folder: Path, *, most_s: float = _MOST_S) -> Ended:
    """Run a command in a folder, and watch its memory.

    Raises
    ------
    ProgramError
        If it cannot be started, does not end in time, or ends with an error.
    """
    printed = folder / "printed.txt"
    begun = time.perf_counter()
    peak_MB: float | None = None
    with printed.open("wb") as file:
        try:
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise ProgramError(error.strerror or str(error)) from error
        try:
            while process.poll() is None:
                peak_MB = memory_peak_MB(process.pid) or peak_MB
                if time.perf_counter() - begun > most_s:
                    raise ProgramError(f"it had not ended after {most_s:g} s")
                try:
                    process.wait(_LOOK_S)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    seconds = time.perf_counter() - begun
    said = printed.read_text(errors="replace")
    if process.returncode:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        raise ProgramError(lines[-1] if lines else f"it ended with status {process.returncode}")
    return Ended(said, seconds, peak_MB)


def memory_peak_MB(pid: int | None = None) -> float | None:
    """Return the most memory that a process (this one if None) has held; None where the system does not tell."""
    try:
        status = Path(f"/proc/{pid or 'self'}/status").read_text()
    except OSError:
        return None
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(found[0]) / 1024 if found else None


def forget_memory_peak() -> None:
    """Count this process's peak from now on, where the system lets it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # as proc(5) has it: sets the peak to what is held now
    except OSError:
        return
