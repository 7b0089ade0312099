"""Workers: processes of this machine, or of a Dask cluster. Both take a function and a request, and give a future.

A worker that is lost (killed, out of memory, its machine gone) costs the task that it had, which fails with
`WorkerLostError`; the next task finds another worker.
"""

import multiprocessing
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from queue import PriorityQueue
from typing import Any, Protocol, TypeVar

from eucentric.core import OutputError

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
        """Let tasks go that were not begun, and end the workers."""
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
        """Let tasks go that were not begun; those under way are waited for."""
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


class DaskCrew:
    """The workers of a running Dask cluster, which sees to those that are lost.

    Parameters
    ----------
    address
        Of the scheduler, such as ``tcp://node1:8786``. All workers must find the session and the movies under the same
        paths as this process.

    Raises
    ------
    OutputError
        If it cannot be reached.
    """

    def __init__(self, address: str, *, wait_s: float = 20.0) -> None:
        import distributed

        connect: Any = distributed.Client  # of a library without types
        try:
            self._client = connect(address, timeout=wait_s, set_as_default=False)
        except (OSError, ValueError) as error:
            raise OutputError(
                f"{address}: no Dask scheduler answers there ({error or type(error).__name__}).",
                "Start one with `dask scheduler`, and its workers with `dask worker ADDRESS`.",
            ) from error
        self.host = _own_address(self._client.scheduler.address)

    @property
    def size(self) -> int:
        """How many tasks are done at once; it changes as workers come and go."""
        threads: dict[str, int] = self._client.nthreads()
        return max(1, sum(threads.values()))

    def submit(self, task: Callable[[A], R], request: A, *, urgent: bool = False) -> "Future[R]":
        """Have a task done."""
        future: Future[R] = Future()
        # The caller counts tries: Dask need not keep its own count of workers that a task has outlived.
        sent = self._client.submit(task, request, pure=False, priority=10 if urgent else 0)

        def told(done: Any) -> None:
            from distributed import KilledWorker

            if done.status == "finished":
                future.set_result(done.result())
            elif done.status == "error" and not isinstance(done.exception(), KilledWorker):
                future.set_exception(done.exception())
            else:
                future.set_exception(WorkerLostError("workers that had it were lost again and again"))

        sent.add_done_callback(told)
        return future

    def close(self) -> None:
        """Leave the cluster as it is."""
        self._client.close()


def _own_address(scheduler: str) -> str:
    """Return the address of this machine that leads to the scheduler, and back from its workers."""
    host, _, port = scheduler.rpartition("://")[2].rpartition(":")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host.strip("[]"), int(port)))  # of a datagram: nothing is sent
        return str(probe.getsockname()[0])


def _prepare(threads: int) -> None:
    """Share the machine's cores between the workers, and end with the process that they are of, however it ends."""
    import numba
    import torch

    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), name="parent", daemon=True).start()
    numba.set_num_threads(min(threads, numba.get_num_threads()))
    torch.set_num_threads(threads)


def _follow(parent: int) -> None:
    # What a worker of a killed watcher still wrote would come between the files of the next one's.
    wait([parent])
    os._exit(1)
