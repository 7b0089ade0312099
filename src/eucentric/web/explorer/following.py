"""Bringing what is shown after what is wanted, off the event loop: the latest wins, and nothing waits in a line."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from eucentric.web.explorer.state import State

P = ParamSpec("P")
R = TypeVar("R")


def _on_one_thread() -> None:
    import numba

    numba.set_num_threads(1)  # pieces are small: a second thread is waited for longer than it works


_WORKER = ThreadPoolExecutor(1, "explorer", _on_one_thread)


async def computed(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Compute something beside the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_WORKER, lambda: function(*args, **kwargs))


def warm_up(function: Callable[[], object]) -> None:
    """Have something computed before anybody asks for it: what is compiled on its first use takes seconds."""
    _WORKER.submit(function)


def abandon() -> None:
    """Begin nothing any more of what waits to be computed; nothing can be computed afterwards."""
    _WORKER.shutdown(wait=False, cancel_futures=True)


class Follower:
    """Shows states one at a time; of those that are wanted meanwhile, only the last.

    Parameters
    ----------
    show
        Shows a state; it may stop half-way, where nobody would see it any more, once `behind`.
    """

    def __init__(self, show: Callable[[State], Awaitable[None]]) -> None:
        self._show = show
        self._wanted: State | None = None
        self._running = False
        self._task: asyncio.Task[None] | None = None

    @property
    def behind(self) -> bool:
        """Whether something else is wanted than what is being shown."""
        return self._wanted is not None

    @property
    def idle(self) -> bool:
        """Whether what is wanted is shown."""
        return not self._running

    def want(self, state: State) -> None:
        """Have a state shown, as soon as the one that is being shown is done."""
        self._wanted = state
        if not self._running:
            self._running = True
            self._task = asyncio.get_running_loop().create_task(self._run())  # kept, or it would be collected

    async def _run(self) -> None:
        try:
            while self._wanted is not None:
                state, self._wanted = self._wanted, None
                await self._show(state)
        finally:
            self._running = False
