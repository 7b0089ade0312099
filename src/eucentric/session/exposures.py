"""What hit the specimen, as the journal tells it: each exposure announced before the shutter, its outcome after.

An exposure is `exposure.intended` before the beam reaches the specimen, and on disk by then. What follows is one of
`exposure.delivered`, `exposure.uncertain` (nobody knows: it counts as delivered and is not repeated unasked) and
`exposure.withheld` (it is known that nothing was delivered). `exposure.skipped` is one of the plan that was given up.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import Field

from eucentric.core import Degrees, ElectronsPerA2, Record
from eucentric.session.journal import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

UNDER_WAY = "under way: its outcome is not known yet"

_OUTCOMES = ("exposure.delivered", "exposure.uncertain", "exposure.withheld")


class ExposureState(StrEnum):
    """What is known of an exposure."""

    DELIVERED = "delivered"
    UNCERTAIN = "uncertain"
    SKIPPED = "skipped"


class Intent(Record):
    """An exposure that is about to be made.

    `target` is the place that it hits, `order` the number of the plan's tilt that it belongs to, `purpose` that of
    `microscope.Purpose`, ``record`` for the plan's own images.
    """

    target: str
    order: Annotated[int, Field(ge=0)]
    tilt_deg: Degrees
    exposure_e_A2: ElectronsPerA2
    purpose: str = "record"


class ExposureRecord(Intent):
    """An exposure and what became of it.

    `exposure_e_A2` is what was delivered, or what was intended where that is not known. `details` are what the
    acquisition noted with its intent and outcome; `number` is that of the event which announced it.
    """

    state: ExposureState
    reason: str = ""
    number: int = 0
    details: dict[str, Any] = Field(default_factory=dict)

    @property
    def received(self) -> bool:
        """Whether it counts as received by the specimen."""
        return self.state is not ExposureState.SKIPPED


class Notes(Protocol):
    """Where events are noted and read, as a `Session` does."""

    def note(self, kind: str, body: "Mapping[str, Any]", *, cause: int | None = None, series: str | None = None) -> int:
        """Add an event; it is on disk when this returns."""
        ...

    def events(self, prefix: str = "", *, after: int = 0) -> list[Event]:
        """Return events."""
        ...


class ExposureBook:
    """Keeps the exposures of a session; every method returns when what it notes is on disk."""

    def __init__(self, session: Notes) -> None:
        self._session = session

    def intend(self, intent: Intent, **details: Any) -> int:
        """Announce an exposure, and return its number. Only then may the shutter open."""
        return self._session.note(
            "exposure.intended", {**intent.model_dump(mode="json"), **details}, series=intent.target
        )

    def delivered(
        self, number: int, target: str, *, exposure_e_A2: float, tilt_deg: float, reason: str = "", **details: Any
    ) -> int:
        """Note that the specimen has received so much, at this tilt."""
        body = {"exposure_e_A2": exposure_e_A2, "tilt_deg": tilt_deg, "reason": reason, **details}
        return self._session.note("exposure.delivered", body, cause=number, series=target)

    def uncertain(self, number: int, target: str, reason: str) -> int:
        """Note that nobody knows whether the exposure was delivered."""
        return self._session.note("exposure.uncertain", {"reason": reason}, cause=number, series=target)

    def withheld(self, number: int, target: str, reason: str) -> int:
        """Note that nothing was delivered: the exposure may be made another time."""
        return self._session.note("exposure.withheld", {"reason": reason}, cause=number, series=target)

    def skip(self, intent: Intent, reason: str) -> int:
        """Note that an exposure of the plan is given up."""
        body = {**intent.model_dump(mode="json"), "reason": reason}
        return self._session.note("exposure.skipped", body, series=intent.target)

    def records(self) -> tuple[ExposureRecord, ...]:
        """Return all exposures, oldest first; one that was withheld is none."""
        return exposures_of(self._session.events("exposure."))


def exposures_of(events: Sequence[Event]) -> tuple[ExposureRecord, ...]:
    """Return the exposures that events tell of, oldest first; those without an outcome are uncertain."""
    outcomes = {event.cause: event for event in events if event.kind in _OUTCOMES}
    found = []
    for event in events:
        if event.kind == "exposure.skipped":
            found.append(_record(event, ExposureState.SKIPPED, {}))
        elif event.kind == "exposure.intended":
            outcome = outcomes.get(event.id)
            if outcome is None:
                found.append(_record(event, ExposureState.UNCERTAIN, {"reason": UNDER_WAY}))
            elif outcome.kind != "exposure.withheld":
                found.append(_record(event, ExposureState(outcome.kind.removeprefix("exposure.")), outcome.body))
    return tuple(found)


def unsettled(events: Sequence[Event]) -> Iterator[tuple[int, Intent]]:
    """Give the exposures that were announced and have no outcome, with their numbers."""
    settled = {event.cause for event in events if event.kind in _OUTCOMES}
    for event in events:
        if event.kind == "exposure.intended" and event.id not in settled:
            yield event.id, Intent(**{name: event.body[name] for name in Intent.model_fields})


def _record(event: Event, state: ExposureState, outcome: dict[str, Any]) -> ExposureRecord:
    said = {**event.body, **outcome}
    own = {name: said.pop(name) for name in (*Intent.model_fields, "reason") if name in said}
    return ExposureRecord(**own, state=state, number=event.id, details=said)
