"""A reader that dies of some files and hangs on others, as a library might."""

import os
import signal
import time
import zlib
from collections.abc import Iterable
from pathlib import Path

from phantoms.fuzzing import Fed


def fate(data: bytes) -> str:
    """Say what becomes of who reads this."""
    return {0: "dies", 1: "hangs"}.get(zlib.crc32(data) % 4, "is read")


def _read(path: Path) -> None:
    what = fate(path.read_bytes())
    if what == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "hangs":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
        time.sleep(60)


def deadly() -> Iterable[Fed]:
    """Return it, with a seed that does it no harm."""
    harmless = next(bytes([letter] * 50) for letter in range(65, 90) if fate(bytes([letter] * 50)) == "is read")
    return [Fed("deadly", _read, "a", ({"a": harmless},))]
