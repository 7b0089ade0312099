"""Sections of stacks that are mapped from files, read so that memory does not fill with what was read before."""

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray


def section_of(stack: NDArray[Any], section: int) -> NDArray[np.float32]:
    """Return one section of a stack as a float32 copy, and give the pages that it was read through back to the system.

    Pages of a mapped file stay with the process that touched them until memory is short elsewhere: of a stack that
    is read section by section, all of them at the end.

    Parameters
    ----------
    stack
        (n, y, x), in memory or mapped (`numpy.memmap`).
    section
        Which, from 0. What is too large for float32 becomes infinite.
    """
    with np.errstate(over="ignore"):
        image = np.array(stack[section], dtype=np.float32)
    mapped = getattr(stack, "_mmap", None)
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        part = stack[section]
        first = _address(part) - _address(np.frombuffer(mapped, np.uint8))
        last = first + sum((n - 1) * stride for n, stride in zip(part.shape, part.strides, strict=True))
        start, stop = -(-first // mmap.PAGESIZE) * mmap.PAGESIZE, last // mmap.PAGESIZE * mmap.PAGESIZE  # whole pages
        if stop > start:
            mapped.madvise(mmap.MADV_DONTNEED, start, stop - start)
    return image


def _address(array: NDArray[Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
