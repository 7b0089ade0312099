"""Cases of a reader in a process of its own: one that dies or hangs costs a case, is told, and ends nothing else."""

import multiprocessing
import signal
import time
import traceback
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkContext, SpawnContext
from multiprocessing.sharedctypes import SynchronizedArray
from pathlib import Path
from typing import Literal

import numpy as np

from phantoms.fuzzing import Fed, Files, feed, mutate

Source = Callable[[], Iterable[Fed]]
"""What gives all readers; called once more in each process, as most of them cannot be sent there."""

Start = Literal["spawn", "fork"]

_CASE, _READ, _SLOWEST, _PEAK = range(4)  # what a worker tells of itself while it works
_LOADING = -1.0
_WARM_UP_S = 300.0  # to load and compile what a reader needs


@dataclass
class Outcome:
    """What came of a reader's cases: `slowest_s` of one, `peak_MB` that one had above what was there before it."""

    name: str
    cases: int
    read: int = 0
    slowest_s: float = 0.0
    peak_MB: float = 0.0
    wrong: list[tuple[int, str]] = field(default_factory=list)

    @property
    def refused(self) -> int:
        """Cases that ended as they should, in an error of ours."""
        return self.cases - self.read - len(self.wrong)


def case_of(fed: Fed, seed: int, case: int) -> Files:
    """Return the files of a case, the same whenever it is asked for."""
    draw = np.random.default_rng([seed, zlib.crc32(fed.name.encode()), case])
    return mutate(fed.seeds[int(draw.integers(len(fed.seeds)))], draw)


def run(source: Source, name: str, cases: int, seed: int, *, hang_s: float = 30.0, start: Start = "spawn") -> Outcome:
    """Feed a reader, in as many processes one after the other as it ends; they `start` as multiprocessing has it."""
    outcome, first = Outcome(name, cases), 0
    while first < cases:
        died_at = _one_process(source, outcome, first, seed, hang_s, start)
        if died_at is None:
            break
        if died_at < first:  # before any case: so it would again
            outcome.cases = max(first, 1)
            break
        first = died_at + 1
    return outcome


def _one_process(source: Source, outcome: Outcome, first: int, seed: int, hang_s: float, start: Start) -> int | None:
    """Run cases from `first` on, and return at which its process ended before its time."""
    context: SpawnContext | ForkContext
    context = multiprocessing.get_context("spawn") if start == "spawn" else multiprocessing.get_context("fork")
    state = context.Array("d", [_LOADING, 0.0, 0.0, 0.0])
    here, there = context.Pipe(duplex=False)
    arguments = (source, outcome.name, outcome.cases, first, seed, state, there)
    worker = context.Process(target=_work, args=arguments, daemon=True)
    worker.start()
    there.close()
    at, since, finished, hung = _LOADING, time.monotonic(), False, False
    while not finished:
        try:
            if here.poll(0.2):
                told = here.recv()
                finished = told is None
                outcome.wrong += [] if finished else [told]
                continue
        except EOFError:
            break
        if state[_CASE] != at:
            at, since = state[_CASE], time.monotonic()
        elif time.monotonic() - since > (_WARM_UP_S if at == _LOADING else hang_s):
            hung = True
            worker.kill()
    worker.join()
    case, read, slowest, peak = state[:]
    outcome.read += int(read)
    outcome.slowest_s, outcome.peak_MB = max(outcome.slowest_s, slowest), max(outcome.peak_MB, peak)
    if finished:
        return None
    where = int(case) if case != _LOADING else first - 1
    why = "hung, and was killed" if hung else f"its process died ({_name_of(worker.exitcode)})"
    outcome.wrong.append((where, why if where >= first else f"{why} before its first case"))
    return where


def _work(
    source: Source, name: str, cases: int, first: int, seed: int, state: "SynchronizedArray[float]", out: Connection
) -> None:
    fed = next(fed for fed in source() if fed.name == name)
    for files in fed.seeds:  # what is loaded once, and compiled, is not the cases' doing
        feed(fed, files, seconds=int(_WARM_UP_S), more_bytes=None)
    for case in range(first, cases):
        state[_CASE] = case
        files = case_of(fed, seed, case)
        before_MB, began = _reset_peak_MB(), time.perf_counter()
        try:
            state[_READ] += feed(fed, files)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            out.send((case, _told(error)))
        state[_SLOWEST] = max(state[_SLOWEST], time.perf_counter() - began)
        state[_PEAK] = max(state[_PEAK], _memory_MB("VmHWM") - before_MB)
    out.send(None)


def _told(error: BaseException) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {str(error)[:100]} ({Path(where.filename).name}:{where.lineno})"


def _reset_peak_MB() -> float:
    """Let the kernel count the peak of this process anew, and return what it has now."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _memory_MB("VmRSS")


def _memory_MB(what: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    return 0.0


def _name_of(exitcode: int | None) -> str:
    try:
        return signal.Signals(-(exitcode or 0)).name
    except ValueError:
        return f"exit status {exitcode}"


def shares(names: Sequence[str], cases: int, slow: dict[str, float]) -> dict[str, int]:
    """Divide cases among readers, fewer to those that are `slow`."""
    each = cases / sum(slow.get(name, 1.0) for name in names)
    return {name: round(each * slow.get(name, 1.0)) for name in names}
