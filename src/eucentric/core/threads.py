"""How many threads a piece of work is worth: small arrays are done before a second thread has woken up."""

from collections.abc import Iterator
from contextlib import contextmanager

_SMALL = 1 << 20  # pixels, below which threads wait for each other more than they work


def workers(pixels: int) -> int:
    """Return how many threads the transform of an image of so many pixels is worth."""
    import numba

    return 1 if pixels < _SMALL else int(numba.get_num_threads())


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
