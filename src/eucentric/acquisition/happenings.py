"""What a run tells: its state, its end, and each thing that happens, to the journal and to listeners."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from eucentric.core import OutputError
from eucentric.session import Session


class State(StrEnum):
    """What the engine is doing."""

    READY = "ready"
    MOVING = "moving"
    TRACKING = "tracking"
    FOCUSING = "focusing"
    EXPOSING = "exposing"
    ENDED = "ended"


class Finish(StrEnum):
    """How a run ended."""

    FINISHED = "finished"
    PAUSED = "paused"
    ABORTED = "aborted"
    FAILED = "failed"


@dataclass(frozen=True)
class Ended:
    """The end of a run, why, and how long it took by the microscope's clock."""

    finish: Finish
    reason: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Happened:
    """Something that listeners are told: its kind, and what it says, as in the journal."""

    kind: str
    body: Mapping[str, Any]


Listener = Callable[[Happened], None]


class Teller:
    """Notes what happens in a session's journal, and tells listeners; one that fails is told no more."""

    def __init__(self, session: Session, listeners: Sequence[Listener]) -> None:
        self._session = session
        self._listeners = list(listeners)

    def __call__(self, kind: str, **body: Any) -> None:
        """Note what happened, and tell the listeners; none of it changes what was exposed.

        What finds no room on the disk is not noted: the record of exposures waits for room, as the policy says.
        """
        with suppress(OutputError):
            self._session.note(kind, body, series=body.get("target"))
        failed = []
        for listener in tuple(self._listeners):
            try:
                listener(Happened(kind, body))
            except Exception as error:  # noqa: BLE001 - whatever a listener does, the run goes on
                self._listeners.remove(listener)
                failed.append(f"{type(error).__name__}: {error}")
        for reason in failed:
            self("acquisition.listener", reason=reason)

    def policy(self, **body: Any) -> None:
        """Tell what a policy decided."""
        self("acquisition.policy", **body)
