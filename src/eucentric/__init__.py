"""Eucentric: design, acquire, process and understand tilt series for cryo-electron tomography."""

import ctypes
import os
import sys
from importlib.metadata import version

# Threads that spin while they wait hold the core that the thread they wait for needs: measured beside other work on
# two cores, an alignment took 35 to 115 s spinning and 15 to 18 s sleeping. OpenMP reads this once, when numba or torch
# first load it, and a user's own choice stands.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _keep_freed_memory() -> None:
    """Let the C library keep arrays of up to 64 MB that were freed, and up to 512 MB of them, for those that follow.

    By default it asks the system for each of more than a fraction of a megabyte, and clearing its pages takes longer
    than what is computed in them: measured, matching 41 views of 256 x 256 takes 150 ms so, and 54 ms kept.
    """
    mmap_threshold, trim_threshold = -3, -1  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of glibc's malloc.h
    if sys.platform == "linux" and not any(name.startswith("MALLOC_") for name in os.environ):
        adjust = getattr(ctypes.CDLL(None), "mallopt", None)  # not in every C library
        if adjust is not None:
            adjust(mmap_threshold, 64 << 20)
            adjust(trim_threshold, 512 << 20)


_keep_freed_memory()

__version__ = version("eucentric")
