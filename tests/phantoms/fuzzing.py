"""Files that readers are fed with: real ones and our own, with bytes changed; and what a reader may do with them.

It may read them or raise an `EucentricError`. It may not raise anything else, take longer than a few seconds or more
memory than it is given, nor open a path outside the folder that it was given.
"""

import os
import resource
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np

from eucentric.core import EucentricError
from phantoms.fuzz_counts import count_fields, with_count

Files = dict[str, bytes]
"""The files of a case, by their path below its folder."""

_EVIL = (
    b"../../../../etc/passwd", b"/etc/passwd", b"..\\..\\secret.mrc", b"nan", b"-inf", b"1e308", b"-1", b"0", b"1e-320",
    b"4294967295", b"99999999999999999999", b"\xff\xfe", b"\x00", b"\n\n\n", b" = ", b"[", b"]", b"{", b"}", b'"', b"'",
    b"<", b">", b"&amp;", b",,,,", b"A" * 5000, b"loop_\n", b"data_\n", b"[ZValue = 0]\n", "µ°Å".encode(),
)  # fmt: skip
_MAX_BYTES = 400_000
_AIMED = 0.4  # of the changes in binary files, those at a count: few others come through to what a count decides
MEMORY_BYTES = 500 << 20
"""Of addresses, that a reader may take for a case above what the process has when it begins."""


@dataclass(frozen=True)
class Fed:
    """A reader, the file or folder (below that of the case) that it is given, and the seeds of its cases."""

    name: str
    read: Callable[[Path], object]
    given: str
    seeds: tuple[Files, ...]


class HangError(BaseException):
    """A reader took too long; no `except Exception` of a library hides it."""


class OutsideError(Exception):
    """A reader opened something outside its folder."""


def mutate(files: Files, draw: np.random.Generator) -> Files:
    """Return the files with one to four changes in one of them, rarely in two."""
    changed = dict(files)
    for _ in range(1 + (draw.random() < 0.15)):
        name = list(changed)[draw.integers(len(changed))]
        data = changed[name]
        for _ in range(int(draw.integers(1, 5))):
            data = _changed(data, files, draw)
        changed[name] = data[:_MAX_BYTES]
    return changed


def _changed(data: bytes, files: Files, draw: np.random.Generator) -> bytes:
    if draw.random() < _AIMED and count_fields(data):
        return with_count(data, draw)
    n = len(data)
    at = int(draw.integers(n + 1))
    kind = int(draw.integers(8))
    if kind == 0 and n:  # a bit
        at = min(at, n - 1)
        return data[:at] + bytes([data[at] ^ (1 << int(draw.integers(8)))]) + data[at + 1 :]
    if kind == 1:  # random bytes over others
        return data[:at] + draw.bytes(int(draw.integers(1, 9))) + data[at + int(draw.integers(9)) :]
    if kind == 2:  # cut off
        return data[:at]
    if kind == 3:  # a piece away
        return data[:at] + data[at + int(draw.integers(1, 200)) :]
    if kind == 4:  # a piece twice
        return data[:at] + data[max(0, at - int(draw.integers(1, 300))) :]
    if kind == 5:  # something evil put in
        return data[:at] + _EVIL[draw.integers(len(_EVIL))] + data[at:]
    if kind == 6:  # something evil in place of a number or a word
        words = [i for i in range(max(0, at - 40), min(n, at + 40)) if data[i : i + 1].isalnum()]
        if words:
            start = stop = words[len(words) // 2]
            while stop < n and data[stop : stop + 1].isalnum():
                stop += 1
            return data[:start] + _EVIL[draw.integers(len(_EVIL))] + data[stop:]
        return data
    other = list(files.values())[draw.integers(len(files))]  # two files in one
    return data[:at] + other[int(draw.integers(len(other) + 1)) :]


_inside: list[str] = []  # prefixes that may be opened now; empty where everything may
_outside: list[str] = []


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if _inside and event in ("open", "os.listdir", "os.scandir") and arguments:
        path = arguments[0]
        if isinstance(path, bytes | str):
            real = os.path.realpath(os.fsdecode(path))
            if not any(real == place or real.startswith(f"{place}/") for place in _inside):
                _outside.append(os.fsdecode(path))


sys.addaudithook(_audit)


@contextmanager
def _little_memory(more_bytes: int | None) -> Iterator[None]:
    """Let the process have no more than so many addresses above those that it has now."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    if more_bytes is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + more_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _is_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that it was made of, says that there was too little memory."""
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def _watched(folder: Path, seconds: int) -> Iterator[None]:
    def hang(signum: int, frame: FrameType | None) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(seconds)
    _outside.clear()
    # Python's own modules may still be loaded on the way, and random numbers drawn.
    code = [path for path in sys.path if path] + [sys.prefix, sys.base_prefix, "/dev/urandom", "/dev/null", "/proc"]
    _inside.extend([str(folder.resolve()), *(os.path.realpath(path) for path in code)])
    try:
        yield
    finally:
        _inside.clear()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def feed(fed: Fed, files: Files, seconds: int = 5, more_bytes: int | None = MEMORY_BYTES) -> bool:
    """Give a reader a case; return whether it read it, rather than to refuse it.

    Without `more_bytes` it may take what memory it wants: what is loaded and compiled once is no case's doing.

    Raises
    ------
    MemoryError
        If it wanted more, even where it made an `EucentricError` of that.
    Exception
        Whatever else the reader should not have done.
    """
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        folder = Path(name)
        for path, data in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        read = True
        with warnings.catch_warnings(), _watched(folder, seconds), _little_memory(more_bytes):
            warnings.simplefilter("ignore")
            try:
                fed.read(folder / fed.given)
            except EucentricError as error:
                if _is_of_memory(error):
                    raise MemoryError(str(error)) from error
                read = False
        if _outside:
            raise OutsideError(_outside[0])
    return read
