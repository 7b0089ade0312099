"""Workers take a function and a request, and give a future: processes of this machine here, a cluster in `dask_crew`.

A worker that is lost (killed, out of memory, its machine gone) costs the task that it had, which fails with
`WorkerLostError`; the next task finds another worker.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from queue import PriorityQueue
from typing import Any, Protocol, TypeVar

A = TypeVar("A")
R = TypeVar("R")


class WorkerLostError(Exception):
    """The process that had a task ended before the task did."""


class Crew(Protocol):
    """Workers; `host` is where this process can be reached from them, `size` how many tasks they take at once."""

    host: str

    @property
    def size(self) -> int:
        """How many tasks are done at once."""
        ...

    def submit(self, task: Callable[[A], R], request: A, *, urgent: bool = False) -> "Future[R]":
        """Have a task done, those that are urgent first. `task` is a function of a module, `request` can be pickled."""
        ...

    def close(self) -> None:
        """Let tasks go that were not begun, wait for those that were, and let the workers go; again, do nothing."""
        ...


class LocalCrew:
    """Processes of this machine, each of which is replaced when it is lost.

    One executor for each process, as an executor of many is broken by the loss of one.
    """

    host = "127.0.0.1"

    def __init__(self, workers: int, *, threads: int = 1) -> None:
        self._queue: PriorityQueue[tuple[int, int, Callable[[ProcessPoolExecutor], Any] | None]] = PriorityQueue()
        self._number = 0
        self._closed = threading.Event()
        self._threads = threads
        self._lanes = [threading.Thread(target=self._lane, name=f"worker {i}", daemon=True) for i in range(workers)]
        for lane in self._lanes:
            lane.start()

    @property
    def size(self) -> int:
        """How many tasks are done at once."""
        return len(self._lanes)

    def submit(self, task: Callable[[A], R], request: A, *, urgent: bool = False) -> "Future[R]":
        """Have a task done."""
        future: Future[R] = Future()

        def through(executor: ProcessPoolExecutor) -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(executor.submit(task, request).result())
            except BrokenProcessPool:
                future.set_exception(WorkerLostError("the process that worked on it was killed, or ran out of memory"))
                raise
            except BaseException as error:  # noqa: BLE001 - it is the caller's, whatever it is
                future.set_exception(error)

        self._number += 1
        self._queue.put((0 if urgent else 1, self._number, through))
        return future

    def close(self) -> None:
        """Let tasks go that were not begun; those under way are waited for, but by the first call only."""
        if self._closed.is_set():
            return
        self._closed.set()
        for i in range(len(self._lanes)):
            self._queue.put((-1, -len(self._lanes) + i, None))
        for lane in self._lanes:
            lane.join()

    def _lane(self) -> None:
        executor = self._executor()
        while not self._closed.is_set():
            _, _, through = self._queue.get()
            if through is None:
                break
            try:
                through(executor)
            except BrokenProcessPool:
                executor.shutdown(wait=False)
                executor = self._executor()
        executor.shutdown()

    def _executor(self) -> ProcessPoolExecutor:
        # Spawned: a process forked from one with threads may hang.
        return ProcessPoolExecutor(
            1, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare, initargs=(self._threads,)
        )


def compute_with(threads: int) -> None:
    """Have this thread compute with so many, of the cores that its process may use."""
    import numba
    import torch

    numba.set_num_threads(min(threads, numba.get_num_threads()))
    torch.set_num_threads(threads)


def _prepare(threads: int) -> None:
    """Share the machine's cores between the workers, and end with the process that they are of, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all; it is for the watcher to end them
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), name="parent", daemon=True).start()
    compute_with(threads)


def _follow(parent: int) -> None:
    # What a worker of a killed watcher still wrote would come between the files of the next one's.
    wait([parent])
    os._exit(1)
