"""One process at a time: a lock that vanishes with the process that holds it.

The lock is `flock` on a file of its own. Not on the journal: SQLite keeps POSIX locks there, which a process loses
as soon as it closes any other handle of that file. Not a file with a process number either: it would outlive a
killed process. The kernel drops `flock` when its holder dies, however it dies.
"""

import errno
import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eucentric.core import OutputError

LOCK = "session.lock"


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file at `path`, made if need be, until leaving.

    Raises
    ------
    OutputError
        If another process (or this one) holds it, or the place cannot be written to or has no locks.
    """
    try:
        handle = path.open("a+b", buffering=0)
    except OSError as error:
        raise OutputError(
            f"{path.parent}: this session cannot be written to ({error.strerror}); nothing was changed.",
            "Choose another --output.",
        ) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            handle.truncate(0)
            handle.write(f"process {os.getpid()} on {platform.node()}".encode())
        except BlockingIOError as error:
            handle.seek(0)
            holder = handle.read().decode() or "another process"
            raise OutputError(
                f"{path.parent}: {holder} is working in this session; nothing was changed.",
                "Wait until it is done or stop it, or choose another --output.",
            ) from error
        except OSError as error:
            raise _explain(error, path) from error
        yield


def is_held(path: Path) -> bool:
    """Whether some process holds the lock file at `path` (which may be absent)."""
    try:
        with path.open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _explain(error: OSError, path: Path) -> OutputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(
            f"{path.parent}: the disk is full; earlier results are untouched.",
            "Free some space and run the same command again.",
        )
    return OutputError(
        f"{path}: this file system gives no locks ({error.strerror}), which a session needs to keep its journal whole.",
        "Choose an --output on another file system.",
    )
