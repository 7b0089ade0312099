"""A session that one process holds and others work in: its journal, over a connection.

The holder runs a `JournalServer`; a worker makes its `Session` with a `RemoteJournal`. Workers read, hash and write the
files themselves, and only what is journalled goes over the connection: as JSON, so that nothing received is ever run.
Who connects must know the key of the server (a challenge with HMAC, that of `multiprocessing`).

A worker that is lost loses its connection: runs that it had begun are then interrupted, as by a killed process. While
a worker runs a stage, no other can begin it: nothing is done twice by one that was thought lost.
"""

import json
import os
import secrets
import socket
import struct
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from pathlib import Path
from typing import Any, Self

from eucentric.core import EucentricError, FormatError, InputError, OutputError, Record
from eucentric.session.journal import ENDS, Event, Journal, Journaling, Run

LOST = "the worker that ran it was lost"

_HELLO_S = 10.0  # for a peer to prove that it knows the key
_SILENT_S = 60  # after which a machine that vanished without a word counts as lost


class BusyError(OutputError):
    """Another worker runs this stage of the series; what comes of it is known when that has ended."""


_ERRORS: dict[str, type[EucentricError]] = {
    kind.__name__: kind for kind in (InputError, OutputError, FormatError, BusyError)
}


class JournalAddress(Record):
    """Where a session's journal is served; whoever has the key may write to it."""

    folder: Path
    host: str
    port: int
    key: str


