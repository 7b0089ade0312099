"""A typed doorway to numba, so that strict type checking sees through its decorators."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")

parallel_range: Any = numba.prange
"""Loop over independent iterations, shared among the threads inside a `compiled` function."""


def compiled(*, parallel: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a numeric function with numba on first use and keep the machine code on disk.

    Parameters
    ----------
    parallel
        Share `parallel_range` loops among threads.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        compile_it: Any = numba.njit(parallel=parallel, fastmath=True, cache=True, nogil=True)
        jitted: Callable[P, R] = compile_it(function)
        return jitted

    return decorate
