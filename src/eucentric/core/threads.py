"""How many threads a piece of work is worth: small arrays are done before a second thread has woken up."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_SMALL = 1 << 20  # pixels, below which threads wait for each other more than they work
_PART = 1 << 19  # pixels of a part of a stack: with less, beginning anew costs more than the second thread gives


def workers(pixels: int) -> int:
    """Return how many threads the transform of an image of so many pixels is worth."""
    import numba

    return 1 if pixels < _SMALL else int(numba.get_num_threads())


def in_threads(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Return what `work` makes of each item, in their order, done on as many threads as numba may use.

    For what lets go of the interpreter while it computes: numpy, scipy, and torch inside `one_thread_of_torch`; numba's
    functions have threads of their own. The caller's thread works too, and waits for no other that has yet to begin.
    """
    import numba

    most = int(numba.get_num_threads())
    if min(most, len(items)) < 2:
        return [work(item) for item in items]
    made: dict[int, R] = {}
    left = iter(range(len(items)))  # shared: the interpreter gives each number out once

    def take() -> None:
        for place in left:
            made[place] = work(items[place])

    helpers = [_pool(most).submit(take) for _ in range(min(most, len(items)) - 1)]
    try:
        take()
    finally:
        begun = [helper for helper in helpers if not helper.cancel()]
        wait(begun)
    for helper in begun:
        helper.result()
    return [made[place] for place in range(len(items))]


def in_parts(work: Callable[[slice], R], n: int, pixels: int) -> list[R]:
    """Do `in_threads` with slices of a stack of `n` images of so many pixels, all of it at once where it is small.

    Parts are the same whatever the number of threads, and so is what is computed.
    """
    parts = 2 * -(-n * pixels // (2 * _PART)) if n * pixels >= 2 * _PART else 1
    each = max(1, -(-n // parts))
    return in_threads(work, [slice(begin, begin + each) for begin in range(0, n, each)])


@lru_cache(maxsize=1)
def _pool(n: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n, "in_threads")


@contextmanager
def one_thread_of_torch() -> Iterator[None]:
    """Let torch compute on one thread, and leave sharing work out to `in_threads` and numba.

    Threads of torch and of numba stand in each other's way: for a while after each call they keep their core busy.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def threads_for(pixels: int) -> Iterator[None]:
    """Compute on one thread while images of so many pixels are worked on, where they are small."""
    if pixels >= _SMALL:
        yield
        return
    import numba
    import torch

    before = numba.get_num_threads(), torch.get_num_threads()
    numba.set_num_threads(1)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(before[0])
        torch.set_num_threads(before[1])
