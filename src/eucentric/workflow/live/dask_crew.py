"""The workers of a Dask cluster, which may come, go and be retired, as may its scheduler.

While the scheduler is away, what was not finished is kept, and sent again when it answers. Each worker does one task at
once, with as many threads of computation as Dask counts for it.
"""

import logging
import socket
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from eucentric.core import SILENT, OutputError, Reporter
from eucentric.workflow.live.crew import WorkerLostError, compute_with

A = TypeVar("A")
R = TypeVar("R")

_POLL_S = 1.0  # between looks at how many workers there are
_EMPTY_S = 30.0  # for which work waits without any worker before that is told: jobs take a while to begin
_one_at_once = threading.Lock()


@dataclass(eq=False)
class _Sent:
    """A task, and what is promised of it."""

    task: Callable[[Any], Any]
    request: Any
    urgent: bool
    future: "Future[Any]"
    of_dask: Any = None


class DaskCrew:
    """The workers of a running Dask cluster, which sees to those that are lost.

    Parameters
    ----------
    address
        Of the scheduler, such as ``tcp://node1:8786``; with ``tls://``, the certificates are those of Dask's own
        configuration. All workers must find the session and the movies under the same paths as this process.
    at_most
        How many workers a cluster that adapts may have; it must be given so much to do to have them come.
    wait_s
        How long the scheduler is waited for.
    reporter
        Where is told that workers, or the scheduler, are waited for.

    Raises
    ------
    OutputError
        If it cannot be reached.
    """

    def __init__(
        self, address: str, *, at_most: int | None = None, wait_s: float = 20.0, reporter: Reporter = SILENT
    ) -> None:
        self._address, self._at_most, self._wait_s, self._reporter = address, at_most or 1, wait_s, reporter
        try:
            self._client = self._connected()
        except (OSError, ValueError) as error:
            raise OutputError(
                f"{address}: no Dask scheduler answers there ({error or type(error).__name__}).",
                "Start one with `dask scheduler`, and its workers with `dask worker ADDRESS`. "
                "The address of one with certificates begins with tls://.",
            ) from error
        self.host = _own_address(self._client.scheduler.address)
        self._workers = len(self._client.nthreads())
        self._sent: set[_Sent] = set()
        self._lost: list[_Sent] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="Dask cluster", daemon=True)
        self._keeper.start()

    @property
    def size(self) -> int:
        """How many tasks are done at once; it changes as workers come and go."""
        return max(self._at_most, self._workers)

    def submit(self, task: Callable[[A], R], request: A, *, urgent: bool = False) -> "Future[R]":
        """Have a task done."""
        sent = _Sent(task, request, urgent, Future())
        with self._lock:
            self._sent.add(sent)
        self._send(sent)
        return sent.future

    def close(self) -> None:
        """Let tasks go that were not begun; those that workers are at are waited for. The cluster stays as it is."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._keeper.join()
        with suppress(Exception):  # it cannot be asked
            self._finish()
        self._client.close()

    def _finish(self) -> None:
        begun = {key for stacks in self._client.call_stack().values() for key in stacks}
        with self._lock:
            sent = list(self._sent)
        self._client.cancel([one.of_dask for one in sent if one.of_dask is not None and one.of_dask.key not in begun])
        left = [one.future for one in sent if one.of_dask is not None and one.of_dask.key in begun]
        while left and self._client.status == "running":
            left = list(wait(left, timeout=_POLL_S).not_done)

    def _send(self, sent: _Sent) -> None:
        from distributed.client import ClosedClientError

        try:
            sent.of_dask = self._client.submit(
                _do,
                sent.task,
                sent.request,
                # By its name Dask learns how long such a task takes, from which it tells how many workers to have.
                key=f"{sent.task.__name__}-{uuid.uuid4().hex}",
                pure=False,
                priority=10 if sent.urgent else 0,
            )
        except ClosedClientError:
            self._lose(sent)
        else:
            sent.of_dask.add_done_callback(lambda done: self._told(sent, done))

    def _told(self, sent: _Sent, done: Any) -> None:
        from distributed import KilledWorker

        result: Any = None
        try:
            error = done.exception() if done.status == "error" else None
            result = done.result() if done.status == "finished" else None
        except (OSError, RuntimeError, CancelledError):  # it was done, and the scheduler went before it was fetched
            self._lose(sent)
            return
        if done.status not in ("finished", "error"):  # the scheduler forgot it, or is gone
            self._lose(sent)
            return
        if isinstance(error, KilledWorker):
            error = WorkerLostError("workers that had it were lost again and again; their logs say why")
        elif isinstance(error, ImportError):
            error = OutputError(
                f"A worker of the Dask cluster cannot import what it needs ({error}).",
                "Start its workers with the Python that this Eucentric is installed in.",
            )
        with self._lock:
            self._sent.discard(sent)
        if error is None:
            sent.future.set_result(result)
        else:
            sent.future.set_exception(error)

    def _lose(self, sent: _Sent) -> None:
        with self._lock:
            self._lost.append(sent)

    def _keep(self) -> None:
        """See, now and then, whether scheduler and workers are there."""
        empty_since_s, told = time.monotonic(), False
        while not self._closed.wait(_POLL_S):
            if not self._there():
                self._wait_for_scheduler()
                empty_since_s = time.monotonic()
            with self._lock:
                lost, self._lost = self._lost, []
            for sent in lost:
                self._send(sent)
            if self._workers or not self._sent:
                if told:
                    self._reporter.say(f"The Dask cluster at {self._address} has workers.")
                empty_since_s, told = time.monotonic(), False
            elif not told and time.monotonic() - empty_since_s >= _EMPTY_S:
                self._reporter.say(f"The Dask cluster at {self._address} has no workers: what is to be done waits.")
                told = True

    def _there(self) -> bool:
        if self._client.status != "running":
            return False
        try:
            self._workers = len(self._client.nthreads())
        except Exception:  # noqa: BLE001 - whatever a client makes of a connection that breaks: this thread must go on
            return False
        return True

    def _wait_for_scheduler(self) -> None:
        self._workers = 0
        self._reporter.say(f"The Dask scheduler at {self._address} is gone. What is not finished waits for it.")
        with suppress(Exception):  # it cannot say farewell
            self._client.close(timeout=_POLL_S)
        while not self._closed.wait(_POLL_S):
            with suppress(Exception):  # one of another version, say, or with another certificate: as if none were there
                # A client that fails to connect leaves a thread behind, so it is tried only when someone listens.
                socket.create_connection(_host_and_port(self._address), timeout=_POLL_S).close()
                self._client = self._connected()
                self._reporter.say(f"The Dask scheduler at {self._address} is there again.")
                return

    def _connected(self) -> Any:
        import distributed

        library: Any = distributed  # without types
        certificates = library.Security().get_connection_args("client").get("ssl_context")
        if self._address.startswith("tls://") and certificates is None:
            raise OutputError(
                f"{self._address}: Dask has no certificates on this machine.",
                "Name them in its configuration, `distributed.comm.tls`, as docs/watch.md shows.",
            )
        # That a connection was lost is told in words, of which it would print the traceback.
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        client = library.Client(self._address, timeout=self._wait_s, set_as_default=False)
        try:
            client.run_on_scheduler(_nothing)
        except Exception as error:
            client.close()
            raise OutputError(
                f"{self._address}: this Dask scheduler cannot import Eucentric ({str(error).splitlines()[0]}).",
                "Start it, and its workers, with the Python that this Eucentric is installed in.",
            ) from error
        return client


def _nothing() -> None:
    """Do nothing, where this module can be imported."""


def _do(task: Callable[[A], R], request: A) -> R:
    """Do a task as a worker of Dask: two at once in a process would share its caches, and its cores."""
    from distributed import get_worker

    with _one_at_once:
        worker: Any = get_worker()
        compute_with(worker.state.nthreads)
        return task(request)


def _host_and_port(scheduler: str) -> tuple[str, int]:
    host, _, port = scheduler.rpartition("://")[2].rpartition(":")
    return host.strip("[]"), int(port)


def _own_address(scheduler: str) -> str:
    """Return the address of this machine that leads to the scheduler, and back from its workers."""
    host, port = _host_and_port(scheduler)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, port))  # of a datagram: nothing is sent
        return str(probe.getsockname()[0])