class JournalServer:
    """Serves the journal of a session from threads of its own, until it is closed.

    Parameters
    ----------
    journal
        Of the session that this process holds.
    folder
        Of that session, as workers find it.
    host
        Where to listen: the loopback, or a name or address that workers elsewhere reach.

    Raises
    ------
    OutputError
        If that is no address of this machine.
    """

    def __init__(self, journal: Journal, folder: Path, host: str = "127.0.0.1") -> None:
        self._journal = journal
        try:
            self._socket = socket.create_server((host, 0), backlog=64)
        except OSError as error:
            raise OutputError(
                f"{host}: workers cannot be waited for at this address ({error.strerror or error}).",
                "Name one of this machine's own.",
            ) from error
        self._lock = threading.Lock()
        self._under_way: dict[tuple[str, str], int] = {}
        key = secrets.token_hex(32)
        port = self._socket.getsockname()[1]
        self.address = JournalAddress(folder=folder, host=host, port=port, key=key)
        threading.Thread(target=self._accept, name="journal", daemon=True).start()

    def close(self) -> None:
        """Take no more workers; those that are connected go on until they leave."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for workers
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(peer,), name="journal of a worker", daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        begun: dict[int, tuple[str, str]] = {}
        # What a peer sends that is no question ends its connection, and nothing else.
        with suppress(EOFError, OSError, ValueError, LookupError, TypeError), closing(_Line(peer)) as line:
            if not line.proved(self.address.key.encode(), serves=True):
                return
            try:
                while True:
                    line.send(self._answer(line.receive(), begun))
            finally:
                self._interrupt(begun)

    def _answer(self, asked: dict[str, Any], begun: dict[int, tuple[str, str]]) -> dict[str, Any]:
        try:
            return {"value": self._call(asked["call"], asked["given"], begun)}
        except EucentricError as error:
            return {"error": type(error).__name__, "what": error.what, "fix": error.fix}

    def _call(self, call: str, given: dict[str, Any], begun: dict[int, tuple[str, str]]) -> Any:
        if call == "append":
            return self._append(begun, **given)
        if call in ("runs", "events", "known_sha256", "remember_sha256"):
            return getattr(self._journal, call)(**given)
        raise InputError(f"A journal has no {call!r}.")

    def _append(
        self,
        begun: dict[int, tuple[str, str]],
        at: str,
        kind: str,
        body: dict[str, Any],
        cause: int | None,
        series: str | None,
        stage: str | None,
    ) -> int:
        of = (series or "", stage or "")
        with self._lock:
            if kind == "stage.started" and of in self._under_way:
                raise BusyError(f"{series}: {stage} is being run by another worker.", "Wait until that is done.")
            number = self._journal.append(
                datetime.fromisoformat(at), kind, body, cause=cause, series=series, stage=stage
            )
            if kind == "stage.started":
                self._under_way[of] = number
                begun[number] = of
            elif kind in ENDS and cause is not None:
                self._forget(begun, cause)
        return number

    def _interrupt(self, begun: dict[int, tuple[str, str]]) -> None:
        with self._lock:
            for number, (series, stage) in list(begun.items()):
                with suppress(EucentricError):
                    self._journal.append(
                        datetime.now(UTC), "stage.interrupted", {"reason": LOST},
                        cause=number, series=series, stage=stage,
                    )  # fmt: skip
                self._forget(begun, number)

    def _forget(self, begun: dict[int, tuple[str, str]], number: int) -> None:
        of = begun.pop(number, None)
        if of is not None:
            self._under_way.pop(of, None)


class RemoteJournal(Journaling):
    """The journal of a session that another process holds; use it from one thread.

    Raises
    ------
    OutputError
        From any method, if the holder is gone.
    """

    def __init__(self, address: JournalAddress) -> None:
        self.path = address.folder
        self._where = f"{address.host}:{address.port}"
        try:
            self._line = _Line(socket.create_connection((address.host, address.port), timeout=_HELLO_S))
        except OSError as error:
            raise self._gone(error) from error
        try:
            proved = self._line.proved(address.key.encode(), serves=False)
        except (OSError, EOFError) as error:
            self.close()
            raise self._gone(error) from error
        if not proved:
            self.close()
            raise OutputError(f"The session at {self._where} does not take this worker: its key is another.")

    def close(self) -> None:
        """Leave."""
        self._line.close()

    def append(
        self,
        at: datetime,
        kind: str,
        body: Mapping[str, Any],
        *,
        cause: int | None = None,
        series: str | None = None,
        stage: str | None = None,
    ) -> int:
        """Add an event and return its number; when this returns, the event is on disk."""
        given = {"at": at.isoformat(), "kind": kind, "body": dict(body), "cause": cause}
        return int(self._ask("append", **given, series=series, stage=stage))

    def runs(self, series: str | None = None, stage: str | None = None) -> list[Run]:
        """Return the runs of all, or of one, series and stage, oldest first."""
        return [Run(*row) for row in self._ask("runs", series=series, stage=stage)]

    def events(self, prefix: str = "", *, after: int = 0) -> list[Event]:
        """Return the events whose kind begins so, of numbers above `after`, oldest first."""
        return [Event(*row) for row in self._ask("events", prefix=prefix, after=after)]

    def known_sha256(self, path: str, stamp: str) -> str | None:
        """Return the hash of a file or folder if it was remembered under this stamp."""
        known = self._ask("known_sha256", path=path, stamp=stamp)
        return None if known is None else str(known)

    def remember_sha256(self, path: str, stamp: str, sha256: str) -> None:
        """Keep the hash of a file or folder under its stamp."""
        self._ask("remember_sha256", path=path, stamp=stamp, sha256=sha256)

    def _ask(self, call: str, **given: Any) -> Any:
        try:
            self._line.send({"call": call, "given": given})
            answer = self._line.receive()
        except (OSError, EOFError) as error:
            raise self._gone(error) from error
        if "error" in answer:
            raise _ERRORS.get(answer["error"], OutputError)(answer["what"], answer["fix"])
        return answer["value"]

    def _gone(self, error: Exception) -> OutputError:
        return OutputError(
            f"The session at {self._where} cannot be reached ({error or type(error).__name__}).",
            "Its holder has ended: start it again, and it goes on from the last finished stage.",
        )


class _Line:
    """A connection of whole messages over a socket, which notices when the other machine vanishes."""

    def __init__(self, peer: socket.socket) -> None:
        peer.settimeout(None)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", _SILENT_S // 2), ("TCP_KEEPINTVL", _SILENT_S // 6), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, name):
                peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        self._peer, self._connection = peer, Connection(os.dup(peer.fileno()))

    def proved(self, key: bytes, *, serves: bool) -> bool:
        """Whether both sides know the key; each asks the other, the server first, and none waits long for an answer."""
        self._wait_at_most(_HELLO_S)
        try:
            for asks in (serves, not serves):
                (deliver_challenge if asks else answer_challenge)(self._connection, key)
        except AuthenticationError:
            return False
        self._wait_at_most(0)
        return True

    def send(self, message: dict[str, Any]) -> None:
        self._connection.send_bytes(json.dumps(message).encode())

    def receive(self) -> dict[str, Any]:
        message = json.loads(self._connection.recv_bytes())
        if not isinstance(message, dict):
            raise ValueError("a message that is no record")
        return message

    def close(self) -> None:
        self._connection.close()
        self._peer.close()

    def _wait_at_most(self, seconds: float) -> None:
        # On the socket itself, as `Connection` reads without a limit; 0 is without one.
        self._peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", int(seconds), 0))
